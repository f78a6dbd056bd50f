//! What the server is told, in calls of a bounded size. Pure.

use std::collections::HashMap;

use qdrant_client::qdrant::{
    Filter, PointId, PointStruct, PointVectors, PointsIdsList, PointsSelector,
    PointsUpdateOperation, ShardKeySelector, Value,
    points_selector::PointsSelectorOneOf,
    points_update_operation::{
        DeletePoints, Operation, PointStructList, SetPayload, UpdateVectors,
    },
};

/// The most points of one operation: more gain nothing, and one that fails is made again.
pub(super) const POINTS_MAX: usize = 256;
/// The most bytes of one call, about: a server takes 32 MiB, and its log has each of them.
const BYTES_MAX: usize = 4 << 20;
/// What a point takes beside its numbers, about.
const POINT_BYTES: usize = 400;
/// What a number of a sparse vector takes.
const NUMBER_BYTES: usize = 8;

/// Changes in their order.
pub(super) struct Changes {
    selector: Option<ShardKeySelector>,
    calls: Vec<Vec<PointsUpdateOperation>>,
    /// The bytes of the last call.
    bytes: usize,
}

impl Changes {
    /// None yet, for the points of one tenant.
    pub(super) fn new(selector: Option<ShardKeySelector>) -> Self {
        Self { selector, calls: vec![Vec::new()], bytes: 0 }
    }

    /// The operations of each call.
    pub(super) fn calls(self) -> impl Iterator<Item = Vec<PointsUpdateOperation>> {
        self.calls.into_iter().filter(|call| !call.is_empty())
    }

    /// Puts points.
    pub(super) fn put(&mut self, points: Vec<PointStruct>) {
        let mut points = points.into_iter().peekable();
        while points.peek().is_some() {
            let (mut some, mut bytes) = (Vec::new(), 0);
            while some.len() < POINTS_MAX && bytes < BYTES_MAX / 4 {
                let Some(point) = points.next() else { break };
                bytes += bytes_of(&point);
                some.push(point);
            }
            let list = PointStructList {
                points: some,
                shard_key_selector: self.selector.clone(),
                ..PointStructList::default()
            };
            self.push(Operation::Upsert(list), bytes);
        }
    }

    /// Gives points vectors.
    pub(super) fn set_vectors(&mut self, points: Vec<PointVectors>, dimensions: usize) {
        for some in points.chunks(POINTS_MAX) {
            let bytes = some.len() * (POINT_BYTES + dimensions * size_of::<f32>());
            let update = UpdateVectors {
                points: some.to_vec(),
                shard_key_selector: self.selector.clone(),
                ..UpdateVectors::default()
            };
            self.push(Operation::UpdateVectors(update), bytes);
        }
    }

    /// Lays fields over the payloads of some points.
    pub(super) fn set_payload(&mut self, payload: HashMap<String, Value>, of: PointsSelector) {
        let set = SetPayload {
            payload,
            points_selector: Some(of),
            shard_key_selector: self.selector.clone(),
            key: None,
        };
        self.push(Operation::SetPayload(set), POINT_BYTES);
    }

    /// Deletes all that a filter lets pass.
    pub(super) fn delete(&mut self, filter: Filter) {
        let delete = DeletePoints {
            points: Some(PointsSelector::from(filter)),
            shard_key_selector: self.selector.clone(),
        };
        self.push(Operation::DeletePoints(delete), POINT_BYTES);
    }

    fn push(&mut self, operation: Operation, bytes: usize) {
        if self.bytes > 0 && self.bytes + bytes > BYTES_MAX {
            self.calls.push(Vec::new());
            self.bytes = 0;
        }
        self.bytes += bytes;
        let operation = PointsUpdateOperation { operation: Some(operation) };
        if let Some(call) = self.calls.last_mut() {
            call.push(operation);
        }
    }
}

/// One point.
pub(super) fn the_point(id: PointId) -> PointsSelector {
    let ids = PointsIdsList { ids: vec![id] };
    PointsSelector { points_selector_one_of: Some(PointsSelectorOneOf::Points(ids)) }
}

fn bytes_of(point: &PointStruct) -> usize {
    use qdrant_client::qdrant::{vector::Vector, vectors::VectorsOptions};
    let options = point.vectors.as_ref().and_then(|vectors| vectors.vectors_options.as_ref());
    let Some(VectorsOptions::Vectors(named)) = options else { return POINT_BYTES };
    let numbers = named.vectors.values().map(|vector| match &vector.vector {
        Some(Vector::Sparse(sparse)) => sparse.indices.len(),
        _ => 0,
    });
    POINT_BYTES + numbers.sum::<usize>() * NUMBER_BYTES
}
