//! BuildContext and Search from the wire.

use std::time::Instant;

use crate::api::{
    parse::{Faults, INSTRUCTIONS_BYTES_MAX, NAME_BYTES_MAX, QUERY_BYTES_MAX},
    parse_turn::role,
};
use crate::context::Format;
use crate::error::{Failure, Reason};
use crate::memory::{BuildRequest, Filter, Scope, SearchRequest, Target};
use crate::proto::v1 as pb;

/// The smallest budget: the framing of two messages and a short question.
pub const BUDGET_TOKENS_MIN: u32 = 64;
/// The largest budget: the largest context window in use.
pub const BUDGET_TOKENS_MAX: u32 = 1_000_000;
/// The most hits of a search.
pub const TOP_K_MAX: u32 = 1_000;
const TOP_K_DEFAULT: u32 = 10;

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
/// `INVALID_REQUEST` with every faulty field; `COLLECTION_NOT_FOUND`.
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
    let format = match faults.wire_enum("format", request.format) {
        Some(pb::Format::OpenaiChat) => Format::OpenAiChat,
        Some(pb::Format::AnthropicMessages) => Format::AnthropicMessages,
        Some(pb::Format::Unspecified | pb::Format::Neutral) | None => Format::Neutral,
    };
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
        shares,
        format,
        explain: request.explain,
    });
    let checked = faults.check(checked)?;
    no_collections(&request.collections)?;
    Ok(checked)
}

/// A request to search, and whether to explain.
///
/// # Errors
/// `INVALID_REQUEST` with every faulty field; `COLLECTION_NOT_FOUND`.
pub fn search(request: pb::SearchRequest, patience: Patience) -> Result<SearchRequest, Failure> {
    let mut faults = Faults::default();
    let ids = (request.session_id.as_str(), request.user_id.as_str());
    let target = target(&mut faults, ids, request.scope, patience);
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
    });
    let checked = faults.check(checked)?;
    no_collections(&request.collections)?;
    Ok(checked)
}

/// A budget in tokens; 0 is none.
pub fn budget(faults: &mut Faults, field: &str, tokens: u32) -> Option<u32> {
    if tokens != 0 && !(BUDGET_TOKENS_MIN..=BUDGET_TOKENS_MAX).contains(&tokens) {
        faults.add(field, format!("must be {BUDGET_TOKENS_MIN} to {BUDGET_TOKENS_MAX} tokens"));
    }
    (tokens != 0).then_some(tokens)
}

fn no_collections(names: &[String]) -> Result<(), Failure> {
    match names.first() {
        Some(name) => {
            Err(Failure::new(Reason::CollectionNotFound, format!("no collection `{name:.128}`"))
                .at("collections[0]"))
        }
        None => Ok(()),
    }
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
        created_after: faults.time("filter.created_after", filter.created_after.as_ref()),
        created_before: faults.time("filter.created_before", filter.created_before.as_ref()),
    }
}
