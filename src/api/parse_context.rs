//! BuildContext and Search from the wire.

use std::time::Instant;

use crate::api::{
    parse::{Faults, INSTRUCTIONS_BYTES_MAX, LABEL_KEY_BYTES_MAX, NAME_BYTES_MAX, QUERY_BYTES_MAX},
    parse_turn::role,
};
use crate::context::Format;
use crate::documents::DocumentFilter;
use crate::error::Failure;
use crate::memory::{BuildRequest, Filter, Scope, SearchRequest, Target};
use crate::proto::v1 as pb;
use crate::types::CollectionId;

/// The smallest budget: the framing of two messages and a short question.
pub const BUDGET_TOKENS_MIN: u32 = 64;
/// The largest budget: the largest context window in use.
pub const BUDGET_TOKENS_MAX: u32 = 1_000_000;
/// The most hits of a search.
pub const TOP_K_MAX: u32 = 1_000;
const TOP_K_DEFAULT: u32 = 10;
/// The most collections of a request.
pub const COLLECTIONS_MAX: usize = 16;
/// The most documents that a filter names.
pub const FILTER_DOCUMENTS_MAX: usize = 256;
/// The most labels that a filter names.
pub const FILTER_LABELS_MAX: usize = 16;
/// The most values of a label that a filter names.
pub const FILTER_VALUES_MAX: usize = 64;

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// When its caller stops waiting.
    pub deadline: Option<Instant>,
    /// Whether others wait for its place.
    pub hurried: bool,
}

/// A request for a context.
///
/// # Errors
/// `INVALID_REQUEST` with every faulty field.
pub fn build(
    request: pb::BuildContextRequest,
    patience: Patience,
) -> Result<BuildRequest, Failure> {
    let mut faults = Faults::default();
    let ids = (request.session_id.as_str(), request.user_id.as_str());
    let target = target(&mut faults, ids, request.scope, patience);
    faults.text("query", &request.query, QUERY_BYTES_MAX);
    faults.text("model", &request.model, NAME_BYTES_MAX);
    faults.text("instructions", &request.instructions, INSTRUCTIONS_BYTES_MAX);
    let budget_tokens = budget(&mut faults, "budget_tokens", request.budget_tokens);
    if budget_tokens.is_some_and(|budget| request.reserve_tokens >= budget) {
        faults.add("reserve_tokens", "must be below `budget_tokens`");
    }
    let filter = filter(&mut faults, request.filter.as_ref());
    let as_of = faults.time("as_of", request.as_of.as_ref());
    let time_zone = faults.time_zone(&request.time_zone);
    let shares = request.shares.as_ref().and_then(|shares| faults.shares("shares", shares));
    let documents_percent = shares.and_then(|(_, documents)| documents);
    let format = match faults.wire_enum("format", request.format) {
        Some(pb::Format::OpenaiChat) => Format::OpenAiChat,
        Some(pb::Format::AnthropicMessages) => Format::AnthropicMessages,
        Some(pb::Format::Unspecified | pb::Format::Neutral) | None => Format::Neutral,
    };
    let collections = collections(&mut faults, &request.collections);
    let document_filter = document_filter(&mut faults, request.document_filter.as_ref());
    let checked = target.map(|target| BuildRequest {
        target,
        query: request.query,
        model: request.model,
        budget_tokens,
        reserve_tokens: request.reserve_tokens,
        instructions: request.instructions,
        filter,
        as_of,
        time_zone,
        shares: shares.map(|(shares, _)| shares),
        documents_percent,
        format,
        explain: request.explain,
        collections,
        document_filter,
    });
    faults.check(checked)
}

/// A request to search, and whether to explain.
///
/// # Errors
/// `INVALID_REQUEST` with every faulty field.
pub fn search(request: pb::SearchRequest, patience: Patience) -> Result<SearchRequest, Failure> {
    let mut faults = Faults::default();
    let ids = (request.session_id.as_str(), request.user_id.as_str());
    let collections = collections(&mut faults, &request.collections);
    let document_filter = document_filter(&mut faults, request.document_filter.as_ref());
    let target = match ids {
        // Documents alone are asked for.
        ("", "") if !collections.is_empty() => Some(Target {
            session: None,
            user: None,
            scope: Scope::Session,
            deadline: patience.deadline,
            hurried: patience.hurried,
        }),
        ids => target(&mut faults, ids, request.scope, patience),
    };
    faults.required_text("query", &request.query, QUERY_BYTES_MAX);
    if request.top_k > TOP_K_MAX {
        faults.add("top_k", format!("must be at most {TOP_K_MAX}"));
    }
    let top_k = if request.top_k == 0 { TOP_K_DEFAULT } else { request.top_k };
    let filter = filter(&mut faults, request.filter.as_ref());
    let as_of = faults.time("as_of", request.as_of.as_ref());
    faults.time_zone(&request.time_zone);
    let checked = target.map(|target| SearchRequest {
        target,
        query: request.query,
        top_k: top_k as usize,
        filter,
        as_of,
        explain: request.explain,
        collections,
        document_filter,
    });
    faults.check(checked)
}

/// A budget in tokens; 0 is none.
pub fn budget(faults: &mut Faults, field: &str, tokens: u32) -> Option<u32> {
    if tokens != 0 && !(BUDGET_TOKENS_MIN..=BUDGET_TOKENS_MAX).contains(&tokens) {
        faults.add(field, format!("must be {BUDGET_TOKENS_MIN} to {BUDGET_TOKENS_MAX} tokens"));
    }
    (tokens != 0).then_some(tokens)
}

/// The collections that a request names.
fn collections(faults: &mut Faults, names: &[String]) -> Vec<CollectionId> {
    if names.len() > COLLECTIONS_MAX {
        faults.add("collections", format!("must be at most {COLLECTIONS_MAX}"));
    }
    let mut parsed: Vec<CollectionId> = Vec::new();
    for (i, name) in names.iter().enumerate().take(COLLECTIONS_MAX) {
        let collection = faults.collection(&format!("collections[{i}]"), name);
        parsed.extend(collection.filter(|collection| !parsed.contains(collection)));
    }
    parsed
}

fn document_filter(faults: &mut Faults, filter: Option<&pb::DocumentFilter>) -> DocumentFilter {
    let Some(filter) = filter else { return DocumentFilter::default() };
    if filter.document_ids.len() > FILTER_DOCUMENTS_MAX {
        faults
            .add("document_filter.document_ids", format!("must be at most {FILTER_DOCUMENTS_MAX}"));
    }
    if filter.labels.len() > FILTER_LABELS_MAX {
        faults.add("document_filter.labels", format!("must be at most {FILTER_LABELS_MAX}"));
    }
    let mut parsed = DocumentFilter::default();
    for (i, id) in filter.document_ids.iter().enumerate().take(FILTER_DOCUMENTS_MAX) {
        parsed.documents.extend(faults.document(&format!("document_filter.document_ids[{i}]"), id));
    }
    for (i, label) in filter.labels.iter().enumerate().take(FILTER_LABELS_MAX) {
        let field = format!("document_filter.labels[{i}]");
        let has_range = label.at_least.is_some() || label.at_most.is_some();
        let is_number = |number: &Option<f64>| number.is_none_or(f64::is_finite);
        if label.key.is_empty() || label.key.len() > LABEL_KEY_BYTES_MAX {
            faults.add(&field, format!("the key must have 1 to {LABEL_KEY_BYTES_MAX} bytes"));
        }
        if label.any_of.len() > FILTER_VALUES_MAX {
            faults.add(&field, format!("must have at most {FILTER_VALUES_MAX} values"));
        }
        if label.any_of.is_empty() && !has_range {
            faults.add(&field, "must have `any_of`, `at_least` or `at_most`");
        }
        if !is_number(&label.at_least) || !is_number(&label.at_most) {
            faults.add(&field, "must have finite numbers");
        }
        if !label.any_of.is_empty() {
            parsed.any_of.push((label.key.clone(), label.any_of.clone()));
        }
        if has_range {
            parsed.ranges.push((label.key.clone(), label.at_least, label.at_most));
        }
    }
    parsed.created_after =
        faults.border("document_filter.created_after", filter.created_after.as_ref());
    parsed.created_before =
        faults.border("document_filter.created_before", filter.created_before.as_ref());
    parsed
}

fn target(
    faults: &mut Faults,
    (session, user): (&str, &str),
    scope: i32,
    patience: Patience,
) -> Option<Target> {
    if session.is_empty() && user.is_empty() {
        faults.add("session_id", "must be given, or `user_id`");
    }
    let session = faults.optional_session("session_id", session);
    let user = faults.optional_user("user_id", user);
    let scope = match faults.wire_enum("scope", scope)? {
        pb::Scope::Unspecified if session.is_some() => Scope::Session,
        pb::Scope::Unspecified | pb::Scope::User => Scope::User,
        pb::Scope::Session => {
            if session.is_none() {
                faults.add("scope", "must not be SESSION without a `session_id`");
            }
            Scope::Session
        }
    };
    let Patience { deadline, hurried } = patience;
    Some(Target { session, user, scope, deadline, hurried })
}

fn filter(faults: &mut Faults, filter: Option<&pb::Filter>) -> Filter {
    let Some(filter) = filter else { return Filter::default() };
    let mut roles = Vec::with_capacity(filter.roles.len());
    for (i, wanted) in filter.roles.iter().enumerate() {
        let field = format!("filter.roles[{i}]");
        if *wanted == i32::from(pb::Role::System) {
            faults.add(field, "must not be `system`: there are no such turns");
        } else {
            roles.extend(role(faults, &field, *wanted));
        }
    }
    Filter {
        roles,
        metadata: faults.metadata("filter.metadata", &filter.metadata),
        created_after: faults.border("filter.created_after", filter.created_after.as_ref()),
        created_before: faults.border("filter.created_before", filter.created_before.as_ref()),
    }
}
