//! Which points a filter of Qdrant lets pass, as far as filters are in use.

use std::collections::HashMap;

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, FieldCondition, Filter, PointId, Value};

pub type Payload = HashMap<String, Value>;

/// Whether a point passes.
pub fn passes(filter: &Filter, id: Option<&PointId>, payload: &Payload) -> bool {
    let holds = |condition: &Condition| holds(condition, id, payload);
    assert!(filter.should.is_empty() && filter.min_should.is_none(), "nobody asks so");
    filter.must.iter().all(holds) && !filter.must_not.iter().any(holds)
}

fn holds(condition: &Condition, id: Option<&PointId>, payload: &Payload) -> bool {
    match condition.condition_one_of.as_ref().expect("a condition") {
        ConditionOneOf::Field(field) => field_holds(field, payload),
        ConditionOneOf::HasId(ids) => id.is_some_and(|id| ids.has_id.contains(id)),
        ConditionOneOf::Nested(nested) => {
            let filter = nested.filter.as_ref().expect("a filter");
            elements(payload, &nested.key).iter().any(|element| match &element.kind {
                Some(Kind::StructValue(object)) => passes(filter, None, &object.fields),
                _ => false,
            })
        }
        other => panic!("nobody asks so: {other:?}"),
    }
}

/// The values of a field: of a list each.
fn elements<'a>(payload: &'a Payload, key: &str) -> Vec<&'a Value> {
    match payload.get(key) {
        Some(Value { kind: Some(Kind::ListValue(list)) }) => list.values.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    }
}

fn field_holds(field: &FieldCondition, payload: &Payload) -> bool {
    let values = elements(payload, &field.key);
    if let Some(wanted) = &field.r#match {
        let wanted = wanted.match_value.as_ref().expect("a value");
        return values.iter().any(|value| matches(wanted, value));
    }
    let range = field.range.as_ref().expect("a match or a range");
    let number = |value: &&&Value| match value.kind {
        Some(Kind::DoubleValue(number)) => Some(number),
        Some(Kind::IntegerValue(number)) => Some(number as f64),
        _ => None,
    };
    values.iter().filter_map(|value| number(&value)).any(|number| {
        range.gte.is_none_or(|gte| number >= gte)
            && range.gt.is_none_or(|gt| number > gt)
            && range.lte.is_none_or(|lte| number <= lte)
            && range.lt.is_none_or(|lt| number < lt)
    })
}

fn matches(wanted: &MatchValue, value: &Value) -> bool {
    match (wanted, &value.kind) {
        (MatchValue::Keyword(word), Some(Kind::StringValue(text))) => text == word,
        (MatchValue::Keywords(words), Some(Kind::StringValue(text))) => {
            words.strings.contains(text)
        }
        (MatchValue::Boolean(wanted), Some(Kind::BoolValue(value))) => wanted == value,
        _ => false,
    }
}

/// Whether a filter names a tenant and collections, so that it can touch no other's points.
pub fn is_scoped(filter: Option<&Filter>) -> bool {
    let names = |key: &str| {
        filter.is_some_and(|filter| {
            filter.must.iter().any(|condition| match &condition.condition_one_of {
                Some(ConditionOneOf::Field(field)) => field.key == key && field.r#match.is_some(),
                _ => false,
            })
        })
    };
    names("tenant") && (names("collection") || names("shelf"))
}

/// Whether it is the look at the markers of all tenants.
pub fn is_of_markers(filter: Option<&Filter>) -> bool {
    filter.is_some_and(|filter| {
        filter.must.len() == 1
            && matches!(&filter.must[0].condition_one_of,
                Some(ConditionOneOf::Field(field)) if field.key == "marker")
    })
}
