//! The copy of a session in memory: its living turns, their index, their token counts.

use std::collections::BTreeMap;
use std::mem::size_of;

use crate::context::{LAYOUT_VERSION, TurnCounts, TurnView, measure};
use crate::record::{DerivedRow, Head, SessionKind};
use crate::retrieve::{ANALYSIS_VERSION, Indexed, SessionIndex, TurnTerms, analyse};
use crate::tokens::Tokenizer;
use crate::types::{Change, Incarnation, Part, Seq, Timestamp, Turn, UserId};

/// A living turn with what was derived from it.
pub struct Loaded {
    turn: Turn,
    terms: TurnTerms,
    counts: Vec<(String, TurnCounts)>,
}

impl Loaded {
    /// A turn with its derived row. What another version of the code made is made again.
    pub fn new(turn: Turn, derived: Option<DerivedRow>, language: &str) -> Self {
        let Some(row) = derived else {
            let terms = analyse(&turn, language);
            return Self { turn, terms, counts: Vec::new() };
        };
        let fresh = row.analysis_version == ANALYSIS_VERSION;
        let terms = if fresh { row.terms } else { analyse(&turn, language) };
        let counts = if row.layout_version == LAYOUT_VERSION { row.counts } else { Vec::new() };
        Self { turn, terms, counts }
    }
}

/// The living turns of a session at one change.
pub struct Partition {
    incarnation: Incarnation,
    user: Option<UserId>,
    change: Change,
    ends_at: Option<Timestamp>,
    kind: SessionKind,
    pinned: String,
    turns: Vec<Turn>,
    index: SessionIndex,
    counts: BTreeMap<String, Vec<TurnCounts>>,
    text_bytes: usize,
}

impl Partition {
    /// A session's copy from its turns in order.
    pub fn new(head: &Head, turns: Vec<Loaded>) -> Self {
        let mut partition = Self {
            incarnation: head.incarnation,
            user: head.user.clone(),
            change: head.change,
            ends_at: head.expires_at(),
            kind: head.kind,
            pinned: head.pinned_instructions.clone(),
            turns: Vec::with_capacity(turns.len()),
            index: SessionIndex::default(),
            counts: BTreeMap::new(),
            text_bytes: 0,
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

    /// Whether it is a session of this user: a name that was deleted may begin again as another's.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.user.as_ref() == Some(user)
    }

    /// The change that it is a copy of.
    pub fn change(&self) -> Change {
        self.change
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

    /// The index of the living turns.
    pub fn index(&self) -> &SessionIndex {
        &self.index
    }

    /// Whether every turn is counted by a tokenizer.
    pub fn is_counted(&self, tokenizer: &Tokenizer) -> bool {
        self.turns.is_empty() || self.counts.contains_key(tokenizer.key())
    }

    /// Counts every turn by a tokenizer, unless that was done.
    pub fn count(&mut self, tokenizer: &Tokenizer) {
        if !self.is_counted(tokenizer) {
            let counts = self.turns.iter().map(|turn| measure(turn, tokenizer)).collect();
            self.counts.insert(tokenizer.key().to_owned(), counts);
        }
    }

    /// The turns with their counts; empty when [`Partition::count`] was not called for it.
    pub fn views(&self, tokenizer: &Tokenizer) -> Vec<TurnView<'_>> {
        let counts = self.counts.get(tokenizer.key()).map(Vec::as_slice).unwrap_or_default();
        let pairs = self.turns.iter().zip(counts);
        pairs.map(|(turn, counts)| TurnView { turn, counts }).collect()
    }

    /// Brings the copy one change forward, which appended turns (those still stored are given) and
    /// took none away: for a change that did, the copy is made anew.
    pub fn advance(&mut self, change: Change, appended: Vec<Loaded>) {
        debug_assert_eq!(change, self.change.next(), "changes are applied in order");
        for loaded in appended {
            self.push(loaded);
        }
        self.change = change;
    }

    fn push(&mut self, loaded: Loaded) {
        let Loaded { turn, terms, counts } = loaded;
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
        self.turns.push(turn);
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
            + self.index.bytes()
    }
}

/// About how many bytes a turn takes beside its own struct.
fn turn_bytes(turn: &Turn) -> usize {
    let labels: usize = turn.metadata.iter().map(|(key, value)| key.len() + value.len() + 64).sum();
    turn.name.len() + turn.external_id.len() + labels + parts_bytes(&turn.parts)
}

fn parts_bytes(parts: &[Part]) -> usize {
    let bytes = |part: &Part| match part {
        Part::Text(text) => text.len(),
        Part::ToolCall { id, name, arguments } => id.len() + name.len() + arguments.len(),
        Part::ToolResult { call_id, parts, .. } => call_id.len() + parts_bytes(parts),
        Part::Media(media) => media.uri.len() + media.file_id.len() + media.caption.len(),
        Part::Opaque { provider, json } => provider.len() + json.len(),
    };
    parts.iter().map(|part| size_of::<Part>() + bytes(part)).sum()
}
