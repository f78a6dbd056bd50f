//! Tells the form of a file from its content and reads it.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::cli::{
    Error,
    import::parsed::Parsed,
    import::{chatgpt, chats, json_reason, lines},
};

/// The largest file, unpacked: it is held in memory as a whole.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Reads a file and all that it holds. Mistakes in its content are in the answer.
///
/// # Errors
/// [`Error::File`] when it cannot be read, is no UTF-8 or too large.
pub fn read(path: &Path) -> Result<Parsed, Error> {
    let text = read_unpacked(path)?;
    Ok(parse(&text, &stem(path)))
}

/// The text of a file, unpacked when it is gzip.
///
/// # Errors
/// As [`read`].
pub fn read_unpacked(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File { verb: "read", path: path.display().to_string(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    let mut text = String::new();
    let limit = FILE_BYTES_MAX + 1;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = MultiGzDecoder::new(bytes.as_slice()).take(limit);
        unpacked.read_to_string(&mut text).map_err(failed)?;
    } else {
        bytes.as_slice().take(limit).read_to_string(&mut text).map_err(failed)?;
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        let path = path.display();
        return Err(Error::Usage(format!("`{path}` holds more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The name of a file up to its first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.trim_start_matches('.').split('.').next().unwrap_or_default();
    if stem.is_empty() { "import".to_owned() } else { stem.to_owned() }
}

/// Reads a text whose form is seen from its beginning. `stem` names what has no id.
pub fn parse(text: &str, stem: &str) -> Parsed {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        let mut parsed = Parsed { form: "an empty file", ..Parsed::default() };
        parsed.mistake(0, "there is nothing in it");
        return parsed;
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => parse_whole(value, text, stem),
        Err(error) => {
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let broken_array = text.trim_start().starts_with('[') && !is_json(first);
            let broken_object = first.trim() == "{";
            if broken_array || broken_object {
                let mut parsed = Parsed { form: "JSON", ..Parsed::default() };
                parsed.mistake(error.line(), format!("no JSON: {error}"));
                return parsed;
            }
            parse_lines(text, stem)
        }
    }
}

fn is_json(line: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}

/// The whole file is one JSON value.
fn parse_whole(value: Value, text: &str, stem: &str) -> Parsed {
    let is_chat = |value: &Value| value.get("messages").is_some() || value.is_array();
    match value {
        Value::Array(entries) => {
            let first = entries.first().unwrap_or(&Value::Null);
            if first.get("mapping").is_some() {
                chatgpt::parse(&entries)
            } else if is_chat(first) {
                let numbered: Vec<_> = entries.into_iter().map(|entry| (0, entry)).collect();
                chats::parse(&numbered, stem)
            } else {
                chats::parse(&[(0, Value::Array(entries))], stem)
            }
        }
        Value::Object(_) if value.get("mapping").is_some() => chatgpt::parse(&[value]),
        Value::Object(_) if is_chat(&value) => chats::parse(&[(0, value)], stem),
        _ => lines::parse(text, stem),
    }
}

/// Each line is a JSON value: conversations when the first one is, else turns.
fn parse_lines(text: &str, stem: &str) -> Parsed {
    let first = text.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    if !first.is_some_and(|value| value.is_array() || value.get("messages").is_some()) {
        return lines::parse(text, stem);
    }
    let mut conversations = Vec::new();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => conversations.push((index + 1, value)),
            Err(error) => mistakes.push((index + 1, json_reason(&error))),
        }
    }
    let mut parsed = chats::parse(&conversations, stem);
    for (line, message) in mistakes {
        parsed.mistake(line, message);
    }
    parsed
}
