//! What fjall does not check of the files that list its tables.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

/// Gives the first list of tables in the engine's folder that is not as it was written.
///
/// fjall writes a checksum of each list (`vN`) into the file `current` beside it, and does not
/// compare it when it opens: a damaged list would leave out tables, and with them rows, or make it
/// panic in the middle of opening. What is missing is left for the engine to refuse.
pub(super) fn first_damaged(engine: &Path) -> io::Result<Option<PathBuf>> {
    let keyspaces = engine.join("keyspaces");
    if !keyspaces.exists() {
        return Ok(None);
    }
    for entry in fs::read_dir(keyspaces)? {
        let folder = entry?.path();
        let Some(current) = read(&folder.join("current"))? else { continue };
        let Some((number, checksum)) = decode(&current) else {
            return Ok(Some(folder.join("current")));
        };
        let list = folder.join(format!("v{number}"));
        if read(&list)?.is_some_and(|bytes| xxh3_128(&bytes) != checksum) {
            return Ok(Some(list));
        }
    }
    Ok(None)
}

/// Reads `current` as fjall 3 lays it out (little-endian): the number of the list, its checksum,
/// and 0 for the kind of checksum.
fn decode(current: &[u8]) -> Option<(u64, u128)> {
    let (number, rest) = current.split_first_chunk::<8>()?;
    let (checksum, kind) = rest.split_first_chunk::<16>()?;
    (kind == [0]).then(|| (u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
