//! The mark: the number of the last group that was synced, outside of the engine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The bytes of a slot: the number, and a checksum over it.
const SLOT_BYTES: usize = 16;

/// Where the slots lie: in two pages, so that no torn write reaches both.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];

/// The open mark file. Groups write its two slots in turn, so that one is always whole.
///
/// A write is not synced. It survives the end of the process, which is when a damaged journal
/// would otherwise pass for a torn one; after a loss of power the mark may be older than the
/// engine, never newer, since it is written after the engine's sync: it then proves less, and
/// refuses nothing wrongly.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Makes a mark of the group `number`, on disk when this returns.
    pub(super) fn create(path: &Path, number: u64) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let mut mark = Self { file };
        mark.write_slot(SLOT_OFFSETS[0], number)?;
        mark.write_slot(SLOT_OFFSETS[1], number)?;
        mark.file.sync_all()?;
        Ok(mark)
    }

    /// Opens a mark and gives the greatest number in it, or `None` when no slot is whole.
    pub(super) fn open(path: &Path) -> io::Result<Option<(Self, u64)>> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let slots = SLOT_OFFSETS.iter().filter_map(|offset| {
            let start = usize::try_from(*offset).ok()?;
            decode(bytes.get(start..start + SLOT_BYTES)?)
        });
        Ok(slots.max().map(|number| (Self { file }, number)))
    }

    /// Writes the number of a group that was synced just now.
    pub(super) fn write(&mut self, number: u64) -> io::Result<()> {
        let [even, odd] = SLOT_OFFSETS;
        self.write_slot(if number.is_multiple_of(2) { even } else { odd }, number)
    }

    fn write_slot(&mut self, offset: u64, number: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(&encode(number))
    }
}

fn encode(number: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..8].copy_from_slice(&number.to_be_bytes());
    slot[8..].copy_from_slice(&checksum(number));
    slot
}

fn decode(slot: &[u8]) -> Option<u64> {
    let (number, sum) = slot.split_first_chunk::<8>()?;
    let number = u64::from_be_bytes(*number);
    (sum == checksum(number)).then_some(number)
}

fn checksum(number: u64) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("keepsake storage mark 1");
    let hash = hasher.update(&number.to_be_bytes()).finalize();
    std::array::from_fn(|index| hash.as_bytes()[index])
}
