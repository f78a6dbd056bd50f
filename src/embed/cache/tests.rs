//! What is kept comes back as it was, within limits, and not after it was forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Digest, Kept, VectorCache};

const NUMBERS: usize = 64;
const MANY_BYTES: u64 = 1 << 20;

fn digest(n: u32) -> Digest {
    let mut digest = [7; 16];
    digest[..4].copy_from_slice(&n.to_le_bytes());
    digest
}

fn vector(n: u32) -> Arc<[f32]> {
    (0..NUMBERS).map(|at| (n as f32).sin() / (at as f32 + 0.3)).collect()
}

fn kept(from: u32, to: u32) -> Vec<Kept> {
    (from..to).map(|n| (digest(n), vector(n))).collect()
}

fn open(folder: &Path, bytes: u64) -> Arc<VectorCache> {
    Arc::new(VectorCache::in_memory(MANY_BYTES).with_folder(folder, bytes, 0).unwrap())
}

fn write(cache: &Arc<VectorCache>, from: u32, to: u32) {
    for n in from..to {
        let writing = cache.begin_to_write(cache.epoch(), kept(n, n + 1)).unwrap();
        writing.write().unwrap();
    }
}

/// Which of the first `most` are in the files, as they were.
fn there(cache: &VectorCache, most: u32) -> Vec<u32> {
    let digests: Vec<Digest> = (0..most).map(digest).collect();
    let found = (0..most).zip(cache.read(&digests));
    let found = found.filter_map(|(n, found)| Some((n, found?)));
    found.inspect(|(n, found)| assert_eq!(found[..], vector(*n)[..])).map(|(n, _)| n).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn size(folder: &Path) -> u64 {
    files(folder).iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

#[test]
fn what_is_written_is_read_again_bit_for_bit_also_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), MANY_BYTES);
    write(&cache, 0, 5);
    assert_eq!(there(&cache, 7), [0, 1, 2, 3, 4]);
    drop(cache);
    let cache = open(folder.path(), MANY_BYTES);
    write(&cache, 3, 7);
    assert_eq!(there(&cache, 8), [0, 1, 2, 3, 4, 5, 6]);
    let figures = cache.figures();
    assert_eq!((figures.disk_entries, figures.disk_bytes), (7, size(folder.path())));
}

#[test]
fn a_record_that_was_cut_off_is_dropped_with_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), MANY_BYTES);
    write(&cache, 0, 4);
    drop(cache);
    let file = &files(folder.path())[0];
    let whole = fs::read(file).unwrap();
    for cut in [whole.len() - 1, whole.len() - NUMBERS * 4 - 20, 9, 3] {
        fs::write(file, &whole[..cut]).unwrap();
        let found = there(&open(folder.path(), MANY_BYTES), 4);
        assert!(found.len() < 4 && found == (0..found.len() as u32).collect::<Vec<_>>());
        // What comes after it is whole again.
        let cache = open(folder.path(), MANY_BYTES);
        write(&cache, 0, 4);
        drop(cache);
        assert_eq!(there(&open(folder.path(), MANY_BYTES), 4), [0, 1, 2, 3], "{cut}");
        files(folder.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

#[test]
fn a_flipped_bit_is_never_answered() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), MANY_BYTES);
    write(&cache, 0, 2);
    let file = &files(folder.path())[0];
    let whole = fs::read(file).unwrap();
    for at in (8..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(file, &bytes).unwrap();
        // `there` holds each against what it was.
        assert!(there(&open(folder.path(), MANY_BYTES), 2).len() < 2, "byte {at}");
    }
}

#[test]
fn files_stay_below_their_limit_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 8 * 1_024;
    let cache = open(folder.path(), limit);
    for n in 0..100 {
        write(&cache, n, n + 1);
        assert!(size(folder.path()) <= limit);
        let found = there(&cache, n + 1);
        assert!(found.contains(&n) && found.windows(2).all(|two| two[0] + 1 == two[1]));
    }
    assert!(there(&cache, 100).len() >= 20, "{}", there(&cache, 100).len());
    drop(cache);
    let smaller = open(folder.path(), limit / 2);
    assert!(size(folder.path()) <= limit / 2 && there(&smaller, 100).contains(&99));
}

#[test]
fn what_is_forgotten_is_nowhere_and_what_began_before_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), MANY_BYTES);
    write(&cache, 0, 3);
    cache.put(cache.epoch(), &kept(0, 3));
    let before = cache.epoch();
    let waiting = cache.begin_to_write(before, kept(3, 4)).unwrap();
    cache.forget().unwrap();
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    waiting.write().unwrap();
    cache.put(before, &kept(4, 5));
    assert!((0..5).all(|n| cache.get(&digest(n)).is_none()));
    assert_eq!((there(&cache, 5), size(folder.path())), (vec![], 0));
    write(&cache, 0, 1);
    cache.put(cache.epoch(), &kept(1, 2));
    assert_eq!(there(&cache, 5), [0]);
    assert!(cache.get(&digest(1)).is_some());
}

#[test]
fn a_nearly_full_disk_and_too_much_at_once_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = VectorCache::in_memory(MANY_BYTES).with_folder(folder.path(), MANY_BYTES, u64::MAX);
    let cache = Arc::new(cache.unwrap());
    write(&cache, 0, 1);
    assert_eq!(there(&cache, 1), [0_u32; 0]);
    let large: Arc<[f32]> = vec![1.0; 3 << 20].into();
    let one = cache.begin_to_write(cache.epoch(), vec![(digest(1), large.clone())]);
    assert!(one.is_some());
    assert!(cache.begin_to_write(cache.epoch(), vec![(digest(2), large.clone())]).is_none());
    drop(one);
    assert!(cache.begin_to_write(cache.epoch(), vec![(digest(2), large)]).is_some());
}

#[test]
fn memory_has_its_limit() {
    let cache = VectorCache::in_memory(10_000);
    cache.put(cache.epoch(), &kept(0, 100));
    let figures = cache.figures();
    assert!(figures.memory_bytes <= 10_000 && figures.memory_entries < 100);
    assert!(figures.memory_entries > 10, "{figures:?}");
}
