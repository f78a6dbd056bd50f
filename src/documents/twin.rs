//! Two indexes with vectors of two embedders, both told of every document; one answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;

use crate::documents::{Candidates, DocumentIndex, Entry, IndexError, Place, Question};
use crate::retrieve::TurnVectors;
use crate::types::Generation;

/// Two indexes of one record, for the vectors of its slot 0 and of its slot 1.
pub struct Twin {
    indexes: [Arc<dyn DocumentIndex>; 2],
    serving: AtomicUsize,
    /// Whether an index did not do what it was told, and does not know that itself.
    missed: [AtomicBool; 2],
}

impl Twin {
    /// Both, of which the one of the slot `serving` (0 or 1) answers.
    pub fn new(indexes: [Arc<dyn DocumentIndex>; 2], serving: usize) -> Self {
        let serving = AtomicUsize::new(serving.min(1));
        Self { indexes, serving, missed: [AtomicBool::new(true), AtomicBool::new(true)] }
    }

    fn serving(&self) -> usize {
        self.serving.load(Relaxed)
    }

    /// What both said: what the one that answers could not do is an error, what the other one could
    /// not do is made up for later.
    fn said(&self, said: [Result<(), IndexError>; 2]) -> Result<(), IndexError> {
        let mut answer = Ok(());
        for (slot, said) in said.into_iter().enumerate() {
            if said.is_err() {
                self.missed[slot].store(true, Relaxed);
            }
            if slot == self.serving() {
                answer = said;
            }
        }
        answer
    }
}

#[async_trait]
impl DocumentIndex for Twin {
    async fn put(&self, place: &Place, entry: Entry, texts: Vec<String>) -> Result<(), IndexError> {
        let [first, second] = &self.indexes;
        let told = futures::join!(
            first.put(place, entry.clone(), texts.clone()),
            second.put(place, entry, texts)
        );
        self.said(told.into())
    }

    async fn set_vectors(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        self.indexes[self.serving()].set_vectors(place, generation, first, vectors).await
    }

    async fn set_vectors_beside(
        &self,
        place: &Place,
        generation: Generation,
        first: u32,
        vectors: &TurnVectors,
    ) -> Result<(), IndexError> {
        let slot = 1 - self.serving();
        let told = self.indexes[slot].set_vectors(place, generation, first, vectors).await;
        if told.is_err() {
            self.missed[slot].store(true, Relaxed);
        }
        Ok(())
    }

    fn serve(&self, slot: usize) {
        self.serving.store(slot.min(1), Relaxed);
    }

    async fn remove(&self, place: &Place, generation: Generation) -> Result<(), IndexError> {
        let [first, second] = &self.indexes;
        let told =
            futures::join!(first.remove(place, generation), second.remove(place, generation));
        self.said(told.into())
    }

    async fn remove_collection(&self, place: &Place) -> Result<(), IndexError> {
        let [first, second] = &self.indexes;
        let told = futures::join!(first.remove_collection(place), second.remove_collection(place));
        self.said(told.into())
    }

    async fn search(&self, question: &Question<'_>) -> Result<Candidates, IndexError> {
        self.indexes[self.serving()].search(question).await
    }

    fn is_behind(&self) -> bool {
        self.missed.iter().any(|missed| missed.load(Relaxed))
            || self.indexes.iter().any(|index| index.is_behind())
    }

    async fn reconcile(&self) -> Result<(), IndexError> {
        // The one that answers first.
        for slot in [self.serving(), 1 - self.serving()] {
            let missed = self.missed[slot].swap(false, Relaxed);
            if missed || self.indexes[slot].is_behind() {
                let mended = self.indexes[slot].reconcile().await;
                self.missed[slot].fetch_or(mended.is_err(), Relaxed);
                mended?;
            }
        }
        Ok(())
    }

    async fn compact(&self) -> Result<(), IndexError> {
        for index in &self.indexes {
            index.compact().await?;
        }
        Ok(())
    }
}
