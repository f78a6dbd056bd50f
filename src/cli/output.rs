//! Where answers go: text or one JSON object on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use owo_colors::{AnsiColors, OwoColorize, Style};
use serde_json::Value;

use crate::cli::Error;
use crate::proto::json_of;

/// How the answer of a command is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text with colours.
    Coloured,
    /// Text without colours.
    Plain,
    /// One JSON object and nothing else.
    Json,
}

impl Form {
    /// The form for stdout as it is: JSON when asked for, colours on a terminal unless `NO_COLOR`
    /// is set or the terminal is dumb.
    pub fn of_stdout(json: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if json {
            Self::Json
        } else if io::stdout().is_terminal() && !set("NO_COLOR") && !dumb {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

/// A text that is being written for a person: styles are dropped when the form has none.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether escape codes may be written.
    pub coloured: bool,
}

impl Paint {
    /// `text` in a colour.
    pub fn colour(self, text: &str, colour: AnsiColors) -> String {
        self.style(text, Style::new().color(colour))
    }

    /// `text` in bold.
    pub fn bold(self, text: &str) -> String {
        self.style(text, Style::new().bold())
    }

    /// `text` less bright.
    pub fn dim(self, text: &str) -> String {
        self.style(text, Style::new().dimmed())
    }

    fn style(self, text: &str, style: Style) -> String {
        if self.coloured { text.style(style).to_string() } else { text.to_owned() }
    }
}

/// The output of one command.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    form: Form,
}

impl Output {
    /// An output of the given form on stdout.
    pub fn new(form: Form) -> Self {
        Self { form }
    }

    /// Whether one JSON object is wanted.
    pub fn is_json(self) -> bool {
        self.form == Form::Json
    }

    /// The styles that may be used.
    pub fn paint(self) -> Paint {
        Paint { coloured: self.form == Form::Coloured }
    }

    /// Writes an answer: its protobuf JSON by the message's full `name`, or `text` for a person.
    ///
    /// # Errors
    /// [`Error::ClosedPipe`] when nobody reads any more, [`Error::Output`] for any other failure.
    pub fn answer(
        self,
        name: &str,
        message: &impl prost::Message,
        text: impl FnOnce(Paint) -> String,
    ) -> Result<(), Error> {
        if self.is_json() {
            self.json(&json_of(name, message))
        } else {
            self.text(&text(self.paint()))
        }
    }

    /// Writes one JSON value and a line break.
    ///
    /// # Errors
    /// As [`Output::answer`].
    pub fn json(self, value: &Value) -> Result<(), Error> {
        write_line(&format!("{value:#}"))
    }

    /// Writes text, with a line break when it lacks one; nothing when it is empty.
    ///
    /// # Errors
    /// As [`Output::answer`].
    pub fn text(self, text: &str) -> Result<(), Error> {
        if text.is_empty() { Ok(()) } else { write_line(text.trim_end_matches('\n')) }
    }
}

fn write_line(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(stdout.flush()?)
}

/// Writes bytes to stdout as they are.
///
/// # Errors
/// As [`Output::answer`].
pub fn write_bytes(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// Writes a line to stderr; that nobody reads it is no failure.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}
