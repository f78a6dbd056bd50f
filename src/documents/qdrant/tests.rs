//! What points and filters are made of.

use std::collections::BTreeMap;

use qdrant_client::qdrant::{condition::ConditionOneOf, r#match::MatchValue};

use crate::documents::{
    DocumentFilter, Entry, Place,
    qdrant::{
        books::{Books, Content},
        changes::Changes,
        debts::{DEBTS_MAX, Debt, Debts},
        filters::{self, Kind},
        points::{self, Marker, fields},
        ranges::Ranges,
    },
};
use crate::retrieve::{Language, chunks_terms};
use crate::types::{DocumentId, Generation, Incarnation, TenantId, Timestamp};

fn place(tenant: &str, collection: u8) -> Place {
    let tenant = TenantId::parse(tenant).unwrap();
    Place { tenant, collection: Incarnation([collection; 16]) }
}

fn entry(document: &str, number: u8, metadata: &[(&str, &str)]) -> Entry {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Entry {
        document: DocumentId::parse(document).unwrap(),
        generation: Generation([number; 16]),
        chunks: 1,
        metadata: metadata.iter().map(pair).collect::<BTreeMap<_, _>>(),
        created_at: Timestamp(7),
        language: "en".into(),
    }
}

fn content(chunks: u32, language: Language) -> Content {
    Content { chunks, languages: vec![(language, chunks)], whole: true, ..Content::default() }
}

#[test]
fn ids_are_the_same_again_and_no_two_are() {
    let (one, other) = (Generation([1; 16]), Generation([2; 16]));
    assert_eq!(points::chunk_id(one, 3), points::chunk_id(one, 3));
    let all = [
        points::chunk_id(one, 0),
        points::chunk_id(one, 1),
        points::chunk_id(other, 0),
        points::marker_id(one),
        points::marker_id(other),
    ];
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn no_two_labels_are_one_text() {
    let pairs = [("a", "b"), ("ab", ""), ("", "ab"), ("1:a", "b"), ("a", ":b"), ("a:", "b")];
    let texts: std::collections::HashSet<_> =
        pairs.iter().map(|(key, value)| points::label(key, value)).collect();
    assert_eq!(texts.len(), pairs.len());
}

#[test]
fn a_marker_is_read_as_it_was_written() {
    let mut content = content(9, Language::German);
    content.languages.push((Language::Other, 2));
    (content.labels, content.vectors_digest) = (u64::MAX, u64::MAX - 1);
    content.vectors = Ranges::of_borders(&[0, 2, 5, 9]);
    let (place, document) = (place("acme", 1), DocumentId::parse("d1").unwrap());
    let marker = Marker { place, document, generation: Generation([3; 16]), content };
    assert_eq!(Marker::read(&marker.point().payload), Some(marker.clone()));
    // A chunk is no marker, and a marker no chunk.
    assert!(points::chunk_key(&marker.point().payload).is_none());
    let entry = entry("d1", 3, &[]);
    let terms = chunks_terms(&["a cat".to_owned()], "en").remove(0);
    let chunk = points::chunk(&marker.place, &entry, 4, &terms, &points::labels(&entry));
    assert!(Marker::read(&chunk.payload).is_none());
    assert_eq!(points::chunk_key(&chunk.payload).unwrap().ordinal, 4);
}

#[test]
fn what_filters_see_of_a_document_is_its_digest() {
    let of = |metadata: &[(&str, &str)]| points::labels_digest(&entry("d1", 1, metadata));
    assert_eq!(of(&[("a", "b")]), of(&[("a", "b")]));
    assert_ne!(of(&[("a", "b")]), of(&[("a", "c")]));
    assert_ne!(of(&[("a", "b")]), of(&[("ab", "")]));
    let mut later = entry("d1", 1, &[]);
    later.created_at = Timestamp(8);
    assert_ne!(points::labels_digest(&later), of(&[]));
}

#[test]
fn odd_numbers_are_no_part_of_a_path_and_finite() {
    let entry = entry("d1", 1, &[("a.b[]\"", " 7 "), ("inf", "inf"), ("nan", "NaN"), ("x", "y")]);
    let labels = points::labels(&entry);
    let numbers = labels[fields::NUMBERS].as_list().unwrap();
    let read = |value: &qdrant_client::qdrant::Value| {
        let object = value.as_struct().unwrap();
        let key = object.fields[fields::NUMBER_KEY].as_str().unwrap().clone();
        (key, object.fields.get(fields::NUMBER_VALUE).and_then(|value| value.as_double()))
    };
    let read: Vec<_> = numbers.iter().map(read).collect();
    let expected = [
        ("a.b[]\"".to_owned(), Some(7.0)),
        ("inf".to_owned(), Some(f64::MAX)),
        ("nan".to_owned(), None),
    ];
    assert_eq!(read, expected);
}

#[test]
fn words_that_share_a_number_are_added_up() {
    let vector = points::sparse(vec![(7, 1.0), (3, 2.0), (7, 0.5)]);
    assert_eq!((vector.indices, vector.values), (vec![3, 7], vec![2.0, 1.5]));
}

/// The fields that a filter names with a match.
fn matched(filter: &qdrant_client::qdrant::Filter) -> Vec<String> {
    let field = |condition: &qdrant_client::qdrant::Condition| match &condition.condition_one_of {
        Some(ConditionOneOf::Field(field)) if field.r#match.is_some() => Some(field.key.clone()),
        _ => None,
    };
    filter.must.iter().filter_map(field).collect()
}

#[test]
fn every_filter_names_its_tenant_and_its_collections() {
    let place = place("acme", 1);
    let document = DocumentId::parse("d1").unwrap();
    let generation = Generation([1; 16]);
    let asked = DocumentFilter { documents: vec![document.clone()], ..DocumentFilter::default() };
    let of_chunks = [
        filters::chunks(&place.tenant, &[place.collection]),
        filters::collection(Kind::Chunk, &place),
        filters::content(Kind::Chunk, &place, generation),
        filters::document_except(Kind::Chunk, &place, &document, Some(generation)),
        filters::asked(&place.tenant, &[place.collection], &asked).unwrap(),
    ];
    for filter in &of_chunks {
        assert_eq!(matched(filter)[..2], ["tenant", "collection"]);
    }
    let of_markers = filters::collection(Kind::Marker, &place);
    assert_eq!(matched(&of_markers), ["tenant", "shelf"]);
    // Of no collection nothing is found, not everything.
    let none = filters::chunks(&place.tenant, &[]);
    let Some(ConditionOneOf::Field(field)) = &none.must[1].condition_one_of else { panic!() };
    let Some(MatchValue::Keywords(words)) = &field.r#match.as_ref().unwrap().match_value else {
        panic!("{field:?}")
    };
    assert!(words.strings.is_empty());
}

#[test]
fn a_label_that_may_have_no_value_lets_nothing_pass() {
    let none = DocumentFilter { any_of: vec![("a".into(), vec![])], ..DocumentFilter::default() };
    assert!(filters::asked(&place("acme", 1).tenant, &[], &none).is_none());
}

#[test]
fn books_count_what_is_whole_and_once() {
    let (home, mut books) = (place("acme", 1), Books::default());
    let document = DocumentId::parse("d1").unwrap();
    let collections = [home.collection, home.collection];
    books.add(&home, &document, Generation([1; 16]), content(3, Language::English));
    let mut half = content(5, Language::German);
    half.whole = false;
    books.add(&home, &document, Generation([2; 16]), half.clone());
    assert_eq!(books.totals(&home.tenant, &collections).chunks, 0);
    half.whole = true;
    half.vectors.add(0, 2);
    books.add(&home, &document, Generation([2; 16]), half);
    let totals = books.totals(&home.tenant, &collections);
    assert_eq!((totals.chunks, totals.embedded), (5, 2));
    assert_eq!(totals.languages, [(Language::German, 5)]);
    assert_eq!(books.totals(&TenantId::parse("rival").unwrap(), &collections).chunks, 0);
    books.remove(&home, Generation([2; 16]));
    assert_eq!(books.totals(&home.tenant, &collections), Default::default());
    assert_eq!(books.places().count(), 0);
}

#[test]
fn calls_are_of_a_bounded_size_and_in_order() {
    let entry = entry("d1", 1, &[]);
    let text = (0..400).map(|word| format!("word{word} ")).collect::<String>();
    let (terms, labels) =
        (chunks_terms(std::slice::from_ref(&text), "en").remove(0), points::labels(&entry));
    let place = place("acme", 1);
    let chunk = |ordinal| points::chunk(&place, &entry, ordinal, &terms, &labels);
    let mut changes = Changes::new(None);
    changes.put((0..3_000).map(chunk).collect());
    changes.delete(filters::collection(Kind::Chunk, &place));
    let calls: Vec<_> = changes.calls().collect();
    assert!(calls.len() > 2, "{}", calls.len());
    for call in &calls {
        let bytes: usize = call.iter().map(prost::Message::encoded_len).sum();
        assert!(bytes < 8 << 20, "{bytes}");
    }
    let points = calls.iter().flatten().map(|operation| match operation.operation.as_ref() {
        Some(qdrant_client::qdrant::points_update_operation::Operation::Upsert(list)) => {
            list.points.len()
        }
        _ => 0,
    });
    assert_eq!(points.sum::<usize>(), 3_000);
}

fn debt(number: usize) -> Debt {
    Debt::Document(place("acme", 1), DocumentId::parse(&format!("d{number}")).unwrap())
}

/// Of a server that was compared.
fn no_debts() -> Debts {
    let mut debts = Debts::new();
    assert!(debts.any() && debts.take_everything());
    assert!(debts.any(), "until it is done");
    debts.settle();
    assert!(!debts.any());
    debts
}

#[test]
fn a_debt_is_owed_once_until_it_is_paid() {
    let mut debts = no_debts();
    debts.owe(debt(1));
    debts.owe(debt(1));
    assert_eq!(debts.take(), Some(debt(1)));
    assert_eq!((debts.take(), debts.any()), (None, true));
    // It failed again meanwhile.
    debts.owe(debt(1));
    debts.settle();
    assert_eq!((debts.take(), debts.len()), (Some(debt(1)), 1));
    debts.settle();
    assert!(!debts.any());
}

#[test]
fn too_many_debts_are_a_comparison_of_everything() {
    let mut debts = no_debts();
    (0..DEBTS_MAX).for_each(|number| debts.owe(debt(number)));
    debts.owe(debt(0));
    assert_eq!(debts.len(), DEBTS_MAX);
    debts.owe(debt(DEBTS_MAX));
    assert_eq!((debts.len(), debts.take()), (1, None));
    debts.owe(debt(3));
    assert!(debts.take_everything() && debts.take().is_none());
}
