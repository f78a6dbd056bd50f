//! A document that is not in the files yet: its terms, searched where they are.

use crate::documents::embedded::segment::Content;
use crate::retrieve::{Language, chunks_terms};
use crate::types::{Generation, Incarnation};

/// The terms of a document's chunks.
pub(super) struct Fresh {
    pub(super) collection: Incarnation,
    pub(super) generation: Generation,
    /// The words and the language of each chunk.
    pub(super) chunks: Vec<(u32, Language)>,
    /// Where each term stands, by rising hash and chunk.
    postings: Vec<Posting>,
}

struct Posting {
    hash: u64,
    chunk: u32,
    count: u16,
}

impl Fresh {
    /// Analyses a document; this is the most expensive part of taking it in.
    pub(super) fn of(
        collection: Incarnation,
        generation: Generation,
        texts: &[String],
        language: &str,
    ) -> Self {
        let mut chunks = Vec::with_capacity(texts.len());
        let mut postings = Vec::new();
        for (chunk, terms) in (0u32..).zip(chunks_terms(texts, language)) {
            chunks.push((terms.words, terms.language));
            let posting = |(hash, count)| Posting { hash, chunk, count };
            postings.extend(terms.terms.into_iter().map(posting));
        }
        postings.sort_unstable_by_key(|posting| (posting.hash, posting.chunk));
        Self { collection, generation, chunks, postings }
    }

    /// The chunks that have a term, with how often.
    pub(super) fn with(&self, hash: u64) -> impl Iterator<Item = (u32, u32)> {
        let start = self.postings.partition_point(|posting| posting.hash < hash);
        let same = self.postings[start..].iter().take_while(move |posting| posting.hash == hash);
        same.map(|posting| (posting.chunk, u32::from(posting.count)))
    }

    /// The terms of each chunk, with how often each stands there.
    pub(super) fn by_chunk(&self) -> Vec<Vec<(u64, u16)>> {
        let mut chunks = vec![Vec::new(); self.chunks.len()];
        for posting in &self.postings {
            chunks[posting.chunk as usize].push((posting.hash, posting.count));
        }
        chunks
    }

    /// What the files will have of it.
    pub(super) fn content(&self) -> Content {
        let mut content = Content { chunks: self.chunks.len() as u32, ..Content::default() };
        for (words, language) in &self.chunks {
            content.add(*words, *language);
        }
        content
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let chunk = size_of::<(u32, Language)>();
        self.postings.capacity() * size_of::<Posting>() + self.chunks.capacity() * chunk
    }
}
