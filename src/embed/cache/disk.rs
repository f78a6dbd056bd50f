//! Vectors in files: records are appended to the newest of a few files, and the oldest file goes.
//!
//! A file `NUMBER.vectors` begins with [`MAGIC`]; records follow: how many numbers (u32), the
//! digest, the numbers (f32), and a hash of all that (xxh3, 64 bits); all little-endian. Nothing is
//! synced: a record that a crash cut off is dropped with what follows it, and any may be missing.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::{Digest, Kept};

/// The first bytes of a file; they change with what follows.
const MAGIC: &[u8; 8] = b"ksvec 1\n";
/// In how many files all is: with the oldest this part of it goes.
const FILES: u64 = 8;
const ENDS_WITH: &str = "vectors";
const COUNT_BYTES: usize = size_of::<u32>();
const HEAD_BYTES: usize = COUNT_BYTES + size_of::<Digest>();
const HASH_BYTES: usize = size_of::<u64>();
/// The longest vector: a record that says more is none.
const NUMBERS_MAX: usize = 1 << 16;

pub(super) struct Disk {
    folder: PathBuf,
    /// The most bytes of one file.
    file_bytes_max: u64,
    free_bytes_min: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: HashMap<Digest, Place>,
    /// The oldest first.
    segments: VecDeque<Segment>,
    /// Whether writing failed: nothing more is written.
    failed: bool,
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u64,
    offset: u64,
    numbers: u32,
}

struct Segment {
    number: u64,
    file: Arc<File>,
    bytes: u64,
}

fn record_bytes(numbers: usize) -> usize {
    HEAD_BYTES + numbers * size_of::<f32>() + HASH_BYTES
}

fn record(digest: &Digest, vector: &[f32]) -> Vec<u8> {
    let mut record = Vec::with_capacity(record_bytes(vector.len()));
    let numbers = u32::try_from(vector.len()).expect("no vector is as long");
    record.extend(numbers.to_le_bytes());
    record.extend(digest);
    record.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
    record.extend(xxh3_64(&record).to_le_bytes());
    record
}

/// The record at the beginning of some bytes, if there is a whole one.
fn first_record(bytes: &[u8]) -> Option<(Digest, Vec<f32>)> {
    let (count, _) = bytes.split_first_chunk::<COUNT_BYTES>()?;
    let numbers = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    if numbers > NUMBERS_MAX {
        return None;
    }
    let record = bytes.get(..record_bytes(numbers))?;
    let (said, hash) = record.split_last_chunk::<HASH_BYTES>()?;
    if xxh3_64(said) != u64::from_le_bytes(*hash) {
        return None;
    }
    let (digest, vector) = said[COUNT_BYTES..].split_first_chunk()?;
    let vector = vector.as_chunks::<{ size_of::<f32>() }>().0;
    Some((*digest, vector.iter().map(|x| f32::from_le_bytes(*x)).collect()))
}

impl Disk {
    /// Opens the files of a folder, which is made when it is not there.
    pub(super) fn open(folder: &Path, bytes: u64, free_bytes_min: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_ours = path.extension().is_some_and(|end| end == ENDS_WITH);
            let name = path.file_stem().and_then(|name| name.to_str());
            numbers.extend(name.filter(|_| is_ours).and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let disk = Self {
            folder: folder.to_owned(),
            file_bytes_max: bytes / FILES,
            free_bytes_min,
            state: Mutex::new(State::default()),
        };
        let mut state = disk.state();
        for number in numbers {
            disk.adopt(&mut state, number)?;
        }
        // The limit may be lower than it was.
        while state.segments.iter().map(|segment| segment.bytes).sum::<u64>() > bytes {
            disk.drop_oldest(&mut state)?;
        }
        drop(state);
        Ok(disk)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic left halfway is looked at again at each use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.{ENDS_WITH}"))
    }

    /// Takes in a file that is there, up to its first record that is none.
    fn adopt(&self, state: &mut State, number: u64) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).open(self.path(number))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if !bytes.starts_with(MAGIC) {
            return fs::remove_file(self.path(number));
        }
        let mut at = MAGIC.len();
        while let Some((digest, vector)) = first_record(&bytes[at..]) {
            let numbers = u32::try_from(vector.len()).expect("it is limited");
            state.places.insert(digest, Place { segment: number, offset: at as u64, numbers });
            at += record_bytes(vector.len());
        }
        if at < bytes.len() {
            file.set_len(at as u64)?;
        }
        state.segments.push_back(Segment { number, file: Arc::new(file), bytes: at as u64 });
        Ok(())
    }

    fn drop_oldest(&self, state: &mut State) -> io::Result<()> {
        let Some(oldest) = state.segments.pop_front() else { return Ok(()) };
        state.places.retain(|_, place| place.segment != oldest.number);
        fs::remove_file(self.path(oldest.number))
    }

    /// The vector of a digest.
    pub(super) fn read(&self, digest: &Digest) -> Option<Vec<f32>> {
        let (file, place) = {
            let state = self.state();
            let place = *state.places.get(digest)?;
            let segment = state.segments.iter().find(|segment| segment.number == place.segment)?;
            (segment.file.clone(), place)
        };
        let mut record = vec![0; record_bytes(usize::try_from(place.numbers).ok()?)];
        let read = file.read_exact_at(&mut record, place.offset);
        let found = read.ok().and_then(|()| first_record(&record));
        match found {
            Some((of, vector)) if of == *digest => Some(vector),
            // The disk lost it.
            _ => {
                self.state().places.remove(digest);
                None
            }
        }
    }

    /// Appends those vectors that are not there, if `is_wanted` still.
    pub(super) fn write(&self, vectors: &[Kept], is_wanted: impl Fn() -> bool) -> io::Result<()> {
        let mut state = self.state();
        if !is_wanted() || state.failed || !self.has_room() {
            return Ok(());
        }
        let written = self.append(&mut state, vectors);
        state.failed = written.is_err();
        written
    }

    fn append(&self, state: &mut State, vectors: &[Kept]) -> io::Result<()> {
        for (digest, vector) in vectors {
            let record = record(digest, vector);
            let bytes = record.len() as u64;
            let fits = MAGIC.len() as u64 + bytes <= self.file_bytes_max;
            if !fits || vector.len() > NUMBERS_MAX || state.places.contains_key(digest) {
                continue;
            }
            let last = state.segments.back();
            if last.is_none_or(|last| last.bytes + bytes > self.file_bytes_max) {
                self.begin_file(state)?;
            }
            let last = state.segments.back_mut().expect("one was begun");
            (&*last.file).write_all(&record)?;
            let numbers = u32::try_from(vector.len()).expect("it is limited");
            let place = Place { segment: last.number, offset: last.bytes, numbers };
            state.places.insert(*digest, place);
            last.bytes += bytes;
        }
        Ok(())
    }

    fn begin_file(&self, state: &mut State) -> io::Result<()> {
        while state.segments.len() as u64 >= FILES {
            self.drop_oldest(state)?;
        }
        let number = state.segments.back().map_or(1, |last| last.number + 1);
        let mut file =
            OpenOptions::new().read(true).append(true).create_new(true).open(self.path(number))?;
        file.write_all(MAGIC)?;
        let bytes = MAGIC.len() as u64;
        state.segments.push_back(Segment { number, file: Arc::new(file), bytes });
        Ok(())
    }

    /// Whether the disk has room for what need not be there.
    fn has_room(&self) -> bool {
        let found = rustix::fs::statvfs(&self.folder);
        found.is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) > self.free_bytes_min)
    }

    /// Removes all files, for good.
    pub(super) fn forget(&self) -> io::Result<()> {
        let mut state = self.state();
        state.places.clear();
        while !state.segments.is_empty() {
            self.drop_oldest(&mut state)?;
        }
        state.failed = false;
        File::open(&self.folder)?.sync_all()
    }

    /// How many records there are, and the bytes of the files.
    pub(super) fn size(&self) -> (u64, u64) {
        let state = self.state();
        let bytes = state.segments.iter().map(|segment| segment.bytes).sum();
        (state.places.len() as u64, bytes)
    }
}
