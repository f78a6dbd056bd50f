//! What a client knows of a session that it alone writes to: what was acknowledged, and the one
//! call whose answer it never got.

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A turn as it must be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub seq: u64,
    pub text: String,
    pub superseded: bool,
}

/// A write, with the id that makes it one effect.
#[derive(Debug, Clone)]
pub enum Op {
    /// Appends texts; with a seq other than 0 in place of all turns from there on.
    Append { id: String, texts: Vec<String>, from: u64 },
    /// Erases turns.
    Erase { id: String, seqs: Vec<u64> },
    /// Deletes the session.
    Delete { id: String },
    /// Makes the session of the living turns of another one.
    Fork { id: String, source: String, living: Vec<Said> },
}

/// A session and its turns, as far as they were acknowledged.
#[derive(Debug, Clone)]
pub struct Talk {
    pub id: String,
    user: String,
    exists: bool,
    turns: Vec<Said>,
    last_seq: u64,
    /// The write that was sent last and never answered.
    pub doubt: Option<Op>,
}

/// Whether a call came to no answer; a refusal of the service has a reason.
pub fn is_cut(status: &Status) -> bool {
    status.get_error_details().error_info().is_none()
}

/// The stable reason of a refusal.
pub fn reason_of(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// A turn of one text.
pub fn turn(number: u64, text: &str) -> pb::NewTurn {
    let role = if number.is_multiple_of(2) { pb::Role::User } else { pb::Role::Assistant };
    let text = pb::TextPart { text: text.to_owned() };
    let part = pb::Part { kind: Some(pb::part::Kind::Text(text)) };
    pb::NewTurn { role: role.into(), parts: vec![part], ..Default::default() }
}

fn said(turn: pb::Turn) -> Said {
    let text = turn.parts.into_iter().find_map(|part| match part.kind {
        Some(pb::part::Kind::Text(text)) => Some(text.text),
        _ => None,
    });
    Said { seq: turn.seq, text: text.unwrap_or_default(), superseded: turn.superseded }
}

/// All turns of a session, superseded ones too; `None`: there is no such session.
pub async fn list(client: &mut Client, session: &str) -> Option<Vec<Said>> {
    let mut request = pb::ListTurnsRequest {
        session_id: session.to_owned(),
        page_size: 1_000,
        include_superseded: true,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = match client.memory.list_turns(request.clone()).await {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == Code::NotFound => return None,
            Err(status) => panic!("turns can be listed: {status}"),
        };
        all.extend(page.turns.into_iter().map(said));
        if page.next_page_token.is_empty() {
            return Some(all);
        }
        request.page_token = page.next_page_token;
    }
}

impl Talk {
    /// A session that is not there yet.
    pub fn new(id: &str, user: &str) -> Self {
        Self {
            id: id.to_owned(),
            user: user.to_owned(),
            exists: false,
            turns: Vec::new(),
            last_seq: 0,
            doubt: None,
        }
    }

    /// The turns that are neither erased nor superseded.
    pub fn living(&self) -> Vec<Said> {
        self.turns.iter().filter(|said| !said.superseded).cloned().collect()
    }

    pub fn exists(&self) -> bool {
        self.exists
    }

    /// What a list must give.
    pub fn listing(&self) -> Option<Vec<Said>> {
        self.exists.then(|| self.turns.clone())
    }

    /// The session after a write.
    #[must_use]
    pub fn after(&self, op: &Op) -> Self {
        let mut next = Self { doubt: None, ..self.clone() };
        match op {
            Op::Append { texts, from, .. } => {
                next.exists = true;
                let replaced = |said: &&mut Said| *from > 0 && said.seq >= *from;
                next.turns.iter_mut().filter(replaced).for_each(|said| said.superseded = true);
                for text in texts {
                    next.last_seq += 1;
                    let (seq, text) = (next.last_seq, text.clone());
                    next.turns.push(Said { seq, text, superseded: false });
                }
            }
            Op::Erase { seqs, .. } => next.turns.retain(|said| !seqs.contains(&said.seq)),
            Op::Delete { .. } => next = Self::new(&self.id, &self.user),
            Op::Fork { living, .. } => {
                next.exists = true;
                next.turns.clone_from(living);
                next.last_seq = living.last().map_or(0, |said| said.seq);
            }
        }
        next
    }

    /// Sends a write; what is answered must be what the write does to the session as it is known.
    pub async fn send(&self, client: &mut Client, op: &Op) -> Result<(), Status> {
        let session_id = self.id.clone();
        let after = self.after(op);
        match op.clone() {
            Op::Append { id, texts, from } => {
                let numbered = texts.iter().zip(self.last_seq..);
                let request = pb::AppendTurnsRequest {
                    session_id,
                    user_id: self.user.clone(),
                    turns: numbered.map(|(text, number)| turn(number, text)).collect(),
                    request_id: id,
                    replace_from_seq: from,
                    ..Default::default()
                };
                let answer = client.memory.append_turns(request).await?.into_inner();
                let seqs = (answer.first_seq, answer.last_seq);
                assert_eq!(seqs, (self.last_seq + 1, after.last_seq), "{}", self.id);
            }
            Op::Erase { id, seqs } => {
                let request = pb::DeleteTurnsRequest {
                    session_id,
                    seqs: seqs.clone(),
                    request_id: id,
                    ..Default::default()
                };
                let answer = client.memory.delete_turns(request).await?.into_inner();
                assert_eq!(answer.seqs_erased, seqs, "{}", self.id);
            }
            Op::Delete { id } => {
                let request = pb::DeleteSessionRequest { session_id, request_id: id };
                let answer = client.memory.delete_session(request).await?.into_inner();
                assert_eq!(answer.turns_erased, self.turns.len() as u64, "{}", self.id);
            }
            Op::Fork { id, source, living } => {
                let request = pb::ForkSessionRequest {
                    session_id: source,
                    at_seq: 0,
                    new_session_id: session_id,
                    request_id: id,
                };
                let answer = client.memory.fork_session(request).await?.into_inner();
                assert_eq!(answer.turns_copied, living.len() as u64, "{}", self.id);
            }
        }
        Ok(())
    }

    /// Holds what is found against what was acknowledged, after a restart. The write in doubt was
    /// made whole or not at all; sent again it is one effect. Gives whether it had been made.
    pub async fn verify(&mut self, client: &mut Client) -> bool {
        let found = list(client, &self.id).await;
        let Some(op) = self.doubt.take() else {
            assert_same(&self.id, &found, &self.listing());
            return false;
        };
        let after = self.after(&op);
        let kept = found == after.listing();
        if !kept {
            assert_same(&self.id, &found, &self.listing());
        }
        let again = self.send(client, &op).await;
        again.unwrap_or_else(|status| panic!("{}: {op:?} again: {status}", self.id));
        assert_same(&self.id, &list(client, &self.id).await, &after.listing());
        *self = after;
        kept
    }
}

/// Says where two lists differ first.
#[track_caller]
fn assert_same(session: &str, found: &Option<Vec<Said>>, expected: &Option<Vec<Said>>) {
    let (Some(found), Some(expected)) = (found, expected) else {
        assert_eq!(found.is_some(), expected.is_some(), "whether `{session}` is there");
        return;
    };
    let differ = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert_eq!(differ, None, "`{session}`: found, acknowledged");
    let last = |turns: &[Said]| turns.last().cloned();
    assert_eq!(found.len(), expected.len(), "`{session}`: {:?} {:?}", last(found), last(expected));
}
