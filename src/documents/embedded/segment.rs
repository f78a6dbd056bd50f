//! A segment of the files with what is read of it once: whose chunks stand where.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tantivy::columnar::BytesColumn;
use tantivy::index::InvertedIndexReader;
use tantivy::postings::SegmentPostings;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, SegmentReader, Term};

use crate::documents::embedded::{files::Fields, tokens};
use crate::retrieve::Language;
use crate::types::{Generation, Incarnation};

/// The chunks of one content, which stand in a row.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) first: DocId,
    pub(super) chunks: u32,
    pub(super) generation: Generation,
    pub(super) collection: Incarnation,
}

/// What a content has in the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) chunks: u32,
    pub(super) words: u64,
    pub(super) languages: Vec<(Language, u64)>,
}

impl Content {
    /// Adds the words and the language of a chunk, which is counted already.
    pub(super) fn add(&mut self, words: u32, language: Language) {
        self.words += u64::from(words);
        match self.languages.iter_mut().find(|(known, _)| *known == language) {
            Some((_, count)) => *count += 1,
            None => self.languages.push((language, 1)),
        }
    }
}

/// A segment, open.
pub(super) struct Segment {
    pub(super) reader: SegmentReader,
    terms: Arc<InvertedIndexReader>,
    fields: Fields,
    /// By rising place, together all chunks.
    runs: Vec<Run>,
    /// The place of the run of each content that is not deleted.
    by_generation: FxHashMap<Generation, u32>,
    /// The runs that are deleted but still counted.
    dead: FxHashMap<Incarnation, Vec<Run>>,
    /// The collections that have chunks here, deleted ones included.
    collections: FxHashSet<Incarnation>,
    /// The words of each chunk.
    words: Vec<u32>,
}

impl Segment {
    /// Reads what is read once.
    pub(super) fn open(reader: &SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let generations = ids(reader, "generation")?;
        let collections = ids(reader, "collection")?;
        let column = reader.fast_fields().u64("words")?.first_or_default_col(0);
        let words = (0..reader.max_doc()).map(|doc| narrow(column.get_val(doc))).collect();
        let mut segment = Self {
            reader: reader.clone(),
            terms: reader.inverted_index(fields.terms)?,
            fields,
            runs: runs(&generations, &collections),
            by_generation: FxHashMap::default(),
            dead: FxHashMap::default(),
            collections: collections.0.iter().copied().map(Incarnation).collect(),
            words,
        };
        for (place, run) in (0u32..).zip(&segment.runs) {
            // Chunks of a content are deleted together.
            if reader.is_deleted(run.first) {
                segment.dead.entry(run.collection).or_default().push(run.clone());
            } else {
                segment.by_generation.insert(run.generation, place);
            }
        }
        Ok(segment)
    }

    /// What each content has that is not deleted.
    pub(super) fn contents(&self) -> tantivy::Result<Vec<(Generation, Content)>> {
        let languages = self.reader.fast_fields().u64("language")?.first_or_default_col(0);
        let content = |run: &Run| {
            let docs = run.first..run.first + run.chunks;
            let mut content = Content { chunks: run.chunks, ..Content::default() };
            for doc in docs {
                let language = Language::by_number(languages.get_val(doc));
                content.add(self.words(doc), language);
            }
            (run.generation, content)
        };
        Ok(self.living().map(content).collect())
    }

    /// The runs that are not deleted.
    pub(super) fn living(&self) -> impl Iterator<Item = &Run> {
        self.by_generation.values().map(|place| &self.runs[*place as usize])
    }

    /// The run of a content, unless it is deleted.
    pub(super) fn run(&self, generation: Generation) -> Option<&Run> {
        self.by_generation.get(&generation).map(|place| &self.runs[*place as usize])
    }

    /// The run that a chunk is of.
    pub(super) fn run_at(&self, doc: DocId) -> &Run {
        &self.runs[self.runs.partition_point(|run| run.first <= doc) - 1]
    }

    /// The runs of a collection that are deleted but still counted.
    pub(super) fn dead(&self, collection: Incarnation) -> &[Run] {
        self.dead.get(&collection).map_or(&[], Vec::as_slice)
    }

    /// Whether a collection has chunks here, deleted ones included.
    pub(super) fn has(&self, collection: Incarnation) -> bool {
        self.collections.contains(&collection)
    }

    /// The words of a chunk.
    pub(super) fn words(&self, doc: DocId) -> u32 {
        self.words[doc as usize]
    }

    /// Where a term of a collection stands, deleted chunks included; none: nowhere.
    pub(super) fn postings(
        &self,
        collection: Incarnation,
        hash: u64,
    ) -> tantivy::Result<Option<SegmentPostings>> {
        let mut text = String::with_capacity(tokens::LETTERS);
        tokens::write(collection, hash, &mut text);
        let term = Term::from_field_text(self.fields.terms, &text);
        Ok(self.terms.read_postings(&term, IndexRecordOption::WithFreqs)?)
    }

    /// The memory of what was read, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * 4 + self.runs.capacity() * (size_of::<Run>() + 32)
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The ids of a column: a place in a list of ids for each chunk.
fn ids(reader: &SegmentReader, field: &str) -> tantivy::Result<(Vec<[u8; 16]>, Vec<u32>)> {
    let missing = || tantivy::TantivyError::SchemaError(format!("no column `{field}`"));
    let column: BytesColumn = reader.fast_fields().bytes(field)?.ok_or_else(missing)?;
    let mut ids = Vec::with_capacity(column.num_terms());
    let mut stream = column.dictionary().stream()?;
    while stream.advance() {
        ids.push(stream.key().try_into().map_err(|_| missing())?);
    }
    let ords = column.ords().clone().first_or_default_col(0);
    let places = (0..reader.max_doc()).map(|doc| narrow(ords.get_val(doc))).collect();
    Ok((ids, places))
}

fn runs(
    generations: &(Vec<[u8; 16]>, Vec<u32>),
    collections: &(Vec<[u8; 16]>, Vec<u32>),
) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut first: DocId = 0;
    for same in generations.1.chunk_by(|one, next| one == next) {
        let collection = collections.1[first as usize];
        let chunks = narrow(same.len() as u64);
        runs.push(Run {
            first,
            chunks,
            generation: Generation(generations.0[same[0] as usize]),
            collection: Incarnation(collections.0[collection as usize]),
        });
        first += chunks;
    }
    runs
}
