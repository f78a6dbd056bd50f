//! A document is whole: read, cut, kept, found.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;

use crate::catalog::{Whole, plan_chunks, plan_done, plan_give_up, plan_unchanged};
use crate::chunks::{Extract, chunk, extract, searchable};
use crate::documents::{IndexError, Place};
use crate::error::{Failure, Reason};
use crate::extract::{PdfLimits, pdf};
use crate::memory::{
    Answered, Memory, Space,
    documents::{
        ATTEMPTS_MAX, FINISHING_BYTES, FINISHING_TIMES, Known, Shelved, Upload, contention, entry,
        ingest::{bytes_mismatch, replaced},
        place,
        record::record_error,
    },
    rows::repeat_of,
};
use crate::pool::compute;
use crate::record::{
    ChunkRow, ChunkVectorsRow, DocumentHeader, DocumentRow, Slot, UploadName, UploadRow,
    VECTORS_A_ROW, Verb, decode, document_keys as keys,
};
use crate::retrieve::TurnVectors;
use crate::sessions::{Repeat, Revised};
use crate::storage::{Read, Row};
use crate::telemetry::document_whole;
use crate::types::{ChunkSpan, Generation, MediaType, Policy};

/// How many bytes of chunks are written in one commit, about.
const COMMIT_BYTES: usize = 1 << 20;
/// How many chunks are written in one commit, at the most.
const COMMIT_CHUNKS: usize = 1_024;

/// Vectors, each with the key of its embedder, by the hash of the chunk's text.
type ByHash = HashMap<[u8; 16], (String, TurnVectors)>;

/// What makes two documents of a `request_id` the same request.
#[derive(Serialize)]
struct Asked<'a> {
    collection: &'a str,
    document: &'a str,
    header: &'a DocumentHeader,
    content_hash: [u8; 32],
}

/// A document that is whole.
#[derive(Debug)]
pub struct Finished {
    /// What became of it.
    pub answered: Answered,
    /// Whether the index has it.
    pub words_indexed: bool,
}

/// A document that was cut.
struct Cut {
    extract: Extract,
    spans: Vec<ChunkSpan>,
    texts: Vec<String>,
}

impl Memory {
    /// Makes an upload whose last part came the document that is found.
    ///
    /// # Errors
    /// `BYTES_MISMATCH`, `DOCUMENT_UNREADABLE`, `UPLOAD_REPLACED`, `REQUEST_ID_REUSED`, and what
    /// the store refuses.
    pub async fn finish_upload(
        &self,
        policy: &Policy,
        upload: &Upload,
    ) -> Result<Finished, Failure> {
        let Upload { spot, row, .. } = upload;
        let UploadRow { header, bytes_durable, .. } = &row.row;
        if header.bytes > 0 && header.bytes != *bytes_durable {
            return Err(bytes_mismatch(&row.row));
        }
        let kib = (*bytes_durable as usize >> 10) * FINISHING_TIMES + 1;
        let kib = u32::try_from(kib.min(FINISHING_BYTES >> 10)).unwrap_or(u32::MAX);
        let room = self.library.finishing.clone().acquire_many_owned(kib).await;
        let _room = room.expect("it is never closed");
        let (bytes, parts) = self.parts_of(&row.row).await?;
        let content_hash = *blake3::hash(&bytes).as_bytes();
        let asked = Asked {
            collection: spot.collection.as_str(),
            document: spot.document.as_str(),
            header,
            content_hash,
        };
        let repeat = repeat_of(&spot.tenant, Verb::IngestDocument, upload.request_id, &asked);
        let _turn = self.document_lock(spot).await;
        let known = self.known(spot).await?.document;
        if let Some(answered) =
            self.as_before(upload, &asked, known.as_ref(), repeat.as_ref()).await?
        {
            document_whole("unchanged", 0);
            return Ok(Finished { answered, words_indexed: true });
        }
        let cut = self.cut(header, bytes.clone()).await?;
        let before = known.as_ref().map(|document| &document.row);
        let embedded = self.keep_chunks(upload, &cut, before).await?;
        let document = DocumentRow {
            generation: row.row.generation,
            header: header.clone(),
            bytes: bytes.len() as u64,
            content_hash,
            text_bytes: cut.extract.text.len() as u64,
            bytes_covered: covered(&cut.spans),
            verbatim: cut.extract.verbatim,
            chunks: u32::try_from(cut.spans.len()).unwrap_or(u32::MAX),
            tokens: cut.spans.iter().map(|span| u64::from(span.tokens)).sum(),
            ingested_at: self.now(),
            language: policy.retrieval.language.clone(),
        };
        drop(bytes);
        let answered = self.make_found((upload, &parts), &document, embedded, repeat.as_ref());
        let answered = answered.await?;
        let outcome = if before.is_some() { "replaced" } else { "created" };
        document_whole(outcome, document.chunks);
        let words_indexed = self.take_in(upload, &document, cut.texts).await?;
        self.beside_document(Shelved {
            tenant: spot.tenant.clone(),
            collection: spot.collection.clone(),
            life: upload.life,
            document: spot.document.clone(),
        });
        if let Some(before) = before {
            self.forget_content(before.generation).await?;
        }
        if embedded < document.chunks {
            self.library.waiting.notify_one();
        }
        Ok(Finished { answered, words_indexed })
    }

    /// The answer to a document that came before: with the same `request_id`, or the same in all
    /// that counts. Its upload is given up.
    async fn as_before(
        &self,
        upload: &Upload,
        asked: &Asked<'_>,
        known: Option<&Revised<DocumentRow>>,
        repeat: Option<&Repeat>,
    ) -> Result<Option<Answered>, Failure> {
        if let Some(answered) = self.replayed(repeat).await? {
            self.give_up(upload).await?;
            return Ok(Some(answered));
        }
        let same = known.filter(|known| {
            known.row.content_hash == asked.content_hash && known.row.header.is_same(asked.header)
        });
        let Some(same) = same else { return Ok(None) };
        let Upload { spot, life, row, .. } = upload;
        let embedded = self.chunks_embedded(&spot.tenant, &same.row).await?;
        let answered = self.commit(repeat, || async {
            Ok(plan_unchanged(spot, *life, row, (same, embedded), repeat, self.now()))
        });
        let answered = answered.await?;
        self.forget_content(row.row.generation).await?;
        Ok(Some(answered))
    }

    /// Has the index take a document in. `false`: it cannot now, and does so later.
    async fn take_in(
        &self,
        upload: &Upload,
        document: &DocumentRow,
        texts: Vec<String>,
    ) -> Result<bool, Failure> {
        let Some(index) = &self.library.index else { return Ok(false) };
        let (spot, life) = (&upload.spot, upload.life);
        let place = place(&spot.tenant, life);
        let taken = async {
            index.put(&place, entry(spot, document), texts).await?;
            self.vectors_to_index(&place, document.generation).await?;
            // Its collection may have gone meanwhile.
            let now = self.known(spot).await.map_err(record_error)?.document;
            match now.is_some_and(|now| now.row.generation == document.generation) {
                true => Ok(()),
                false => index.remove(&place, document.generation).await,
            }
        };
        Ok(self.noted(taken.await))
    }

    /// Gives up an upload that does not become a document.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn give_up(&self, upload: &Upload) -> Result<(), Failure> {
        let name = UploadName {
            tenant: upload.spot.tenant.clone(),
            collection: upload.life,
            document: upload.spot.document.clone(),
        };
        let draft = plan_give_up(&name, &upload.row, self.now());
        if self.commit_draft(draft).await?.is_some() {
            self.forget_content(upload.row.row.generation).await?;
        }
        Ok(())
    }

    /// The bytes of an upload, and where its parts begin.
    async fn parts_of(&self, upload: &UploadRow) -> Result<(Bytes, Vec<u64>), Failure> {
        let rows = self.read(vec![Read::prefix(keys::parts(upload.generation))]).await?.remove(0);
        let mut bytes = Vec::with_capacity(upload.bytes_durable as usize);
        let mut starts = Vec::with_capacity(rows.len());
        for row in &rows {
            starts.extend(keys::offset_of(&row.key));
            bytes.extend_from_slice(&row.value);
        }
        if bytes.len() as u64 != upload.bytes_durable {
            // Another stream's upload is forgotten under our hands.
            return Err(replaced());
        }
        Ok((bytes.into(), starts))
    }

    /// Reads and cuts a document, on the pool where it is large.
    async fn cut(&self, header: &DocumentHeader, bytes: Bytes) -> Result<Cut, Failure> {
        let extracted = match header.media {
            MediaType::Pdf => Some(self.read_pdf(&bytes).await?),
            _ => None,
        };
        let counter = self.counter();
        let DocumentHeader { title, media, chunking, .. } = header.clone();
        let cut = self.heavy.run(self.pool.as_ref(), bytes.len(), move |_| {
            let extract = match extracted {
                Some(extract) => extract,
                None => extract(media, &bytes).map_err(unreadable_document)?,
            };
            let spans = chunk(&title, &extract, chunking, &|text| counter.count(text));
            let text = |span: &ChunkSpan| {
                let own = &extract.text[span.start as usize..span.end as usize];
                searchable(&title, &span.heading, own)
            };
            let texts = spans.iter().map(text).collect();
            Ok(Cut { extract, spans, texts })
        });
        cut.await
    }

    async fn read_pdf(&self, bytes: &[u8]) -> Result<Extract, Failure> {
        let program = &self.library.program;
        let _reader = self.library.pdf_readers.acquire().await.expect("it is never closed");
        let read = pdf(program, bytes.to_vec(), PdfLimits::DEFAULT).await;
        read.map_err(|error| match error.is_of_the_document() {
            true => unreadable_document(error),
            false => Failure::new(Reason::Internal, "PDF cannot be read here").because(error),
        })
    }

    /// Writes the chunks of an upload, with the vectors of those that were in the content before.
    /// Gives how many have theirs.
    async fn keep_chunks(
        &self,
        upload: &Upload,
        cut: &Cut,
        before: Option<&DocumentRow>,
    ) -> Result<u32, Failure> {
        let (serving, beside) = (self.spaces.serving(), self.spaces.beside());
        let serving_slot = serving.as_ref().map(|space| space.slot);
        let spaces: Vec<Space> = serving.into_iter().chain(beside).collect();
        let known = match before {
            Some(before) if !spaces.is_empty() => self.vectors_by_hash(before, spaces).await?,
            _ => Vec::new(),
        };
        let mut embedded = 0;
        let mut first = 0;
        while first < cut.spans.len() {
            let (rows, next) = rows_from(cut, first);
            let mut vectors = Vec::new();
            for (slot, known) in &known {
                let rows = kept_vectors(&cut.spans[first..next], first, known);
                if Some(*slot) == serving_slot {
                    embedded += rows.iter().map(|(_, row)| row.vectors.len() as u32).sum::<u32>();
                }
                vectors.extend(rows.into_iter().map(|(first, row)| (*slot, first, row)));
            }
            let draft = plan_chunks(&upload.spot, upload.life, &upload.row, &rows, &vectors);
            self.commit_draft(draft).await?.ok_or_else(replaced)?;
            first = next;
        }
        Ok(embedded)
    }

    /// The vectors of a content in each of the spaces, by the hashes of its chunks.
    async fn vectors_by_hash(
        &self,
        before: &DocumentRow,
        spaces: Vec<Space>,
    ) -> Result<Vec<(Slot, ByHash)>, Failure> {
        let vectors = spaces.iter().map(|space| keys::vectors(space.slot, before.generation));
        let all = [keys::chunks(before.generation)].into_iter().chain(vectors);
        let mut rows = self.read(all.map(Read::prefix).collect()).await?.into_iter();
        let chunks = rows.next().unwrap_or_default();
        let vectors: Vec<(Space, Vec<Row>)> = spaces.into_iter().zip(rows).collect();
        let known = compute(self.pool.as_ref(), move || {
            let hash = |row: &Row| {
                let ordinal = keys::ordinal_of(&row.key)?;
                Some((ordinal, decode::<ChunkRow>(&row.value).ok()?.span.hash))
            };
            let hashes: HashMap<u32, [u8; 16]> = chunks.iter().filter_map(hash).collect();
            let of = |(space, rows): (Space, Vec<Row>)| {
                (space.slot, by_hash(&hashes, &rows, space.embedder.key()))
            };
            vectors.into_iter().map(of).collect()
        });
        Ok(known.await.expect("reading rows does not panic"))
    }

    /// The commit that makes a content the one that is found.
    async fn make_found(
        &self,
        (upload, parts): (&Upload, &[u64]),
        document: &DocumentRow,
        chunks_embedded: u32,
        repeat: Option<&Repeat>,
    ) -> Result<Answered, Failure> {
        for _ in 0..ATTEMPTS_MAX {
            let Known { collection, upload: now_there, document: before } =
                self.known(&upload.spot).await?;
            let same = |row: &Revised<UploadRow>| row.revision == upload.row.revision;
            let Some((collection, _)) = collection.zip(now_there.filter(same)) else {
                return Err(replaced());
            };
            let whole = Whole {
                collection: &collection,
                upload: &upload.row,
                before: before.as_ref(),
                parts,
                chunks_embedded,
                embeds: self.spaces.embeds(),
            };
            let plan = plan_done(&upload.spot, document, &whole, repeat, self.now());
            if self.commit_draft(plan.draft).await?.is_some() {
                return Ok(Answered { answer: plan.answer, replayed: false });
            }
        }
        Err(contention())
    }

    /// Tells the index the vectors that a content has in the record.
    async fn vectors_to_index(
        &self,
        place: &Place,
        generation: Generation,
    ) -> Result<(), IndexError> {
        let Some(index) = &self.library.index else { return Ok(()) };
        let _held = self.spaces.hold().await;
        if let Some(space) = self.spaces.serving() {
            for (first, vectors) in self.vectors_of_content(generation, &space).await? {
                index.set_vectors(place, generation, first, &vectors).await?;
            }
        }
        if let Some(space) = self.spaces.beside() {
            for (first, vectors) in self.vectors_of_content(generation, &space).await? {
                index.set_vectors_beside(place, generation, first, &vectors).await?;
            }
        }
        Ok(())
    }
}

fn unreadable_document(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Reason::DocumentUnreadable, error.to_string()).because(error)
}

/// How many bytes are part of a chunk.
fn covered(spans: &[ChunkSpan]) -> u64 {
    let mut end = 0;
    spans.iter().fold(0, |covered, span| {
        let own = span.end.saturating_sub(span.start.max(end));
        end = end.max(span.end);
        covered + own
    })
}

/// The rows of one commit from a chunk on, and the chunk after them.
fn rows_from(cut: &Cut, first: usize) -> (Vec<(u32, ChunkRow)>, usize) {
    let (mut rows, mut bytes, mut at) = (Vec::new(), 0, first);
    while at < cut.spans.len() && rows.len() < COMMIT_CHUNKS && bytes < COMMIT_BYTES {
        let span = &cut.spans[at];
        let end = cut.spans.get(at + 1).map_or(cut.extract.text.len() as u64, |next| next.start);
        let text = cut.extract.text[span.start as usize..end as usize].to_owned();
        bytes += text.len();
        rows.push((at as u32, ChunkRow { span: span.clone(), text }));
        at += 1;
    }
    (rows, at)
}

/// The vectors of an embedder in these rows, by the hashes of their chunks.
fn by_hash(hashes: &HashMap<u32, [u8; 16]>, rows: &[Row], embedder: &str) -> ByHash {
    let mut known = ByHash::new();
    for row in rows {
        let first = keys::ordinal_of(&row.key);
        let Some((first, row)) = first.zip(decode::<ChunkVectorsRow>(&row.value).ok()) else {
            continue;
        };
        for at in (0..row.vectors.len()).filter(|_| row.embedder == embedder) {
            if let Some(hash) = hashes.get(&(first + at as u32)) {
                known.insert(*hash, (row.embedder.clone(), row.vectors.pick(&[at])));
            }
        }
    }
    known
}

/// Rows of vectors for those chunks of `spans` (the first has the ordinal `first`) that are known.
fn kept_vectors(spans: &[ChunkSpan], first: usize, known: &ByHash) -> Vec<(u32, ChunkVectorsRow)> {
    let mut rows: Vec<(u32, ChunkVectorsRow)> = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        let Some((embedder, vector)) = known.get(&span.hash) else { continue };
        let ordinal = (first + at) as u32;
        let next = |(start, row): &&mut (u32, ChunkVectorsRow)| {
            let len = row.vectors.len() as u32;
            len < VECTORS_A_ROW && *start + len == ordinal
        };
        match rows.last_mut().filter(next) {
            Some((_, row)) => row.vectors.extend(vector),
            None => {
                let row = ChunkVectorsRow { embedder: embedder.clone(), vectors: vector.clone() };
                rows.push((ordinal, row));
            }
        }
    }
    rows
}
