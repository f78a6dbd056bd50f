//! What fjall does not check of its journals when it opens.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// The journals in the engine's folder, oldest first; none when there is no such folder.
pub(super) fn list(engine: &Path) -> io::Result<Vec<PathBuf>> {
    if !engine.exists() {
        return Ok(Vec::new());
    }
    let mut journals = Vec::new();
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Gives the first journal in which the sequence numbers of batches do not rise.
///
/// The number decides which of two values of a key is the newer one, and fjall's checksum of a
/// batch leaves it out: a damaged one would bring an old value back. A number that is wrong and
/// still rises changes no order. What cannot be read ends the check: the engine cuts or refuses
/// it, and the rows of the groups tell what is missing then.
pub(super) fn first_out_of_order(journals: &[PathBuf]) -> io::Result<Option<&PathBuf>> {
    let mut last = None;
    for path in journals {
        let mut journal = BufReader::with_capacity(1 << 16, File::open(path)?);
        while let Some(entry) = next_entry(&mut journal)? {
            let Entry::Start { sequence } = entry else { continue };
            if last.is_some_and(|last| sequence <= last) {
                return Ok(Some(path));
            }
            last = Some(sequence);
        }
    }
    Ok(None)
}

enum Entry {
    Start { sequence: u64 },
    Other,
}

/// Reads an entry as fjall 3 lays it out (`FJL3`, little-endian): a tag, then for 1, the start of
/// a batch, its number of items and its sequence number; for 2, an item, its kind, compression,
/// keyspace, lengths of key, value and stored value, key and stored value; for 3, the end, a
/// checksum and 4 fixed bytes; for 4 a keyspace.
fn next_entry(journal: &mut impl Read) -> io::Result<Option<Entry>> {
    let Some([tag]) = bytes(journal)? else { return Ok(None) };
    let whole = match tag {
        1 => {
            let Some(head) = bytes::<12>(journal)? else { return Ok(None) };
            let [_, _, _, _, sequence @ ..] = head;
            return Ok(Some(Entry::Start { sequence: u64::from_le_bytes(sequence) }));
        }
        2 => {
            let Some(head) = bytes::<20>(journal)? else { return Ok(None) };
            let key = u16::from_le_bytes([head[10], head[11]]);
            let stored = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
            skip(journal, u64::from(key) + u64::from(stored))?
        }
        3 => skip(journal, 12)?,
        4 => skip(journal, 8)?,
        _ => false,
    };
    Ok(whole.then_some(Entry::Other))
}

fn bytes<const N: usize>(journal: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match journal.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn skip(journal: &mut impl Read, count: u64) -> io::Result<bool> {
    Ok(io::copy(&mut journal.take(count), &mut io::sink())? == count)
}
