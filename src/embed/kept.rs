//! Vectors kept in a folder by the hash of their texts: a later run needs no model for them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::embed::{EmbedError, Embedder, Urgency};

const HASH_BYTES: usize = 32;

type Hash = [u8; HASH_BYTES];

/// An embedder over another one. The folder holds one file for each key: `HASH.vectors`, records of
/// a text's hash (32 bytes, BLAKE3; keyed for questions that are told apart) and its numbers (f32,
/// little endian). A record that was cut off at the end is dropped. One process at a time may use a
/// folder. What is kept outlives what was erased elsewhere: for evaluations, not for serving.
pub struct Kept<E> {
    inner: E,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    known: HashMap<Hash, Vec<f32>>,
}

impl<E: Embedder> Kept<E> {
    /// Opens the file of the embedder's key in a folder; both are made when they are not there.
    ///
    /// # Errors
    /// [`EmbedError::Kept`].
    pub fn open(inner: E, folder: &Path) -> Result<Self, EmbedError> {
        let name = blake3::hash(inner.key().as_bytes()).to_hex();
        let path = folder.join(format!("{name}.vectors"));
        let state = open(folder, &path, inner.dimensions());
        let state = state.map_err(|source| kept(&path, source))?;
        Ok(Self { inner, path, state: Mutex::new(state) })
    }

    /// Names what is kept of a text.
    fn hash(&self, urgency: Urgency, text: &str) -> Hash {
        match urgency == Urgency::Query && self.inner.tells_questions_apart() {
            true => *blake3::keyed_hash(&[b'?'; HASH_BYTES], text.as_bytes()).as_bytes(),
            false => *blake3::hash(text.as_bytes()).as_bytes(),
        }
    }

    /// The vectors that are kept, and the places of those that are not.
    fn known(&self, hashes: &[Hash]) -> (Vec<Option<Vec<f32>>>, Vec<usize>) {
        let state = self.state.lock().expect("no holder panics");
        let known: Vec<_> = hashes.iter().map(|hash| state.known.get(hash).cloned()).collect();
        let missing = (0..hashes.len()).filter(|at| known[*at].is_none()).collect();
        (known, missing)
    }

    fn keep(&self, hash: Hash, vector: &[f32]) -> Result<(), EmbedError> {
        let mut record = hash.to_vec();
        record.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
        let mut state = self.state.lock().expect("no holder panics");
        if state.known.insert(hash, vector.to_vec()).is_none() {
            state.file.write_all(&record).map_err(|source| kept(&self.path, source))?;
        }
        Ok(())
    }
}

fn kept(path: &Path, source: io::Error) -> EmbedError {
    EmbedError::Kept { path: path.to_owned(), source: Arc::new(source) }
}

fn open(folder: &Path, path: &Path, dimensions: usize) -> io::Result<State> {
    fs::create_dir_all(folder)?;
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let size = HASH_BYTES + 4 * dimensions;
    let whole = bytes.len() / size * size;
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    let records = bytes[..whole].chunks_exact(size).filter_map(|record| {
        let (hash, numbers) = record.split_first_chunk::<HASH_BYTES>()?;
        let numbers = numbers.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x));
        Some((*hash, numbers.collect()))
    });
    Ok(State { known: records.collect(), file })
}

#[async_trait]
impl<E: Embedder> Embedder for Kept<E> {
    fn key(&self) -> &str {
        self.inner.key()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn covers(&self, language: &str) -> bool {
        self.inner.covers(language)
    }

    fn tells_questions_apart(&self) -> bool {
        self.inner.tells_questions_apart()
    }

    async fn embed(
        &self,
        urgency: Urgency,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let hashes: Vec<Hash> = texts.iter().map(|text| self.hash(urgency, text)).collect();
        let (mut vectors, missing) = self.known(&hashes);
        if !missing.is_empty() {
            let wanted = missing.iter().map(|at| texts[*at].clone()).collect();
            for (at, vector) in missing.iter().zip(self.inner.embed(urgency, wanted).await?) {
                self.keep(hashes[*at], &vector)?;
                vectors[*at] = Some(vector);
            }
        }
        Ok(vectors.into_iter().flatten().collect())
    }
}
