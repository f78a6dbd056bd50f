//! Single flipped bits in every file of a folder: each is found, mended or harmless, with every
//! engine. `KEEPSAKE_TEST_FLIPS=10000 cargo test --test it store_flips -- --nocapture` for long,
//! and `KEEPSAKE_TEST_SEED=N` for other ones.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use keepsake::storage::disk::{DiskStore, Kind};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{Batch, Read, Row, Store, StoreError, StoreErrorKind};

/// How many bits are flipped, one at a time, with each engine; CI takes these few.
const FLIPS: u64 = 150;

fn flips() -> u64 {
    number("KEEPSAKE_TEST_FLIPS").unwrap_or(FLIPS)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("it is a number"))
}

/// How many groups are written before the folder is opened again: sled has some segments then.
const GROUPS: u64 = 250;

/// A row of random flips that is the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// A folder as it was left, in memory.
struct Image {
    folders: Vec<PathBuf>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Image {
    fn of(folder: &Path) -> Self {
        let mut image = Self { folders: Vec::new(), files: Vec::new() };
        let mut waiting = vec![folder.to_owned()];
        while let Some(path) = waiting.pop() {
            let name = path.strip_prefix(folder).expect("it lies in the folder").to_owned();
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("the folder can be read");
                waiting.extend(entries.map(|entry| entry.expect("it can be read").path()));
                image.folders.push(name);
            } else {
                image.files.push((name, fs::read(&path).expect("the file can be read")));
            }
        }
        image.files.sort();
        image.folders.sort();
        image
    }

    /// Writes the folder again, in place of what is there, with one bit flipped.
    fn write(&self, folder: &Path, (damaged, bit): (usize, u64)) {
        fs::remove_dir_all(folder).ok();
        for path in &self.folders {
            fs::create_dir_all(folder.join(path)).expect("the folder can be made");
        }
        for (place, (path, bytes)) in self.files.iter().enumerate() {
            let file = fs::File::create(folder.join(path)).expect("the file can be made");
            let written = written_bytes(bytes);
            file.write_all_at(&bytes[..written], 0).expect("the file can be written");
            file.set_len(bytes.len() as u64).expect("the file can be made as long");
            if place == damaged {
                let at = usize::try_from(bit / 8).expect("it lies in memory");
                let byte = bytes[at] ^ (1 << (bit % 8));
                file.write_all_at(&[byte], bit / 8).expect("the file can be written");
            }
        }
    }

    /// Half of the flips hit any file, half any byte, of what is written in them.
    fn pick(&self, dice: &mut Dice) -> (usize, u64) {
        let bits: Vec<u64> =
            self.files.iter().map(|(_, bytes)| written_bytes(bytes) as u64 * 8).collect();
        loop {
            let place = if dice.roll(2) == 0 {
                usize::try_from(dice.roll(bits.len() as u64)).expect("it is small")
            } else {
                let mut at = dice.roll(bits.iter().sum());
                bits.iter()
                    .position(|bits| {
                        let here = at < *bits;
                        at = at.saturating_sub(*bits);
                        here
                    })
                    .expect("it lies in some file")
            };
            if bits[place] > 0 {
                return (place, dice.roll(bits[place]));
            }
        }
    }
}

/// How much of a file was written: both engines fill files up with zeros.
fn written_bytes(bytes: &[u8]) -> usize {
    bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count()
}

/// Rows of many lengths, written, overwritten and deleted, in many groups.
async fn fill<K: Settled>(folder: &Path) -> Vec<Row> {
    let mut dice = Dice(1);
    for opened in 0..4_u64 {
        // Opening again moves what is in journals to tables, and makes sled's snapshots.
        let store = DiskStore::<K>::open(folder).expect("the folder opens");
        for _ in 0..GROUPS {
            let mut batch = Batch::new();
            for _ in 0..8 {
                let key = format!("i{:04}", dice.roll(5_000));
                let long = if dice.roll(40) == 0 { 20_000 } else { 400 };
                let length = usize::try_from(dice.roll(long)).expect("it is small");
                let letter = b'a' + u8::try_from(dice.roll(26)).expect("it is small");
                batch = match dice.roll(8) {
                    0 => batch.delete(key),
                    _ => batch.put(key, vec![letter + opened as u8; length]),
                };
            }
            store.commit(batch).await.expect("the commit holds");
        }
        store.close().await.expect("the store closes");
        if opened < 3 {
            K::settle(&folder.join(K::NAME));
        }
    }
    let store = DiskStore::<K>::open(folder).expect("the folder opens");
    let rows = all(&store).await.expect("a sound folder is read");
    store.close().await.expect("the store closes");
    rows
}

/// An engine that can be made to move rows from its journals to its tables.
trait Settled: Kind {
    fn settle(path: &Path);
}

impl Settled for Fjall {
    fn settle(path: &Path) {
        let database = ::fjall::Database::builder(path).open().expect("fjall opens");
        let options = ::fjall::KeyspaceCreateOptions::default;
        let rows = database.keyspace("record", options).expect("fjall opens");
        rows.rotate_memtable_and_wait().expect("fjall writes its tables");
    }
}

impl Settled for Sled {
    /// It has one file, and writes its snapshot of it at each opening.
    fn settle(_path: &Path) {}
}

async fn all(store: &dyn Store) -> Result<Vec<Row>, StoreError> {
    Ok(store.read(vec![Read::prefix("")]).await?.remove(0))
}

/// What became of a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// The folder was refused.
    Opening,
    /// Some rows could not be read, and the others are as they were.
    Reading,
    /// The next commit failed.
    Writing,
    /// All rows are as they were.
    Harmless,
}

/// Opens a damaged folder, reads, writes, opens again, reads.
async fn tried<K: Kind>(folder: &Path, rows: &[Row]) -> Found {
    let mut found = Found::Harmless;
    for writes in [true, false] {
        let store = match DiskStore::<K>::open(folder) {
            Ok(store) => store,
            Err(error) => {
                let named = error.to_string().contains(&folder.display().to_string());
                assert!(named, "the message names what is damaged: {error}");
                return Found::Opening;
            }
        };
        if !reads_as_before(&store, rows).await {
            found = found.min(Found::Reading);
        }
        let written = store.commit(Batch::new().put("zz", "new")).await;
        if writes && written.is_err() {
            found = found.min(Found::Writing);
        }
        store.close().await.ok();
    }
    found
}

/// Whether all rows can be read; what can be read must be as it was.
async fn reads_as_before(store: &dyn Store, rows: &[Row]) -> bool {
    match all(store).await {
        Ok(mut found) => {
            found.retain(|row| row.key != "zz");
            assert!(found == rows, "{}", difference(&found, rows));
            return true;
        }
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Fault),
    }
    for row in rows {
        match store.read(vec![Read::get(row.key.clone())]).await {
            Ok(found) => assert!(found[0] == [row.clone()], "{}", difference(&found[0], rows)),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Fault),
        }
    }
    false
}

fn difference(found: &[Row], rows: &[Row]) -> String {
    let odd = found.iter().zip(rows).find(|(found, row)| found != row);
    format!("{} rows of {}, the first odd one {odd:?}", found.len(), rows.len())
}

async fn every_flip_is_found_or_harmless<K: Settled>() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sound = folder.path().join("sound");
    let rows = fill::<K>(&sound).await;
    let image = Image::of(&sound);
    let (mut dice, mut wrong) = (Dice(number("KEEPSAKE_TEST_SEED").unwrap_or(7)), Vec::new());
    let mut counts: BTreeMap<(String, Found), u64> = BTreeMap::new();
    for n in 0..flips() {
        let (place, bit) = image.pick(&mut dice);
        let name = image.files[place].0.display().to_string();
        let damaged = folder.path().join("damaged");
        image.write(&damaged, (place, bit));
        let rows = rows.clone();
        // A flip that is not found must not end the count of the others.
        let trial = tokio::spawn(async move { tried::<K>(&damaged, &rows).await });
        match trial.await {
            Ok(found) => *counts.entry((name, found)).or_default() += 1,
            Err(error) => wrong.push(format!("flip {n}, {name} bit {bit}: {error:?}")),
        }
    }
    let told: Vec<_> = counts
        .iter()
        .map(|((name, found), count)| format!("{}/{name} {found:?} {count}", K::NAME))
        .collect();
    eprintln!("{}", told.join("\n"));
    let total = |wanted| {
        let all = counts.iter().filter(|((_, found), _)| *found == wanted);
        all.map(|(_, count)| count).sum::<u64>()
    };
    let refused = total(Found::Opening);
    let (read, written) = (total(Found::Reading), total(Found::Writing));
    let harmless = total(Found::Harmless);
    eprintln!(
        "{}: {} flips, {refused} refused at opening, {read} found by a read, {written} by a \
         write, {harmless} harmless, {} WRONG",
        K::NAME,
        flips(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused + read > 0, "flips are found at all");
}

#[tokio::test]
async fn every_flip_is_found_or_harmless_on_fjall() {
    every_flip_is_found_or_harmless::<Fjall>().await;
}

#[tokio::test]
async fn every_flip_is_found_or_harmless_on_sled() {
    every_flip_is_found_or_harmless::<Sled>().await;
}
