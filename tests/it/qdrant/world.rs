//! What the server of tests holds: collections of points, and what calls do to them. It does what
//! Qdrant 1.19 does, looking at everything.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::Operation;
use qdrant_client::qdrant::{
    self as q, CreateCollection, Filter, PointId, PointsSelector, QueryPoints, ScoredPoint, Value,
    vector::Vector, vector_input, vectors::VectorsOptions,
};
use tonic::Status;

use super::filter::{Payload, is_of_markers, is_scoped, passes};

/// A point.
#[derive(Clone, Default)]
pub struct Point {
    pub payload: Payload,
    pub words: Option<Vec<(u32, f32)>>,
    pub meaning: Option<Vec<f32>>,
}

/// A collection.
pub struct Held {
    pub made: CreateCollection,
    pub points: BTreeMap<String, Point>,
    pub fields: Vec<String>,
    pub shards: Vec<String>,
}

/// All of a server.
#[derive(Default)]
pub struct World {
    pub collections: BTreeMap<String, Held>,
    /// Calls that could touch the points of any tenant.
    pub unscoped: Vec<String>,
}

fn text(id: &PointId) -> String {
    match id.point_id_options.as_ref().expect("an id") {
        q::point_id::PointIdOptions::Uuid(uuid) => uuid.clone(),
        q::point_id::PointIdOptions::Num(number) => number.to_string(),
    }
}

fn id(text: &str) -> PointId {
    PointId::from(text)
}

fn no_point(id: &str) -> Status {
    Status::not_found(format!("Not found: No point with id {id}"))
}

impl World {
    pub fn held(&mut self, name: &str) -> Result<&mut Held, Status> {
        let gone = || Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"));
        self.collections.get_mut(name).ok_or_else(gone)
    }

    fn scoped(&mut self, what: &str, filter: Option<&Filter>) {
        if !is_scoped(filter) {
            self.unscoped.push(format!("{what} {filter:?}"));
        }
    }

    /// Makes one change.
    pub fn change(&mut self, name: &str, operation: Operation) -> Result<(), Status> {
        if let Operation::DeletePoints(delete) = &operation {
            match &delete.points {
                Some(PointsSelector {
                    points_selector_one_of: Some(PointsSelectorOneOf::Filter(filter)),
                }) => self.scoped("delete", Some(filter)),
                _ => self.scoped("delete", None),
            }
        }
        let held = self.held(name)?;
        match operation {
            Operation::Upsert(list) => {
                for point in list.points {
                    let key = text(point.id.as_ref().expect("an id"));
                    let mut new = Point { payload: point.payload, ..Point::default() };
                    new.take(point.vectors, &held.made)?;
                    held.points.insert(key, new);
                }
            }
            Operation::UpdateVectors(update) => {
                for point in update.points {
                    let key = text(point.id.as_ref().expect("an id"));
                    let known = held.points.get_mut(&key).ok_or_else(|| no_point(&key))?;
                    known.take(point.vectors, &held.made)?;
                }
            }
            Operation::SetPayload(set) => {
                for key in held.selected(set.points_selector.as_ref())? {
                    let known = held.points.get_mut(&key).ok_or_else(|| no_point(&key))?;
                    known.payload.extend(set.payload.clone());
                }
            }
            Operation::DeletePoints(delete) => {
                for key in held.selected(delete.points.as_ref())? {
                    held.points.remove(&key);
                }
            }
            other => return Err(Status::unimplemented(format!("{other:?}"))),
        }
        Ok(())
    }

    pub fn scroll(&mut self, asked: &q::ScrollPoints) -> Result<q::ScrollResponse, Status> {
        if !is_of_markers(asked.filter.as_ref()) {
            self.scoped("scroll", asked.filter.as_ref());
        }
        let held = self.held(&asked.collection_name)?;
        let from = asked.offset.as_ref().map(text).unwrap_or_default();
        let limit = asked.limit.unwrap_or(10) as usize;
        let mut found = held.passing(asked.filter.as_ref()).filter(|(key, _)| **key >= from);
        let result = found.by_ref().take(limit).map(|(key, point)| q::RetrievedPoint {
            id: Some(id(key)),
            payload: point.payload.clone(),
            ..q::RetrievedPoint::default()
        });
        let result = result.collect();
        let next_page_offset = found.next().map(|(key, _)| id(key));
        Ok(q::ScrollResponse { result, next_page_offset, ..q::ScrollResponse::default() })
    }

    pub fn count(&mut self, asked: &q::CountPoints) -> Result<q::CountResponse, Status> {
        self.scoped("count", asked.filter.as_ref());
        let held = self.held(&asked.collection_name)?;
        let count = held.passing(asked.filter.as_ref()).count() as u64;
        Ok(q::CountResponse { result: Some(q::CountResult { count }), ..Default::default() })
    }

    pub fn get(&mut self, asked: &q::GetPoints) -> Result<q::GetResponse, Status> {
        let held = self.held(&asked.collection_name)?;
        let mut result = Vec::new();
        for wanted in &asked.ids {
            let Some(point) = held.points.get(&text(wanted)) else { continue };
            let dense = point.meaning.clone().map(|data| q::VectorOutput {
                vector: Some(q::vector_output::Vector::Dense(q::DenseVector { data })),
                ..q::VectorOutput::default()
            });
            let vectors = dense.map(|dense| ("meaning".to_owned(), dense)).into_iter().collect();
            let named = q::NamedVectorsOutput { vectors };
            result.push(q::RetrievedPoint {
                id: Some(wanted.clone()),
                vectors: Some(q::VectorsOutput {
                    vectors_options: Some(q::vectors_output::VectorsOptions::Vectors(named)),
                }),
                ..q::RetrievedPoint::default()
            });
        }
        Ok(q::GetResponse { result, ..q::GetResponse::default() })
    }

    pub fn query(&mut self, asked: &QueryPoints) -> Result<Vec<ScoredPoint>, Status> {
        self.scoped("query", asked.filter.as_ref());
        let corpus = asked.params.as_ref().and_then(|params| params.idf.as_ref());
        let corpus = corpus.and_then(|idf| idf.corpus.as_ref());
        if asked.using.as_deref() == Some("words") {
            self.scoped("corpus", corpus);
        }
        let held = self.held(&asked.collection_name)?;
        let query = asked.query.as_ref().and_then(|query| query.variant.clone());
        let Some(q::query::Variant::Nearest(input)) = query else {
            return Err(Status::unimplemented("another query"));
        };
        let mut scored: Vec<(f32, &String)> = match input.variant {
            Some(vector_input::Variant::Sparse(words)) => {
                let weights = held.weights(&words, corpus);
                let score = |point: &Point| point.words_score(&weights);
                held.scored(asked.filter.as_ref(), score)
            }
            Some(vector_input::Variant::Dense(meaning)) => {
                held.check_size(meaning.data.len())?;
                let score = |point: &Point| point.meaning_score(&meaning.data);
                held.scored(asked.filter.as_ref(), score)
            }
            other => return Err(Status::unimplemented(format!("{other:?}"))),
        };
        scored.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
        scored.truncate(asked.limit.unwrap_or(10) as usize);
        let point = |(score, key): (f32, &String)| ScoredPoint {
            id: Some(id(key)),
            score,
            payload: held.points[key].payload.clone(),
            ..ScoredPoint::default()
        };
        Ok(scored.into_iter().map(point).collect())
    }
}

impl Held {
    fn passing(&self, filter: Option<&Filter>) -> impl Iterator<Item = (&String, &Point)> {
        let passing = move |(key, point): &(&String, &Point)| {
            filter.is_none_or(|filter| passes(filter, Some(&id(key)), &point.payload))
        };
        self.points.iter().filter(passing)
    }

    fn selected(&self, selector: Option<&PointsSelector>) -> Result<Vec<String>, Status> {
        match selector.and_then(|selector| selector.points_selector_one_of.as_ref()) {
            Some(PointsSelectorOneOf::Points(list)) => Ok(list.ids.iter().map(text).collect()),
            Some(PointsSelectorOneOf::Filter(filter)) => {
                Ok(self.passing(Some(filter)).map(|(key, _)| key.clone()).collect())
            }
            None => Err(Status::invalid_argument("no points")),
        }
    }

    fn scored(
        &self,
        filter: Option<&Filter>,
        score: impl Fn(&Point) -> Option<f32>,
    ) -> Vec<(f32, &String)> {
        let scored = |(key, point)| Some((score(point)?, key));
        self.passing(filter).filter_map(scored).collect()
    }

    /// The weights of a question's words, each times how rare it is among the points of the corpus.
    fn weights(&self, words: &q::SparseVector, corpus: Option<&Filter>) -> HashMap<u32, f32> {
        let corpus: Vec<&Point> = self
            .passing(corpus)
            .map(|(_, point)| point)
            .filter(|point| point.words.is_some())
            .collect();
        let rarity = |dimension: u32| {
            let has = |point: &&&Point| {
                point.words.iter().flatten().any(|(known, _)| *known == dimension)
            };
            let (count, all) = (corpus.iter().filter(has).count() as f32, corpus.len() as f32);
            ((all - count + 0.5) / (count + 0.5) + 1.0).ln()
        };
        let pairs = words.indices.iter().zip(&words.values);
        pairs.map(|(dimension, weight)| (*dimension, weight * rarity(*dimension))).collect()
    }

    fn check_size(&self, size: usize) -> Result<(), Status> {
        let wanted = meaning_size(&self.made);
        match wanted == Some(size) {
            true => Ok(()),
            false => Err(Status::invalid_argument(format!("expected {wanted:?}, got {size}"))),
        }
    }
}

fn meaning_size(made: &CreateCollection) -> Option<usize> {
    match made.vectors_config.as_ref()?.config.as_ref()? {
        q::vectors_config::Config::ParamsMap(map) => Some(map.map.get("meaning")?.size as usize),
        q::vectors_config::Config::Params(_) => None,
    }
}

impl Point {
    fn take(&mut self, vectors: Option<q::Vectors>, made: &CreateCollection) -> Result<(), Status> {
        let options = vectors.and_then(|vectors| vectors.vectors_options);
        let Some(VectorsOptions::Vectors(named)) = options else { return Ok(()) };
        for (name, vector) in named.vectors {
            match (name.as_str(), vector.vector) {
                ("words", Some(Vector::Sparse(words))) => {
                    let is_sorted = words.indices.is_sorted_by(|one, other| one < other);
                    if !is_sorted || words.indices.len() != words.values.len() {
                        return Err(Status::invalid_argument("indices must be unique"));
                    }
                    let pairs = words.indices.into_iter().zip(words.values);
                    self.words = Some(pairs.collect());
                }
                ("meaning", Some(Vector::Dense(meaning))) => {
                    if meaning_size(made) != Some(meaning.data.len()) {
                        return Err(Status::invalid_argument("wrong vector dimension"));
                    }
                    self.meaning = Some(meaning.data);
                }
                (name, _) => return Err(Status::invalid_argument(format!("no vector {name}"))),
            }
        }
        Ok(())
    }

    fn words_score(&self, weights: &HashMap<u32, f32>) -> Option<f32> {
        let score = |(dimension, weight): &(u32, f32)| Some(weights.get(dimension)? * weight);
        let mut scores = self.words.as_ref()?.iter().filter_map(score).peekable();
        scores.peek()?;
        Some(scores.sum())
    }

    fn meaning_score(&self, query: &[f32]) -> Option<f32> {
        let own = self.meaning.as_ref()?;
        Some(own.iter().zip(query).map(|(one, other)| one * other).sum())
    }
}

/// A payload's text.
pub fn text_of(payload: &Payload, field: &str) -> Option<String> {
    payload.get(field).and_then(Value::as_str).cloned()
}
