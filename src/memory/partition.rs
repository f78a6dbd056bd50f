//! The copy of a session in memory: its living turns, their index, their token counts.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::Arc;

use crate::context::{LAYOUT_VERSION, SummaryView, TurnCounts, TurnView, count_lines, measure};
use crate::memory::behind::lacking;
use crate::record::{DerivedRow, Head, SessionKind, SummaryRow, VectorRow};
use crate::retrieve::{
    ANALYSIS_VERSION, Indexed, PIECES_VERSION, SessionIndex, Spoken, TurnTerms, TurnVectors,
    analyse,
};
use crate::tokens::Tokenizer;
use crate::types::{Change, Incarnation, Part, Seq, Timestamp, Turn, UserId};

/// A living turn with what was derived from it.
pub struct Loaded {
    turn: Turn,
    terms: TurnTerms,
    counts: Vec<(String, TurnCounts)>,
    vectors: Option<TurnVectors>,
}

/// By what the copies of a tenant's sessions are derived.
#[derive(Debug, Clone, Copy)]
pub struct Derivation<'a> {
    /// The language of the policy; empty: detected.
    pub language: &'a str,
    /// The key of the embedder that serves; `None`: there is none.
    pub embedder: Option<&'a str>,
}

impl Derivation<'_> {
    /// The vectors of a row, if the embedder in use made them of the pieces in use.
    pub fn vectors(&self, row: VectorRow) -> Option<TurnVectors> {
        let same = Some(row.embedder.as_str()) == self.embedder;
        (same && row.pieces_version == PIECES_VERSION).then_some(row.vectors)
    }
}

impl Loaded {
    /// A turn with its derived row and its vectors. What another version of the code made, or the
    /// language of an earlier policy, is made again; vectors that another embedder made are left
    /// out.
    pub fn new(
        turn: Turn,
        derived: Option<DerivedRow>,
        vectors: Option<VectorRow>,
        by: Derivation<'_>,
    ) -> Self {
        let vectors = vectors.and_then(|row| by.vectors(row));
        let Some(row) = derived else {
            let terms = analyse(&turn, by.language);
            return Self { turn, terms, counts: Vec::new(), vectors };
        };
        let fresh = row.analysis_version == ANALYSIS_VERSION && row.terms.is_by(by.language);
        let terms = if fresh { row.terms } else { analyse(&turn, by.language) };
        let counts = if row.layout_version == LAYOUT_VERSION { row.counts } else { Vec::new() };
        Self { turn, terms, counts, vectors }
    }
}

/// The living turns of a session at one change.
pub struct Partition {
    incarnation: Incarnation,
    embedder: Option<Arc<str>>,
    user: Option<UserId>,
    change: Change,
    ends_at: Option<Timestamp>,
    kind: SessionKind,
    pinned: String,
    turns: Vec<Turn>,
    language: String,
    spoken: Spoken,
    index: SessionIndex,
    counts: BTreeMap<String, Vec<TurnCounts>>,
    text_bytes: usize,
    summaries: Vec<SummaryRow>,
    summary_counts: BTreeMap<String, Vec<Vec<u32>>>,
}

impl Partition {
    /// A session's copy from its turns and its summaries in order; the turns were read by the
    /// language of `by`, and their vectors are of its embedder.
    pub fn new(
        head: &Head,
        turns: Vec<Loaded>,
        summaries: Vec<SummaryRow>,
        by: Derivation<'_>,
    ) -> Self {
        let mut partition = Self {
            incarnation: head.incarnation,
            embedder: by.embedder.map(Into::into),
            user: head.user.clone(),
            change: head.change,
            ends_at: head.expires_at(),
            kind: head.kind,
            pinned: head.pinned_instructions.clone(),
            turns: Vec::with_capacity(turns.len()),
            language: by.language.to_owned(),
            spoken: Spoken::default(),
            index: SessionIndex::default(),
            counts: BTreeMap::new(),
            text_bytes: 0,
            summaries,
            summary_counts: BTreeMap::new(),
        };
        for loaded in turns {
            partition.push(loaded);
        }
        partition
    }

    /// The life of the session that it is a copy of.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The key of the embedder whose vectors it has.
    pub fn embedder(&self) -> Option<&str> {
        self.embedder.as_deref()
    }

    /// Whether it is a session of this user: a name that was deleted may begin again as another's.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.user.as_ref() == Some(user)
    }

    /// The change that it is a copy of.
    pub fn change(&self) -> Change {
        self.change
    }

    /// The language of the policy that its turns were read by; empty: detected.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Whether the session has ended by `now`.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }

    /// Takes over the settings that a head of this or a later change gives.
    pub fn take_settings(&mut self, head: &Head) {
        if head.change >= self.change {
            self.ends_at = head.expires_at();
            self.kind = head.kind;
            self.pinned.clone_from(&head.pinned_instructions);
        }
    }

    /// The kind of conversation that the session was declared to be.
    pub fn kind(&self) -> SessionKind {
        self.kind
    }

    /// The pinned instructions at the change of the copy.
    pub fn pinned(&self) -> &str {
        &self.pinned
    }

    /// The living turns in order.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// A living turn.
    pub fn turn(&self, seq: Seq) -> Option<&Turn> {
        let place = self.turns.binary_search_by_key(&seq, |turn| turn.seq).ok()?;
        Some(&self.turns[place])
    }

    /// The summaries in the order of their first seqs, then levels.
    pub fn summaries(&self) -> &[SummaryRow] {
        &self.summaries
    }

    /// Takes the summaries over, as they are at the change of the copy.
    pub fn take_summaries(&mut self, summaries: Vec<SummaryRow>) {
        self.summaries = summaries;
        self.summary_counts.clear();
    }

    /// Whether some living turn has something to embed and no vectors.
    pub fn lacks_vectors(&self) -> bool {
        self.index.vectors_known(None) < self.index.wanting(None)
    }

    /// The living turns that have something to embed and no vectors, in order.
    pub fn turns_without_vectors(&self) -> Vec<Seq> {
        lacking(&self.turns, |seq| self.index.has_vectors(seq))
    }

    /// The index of the living turns.
    pub fn index(&self) -> &SessionIndex {
        &self.index
    }

    /// Whether every turn is counted by a tokenizer.
    pub fn is_counted(&self, tokenizer: &Tokenizer) -> bool {
        let key = tokenizer.key();
        (self.turns.is_empty() || self.counts.contains_key(key))
            && (self.summaries.is_empty() || self.summary_counts.contains_key(key))
    }

    /// Counts every turn and summary by a tokenizer, unless that was done.
    pub fn count(&mut self, tokenizer: &Tokenizer) {
        let key = tokenizer.key();
        if !self.summary_counts.contains_key(key) {
            let counts = self.summaries.iter().map(|row| line_tokens(row, tokenizer)).collect();
            self.summary_counts.insert(key.to_owned(), counts);
        }
        if !self.turns.is_empty() && !self.counts.contains_key(key) {
            let counts = self.turns.iter().map(|turn| measure(turn, tokenizer)).collect();
            self.counts.insert(key.to_owned(), counts);
        }
    }

    /// The summaries with what their lines cost, as those of the source of this number; empty when
    /// [`Partition::count`] was not called for the tokenizer.
    pub fn summary_views(
        &self,
        source: usize,
        tokenizer: &Tokenizer,
    ) -> impl Iterator<Item = SummaryView<'_>> {
        let counts = self.summary_counts.get(tokenizer.key()).map(Vec::as_slice);
        let pairs = self.summaries.iter().zip(counts.unwrap_or_default());
        pairs.map(move |(row, line_tokens)| SummaryView {
            source,
            summary: &row.summary,
            line_tokens,
        })
    }

    /// The turns with their counts; empty when [`Partition::count`] was not called for it.
    pub fn views(&self, tokenizer: &Tokenizer) -> Vec<TurnView<'_>> {
        let counts = self.counts.get(tokenizer.key()).map(Vec::as_slice).unwrap_or_default();
        let pairs = self.turns.iter().zip(counts);
        pairs.map(|(turn, counts)| TurnView { turn, counts }).collect()
    }

    /// Brings the copy one change forward, which appended turns (those still stored are given) or
    /// gave turns their vectors, and took no turn away: for a change that did, it is made anew.
    pub fn advance(
        &mut self,
        change: Change,
        appended: Vec<Loaded>,
        embedded: Vec<(Seq, TurnVectors)>,
    ) {
        debug_assert_eq!(change, self.change.next(), "changes are applied in order");
        for loaded in appended {
            self.push(loaded);
        }
        for (seq, vectors) in embedded {
            self.index.set_vectors(seq, &vectors);
        }
        self.change = change;
    }

    fn push(&mut self, loaded: Loaded) {
        let Loaded { turn, terms, counts, vectors } = loaded;
        let terms = self.spoken.settle(&turn, terms);
        if self.turns.is_empty() {
            self.counts = counts.into_iter().map(|(key, counts)| (key, vec![counts])).collect();
        } else {
            // A tokenizer that this turn was not counted by is counted anew when it is asked for.
            self.counts.retain(|key, all| match counts.iter().find(|(known, _)| known == key) {
                Some((_, counts)) => {
                    all.push(*counts);
                    true
                }
                None => false,
            });
        }
        self.text_bytes += turn_bytes(&turn);
        self.index.push(Indexed {
            seq: turn.seq,
            role: turn.role,
            speaker: &turn.name,
            created_at: turn.created_at,
            terms: &terms,
        });
        if let Some(vectors) = vectors {
            self.index.set_vectors(turn.seq, &vectors);
        }
        self.turns.push(turn);
    }

    /// Bytes of the text of its turns.
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let counts: usize =
            self.counts.values().map(|all| all.len() * size_of::<TurnCounts>()).sum();
        let turns = self.turns.len() * size_of::<Turn>();
        size_of::<Self>()
            + self.pinned.len()
            + self.text_bytes
            + turns
            + counts
            + self.summaries.iter().map(summary_bytes).sum::<usize>()
            + self.index.bytes()
    }
}

/// What the lines of a summary cost: as stored, or counted now.
fn line_tokens(row: &SummaryRow, tokenizer: &Tokenizer) -> Vec<u32> {
    let stored = row.counts.iter().find(|(key, _)| key == tokenizer.key());
    match stored.filter(|_| row.layout_version == LAYOUT_VERSION) {
        Some((_, counts)) => counts.clone(),
        None => count_lines(&row.summary, tokenizer),
    }
}

/// About how many bytes a summary takes.
fn summary_bytes(row: &SummaryRow) -> usize {
    let lines = row.summary.lines.iter();
    size_of::<SummaryRow>() + lines.map(|line| 128 + line.text.len()).sum::<usize>()
}

/// About how many bytes a turn takes beside its own struct.
fn turn_bytes(turn: &Turn) -> usize {
    let labels: usize = turn.metadata.iter().map(|(key, value)| key.len() + value.len() + 64).sum();
    let parts = turn.parts.iter().map(|part| size_of::<Part>() + 128 + part.bytes());
    turn.name.len() + turn.external_id.len() + labels + parts.sum::<usize>()
}
