//! The layers of settings, each over the one before.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::KEYS;

/// Environment variables of the same prefix that are not the server's.
const CLIENT_ENV: [&str; 4] =
    ["KEEPSAKE_ADDRESS", "KEEPSAKE_API_KEY", "KEEPSAKE_CA_CERT", "KEEPSAKE_CLIENT_CONFIG"];
/// The variable that names the file; the edge reads it.
const FILE_ENV: &str = "KEEPSAKE_CONFIG";
/// Below this likeness a name is no help.
const LIKENESS_MIN: f64 = 0.7;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The table of defaults.
    Default,
    /// The file.
    File,
    /// The environment.
    Environment,
    /// A flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// Something that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` ({origin}) {what}")]
pub struct Mistake {
    /// The setting, or the name that is none.
    pub key: String,
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong.
    pub what: String,
}

impl Mistake {
    pub(super) fn new(key: &str, origin: Origin, what: &str) -> Self {
        Self { key: key.to_owned(), origin, what: what.to_owned() }
    }
}

/// Values by key with their origin, and what was not understood.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<String, (String, Origin)>,
    mistakes: Vec<Mistake>,
}

impl Default for Layers {
    fn default() -> Self {
        let defaults = KEYS.iter().filter_map(|key| Some((key.path, key.default?)));
        let values =
            defaults.map(|(path, text)| (path.to_owned(), (text.to_owned(), Origin::Default)));
        Self { values: values.collect(), mistakes: Vec::new() }
    }
}

impl Layers {
    /// Lays a file over what is there.
    #[must_use]
    pub fn with_file(mut self, text: &str) -> Self {
        match text.parse::<toml::Table>() {
            Ok(table) => self.lay_table("", &table),
            Err(error) => {
                let what = format!("is no TOML: {}", error.message());
                self.mistakes.push(Mistake::new("the file", Origin::File, &what));
            }
        }
        self
    }

    fn lay_table(&mut self, prefix: &str, table: &toml::Table) {
        for (name, value) in table {
            let path = format!("{prefix}{name}");
            match value {
                toml::Value::Table(table) => self.lay_table(&format!("{path}."), table),
                toml::Value::String(text) => self.set(&path, text, Origin::File),
                other => self.set(&path, &other.to_string(), Origin::File),
            }
        }
    }

    /// Lays environment variables over what is there; others than `KEEPSAKE_…` are passed over.
    #[must_use]
    pub fn with_environment(mut self, variables: impl Iterator<Item = (String, String)>) -> Self {
        for (name, value) in variables {
            let ours = name.starts_with("KEEPSAKE_") && name != FILE_ENV;
            if !ours || CLIENT_ENV.contains(&name.as_str()) {
                continue;
            }
            match KEYS.iter().find(|key| key.env == name) {
                Some(key) => self.set(key.path, &value, Origin::Environment),
                None => {
                    let names = KEYS.iter().map(|key| key.env);
                    self.refuse(&name, Origin::Environment, names);
                }
            }
        }
        self
    }

    /// Lays a flag over what is there.
    #[must_use]
    pub fn with_flag(mut self, path: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.set(path, &value, Origin::Flag);
        }
        self
    }

    fn set(&mut self, path: &str, value: &str, origin: Origin) {
        if KEYS.iter().any(|key| key.path == path) {
            self.values.insert(path.to_owned(), (value.to_owned(), origin));
        } else {
            self.refuse(path, origin, KEYS.iter().map(|key| key.path));
        }
    }

    fn refuse<'a>(&mut self, name: &str, origin: Origin, names: impl Iterator<Item = &'a str>) {
        let scored = names.map(|known| (strsim::jaro_winkler(name, known), known));
        let nearest = scored.max_by(|a, b| a.0.total_cmp(&b.0));
        let what = match nearest.filter(|(likeness, _)| *likeness >= LIKENESS_MIN) {
            Some((_, known)) => format!("is no setting; is `{known}` meant?"),
            None => "is no setting".to_owned(),
        };
        self.mistakes.push(Mistake::new(name, origin, &what));
    }

    /// A value and where it came from; `None`: not set.
    pub fn get(&self, path: &str) -> Option<(&str, Origin)> {
        self.values.get(path).map(|(value, origin)| (value.as_str(), *origin))
    }

    pub(super) fn origin(&self, path: &str) -> Origin {
        self.get(path).map_or(Origin::Default, |(_, origin)| origin)
    }

    pub(super) fn unknown(&self) -> Vec<Mistake> {
        self.mistakes.clone()
    }
}
