//! A life against its head: what does not fit, and the batch that makes it fit.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::{Check, Job, Owner, Report, life::Life, spans::unfit};
use crate::record::{
    ChangeRow, DerivedRow, Head, JobKind, JobRow, JobState, PendingRow, PendingSession, Slot,
    encode, keys,
};
use crate::storage::Batch;
use crate::summarize::Span;
use crate::types::{Incarnation, Seq, Timestamp};

/// A life that is held against its head.
struct Fit<'a> {
    life: &'a Life,
    owner: &'a Owner,
    report: &'a mut Report,
    /// The head as it must be.
    head: Head,
    batch: Batch,
    /// Whether summaries were dropped.
    dropped: bool,
}

impl Life {
    /// Holds the life against its head; gives what mends it, or nothing when it fits.
    pub(super) fn fit(
        &self,
        owner: &Owner,
        embeds: bool,
        now: Timestamp,
        report: &mut Report,
        jobs: &mut BTreeMap<(Incarnation, JobKind), Job>,
    ) -> Option<Batch> {
        if self.has_losses {
            let what = "holds rows that cannot be read: nothing of it is mended";
            report.bad(Check::Turns, owner.name(), what);
            return None;
        }
        let (head, batch) = (owner.head.clone(), Batch::new());
        let mut fit = Fit { life: self, owner, report, head, batch, dropped: false };
        fit.counts();
        fit.derived();
        fit.vectors(embeds, now);
        fit.summaries();
        fit.externals();
        fit.jobs(now, jobs);
        fit.end()
    }
}

impl Fit<'_> {
    fn mendable(&mut self, check: Check, what: &str) {
        self.report.mendable(check, self.owner.name(), what);
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch = std::mem::take(&mut self.batch).put(key, value);
    }

    fn delete(&mut self, key: Vec<u8>) {
        self.batch = std::mem::take(&mut self.batch).delete(key);
    }

    /// The numbers of the head.
    fn counts(&mut self) {
        self.report.looked_at(Check::Turns);
        let life = self.life;
        for seq in life.marks.iter().filter(|seq| !life.turns.contains_key(seq)) {
            self.mendable(Check::Turns, "a turn that is gone is marked as superseded");
            self.delete(keys::mark(life.incarnation, *seq));
        }
        let stored = life.turns.len() as u64;
        if self.head.turns_stored != stored {
            let what = format!("{} turns by its head, {stored} there", self.head.turns_stored);
            self.mendable(Check::Turns, &what);
            self.head.turns_stored = stored;
        }
        let living = life.living().count() as u64;
        if self.head.turns_living != living {
            let what =
                format!("{} living turns by its head, {living} there", self.head.turns_living);
            self.mendable(Check::Turns, &what);
            self.head.turns_living = living;
        }
        let seqs = life.turns.keys().next_back().into_iter().chain(life.externals.values());
        let last = seqs.max().copied().unwrap_or_default();
        if self.head.last_seq < last {
            self.mendable(Check::Turns, "a turn lies after the last seq of its head");
            self.head.last_seq = last;
        }
        if self.head.change < life.last_change {
            self.mendable(Check::Turns, "a change lies after the last one of its head");
            self.head.change = life.last_change;
        }
    }

    fn derived(&mut self) {
        let life = self.life;
        let lacking = life.turns.keys().filter(|seq| !life.derived.contains(seq));
        // Of no version: whoever reads it derives it again from the turn.
        let of_none = encode(&DerivedRow::default());
        for seq in lacking {
            self.mendable(Check::Derived, "a turn without its derived row");
            self.put(keys::derived(life.incarnation, *seq), of_none.clone());
        }
        for seq in &life.derived {
            self.report.looked_at(Check::Derived);
            if !life.turns.contains_key(seq) {
                self.mendable(Check::Derived, "words of a turn that is gone");
                self.delete(keys::derived(life.incarnation, *seq));
            }
        }
        for (_, key) in life.broken.iter().filter(|(part, _)| *part == b'd') {
            self.mendable(Check::Derived, "a derived row that cannot be read");
            let seq = key.last_chunk::<8>().map(|bytes| Seq(u64::from_be_bytes(*bytes)));
            if seq.is_some_and(|seq| life.turns.contains_key(&seq)) {
                self.put(key.clone(), of_none.clone());
            }
        }
    }

    fn vectors(&mut self, embeds: bool, now: Timestamp) {
        let life = self.life;
        let living: BTreeSet<Seq> = life.living().map(|(seq, _)| seq).collect();
        for (_, key) in life.broken.iter().filter(|(part, _)| b"nvy".contains(part)) {
            self.mendable(Check::Vectors, "vectors, or a wait for them, that cannot be read");
            self.delete(key.clone());
        }
        for (slot, vectors) in Slot::ALL.into_iter().zip(&life.vectors) {
            for seq in vectors {
                self.report.looked_at(Check::Vectors);
                if !living.contains(seq) {
                    self.mendable(Check::Vectors, "vectors of a turn that is gone or superseded");
                    self.delete(keys::vectors(slot, life.incarnation, *seq));
                }
            }
        }
        for seq in life.pending.iter().filter(|seq| !living.contains(seq)) {
            self.mendable(Check::Vectors, "a turn that is gone or superseded waits for vectors");
            self.delete(keys::pending(life.incarnation, *seq));
        }
        let known = |seq: &Seq| {
            life.vectors.iter().any(|of| of.contains(seq)) || life.pending.contains(seq)
        };
        let lacking: Vec<Seq> = life
            .living()
            .filter(|(seq, stored)| stored.has_words && !known(seq))
            .map(|(seq, _)| seq)
            .collect();
        if embeds && !lacking.is_empty() {
            // Turns from before there was an embedder are queued when they are read.
            let what = format!("{} turns have no vectors and wait for none yet", lacking.len());
            self.report.warn(Check::Vectors, self.owner.name(), &what);
            for seq in lacking {
                let row = encode(&PendingRow { since: now });
                self.put(keys::pending(life.incarnation, seq), row);
            }
            let row = encode(&PendingSession { session: self.owner.session.clone() });
            self.put(keys::pending_session(&self.owner.tenant, life.incarnation), row);
        }
    }

    fn summaries(&mut self) {
        let life = self.life;
        let living: BTreeSet<Seq> = life.living().map(|(seq, _)| seq).collect();
        for (_, key) in life.broken.iter().filter(|(part, _)| *part == b's') {
            self.mendable(Check::Summaries, "a summary that cannot be read");
            self.delete(key.clone());
            self.dropped = true;
        }
        for (Span { level, first_seq, last_seq }, why) in unfit(&life.summaries, &living) {
            let what = format!("{why}: level {level}, turns {} to {}", first_seq.0, last_seq.0);
            self.mendable(Check::Summaries, &what);
            self.delete(keys::summary(life.incarnation, first_seq, level));
            self.dropped = true;
        }
        let ends = life.summaries.iter().map(|row| row.summary.span.last_seq);
        let last = ends.max().unwrap_or_default();
        life.summaries.iter().for_each(|_| self.report.looked_at(Check::Summaries));
        if self.head.summarized_to < last {
            self.mendable(Check::Summaries, "a summary lies after the last one of its head");
            self.head.summarized_to = last;
        }
    }

    fn externals(&mut self) {
        let life = self.life;
        for (seq, stored) in life.turns.iter().filter(|(_, turn)| !turn.external_id.is_empty()) {
            self.report.looked_at(Check::ExternalIds);
            if life.externals.get(&stored.external_id) != Some(seq) {
                self.mendable(Check::ExternalIds, "a turn whose external id leads to another one");
                let key = keys::external(life.incarnation, &stored.external_id);
                self.put(key, encode(seq));
            }
        }
    }

    /// The jobs that the head names, and those there are.
    fn jobs(&mut self, now: Timestamp, jobs: &mut BTreeMap<(Incarnation, JobKind), Job>) {
        let incarnation = self.life.incarnation;
        for kind in JobKind::ALL {
            let there = jobs.contains_key(&(incarnation, kind));
            if there && !self.head.jobs.has(kind) {
                self.mendable(Check::Jobs, "a job that its session does not know of");
                self.head.jobs = self.head.jobs.with(kind);
            }
            let lost = !there && self.head.jobs.has(kind);
            if lost {
                self.mendable(Check::Jobs, "a job that its session waits for is not there");
            }
            if lost || (self.dropped && !there) {
                self.head.jobs = self.head.jobs.with(kind);
                self.queue(kind, now, jobs);
            }
        }
    }

    fn queue(
        &mut self,
        kind: JobKind,
        now: Timestamp,
        jobs: &mut BTreeMap<(Incarnation, JobKind), Job>,
    ) {
        let Owner { tenant, session, head } = self.owner;
        let row = JobRow {
            kind,
            session: session.clone(),
            incarnation: head.incarnation,
            state: JobState::Waiting,
            due_at: now,
            attempts: 0,
            last_reason: String::new(),
            created_at: now,
        };
        let key = keys::job(tenant, head.incarnation, kind);
        self.put(keys::job_by_due(now, &key), Vec::new());
        self.put(key, encode(&row));
        // The list by time is looked at later, and cannot hold it yet.
        jobs.remove(&(head.incarnation, kind));
    }

    /// The batch, with the head when that is another one now.
    fn end(mut self) -> Option<Batch> {
        if self.dropped {
            // Who asks for changes learns of it.
            self.head.change = self.head.change.next();
            let row = ChangeRow { summaries: true, ..ChangeRow::default() };
            self.put(keys::change(self.life.incarnation, self.head.change), encode(&row));
            self.head.tail_tokens = self.life.living().map(|(_, turn)| turn.tokens).sum();
        }
        if self.head != self.owner.head {
            let value = encode(&self.head);
            self.put(keys::head(&self.owner.tenant, &self.owner.session), value);
        }
        (!self.batch.is_check()).then_some(self.batch)
    }
}
