//! Which points a call is about. Pure. Every filter names the tenant and the collections, except
//! the one that is named so.

use qdrant_client::qdrant::{Condition, Filter, Range};

use crate::documents::{
    DocumentFilter, Place,
    qdrant::points::{fields, label, uuid},
};
use crate::types::{DocumentId, Generation, Incarnation, TenantId};

/// What a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A chunk.
    Chunk,
    /// The marker of a content.
    Marker,
}

/// Points of a kind in collections of a tenant: what every other filter here is made from.
fn within(kind: Kind, tenant: &TenantId, collections: &[Incarnation]) -> Filter {
    // Chunks and markers name their collection by another field each, so that neither can be taken
    // for the other.
    let field = match kind {
        Kind::Chunk => fields::COLLECTION,
        Kind::Marker => fields::SHELF,
    };
    let collections: Vec<String> = collections.iter().map(|life| uuid(life.0)).collect();
    Filter::must([
        Condition::matches(fields::TENANT, tenant.as_str().to_owned()),
        Condition::matches(field, collections),
    ])
}

/// All chunks of collections: what a term's rarity is counted over.
pub(super) fn chunks(tenant: &TenantId, collections: &[Incarnation]) -> Filter {
    within(Kind::Chunk, tenant, collections)
}

/// All points of a kind of a collection.
pub(super) fn collection(kind: Kind, place: &Place) -> Filter {
    within(kind, &place.tenant, &[place.collection])
}

/// The points of a kind of one content.
pub(super) fn content(kind: Kind, place: &Place, generation: Generation) -> Filter {
    let mut filter = collection(kind, place);
    filter.must.push(Condition::matches(fields::GENERATION, uuid(generation.0)));
    filter
}

/// The points of a kind of a document, except those of a content.
pub(super) fn document_except(
    kind: Kind,
    place: &Place,
    document: &DocumentId,
    kept: Option<Generation>,
) -> Filter {
    let mut filter = collection(kind, place);
    filter.must.push(Condition::matches(fields::DOCUMENT, document.as_str().to_owned()));
    if let Some(kept) = kept {
        filter.must_not.push(Condition::matches(fields::GENERATION, uuid(kept.0)));
    }
    filter
}

/// The markers of every tenant, for the comparison with the record and for nothing else.
pub(super) fn markers_of_all_tenants() -> Filter {
    Filter::must([Condition::matches(fields::MARKER, true)])
}

/// The chunks that a question may find; none: the filter lets nothing pass.
pub(super) fn asked(
    tenant: &TenantId,
    collections: &[Incarnation],
    filter: &DocumentFilter,
) -> Option<Filter> {
    let mut asked = chunks(tenant, collections);
    if !filter.documents.is_empty() {
        let ids = filter.documents.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        asked.must.push(Condition::matches(fields::DOCUMENT, ids));
    }
    for (key, values) in &filter.any_of {
        if values.is_empty() {
            return None;
        }
        let labels = values.iter().map(|value| label(key, value)).collect::<Vec<_>>();
        asked.must.push(Condition::matches(fields::LABELS, labels));
    }
    for (key, from, to) in &filter.ranges {
        let mut number = Filter::must([Condition::matches(fields::NUMBER_KEY, key.clone())]);
        if from.is_some() || to.is_some() {
            let range = Range { gte: *from, lte: *to, ..Range::default() };
            number.must.push(Condition::range(fields::NUMBER_VALUE, range));
        }
        asked.must.push(Condition::nested(fields::NUMBERS, number));
    }
    if filter.created_after.is_some() || filter.created_before.is_some() {
        // Times are integers of milliseconds far below 2^53.
        let range = Range {
            gte: filter.created_after.map(|after| after.0 as f64),
            lt: filter.created_before.map(|before| before.0 as f64),
            ..Range::default()
        };
        asked.must.push(Condition::range(fields::CREATED_AT, range));
    }
    Some(asked)
}
