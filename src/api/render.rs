//! From the types of the record to the wire.

use crate::memory::Tenant;
use crate::proto::v1 as pb;
use crate::record::{ApiKeyRow, Head, Scopes, SessionKind};
use crate::types::{Part, Policy, Role, SessionId, Shares, Status, TenantId, Timestamp, Turn};

/// A moment.
pub fn time(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.0.div_euclid(1_000),
        nanos: i32::try_from(at.0.rem_euclid(1_000) * 1_000_000).unwrap_or(0),
    }
}

/// A session.
pub fn session(id: &SessionId, head: &Head) -> pb::Session {
    pb::Session {
        session_id: id.to_string(),
        user_id: head.user.as_ref().map(ToString::to_string).unwrap_or_default(),
        version: head.version.0,
        change: head.change.0,
        last_seq: head.last_seq.0,
        turn_count: head.turns_living,
        pinned_instructions: head.pinned_instructions.clone(),
        metadata: head.metadata.clone(),
        create_time: Some(time(head.created_at)),
        update_time: Some(time(head.updated_at)),
        ttl: head.ttl_ms.map(|ms| prost_types::Duration {
            seconds: i64::try_from(ms / 1_000).unwrap_or(i64::MAX),
            nanos: i32::try_from(ms % 1_000 * 1_000_000).unwrap_or(0),
        }),
        expire_time: head.expires_at().map(time),
        kind: kind(head.kind).into(),
        forked_from_session_id: head
            .forked_from
            .as_ref()
            .map(|(source, _)| source.to_string())
            .unwrap_or_default(),
        forked_at_seq: head.forked_from.as_ref().map_or(0, |(_, seq)| seq.0),
    }
}

fn kind(kind: SessionKind) -> pb::SessionKind {
    match kind {
        SessionKind::Seen => pb::SessionKind::Unspecified,
        SessionKind::UserAssistant => pb::SessionKind::UserAssistant,
        SessionKind::PersonToPerson => pb::SessionKind::PersonToPerson,
    }
}

/// A turn.
pub fn turn(turn: &Turn, superseded: bool) -> pb::Turn {
    let role = match turn.role {
        Role::User => pb::Role::User,
        Role::Assistant => pb::Role::Assistant,
        Role::Tool => pb::Role::Tool,
    };
    let status = match turn.status {
        Status::Complete => pb::TurnStatus::Complete,
        Status::Interrupted => pb::TurnStatus::Interrupted,
    };
    pb::Turn {
        seq: turn.seq.0,
        role: role.into(),
        name: turn.name.clone(),
        parts: turn.parts.iter().map(part).collect(),
        created_at: Some(time(turn.created_at)),
        committed_at: Some(time(turn.committed_at)),
        external_id: turn.external_id.clone(),
        metadata: turn.metadata.clone(),
        status: status.into(),
        superseded,
    }
}

/// A part of a turn or a message.
pub fn part(part: &Part) -> pb::Part {
    let kind = match part {
        Part::Text(text) => pb::part::Kind::Text(pb::TextPart { text: text.clone() }),
        Part::ToolCall { id, name, arguments } => pb::part::Kind::ToolCall(pb::ToolCallPart {
            id: id.clone(),
            name: name.clone(),
            arguments_json: arguments.clone(),
        }),
        Part::ToolResult { call_id, parts, is_error } => {
            pb::part::Kind::ToolResult(pb::ToolResultPart {
                call_id: call_id.clone(),
                parts: parts.iter().map(self::part).collect(),
                is_error: *is_error,
            })
        }
        Part::Media(media) => pb::part::Kind::Media(pb::MediaPart {
            source: Some(if media.file_id.is_empty() {
                pb::media_part::Source::Uri(media.uri.clone())
            } else {
                pb::media_part::Source::FileId(media.file_id.clone())
            }),
            media_type: media.media_type.clone(),
            caption: media.caption.clone(),
            tokens: media.tokens,
        }),
        Part::Opaque { provider, json } => pb::part::Kind::Opaque(pb::OpaquePart {
            provider: provider.clone(),
            json: json.clone(),
        }),
    };
    pb::Part { kind: Some(kind) }
}

/// Shares.
pub fn shares(shares: Shares) -> pb::Shares {
    pb::Shares {
        summary_percent: shares.summary_percent.into(),
        recent_percent: shares.recent_percent.into(),
        retrieved_percent: shares.retrieved_percent.into(),
    }
}

/// A policy.
pub fn policy(policy: &Policy) -> pb::Policy {
    let model = |model: &crate::types::ModelPolicy| pb::ModelPolicy {
        name: model.name.clone(),
        tokenizer_source: Some(if model.tokenizer_json.is_empty() {
            pb::model_policy::TokenizerSource::Tokenizer(model.tokenizer.clone())
        } else {
            pb::model_policy::TokenizerSource::TokenizerJson(model.tokenizer_json.clone())
        }),
    };
    pb::Policy {
        version: policy.version,
        budget_tokens_default: policy.budget_tokens_default,
        budget_tokens_max: policy.budget_tokens_max,
        shares: Some(shares(policy.shares)),
        retrieval: Some(pb::RetrievalPolicy {
            retrieved_turns_max: Some(policy.retrieval.retrieved_turns_max),
            language: policy.retrieval.language.clone(),
        }),
        model_default: policy.model_default.clone(),
        models: policy.models.iter().map(model).collect(),
        tokenizer_fallback: policy.tokenizer_fallback.clone(),
    }
}

/// A tenant.
pub fn tenant(id: &TenantId, row: &Tenant) -> pb::Tenant {
    pb::Tenant {
        tenant_id: id.to_string(),
        policy: Some(policy(&row.policy)),
        create_time: Some(time(row.created_at)),
        update_time: Some(time(row.updated_at)),
    }
}

/// The scopes of a key, as the wire names them.
pub const SCOPES: [(pb::KeyScope, Scopes); 4] = [
    (pb::KeyScope::Read, Scopes::READ),
    (pb::KeyScope::Write, Scopes::WRITE),
    (pb::KeyScope::Admin, Scopes::ADMIN),
    (pb::KeyScope::Operator, Scopes::OPERATOR),
];

/// An API key, without its secret.
pub fn api_key(row: &ApiKeyRow) -> pb::ApiKey {
    let held = SCOPES.iter().filter(|(_, scope)| row.scopes.holds(*scope));
    pb::ApiKey {
        key_id: row.key_id.to_string(),
        tenant_id: row.tenant.to_string(),
        display_name: row.display_name.clone(),
        scopes: held.map(|(name, _)| (*name).into()).collect(),
        create_time: Some(time(row.created_at)),
        expire_time: row.expires_at.map(time),
        revoke_time: row.revoked_at.map(time),
    }
}
