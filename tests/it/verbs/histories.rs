//! Random histories with work behind them that fails, dies and comes late: every living turn is
//! shown or listed, none twice, and nothing erased is said again.

use std::collections::BTreeSet;

use keepsake::context::SectionKind;
use keepsake::memory::Built;
use keepsake::record::JobKind;
use keepsake::sessions::{Append, DeleteTurns};
use keepsake::summarize::{Span, frontier};
use keepsake::types::{Role, Seq};
use proptest::prelude::*;

use super::behind::{head, sentence, summaries};
use super::world::{HOUR_MS, World, append, of_session, of_user, said, session};

/// What happens next, with numbers that are taken modulo what is there.
#[derive(Debug, Clone)]
enum Event {
    Append(usize),
    /// So many of the last turns are replaced by others.
    Replace(usize, usize),
    Erase(Vec<usize>),
    /// Some steps of embedding and of summarizing.
    Work(usize, usize),
    /// The process dies at this commit of all the work that is due, its answer kept or lost.
    Die(i64, bool),
    /// The session rests long enough to be summarized whole.
    Rest,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1usize..90).prop_map(Event::Append),
        1 => (1usize..40, 1usize..20).prop_map(|(last, new)| Event::Replace(last, new)),
        2 => prop::collection::vec(0usize..1_000, 1..5).prop_map(Event::Erase),
        3 => (0usize..4, 0usize..4).prop_map(|(embed, work)| Event::Work(embed, work)),
        2 => (0i64..12, any::<bool>()).prop_map(|(at, kept)| Event::Die(at, kept)),
        1 => Just(Event::Rest),
    ]
}

/// A session, and what of it lives.
struct Talk {
    world: World,
    /// The seq of each living turn, with a word that only it holds.
    living: Vec<(Seq, String)>,
    gone: Vec<String>,
    said: usize,
}

impl Talk {
    async fn new() -> Self {
        let mut world = World::embedding().await;
        // Small marks, so that few turns make several summaries, with some lines each.
        world.policy.summaries.tail_high_tokens = Some(600);
        world.policy.summaries.tail_low_tokens = Some(60);
        world.keep_policy().await;
        Self { world, living: Vec::new(), gone: Vec::new(), said: 0 }
    }

    async fn take(&mut self, event: &Event) {
        match event {
            Event::Append(new) => self.append(*new, None).await,
            Event::Replace(last, new) => {
                let at = self.living.len().saturating_sub(*last);
                let from = self.living.get(at).map(|(seq, _)| *seq);
                self.append(*new, from).await;
            }
            Event::Erase(places) => self.erase(places).await,
            Event::Work(embed, work) => {
                for _ in 0..*embed {
                    self.world.memory.embed_some().await.unwrap();
                }
                for _ in 0..*work {
                    self.world.memory.work_some().await.unwrap();
                }
            }
            Event::Die(at, kept) => self.die(*at, *kept).await,
            Event::Rest => self.world.clock.advance(7 * HOUR_MS),
        }
    }

    async fn append(&mut self, new: usize, replace_from: Option<Seq>) {
        if let Some(from) = replace_from {
            let at = self.living.partition_point(|(seq, _)| *seq < from);
            self.gone.extend(self.living.drain(at..).map(|(_, word)| word));
        }
        let said_before = self.said;
        self.said += new;
        let role = |n: usize| if n.is_multiple_of(2) { Role::User } else { Role::Assistant };
        let turns = (0..new).map(|n| said(role(n), &sentence(said_before + n)));
        let request = Append { turns: turns.collect(), replace_from, ..append("s", "ann", &[]) };
        self.world.append(&request).await;
        let last = head(&self.world, "s").await.last_seq.0;
        let first = last + 1 - new as u64;
        let words = (said_before..self.said).map(|n| format!("w{n}w"));
        self.living.extend((first..).map(Seq).zip(words));
    }

    async fn erase(&mut self, places: &[usize]) {
        if self.living.is_empty() {
            return;
        }
        let places: BTreeSet<usize> = places.iter().map(|at| at % self.living.len()).collect();
        let seqs = places.iter().map(|at| self.living[*at].0).collect();
        for at in places.iter().rev() {
            self.gone.push(self.living.remove(*at).1);
        }
        let request = DeleteTurns { session: session("s"), seqs, expected_version: None };
        self.world.memory.delete_turns(&self.world.tenant, &request, None).await.unwrap();
    }

    async fn die(&mut self, at: i64, kept: bool) {
        match kept {
            true => self.world.store.lose_after(at),
            false => self.world.store.break_after(at),
        }
        while let Ok(true) = self.world.memory.embed_some().await {}
        for _ in 0..8 {
            if self.world.memory.work_some().await.is_err() {
                break;
            }
        }
        self.world = self.world.restarted();
        self.world.memory.resume_embedding().await.unwrap();
    }

    async fn check(&self, budgets: &[u32]) {
        if self.said == 0 {
            return;
        }
        let head = head(&self.world, "s").await;
        let rows = summaries(&self.world, head.incarnation).await;
        let lines = rows.iter().flat_map(|row| &row.summary.lines);
        self.says_nothing_gone(&lines.map(|line| line.text.as_str()).collect::<String>());
        let spans: Vec<Span> = rows.iter().map(|row| row.summary.span).collect();
        let on: Vec<Span> = frontier(&spans).into_iter().map(|at| spans[at]).collect();
        for (span, next) in on.iter().zip(on.iter().skip(1)) {
            assert!(span.last_seq < next.first_seq, "{span:?} and {next:?} overlap");
            // Where summaries are void, and their job waits, there is a gap.
            if head.jobs.has(JobKind::Summarize) {
                continue;
            }
            let between = |(seq, _): &&(Seq, String)| span.last_seq < *seq && *seq < next.first_seq;
            assert_eq!(self.living.iter().find(between), None, "between {span:?} and {next:?}");
        }
        for budget in budgets {
            for target in [of_session("s"), of_user("ann", Some("s"), None)] {
                let built = self.world.try_build(target, "", Some(*budget)).await;
                self.accounts(&built.unwrap(), *budget);
            }
        }
    }

    fn says_nothing_gone(&self, text: &str) {
        for word in &self.gone {
            assert!(!text.contains(word.as_str()), "{word} is gone and is said again");
        }
    }

    /// Shown and listed are all living turns, none twice.
    fn accounts(&self, built: &Built, budget: u32) {
        let context = &built.context;
        assert!(context.used_tokens <= budget);
        self.says_nothing_gone(&format!("{:?}", context.messages));
        let within = |first: Seq, last: Seq| {
            let inside = move |seq: &Seq| first <= *seq && *seq <= last;
            self.living.iter().map(|(seq, _)| *seq).filter(inside).collect::<Vec<_>>()
        };
        let (mut words, mut told) = (BTreeSet::new(), BTreeSet::new());
        for section in &context.sections {
            for item in section.items.iter().filter(|item| item.source.is_some()) {
                let is_summary = section.kind == SectionKind::Summary;
                let shown = if is_summary { &mut told } else { &mut words };
                for seq in within(item.first_seq, item.last_seq) {
                    assert!(shown.insert(seq), "{seq:?} is shown twice");
                }
            }
        }
        let mut listed = BTreeSet::new();
        for range in &context.not_shown {
            let inside = within(range.first_seq, range.last_seq);
            assert_eq!(inside.len() as u64, range.turns);
            assert!(inside.into_iter().all(|seq| listed.insert(seq)), "listed twice");
        }
        let shown: BTreeSet<Seq> = words.union(&told).copied().collect();
        assert!(shown.is_disjoint(&listed), "shown and listed");
        assert_eq!(shown.len() + listed.len(), self.living.len(), "neither shown nor listed");
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn every_living_turn_is_shown_or_listed_once_whatever_happened(
        events in prop::collection::vec(event(), 4..24),
        exponents in prop::collection::vec(6.0f64..16.6, 3),
    ) {
        // From 64 to 100,000 tokens, evenly by their logarithm; one with room for a summary.
        let mut budgets: Vec<u32> =
            exponents.iter().map(|exponent| exponent.exp2() as u32).collect();
        budgets.push(2_100);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut talk = Talk::new().await;
            for event in &events {
                talk.take(event).await;
                talk.check(&budgets).await;
            }
        });
    }
}
