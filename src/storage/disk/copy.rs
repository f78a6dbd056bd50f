//! Copying a data folder's record to a new folder, for another engine, and comparing the two.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::engine::{Engine, EngineError, Kind, Position, Writes};
use super::folder::{self, Opened};
use super::open_error::OpenError;
use crate::storage::{Read, Row};

/// How many rows are read, and written with one sync, at a time.
const ROWS_AT_A_TIME: usize = 512;

/// What was copied so far, and in the end the hash of all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// How many rows.
    pub rows: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// The BLAKE3 of all rows in order: length and bytes of the key, revision, length and bytes of
    /// the value.
    pub hash: blake3::Hash,
}

/// A folder that could not be copied; the target must not be used then.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the folders cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder is not one of an engine on disk.
    #[error("the folder `{}` holds {}", path.display(), engines(found))]
    Engines {
        /// The folder.
        path: PathBuf,
        /// The engines whose files are there: none, or several.
        found: Vec<&'static str>,
    },
    /// An engine failed.
    #[error("cannot {attempt} `{}`", path.display())]
    Engine {
        /// What was tried.
        attempt: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the engine said.
        source: EngineError,
    },
    /// What was read back is not what was read.
    #[error("the copy differs from the original at the key `{}`", key.escape_ascii())]
    Differs {
        /// The first key that differs; empty for the number of the last commit.
        key: Bytes,
    },
}

fn engines(found: &[&str]) -> String {
    match found {
        [] => "no record of an engine on disk".to_owned(),
        found => format!("the records of several engines: {}", found.join(", ")),
    }
}

/// Tells which engine keeps the record in a data folder.
///
/// # Errors
/// [`CopyError::Engines`] when there is none, or more than one.
pub fn engine_of(path: &Path) -> Result<&'static str, CopyError> {
    let found: Vec<_> = folder::engines_in(path).collect();
    match found[..] {
        [one] => Ok(one),
        _ => Err(CopyError::Engines { path: path.to_owned(), found }),
    }
}

/// Copies the record in `from` to the new folder `to`, each row with its revision, so that what
/// waits for a precondition still holds; opens the copy anew and compares the two row by row.
/// `told` hears how far it has come. Both folders are held meanwhile. It blocks.
///
/// # Errors
/// [`CopyError`]; what is in `to` then is not whole.
pub fn copy<F: Kind, T: Kind>(
    from: &Path,
    to: &Path,
    mut told: impl FnMut(&Copied),
) -> Result<Copied, CopyError> {
    let (_held, source) = folder::open(from, &F::default())?;
    let revision = source.position.revision;
    let target = folder::open(to, &T::default())?;
    let (folder, Opened { engine, mut mark, .. }) = target;
    let mut position = Position { group: 0, revision };
    let mut count = Count::default();
    let mut rows = Rows::of(&source.engine, from);
    loop {
        let some = rows.next()?;
        let last = some.is_empty();
        some.iter().for_each(|row| count.add(row));
        let writes: Writes =
            some.into_iter().map(|row| (row.key, Some((row.revision, row.value)))).collect();
        // The last group is empty: it leaves the number of the last commit also where no row is.
        position.group += 1;
        engine.write(writes, position).map_err(failed("write to", to))?;
        let marked = mark.write(position.group);
        marked.map_err(OpenError::file("write the mark of", to))?;
        told(&count.copied());
        if last {
            break;
        }
    }
    drop((engine, folder));
    let (_held, copied) = folder::open(to, &T::default())?;
    if copied.position.revision != revision {
        return Err(CopyError::Differs { key: Bytes::new() });
    }
    let read_back = compare(Rows::of(&source.engine, from), Rows::of(&copied.engine, to))?;
    match read_back == count.copied() {
        true => Ok(read_back),
        false => Err(CopyError::Differs { key: Bytes::new() }),
    }
}

/// Compares two records row by row.
fn compare<A: Engine, B: Engine>(
    mut left: Rows<'_, A>,
    mut right: Rows<'_, B>,
) -> Result<Copied, CopyError> {
    let mut count = Count::default();
    loop {
        let (mine, theirs) = (left.next()?, right.next()?);
        if let Some((row, _)) = mine.iter().zip(&theirs).find(|(mine, theirs)| mine != theirs) {
            return Err(CopyError::Differs { key: row.key.clone() });
        }
        if mine.len() != theirs.len() {
            let longer = if mine.len() > theirs.len() { &mine } else { &theirs };
            let odd = &longer[mine.len().min(theirs.len())];
            return Err(CopyError::Differs { key: odd.key.clone() });
        }
        if theirs.is_empty() {
            return Ok(count.copied());
        }
        theirs.iter().for_each(|row| count.add(row));
    }
}

/// All rows of an engine that nobody writes, some at a time.
struct Rows<'a, E> {
    engine: &'a E,
    path: &'a Path,
    from: Bytes,
}

impl<'a, E: Engine> Rows<'a, E> {
    fn of(engine: &'a E, path: &'a Path) -> Self {
        Self { engine, path, from: Bytes::new() }
    }

    /// The next rows; none when there are no more.
    fn next(&mut self) -> Result<Vec<Row>, CopyError> {
        let Read::Range { to, order, .. } = Read::prefix("") else { unreachable!("it is a range") };
        let read = Read::Range { from: self.from.clone(), to, limit: ROWS_AT_A_TIME, order };
        let mut answer = self.engine.read(&[read]).map_err(failed("read", self.path))?;
        let rows = answer.pop().unwrap_or_default();
        if let Some(last) = rows.last() {
            self.from = [&last.key[..], &[0]].concat().into();
        }
        Ok(rows)
    }
}

/// What was counted so far.
#[derive(Default)]
struct Count {
    rows: u64,
    bytes: u64,
    hash: blake3::Hasher,
}

impl Count {
    fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.bytes += (row.key.len() + row.value.len()) as u64;
        self.hash.update(&(row.key.len() as u64).to_be_bytes()).update(&row.key);
        self.hash.update(&row.revision.0.to_be_bytes());
        self.hash.update(&(row.value.len() as u64).to_be_bytes()).update(&row.value);
    }

    fn copied(&self) -> Copied {
        Copied { rows: self.rows, bytes: self.bytes, hash: self.hash.finalize() }
    }
}

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(EngineError) -> CopyError {
    let path = path.to_owned();
    move |source| CopyError::Engine { attempt, path, source }
}
