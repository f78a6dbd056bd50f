//! Brings the server to where the record is: what is owed one by one, or everything.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use qdrant_client::qdrant::{CountPoints, ScrollPoints};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::documents::{
    Entry, IndexError, Place,
    qdrant::{
        connection::Refused,
        debts::Debt,
        filters::{self, Kind},
        points::{self, Marker},
        state::State,
    },
};
use crate::types::{DocumentId, Generation};

/// So many markers are read at a time: some hundred bytes each.
const PAGE_MARKERS: u32 = 1_000;
/// So many collections are compared at a time.
const COMPARED_AT_A_TIME: usize = 8;

/// What has to be done about a document.
enum Work {
    /// It is not there, or not whole.
    Write(Entry),
    /// Filters would see other labels.
    Relabel(Entry),
    /// Some of its chunks may have vectors in the record only.
    Vectors(DocumentId, Generation),
    /// It is not in the record.
    Erase(DocumentId, Generation),
}

impl State {
    /// Pays what is owed.
    pub(super) async fn reconcile(&self) -> Result<(), IndexError> {
        let _only_one = self.reconciling.lock().await;
        // Taken out, so that nobody counts them as paid, until the others are paid.
        let (mut refused, mut why) = (Vec::new(), None);
        loop {
            if self.debts().take_everything() {
                let paying = self.paying(None);
                let compared = self.compare().await;
                self.books.hold().end_watch();
                paying.end(compared)?;
                continue;
            }
            let Some(debt) = self.debts().take() else { break };
            let paying = self.paying(Some(debt.clone()));
            match self.pay(&debt).await {
                // One document that cannot be told stops no other.
                Err(Refused::Broken(said)) => {
                    refused.push(paying);
                    why = Some(Refused::Broken(said));
                }
                paid => paying.end(paid)?,
            }
        }
        drop(refused);
        why.map_or(Ok(()), |why| Err(why.into()))
    }

    async fn pay(&self, debt: &Debt) -> Result<(), Refused> {
        match debt {
            Debt::Document(place, document) => {
                let _turn = self.turn(place, document).await;
                match self.record.document(place, document).await.map_err(Refused::Record)? {
                    Some(entry) => self.write_from_record(place, &entry).await,
                    None => self.erase_document(place, document).await,
                }
            }
            Debt::Collection(place) => {
                let there = self.record.documents(place).await.map_err(Refused::Record)?;
                if there.is_empty() {
                    return self.erase_collection(place).await;
                }
                let mut debts = self.debts();
                for entry in there {
                    debts.owe(Debt::Document(place.clone(), entry.document));
                }
                Ok(())
            }
        }
    }

    /// Writes a document, whose turn it is, with its vectors, all as the record has them.
    async fn write_from_record(&self, place: &Place, entry: &Entry) -> Result<(), Refused> {
        let texts = self.record.texts(place, entry).await.map_err(Refused::Record)?;
        // None: it went meanwhile, and who removes it waits for its turn.
        let Some(texts) = texts else { return Ok(()) };
        self.write(place, entry, texts).await?;
        self.vectors_from_record(place, entry.generation).await
    }

    async fn vectors_from_record(
        &self,
        place: &Place,
        generation: Generation,
    ) -> Result<(), Refused> {
        let batches = self.record.vectors(generation).await.map_err(Refused::Record)?;
        for (first, vectors) in &batches {
            let end = first.saturating_add(u32::try_from(vectors.len()).unwrap_or(u32::MAX));
            let known = {
                let books = self.books.hold();
                let content = books.content(place, generation).map(|(_, content)| content);
                content.map_or(0, |content| content.vectors.within(*first, end).len())
            };
            if known < vectors.len() {
                self.write_vectors(place, generation, *first, vectors).await?;
            }
        }
        Ok(())
    }

    /// Compares everything: the markers of all tenants with the documents of the record.
    async fn compare(&self) -> Result<(), Refused> {
        self.books.hold().watch();
        // Whether it was made only now counts nothing here.
        self.schema.prepare(&self.connection).await?;
        let unread = self.read_markers().await?;
        let mut places: BTreeSet<Place> = self.books.hold().places().cloned().collect();
        places.extend(unread.iter().map(|marker| marker.place.clone()));
        places.extend(self.record.collections().await.map_err(Refused::Record)?);
        let mut half: FxHashMap<Place, Vec<Marker>> = FxHashMap::default();
        for marker in unread {
            half.entry(marker.place.clone()).or_default().push(marker);
        }
        // From now on what the books lack is not there, except what is about to be erased.
        let works = places.into_iter().map(|place| {
            let half = half.remove(&place).unwrap_or_default();
            async move { self.compare_place(&place, half).await }
        });
        stream::iter(works).buffer_unordered(COMPARED_AT_A_TIME).try_collect::<()>().await?;
        self.compared.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads all markers into the books. Gives those that are no use: not whole, or a second one
    /// of a document.
    async fn read_markers(&self) -> Result<Vec<Marker>, Refused> {
        let (mut unread, mut seen) = (Vec::new(), FxHashSet::default());
        let mut offset = None;
        loop {
            let request = ScrollPoints {
                collection_name: self.schema.name.clone(),
                filter: Some(filters::markers_of_all_tenants()),
                offset,
                limit: Some(PAGE_MARKERS),
                with_payload: Some(true.into()),
                ..ScrollPoints::default()
            };
            let (page, next) = self.connection.scroll(request).await?;
            let mut books = self.books.hold();
            for marker in page.iter().filter_map(|point| Marker::read(&point.payload)) {
                let Marker { place, document, generation, content } = &marker;
                if books.was_touched(place, document, *generation) {
                    continue;
                }
                seen.insert(*generation);
                let shelf = books.shelf(place);
                let other = shelf.and_then(|shelf| shelf.content_of(document));
                let other =
                    other.is_some_and(|(known, _)| known != *generation && seen.contains(&known));
                match content.whole && !other {
                    true => books.add(place, document, *generation, content.clone()),
                    false => unread.push(marker),
                }
            }
            drop(books);
            offset = next;
            if offset.is_none() {
                break;
            }
        }
        self.forget_unseen(&seen);
        Ok(unread)
    }

    /// Forgets contents that the server does not have any more.
    fn forget_unseen(&self, seen: &FxHashSet<Generation>) {
        let mut books = self.books.hold();
        let mut gone = Vec::new();
        for place in books.places() {
            let shelf = books.shelf(place).into_iter();
            for (generation, document, _) in shelf.flat_map(|shelf| shelf.contents()) {
                let touched = books.was_touched(place, document, generation);
                if !touched && !seen.contains(&generation) {
                    gone.push((place.clone(), generation));
                }
            }
        }
        for (place, generation) in gone {
            books.remove(&place, generation);
        }
    }

    /// Compares a collection; `half` are markers that are no use.
    async fn compare_place(&self, place: &Place, half: Vec<Marker>) -> Result<(), Refused> {
        let entries = self.record.documents(place).await.map_err(Refused::Record)?;
        for marker in half {
            let work = Work::Erase(marker.document, marker.generation);
            self.work(place, work).await?;
        }
        for work in self.works(place, &entries) {
            self.work(place, work).await?;
        }
        if self.lacks_points(place).await? {
            tracing::warn!(tenant = %place.tenant, "the server of documents has lost points");
            for entry in entries {
                self.work(place, Work::Write(entry)).await?;
            }
        }
        Ok(())
    }

    /// What has to be done so that a collection is as the record has it.
    fn works(&self, place: &Place, entries: &[Entry]) -> Vec<Work> {
        let books = self.books.hold();
        let shelf = books.shelf(place);
        let wanted: FxHashSet<Generation> = entries.iter().map(|entry| entry.generation).collect();
        let mut works = Vec::new();
        for (generation, document, _) in shelf.into_iter().flat_map(|shelf| shelf.contents()) {
            if !wanted.contains(&generation) {
                works.push(Work::Erase(document.clone(), generation));
            }
        }
        for entry in entries {
            let content = books.content(place, entry.generation).map(|(_, content)| content);
            let content = content.filter(|content| content.whole);
            let content = content.filter(|content| content.chunks == entry.chunks);
            match content {
                None => works.push(Work::Write(entry.clone())),
                Some(content) => {
                    if content.labels != points::labels_digest(entry) {
                        works.push(Work::Relabel(entry.clone()));
                    }
                    if content.vectors.count() < u64::from(content.chunks) {
                        works.push(Work::Vectors(entry.document.clone(), entry.generation));
                    }
                }
            }
        }
        works
    }

    /// Does something about a document, unless a call said something of it since.
    async fn work(&self, place: &Place, work: Work) -> Result<(), Refused> {
        let (document, generation) = match &work {
            Work::Write(entry) | Work::Relabel(entry) => (&entry.document, entry.generation),
            Work::Vectors(document, generation) | Work::Erase(document, generation) => {
                (document, *generation)
            }
        };
        let document = document.clone();
        let _turn = self.turn(place, &document).await;
        if self.books.hold().was_touched(place, &document, generation) {
            return Ok(());
        }
        let done = match work {
            Work::Write(entry) => self.write_from_record(place, &entry).await,
            Work::Relabel(entry) => self.relabel(place, &entry).await,
            Work::Vectors(_, generation) => self.vectors_from_record(place, generation).await,
            Work::Erase(_, generation) => self.erase(place, generation).await,
        };
        // One document that cannot be told stops no other.
        if let Err(Refused::Broken(why)) = &done {
            tracing::warn!("the server of documents refuses a document: {why}");
            self.debts().owe(Debt::Document(place.clone(), document));
            return Ok(());
        }
        done
    }

    /// Whether the server has fewer chunks of a collection than it was told: a disk or a node was
    /// lost. Not asked where calls change it just now.
    async fn lacks_points(&self, place: &Place) -> Result<bool, Refused> {
        let told = || {
            let books = self.books.hold();
            let chunks = books.shelf(place).map_or(0, |shelf| shelf.chunks());
            (chunks, books.was_touched_in(place))
        };
        let (chunks, _) = told();
        if chunks == 0 {
            return Ok(false);
        }
        let request = CountPoints {
            collection_name: self.schema.name.clone(),
            filter: Some(filters::collection(Kind::Chunk, place)),
            exact: Some(true),
            shard_key_selector: self.schema.selector(&place.tenant),
            ..CountPoints::default()
        };
        let counted = self.connection.count(request).await?;
        let (still, touched) = told();
        Ok(counted < chunks && still == chunks && !touched)
    }
}
