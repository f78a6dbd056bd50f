//! Summaries against the turns that they cover.

use std::collections::BTreeSet;

use crate::record::SummaryRow;
use crate::summarize::Span;
use crate::types::Seq;

/// The summaries that cannot stay, with why; `living` are the turns that are neither erased nor
/// superseded. Without them, what is left covers no turn twice, and each of a higher level is made
/// of whole ones of the level below.
pub(super) fn unfit(rows: &[SummaryRow], living: &BTreeSet<Seq>) -> Vec<(Span, &'static str)> {
    let mut unfit = Vec::new();
    let mut kept: Vec<Span> = Vec::new();
    let mut ordered: Vec<&SummaryRow> = rows.iter().collect();
    ordered.sort_by_key(|row| row.summary.span);
    for row in ordered {
        match fault(row, &kept, living) {
            Some(why) => unfit.push((row.summary.span, why)),
            None => kept.push(row.summary.span),
        }
    }
    unfit
}

/// What is wrong with a summary, given those of its level before it and all of lower levels that
/// fit.
fn fault(row: &SummaryRow, kept: &[Span], living: &BTreeSet<Seq>) -> Option<&'static str> {
    let summary = &row.summary;
    let span = summary.span;
    if span.first_seq > span.last_seq {
        return Some("a summary whose range is none");
    }
    let held = living.range(span.first_seq..=span.last_seq).count() as u64;
    if held != summary.turns || held == 0 {
        return Some("a summary over turns that are gone, or were not there when it was made");
    }
    if summary.lines.iter().any(|line| !living.contains(&line.seq) || !span.holds(line.seq)) {
        return Some("a summary that quotes a turn which it does not cover");
    }
    let meets =
        |other: &&Span| other.first_seq <= span.last_seq && span.first_seq <= other.last_seq;
    if kept.iter().filter(meets).any(|other| other.level == span.level) {
        return Some("two summaries of a level over the same turns");
    }
    if span.level == 0 {
        return None;
    }
    let parts: Vec<&Span> =
        kept.iter().filter(meets).filter(|other| other.level + 1 == span.level).collect();
    let ends = (parts.first().map(|part| part.first_seq), parts.last().map(|part| part.last_seq));
    if ends != (Some(span.first_seq), Some(span.last_seq)) {
        return Some("a summary that is not made of whole ones of the level below");
    }
    let mut within = living.range(span.first_seq..=span.last_seq);
    let open = within.any(|seq| !parts.iter().any(|part| part.holds(*seq)));
    open.then_some("a summary over turns that none of the level below covers")
}
