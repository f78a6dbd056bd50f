//! DeleteTurns and ListTurns.

use std::collections::BTreeSet;

use crate::error::{Failure, Reason};
use crate::memory::{
    Answered, Memory,
    append::seq_of,
    rows::{repeat_of, revised, unreadable},
};
use crate::record::{Head, Verb, decode, keys};
use crate::sessions::{DeleteTurns, Erased, GROUP_REACH, Stored, close_groups, plan_delete_turns};
use crate::storage::{Read, Row};
use crate::types::{Incarnation, RequestId, Seq, SessionId, TenantId, Turn};

/// The most bytes of turns, or of heads of sessions, on one page: far below the largest message.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// How many turns a page reads at a time: a turn may have 4 MiB, and a page ends there.
const READ_TURNS: usize = 64;

/// Which page of turns to list.
#[derive(Debug, Clone)]
pub struct TurnPage {
    /// The session.
    pub session: SessionId,
    /// The last seq of the page before.
    pub after: Option<Seq>,
    /// How many turns at the most.
    pub size: usize,
    /// Whether to list superseded turns too.
    pub superseded: bool,
    /// Whether to list the last turn first.
    pub newest_first: bool,
}

impl Memory {
    /// Erases turns with the rest of their tool groups.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND`, `VERSION_MISMATCH`; `REQUEST_ID_REUSED`, `CONTENTION` and what the
    /// store refuses.
    pub async fn delete_turns(
        &self,
        tenant: &TenantId,
        request: &DeleteTurns,
        request_id: Option<RequestId>,
    ) -> Result<Answered, Failure> {
        let repeat = repeat_of(tenant, Verb::DeleteTurns, request_id, request);
        self.commit(repeat.as_ref(), || async {
            let head = self.existing(tenant, &request.session).await?;
            let user = self.user_head(tenant, head.row.user.as_ref()).await?;
            let erased = self.stored_groups(head.row.incarnation, &request.seqs).await?;
            let first = erased.first().map_or(Seq(u64::MAX), |turn| turn.seq);
            let summaries = self.spans_reaching(&head.row, first).await?;
            let erased = Erased { turns: &erased, summaries: &summaries };
            let now = self.clock.now();
            plan_delete_turns(tenant, request, &head, user.as_ref(), erased, now, repeat.as_ref())
        })
        .await
    }

    /// The stored turns among `seqs`, with the rest of their tool groups.
    async fn stored_groups(
        &self,
        incarnation: Incarnation,
        seqs: &BTreeSet<Seq>,
    ) -> Result<Vec<Stored>, Failure> {
        let mut erased: Vec<Stored> = Vec::new();
        for (low, high) in neighbourhoods(seqs) {
            let rows = self
                .read(vec![
                    Read::range(keys::turn(incarnation, low), keys::turn(incarnation, high)),
                    Read::range(keys::mark(incarnation, low), keys::mark(incarnation, high)),
                ])
                .await?;
            let marked: BTreeSet<_> = rows[1].iter().filter_map(|row| seq_of(&row.key)).collect();
            let mut around = Vec::new();
            for row in &rows[0] {
                let turn: Turn = decode(&row.value).map_err(unreadable)?;
                let superseded = marked.contains(&turn.seq);
                around.push(Stored { seq: turn.seq, group: turn.group(), superseded });
            }
            erased.extend(close_groups(&around, seqs));
        }
        erased.sort_by_key(|turn| turn.seq);
        erased.dedup_by_key(|turn| turn.seq);
        Ok(erased)
    }

    /// A page of turns with whether each is superseded, and whether there are more.
    ///
    /// # Errors
    /// `SESSION_NOT_FOUND` and what the store refuses.
    pub async fn list_turns(
        &self,
        tenant: &TenantId,
        page: &TurnPage,
    ) -> Result<(Vec<(Turn, bool)>, bool), Failure> {
        let incarnation = self.existing(tenant, &page.session).await?.row.incarnation;
        let (mut turns, mut bytes, mut after) = (Vec::new(), 0, page.after);
        loop {
            let rows = self.turn_rows(tenant, incarnation, page, after).await?;
            let read = rows.len();
            for (seq, row, superseded) in rows {
                if superseded && !page.superseded {
                    after = Some(seq);
                    continue;
                }
                let full = bytes > 0 && bytes + row.value.len() > PAGE_BYTES_MAX;
                if turns.len() == page.size || full {
                    return Ok((turns, true));
                }
                bytes += row.value.len();
                after = Some(seq);
                turns.push((decode(&row.value).map_err(unreadable)?, superseded));
            }
            if read < READ_TURNS {
                return Ok((turns, false));
            }
        }
    }

    /// The next rows of turns after `after`, in the order of the page, each with whether it is
    /// superseded. Head, turns and marks are of one snapshot: of a session that is deleted
    /// meanwhile the marks may go before the turns.
    async fn turn_rows(
        &self,
        tenant: &TenantId,
        incarnation: Incarnation,
        page: &TurnPage,
        after: Option<Seq>,
    ) -> Result<Vec<(Seq, Row, bool)>, Failure> {
        let (low, high) = match (after, page.newest_first) {
            (None, _) => (Seq(0), Seq(u64::MAX)),
            (Some(after), false) => (after.next(), Seq(u64::MAX)),
            (Some(after), true) => (Seq(0), after),
        };
        // A mark is of a turn that is there: as many of them reach as far as the turns.
        let ranges = [keys::turn, keys::mark].map(|key| {
            let range = Read::range(key(incarnation, low), key(incarnation, high));
            let range = if page.newest_first { range.descending() } else { range };
            range.limit(READ_TURNS)
        });
        let [turns, marks] = ranges;
        let head = Read::get(keys::head(tenant, &page.session));
        let mut read = self.read(vec![head, turns, marks]).await?;
        let head = revised::<Head>(&read[0])?;
        if head.is_none_or(|head| head.row.incarnation != incarnation) {
            let message = format!("no session `{}`", page.session);
            return Err(Failure::new(Reason::SessionNotFound, message));
        }
        let marked: BTreeSet<_> = read[2].iter().filter_map(|row| seq_of(&row.key)).collect();
        let rows = read.swap_remove(1).into_iter();
        let rows = rows.filter_map(|row| Some((seq_of(&row.key)?, row)));
        Ok(rows.map(|(seq, row)| (seq, row, marked.contains(&seq))).collect())
    }
}

/// Ranges (the end exclusive) that hold the wanted turns and as many around them as a tool group
/// may reach; ranges that touch are one.
fn neighbourhoods(seqs: &BTreeSet<Seq>) -> Vec<(Seq, Seq)> {
    let mut ranges: Vec<(Seq, Seq)> = Vec::new();
    for seq in seqs {
        let low = Seq(seq.0.saturating_sub(GROUP_REACH));
        let high = Seq(seq.0.saturating_add(GROUP_REACH + 1));
        match ranges.last_mut() {
            Some(last) if low <= last.1 => last.1 = high,
            _ => ranges.push((low, high)),
        }
    }
    ranges
}
