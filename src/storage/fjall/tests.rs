use std::fs;
use std::path::Path;

use super::{Fjall, unfinished};
use crate::storage::{
    Read, Revision,
    disk::{Engine as _, Kind as _, Position, Writes},
};

/// A database with one row, or without.
fn database(path: &Path, row: bool) {
    let engine = Fjall.open(path).expect("a new database");
    if row {
        let write = (bytes::Bytes::from("key"), Some((Revision(1), bytes::Bytes::from("value"))));
        let position = Position { group: 1, revision: Revision(1) };
        engine.write(Writes::from([write]), position).expect("it is written");
    }
}

#[test]
fn a_database_that_was_never_made_whole_is_made_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Files that a stop in the middle of making it had not written yet.
    for (n, lacking) in
        ["version", "keyspaces/0/current", "keyspaces/1", "keyspaces/0"].iter().enumerate()
    {
        let path = folder.path().join(n.to_string());
        database(&path, false);
        let lacking = path.join(lacking);
        match lacking.is_dir() {
            true => fs::remove_dir_all(lacking).expect("it is there"),
            false => fs::remove_file(lacking).expect("it is there"),
        }
        Fjall.open(&path).expect("it opens");
    }
}

#[test]
fn a_database_with_a_row_is_never_removed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fjall");
    database(&path, true);
    unfinished::remove(&path).expect("it is looked at");
    let engine = Fjall.open(&path).expect("it opens");
    let rows = engine.read(&[Read::get("key")]).expect("it reads").remove(0);
    assert_eq!(rows.len(), 1);
}
