//! What a name means: a model that is known by its name or its repository, or a folder.

use std::path::PathBuf;

use crate::onnx::OnnxError;

/// Below this likeness a name is no help.
const LIKENESS_MIN: f64 = 0.7;

/// Where the files of a model are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// In a folder.
    Folder(PathBuf),
    /// In a repository of the hub.
    Hub {
        /// `OWNER/NAME`.
        repository: String,
        /// The file of the model.
        file: String,
        /// Files with weights that the model's own has no room for.
        external: Vec<String>,
    },
}

impl Model {
    /// The folder that a name is the path of: it begins with `/` or `.`.
    pub fn of_folder(name: &str) -> Option<PathBuf> {
        name.starts_with(['/', '.']).then(|| PathBuf::from(name))
    }
}

/// A model that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its repository.
    pub repository: String,
    /// The file of the model in it.
    pub file: String,
    /// Files with more of its weights.
    pub external: Vec<String>,
}

impl Entry {
    /// The place in a list of the model that has a name, or is in a repository; case does not
    /// count. Of several in one repository it is the one with the shortest name, which is the one
    /// that is not quantised.
    ///
    /// # Errors
    /// [`OnnxError::Unknown`], with the name that is nearest.
    pub fn find(known: &[Self], name: &str) -> Result<usize, OnnxError> {
        let called = known.iter().position(|entry| entry.name.eq_ignore_ascii_case(name));
        let stored = (0..known.len())
            .filter(|at| known[*at].repository.eq_ignore_ascii_case(name))
            .min_by_key(|at| known[*at].name.len());
        called.or(stored).ok_or_else(|| OnnxError::Unknown(unknown(known, name)))
    }

    /// Where its files are.
    pub fn model(&self) -> Model {
        let Self { repository, file, external, .. } = self.clone();
        Model::Hub { repository, file, external }
    }
}

fn unknown(known: &[Entry], name: &str) -> String {
    let names = known.iter().flat_map(|entry| [&entry.name, &entry.repository]);
    let scored = names.map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest.filter(|(likeness, _)| *likeness >= LIKENESS_MIN) {
        Some((_, known)) => format!("; is `{known}` meant?"),
        None => String::new(),
    };
    format!("there is no model `{name}`{hint} (the path of a folder begins with `/` or `.`)")
}
