//! Small conversions between what people type and the messages of the contract.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use prost_reflect::DynamicMessage;
use serde_json::Value;

use crate::proto::{POOL, v1};

/// Reads a moment: RFC 3339; without an offset, or a date alone, it is UTC.
///
/// # Errors
/// A sentence for people when `text` is none of these.
pub fn parse_time(text: &str) -> Result<prost_types::Timestamp, String> {
    let utc = |moment: DateTime| TimeZone::UTC.to_timestamp(moment);
    let parsed = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(utc))
        .or_else(|_| text.parse::<Date>().and_then(|date| utc(date.at(0, 0, 0, 0))));
    let moment = parsed.map_err(|_| {
        format!("`{text}` is no moment in time: write 2024-05-08T13:56:00Z or 2024-05-08")
    })?;
    Ok(of_moment(moment))
}

/// A moment as the contract holds it.
pub fn of_moment(moment: Timestamp) -> prost_types::Timestamp {
    let nanos = moment.as_nanosecond();
    prost_types::Timestamp {
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// Seconds since 1970 (with a fraction), as exports write them. `None` when out of range.
pub fn of_unix_seconds(seconds: f64) -> Option<prost_types::Timestamp> {
    let nanos = (seconds * 1e9).round();
    if !nanos.is_finite() || nanos.abs() > 9.2e18 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    Timestamp::from_nanosecond(nanos as i128).ok().map(of_moment)
}

/// A moment of the contract as RFC 3339 in UTC, to the second; `-` when it is not set.
pub fn show_time(time: Option<&prost_types::Timestamp>) -> String {
    time.and_then(|time| Timestamp::from_second(time.seconds).ok())
        .map_or_else(|| "-".to_owned(), |moment| moment.to_string())
}

/// Reads a length of time such as `90s`, `15m`, `12h`, `30d`.
///
/// # Errors
/// A sentence for people when `text` is not of that form.
pub fn parse_duration(text: &str) -> Result<prost_types::Duration, String> {
    let wrong = || format!("`{text}` is no length of time: write 90s, 15m, 12h or 30d");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit_seconds).ok_or_else(wrong)?;
    Ok(prost_types::Duration { seconds, nanos: 0 })
}

/// Reads a message of the contract from its protobuf JSON.
///
/// # Errors
/// The reader's sentence when `value` is not of the named message.
///
/// # Panics
/// When `name` is no message of the contract or `M` is another one.
pub fn from_json<M: prost::Message + Default>(name: &str, value: Value) -> Result<M, String> {
    let descriptor = POOL.get_message_by_name(name).expect("the name is one of the contract");
    let message = DynamicMessage::deserialize(descriptor, value).map_err(|e| e.to_string())?;
    Ok(message.transcode_to().expect("the type is the one of the name"))
}

/// Splits `key=value`.
///
/// # Errors
/// A sentence for people when there is no `=` or no key.
pub fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no label: write key=value")),
    }
}

/// A part that is text.
pub fn text_part(text: impl Into<String>) -> v1::Part {
    v1::Part { kind: Some(v1::part::Kind::Text(v1::TextPart { text: text.into() })) }
}

/// All that a person may read of parts, in order: texts, captions, calls with their arguments and
/// results; joined by line breaks.
pub fn readable(parts: &[v1::Part]) -> String {
    use v1::part::Kind;
    let mut lines = Vec::new();
    for part in parts {
        match &part.kind {
            Some(Kind::Text(text)) => lines.push(text.text.clone()),
            Some(Kind::ToolCall(call)) => {
                lines.push(format!("[calls {}({})]", call.name, call.arguments_json));
            }
            Some(Kind::ToolResult(result)) => {
                let word = if result.is_error { "fails" } else { "answers" };
                lines.push(format!("[{word}] {}", readable(&result.parts)));
            }
            Some(Kind::Media(media)) => lines.push(format!("[media: {}]", media.caption)),
            Some(Kind::Opaque(opaque)) => lines.push(format!("[{} JSON]", opaque.provider)),
            None => {}
        }
    }
    lines.join("\n")
}

/// All text that a model reads of parts: texts, captions and texts of results, as they are; joined
/// by line breaks.
pub fn sent_text(parts: &[v1::Part]) -> String {
    use v1::part::Kind;
    let mut lines = Vec::new();
    for part in parts {
        match &part.kind {
            Some(Kind::Text(text)) => lines.push(text.text.clone()),
            Some(Kind::Media(media)) => lines.push(media.caption.clone()),
            Some(Kind::ToolResult(result)) => lines.push(sent_text(&result.parts)),
            Some(Kind::ToolCall(call)) => lines.push(call.arguments_json.clone()),
            Some(Kind::Opaque(_)) | None => {}
        }
    }
    lines.join("\n")
}
