//! The keys of documents, as `src/ARCHITECTURE.md` lists them.

use crate::record::{Slot, keys::Key};
use crate::types::{CollectionId, DocumentId, Generation, Incarnation, TenantId, Timestamp};

fn of(kind: u8, id: &str) -> Key {
    let mut key = Vec::with_capacity(64);
    key.push(kind);
    key.extend_from_slice(id.as_bytes());
    key.push(0);
    key
}

fn with(mut key: Key, rest: &[u8]) -> Key {
    key.extend_from_slice(rest);
    key
}

/// `C tenant NUL collection`.
pub fn collection(tenant: &TenantId, collection: &CollectionId) -> Key {
    with(of(b'C', tenant.as_str()), collection.as_str().as_bytes())
}

/// The prefix of a tenant's collections.
pub fn collections(tenant: &TenantId) -> Key {
    of(b'C', tenant.as_str())
}

/// The prefix of all collections of all tenants.
pub fn all_collections() -> Key {
    vec![b'C']
}

/// The tenant and the collection that a key of [`collection`] names; `None` when it is no such key.
pub fn collection_named_by(key: &[u8]) -> Option<(TenantId, CollectionId)> {
    let text = std::str::from_utf8(key.get(1..)?).ok()?;
    let (tenant, collection) = text.split_once('\0')?;
    Some((TenantId::parse(tenant).ok()?, CollectionId::parse(collection).ok()?))
}

fn in_collection(collection: Incarnation, part: u8) -> Key {
    let mut key = Vec::with_capacity(64);
    key.push(b'c');
    key.extend_from_slice(&collection.0);
    key.push(part);
    key
}

/// The prefix of everything that belongs to a life of a collection.
pub fn in_life(collection: Incarnation) -> Key {
    with(vec![b'c'], &collection.0)
}

/// `c inc d document`.
pub fn document(collection: Incarnation, document: &DocumentId) -> Key {
    with(in_collection(collection, b'd'), document.as_str().as_bytes())
}

/// The prefix of the documents of a collection.
pub fn documents(collection: Incarnation) -> Key {
    in_collection(collection, b'd')
}

/// `c inc o document`.
pub fn upload(collection: Incarnation, document: &DocumentId) -> Key {
    with(in_collection(collection, b'o'), document.as_str().as_bytes())
}

/// The prefix of the uploads of a collection.
pub fn uploads(collection: Incarnation) -> Key {
    in_collection(collection, b'o')
}

/// The document that a key of [`document`] or [`upload`] names; `None` when it is no such key.
pub fn document_named_by(key: &[u8]) -> Option<DocumentId> {
    DocumentId::parse(std::str::from_utf8(key.get(18..)?).ok()?).ok()
}

fn of_generation(generation: Generation, part: u8) -> Key {
    let mut key = Vec::with_capacity(32);
    key.push(b'g');
    key.extend_from_slice(&generation.0);
    key.push(part);
    key
}

/// The prefix of everything that belongs to a content.
pub fn content(generation: Generation) -> Key {
    with(vec![b'g'], &generation.0)
}

/// `g gen p offset`.
pub fn part(generation: Generation, offset: u64) -> Key {
    with(of_generation(generation, b'p'), &offset.to_be_bytes())
}

/// `g gen k ordinal`.
pub fn chunk(generation: Generation, ordinal: u32) -> Key {
    with(of_generation(generation, b'k'), &ordinal.to_be_bytes())
}

/// `g gen v first ordinal`, and `g gen y first ordinal` of the second slot.
pub fn chunk_vectors(slot: Slot, generation: Generation, first: u32) -> Key {
    with(of_generation(generation, slot.letter()), &first.to_be_bytes())
}

/// The prefix of the parts of a content.
pub fn parts(generation: Generation) -> Key {
    of_generation(generation, b'p')
}

/// The prefix of the chunks of a content.
pub fn chunks(generation: Generation) -> Key {
    of_generation(generation, b'k')
}

/// The prefix of the vectors of a content in a slot.
pub fn vectors(slot: Slot, generation: Generation) -> Key {
    of_generation(generation, slot.letter())
}

/// The number at the end of a key of [`part`].
pub fn offset_of(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The number at the end of a key of [`chunk`] or [`chunk_vectors`].
pub fn ordinal_of(key: &[u8]) -> Option<u32> {
    key.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// `q tenant NUL gen`.
pub fn pending(tenant: &TenantId, generation: Generation) -> Key {
    with(of(b'q', tenant.as_str()), &generation.0)
}

/// The prefix of a tenant's contents with chunks that wait for vectors.
pub fn pending_of(tenant: &TenantId) -> Key {
    of(b'q', tenant.as_str())
}

/// The prefix of all contents with chunks that wait for vectors.
pub fn all_pending() -> Key {
    vec![b'q']
}

/// The tenant and the content that a key of [`pending`] names; `None` when it is no such key.
pub fn pending_named_by(key: &[u8]) -> Option<(TenantId, Generation)> {
    let (generation, tenant) = key.get(1..)?.split_last_chunk::<16>().map(|(t, g)| (*g, t))?;
    let tenant = std::str::from_utf8(tenant.strip_suffix(&[0])?).ok()?;
    Some((TenantId::parse(tenant).ok()?, Generation(generation)))
}

/// `f gen`.
pub fn forgotten(generation: Generation) -> Key {
    with(vec![b'f'], &generation.0)
}

/// The prefix of all contents that are to be removed.
pub fn all_forgotten() -> Key {
    vec![b'f']
}

/// `F inc`.
pub fn forgotten_life(collection: Incarnation) -> Key {
    with(vec![b'F'], &collection.0)
}

/// The prefix of all lives of collections that are to be removed.
pub fn all_forgotten_lives() -> Key {
    vec![b'F']
}

/// The 16 bytes that a key of [`forgotten`] or [`forgotten_life`] names.
pub fn forgotten_named_by(key: &[u8]) -> Option<[u8; 16]> {
    key.get(1..)?.try_into().ok()
}

/// `l time gen`.
pub fn upload_by_age(begun: Timestamp, generation: Generation) -> Key {
    let mut key = vec![b'l'];
    key.extend_from_slice(&((begun.0 as u64) ^ (1 << 63)).to_be_bytes());
    with(key, &generation.0)
}

/// The keys of uploads that began before `at`: from, to (exclusive).
pub fn uploads_before(at: Timestamp) -> (Key, Key) {
    let mut to = vec![b'l'];
    to.extend_from_slice(&((at.0 as u64) ^ (1 << 63)).to_be_bytes());
    (vec![b'l'], to)
}
