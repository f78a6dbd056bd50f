//! A database that a process was ended in the middle of making: fjall can neither open it, since it
//! is not whole, nor make it, since some of its files are there.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::journal;

/// The first journal, the only one that a database has while it is made.
const FIRST: &str = "0.jnl";

/// The keyspace that names the others: it has a table from the start.
const NAMES: &str = "0";

/// Removes a database in which nothing was ever written: its first journal holds nothing but the
/// zeros that it was filled up with, and no keyspace has a table. Where groups were acknowledged
/// the mark tells that they are missing, as ever.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if path.exists() && is_blank(path)? { fs::remove_dir_all(path) } else { Ok(()) }
}

fn is_blank(path: &Path) -> io::Result<bool> {
    for journal in journal::list(path)? {
        if journal.file_name().is_none_or(|name| name != FIRST) || !is_zero(&journal)? {
            return Ok(false);
        }
    }
    let keyspaces = path.join("keyspaces");
    if !keyspaces.exists() {
        return Ok(true);
    }
    for entry in fs::read_dir(keyspaces)? {
        let entry = entry?;
        let tables = entry.path().join("tables");
        let has_tables = tables.exists() && fs::read_dir(tables)?.next().is_some();
        if entry.file_name() != NAMES && has_tables {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_zero(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(true);
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
}
