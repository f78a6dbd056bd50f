//! Plans hold their preconditions: what was forgotten meanwhile is not written.

use bytes::Bytes;

use crate::catalog::{
    DOCUMENT_BYTES_MAX, PARTS_MAX, PartRefused, Spot, Whole, plan_chunks, plan_delete_document,
    plan_done, plan_forget_life, plan_part, plan_start,
};
use crate::record::{
    Answer, ChunkRow, CollectionRow, DocumentHeader, DocumentRow, IngestOutcome, UploadRow,
    document_keys as keys, encode,
};
use crate::sessions::{Draft, Revised};
use crate::storage::{CommitError, MemStore, Read, Revision, Row, Store as _};
use crate::types::{
    ChunkSpan, Chunking, CollectionId, DocumentId, Generation, Incarnation, MediaType, Metadata,
    TenantId, Timestamp,
};

const LIFE: Incarnation = Incarnation([1; 16]);
const FIRST: Generation = Generation([2; 16]);
const SECOND: Generation = Generation([3; 16]);
const NOW: Timestamp = Timestamp(1_000);

fn spot() -> Spot {
    Spot {
        tenant: TenantId::parse("t").unwrap(),
        collection: CollectionId::parse("c").unwrap(),
        document: DocumentId::parse("d").unwrap(),
    }
}

fn header(bytes: u64) -> DocumentHeader {
    DocumentHeader {
        title: String::new(),
        media: MediaType::Plain,
        metadata: Metadata::new(),
        chunking: Chunking::DEFAULT,
        created_at: None,
        bytes,
    }
}

fn document(generation: Generation) -> DocumentRow {
    DocumentRow {
        generation,
        header: header(0),
        bytes: 3,
        content_hash: [0; 32],
        text_bytes: 3,
        bytes_covered: 3,
        verbatim: true,
        chunks: 1,
        tokens: 1,
        ingested_at: NOW,
        language: String::new(),
    }
}

/// A store in which a document's upload has begun.
struct World {
    store: MemStore,
    collection: Revised<CollectionRow>,
    upload: Revised<UploadRow>,
}

impl World {
    fn new() -> Self {
        let store = MemStore::new();
        let (draft, life, row) = plan_start(&spot(), None, None, &header(0), (LIFE, FIRST), NOW);
        assert_eq!(life, LIFE);
        let revision = commit(&store, draft).expect("the store was empty");
        let collection = CollectionRow { incarnation: LIFE, created_at: NOW };
        let collection = Revised { row: collection, revision };
        Self { store, collection, upload: Revised { row, revision } }
    }

    fn part(&mut self, offset: u64, bytes: &'static [u8]) {
        let part = (offset, Bytes::from_static(bytes));
        let (draft, row) = plan_part(&spot(), LIFE, &self.upload, part, NOW).unwrap();
        let revision = commit(&self.store, draft).expect("nobody else writes");
        self.upload = Revised { row, revision };
    }

    fn done(&self, before: Option<&Revised<DocumentRow>>) -> Draft {
        let row = document(self.upload.row.generation);
        let whole = Whole {
            collection: &self.collection,
            upload: &self.upload,
            before,
            parts: &[0],
            chunks_embedded: 0,
            embeds: true,
        };
        let plan = plan_done(&spot(), &row, &whole, None, NOW);
        let Answer::Ingested(ingested) = plan.answer else { panic!("{:?}", plan.answer) };
        let expected = match before {
            Some(_) => IngestOutcome::Replaced,
            None => IngestOutcome::Created,
        };
        assert_eq!(ingested.outcome, expected);
        plan.draft
    }

    /// Begins the document anew, as another stream does.
    fn begin_again(&self) -> Revised<UploadRow> {
        let (collection, upload) = (Some(&self.collection), Some(&self.upload));
        let fresh = (Incarnation([9; 16]), SECOND);
        let (draft, life, row) = plan_start(&spot(), collection, upload, &header(0), fresh, NOW);
        assert_eq!(life, LIFE, "a collection that is there keeps its life");
        Revised { row, revision: commit(&self.store, draft).expect("nobody else writes") }
    }
}

/// Commits at once: the store in memory never waits.
fn commit(store: &MemStore, draft: Draft) -> Option<Revision> {
    match futures::executor::block_on(store.commit(draft.into_batch())) {
        Ok(revision) => Some(revision),
        Err(CommitError::Conflict { .. }) => None,
        Err(CommitError::Store(error)) => panic!("{error}"),
    }
}

fn rows(store: &MemStore, prefix: Vec<u8>) -> Vec<Row> {
    futures::executor::block_on(store.read(vec![Read::prefix(prefix)])).unwrap().remove(0)
}

#[test]
fn parts_come_in_order_within_their_limits() {
    let mut world = World::new();
    world.part(0, b"abc");
    let refused = |offset: u64, bytes: usize, upload: &Revised<UploadRow>| {
        let part = (offset, Bytes::from(vec![b'x'; bytes]));
        plan_part(&spot(), LIFE, upload, part, NOW).map(drop).unwrap_err()
    };
    let upload = &world.upload;
    assert_eq!(refused(2, 1, upload), PartRefused::OutOfOrder { expected: 3 });
    let told = UploadRow { header: header(4), ..upload.row.clone() };
    let told = Revised { row: told, revision: upload.revision };
    assert_eq!(refused(3, 2, &told), PartRefused::TooLarge);
    let full = UploadRow { bytes_durable: DOCUMENT_BYTES_MAX, ..upload.row.clone() };
    let full = Revised { row: full, revision: upload.revision };
    assert_eq!(refused(DOCUMENT_BYTES_MAX, 1, &full), PartRefused::TooLarge);
    let many = UploadRow { parts: PARTS_MAX, ..upload.row.clone() };
    let many = Revised { row: many, revision: upload.revision };
    assert_eq!(refused(3, 1, &many), PartRefused::TooMany);
}

#[test]
fn a_stream_whose_upload_was_replaced_writes_nothing_more() {
    let mut world = World::new();
    world.part(0, b"abc");
    let old = world.upload.clone();
    world.begin_again();
    let part = (3, Bytes::from_static(b"def"));
    let (draft, _) = plan_part(&spot(), LIFE, &old, part, NOW).unwrap();
    assert_eq!(commit(&world.store, draft), None);
    let span = ChunkSpan { start: 0, end: 3, heading: Vec::new(), hash: [0; 16], tokens: 1 };
    let chunk = ChunkRow { span, text: "abc".to_owned() };
    let draft = plan_chunks(&spot(), LIFE, &old, &[(0, chunk)], &[]);
    assert_eq!(commit(&world.store, draft), None);
    assert_eq!(commit(&world.store, world.done(None)), None);
    // What the old stream had written is named to be removed.
    assert_eq!(rows(&world.store, keys::forgotten(FIRST)).len(), 1);
}

#[test]
fn a_document_replaces_the_one_that_was_read_and_no_other() {
    let mut world = World::new();
    world.part(0, b"abc");
    let revision = commit(&world.store, world.done(None)).expect("nobody else writes");
    assert!(rows(&world.store, keys::parts(FIRST)).is_empty(), "a verbatim text has no parts");
    assert!(rows(&world.store, vec![b'l']).is_empty(), "the upload is named no more");
    let before = Revised { row: document(FIRST), revision };
    world.upload = {
        let (draft, _, row) =
            plan_start(&spot(), Some(&world.collection), None, &header(0), (LIFE, SECOND), NOW);
        Revised { row, revision: commit(&world.store, draft).expect("nobody else writes") }
    };
    assert_eq!(commit(&world.store, world.done(None)), None, "a document is there");
    commit(&world.store, world.done(Some(&before))).expect("it is the one that was read");
    assert_eq!(rows(&world.store, keys::forgotten(FIRST)).len(), 1);
    let pending = rows(&world.store, keys::all_pending());
    let named = pending.iter().filter_map(|row| keys::pending_named_by(&row.key));
    assert_eq!(named.map(|(_, generation)| generation).collect::<Vec<_>>(), [SECOND]);
}

#[test]
fn nothing_of_a_collection_that_is_gone_is_left_or_comes_back() {
    let mut world = World::new();
    world.part(0, b"abc");
    let revision = commit(&world.store, world.done(None)).expect("nobody else writes");
    let document = Revised { row: document(FIRST), revision };
    let upload = {
        let collection = Some(&world.collection);
        let fresh = (LIFE, SECOND);
        let (draft, _, row) = plan_start(&spot(), collection, None, &header(0), fresh, NOW);
        Revised { row, revision: commit(&world.store, draft).expect("nobody else writes") }
    };
    let all = rows(&world.store, keys::in_life(LIFE));
    assert_eq!(all.len(), 2, "a document and an upload");
    let step = plan_forget_life(&spot().tenant, LIFE, &all).unwrap();
    commit(&world.store, step.draft).expect("nothing is demanded");
    let mut contents = step.contents;
    contents.sort();
    assert_eq!(contents, [FIRST, SECOND]);
    assert!(rows(&world.store, keys::in_life(LIFE)).is_empty());
    assert!(rows(&world.store, keys::all_pending()).is_empty());
    let part = (0, Bytes::from_static(b"late"));
    let (draft, _) = plan_part(&spot(), LIFE, &upload, part, NOW).unwrap();
    assert_eq!(commit(&world.store, draft), None);
    let late = plan_delete_document(&spot(), LIFE, Some(&document), None, None, NOW);
    assert_eq!(commit(&world.store, late.draft), None);
    let end = plan_forget_life(&spot().tenant, LIFE, &[]).unwrap();
    assert!(end.contents.is_empty());
    let batch = end.draft.into_batch();
    let removed: Vec<_> = batch.writes().map(|(key, value)| (key.to_vec(), value)).collect();
    assert_eq!(removed, [(keys::forgotten_life(LIFE), None)]);
}

#[test]
fn a_row_of_a_collection_that_cannot_be_read_stops_its_removal() {
    let key = keys::document(LIFE, &spot().document);
    let row = Row { key: key.into(), revision: Revision(1), value: encode(&7_u8).into() };
    assert!(plan_forget_life(&spot().tenant, LIFE, &[row]).is_err());
}
