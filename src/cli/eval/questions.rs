//! The questions of a set.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, de::DeserializeOwned};

use crate::cli::{Error, import::read_unpacked};

/// One question. Evidence and answer may be missing.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// Its id in the set.
    pub query: String,
    /// The conversation that is asked.
    pub conversation: String,
    /// The question.
    pub text: String,
    /// When it is asked; `None`: after the last turn.
    #[serde(default)]
    pub as_of: Option<String>,
    /// Its kind; may be empty.
    #[serde(default)]
    pub category: Option<String>,
    /// The ids of the turns that hold the answer.
    #[serde(default)]
    pub evidence: Option<Vec<String>>,
    /// The answer, in few words.
    #[serde(default)]
    pub answer: Option<String>,
}

/// One question to documents.
#[derive(Debug, Clone, Deserialize)]
pub struct DocumentQuestion {
    /// Its id in the set.
    pub query: String,
    /// The question.
    pub text: String,
    /// How much each document that answers it is worth; the others are worth nothing.
    #[serde(default)]
    pub relevant: HashMap<String, f64>,
}

/// Reads the rows of a file, JSON Lines, plain or gzip.
///
/// # Errors
/// [`Error::File`], and [`Error::Usage`] with every line that is no such row.
pub fn read_rows<Row: DeserializeOwned>(path: &Path) -> Result<Vec<Row>, Error> {
    let text = read_unpacked(path)?;
    let mut rows = Vec::new();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(error) => mistakes.push(format!("{}:{}: {error}", path.display(), index + 1)),
        }
    }
    if mistakes.is_empty() { Ok(rows) } else { Err(Error::Usage(mistakes.join("\n"))) }
}
