//! Which files are sent, what they are called, and how they are read.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;

use crate::cli::{Error, import::ids::user_id};
use crate::types::MediaType;

/// How much of a file is looked at to tell text from other things.
const SNIFFED_BYTES: usize = 8 << 10;
/// The longest label and title, in bytes.
const LABEL_BYTES_MAX: usize = 1 << 10;

/// Ends of names and how such files are read.
const ENDS: [(MediaType, &[&str]); 6] = [
    (MediaType::Markdown, &["md", "markdown", "mdx"]),
    (MediaType::Html, &["html", "htm", "xhtml"]),
    (MediaType::JsonLines, &["jsonl", "ndjson"]),
    (MediaType::Csv, &["csv"]),
    (MediaType::Pdf, &["pdf"]),
    (
        MediaType::Source,
        &[
            "rs", "py", "js", "jsx", "mjs", "ts", "tsx", "go", "java", "kt", "scala", "c", "h",
            "cc", "cpp", "hpp", "cs", "rb", "php", "swift", "m", "lua", "pl", "r", "jl", "ex",
            "erl", "hs", "ml", "clj", "sh", "bash", "zsh", "sql", "proto", "toml", "yaml", "yml",
            "json", "xml", "css", "scss", "tf", "zig", "nim", "dart", "vue",
        ],
    ),
];

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its path below what was named, with `/`.
    pub(super) name: String,
    /// The id of its document.
    pub(super) id: String,
    pub(super) media: MediaType,
    pub(super) bytes: u64,
}

impl File {
    /// Its path as a label.
    pub(super) fn label(&self) -> String {
        cut(&self.name).to_owned()
    }

    /// Its title: its path, which says what a reader of code or notes would want to know.
    pub(super) fn title(&self) -> String {
        cut(&self.name).to_owned()
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LABEL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of their names.
    pub(super) files: Vec<File>,
    /// Files that are no text.
    pub(super) skipped: Vec<String>,
}

/// Finds the files of paths; a path that is not there is an error. A file that is named by itself
/// is sent whatever it is.
///
/// # Errors
/// [`Error::File`], [`Error::Usage`] for a pattern that is none, or two files of one name.
pub(super) fn find(
    paths: &[PathBuf],
    globs: &[String],
    media: Option<MediaType>,
) -> Result<Found, Error> {
    let (mut files, mut skipped) = (BTreeMap::new(), Vec::new());
    for path in paths {
        let about = std::fs::metadata(path).map_err(|source| unread(path, source))?;
        if !about.is_dir() {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let media = media.or_else(|| by_end(path)).unwrap_or_default();
            add(&mut files, path, name, media, about.len())?;
            continue;
        }
        for found in walk(path, globs)? {
            let about = std::fs::metadata(&found).map_err(|source| unread(&found, source))?;
            let below = found.strip_prefix(path).unwrap_or(&found);
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            let name = parts.join("/");
            let told = media.or_else(|| by_end(&found));
            match told.map_or_else(|| sniffed(&found), |media| Ok(Some(media)))? {
                Some(media) => add(&mut files, &found, name, media, about.len())?,
                None => skipped.push(name),
            }
        }
    }
    Ok(Found { files: files.into_values().collect(), skipped })
}

fn add(
    files: &mut BTreeMap<String, File>,
    path: &Path,
    name: String,
    media: MediaType,
    bytes: u64,
) -> Result<(), Error> {
    let id = user_id(&name);
    let file = File { path: path.to_owned(), name, id: id.clone(), media, bytes };
    match files.insert(id, file) {
        Some(before) if before.path != path => Err(Error::Usage(format!(
            "`{}` and `{}` would be one document: name one of them by another folder",
            before.path.display(),
            path.display()
        ))),
        _ => Ok(()),
    }
}

fn walk(folder: &Path, globs: &[String]) -> Result<Vec<PathBuf>, Error> {
    let mut wanted = OverrideBuilder::new(folder);
    for glob in globs {
        wanted.add(glob).map_err(|error| Error::Usage(format!("--glob {error}")))?;
    }
    let wanted = wanted.build().map_err(|error| Error::Usage(format!("--glob {error}")))?;
    let mut files = Vec::new();
    for entry in WalkBuilder::new(folder).overrides(wanted).require_git(false).build() {
        let entry = entry.map_err(|error| Error::Usage(error.to_string()))?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn by_end(path: &Path) -> Option<MediaType> {
    let end = path.extension()?.to_str()?.to_ascii_lowercase();
    ENDS.iter().find(|(_, ends)| ends.contains(&end.as_str())).map(|(media, _)| *media)
}

/// Plain text, when the start of a file looks like it.
fn sniffed(path: &Path) -> Result<Option<MediaType>, Error> {
    let file = std::fs::File::open(path).map_err(|source| unread(path, source))?;
    let mut start = Vec::new();
    let read = file.take(SNIFFED_BYTES as u64).read_to_end(&mut start);
    read.map_err(|source| unread(path, source))?;
    let is_text = match std::str::from_utf8(&start) {
        Ok(text) => !text.contains('\0'),
        // A character may be cut at the end of what was read.
        Err(error) => error.error_len().is_none() && !start.contains(&0),
    };
    Ok(is_text.then_some(MediaType::Plain))
}

fn unread(path: &Path, source: std::io::Error) -> Error {
    Error::File { verb: "read", path: path.display().to_string(), source }
}
