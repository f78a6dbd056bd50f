//! Texts that are made of rows: JSON Lines and CSV.

use serde::de::IgnoredAny;

use super::{ExtractError, Heading};
use crate::types::MediaType;

/// A byte order mark is no part of the first row.
const MARK: &str = "\u{feff}";

/// What stands between the fields of a row.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// A first row with more bytes than this is not told with each chunk.
const NAMES_BYTES_MAX: usize = 160;

/// Where each line with a value begins.
///
/// # Errors
/// [`ExtractError::Malformed`] with the number of the first line that is no JSON.
pub(super) fn json_lines(text: &str) -> Result<Vec<usize>, ExtractError> {
    let mut rows = Vec::new();
    let mut at = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let value = if at == 0 { line.trim_start_matches(MARK) } else { line };
        if !value.trim_ascii().is_empty() {
            let parsed = serde_json::from_str::<IgnoredAny>(value.trim_ascii_end());
            parsed.map_err(|error| malformed(number, &error))?;
            rows.push(at);
        }
        at += line.len();
    }
    Ok(rows)
}

fn malformed(line: usize, error: &serde_json::Error) -> ExtractError {
    use serde_json::error::Category;
    // What the parser says may hold content.
    let what = match error.classify() {
        Category::Eof => "ends within a value",
        _ => "is no JSON",
    };
    let why = format!("line {line} {what}, column {}", error.column());
    ExtractError::Malformed { media: MediaType::JsonLines, why }
}

/// Where each record begins, and its names as a heading of all but the first row, if it has any.
pub(super) fn csv(text: &str) -> (Vec<usize>, Vec<Heading>) {
    let first_line = text.lines().next().unwrap_or_default();
    let often = |delimiter: &u8| first_line.bytes().filter(|byte| byte == delimiter).count();
    // The last of those that are there as often, so the list is turned round: a comma wins.
    let delimiter = DELIMITERS.into_iter().rev().max_by_key(often).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut record = csv::ByteRecord::new();
    let (mut rows, mut names) = (Vec::new(), None);
    loop {
        let at = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        // It reads bytes in memory and takes rows of any length: nothing can fail.
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            break;
        }
        // Line breaks before a record are read with it.
        let rest = text.get(at..).unwrap_or_default();
        rows.push(at + rest.len() - rest.trim_start_matches(['\r', '\n']).len());
        if rows.len() == 1 {
            names = names_of(&record);
        }
    }
    if let Some(first) = rows.first_mut() {
        *first = 0;
    }
    let second = rows.get(1).copied();
    let heading = second.zip(names).and_then(|(at, names)| Heading::new(at, 1, &names));
    (rows, heading.into_iter().collect())
}

/// A first row on one line when it reads like names: short, none empty, none a number.
fn names_of(record: &csv::ByteRecord) -> Option<String> {
    let fields: Vec<_> = record.iter().map(String::from_utf8_lossy).collect();
    let fields = fields.iter().map(|field| field.trim_start_matches(MARK).trim());
    let name = |field: &str| !field.is_empty() && field.parse::<f64>().is_err();
    let names = fields.clone().all(name) && fields.clone().count() > 0;
    let line = fields.collect::<Vec<_>>().join(", ");
    (names && line.len() <= NAMES_BYTES_MAX).then_some(line)
}
