//! The vectors of a collection: rows of small integers in lists. Without an order all lists are
//! looked through; with one, each list has the rows that are near to its centre, and a question
//! looks at the nearest lists only.

use std::ops::Range;

use crate::documents::{digest, embedded::centres::Centres};
use crate::retrieve::{QueryVector, TurnVectors};
use crate::types::Generation;

/// Lists of rows without an order have so many at the most, so that memory is given back while
/// they are put in order.
const PAGE_ROWS: usize = 4_096;

/// Where a chunk's row is; a chunk without one is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    list: u32,
    row: u32,
}

const NOWHERE: Spot = Spot { list: u32::MAX, row: 0 };

/// Whose a row is: the slot of the document and the number of the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) slot: u32,
    pub(super) ordinal: u32,
}

#[derive(Default)]
struct List {
    numbers: Vec<i8>,
    scales: Vec<f32>,
    owners: Vec<Owner>,
}

/// The vectors of a collection.
#[derive(Default)]
pub(super) struct Rows {
    dimensions: usize,
    lists: Vec<List>,
    /// The lists that have centres; all others are without order.
    homes: Range<usize>,
    centres: Centres,
    /// How many rows there were when the centres were found.
    centred_rows: usize,
    /// The list that takes new rows while there are no centres.
    page: usize,
    spots: Vec<Vec<Spot>>,
    count: usize,
    digest: u64,
}

/// Room for sums and cosines.
pub(super) type Room = (Vec<i32>, Vec<f32>);

/// What a scan is given of rows, and what it says of them: how many could be in the answer.
pub(super) type Look<'a> = dyn FnMut(&[Owner], &[f32]) -> usize + 'a;

impl Rows {
    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many numbers each has; 0: there never was one.
    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The digest of all rows.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let list = |list: &List| {
            list.numbers.capacity() + list.scales.capacity() * 4 + list.owners.capacity() * 8 + 72
        };
        let spots = |spots: &Vec<Spot>| 24 + spots.capacity() * size_of::<Spot>();
        self.lists.iter().map(list).sum::<usize>() + self.spots.iter().map(spots).sum::<usize>()
    }

    /// Gives chunks of a document of `chunks` their vectors, from chunk `first` on. Vectors of
    /// another size are another model's: with the first of them all others go.
    pub(super) fn set(
        &mut self,
        slot: u32,
        generation: Generation,
        chunks: u32,
        first: u32,
        vectors: &TurnVectors,
    ) {
        let size = vectors.dimensions();
        if vectors.is_empty() || size == 0 {
            return;
        }
        if size != self.dimensions {
            *self = Self { dimensions: size, ..Self::default() };
        }
        self.make_spots(slot, chunks);
        for (ordinal, (row, scale)) in (first..chunks).zip(vectors.rows()) {
            self.clear(Owner { slot, ordinal }, generation);
            self.put(Owner { slot, ordinal }, generation, row, scale);
        }
    }

    /// The same for chunks that have none yet, by vectors of the size of the others.
    pub(super) fn fill(
        &mut self,
        slot: u32,
        generation: Generation,
        chunks: u32,
        first: u32,
        vectors: &TurnVectors,
    ) {
        if self.count == 0 {
            return self.set(slot, generation, chunks, first, vectors);
        }
        if vectors.dimensions() != self.dimensions {
            return;
        }
        self.make_spots(slot, chunks);
        for (ordinal, (row, scale)) in (first..chunks).zip(vectors.rows()) {
            let owner = Owner { slot, ordinal };
            if self.spot(owner).is_none() {
                self.put(owner, generation, row, scale);
            }
        }
    }

    fn make_spots(&mut self, slot: u32, chunks: u32) {
        if self.spots.len() <= slot as usize {
            self.spots.resize(slot as usize + 1, Vec::new());
        }
        if self.spots[slot as usize].len() != chunks as usize {
            self.spots[slot as usize] = vec![NOWHERE; chunks as usize];
        }
    }

    /// Takes in the row of a chunk that has none.
    fn put(&mut self, owner: Owner, generation: Generation, row: &[i8], scale: f32) {
        let list = self.list_for(row, scale);
        self.push(list, row, scale, owner);
        self.count += 1;
        let digest = digest::of_vector(generation, owner.ordinal, row);
        self.digest = self.digest.wrapping_add(digest);
    }

    /// Removes the rows of a document.
    pub(super) fn remove(&mut self, slot: u32, generation: Generation) {
        let chunks = self.spots.get(slot as usize).map_or(0, Vec::len);
        for ordinal in 0..u32::try_from(chunks).unwrap_or(u32::MAX) {
            self.clear(Owner { slot, ordinal }, generation);
        }
        if let Some(spots) = self.spots.get_mut(slot as usize) {
            *spots = Vec::new();
        }
    }

    /// The cosine of a chunk's vector with the question's, if it has one.
    /// `room` is room for the work.
    pub(super) fn cosine(&self, owner: Owner, query: &QueryVector, room: &mut Room) -> Option<f32> {
        let spot = self.spot(owner)?;
        let list = &self.lists[spot.list as usize];
        let (row, scale) = list.row(spot.row as usize, self.dimensions);
        query.cosines(row, &[scale], &mut room.0, &mut room.1);
        room.1.first().copied()
    }

    /// Shows all rows with their cosines, list by list.
    pub(super) fn scan(&self, query: &QueryVector, look: &mut Look<'_>) {
        let mut room = (Vec::new(), Vec::new());
        for list in &self.lists {
            list.scan(query, &mut room, look);
        }
    }

    /// Shows the rows without order, then those of the lists nearest to the question, until so many
    /// rows were said to count.
    pub(super) fn scan_near(&self, query: &QueryVector, enough: usize, look: &mut Look<'_>) {
        let mut room = (Vec::new(), Vec::new());
        for (at, list) in self.lists.iter().enumerate() {
            if !self.homes.contains(&at) {
                list.scan(query, &mut room, look);
            }
        }
        let mut counted = 0;
        for home in self.centres.by_nearness(query) {
            if counted >= enough {
                return;
            }
            counted += self.lists[self.homes.start + home].scan(query, &mut room, look);
        }
    }

    /// Whether there are centres.
    pub(super) fn is_ordered(&self) -> bool {
        !self.centres.is_empty()
    }

    /// Whether the centres are missing, or were found when there were half as many rows.
    pub(super) fn wants_order(&self, exact_max: usize) -> bool {
        self.count > exact_max && (!self.is_ordered() || self.count >= self.centred_rows * 2)
    }

    /// Some rows, evenly taken: their integers and scales.
    pub(super) fn sample(&self, most: usize) -> (Vec<i8>, Vec<f32>) {
        let (mut numbers, mut scales) = (Vec::new(), Vec::new());
        let step = self.count.div_ceil(most.max(1)).max(1);
        let mut skip = 0;
        for list in &self.lists {
            let mut row = skip;
            while row < list.scales.len() {
                let (integers, scale) = list.row(row, self.dimensions);
                numbers.extend_from_slice(integers);
                scales.push(scale);
                row += step;
            }
            skip = row - list.scales.len();
        }
        (numbers, scales)
    }

    /// Makes lists for these centres. The rows come into them step by step.
    pub(super) fn set_centres(&mut self, centres: Centres) {
        self.homes = self.lists.len()..self.lists.len() + centres.len();
        self.lists.resize_with(self.homes.end, List::default);
        self.centres = centres;
        self.centred_rows = self.count;
    }

    /// Some of the rows that are in no list of their own yet, with the list that is right; none
    /// when all are.
    pub(super) fn to_move(&self, most: usize) -> Vec<(Owner, usize)> {
        let strays = (0..self.lists.len()).rev().filter(|at| !self.homes.contains(at));
        let Some(list) = strays.map(|at| &self.lists[at]).find(|list| !list.owners.is_empty())
        else {
            return Vec::new();
        };
        let first = list.owners.len().saturating_sub(most);
        let home = |row: usize| {
            let (numbers, scale) = list.row(row, self.dimensions);
            (list.owners[row], self.homes.start + self.centres.nearest(numbers, scale))
        };
        // From the end, where they are taken off without others being moved.
        (first..list.owners.len()).rev().map(home).collect()
    }

    /// Moves rows to these lists, unless they are gone or at home meanwhile.
    pub(super) fn move_rows(&mut self, moves: &[(Owner, usize)]) {
        for (owner, to) in moves {
            let Some(spot) = self.spot(*owner) else { continue };
            if self.homes.contains(&(spot.list as usize)) || !self.homes.contains(to) {
                continue;
            }
            let list = &self.lists[spot.list as usize];
            let (row, scale) = list.row(spot.row as usize, self.dimensions);
            let row = row.to_vec();
            self.take(spot);
            self.push(*to, &row, scale, *owner);
        }
    }

    fn spot(&self, owner: Owner) -> Option<Spot> {
        let spots = self.spots.get(owner.slot as usize)?;
        spots.get(owner.ordinal as usize).copied().filter(|spot| *spot != NOWHERE)
    }

    fn list_for(&mut self, row: &[i8], scale: f32) -> usize {
        if self.is_ordered() {
            return self.homes.start + self.centres.nearest(row, scale);
        }
        let full = self.lists.get(self.page).is_none_or(|list| list.owners.len() >= PAGE_ROWS);
        if full {
            self.page = self.lists.len();
            self.lists.push(List::default());
        }
        self.page
    }

    fn push(&mut self, list: usize, row: &[i8], scale: f32, owner: Owner) {
        let rows = &mut self.lists[list];
        reserve(&mut rows.numbers, row.len());
        rows.numbers.extend_from_slice(row);
        reserve(&mut rows.scales, 1);
        rows.scales.push(scale);
        reserve(&mut rows.owners, 1);
        rows.owners.push(owner);
        let row = narrow(rows.owners.len() - 1);
        self.spots[owner.slot as usize][owner.ordinal as usize] = Spot { list: narrow(list), row };
    }

    /// Removes the row of a chunk, if it has one.
    fn clear(&mut self, owner: Owner, generation: Generation) {
        let Some(spot) = self.spot(owner) else { return };
        let list = &self.lists[spot.list as usize];
        let (row, _) = list.row(spot.row as usize, self.dimensions);
        let digest = digest::of_vector(generation, owner.ordinal, row);
        self.digest = self.digest.wrapping_sub(digest);
        self.count -= 1;
        self.take(spot);
        self.spots[owner.slot as usize][owner.ordinal as usize] = NOWHERE;
    }

    /// Takes a row off its list; the last one comes to its place.
    fn take(&mut self, spot: Spot) {
        let (size, at) = (self.dimensions, spot.row as usize);
        let list = &mut self.lists[spot.list as usize];
        let last = list.owners.len() - 1;
        list.numbers.copy_within(last * size..(last + 1) * size, at * size);
        list.numbers.truncate(last * size);
        list.scales.swap_remove(at);
        list.owners.swap_remove(at);
        if let Some(moved) = list.owners.get(at) {
            self.spots[moved.slot as usize][moved.ordinal as usize] = spot;
        }
        if list.owners.is_empty() {
            *list = List::default();
        }
    }
}

impl List {
    fn row(&self, row: usize, size: usize) -> (&[i8], f32) {
        (&self.numbers[row * size..(row + 1) * size], self.scales[row])
    }

    fn scan(&self, query: &QueryVector, room: &mut Room, look: &mut Look<'_>) -> usize {
        if self.owners.is_empty() {
            return 0;
        }
        query.cosines(&self.numbers, &self.scales, &mut room.0, &mut room.1);
        look(&self.owners, &room.1)
    }
}

/// Makes room for `more`, and for an eighth of what there is: doubling would leave half of the
/// largest part of an index empty.
fn reserve<T>(row: &mut Vec<T>, more: usize) {
    if row.capacity() - row.len() < more {
        row.reserve_exact(more.max(row.len() / 8));
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("a collection has fewer rows")
}
