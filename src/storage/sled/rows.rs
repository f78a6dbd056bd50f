//! How a row lies in sled: a record with a checksum, and for a long value further ones.
//!
//! | key | value |
//! | --- | --- |
//! | `r` key | checksum over all of the row; revision; length of the value; its first part |
//! | `p` key, number of the part from 1 | a further part |
//! | `g` place in the ring | checksum over the key and the position; position of a group |

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::super::Revision;
use super::super::disk::Position;

/// The first byte of the keys of rows; the rest is the caller's key.
const ROW: u8 = b'r';

/// The first byte of the keys of further parts.
const PART: u8 = b'p';

/// The first byte of the keys of groups.
const GROUP: u8 = b'g';

/// The most bytes of a value in one record, so that a node of sled stays in its log.
pub(super) const PART_BYTES: usize = 4096;

/// Checksum, revision, length.
const HEAD_BYTES: usize = 8 + 8 + 4;

/// A value with the commit that put it.
pub(super) type Valued = (Revision, Bytes);

/// The key of the record of a row.
pub(super) fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

/// The first key after all rows.
pub(super) fn rows_end() -> Vec<u8> {
    vec![ROW + 1]
}

/// The caller's key of a record of a row.
pub(super) fn key_of(record: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&record[1..])
}

/// The key of a further part, numbered from 1.
pub(super) fn part_key(key: &[u8], number: usize) -> Vec<u8> {
    let number = u32::try_from(number).expect("a batch has fewer than 2^32 parts");
    [&[PART], key, &number.to_be_bytes()].concat()
}

/// The key of a group's record.
pub(super) fn group_key(position: &Position) -> Vec<u8> {
    [&[GROUP], &position.place()[..]].concat()
}

/// The prefix of the keys of groups.
pub(super) fn groups() -> [u8; 1] {
    [GROUP]
}

/// How many parts beside the first one a value of so many bytes has.
pub(super) fn further_parts(bytes: usize) -> usize {
    bytes.div_ceil(PART_BYTES).saturating_sub(1)
}

/// The record of a row and its further parts, in order.
pub(super) fn encode(key: &[u8], revision: Revision, value: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut parts = value.chunks(PART_BYTES);
    let first = parts.next().unwrap_or_default();
    let length = u32::try_from(value.len()).expect("a batch has fewer than 2^32 bytes");
    let mut record = Vec::with_capacity(HEAD_BYTES + first.len());
    record.extend_from_slice(&row_sum(key, revision, value));
    record.extend_from_slice(&revision.0.to_be_bytes());
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(first);
    (record, parts.map(<[u8]>::to_vec).collect())
}

/// A record of a row, not yet checked.
pub(super) struct Record<'a> {
    sum: [u8; 8],
    revision: Revision,
    length: usize,
    first: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record; `None` when it is too short to be one, or its length cannot be right.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (sum, bytes) = bytes.split_first_chunk::<8>()?;
        let (revision, bytes) = bytes.split_first_chunk::<8>()?;
        let (length, first) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let revision = Revision(u64::from_be_bytes(*revision));
        let fits = first.len() == length.min(PART_BYTES);
        fits.then_some(Self { sum: *sum, revision, length, first })
    }

    /// How many further parts the value has.
    pub(super) fn further_parts(&self) -> usize {
        further_parts(self.length)
    }

    /// The value, put together from the record and its further parts; `None` when the checksum
    /// says that it is not what was written.
    pub(super) fn value<T: AsRef<[u8]>>(&self, key: &[u8], further: &[T]) -> Option<Valued> {
        let mut value = Vec::with_capacity(self.length.min(PART_BYTES * (1 + further.len())));
        value.extend_from_slice(self.first);
        further.iter().for_each(|part| value.extend_from_slice(part.as_ref()));
        let sound = row_sum(key, self.revision, &value) == self.sum;
        sound.then(|| (self.revision, value.into()))
    }
}

/// The record of a group.
pub(super) fn encode_group(position: &Position) -> Vec<u8> {
    let position_bytes = position.encode();
    [&group_sum(&group_key(position), &position_bytes)[..], &position_bytes].concat()
}

/// Reads the record of a group; `None` when it is damaged.
pub(super) fn decode_group(key: &[u8], bytes: &[u8]) -> Option<Position> {
    let (sum, position) = bytes.split_first_chunk::<8>()?;
    (*sum == group_sum(key, position)).then(|| Position::decode(position)).flatten()
}

fn row_sum(key: &[u8], revision: Revision, value: &[u8]) -> [u8; 8] {
    let mut hasher = Xxh3::new();
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(&revision.0.to_be_bytes());
    hasher.update(value);
    hasher.digest().to_be_bytes()
}

fn group_sum(key: &[u8], position: &[u8]) -> [u8; 8] {
    let mut hasher = Xxh3::new();
    hasher.update(key);
    hasher.update(position);
    hasher.digest().to_be_bytes()
}
