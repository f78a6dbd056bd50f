//! Where the terms of a session stand: a chain of blocks for each term, each block half as large
//! again as the one before it, so that what is read for a term lies together, and a term that
//! stands in one passage takes no more than that.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

/// The first block of a term has room for one posting. Only it has: it has no link either.
const FIRST_ROOM: u16 = 1;

/// The most that a block has room for: what is empty of the last one is lost.
const ROOM_MAX: u16 = 1_024;

/// Postings by the hashes of terms. They come by rising passage, and only grow.
#[derive(Debug, Clone, Default)]
pub(super) struct Postings {
    last: FxHashMap<u64, Block>,
    /// Of each block the room for its postings; before it, unless it is a term's first, the link to
    /// the block before.
    cells: Vec<Cell>,
}

/// One term in one passage, or a link: where a block begins, and what room it has.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    place: u32,
    count: u16,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    /// The cell of its first posting.
    start: u32,
    used: u16,
    room: u16,
}

impl Postings {
    /// Adds a term to a passage that is not before those which it stands in already; `count`: how
    /// often it stands there.
    pub(super) fn add(&mut self, hash: u64, passage: u32, count: u16) {
        let posting = Cell { place: passage, count };
        let end = self.cells.len();
        match self.last.entry(hash) {
            Entry::Vacant(vacant) => {
                vacant.insert(Block { start: narrow(end), used: 1, room: FIRST_ROOM });
                self.cells.push(posting);
            }
            Entry::Occupied(mut last) => {
                let last = last.get_mut();
                if last.used < last.room {
                    self.cells[last.start as usize + usize::from(last.used)] = posting;
                    last.used += 1;
                    return;
                }
                let room = (last.room + last.room.div_ceil(2)).min(ROOM_MAX);
                self.cells.push(Cell { place: last.start, count: last.room });
                self.cells.push(posting);
                self.cells.resize(end + 1 + usize::from(room), Cell::default());
                *last = Block { start: narrow(end + 1), used: 1, room };
            }
        }
    }

    /// Calls `each` with the passages that have the term, latest first, and its count there.
    pub(super) fn each(&self, hash: u64, mut each: impl FnMut(usize, u16)) {
        let Some(last) = self.last.get(&hash) else { return };
        let (mut start, mut used, mut room) = (last.start as usize, last.used, last.room);
        loop {
            for cell in self.cells[start..start + usize::from(used)].iter().rev() {
                each(cell.place as usize, cell.count);
            }
            if room == FIRST_ROOM {
                return;
            }
            let link = self.cells[start - 1];
            // A block that another came after is full.
            (start, used, room) = (link.place as usize, link.count, link.count);
        }
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
            + self.last.capacity() * (size_of::<(u64, Block)>() + 2)
    }
}

fn narrow(cell: usize) -> u32 {
    u32::try_from(cell).expect("a session has fewer than 2^32 postings")
}
