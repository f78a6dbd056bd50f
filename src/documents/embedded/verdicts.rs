//! Which documents of a collection pass a filter: what was found is kept, since to look at every
//! document takes longer than all else of a question, and questions have the same filters.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::documents::DocumentFilter;

/// For so many filters of a collection, the latest ones: of each it takes a byte a document.
const FILTERS_MAX: usize = 16;

const UNKNOWN: u8 = 0;
const PASSES: u8 = 1;
const FAILS: u8 = 2;

/// The verdicts of one filter, one for each slot, as far as they are known.
#[derive(Default)]
pub(super) struct Verdicts {
    of: Vec<AtomicU8>,
}

impl Verdicts {
    fn of_slots(slots: usize) -> Self {
        Self { of: (0..slots).map(|_| AtomicU8::new(UNKNOWN)).collect() }
    }

    /// The same for more slots.
    fn longer(&self, slots: usize) -> Self {
        let more = Self::of_slots(slots);
        for (new, known) in more.of.iter().zip(&self.of) {
            new.store(known.load(Relaxed), Relaxed);
        }
        more
    }

    /// Whether what is in a slot passes; `look` looks, if nobody knows yet.
    pub(super) fn passes(&self, slot: u32, look: impl FnOnce() -> bool) -> bool {
        let verdict = &self.of[slot as usize];
        match verdict.load(Relaxed) {
            UNKNOWN => {
                let passes = look();
                verdict.store(if passes { PASSES } else { FAILS }, Relaxed);
                passes
            }
            known => known == PASSES,
        }
    }
}

/// The verdicts of the filters that were asked for lately, the latest last.
#[derive(Default)]
pub(super) struct Filters {
    kept: Mutex<Vec<(DocumentFilter, Arc<Verdicts>)>>,
}

impl Filters {
    /// Those of a filter, with room for so many slots. What is in a slot must not change while they
    /// are in use.
    pub(super) fn verdicts(&self, filter: &DocumentFilter, slots: usize) -> Arc<Verdicts> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| known == filter);
        let (filter, verdicts) = match known.map(|place| kept.remove(place)) {
            Some((filter, known)) if known.of.len() >= slots => (filter, known),
            Some((filter, known)) => (filter, Arc::new(known.longer(slots))),
            None => (filter.clone(), Arc::new(Verdicts::of_slots(slots))),
        };
        if kept.len() >= FILTERS_MAX {
            kept.remove(0);
        }
        kept.push((filter, Arc::clone(&verdicts)));
        verdicts
    }

    /// Forgets what was found of a slot: something else comes there.
    pub(super) fn forget(&mut self, slot: u32) {
        for (_, verdicts) in self.kept.get_mut().unwrap_or_else(PoisonError::into_inner) {
            if let Some(verdict) = verdicts.of.get(slot as usize) {
                verdict.store(UNKNOWN, Relaxed);
            }
        }
    }
}
