//! Random histories of appends, replacements, deletions and steps that come late or not at all.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::summarize::{Marks, Span, Step, TurnSize, frontier, next, voided};
use crate::types::{Group, Role, Seq};

const MARKS: Marks = Marks {
    tail_high_tokens: 300,
    tail_low_tokens: 100,
    level_spans_max: 4,
    fan_in: 3,
    idle_tokens_min: 20,
};

/// Steps that one call of a worker makes at most in these tests: more would be a loop.
const STEPS_MAX: usize = 10_000;

#[derive(Debug, Clone)]
enum Event {
    /// Turns of these kinds and tokens.
    Append(Vec<(u8, u64)>),
    /// One of the living turns, by its place, and what stands in its group.
    Delete(usize),
    /// All from a living turn on, by its place from the end.
    Replace(usize),
    /// This many steps are made.
    Work(usize),
    /// The session is idle: all steps are made.
    Idle,
}

fn event() -> impl Strategy<Value = Event> {
    let turns = prop::collection::vec((0u8..6, 1u64..90), 1..30);
    prop_oneof![
        6 => turns.prop_map(Event::Append),
        2 => (0usize..200).prop_map(Event::Delete),
        1 => (0usize..30).prop_map(Event::Replace),
        3 => (0usize..4).prop_map(Event::Work),
        1 => Just(Event::Idle),
    ]
}

#[derive(Default)]
struct Session {
    turns: Vec<TurnSize>,
    spans: Vec<Span>,
    last: u64,
}

impl Session {
    fn append(&mut self, turns: &[(u8, u64)]) {
        for (kind, tokens) in turns {
            self.last += 1;
            let (role, group) = match kind {
                0 | 1 => (Role::User, Group::None),
                2 => (Role::Assistant, Group::Calls),
                3 => (Role::Tool, Group::Results),
                _ => (Role::Assistant, Group::None),
            };
            self.turns.push(TurnSize { seq: Seq(self.last), tokens: *tokens, role, group });
        }
    }

    fn void(&mut self, erased: &BTreeSet<Seq>, from: Option<Seq>) {
        let gone: BTreeSet<usize> = voided(&self.spans, erased, from).into_iter().collect();
        let mut at = 0;
        self.spans.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        let is_inside = |seq: Seq| self.spans.iter().any(|span| span.holds(seq));
        assert!(erased.iter().all(|seq| !is_inside(*seq)), "a span holds an erased turn");
        assert!(from.is_none_or(|from| self.spans.iter().all(|span| span.last_seq < from)));
    }

    fn delete(&mut self, at: usize) {
        if self.turns.is_empty() {
            return;
        }
        let at = at % self.turns.len();
        let joined = |at: usize| {
            self.turns[at].group == Group::Results && self.turns[at - 1].group != Group::None
        };
        let start = (0..=at).rfind(|at| *at == 0 || !joined(*at)).unwrap();
        let end = (at + 1..self.turns.len()).find(|at| !joined(*at)).unwrap_or(self.turns.len());
        let erased = self.turns.drain(start..end).map(|turn| turn.seq).collect();
        self.void(&erased, None);
    }

    fn replace(&mut self, from_end: usize) {
        let at = self.turns.len().saturating_sub(from_end + 1);
        if let Some(from) = self.turns.get(at).map(|turn| turn.seq) {
            self.turns.truncate(at);
            self.void(&BTreeSet::new(), Some(from));
        }
    }

    /// Makes steps that are due, `most` of them; how many were made.
    fn work(&mut self, most: usize, idle: bool) -> usize {
        for made in 0..most {
            let Some(step) = next(&self.turns, &self.spans, &MARKS, idle) else { return made };
            self.check_step(&step);
            self.spans.push(step.span());
        }
        assert!(most < STEPS_MAX, "the steps do not end");
        most
    }

    fn check_step(&self, step: &Step) {
        let span = step.span();
        match step {
            Step::Leaf { .. } => {
                let inside: Vec<&TurnSize> =
                    self.turns.iter().filter(|turn| span.holds(turn.seq)).collect();
                assert_eq!(inside.first().unwrap().seq, span.first_seq);
                assert_eq!(inside.last().unwrap().seq, span.last_seq);
                let covered = |turn: &&TurnSize| self.spans.iter().any(|s| s.holds(turn.seq));
                assert!(!inside.iter().any(covered), "a turn is summarized twice");
            }
            Step::Merge { level, children } => {
                assert!(!children.is_empty() && children.len() <= MARKS.fan_in);
                let open: Vec<Span> = self.frontier();
                for child in children {
                    assert_eq!(child.level + 1, *level);
                    assert!(open.contains(child), "a covered span is covered again");
                }
            }
        }
        let Some(at) = self.turns.iter().position(|turn| turn.seq > span.last_seq) else { return };
        let is_covered = self.spans.iter().any(|known| known.holds(self.turns[at].seq));
        let cuts =
            self.turns[at].group == Group::Results && self.turns[at - 1].group != Group::None;
        assert!(is_covered || !cuts, "a group is cut by {span:?}");
    }

    /// What an idle session leaves uncovered is little, or a group that may go on.
    fn check_idle(&self) {
        let end = self.spans.iter().map(|span| span.last_seq).max().unwrap_or(Seq(0));
        let rest = self.turns.iter().filter(|turn| turn.seq > end);
        let open = self.turns.iter().rev().take_while(|turn| turn.group != Group::None);
        let tokens =
            |turns: &mut dyn Iterator<Item = &TurnSize>| turns.map(|turn| turn.tokens).sum::<u64>();
        let (rest, open) = (tokens(&mut rest.into_iter()), tokens(&mut open.into_iter()));
        assert!(rest < MARKS.idle_tokens_min + open, "{rest} tokens are left, {open} in a group");
    }

    fn frontier(&self) -> Vec<Span> {
        frontier(&self.spans).into_iter().map(|at| self.spans[at]).collect()
    }

    /// Each summarized turn is in exactly one span of the frontier; levels fall towards the end.
    fn check(&self, all_made: bool) {
        let open = self.frontier();
        assert!(open.windows(2).all(|pair| pair[0].last_seq < pair[1].first_seq));
        for turn in &self.turns {
            let inside = self.spans.iter().any(|span| span.holds(turn.seq));
            let times = open.iter().filter(|span| span.holds(turn.seq)).count();
            assert_eq!(times, usize::from(inside), "{turn:?}");
        }
        if all_made {
            assert!(open.windows(2).all(|pair| pair[0].level >= pair[1].level), "{open:?}");
            for level in 0..=8 {
                let spans = open.iter().filter(|span| span.level == level).count();
                assert!(spans <= MARKS.level_spans_max);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_turn_is_raw_or_in_one_span_of_the_frontier(
        events in prop::collection::vec(event(), 1..40)
    ) {
        let mut session = Session::default();
        for event in events {
            let mut all_made = false;
            match event {
                Event::Append(turns) => session.append(&turns),
                Event::Delete(at) => session.delete(at),
                Event::Replace(from_end) => session.replace(from_end),
                Event::Work(steps) => all_made = session.work(steps, false) < steps,
                Event::Idle => {
                    all_made = session.work(STEPS_MAX, true) < STEPS_MAX;
                    session.check_idle();
                }
            }
            session.check(all_made);
        }
    }

    #[test]
    fn steps_that_come_late_make_the_spans_of_those_in_time(
        chunks in prop::collection::vec(prop::collection::vec((0u8..6, 1u64..90), 1..30), 1..20)
    ) {
        let (mut late, mut in_time) = (Session::default(), Session::default());
        for turn in chunks.iter().flatten() {
            in_time.append(&[*turn]);
            in_time.work(STEPS_MAX, false);
        }
        for (at, turns) in chunks.iter().enumerate() {
            late.append(turns);
            late.work(at % 3, false);
        }
        late.work(STEPS_MAX, false);
        prop_assert_eq!(late.frontier(), in_time.frontier());
        late.spans.sort_unstable();
        in_time.spans.sort_unstable();
        prop_assert_eq!(late.spans, in_time.spans);
    }

    #[test]
    fn what_is_void_is_made_again_with_the_same_span(
        turns in prop::collection::vec((0u8..6, 1u64..90), 200..400), at in 0usize..400
    ) {
        let mut session = Session::default();
        session.append(&turns);
        session.work(STEPS_MAX, false);
        let before = session.spans.clone();
        let seq = session.turns[at % session.turns.len()].seq;
        session.void(&BTreeSet::from([seq]), None);
        session.work(STEPS_MAX, false);
        let (mut before, mut after) = (before, session.spans);
        before.sort_unstable();
        after.sort_unstable();
        prop_assert_eq!(before, after);
    }
}

/// A level holds at most [`Marks::level_spans_max`] spans of the frontier, and a span of level n
/// covers `fan_in` to the n spans of turns: so the frontier has at most
/// `max * (1 + log_fan_in(spans of turns))` spans.
#[test]
fn the_frontier_grows_with_the_logarithm_of_the_history() {
    let marks = Marks::DEFAULT;
    let (mut turns, mut spans): (Vec<TurnSize>, Vec<Span>) = (Vec::new(), Vec::new());
    let mut start = 0;
    for seq in 1..=100_000u64 {
        let role = if seq % 2 == 1 { Role::User } else { Role::Assistant };
        let tokens = 20 + seq * 7_919 % 60;
        turns.push(TurnSize { seq: Seq(seq), tokens, role, group: Group::None });
        let is_checked = seq.is_power_of_two() || seq == 100_000;
        if seq % 500 != 0 && !is_checked {
            continue;
        }
        // What lies before the tail changes nothing: it is covered and stays so.
        while let Some(step) = next(&turns[start..], &spans, &marks, false) {
            spans.push(step.span());
            let end = spans.iter().map(|span| span.last_seq).max().unwrap();
            start = turns.partition_point(|turn| turn.seq <= end);
        }
        if is_checked {
            let leaves = spans.iter().filter(|span| span.level == 0).count().max(1);
            let levels = 1.0 + (leaves as f64).log(marks.fan_in as f64);
            let most = marks.level_spans_max as f64 * levels;
            let open = frontier(&spans).len();
            println!("{seq} turns: {leaves} spans of turns, {open} in the frontier");
            assert!(open as f64 <= most, "{open} of {leaves}");
        }
    }
    assert!(spans.len() > 2_000, "few spans: {}", spans.len());
}
