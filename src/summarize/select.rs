//! Which sentences a summary takes: the worthiest first, nothing said twice, spread over turns and
//! days, within a number of tokens.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::summarize::{
    Line,
    features::{Read, says_change},
};
use crate::tokens::Tokenizer;
use crate::types::{Seq, Timestamp};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What the heading of a day costs, at most.
const HEADING_TOKENS: u64 = 10;

/// A sentence of which less than this part is new says again what was said.
const NOVELTY_MIN: f64 = 0.4;

/// Sentences of less worth are no lines, though there be space.
const VALUE_MIN: f64 = 0.8;

/// A stem in more sentences than this is no evidence that two of them say the same.
const SHARED_MAX: usize = 24;

/// A sentence that may become a line.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) seq: Seq,
    pub(super) created_at: Timestamp,
    pub(super) speaker: String,
    pub(super) text: String,
    pub(super) read: Read,
    /// What it is worth by itself.
    pub(super) value: f64,
    /// The numbers of the sentences that it is made of; two lines share none.
    pub(super) sentences: Range<usize>,
    pub(super) changed: bool,
}

impl Candidate {
    fn day(&self) -> i64 {
        self.created_at.0.div_euclid(DAY_MS)
    }

    fn line(&self, rank: usize) -> Line {
        Line {
            seq: self.seq,
            created_at: self.created_at,
            speaker: self.speaker.clone(),
            text: self.text.clone(),
            rank: u16::try_from(rank).unwrap_or(u16::MAX),
            changed: self.changed,
        }
    }
}

/// Takes lines into `budget` tokens, headings of days included. The lines come in the order of the
/// candidates, which is the order in which they were said.
pub(super) fn select(
    mut candidates: Vec<Candidate>,
    budget: u64,
    tokenizer: &Tokenizer,
) -> Vec<Line> {
    candidates.retain(|candidate| candidate.value >= VALUE_MIN);
    let places = places(&candidates);
    replace_changed(&mut candidates, &places);
    let mut chosen = Chosen::new(&candidates, &places);
    let costs: Vec<u64> = candidates.iter().map(|candidate| cost(candidate, tokenizer)).collect();
    let mut heap: BinaryHeap<Entry> = (0..candidates.len())
        .map(|at| Entry { key: chosen.key(at, costs[at]), at, seen: 0 })
        .collect();
    let mut left = budget;
    let mut taken: Vec<usize> = Vec::new();
    while let Some(entry) = heap.pop() {
        if entry.key <= 0.0 {
            break;
        }
        if entry.seen < taken.len() {
            let key = chosen.key(entry.at, costs[entry.at]);
            heap.push(Entry { key, at: entry.at, seen: taken.len() });
            continue;
        }
        let whole = costs[entry.at] + chosen.heading(entry.at);
        if whole <= left {
            left -= whole;
            chosen.take(entry.at);
            taken.push(entry.at);
        }
    }
    let ranked: BTreeMap<usize, usize> = taken.into_iter().zip(0..).collect();
    ranked.into_iter().map(|(at, rank)| candidates[at].line(rank)).collect()
}

fn cost(candidate: &Candidate, tokenizer: &Tokenizer) -> u64 {
    u64::from(tokenizer.count(&format!("{}\n", candidate.line(0).render())))
}

/// In which sentences each stem stands.
fn places(candidates: &[Candidate]) -> FxHashMap<u64, Vec<usize>> {
    let mut places: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
    for (at, candidate) in candidates.iter().enumerate() {
        for stem in &candidate.read.words.stems {
            places.entry(*stem).or_default().push(at);
        }
    }
    places
}

/// Where somebody says the same thing again with other numbers or names, or says that it changed:
/// the older sentence goes, the newer is marked.
fn replace_changed(candidates: &mut [Candidate], places: &FxHashMap<u64, Vec<usize>>) {
    for later in 0..candidates.len() {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for stem in &candidates[later].read.words.stems {
            let Some(known) = places.get(stem).filter(|known| known.len() <= SHARED_MAX) else {
                continue;
            };
            for earlier in known.iter().take_while(|earlier| **earlier < later) {
                *shared.entry(*earlier).or_default() += 1;
            }
        }
        for (earlier, count) in shared {
            if replaces(&candidates[later], &candidates[earlier], count) {
                candidates[earlier].value = 0.0;
                candidates[later].changed = true;
            }
        }
    }
}

fn replaces(later: &Candidate, earlier: &Candidate, shared: usize) -> bool {
    let (new, old) = (&later.read, &earlier.read);
    let fewest = new.words.stems.len().min(old.words.stems.len());
    let alike = shared >= 3 && shared * 2 >= fewest;
    if !alike || later.seq == earlier.seq || later.speaker != earlier.speaker {
        return false;
    }
    let differ =
        |a: &FxHashSet<u64>, b: &FxHashSet<u64>| !a.is_empty() && !b.is_empty() && a.is_disjoint(b);
    let told = !new.asks && !old.asks;
    let very = shared * 3 >= fewest * 2 && (new.names == old.names || old.names.is_empty());
    told && ((very && differ(&new.numbers, &old.numbers)) || says_change(new))
}

/// What was chosen so far, and how the rest looks beside it.
struct Chosen<'a> {
    candidates: &'a [Candidate],
    /// What each stem weighs: rare ones more, those of a topic that comes back more too.
    weights: FxHashMap<u64, f64>,
    said: FxHashSet<u64>,
    sentences: FxHashSet<usize>,
    turns: FxHashMap<Seq, u32>,
    days: FxHashMap<i64, u32>,
    values: Vec<f64>,
}

impl<'a> Chosen<'a> {
    fn new(candidates: &'a [Candidate], places: &FxHashMap<u64, Vec<usize>>) -> Self {
        let all = candidates.len().max(1) as f64;
        let weigh = |known: &Vec<usize>| (1.0 + all / known.len() as f64).ln();
        let weights = places.iter().map(|(stem, known)| (*stem, weigh(known))).collect();
        let central = |candidate: &Candidate| {
            let stems = &candidate.read.words.stems;
            let shared = stems.iter().filter_map(|stem| places.get(stem)).map(Vec::len);
            let linked: f64 = shared.map(|known| (known.min(6) - 1) as f64 / 5.0).sum();
            candidate.value + 0.6 * linked / stems.len().max(1) as f64
        };
        let values = candidates.iter().map(|candidate| match candidate.value {
            value if value < VALUE_MIN => 0.0,
            _ => central(candidate),
        });
        let values = values.collect();
        Self {
            candidates,
            weights,
            said: FxHashSet::default(),
            sentences: FxHashSet::default(),
            turns: FxHashMap::default(),
            days: FxHashMap::default(),
            values,
        }
    }

    /// What taking it now is worth for its cost; it only falls as more is chosen.
    fn key(&self, at: usize, cost: u64) -> f64 {
        let candidate = &self.candidates[at];
        if candidate.sentences.clone().any(|sentence| self.sentences.contains(&sentence)) {
            return 0.0;
        }
        let (mut new, mut all) = (0.0, 0.0);
        for stem in &candidate.read.words.stems {
            let weight = self.weights.get(stem).copied().unwrap_or(1.0);
            all += weight;
            new += if self.said.contains(stem) { 0.0 } else { weight };
        }
        let novelty = if all > 0.0 { new / all } else { 0.0 };
        if novelty < NOVELTY_MIN {
            return 0.0;
        }
        let in_turn = f64::from(self.turns.get(&candidate.seq).copied().unwrap_or(0));
        let in_day = f64::from(self.days.get(&candidate.day()).copied().unwrap_or(0));
        let spread = 1.0 / ((1.0 + 0.5 * in_turn) * (1.0 + 0.1 * in_day));
        self.values[at] * novelty * spread / ((cost + 4) as f64).sqrt()
    }

    fn heading(&self, at: usize) -> u64 {
        if self.days.contains_key(&self.candidates[at].day()) { 0 } else { HEADING_TOKENS }
    }

    fn take(&mut self, at: usize) {
        let candidate = &self.candidates[at];
        self.sentences.extend(candidate.sentences.clone());
        self.said.extend(&candidate.read.words.stems);
        *self.turns.entry(candidate.seq).or_default() += 1;
        *self.days.entry(candidate.day()).or_default() += 1;
    }
}

/// A candidate in the queue, with its key when `seen` lines were chosen.
struct Entry {
    key: f64,
    at: usize,
    seen: usize,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(other.at.cmp(&self.at))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
