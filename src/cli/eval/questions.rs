//! The questions of a set.

use std::path::Path;

use serde::Deserialize;

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
}

/// Reads the questions of a file, JSON Lines, plain or gzip.
///
/// # Errors
/// [`Error::File`], and [`Error::Usage`] with every line that is no question.
pub fn read_questions(path: &Path) -> Result<Vec<Question>, Error> {
    let text = read_unpacked(path)?;
    let mut questions = Vec::new();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(question) => questions.push(question),
            Err(error) => mistakes.push(format!("{}:{}: {error}", path.display(), index + 1)),
        }
    }
    if mistakes.is_empty() { Ok(questions) } else { Err(Error::Usage(mistakes.join("\n"))) }
}
