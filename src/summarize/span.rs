//! What summaries cover: spans of turns, in levels.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::types::Seq;

/// What a summary covers: the living turns from one seq to another. A span of a higher level is
/// made of whole spans of the level below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// 0: made of turns; n: made of spans of level n − 1.
    pub level: u8,
    /// The first turn it covers.
    pub first_seq: Seq,
    /// The last turn it covers; not before the first.
    pub last_seq: Seq,
}

impl Span {
    /// Whether `seq` lies inside.
    pub fn holds(&self, seq: Seq) -> bool {
        self.first_seq <= seq && seq <= self.last_seq
    }
}

/// The indexes of the spans that no span of a higher level covers, by ascending first seq.
pub fn frontier(spans: &[Span]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|at| (spans[*at].first_seq, Reverse(spans[*at].level)));
    let mut covered: Option<Seq> = None;
    order.retain(|at| {
        let span = &spans[*at];
        let is_new = covered.is_none_or(|end| span.first_seq > end);
        if is_new {
            covered = Some(span.last_seq);
        }
        is_new
    });
    order
}

/// The indexes of the spans, of all levels, that hold an erased turn or reach a superseded one:
/// summaries over them are void.
pub fn voided(spans: &[Span], erased: &BTreeSet<Seq>, superseded_from: Option<Seq>) -> Vec<usize> {
    let is_void = |span: &Span| {
        erased.range(span.first_seq..=span.last_seq).next().is_some()
            || superseded_from.is_some_and(|from| span.last_seq >= from)
    };
    (0..spans.len()).filter(|at| is_void(&spans[*at])).collect()
}
