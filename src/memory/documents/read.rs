//! What there is of documents: one, a page of them, a range of their bytes, collections.

use crate::catalog::Spot;
use crate::error::{Failure, Reason};
use crate::memory::{
    Memory, Page,
    documents::{Known, record::text_from},
    rows::unreadable,
};
use crate::record::{
    ChunkRow, ChunkVectorsRow, CollectionRow, DocumentRow, PendingDocument, UploadRow, decode,
    document_keys as keys,
};
use crate::storage::{Read, Row};
use crate::types::{CollectionId, DocumentId, Generation, Incarnation, TenantId};

/// How many rows are read at a time.
const PAGE_ROWS: usize = 1_024;

/// How many documents that wait for vectors have theirs counted, for the figures of a collection.
const COUNTED_MAX: usize = 256;

/// A document with how far its vectors are.
#[derive(Debug, Clone)]
pub struct DocumentFigures {
    /// Its id.
    pub document: DocumentId,
    /// What is kept of it.
    pub row: DocumentRow,
    /// How many of its chunks have vectors.
    pub chunks_embedded: u32,
}

/// An upload that is not whole.
#[derive(Debug, Clone)]
pub struct UploadFigures {
    /// What is kept of it.
    pub row: UploadRow,
}

/// A collection with what is in it.
#[derive(Debug, Clone)]
pub struct CollectionFigures {
    /// Its id.
    pub collection: CollectionId,
    /// What is kept of it.
    pub row: CollectionRow,
    /// How many documents.
    pub documents: u64,
    /// How many chunks they have.
    pub chunks: u64,
    /// How many of those have vectors.
    pub chunks_embedded: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What of a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Its bytes.
    Bytes,
    /// Its text.
    Text,
}

/// A range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub offset: u64,
    /// How many at the most.
    pub bytes: u32,
}

impl Memory {
    /// A document, and the upload of it that is under way; one of both at least.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`, `DOCUMENT_NOT_FOUND`, and what the store refuses.
    pub async fn ingest_status(
        &self,
        spot: &Spot,
    ) -> Result<(Option<DocumentFigures>, Option<UploadFigures>), Failure> {
        self.collection(&spot.tenant, &spot.collection).await?;
        let Known { upload, document, .. } = self.known(spot).await?;
        if upload.is_none() && document.is_none() {
            return Err(missing(&spot.document));
        }
        let document = match document {
            Some(document) => {
                Some(self.figures(&spot.tenant, spot.document.clone(), document.row).await?)
            }
            None => None,
        };
        Ok((document, upload.map(|upload| UploadFigures { row: upload.row })))
    }

    /// A document, with a range of what is asked for.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`, `DOCUMENT_NOT_FOUND`, and what the store refuses.
    pub async fn get_document(
        &self,
        spot: &Spot,
        wanted: Option<(View, Range)>,
    ) -> Result<(DocumentFigures, Vec<u8>), Failure> {
        self.collection(&spot.tenant, &spot.collection).await?;
        let document = self.known(spot).await?.document.ok_or_else(|| missing(&spot.document))?;
        let row = document.row;
        let bytes = match wanted {
            None => Vec::new(),
            Some((View::Bytes, range)) if !row.verbatim => {
                self.range_of_parts(row.generation, range).await?
            }
            Some((_, range)) => self.range_of_text(&row, range).await?,
        };
        Ok((self.figures(&spot.tenant, spot.document.clone(), row).await?, bytes))
    }

    async fn figures(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        row: DocumentRow,
    ) -> Result<DocumentFigures, Failure> {
        let chunks_embedded = self.chunks_embedded(tenant, &row).await?;
        Ok(DocumentFigures { document, row, chunks_embedded })
    }

    /// How many chunks of a content have their vectors: all, when it does not wait for any.
    pub(super) async fn chunks_embedded(
        &self,
        tenant: &TenantId,
        row: &DocumentRow,
    ) -> Result<u32, Failure> {
        let Some(space) = self.spaces.serving() else { return Ok(0) };
        let waits = Read::get(keys::pending(tenant, row.generation));
        if self.read(vec![waits]).await?[0].is_empty() {
            return Ok(row.chunks);
        }
        let mut embedded = 0;
        let all = self.pages(keys::vectors(space.slot, row.generation), |rows| {
            for row in rows {
                let row: ChunkVectorsRow = decode(&row.value).map_err(unreadable)?;
                if row.embedder == space.embedder.key() {
                    embedded += u32::try_from(row.vectors.len()).unwrap_or(u32::MAX);
                }
            }
            Ok(())
        });
        all.await?;
        Ok(embedded.min(row.chunks))
    }

    /// Calls `each` with the rows of a prefix, some at a time.
    pub(in crate::memory) async fn pages(
        &self,
        prefix: Vec<u8>,
        mut each: impl FnMut(&[Row]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let to = crate::record::keys::after_prefix(&prefix);
        let mut from = prefix;
        loop {
            let page = Read::range(from, to.clone()).limit(PAGE_ROWS);
            let rows = self.read(vec![page]).await?.remove(0);
            each(&rows)?;
            match rows.last() {
                Some(last) if rows.len() == PAGE_ROWS => {
                    from = last.key.to_vec();
                    from.push(0);
                }
                _ => return Ok(()),
            }
        }
    }

    async fn range_of_parts(
        &self,
        generation: Generation,
        range: Range,
    ) -> Result<Vec<u8>, Failure> {
        let (from, to) = (range.offset, range.offset.saturating_add(u64::from(range.bytes)));
        let before =
            Read::range(keys::parts(generation), keys::part(generation, from.saturating_add(1)));
        let inside =
            Read::range(keys::part(generation, from.saturating_add(1)), keys::part(generation, to));
        let rows = self.read(vec![before.descending().limit(1), inside]).await?;
        let mut bytes = Vec::new();
        for row in rows.iter().flatten() {
            let Some(start) = keys::offset_of(&row.key) else { continue };
            add_overlap(&mut bytes, (start, &row.value), (from, to));
        }
        Ok(bytes)
    }

    async fn range_of_text(&self, row: &DocumentRow, range: Range) -> Result<Vec<u8>, Failure> {
        let (from, to) = (range.offset, range.offset.saturating_add(u64::from(range.bytes)));
        if row.chunks == 0 || from >= row.text_bytes {
            return Ok(Vec::new());
        }
        let first = self.chunk_at(row, from).await?;
        let mut bytes = Vec::new();
        let last = crate::record::keys::after_prefix(&keys::chunks(row.generation));
        let mut next = keys::chunk(row.generation, first);
        loop {
            let page = Read::range(next, last.clone()).limit(PAGE_ROWS);
            let rows = self.read(vec![page]).await?.remove(0);
            for row in &rows {
                let chunk: ChunkRow = decode(&row.value).map_err(unreadable)?;
                if chunk.span.start >= to {
                    return Ok(bytes);
                }
                add_overlap(&mut bytes, (chunk.span.start, chunk.text.as_bytes()), (from, to));
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE_ROWS => {
                    next = last.key.to_vec();
                    next.push(0);
                }
                _ => return Ok(bytes),
            }
        }
    }

    /// The last chunk that starts at or before a byte of the text, by halving.
    async fn chunk_at(&self, row: &DocumentRow, byte: u64) -> Result<u32, Failure> {
        let (mut low, mut high) = (0, row.chunks);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let key = keys::chunk(row.generation, middle);
            let found = self.read(vec![Read::get(key)]).await?.remove(0);
            let Some(found) = found.first() else { return Ok(low) };
            let chunk: ChunkRow = decode(&found.value).map_err(unreadable)?;
            if chunk.span.start <= byte {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// A page of the documents of a collection, in the order of their ids.
    ///
    /// # Errors
    /// `COLLECTION_NOT_FOUND`, and what the store refuses.
    pub async fn list_documents(
        &self,
        tenant: &TenantId,
        collection: &CollectionId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<DocumentFigures>, Failure> {
        let life = self.collection(tenant, collection).await?.row.incarnation;
        let (rows, more) = self.rows_after(keys::documents(life), after, size).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(document) = keys::document_named_by(&row.key) else { continue };
            let row: DocumentRow = decode(&row.value).map_err(unreadable)?;
            items.push(self.figures(tenant, document, row).await?);
        }
        let last = items.last().map(|item: &DocumentFigures| item.document.to_string());
        Ok(Page { items, last, more })
    }

    /// A page of a tenant's collections, in the order of their ids.
    ///
    /// # Errors
    /// What the store refuses.
    pub async fn list_collections(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        size: usize,
    ) -> Result<Page<CollectionFigures>, Failure> {
        let (rows, more) = self.rows_after(keys::collections(tenant), after, size).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some((_, collection)) = keys::collection_named_by(&row.key) else { continue };
            let row: CollectionRow = decode(&row.value).map_err(unreadable)?;
            items.push(self.collection_figures(tenant, collection, row).await?);
        }
        let last = items.last().map(|item: &CollectionFigures| item.collection.to_string());
        Ok(Page { items, last, more })
    }

    async fn collection_figures(
        &self,
        tenant: &TenantId,
        collection: CollectionId,
        row: CollectionRow,
    ) -> Result<CollectionFigures, Failure> {
        let (mut documents, mut chunks, mut bytes) = (0, 0, 0);
        let all = self.pages(keys::documents(row.incarnation), |rows| {
            for row in rows {
                let row: DocumentRow = decode(&row.value).map_err(unreadable)?;
                documents += 1;
                chunks += u64::from(row.chunks);
                bytes += row.bytes;
            }
            Ok(())
        });
        all.await?;
        let waiting = self.chunks_waiting(tenant, row.incarnation).await?;
        let chunks_embedded = if self.spaces.embeds() { chunks.saturating_sub(waiting) } else { 0 };
        Ok(CollectionFigures { collection, row, documents, chunks, chunks_embedded, bytes })
    }

    /// How many chunks of a collection wait for their vectors. Of a tenant with very many documents
    /// that wait, all chunks of the later ones count.
    async fn chunks_waiting(&self, tenant: &TenantId, life: Incarnation) -> Result<u64, Failure> {
        let mut names = Vec::new();
        let all = self.pages(keys::pending_of(tenant), |rows| {
            for row in rows {
                let row: PendingDocument = decode(&row.value).map_err(unreadable)?;
                names.extend((row.collection == life).then_some(row.document));
            }
            Ok(())
        });
        all.await?;
        let mut waiting = 0;
        for (place, document) in names.iter().enumerate() {
            let found = self.read(vec![Read::get(keys::document(life, document))]).await?;
            let Some(found) = found[0].first() else { continue };
            let row: DocumentRow = decode(&found.value).map_err(unreadable)?;
            let embedded = match place < COUNTED_MAX {
                true => self.chunks_embedded(tenant, &row).await?,
                false => 0,
            };
            waiting += u64::from(row.chunks.saturating_sub(embedded));
        }
        Ok(waiting)
    }

    /// The rows of a prefix whose last id comes after `after`, and whether there are more.
    async fn rows_after(
        &self,
        prefix: Vec<u8>,
        after: Option<&str>,
        size: usize,
    ) -> Result<(Vec<Row>, bool), Failure> {
        let to = crate::record::keys::after_prefix(&prefix);
        let mut from = prefix;
        if let Some(after) = after {
            from.extend_from_slice(after.as_bytes());
            from.push(0);
        }
        let page = Read::range(from, to).limit(size + 1);
        let mut rows = self.read(vec![page]).await?.remove(0);
        let more = rows.len() > size;
        rows.truncate(size);
        Ok((rows, more))
    }

    /// The whole text of some chunks of a content, by their ordinals; none of one that is gone.
    pub(super) async fn chunks_of(
        &self,
        wanted: &[(Generation, u32)],
    ) -> Result<Vec<Option<ChunkRow>>, Failure> {
        // A chunk reaches into the next ones: two of them hold all of an overlap of half a chunk.
        let reach = |(generation, ordinal): &(Generation, u32)| {
            Read::range(
                keys::chunk(*generation, *ordinal),
                keys::chunk(*generation, ordinal.saturating_add(3)),
            )
        };
        let rows = self.read(wanted.iter().map(reach).collect()).await?;
        let mut found = Vec::with_capacity(rows.len());
        for ((_, ordinal), rows) in wanted.iter().zip(&rows) {
            let is_there = rows.first().and_then(|row| keys::ordinal_of(&row.key));
            let chunk = |row: &Row| decode::<ChunkRow>(&row.value).map_err(unreadable);
            let chunks = rows.iter().map(chunk).collect::<Result<Vec<_>, _>>()?;
            found.push(
                (is_there == Some(*ordinal))
                    .then(|| ChunkRow { span: chunks[0].span.clone(), text: text_from(&chunks) }),
            );
        }
        Ok(found)
    }
}

fn missing(document: &DocumentId) -> Failure {
    Failure::new(Reason::DocumentNotFound, format!("no document `{document}`"))
}

/// Adds what of `(start, bytes)` lies in `(from, to)`.
fn add_overlap(all: &mut Vec<u8>, (start, bytes): (u64, &[u8]), (from, to): (u64, u64)) {
    let end = start + bytes.len() as u64;
    let (low, high) = (from.max(start), to.min(end));
    if low < high {
        all.extend_from_slice(&bytes[(low - start) as usize..(high - start) as usize]);
    }
}
