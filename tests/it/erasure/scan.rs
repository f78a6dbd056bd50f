//! Reads every file of a data folder as it is, and decompressed: the journals of fjall item by
//! item, its tables block by block, the terms of tantivy through its readers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

/// Something that must not be in any file.
#[derive(Debug, Clone)]
pub struct Needle {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Where needles were found: which one, and in what kind of file.
pub type Found = BTreeSet<(String, Kind)>;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Journal,
    Aside,
    Table,
    Sled,
    Words,
    Other,
}

/// Every file in a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut waiting, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = waiting.pop() {
        match path.is_dir() {
            true => waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// Looks for needles in every file of a folder.
pub fn scan(folder: &Path, needles: &[Needle]) -> Found {
    let mut found = Found::new();
    for path in files(folder) {
        // A file of a server that runs may be gone by now.
        let Ok(mut bytes) = fs::read(&path) else { continue };
        // A journal is filled up with zeros.
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        let journal = name.ends_with(".jnl");
        let kind = match name.split('/').next().unwrap_or_default() {
            aside if aside.starts_with("set-aside-") => Kind::Aside,
            "fjall" if journal => Kind::Journal,
            "fjall" if name.contains("/tables/") => Kind::Table,
            "sled" => Kind::Sled,
            "index" => Kind::Words,
            _ => Kind::Other,
        };
        let mut texts = match kind {
            _ if journal => journal_items(&bytes),
            Kind::Table => table_blocks(&bytes).unwrap_or_else(|| panic!("{name} has no block")),
            _ => Vec::new(),
        };
        texts.push(bytes);
        if kind == Kind::Words && name.ends_with("meta.json") {
            texts.extend(terms(path.parent().unwrap()));
        }
        for needle in needles {
            if texts.iter().any(|text| holds(text, &needle.bytes)) {
                found.insert((needle.name.clone(), kind));
            }
        }
    }
    found
}

pub fn holds(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The keys and values of a journal of fjall 3, decompressed; see `src/storage/fjall/journal.rs`.
fn journal_items(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut items) = (0, Vec::new());
    while let Some(tag) = bytes.get(at) {
        at += match tag {
            1 => 13,
            3 => 13,
            4 => 9,
            2 => {
                let Some(head) = bytes.get(at + 1..at + 21) else { break };
                let (key, value) = (number(&head[10..12]), number(&head[12..16]));
                let stored = number(&head[16..20]);
                let from = at + 21 + key;
                let Some(text) = bytes.get(from..from + stored) else { break };
                items.push(bytes[at + 21..from].to_vec());
                items.push(match head[1] {
                    0 => text.to_vec(),
                    _ => lz4_flex::decompress(text, value).expect("a journal is sound"),
                });
                21 + key + stored
            }
            // What was never written.
            _ => break,
        };
    }
    items
}

/// The blocks of a table of fjall 3, decompressed: magic, kind, checksum, length, length when it is
/// decompressed, checksum of the head.
fn table_blocks(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut blocks = Vec::new();
    for at in memchr::memmem::find_iter(bytes, b"LSM\x03") {
        let Some(head) = bytes.get(at..at + 33) else { continue };
        let (stored, whole) = (number(&head[21..25]), number(&head[25..29]));
        let Some(text) = bytes.get(at + 33..at + 33 + stored) else { continue };
        if xxh3_128(text).to_le_bytes() != head[5..21] {
            continue;
        }
        blocks.push(match lz4_flex::decompress(text, whole) {
            Ok(text) if text.len() == whole => text,
            _ => text.to_vec(),
        });
    }
    (!blocks.is_empty()).then_some(blocks)
}

/// All terms of all segments, those of deleted chunks too, and all that is stored.
fn terms(words: &Path) -> Vec<Vec<u8>> {
    let index = tantivy::Index::open_in_dir(words).expect("the index is sound");
    let searcher = index.reader().expect("the index is sound").searcher();
    let mut all = Vec::new();
    for segment in searcher.segment_readers() {
        for (field, entry) in index.schema().fields() {
            if !entry.is_indexed() {
                continue;
            }
            let inverted = segment.inverted_index(field).expect("the segment is sound");
            let mut terms = inverted.terms().stream().expect("the segment is sound");
            while terms.advance() {
                all.push(terms.key().to_vec());
            }
        }
        let store = segment.get_store_reader(0).expect("the segment is sound");
        for number in 0..segment.max_doc() {
            let stored: tantivy::TantivyDocument = store.get(number).expect("it is there");
            all.push(format!("{stored:?}").into_bytes());
        }
    }
    all
}
