//! BM25 over the files and over what is not in them yet: exact, with the numbers of the living
//! chunks of the collections that are asked, whatever else the files hold.

use rustc_hash::FxHashMap;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::{DocId, DocSet};

use crate::documents::{
    best::{Best, ChunkKey},
    embedded::{
        cursors::{Cursor, Cursors, Window},
        fresh::Fresh,
        open::Open,
        segment::{Run, Segment},
        shelf::Book,
    },
};
use crate::retrieve::{Bm25, Language, QuestionTerm, counting_terms, question_terms};

/// The terms of a question that count, with what they are worth, and where they stand.
pub(super) struct Lexical<'a> {
    open: &'a Open<'a>,
    bm25: Bm25,
    /// The hashes with their worth.
    worths: Vec<(u64, f64)>,
    /// For each collection and segment that has one of the terms, in the order of `worths`.
    places: Vec<Place<'a>>,
}

struct Place<'a> {
    shelf: usize,
    segment: &'a Segment,
    postings: Vec<(usize, SegmentPostings)>,
}

/// Documents that pass a filter are few when they have one chunk of so many.
const FEW_OF: u64 = 32;

impl<'a> Lexical<'a> {
    /// Reads the question and looks its terms up.
    pub(super) fn new(open: &'a Open<'a>, text: &str, language: &str) -> tantivy::Result<Self> {
        let question = question_terms(text, language, &languages(open));
        let hashes: Vec<u64> =
            question.iter().flat_map(|term| term.hashes.iter().copied()).collect();
        let mut places = Vec::new();
        let mut frequencies = vec![0u64; hashes.len()];
        for shelf in 0..open.books.len() {
            for (_, fresh) in open.fresh(shelf) {
                for (hash, frequency) in hashes.iter().zip(&mut frequencies) {
                    *frequency += fresh.with(*hash).count() as u64;
                }
            }
            let collection = open.places[shelf].collection;
            for segment in open.committed.segments.iter().filter(|s| s.has(collection)) {
                let mut dead = segment.dead(collection).to_vec();
                dead.extend(open.masked(shelf).filter_map(|g| segment.run(g).cloned()));
                dead.sort_unstable_by_key(|run| run.first);
                let mut found = Vec::new();
                for (at, hash) in hashes.iter().enumerate() {
                    let Some(postings) = segment.postings(collection, *hash)? else { continue };
                    let all = u64::from(postings.doc_freq());
                    frequencies[at] += all - count_in(&postings, &dead);
                    found.push((at, postings));
                }
                if !found.is_empty() {
                    places.push(Place { shelf, segment, postings: found });
                }
            }
        }
        let (chunks, words) = open.totals();
        let bm25 = Bm25::over(chunks, words);
        let kept = worths(&question, &frequencies, bm25);
        let mut lexical = Self { open, bm25, worths: Vec::new(), places };
        lexical.keep(&hashes, &kept);
        Ok(lexical)
    }

    /// Leaves the hashes that are worth something.
    fn keep(&mut self, hashes: &[u64], worths: &[Option<f64>]) {
        let mut renamed = FxHashMap::default();
        for (at, worth) in worths.iter().enumerate() {
            if let Some(worth) = worth {
                renamed.insert(at, self.worths.len());
                self.worths.push((hashes[at], *worth));
            }
        }
        for place in &mut self.places {
            let postings = std::mem::take(&mut place.postings).into_iter();
            let known = postings.filter_map(|(at, list)| Some((*renamed.get(&at)?, list)));
            place.postings = known.collect();
        }
    }

    /// Offers every chunk that may be among the best.
    pub(super) fn search(&self, best: &mut Best<ChunkKey>) {
        for shelf in 0..self.open.books.len() {
            for (slot, fresh) in self.open.fresh(shelf).filter(|f| self.open.passes(shelf, f.0)) {
                for (ordinal, score) in self.fresh_scores(fresh) {
                    best.offer(score as f32, || self.open.key(shelf, slot, ordinal));
                }
            }
        }
        for place in &self.places {
            self.search_segment(place, best);
        }
    }

    /// The scores of chunks, one each: 0 where a chunk has none of the terms.
    pub(super) fn scores_of(&self, keys: &[ChunkKey]) -> Vec<f32> {
        let mut scores = vec![0.0; keys.len()];
        // What is asked of each place: the chunks there, and which of the keys they are.
        let mut asked: Vec<Vec<(DocId, usize)>> = vec![Vec::new(); self.places.len()];
        for (at, key) in keys.iter().enumerate() {
            let Some(shelf) = self.open.shelf_of(key.collection) else { continue };
            if let Some(fresh) = self.open.fresh_of(shelf, key.generation) {
                let known = self.fresh_scores(fresh).get(&key.ordinal).copied();
                scores[at] = known.unwrap_or_default() as f32;
                continue;
            }
            for (place, asked) in self.places.iter().zip(&mut asked) {
                if place.shelf == shelf
                    && let Some(run) = place.segment.run(key.generation)
                {
                    asked.push((run.first + key.ordinal, at));
                }
            }
        }
        for (place, mut asked) in self.places.iter().zip(asked) {
            asked.sort_unstable();
            for (at, score) in self.scores_at(place, &asked) {
                scores[at] = score as f32;
            }
        }
        scores
    }

    fn fresh_scores(&self, fresh: &Fresh) -> FxHashMap<u32, f64> {
        let mut scores: FxHashMap<u32, f64> = FxHashMap::default();
        for (hash, worth) in &self.worths {
            for (chunk, count) in fresh.with(*hash) {
                let norm = self.bm25.norm(fresh.chunks[chunk as usize].0);
                *scores.entry(chunk).or_default() += Bm25::score(*worth, count, norm);
            }
        }
        scores
    }

    fn scores_at(&self, place: &Place<'_>, asked: &[(DocId, usize)]) -> Vec<(usize, f64)> {
        let mut scores: Vec<(usize, f64)> = asked.iter().map(|(_, at)| (*at, 0.0)).collect();
        for (term, postings) in &place.postings {
            let mut postings = postings.clone();
            for ((doc, _), (_, score)) in asked.iter().zip(&mut scores) {
                if postings.doc() < *doc {
                    postings.seek(*doc);
                }
                if postings.doc() == *doc {
                    let norm = self.bm25.norm(place.segment.words(*doc));
                    *score += Bm25::score(self.worths[*term].1, postings.term_freq(), norm);
                }
            }
        }
        scores
    }

    /// Goes through the chunks of a collection in one segment, window by window, and in each term
    /// by term. A term cannot give more than it is worth, so that the terms that are worth least
    /// wait while together they are worth less than the best have already, and are looked for only
    /// in chunks that the others bring near (MaxScore: Turtle and Flood, 1995).
    fn search_segment(&self, place: &Place<'_>, best: &mut Best<ChunkKey>) {
        let cursor = |(term, postings): &(usize, SegmentPostings)| Cursor {
            postings: postings.clone(),
            worth: self.worths[*term].1,
        };
        let mut cursors = Cursors::new(place.postings.iter().map(cursor));
        let few = self.few_that_pass(place);
        let mut window = Window::new();
        loop {
            let waiting = cursors.waiting(best.least());
            let Some(start) = cursors.next(waiting) else { return };
            let mut end = start.saturating_add(Window::CHUNKS);
            if let Some(few) = &few {
                let at = few.partition_point(|run| run.first + run.chunks <= start);
                let Some(run) = few.get(at) else { return };
                if start < run.first {
                    cursors.seek(waiting, run.first);
                    continue;
                }
                end = end.min(run.first + run.chunks);
            }
            window.begin(start);
            for cursor in &mut cursors.by_worth[waiting..] {
                while cursor.postings.doc() < end {
                    let doc = cursor.postings.doc();
                    window.add(doc, self.score(place, doc, cursor));
                    cursor.postings.advance();
                }
            }
            window.drain(|doc, score| {
                let score = self.whole_score(place, doc, score, &mut cursors, waiting, best);
                if let Some(score) = score
                    && let Some((slot, ordinal)) = self.living(place, doc)
                {
                    best.offer(score, || self.open.key(place.shelf, slot, ordinal));
                }
            });
        }
    }

    /// What the term of a cursor gives the chunk that it stands at.
    fn score(&self, place: &Place<'_>, doc: DocId, cursor: &Cursor) -> f64 {
        let norm = self.bm25.norm(place.segment.words(doc));
        Bm25::score(cursor.worth, cursor.postings.term_freq(), norm)
    }

    /// The score of a chunk with what the waiting terms give it, or none when it is not among the
    /// best.
    fn whole_score(
        &self,
        place: &Place<'_>,
        doc: DocId,
        mut score: f64,
        cursors: &mut Cursors,
        waiting: usize,
        best: &Best<ChunkKey>,
    ) -> Option<f32> {
        for at in (0..waiting).rev() {
            if score + cursors.together[at] < f64::from(best.least()) {
                return None;
            }
            let cursor = &mut cursors.by_worth[at];
            cursor.seek(doc);
            if cursor.postings.doc() == doc {
                score += self.score(place, doc, cursor);
            }
        }
        (score as f32 >= best.least()).then_some(score as f32)
    }

    /// The runs of the documents that pass the filter, in order, where they are few; none: they are
    /// many, so that it is faster to look at every chunk with one of the terms.
    fn few_that_pass(&self, place: &Place<'_>) -> Option<Vec<Run>> {
        if self.open.all_pass() {
            return None;
        }
        let books = &self.open.books[place.shelf];
        let passing = self.open.passing(place.shelf);
        if passing.chunks * FEW_OF > books.chunks {
            return None;
        }
        let passing = passing.slots.iter().filter_map(|slot| books.book(*slot));
        let run = |book: &Book| place.segment.run(book.entry.generation).cloned();
        let mut runs: Vec<Run> = passing.filter_map(run).collect();
        runs.sort_unstable_by_key(|run| run.first);
        Some(runs)
    }

    /// Whose a chunk of the files is, if it lives and passes the filter.
    fn living(&self, place: &Place<'_>, doc: DocId) -> Option<(u32, u32)> {
        let run = place.segment.run_at(doc);
        let books = &self.open.books[place.shelf];
        let slot = books.slot(run.generation)?;
        let written = books.book(slot)?.batch <= self.open.committed.through;
        (written && self.open.passes(place.shelf, slot)).then_some((slot, doc - run.first))
    }
}

/// How many chunks of these runs, which are in order, a term stands in.
fn count_in(postings: &SegmentPostings, runs: &[Run]) -> u64 {
    let mut postings = postings.clone();
    let mut count = 0;
    for run in runs {
        if postings.doc() < run.first {
            postings.seek(run.first);
        }
        while postings.doc() < run.first + run.chunks {
            count += 1;
            postings.advance();
        }
    }
    count
}

/// What each hash is worth; none for those of terms that do not count.
fn worths(question: &[QuestionTerm], frequencies: &[u64], bm25: Bm25) -> Vec<Option<f64>> {
    let mut start = 0;
    let mut ranges = Vec::new();
    for term in question {
        ranges.push(start..start + term.hashes.len());
        start += term.hashes.len();
    }
    let sums: Vec<u64> =
        ranges.iter().map(|range| frequencies[range.clone()].iter().sum()).collect();
    let mut worths = vec![None; frequencies.len()];
    for term in counting_terms(&sums) {
        let worth = bm25.worth(sums[term]) * f64::from(question[term].count);
        worths[ranges[term].clone()].fill(Some(worth));
    }
    worths
}

/// The languages of the chunks with how many are of each, the commonest first.
fn languages(open: &Open<'_>) -> Vec<(Language, usize)> {
    let mut counts: FxHashMap<Language, u64> = FxHashMap::default();
    for books in &open.books {
        for (language, count) in books.languages() {
            *counts.entry(*language).or_default() += count;
        }
    }
    let mut counts: Vec<(Language, usize)> =
        counts.into_iter().map(|(language, count)| (language, count as usize)).collect();
    counts.sort_by_key(|(language, count)| (std::cmp::Reverse(*count), *language));
    counts
}
