//! What clients ask for, as plain data: the model works on it, and requests are made of it.

use std::collections::BTreeSet;

use keepsake::record::{SessionKind, Verb as RecordVerb};
use keepsake::sessions::{Append, Create, DeleteTurns, NewTurn, Update};
use keepsake::types::{
    Part, RequestId, Role, Seq, SessionId, Status, TenantId, Timestamp, UserId, Version,
};

/// A tenant by its number, and a session of it.
pub type Name = (u8, String);

pub fn tenant(number: u8) -> TenantId {
    TenantId::parse(&format!("t{number}")).unwrap()
}

pub fn session(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A word that one turn of one tenant alone says, in every run the same length.
pub fn word(tenant: u8, number: u64) -> String {
    format!("t{tenant}w{number:04}q")
}

/// Every such word in a text, as its tenant and number.
pub fn words(text: &[u8]) -> BTreeSet<(u8, u64)> {
    let word = |at: usize| {
        let part = text.get(at..at + 8)?;
        let digits = part[3..7].iter().all(u8::is_ascii_digit);
        let fits =
            part[0] == b't' && part[1].is_ascii_digit() && part[2] == b'w' && part[7] == b'q';
        (fits && digits).then(|| {
            let number = part[3..7].iter().fold(0, |n, digit| 10 * n + u64::from(digit - b'0'));
            (part[1] - b'0', number)
        })
    };
    (0..text.len()).filter_map(word).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Assistant,
    Call,
    Result,
}

/// A turn to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub kind: Kind,
    pub word: u64,
    pub external: Option<u8>,
}

/// What a call changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Append { user: Option<String>, said: Vec<Said>, expected: Option<u64>, replace: Option<u64> },
    Create { user: Option<String>, pinned: u64, ttl_ms: Option<u64> },
    Update { pinned: Option<u64>, ttl_ms: Option<Option<u64>> },
    Erase { seqs: BTreeSet<u64>, expected: Option<u64> },
    Delete,
    Fork { from: String, at: Option<u64> },
}

/// A call that changes a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: Name,
    pub change: Change,
    pub request: Option<u128>,
}

const PLACES: [&str; 5] = ["Lisbon", "Oslo", "Kyoto", "Quito", "Perth"];

/// A question that turns of every session answer.
pub fn question(number: u64) -> String {
    format!("Which workshop did I buy in {}?", PLACES[(number % 5) as usize])
}

fn sentence(tenant: u8, number: u64) -> String {
    let place = PLACES[(number % 5) as usize];
    format!("I bought a workshop, {}, in {place}.", word(tenant, number))
}

impl Said {
    fn turn(&self, tenant: u8) -> NewTurn {
        let text = Part::Text(sentence(tenant, self.word));
        let (role, parts) = match self.kind {
            Kind::User => (Role::User, vec![text]),
            Kind::Assistant => (Role::Assistant, vec![text]),
            Kind::Call => {
                let call =
                    Part::ToolCall { id: "c".into(), name: "look".into(), arguments: "{}".into() };
                (Role::Assistant, vec![text, call])
            }
            Kind::Result => {
                let parts = vec![text];
                (Role::Tool, vec![Part::ToolResult { call_id: "c".into(), parts, is_error: false }])
            }
        };
        NewTurn {
            role,
            name: String::new(),
            parts,
            created_at: None,
            external_id: self.external.map(|id| format!("x{id}")).unwrap_or_default(),
            metadata: Default::default(),
            status: Status::Complete,
        }
    }
}

/// What is pinned on a session; it holds a word as turns do.
pub fn pinned(tenant: u8, number: u64) -> String {
    format!("Be brief, {}.", word(tenant, number))
}

impl Call {
    pub fn request_id(&self) -> Option<RequestId> {
        self.request.map(|id| RequestId(uuid::Uuid::from_u128(id)))
    }

    pub fn verb(&self) -> RecordVerb {
        match &self.change {
            Change::Append { .. } => RecordVerb::AppendTurns,
            Change::Create { .. } => RecordVerb::CreateSession,
            Change::Update { .. } => RecordVerb::UpdateSession,
            Change::Erase { .. } => RecordVerb::DeleteTurns,
            Change::Delete => RecordVerb::DeleteSession,
            Change::Fork { .. } => RecordVerb::ForkSession,
        }
    }

    pub fn append(&self) -> Option<Append> {
        let Change::Append { user: of, said, expected, replace } = &self.change else {
            return None;
        };
        Some(Append {
            session: session(&self.name.1),
            user: of.as_deref().map(user),
            turns: said.iter().map(|said| said.turn(self.name.0)).collect(),
            expected_version: expected.map(Version),
            replace_from: replace.map(Seq),
        })
    }

    pub fn create(&self) -> Option<Create> {
        let Change::Create { user: of, pinned: number, ttl_ms } = &self.change else { return None };
        Some(Create {
            session: session(&self.name.1),
            user: of.as_deref().map(user),
            pinned_instructions: pinned(self.name.0, *number),
            metadata: Default::default(),
            ttl_ms: *ttl_ms,
            kind: SessionKind::Seen,
        })
    }

    pub fn update(&self) -> Option<Update> {
        let Change::Update { pinned: number, ttl_ms } = &self.change else { return None };
        Some(Update {
            session: session(&self.name.1),
            pinned_instructions: number.map(|number| pinned(self.name.0, number)),
            metadata: None,
            ttl_ms: *ttl_ms,
            kind: None,
        })
    }

    pub fn erase(&self) -> Option<DeleteTurns> {
        let Change::Erase { seqs, expected } = &self.change else { return None };
        Some(DeleteTurns {
            session: session(&self.name.1),
            seqs: seqs.iter().copied().map(Seq).collect(),
            expected_version: expected.map(Version),
        })
    }
}

/// An answer without its times, which the model does not know.
pub fn timeless(answer: &keepsake::record::Answer) -> keepsake::record::Answer {
    use keepsake::record::Answer;
    let mut answer = answer.clone();
    match &mut answer {
        Answer::SessionCreated { at }
        | Answer::SessionUpdated { at, .. }
        | Answer::SessionDeleted { at, .. }
        | Answer::SessionForked { at, .. }
        | Answer::TurnsErased { at, .. }
        | Answer::DocumentDeleted { at, .. }
        | Answer::CollectionDeleted { at } => *at = Timestamp(0),
        Answer::Appended { .. }
        | Answer::TenantAt { .. }
        | Answer::KeyAt { .. }
        | Answer::Ingested(_) => {}
    }
    answer
}
