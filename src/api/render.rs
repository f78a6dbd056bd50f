//! From the types of the record to the wire.

use crate::memory::{Files, Job, PendingVectors, Preparing, Receipt, Tenant};
use crate::proto::v1 as pb;
use crate::record::{ApiKeyRow, Head, JobKind, JobState, Scopes, SessionKind, SummaryRow};
use crate::sessions::marks;
use crate::summarize::Summary;
use crate::types::{
    DocumentPolicy, Part, Policy, RetrievalMode, Role, SessionId, Shares, Status, SummaryPolicy,
    TenantId, Timestamp, Turn,
};

/// What a receipt says of files.
pub fn erasure(receipt: Receipt) -> pb::Erasure {
    pb::Erasure {
        files: file_erasure(receipt.files).into(),
        erased_from_files_by: receipt.due_at.map(time),
    }
}

/// How files are rid of what was deleted.
pub fn file_erasure(files: Files) -> pb::FileErasure {
    match files {
        Files::None => pb::FileErasure::NoFiles,
        Files::ByNode => pb::FileErasure::ByNode,
        Files::ByCopy => pb::FileErasure::ByStoreCopy,
    }
}

/// The embedders of the node.
pub fn embedding(preparing: Preparing) -> pb::Embedding {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    pb::Embedding {
        serving: preparing.serving,
        beside: preparing.beside,
        ready: preparing.ready,
        turns_done: number(preparing.turns_done),
        turns: number(preparing.turns),
        chunks_done: number(preparing.chunks_done),
        chunks: number(preparing.chunks),
        held_by: preparing.held_by,
        clearing: preparing.clearing,
    }
}

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

/// Shares, with that of the documents if they have one.
pub fn shares(shares: Shares, documents_percent: Option<u8>) -> pb::Shares {
    pb::Shares {
        summary_percent: shares.summary_percent.into(),
        recent_percent: shares.recent_percent.into(),
        retrieved_percent: shares.retrieved_percent.into(),
        documents_percent: documents_percent.map(u32::from),
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
        shares: Some(shares(policy.shares, policy.documents.share_percent)),
        retrieval: Some(pb::RetrievalPolicy {
            retrieved_turns_max: Some(policy.retrieval.retrieved_turns_max),
            language: policy.retrieval.language.clone(),
            mode: retrieval_mode(policy.retrieval_mode).into(),
        }),
        model_default: policy.model_default.clone(),
        models: policy.models.iter().map(model).collect(),
        tokenizer_fallback: policy.tokenizer_fallback.clone(),
        summaries: Some(summary_policy(&policy.summaries)),
        documents: Some(document_policy(&policy.documents)),
    }
}

fn retrieval_mode(mode: RetrievalMode) -> pb::RetrievalMode {
    match mode {
        RetrievalMode::Hybrid => pb::RetrievalMode::Hybrid,
        RetrievalMode::Words => pb::RetrievalMode::Words,
        RetrievalMode::Vectors => pb::RetrievalMode::Vectors,
    }
}

fn document_policy(policy: &DocumentPolicy) -> pb::DocumentPolicy {
    let collections = policy.default_collections.iter().map(ToString::to_string);
    pb::DocumentPolicy { default_collections: collections.collect() }
}

/// When summaries are made, with the defaults filled in.
fn summary_policy(policy: &SummaryPolicy) -> pb::SummaryPolicy {
    let marks = marks(policy);
    let tokens = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    pb::SummaryPolicy {
        tail_high_tokens: tokens(marks.tail_high_tokens),
        tail_low_tokens: tokens(marks.tail_low_tokens),
        idle_minutes: policy.idle_minutes.unwrap_or(SummaryPolicy::IDLE_MINUTES),
        off: policy.off,
    }
}

/// What waits behind a session.
pub fn pending(pending: PendingVectors) -> pb::PendingWork {
    pb::PendingWork {
        vectors_pending: pending.turns,
        oldest_pending_time: pending.oldest.map(time),
    }
}

/// A summary, and whether it is on the frontier.
pub fn summary(row: &SummaryRow, frontier: bool) -> pb::Summary {
    let span = row.summary.span;
    pb::Summary {
        summary_id: format!("{}-{}-{}", span.level, span.first_seq.0, span.last_seq.0),
        first_seq: span.first_seq.0,
        last_seq: span.last_seq.0,
        level: span.level.into(),
        text: summary_text(&row.summary),
        method: row.method.text().to_owned(),
        frontier,
        create_time: Some(time(row.created_at)),
    }
}

/// The lines of a summary, each with a line break, under the days (UTC) on which they were said.
fn summary_text(summary: &Summary) -> String {
    let (mut text, mut day) = (String::new(), None);
    for line in &summary.lines {
        let said = jiff::Timestamp::from_millisecond(line.created_at.0).ok();
        let said = said.map(|at| jiff::tz::TimeZone::UTC.to_datetime(at).date());
        if let Some(said) = said.filter(|said| day != Some(*said)) {
            text.push_str(&format!("{}\n", said.strftime("%Y-%m-%d %a")));
            day = Some(said);
        }
        text.push_str(&line.render());
        text.push('\n');
    }
    text
}

/// A job.
pub fn job(job: &Job) -> pb::Job {
    let kind = match job.row.kind {
        JobKind::Summarize => pb::JobKind::Summarize,
        JobKind::SummarizeIdle => pb::JobKind::SummarizeIdle,
    };
    let state = match job.row.state {
        JobState::Waiting => pb::JobState::Waiting,
        JobState::Leased => pb::JobState::Leased,
        JobState::Dead => pb::JobState::Dead,
    };
    pb::Job {
        job_id: job.id.clone(),
        kind: kind.into(),
        session_id: job.row.session.to_string(),
        state: state.into(),
        due_time: Some(time(job.row.due_at)),
        attempts: job.row.attempts,
        last_reason: job.row.last_reason.clone(),
        create_time: Some(time(job.row.created_at)),
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
