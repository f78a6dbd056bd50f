//! Turns from the wire.

use crate::api::parse::{Faults, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::proto::v1 as pb;
use crate::sessions::NewTurn;
use crate::types::{Media, Part, Role, Status};

/// The most turns of an append.
pub const TURNS_MAX: usize = 1_000;
/// The most parts of a turn or of a tool result.
pub const PARTS_MAX: usize = 256;
/// The most bytes of a turn, all its parts together: a row of the store stays small.
pub const TURN_BYTES_MAX: usize = 4 << 20;
pub const ID_BYTES: usize = 256;
pub const URI_BYTES: usize = 4 << 10;
pub const CAPTION_BYTES: usize = 64 << 10;

/// All turns of an append.
pub fn turns(faults: &mut Faults, turns: Vec<pb::NewTurn>) -> Vec<NewTurn> {
    if turns.is_empty() || turns.len() > TURNS_MAX {
        faults.add("turns", format!("must hold 1 to {TURNS_MAX} turns, holds {}", turns.len()));
        return Vec::new();
    }
    let named = turns.into_iter().enumerate();
    named.filter_map(|(i, turn)| new_turn(faults, &format!("turns[{i}]"), turn)).collect()
}

fn new_turn(faults: &mut Faults, at: &str, turn: pb::NewTurn) -> Option<NewTurn> {
    let role = role(faults, &format!("{at}.role"), turn.role);
    faults.text(&format!("{at}.name"), &turn.name, NAME_BYTES_MAX);
    if turn.name.chars().any(char::is_control) {
        faults.add(format!("{at}.name"), "must not hold control characters");
    }
    faults.text(&format!("{at}.external_id"), &turn.external_id, ID_BYTES);
    let metadata = faults.metadata(&format!("{at}.metadata"), &turn.metadata);
    let created_at = faults.time(&format!("{at}.created_at"), turn.created_at.as_ref());
    let status = match faults.wire_enum(&format!("{at}.status"), turn.status) {
        Some(pb::TurnStatus::Interrupted) => Status::Interrupted,
        Some(pb::TurnStatus::Unspecified | pb::TurnStatus::Complete) | None => Status::Complete,
    };
    let parts = parts(faults, at, role, turn.parts);
    if parts.iter().map(Part::bytes).sum::<usize>() > TURN_BYTES_MAX {
        faults.add(format!("{at}.parts"), format!("must hold at most {TURN_BYTES_MAX} bytes"));
    }
    Some(NewTurn {
        role: role?,
        name: turn.name,
        parts,
        created_at,
        external_id: turn.external_id,
        metadata,
        status,
    })
}

/// A role of a turn or of a filter.
pub fn role(faults: &mut Faults, field: &str, role: i32) -> Option<Role> {
    match faults.wire_enum(field, role)? {
        pb::Role::User => Some(Role::User),
        pb::Role::Assistant => Some(Role::Assistant),
        pb::Role::Tool => Some(Role::Tool),
        pb::Role::System => {
            faults.add_system_turn(field);
            None
        }
        pb::Role::Unspecified => {
            faults.add(field, "must be given");
            None
        }
    }
}

fn parts(faults: &mut Faults, at: &str, role: Option<Role>, parts: Vec<pb::Part>) -> Vec<Part> {
    if parts.is_empty() || parts.len() > PARTS_MAX {
        faults.add(format!("{at}.parts"), format!("must hold 1 to {PARTS_MAX} parts"));
        return Vec::new();
    }
    let given = parts.len();
    let parsed: Vec<_> = parts
        .into_iter()
        .enumerate()
        .filter_map(|(i, part)| one_part(faults, &format!("{at}.parts[{i}]"), part))
        .collect();
    // What is missing because it was faulty is named already.
    let whole = parsed.len() == given;
    if whole && !parsed.iter().any(has_content) {
        faults.add(format!("{at}.parts"), "must hold something other than white space");
    }
    for (i, part) in parsed.iter().enumerate() {
        let wanted = match part {
            Part::ToolCall { .. } => Role::Assistant,
            Part::ToolResult { .. } => Role::Tool,
            Part::Text(_) | Part::Media(_) | Part::Opaque { .. } => continue,
        };
        if role.is_some_and(|role| role != wanted) {
            let field = format!("{at}.parts[{i}]");
            faults.add(field, format!("may only stand in a turn of the role {wanted:?}"));
        }
    }
    let answers = |part: &Part| matches!(part, Part::ToolResult { .. });
    if whole && role == Some(Role::Tool) && !parsed.iter().any(answers) {
        faults.add(format!("{at}.parts"), "of the role Tool must hold a tool result");
    }
    parsed
}

fn one_part(faults: &mut Faults, at: &str, part: pb::Part) -> Option<Part> {
    let Some(kind) = part.kind else {
        faults.add(at, "must be one of text, tool_call, tool_result, media, opaque");
        return None;
    };
    Some(match kind {
        pb::part::Kind::Text(text) => {
            faults.text(&format!("{at}.text.text"), &text.text, TEXT_BYTES_MAX);
            Part::Text(text.text)
        }
        pb::part::Kind::ToolCall(call) => tool_call(faults, &format!("{at}.tool_call"), call),
        pb::part::Kind::ToolResult(result) => {
            tool_result(faults, &format!("{at}.tool_result"), result)?
        }
        pb::part::Kind::Media(media) => media_part(faults, &format!("{at}.media"), media)?,
        pb::part::Kind::Opaque(opaque) => opaque_part(faults, &format!("{at}.opaque"), opaque),
    })
}

fn tool_call(faults: &mut Faults, at: &str, call: pb::ToolCallPart) -> Part {
    faults.required_text(&format!("{at}.id"), &call.id, ID_BYTES);
    faults.required_text(&format!("{at}.name"), &call.name, NAME_BYTES_MAX);
    faults.text(&format!("{at}.arguments_json"), &call.arguments_json, TEXT_BYTES_MAX);
    let given = call.arguments_json;
    let arguments = if given.is_empty() { "{}".to_owned() } else { given };
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&arguments);
    if object.is_err() {
        faults.add(format!("{at}.arguments_json"), "must be one JSON object");
    }
    Part::ToolCall { id: call.id, name: call.name, arguments }
}

fn tool_result(faults: &mut Faults, at: &str, result: pb::ToolResultPart) -> Option<Part> {
    faults.required_text(&format!("{at}.call_id"), &result.call_id, ID_BYTES);
    if result.parts.len() > PARTS_MAX {
        faults.add(format!("{at}.parts"), format!("must hold at most {PARTS_MAX} parts"));
        return None;
    }
    let mut parts = Vec::new();
    for (i, part) in result.parts.into_iter().enumerate() {
        let field = format!("{at}.parts[{i}]");
        match part.kind {
            Some(pb::part::Kind::Text(_) | pb::part::Kind::Media(_)) => {
                parts.extend(one_part(faults, &field, part));
            }
            _ => faults.add(field, "must be text or media"),
        }
    }
    Some(Part::ToolResult { call_id: result.call_id, parts, is_error: result.is_error })
}

fn media_part(faults: &mut Faults, at: &str, media: pb::MediaPart) -> Option<Part> {
    faults.text(&format!("{at}.media_type"), &media.media_type, NAME_BYTES_MAX);
    faults.text(&format!("{at}.caption"), &media.caption, CAPTION_BYTES);
    let (uri, file_id) = match media.source {
        Some(pb::media_part::Source::Uri(uri)) if !uri.is_empty() => {
            faults.text(&format!("{at}.uri"), &uri, URI_BYTES);
            (uri, String::new())
        }
        Some(pb::media_part::Source::FileId(id)) if !id.is_empty() => {
            faults.text(&format!("{at}.file_id"), &id, ID_BYTES);
            (String::new(), id)
        }
        Some(_) | None => {
            faults.add(at, "must have a uri or a file_id");
            return None;
        }
    };
    if media.tokens > 1_000_000 {
        faults.add(format!("{at}.tokens"), "must be at most 1,000,000");
    }
    let (media_type, caption, tokens) = (media.media_type, media.caption, media.tokens);
    Some(Part::Media(Media { uri, file_id, media_type, caption, tokens }))
}

fn opaque_part(faults: &mut Faults, at: &str, opaque: pb::OpaquePart) -> Part {
    faults.required_text(&format!("{at}.provider"), &opaque.provider, LABEL_BYTES);
    faults.text(&format!("{at}.json"), &opaque.json, TEXT_BYTES_MAX);
    // As a value: what is nested deeper than it may be breaks the parsers of backends too.
    if serde_json::from_str::<serde_json::Value>(&opaque.json).is_err() {
        faults.add(format!("{at}.json"), "must be one JSON value, nested at most 127 deep");
    }
    Part::Opaque { provider: opaque.provider, json: opaque.json }
}

const LABEL_BYTES: usize = 64;

fn has_content(part: &Part) -> bool {
    match part {
        Part::Text(text) => !text.trim().is_empty(),
        Part::ToolCall { .. } | Part::ToolResult { .. } | Part::Media(_) | Part::Opaque { .. } => {
            true
        }
    }
}
