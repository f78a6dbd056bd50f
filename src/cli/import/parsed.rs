//! What a file holds once it is read: sessions to append, and every mistake.

use std::collections::BTreeMap;

use crate::proto::v1;

/// A session of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportSession {
    /// Its id here.
    pub session_id: String,
    /// The user it belongs to; empty: none.
    pub user_id: String,
    /// Instructions to pin on it; empty: none.
    pub pinned_instructions: String,
    /// Its labels.
    pub metadata: BTreeMap<String, String>,
    /// Its turns, in order.
    pub turns: Vec<v1::NewTurn>,
}

/// Something in a file that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; 0: the place is in the message.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// Its form in words.
    pub form: &'static str,
    /// Its sessions, in the order in which they begin.
    pub sessions: Vec<ImportSession>,
    /// Its mistakes, in order.
    pub mistakes: Vec<Mistake>,
    /// Ids of sessions that a mistake belongs to: they are held back, so that the missing turns can
    /// still come at their place.
    pub damaged: Vec<String>,
    /// Turns without content, hidden ones and other things that are no turn of a conversation.
    pub skipped: usize,
}

impl Parsed {
    /// Notes a mistake of a whole file or of a place that the message names.
    pub fn mistake(&mut self, line: usize, message: impl Into<String>) {
        self.mistakes.push(Mistake { line, message: message.into() });
    }

    /// Notes that a session is not whole.
    pub fn damage(&mut self, session_id: &str) {
        if !self.damaged.iter().any(|id| id == session_id) {
            self.damaged.push(session_id.to_owned());
        }
    }
}
