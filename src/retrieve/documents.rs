//! What BM25 needs of chunks of documents, whoever keeps them: their terms, those of a question
//! about them, and what a term is worth. The same analysis as that of turns.

use rustc_hash::FxHashMap;

use crate::retrieve::{
    Language, Stem,
    lexical::rarity,
    query::{AskedTerm, Reader, head, language_of},
    rules::rules,
    spoken::commonest,
    terms::passage_terms,
};

/// A question's words are looked up by the stems of so many languages at the most: the commonest
/// of the chunks.
pub const LANGUAGES_MAX: usize = 4;

/// A question has so many terms at the most. Documents are asked whole paragraphs, and each word of
/// them counts: with the limit of conversations, nDCG@10 falls from 40 to 29 on a set of such.
const TERMS_MAX: usize = 64;

/// The terms of one chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkTerms {
    /// The language that stemmed it.
    pub language: Language,
    /// How many words it has but stop words, repeats counted.
    pub words: u32,
    /// Each distinct term's hash with its count, by rising hash.
    pub terms: Vec<(u64, u16)>,
}

/// Derives the terms of the chunks of a document, in order. `language` is an ISO 639-1 code that
/// the caller knows to be right, or empty: then each text's own is detected, and a text that does
/// not show it is of the language that most of the others show. Time and space are linear in the
/// texts.
pub fn chunks_terms(texts: &[String], language: &str) -> Vec<ChunkTerms> {
    if let Some(given) = Language::parse(language) {
        return texts.iter().map(|text| chunk_terms(text, given)).collect();
    }
    let detected: Vec<_> = texts.iter().map(|text| Language::detect(text)).collect();
    let mut counts = [0u32; Language::COUNT];
    for language in detected.iter().flatten() {
        counts[*language as usize] += 1;
    }
    let common = commonest(&counts).unwrap_or_default();
    let texts = texts.iter().zip(detected);
    texts.map(|(text, language)| chunk_terms(text, language.unwrap_or(common))).collect()
}

fn chunk_terms(text: &str, language: Language) -> ChunkTerms {
    let stem = Stem::new(language);
    let all = passage_terms(text, 0..text.len(), rules(language), &stem, &mut 0);
    ChunkTerms { language, words: all.words, terms: all.terms }
}

/// A word of a question as chunks may have it.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionTerm {
    /// Its stem in each language of the chunks, none twice.
    pub hashes: Vec<u64>,
    /// How often the question says it: so many times it counts.
    pub count: u32,
}

/// Reads a question about chunks that were stemmed by `languages`, given with the number of their
/// chunks, the commonest first. `language` is the question's (ISO 639-1), or empty: detected.
pub fn question_terms(
    text: &str,
    language: &str,
    languages: &[(Language, usize)],
) -> Vec<QuestionTerm> {
    let text = head(text);
    let languages = &languages[..languages.len().min(LANGUAGES_MAX)];
    let reader = Reader::new(language_of(text, language, languages), languages);
    let mut terms: Vec<QuestionTerm> = Vec::new();
    let mut places: FxHashMap<Vec<u64>, usize> = FxHashMap::default();
    reader.each(text, &mut |_, term| {
        let Some(AskedTerm { hashes, .. }) = term else { return };
        let next = terms.len();
        match *places.entry(hashes.clone()).or_insert(next) {
            new if new == next => terms.push(QuestionTerm { hashes, count: 1 }),
            known => terms[known].count += 1,
        }
    });
    terms
}

/// Whether a text asks for anything: it has a word that is content, and no mere acknowledgement.
/// `language` is the text's (ISO 639-1), or empty: detected.
pub fn asks(text: &str, language: &str) -> bool {
    let text = head(text);
    let language = language_of(text, language, &[]);
    let mut asks = false;
    Reader::new(language, &[(language, 1)]).each(text, &mut |_, term| {
        asks |= term.is_some_and(|term| term.informative);
    });
    asks
}

/// The places of the terms that count, in order: those that some chunk has, and of many the rarest.
/// `frequencies` has one number a term: how many chunks have it.
pub fn counting_terms(frequencies: &[u64]) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..frequencies.len()).filter(|at| frequencies[*at] > 0).collect();
    if kept.len() > TERMS_MAX {
        kept.sort_by_key(|at| frequencies[*at]);
        kept.truncate(TERMS_MAX);
        kept.sort_unstable();
    }
    kept
}

/// How much the second, third, … occurrence of a word in a chunk counts. At the upper end of what
/// is usual (1.2 to 2.0): a chunk is long enough for what it is about to be named several times,
/// and questions to documents are longer than those to a conversation, where this is 1.2.
const CHUNK_K1: f64 = 2.0;
/// How much the length of a chunk counts, 0 to 1.
const CHUNK_B: f64 = 0.75;

/// BM25 over a set of chunks (Robertson and Zaragoza 2009, "The Probabilistic Relevance
/// Framework").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25 {
    chunks: u64,
    mean_words: f64,
}

impl Bm25 {
    /// What a term is worth, over how rare it is.
    pub const WORTH_PER_RARITY: f64 = CHUNK_K1 + 1.0;

    /// Over so many chunks that have so many words together.
    pub fn over(chunks: u64, words: u64) -> Self {
        Self { chunks, mean_words: (words as f64 / chunks.max(1) as f64).max(1.0) }
    }

    /// What a term is worth that so many of the chunks have: its score in a chunk never reaches it.
    pub fn worth(&self, frequency: u64) -> f64 {
        // Its languages are counted each by itself, so a term may seem to stand in more than all.
        let frequency = frequency.min(self.chunks) as usize;
        rarity(frequency, self.chunks as usize) * Self::WORTH_PER_RARITY
    }

    /// What the length of a chunk of so many words counts.
    pub fn norm(&self, words: u32) -> f64 {
        CHUNK_K1 * (1.0 - CHUNK_B + CHUNK_B * f64::from(words) / self.mean_words)
    }

    /// The score of a term of that worth that stands so often in a chunk of that norm.
    pub fn score(worth: f64, count: u32, norm: f64) -> f64 {
        let count = f64::from(count);
        worth * count / (count + norm)
    }
}
