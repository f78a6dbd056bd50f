//! Contexts and hits to the wire.

use std::collections::BTreeMap;

use crate::api::render::{part, time, turn};
use crate::context::{
    Citation, Context, CountMethod, DropReason, Dropped, Item, LAYOUT_VERSION, Message,
    MessageRole, SectionKind, Trust,
};
use crate::memory::{Built, Coverage, Decided, Degraded, Found, FoundChunk};
use crate::proto::v1 as pb;
use crate::retrieve::{ANALYSIS_VERSION, RETRIEVAL_VERSION, SignalValue};
use crate::summarize::SUMMARIZER_VERSION;
use crate::tokens::Exactness;
use crate::types::{Change, Timestamp};

/// A context with its account.
pub fn context(built: Built, policy_version: u64) -> pb::BuildContextResponse {
    let session = |source: usize| built.sessions[source].to_string();
    let Context { messages, payload_json, .. } = &built.context;
    let account = &built.context;
    let by = (built.ranked.embedder.as_deref(), built.reranker.as_deref());
    let mut components = components(by);
    components.insert("layout".to_owned(), LAYOUT_VERSION.to_string());
    let tokenizer = built.model.tokenizer.key().to_owned();
    components.insert("tokenizer".to_owned(), tokenizer.clone());
    pb::BuildContextResponse {
        messages: messages.iter().map(message).collect(),
        payload_json: payload_json.clone(),
        used_tokens: account.used_tokens,
        budget_tokens: built.budget_tokens,
        exactness: exactness(account.exactness).into(),
        count_method: count_method(account.count_method).into(),
        framing_tokens: account.framing_tokens,
        sections: account.sections.iter().map(|found| section(found, &built)).collect(),
        not_shown: account
            .not_shown
            .iter()
            .map(|range| pb::TurnRange {
                session_id: session(range.source),
                first_seq: range.first_seq.0,
                last_seq: range.last_seq.0,
                turns: range.turns,
                tokens: range.tokens,
            })
            .collect(),
        dropped: account.dropped.iter().map(|found| dropped(found, &built)).collect(),
        full_history_tokens: account.full_history_tokens,
        breakpoints: account
            .breakpoints
            .iter()
            .map(|breakpoint| pb::Breakpoint {
                message_index: breakpoint.message_index,
                part_index: breakpoint.part_index,
                tokens: breakpoint.tokens,
            })
            .collect(),
        degraded: degraded(&built.degraded),
        decision: decision(built.ranked.decision).into(),
        state: Some(pb::State {
            documents_digest: built.documents_digest,
            ..state(
                (built.session_change, built.user_change),
                policy_version,
                components,
                built.as_of,
            )
        }),
        model: built.model.name.clone(),
        tokenizer,
        vectors: built.ranked.coverage.map(vectors),
        document_vectors: built.documents_coverage.map(chunk_vectors),
    }
}

/// What a search found.
pub fn found(found: Found, policy_version: u64, explain: bool) -> pb::SearchResponse {
    let reranker = found.reranker.as_deref().or(found.documents.reranker.as_deref());
    let components = components((found.embedder.as_deref(), reranker));
    let hits = found.turns.iter().map(|found| {
        let passage = found.hit.passage.clone().unwrap_or(0..0);
        let signals = if explain { found.hit.signals.iter().map(signal).collect() } else { vec![] };
        pb::Hit {
            session_id: found.session.to_string(),
            turn: Some(turn(&found.turn, false)),
            score: found.hit.score,
            passage_start: u32::try_from(passage.start).unwrap_or(u32::MAX),
            passage_end: u32::try_from(passage.end).unwrap_or(u32::MAX),
            signals,
        }
    });
    pb::SearchResponse {
        hits: hits.collect(),
        decision: decision(found.decision).into(),
        degraded: degraded(&found.degraded),
        state: Some(pb::State {
            documents_digest: found.documents.digest,
            ..state(
                (found.session_change, found.user_change),
                policy_version,
                components,
                found.as_of,
            )
        }),
        vectors: found.coverage.map(vectors),
        documents: found.documents.chunks.into_iter().map(|hit| chunk(hit, explain)).collect(),
        document_vectors: found.documents.coverage.map(chunk_vectors),
    }
}

fn chunk(found: FoundChunk, explain: bool) -> pb::DocumentHit {
    pb::DocumentHit {
        citation: Some(pb::Citation {
            collection: found.collection.to_string(),
            document_id: found.document.to_string(),
            title: found.title.to_string(),
            heading: found.heading,
            start: found.range.0,
            end: found.range.1,
            first_chunk: found.ordinal,
            last_chunk: found.ordinal,
        }),
        text: found.text,
        score: found.score,
        metadata: found.metadata.as_ref().clone(),
        signals: if explain { found.signals.iter().map(signal).collect() } else { Vec::new() },
    }
}

fn chunk_vectors(coverage: Coverage) -> pb::ChunkCoverage {
    let Coverage { turns: chunks, turns_embedded: chunks_embedded } = coverage;
    pb::ChunkCoverage { chunks, chunks_embedded }
}

/// Versions of what took part; `embedder`: the key of the one whose vectors did; `reranker`: of the
/// one whose scores did.
fn components((embedder, reranker): (Option<&str>, Option<&str>)) -> BTreeMap<String, String> {
    let mut components = BTreeMap::from([
        ("analysis".to_owned(), ANALYSIS_VERSION.to_string()),
        ("retrieval".to_owned(), RETRIEVAL_VERSION.to_string()),
        ("summarizer".to_owned(), SUMMARIZER_VERSION.to_string()),
    ]);
    components.extend(embedder.map(|key| ("embedder".to_owned(), key.to_owned())));
    components.extend(reranker.map(|key| ("reranker".to_owned(), key.to_owned())));
    components
}

fn vectors(coverage: Coverage) -> pb::VectorCoverage {
    pb::VectorCoverage { turns: coverage.turns, turns_embedded: coverage.turns_embedded }
}

fn state(
    (session, user): (Change, Change),
    policy_version: u64,
    components: BTreeMap<String, String>,
    as_of: Timestamp,
) -> pb::State {
    pb::State {
        session_change: session.0,
        user_change: user.0,
        policy_version,
        components,
        as_of: Some(time(as_of)),
        documents_digest: 0,
    }
}

fn message(message: &Message) -> pb::Message {
    let role = match message.role {
        MessageRole::System => pb::MessageRole::System,
        MessageRole::User => pb::MessageRole::User,
        MessageRole::Assistant => pb::MessageRole::Assistant,
        MessageRole::Tool => pb::MessageRole::Tool,
    };
    pb::Message {
        role: role.into(),
        name: message.name.clone(),
        parts: message.parts.iter().map(part).collect(),
    }
}

fn section(section: &crate::context::Section, built: &Built) -> pb::Section {
    let kind = match section.kind {
        SectionKind::Instructions => pb::SectionKind::Instructions,
        SectionKind::Summary => pb::SectionKind::Summary,
        SectionKind::Recent => pb::SectionKind::Recent,
        SectionKind::Documents => pb::SectionKind::Documents,
        SectionKind::Retrieved => pb::SectionKind::Retrieved,
        SectionKind::CurrentExchange => pb::SectionKind::CurrentExchange,
    };
    pb::Section {
        kind: kind.into(),
        tokens: section.tokens,
        allowance_tokens: section.allowance_tokens,
        items: section.items.iter().map(|found| item(found, built)).collect(),
    }
}

fn item(item: &Item, built: &Built) -> pb::Item {
    let trust = match item.trust {
        Trust::Tenant => pb::Trust::Tenant,
        Trust::Conversation => pb::Trust::Conversation,
        Trust::Quoted => pb::Trust::Quoted,
    };
    let of_turn = |source| built.signals.get(&(source, item.first_seq));
    let of_chunk = |at: &Citation| built.passage_signals.get(&(at.document, at.best_chunk));
    let signals = match &item.citation {
        Some(citation) => of_chunk(citation),
        None => item.source.and_then(of_turn),
    };
    let quoted = item.trust == Trust::Quoted;
    pb::Item {
        session_id: item.source.map(|at| built.sessions[at].to_string()).unwrap_or_default(),
        first_seq: item.first_seq.0,
        last_seq: item.last_seq.0,
        tokens: item.tokens,
        score: item.score,
        partial: item.partial,
        escaped: item.escaped,
        message_index: item.message_index,
        trust: trust.into(),
        signals: signals
            .filter(|_| quoted)
            .map(|signals| signals.iter().map(signal).collect())
            .unwrap_or_default(),
        citation: item.citation.as_ref().map(|at| citation(at, built)),
    }
}

fn dropped(dropped: &Dropped, built: &Built) -> pb::Dropped {
    pb::Dropped {
        session_id: dropped.source.map(|at| built.sessions[at].to_string()).unwrap_or_default(),
        seq: dropped.seq.0,
        tokens: dropped.tokens,
        score: dropped.score,
        reason: drop_reason(dropped.reason).into(),
        citation: dropped.citation.as_ref().map(|at| citation(at, built)),
    }
}

fn citation(at: &Citation, built: &Built) -> pb::Citation {
    let document = &built.documents[at.document];
    pb::Citation {
        collection: document.collection.to_string(),
        document_id: document.document.to_string(),
        title: document.title.clone(),
        heading: at.heading.clone(),
        start: at.start,
        end: at.end,
        first_chunk: at.first_chunk,
        last_chunk: at.last_chunk,
    }
}

fn signal(signal: &SignalValue) -> pb::Signal {
    pb::Signal {
        name: signal.name.to_owned(),
        raw: signal.raw,
        standardised: signal.standardised,
        weight: signal.weight,
    }
}

fn exactness(exactness: Exactness) -> pb::Exactness {
    match exactness {
        Exactness::Exact => pb::Exactness::Exact,
        Exactness::Estimated => pb::Exactness::Estimated,
    }
}

fn count_method(method: CountMethod) -> pb::CountMethod {
    match method {
        CountMethod::Added => pb::CountMethod::Added,
        CountMethod::Recounted => pb::CountMethod::Recounted,
    }
}

fn drop_reason(reason: DropReason) -> pb::DropReason {
    match reason {
        DropReason::OverBudget => pb::DropReason::OverBudget,
        DropReason::AlreadyShown => pb::DropReason::AlreadyShown,
        DropReason::OverLimit => pb::DropReason::OverLimit,
        DropReason::NotSendable => pb::DropReason::NotSendable,
    }
}

fn decision(decided: Decided) -> pb::RetrievalDecision {
    match decided {
        Decided::Retrieved => pb::RetrievalDecision::Retrieved,
        Decided::NoSignal => pb::RetrievalDecision::NoSignal,
        Decided::Empty => pb::RetrievalDecision::Empty,
        Decided::Off => pb::RetrievalDecision::Off,
        Decided::TimedOut => pb::RetrievalDecision::TimedOut,
    }
}

fn degraded(degraded: &[Degraded]) -> Vec<i32> {
    let name = |degraded: &Degraded| match degraded {
        Degraded::Retrieval => pb::Degradation::Retrieval.into(),
        Degraded::Vector => pb::Degradation::Vector.into(),
        Degraded::VectorsPending => pb::Degradation::VectorsPending.into(),
        Degraded::Language => pb::Degradation::Language.into(),
        Degraded::Documents => pb::Degradation::Documents.into(),
        Degraded::IndexLag => pb::Degradation::IndexLag.into(),
        Degraded::Rerank => pb::Degradation::Rerank.into(),
    };
    degraded.iter().map(name).collect()
}
