//! Chat Completions message arrays: one, several, or one a line.

use serde_json::Value;

use crate::cli::{
    import::messages::{self, Message},
    import::parsed::{ImportSession, Parsed},
    import::{ids, position_id},
};

/// Reads conversations, each an array of messages or an object with `messages`. A single one is the
/// session named like the file (`stem`), of several the n-th is `stem-000n`; an `id` names it
/// instead.
/// `lines` are the lines at which they stand, from 1; 0: not known.
pub fn parse(conversations: &[(usize, Value)], stem: &str) -> Parsed {
    let mut parsed = Parsed { form: "Chat Completions messages", ..Parsed::default() };
    for (index, (line, conversation)) in conversations.iter().enumerate() {
        let given = ["id", "session", "conversation_id"].iter().find_map(|key| {
            conversation.get(*key).and_then(Value::as_str).filter(|id| !id.is_empty())
        });
        let name = match given {
            Some(id) => id.to_owned(),
            None if conversations.len() == 1 => stem.to_owned(),
            None => format!("{stem}-{:04}", index + 1),
        };
        let user = conversation.get("user").and_then(Value::as_str).unwrap_or_default();
        let mut session = ImportSession {
            session_id: ids::session_id("", &name),
            user_id: if user.is_empty() { String::new() } else { ids::user_id(user) },
            metadata: [("session".to_owned(), name)].into(),
            ..Default::default()
        };
        let messages = conversation.get("messages").unwrap_or(conversation);
        match messages.as_array() {
            Some(messages) => read_all(messages, *line, &mut session, &mut parsed),
            None => {
                parsed.mistake(*line, "`messages` is no list");
                parsed.damage(&session.session_id);
            }
        }
        if session.turns.is_empty() && session.pinned_instructions.is_empty() {
            parsed.skipped += 1;
        } else {
            parsed.sessions.push(session);
        }
    }
    parsed
}

fn read_all(messages: &[Value], line: usize, session: &mut ImportSession, parsed: &mut Parsed) {
    let mut instructions = Vec::new();
    for (index, value) in messages.iter().enumerate() {
        match messages::read(value) {
            Ok(Message::Turn(mut turn)) => {
                turn.external_id = position_id(index + 1);
                session.turns.push(*turn);
            }
            Ok(Message::Instructions(text)) => instructions.push(text),
            Ok(Message::Empty) => parsed.skipped += 1,
            Err(message) => {
                parsed.mistake(
                    line,
                    format!("{}, message {}: {message}", session.session_id, index + 1),
                );
                parsed.damage(&session.session_id);
            }
        }
    }
    session.pinned_instructions = instructions.join("\n\n");
}
