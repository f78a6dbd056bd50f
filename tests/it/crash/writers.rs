//! Clients that write until the server is gone, and remember what it acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use tokio::sync::Notify;
use tonic::Status;

use super::chance::Chance;
use super::talk::{Op, Talk, is_cut, list, turn};

/// Sessions of a writer; the first one grows long, so that its end takes several commits.
const TALKS: u64 = 5;
const LONG_TURNS: usize = 1_000;
const SHORT_TURNS: usize = 150;
/// Turns of one append, at the most.
const APPEND_TURNS_MAX: u64 = 4;

/// How many writes were acknowledged, and whether that is enough.
#[derive(Default)]
pub struct Acks {
    count: AtomicU64,
    turns: AtomicU64,
    enough: AtomicBool,
    more: Notify,
}

impl Acks {
    pub fn note(&self, turns: u64) {
        self.turns.fetch_add(turns, SeqCst);
        self.count.fetch_add(1, SeqCst);
        self.more.notify_waiters();
    }

    pub fn count(&self) -> u64 {
        self.count.load(SeqCst)
    }

    pub fn turns(&self) -> u64 {
        self.turns.load(SeqCst)
    }

    /// Waits until so many writes were acknowledged.
    pub async fn reach(&self, count: u64) {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.count() >= count {
                return;
            }
            more.await;
        }
    }

    pub fn is_enough(&self) -> bool {
        self.enough.load(SeqCst)
    }

    /// Lets the writers end.
    pub fn enough(&self) {
        self.enough.store(true, SeqCst);
    }
}

/// One writer: sessions of its own, and its part in one that all write to.
pub struct Writer {
    number: u64,
    chance: Chance,
    said: u64,
    forks: u64,
    pub talks: Vec<Talk>,
    /// What it said in the shared session, by the seqs that were acknowledged.
    shared: Vec<(u64, String)>,
    shared_doubt: Option<Op>,
}

impl Writer {
    pub fn new(seed: u64, number: u64) -> Self {
        let user = format!("u{number}");
        let talks = (0..TALKS).map(|talk| Talk::new(&format!("w{number}-{talk}"), &user));
        Self {
            number,
            chance: Chance::new(seed ^ (number + 1) << 32),
            said: 0,
            forks: 0,
            talks: talks.collect(),
            shared: Vec::new(),
            shared_doubt: None,
        }
    }

    /// Writes, and reads now and then, until a call is cut or it is enough.
    pub async fn run(mut self, mut client: Client, acks: Arc<Acks>, shared: String) -> Self {
        while !acks.is_enough() {
            let done = match self.chance.below(100) {
                0..8 => self.read(&mut client).await.map(|()| None),
                8..14 => self.write_shared(&mut client, &shared).await.map(Some),
                _ => self.write(&mut client).await.map(Some),
            };
            match done {
                Ok(Some(turns)) => acks.note(turns),
                Ok(None) => {}
                Err(status) if is_cut(&status) => break,
                Err(status) => panic!("writer {}: {status}", self.number),
            }
        }
        self
    }

    fn text(&mut self) -> String {
        self.said += 1;
        let (writer, said) = (self.number, self.said);
        let places = ["Oslo", "Basel", "Porto", "Gdansk", "Ghent", "Turku", "Lecce"];
        let place = places[said as usize % places.len()];
        format!(
            "In week {said} we moved the depot w{writer}n{said}w to {place} with {said} crates."
        )
    }

    fn texts(&mut self) -> Vec<String> {
        let turns = 1 + self.chance.below(APPEND_TURNS_MAX);
        (0..turns).map(|_| self.text()).collect()
    }

    /// What is next for a session.
    fn plan(&mut self, at: usize) -> Op {
        let id = self.chance.request_id();
        let talk = &self.talks[at];
        let living = talk.living();
        let most = if at == 0 { LONG_TURNS } else { SHORT_TURNS };
        let append =
            |writer: &mut Self, from| Op::Append { id: id.clone(), texts: writer.texts(), from };
        if !talk.exists() {
            if let Some((source, living)) = self.source_of_a_fork(at) {
                return Op::Fork { id, source, living };
            }
            return append(self, 0);
        }
        let full = talk.listing().is_some_and(|turns| turns.len() >= most);
        match self.chance.below(100) {
            _ if full => Op::Delete { id },
            0..4 if living.len() > 3 => {
                let from = living[living.len() - 1 - self.chance.below(3) as usize].seq;
                append(self, from)
            }
            4..8 if living.len() > 3 => {
                let mut seqs: Vec<_> = (0..3)
                    .map(|_| living[self.chance.below(living.len() as u64) as usize].seq)
                    .collect();
                seqs.sort_unstable();
                seqs.dedup();
                Op::Erase { id, seqs }
            }
            8 if at > 0 => Op::Delete { id },
            _ => append(self, 0),
        }
    }

    /// Sometimes a session that is not there begins as a fork of the long one.
    fn source_of_a_fork(&mut self, at: usize) -> Option<(String, Vec<super::talk::Said>)> {
        let source = &self.talks[0];
        if at == 0 || !source.exists() || !self.chance.percent(50) {
            return None;
        }
        self.forks += 1;
        Some((source.id.clone(), source.living()))
    }

    /// One write to a session of its own; gives how many turns it made.
    async fn write(&mut self, client: &mut Client) -> Result<u64, Status> {
        // Half of the writes go to the long session.
        let at = self.chance.below(2 * TALKS).saturating_sub(TALKS) as usize;
        let op = self.plan(at);
        let talk = &mut self.talks[at];
        match talk.send(client, &op).await {
            Ok(()) => {
                *talk = talk.after(&op);
                Ok(if let Op::Append { texts, .. } = &op { texts.len() as u64 } else { 0 })
            }
            Err(status) => {
                talk.doubt = is_cut(&status).then_some(op);
                Err(status)
            }
        }
    }

    async fn write_shared(&mut self, client: &mut Client, session: &str) -> Result<u64, Status> {
        let op = Op::Append { id: self.chance.request_id(), texts: self.texts(), from: 0 };
        self.shared_doubt = Some(op);
        self.send_shared(client, session).await
    }

    /// Sends what is in doubt to the shared session and notes the seqs that it has.
    async fn send_shared(&mut self, client: &mut Client, session: &str) -> Result<u64, Status> {
        let Some(Op::Append { id, texts, .. }) = self.shared_doubt.clone() else { return Ok(0) };
        let request = pb::AppendTurnsRequest {
            session_id: session.to_owned(),
            turns: texts.iter().zip(0..).map(|(text, number)| turn(number, text)).collect(),
            request_id: id,
            ..Default::default()
        };
        let answer = client.memory.append_turns(request).await?.into_inner();
        assert_eq!(answer.last_seq + 1 - answer.first_seq, texts.len() as u64);
        let turns = texts.len() as u64;
        self.shared.extend((answer.first_seq..).zip(texts));
        self.shared_doubt = None;
        Ok(turns)
    }

    /// What was acknowledged is in the next context.
    async fn read(&mut self, client: &mut Client) -> Result<(), Status> {
        let talk = &self.talks[self.chance.below(TALKS) as usize];
        let Some(last) = talk.living().pop() else { return Ok(()) };
        let request = pb::BuildContextRequest {
            session_id: talk.id.clone(),
            query: format!("{}?", last.text),
            budget_tokens: 600,
            ..Default::default()
        };
        let built = client.memory.build_context(request).await?.into_inner();
        assert!(built.used_tokens <= built.budget_tokens);
        let parts = built.messages.iter().flat_map(|message| &message.parts);
        let shows = |part: &pb::Part| match &part.kind {
            Some(pb::part::Kind::Text(part)) => part.text.contains(&last.text),
            _ => false,
        };
        assert!(parts.into_iter().any(shows), "the last turn of `{}` is not shown", talk.id);
        Ok(())
    }
}

/// Checks the shared session after a restart: what each writer said is there once, at the seqs that
/// were acknowledged, and nothing else. Forgets it for the next one.
pub async fn verify_shared(writers: &mut [Writer], client: &mut Client, session: &str) {
    for writer in writers.iter_mut() {
        writer.send_shared(client, session).await.expect("the append is made or known");
    }
    let found = list(client, session).await.unwrap_or_default();
    let found: Vec<_> = found.into_iter().map(|said| (said.seq, said.text)).collect();
    let mut expected: Vec<_> = writers.iter().flat_map(|writer| writer.shared.clone()).collect();
    for writer in writers.iter_mut() {
        assert!(writer.shared.is_sorted_by_key(|(seq, _)| *seq), "in the order of the answers");
        writer.shared.clear();
    }
    expected.sort();
    let differ = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(differ, None, "`{session}`: found, acknowledged");
    assert_eq!(found.len(), expected.len(), "`{session}`");
}
