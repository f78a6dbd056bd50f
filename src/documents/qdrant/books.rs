//! What the server has, as this process knows it: which contents, of which documents, how far they
//! have vectors. A hundred-odd bytes for each document, so that no question has to count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::documents::{Place, digest, qdrant::ranges::Ranges};
use crate::retrieve::Language;
use crate::types::{DocumentId, Generation, Incarnation, TenantId};

/// A content of a document, as its marker tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Content {
    /// How many chunks it has.
    pub(super) chunks: u32,
    /// The digest of what filters see of it.
    pub(super) labels: u64,
    /// The languages of its chunks, with how many are of each.
    pub(super) languages: Vec<(Language, u32)>,
    /// Which chunks have vectors.
    pub(super) vectors: Ranges,
    /// The sum of the digests of these vectors.
    pub(super) vectors_digest: u64,
    /// Whether all of it was written.
    pub(super) whole: bool,
}

/// What the server has of one collection.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    documents: FxHashMap<DocumentId, Generation>,
    contents: FxHashMap<Generation, (DocumentId, Content)>,
    chunks: u64,
    embedded: u64,
    /// The digests of the contents, and of their vectors.
    digests: (u64, u64),
    languages: BTreeMap<Language, u64>,
}

impl Shelf {
    /// All contents.
    pub(super) fn contents(&self) -> impl Iterator<Item = (Generation, &DocumentId, &Content)> {
        self.contents.iter().map(|(generation, (document, content))| {
            let content: &Content = content;
            (*generation, document, content)
        })
    }

    /// How many chunks there are.
    pub(super) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// The content of a document.
    pub(super) fn content_of(&self, document: &DocumentId) -> Option<(Generation, &Content)> {
        let generation = self.documents.get(document)?;
        Some((*generation, &self.contents.get(generation)?.1))
    }

    fn add(&mut self, document: DocumentId, generation: Generation, content: Content) {
        if let Some(old) = self.documents.get(&document).copied() {
            self.take(old);
        }
        self.take(generation);
        self.documents.insert(document.clone(), generation);
        if content.whole {
            self.chunks += u64::from(content.chunks);
            self.embedded += content.vectors.count();
            self.digests.0 = self.digests.0.wrapping_add(digest::of_content(generation));
            self.digests.1 = self.digests.1.wrapping_add(content.vectors_digest);
            for (language, count) in &content.languages {
                *self.languages.entry(*language).or_default() += u64::from(*count);
            }
        }
        self.contents.insert(generation, (document, content));
    }

    fn take(&mut self, generation: Generation) -> Option<(DocumentId, Content)> {
        let (document, content) = self.contents.remove(&generation)?;
        if self.documents.get(&document) == Some(&generation) {
            self.documents.remove(&document);
        }
        if content.whole {
            self.chunks -= u64::from(content.chunks);
            self.embedded -= content.vectors.count();
            self.digests.0 = self.digests.0.wrapping_sub(digest::of_content(generation));
            self.digests.1 = self.digests.1.wrapping_sub(content.vectors_digest);
            for (language, count) in &content.languages {
                if let Some(all) = self.languages.get_mut(language) {
                    *all -= u64::from(*count);
                }
            }
            self.languages.retain(|_, count| *count > 0);
        }
        Some((document, content))
    }
}

/// What calls said while everything was compared: about it they know better.
#[derive(Debug, Default)]
struct Touched {
    documents: FxHashSet<(Place, DocumentId)>,
    contents: FxHashSet<Generation>,
    places: FxHashSet<Place>,
}

/// What the collections of a question have together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) chunks: u64,
    pub(super) embedded: u64,
    /// The digests of the contents, and of their vectors.
    pub(super) digests: (u64, u64),
    /// The languages with how many chunks are of each, the commonest first.
    pub(super) languages: Vec<(Language, usize)>,
}

/// All that is known of the server.
#[derive(Debug, Default)]
pub(super) struct Books {
    shelves: FxHashMap<Place, Shelf>,
    touched: Option<Touched>,
}

/// Books that several may look at.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Books>);

impl Shared {
    /// Holds them, for no longer than it takes to look.
    pub(super) fn hold(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// A collection.
    pub(super) fn shelf(&self, place: &Place) -> Option<&Shelf> {
        self.shelves.get(place)
    }

    /// All collections.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.shelves.keys()
    }

    /// The document that has a content, if the content is known.
    pub(super) fn document_of(&self, place: &Place, generation: Generation) -> Option<&DocumentId> {
        self.shelves.get(place)?.contents.get(&generation).map(|(document, _)| document)
    }

    /// A content, with its document.
    pub(super) fn content(
        &self,
        place: &Place,
        generation: Generation,
    ) -> Option<&(DocumentId, Content)> {
        self.shelves.get(place)?.contents.get(&generation)
    }

    /// Takes a content in, in place of what its document had.
    pub(super) fn add(
        &mut self,
        place: &Place,
        document: &DocumentId,
        generation: Generation,
        content: Content,
    ) {
        let shelf = self.shelves.entry(place.clone()).or_default();
        shelf.add(document.clone(), generation, content);
    }

    /// Forgets a content.
    pub(super) fn remove(&mut self, place: &Place, generation: Generation) {
        if let Some(shelf) = self.shelves.get_mut(place) {
            shelf.take(generation);
            if shelf.contents.is_empty() {
                self.shelves.remove(place);
            }
        }
    }

    /// Forgets a collection.
    pub(super) fn remove_collection(&mut self, place: &Place) {
        self.shelves.remove(place);
    }

    /// What these collections of a tenant have.
    pub(super) fn totals(&self, tenant: &TenantId, collections: &[Incarnation]) -> Totals {
        let asked: BTreeSet<Incarnation> = collections.iter().copied().collect();
        let mut totals = Totals::default();
        let mut languages: BTreeMap<Language, u64> = BTreeMap::new();
        for collection in asked {
            let place = Place { tenant: tenant.clone(), collection };
            let Some(shelf) = self.shelves.get(&place) else { continue };
            totals.chunks += shelf.chunks;
            totals.embedded += shelf.embedded;
            totals.digests.0 = totals.digests.0.wrapping_add(shelf.digests.0);
            totals.digests.1 = totals.digests.1.wrapping_add(shelf.digests.1);
            for (language, count) in &shelf.languages {
                *languages.entry(*language).or_default() += count;
            }
        }
        let count = |(language, count): (Language, u64)| (language, count as usize);
        totals.languages = languages.into_iter().map(count).collect();
        totals.languages.sort_by_key(|(language, count)| (std::cmp::Reverse(*count), *language));
        totals
    }

    /// From now on notes what calls say.
    pub(super) fn watch(&mut self) {
        self.touched = Some(Touched::default());
    }

    /// Does so no more.
    pub(super) fn end_watch(&mut self) {
        self.touched = None;
    }

    /// Notes that a document is put.
    pub(super) fn touch(&mut self, place: &Place, document: &DocumentId) {
        if let Some(touched) = &mut self.touched {
            touched.documents.insert((place.clone(), document.clone()));
        }
    }

    /// Notes that a content is removed.
    pub(super) fn touch_content(&mut self, place: &Place, generation: Generation) {
        if let Some(document) = self.document_of(place, generation).cloned() {
            self.touch(place, &document);
        }
        if let Some(touched) = &mut self.touched {
            touched.contents.insert(generation);
        }
    }

    /// Notes that a collection is removed.
    pub(super) fn touch_collection(&mut self, place: &Place) {
        if let Some(touched) = &mut self.touched {
            touched.places.insert(place.clone());
        }
    }

    /// Whether a call said something of a document since the watch began, or of its content.
    pub(super) fn was_touched(
        &self,
        place: &Place,
        document: &DocumentId,
        generation: Generation,
    ) -> bool {
        self.touched.as_ref().is_some_and(|touched| {
            touched.places.contains(place)
                || touched.contents.contains(&generation)
                || touched.documents.contains(&(place.clone(), document.clone()))
        })
    }

    /// The same of anything in a collection.
    pub(super) fn was_touched_in(&self, place: &Place) -> bool {
        self.touched.as_ref().is_some_and(|touched| {
            touched.places.contains(place)
                || touched.documents.iter().any(|(known, _)| known == place)
        })
    }
}
