//! JSON Lines of turns: one object a line, with the ids of its conversation, session and turn.

use std::collections::HashMap;

use serde_json::Value;

use crate::cli::{
    import::ids,
    import::messages::{self, Message},
    import::parsed::{ImportSession, Parsed},
    import::{LABEL_BYTES_MAX, json_reason, position_id},
};
use crate::proto::v1;

/// Sessions under construction, in the order in which they begin.
struct Building<'a> {
    parsed: Parsed,
    stem: &'a str,
    /// By session id: the index into the sessions, and the turn ids seen there with their text.
    known: HashMap<String, Known>,
    /// The session of the line before; a line that cannot be read may belong to it.
    last: Option<String>,
    /// Whether the line before could not be read; it may belong to the session of the next one.
    torn: bool,
}

#[derive(Default)]
struct Known {
    index: usize,
    messages: usize,
    turns: HashMap<String, u64>,
}

/// Reads JSON Lines of turns. A line without ids belongs to the session named like the file
/// (`stem`) and is named by its place.
pub fn parse(text: &str, stem: &str) -> Parsed {
    let parsed = Parsed { form: "JSON Lines of turns", ..Parsed::default() };
    let mut building = Building { parsed, stem, known: HashMap::new(), last: None, torn: false };
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => building.line(index + 1, &value),
            Err(error) => building.unreadable(index + 1, json_reason(&error)),
        }
    }
    building
        .parsed
        .sessions
        .retain(|session| !session.turns.is_empty() || !session.pinned_instructions.is_empty());
    building.parsed
}

/// An id as text: ids are strings, or numbers in some exports. Empty: none.
fn id_of(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

impl Building<'_> {
    fn unreadable(&mut self, line: usize, why: String) {
        self.parsed.mistake(line, why);
        if let Some(last) = self.last.clone() {
            self.parsed.damage(&last);
        }
        self.torn = true;
    }

    fn line(&mut self, line: usize, value: &Value) {
        let conversation = id_of(value, "conversation");
        let given = id_of(value, "session");
        let session = if given.is_empty() { self.stem.to_owned() } else { given };
        let id = ids::session_id(&conversation, &session);
        if std::mem::take(&mut self.torn) {
            self.parsed.damage(&id);
        }
        self.last = Some(id.clone());
        let index = self.open(&id, &conversation, &session);
        match messages::read(value) {
            Err(message) => {
                self.parsed.mistake(line, message);
                self.parsed.damage(&id);
            }
            Ok(Message::Empty) => self.parsed.skipped += 1,
            Ok(Message::Instructions(text)) => {
                let pinned = &mut self.parsed.sessions[index].pinned_instructions;
                if !pinned.is_empty() {
                    pinned.push_str("\n\n");
                }
                pinned.push_str(&text);
            }
            Ok(Message::Turn(turn)) => self.turn(line, value, &id, *turn),
        }
    }

    /// The index of a session, which is added when it is new.
    fn open(&mut self, id: &str, conversation: &str, session: &str) -> usize {
        if let Some(known) = self.known.get(id) {
            return known.index;
        }
        let index = self.parsed.sessions.len();
        self.known.insert(id.to_owned(), Known { index, ..Known::default() });
        let mut new = ImportSession { session_id: id.to_owned(), ..Default::default() };
        if !conversation.is_empty() {
            new.user_id = ids::user_id(conversation);
            label(&mut new.metadata, "conversation", conversation);
        }
        label(&mut new.metadata, "session", session);
        self.parsed.sessions.push(new);
        index
    }

    fn turn(&mut self, line: usize, value: &Value, id: &str, mut turn: v1::NewTurn) {
        let known = self.known.get_mut(id).expect("the session was opened for this line");
        known.messages += 1;
        let original = id_of(value, "turn");
        let place = position_id(known.messages);
        let name = if original.is_empty() { place } else { original.clone() };
        turn.external_id = ids::external_id(&name);
        // The hash need not hold against anyone: it tells a repeated line from another one.
        let content = blake3::hash(value.to_string().as_bytes());
        let content = u64::from_le_bytes(content.as_bytes()[..8].try_into().expect("8 of 32"));
        match known.turns.insert(name.clone(), content) {
            Some(before) if before == content => {
                self.parsed.skipped += 1;
                return;
            }
            Some(_) => {
                self.parsed.mistake(line, format!("the turn `{name}` is there twice, different"));
                self.parsed.damage(id);
                return;
            }
            None => {}
        }
        for key in ["conversation", "session", "turn"] {
            label(&mut turn.metadata, key, &id_of(value, key));
        }
        self.parsed.sessions[known.index].turns.push(turn);
    }
}

/// Adds a label unless it is empty or longer than a label may be.
fn label(metadata: &mut std::collections::BTreeMap<String, String>, key: &str, value: &str) {
    if !value.is_empty() && value.len() <= LABEL_BYTES_MAX {
        metadata.insert(key.to_owned(), value.to_owned());
    }
}
