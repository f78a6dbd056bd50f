//! Chunks and markers as points, and what is read of them. Pure. No text is in a point.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    ListValue, NamedVectors, PointId, PointStruct, PointVectors, SparseVector, Struct, Value,
    Vector, Vectors, point_id::PointIdOptions, value::Kind, vectors::VectorsOptions,
};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::documents::{
    Entry, Place,
    best::ChunkKey,
    qdrant::{MEAN_WORDS, books::Content, ranges::Ranges},
};
use crate::retrieve::{Bm25, ChunkTerms, Language, TurnVectors};
use crate::types::{DocumentId, Generation, Incarnation, TenantId};

/// The fields of payloads.
pub(super) mod fields {
    pub const TENANT: &str = "tenant";
    pub const COLLECTION: &str = "collection";
    /// The collection of a marker.
    pub const SHELF: &str = "shelf";
    pub const MARKER: &str = "marker";
    pub const DOCUMENT: &str = "document";
    pub const GENERATION: &str = "generation";
    pub const ORDINAL: &str = "ordinal";
    pub const CREATED_AT: &str = "created_at";
    /// Keys with their values, one text each.
    pub const LABELS: &str = "labels";
    /// Labels that are numbers: objects of a key and a value, so that no key is part of a path.
    pub const NUMBERS: &str = "numbers";
    pub const NUMBER_KEY: &str = "key";
    pub const NUMBER_VALUE: &str = "value";
    pub const CHUNKS: &str = "chunks";
    pub const LABELS_DIGEST: &str = "labels_digest";
    pub const LANGUAGES: &str = "languages";
    pub const VECTORS: &str = "vectors";
    pub const VECTORS_DIGEST: &str = "vectors_digest";
    pub const WHOLE: &str = "whole";
}

/// The vector of a chunk's words.
pub(super) const WORDS: &str = "words";
/// The vector of a chunk's meaning.
pub(super) const MEANING: &str = "meaning";

/// Bytes as a UUID, which the server keeps in 16 bytes.
pub(super) fn uuid(bytes: [u8; 16]) -> String {
    Uuid::from_bytes(bytes).to_string()
}

fn parsed_uuid(text: &str) -> Option<[u8; 16]> {
    Uuid::parse_str(text).ok().map(Uuid::into_bytes)
}

fn id(kind: &[u8], generation: Generation, ordinal: u32) -> PointId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind).update(&generation.0).update(&ordinal.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    PointId { point_id_options: Some(PointIdOptions::Uuid(uuid(bytes))) }
}

/// The id of a chunk: the same whenever it is told again.
pub(super) fn chunk_id(generation: Generation, ordinal: u32) -> PointId {
    id(b"chunk", generation, ordinal)
}

/// The id of the marker of a content.
pub(super) fn marker_id(generation: Generation) -> PointId {
    id(b"marker", generation, 0)
}

/// A label as one text that no other label has.
pub(super) fn label(key: &str, value: &str) -> String {
    format!("{}:{key}{value}", key.len())
}

/// What filters see of a document, as a digest.
pub(super) fn labels_digest(entry: &Entry) -> u64 {
    let mut hasher = Xxh3::new();
    for (key, value) in &entry.metadata {
        hasher.update(label(key, value).as_bytes());
        hasher.update(&[0xff]);
    }
    hasher.update(&entry.created_at.0.to_be_bytes());
    hasher.digest()
}

fn list(values: Vec<Value>) -> Value {
    Value { kind: Some(Kind::ListValue(ListValue { values })) }
}

/// A text as a number, if it is one: what is not finite is the largest number, and NaN has a key
/// alone, so that it is in no range.
fn number(key: &str, text: &str) -> Option<Value> {
    let number = text.trim().parse::<f64>().ok()?;
    let mut fields = HashMap::from([(fields::NUMBER_KEY.to_owned(), Value::from(key))]);
    if !number.is_nan() {
        let finite = number.clamp(f64::MIN, f64::MAX);
        fields.insert(fields::NUMBER_VALUE.to_owned(), Value::from(finite));
    }
    Some(Value { kind: Some(Kind::StructValue(Struct { fields })) })
}

/// The part of a chunk's payload that may change while its content stays.
pub(super) fn labels(entry: &Entry) -> HashMap<String, Value> {
    let labels = entry.metadata.iter().map(|(key, value)| Value::from(label(key, value)));
    let numbers = entry.metadata.iter().filter_map(|(key, value)| number(key, value));
    HashMap::from([
        (fields::CREATED_AT.to_owned(), Value::from(entry.created_at.0)),
        (fields::LABELS.to_owned(), list(labels.collect())),
        (fields::NUMBERS.to_owned(), list(numbers.collect())),
    ])
}

/// A hash of a term as the server numbers them: 32 bits. Of a million terms one in 4,000 shares
/// its number with another.
pub(super) fn dimension(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

/// What the terms of a chunk weigh, apart from how rare they are.
fn words(terms: &ChunkTerms) -> SparseVector {
    let norm = Bm25::over(1, MEAN_WORDS).norm(terms.words);
    let mut weights: Vec<(u32, f32)> = Vec::with_capacity(terms.terms.len());
    for (hash, count) in &terms.terms {
        let weight = Bm25::score(Bm25::WORTH_PER_RARITY, u32::from(*count), norm) as f32;
        weights.push((dimension(*hash), weight));
    }
    sparse(weights)
}

/// A vector of weights; those of one number are added up.
pub(super) fn sparse(mut weights: Vec<(u32, f32)>) -> SparseVector {
    weights.sort_by_key(|(dimension, _)| *dimension);
    let mut vector = SparseVector { values: Vec::new(), indices: Vec::new() };
    for (dimension, weight) in weights {
        match vector.values.last_mut() {
            Some(last) if vector.indices.last() == Some(&dimension) => *last += weight,
            _ => {
                vector.indices.push(dimension);
                vector.values.push(weight);
            }
        }
    }
    vector
}

fn named(name: &str, vector: Vector) -> Vectors {
    let vectors = HashMap::from([(name.to_owned(), vector)]);
    Vectors { vectors_options: Some(VectorsOptions::Vectors(NamedVectors { vectors })) }
}

/// A chunk, found by its words.
pub(super) fn chunk(
    place: &Place,
    entry: &Entry,
    ordinal: u32,
    terms: &ChunkTerms,
    labels: &HashMap<String, Value>,
) -> PointStruct {
    let mut payload = labels.clone();
    payload.extend([
        (fields::TENANT.to_owned(), Value::from(place.tenant.as_str())),
        (fields::COLLECTION.to_owned(), Value::from(uuid(place.collection.0))),
        (fields::DOCUMENT.to_owned(), Value::from(entry.document.as_str())),
        (fields::GENERATION.to_owned(), Value::from(uuid(entry.generation.0))),
        (fields::ORDINAL.to_owned(), Value::from(i64::from(ordinal))),
    ]);
    PointStruct {
        id: Some(chunk_id(entry.generation, ordinal)),
        payload,
        vectors: Some(named(WORDS, Vector::from(words(terms)))),
    }
}

/// The numbers of a vector: of length 1, as far as its integers tell it.
pub(super) fn numbers(row: &[i8], scale: f32) -> Vec<f32> {
    row.iter().map(|number| f32::from(*number) * scale).collect()
}

/// Vectors for chunks from an ordinal on.
pub(super) fn meanings(
    generation: Generation,
    first: u32,
    vectors: &TurnVectors,
) -> Vec<PointVectors> {
    let point = |(ordinal, (row, scale)): (u32, (&[i8], f32))| PointVectors {
        id: Some(chunk_id(generation, ordinal)),
        vectors: Some(named(MEANING, Vector::from(numbers(row, scale)))),
    };
    (first..).zip(vectors.rows()).map(point).collect()
}

/// The marker of a content: what is known of it without its chunks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Marker {
    pub(super) place: Place,
    pub(super) document: DocumentId,
    pub(super) generation: Generation,
    pub(super) content: Content,
}

/// The part of a marker's payload that changes with its vectors.
pub(super) fn vectors_of(content: &Content) -> HashMap<String, Value> {
    let borders = content.vectors.borders().map(Value::from).collect();
    let digest = content.vectors_digest.cast_signed();
    HashMap::from([
        (fields::VECTORS.to_owned(), list(borders)),
        (fields::VECTORS_DIGEST.to_owned(), Value::from(digest)),
    ])
}

impl Marker {
    /// The marker as a point.
    pub(super) fn point(&self) -> PointStruct {
        let content = &self.content;
        let language = |(language, count): &(Language, u32)| {
            Value::from(format!("{}:{count}", language.number()))
        };
        let languages = content.languages.iter().map(language).collect();
        let mut payload = vectors_of(content);
        payload.extend([
            (fields::TENANT.to_owned(), Value::from(self.place.tenant.as_str())),
            (fields::SHELF.to_owned(), Value::from(uuid(self.place.collection.0))),
            (fields::MARKER.to_owned(), Value::from(true)),
            (fields::DOCUMENT.to_owned(), Value::from(self.document.as_str())),
            (fields::GENERATION.to_owned(), Value::from(uuid(self.generation.0))),
            (fields::CHUNKS.to_owned(), Value::from(i64::from(content.chunks))),
            (fields::LABELS_DIGEST.to_owned(), Value::from(content.labels.cast_signed())),
            (fields::LANGUAGES.to_owned(), list(languages)),
            (fields::WHOLE.to_owned(), Value::from(content.whole)),
        ]);
        let vectors = NamedVectors { vectors: HashMap::new() };
        let vectors = Vectors { vectors_options: Some(VectorsOptions::Vectors(vectors)) };
        PointStruct { id: Some(marker_id(self.generation)), payload, vectors: Some(vectors) }
    }

    /// Reads a marker; none when it is not one of ours.
    pub(super) fn read(payload: &HashMap<String, Value>) -> Option<Self> {
        let integer = |field| payload.get(field)?.as_integer();
        let texts = payload.get(fields::LANGUAGES)?.as_list()?;
        let language = |value: &Value| {
            let (number, count) = value.as_str()?.split_once(':')?;
            Some((Language::by_number(number.parse().ok()?), count.parse().ok()?))
        };
        let borders = payload.get(fields::VECTORS)?.as_list()?;
        let borders: Vec<i64> = borders.iter().filter_map(Value::as_integer).collect();
        let content = Content {
            chunks: u32::try_from(integer(fields::CHUNKS)?).ok()?,
            labels: integer(fields::LABELS_DIGEST)?.cast_unsigned(),
            languages: texts.iter().filter_map(language).collect(),
            vectors: Ranges::of_borders(&borders),
            vectors_digest: integer(fields::VECTORS_DIGEST)?.cast_unsigned(),
            whole: payload.get(fields::WHOLE)?.as_bool()?,
        };
        Some(Self {
            place: Place {
                tenant: TenantId::parse(payload.get(fields::TENANT)?.as_str()?).ok()?,
                collection: Incarnation(parsed_uuid(payload.get(fields::SHELF)?.as_str()?)?),
            },
            document: DocumentId::parse(payload.get(fields::DOCUMENT)?.as_str()?).ok()?,
            generation: Generation(parsed_uuid(payload.get(fields::GENERATION)?.as_str()?)?),
            content,
        })
    }
}

/// Reads where a chunk stands; none when it is not one of ours.
pub(super) fn chunk_key(payload: &HashMap<String, Value>) -> Option<ChunkKey> {
    let text = |field| payload.get(field)?.as_str();
    Some(ChunkKey {
        document: DocumentId::parse(text(fields::DOCUMENT)?).ok()?,
        ordinal: u32::try_from(payload.get(fields::ORDINAL)?.as_integer()?).ok()?,
        collection: Incarnation(parsed_uuid(text(fields::COLLECTION)?)?),
        generation: Generation(parsed_uuid(text(fields::GENERATION)?)?),
    })
}
