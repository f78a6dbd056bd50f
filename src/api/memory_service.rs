//! `keepsake.v1.MemoryService`.

use std::collections::BTreeSet;

use prost::Message;
use tonic::{Request, Response, Status};

use crate::api::{
    ANSWER_BYTES_MAX,
    admit::Hurried,
    call::{Calls, answer, refused},
    deadline::deadline,
    parse::{Faults, INSTRUCTIONS_BYTES_MAX},
    parse_context::{self, Patience},
    parse_turn, render, render_context,
};
use crate::error::{Failure, Reason};
use crate::memory::{Answered, TurnPage};
use crate::proto::{v1 as pb, v1::memory_service_server::MemoryService};
use crate::record::{Answer, Scopes, SessionKind};
use crate::sessions::{Append, Create, DeleteTurns, Update};
use crate::types::{Incarnation, RequestId, Seq, SessionId, Version};

/// The most seqs that one call erases.
pub const SEQS_MAX: usize = 1_000;

/// The service.
pub struct MemoryApi {
    calls: Calls,
    durability: pb::Durability,
}

impl MemoryApi {
    /// The service over the verbs; `durability` is what an acknowledgement of the store means.
    pub fn new(calls: Calls, durability: pb::Durability) -> Self {
        Self { calls, durability }
    }

    async fn create(
        &self,
        request: Request<pb::CreateSessionRequest>,
    ) -> Result<Response<pb::CreateSessionResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let (create, id) = parse_create(request.into_inner())?;
        let answered = self.calls.memory.create_session(&caller.tenant, &create, id).await?;
        let Answer::SessionCreated { at } = answered.answer else { return Err(other_verb()) };
        let head = create.head(Incarnation([0; 16]), at);
        let session = Some(render::session(&create.session, &head));
        Ok(answer(pb::CreateSessionResponse { session }, answered.replayed))
    }

    async fn get(
        &self,
        request: Request<pb::GetSessionRequest>,
    ) -> Result<Response<pb::GetSessionResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let session = session_of(&request.get_ref().session_id)?;
        let head = self.calls.memory.get_session(&caller.tenant, &session).await?;
        let pending = self.calls.memory.pending_vectors(head.incarnation).await?;
        let session = Some(render::session(&session, &head));
        let pending = Some(render::pending(pending));
        Ok(Response::new(pb::GetSessionResponse { session, pending }))
    }

    async fn list(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        let user = faults.optional_user("user_id", &request.user_id);
        faults.check(Some(()))?;
        let bound = [caller.tenant.as_str(), "sessions", &request.user_id];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let memory = &self.calls.memory;
        let after = after.as_deref();
        let page = memory.list_sessions(&caller.tenant, user.as_ref(), after, size).await?;
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let sessions = page.items.iter().map(|(id, head)| render::session(id, head)).collect();
        Ok(Response::new(pb::ListSessionsResponse { sessions, next_page_token }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateSessionRequest>,
    ) -> Result<Response<pb::UpdateSessionResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let (update, id) = parse_update(request.into_inner())?;
        let answered = self.calls.memory.update_session(&caller.tenant, &update, id).await?;
        let Answer::SessionUpdated { version, change, at } = answered.answer else {
            return Err(other_verb());
        };
        let message = pb::UpdateSessionResponse {
            session_id: update.session.to_string(),
            version: version.0,
            change: change.0,
            update_time: Some(render::time(at)),
        };
        Ok(answer(message, answered.replayed))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteSessionRequest>,
    ) -> Result<Response<pb::DeleteSessionResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let session = faults.session("session_id", &request.session_id);
        let session = faults.check(session)?;
        let answered = self.calls.memory.delete_session(&caller.tenant, &session, id).await?;
        let Answer::SessionDeleted { turns, at } = answered.answer else {
            return Err(other_verb());
        };
        let message = pb::DeleteSessionResponse {
            session_id: session.to_string(),
            turns_erased: turns,
            delete_time: Some(render::time(at)),
            erasure: Some(render::erasure(self.calls.memory.receipt(at))),
        };
        Ok(answer(message, answered.replayed))
    }

    async fn fork(
        &self,
        request: Request<pb::ForkSessionRequest>,
    ) -> Result<Response<pb::ForkSessionResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let source = faults.session("session_id", &request.session_id);
        let session = faults.session("new_session_id", &request.new_session_id);
        let (source, session) = faults.check(source.zip(session))?;
        let at = Faults::optional_seq(request.at_seq);
        let memory = &self.calls.memory;
        let answered =
            memory.fork_session(&caller.tenant, &source, at, &session, &caller.policy, id).await?;
        let Answer::SessionForked { turns, last_seq, version, change, at } = answered.answer else {
            return Err(other_verb());
        };
        let message = pb::ForkSessionResponse {
            session_id: session.to_string(),
            turns_copied: turns,
            last_seq: last_seq.0,
            version: version.0,
            change: change.0,
            create_time: Some(render::time(at)),
        };
        Ok(answer(message, answered.replayed))
    }

    async fn append(
        &self,
        request: Request<pb::AppendTurnsRequest>,
    ) -> Result<Response<pb::AppendTurnsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let session = faults.session("session_id", &request.session_id);
        let user = faults.optional_user("user_id", &request.user_id);
        let turns = parse_turn::turns(&mut faults, request.turns);
        let append = faults.check(session.map(|session| Append {
            session,
            user,
            turns,
            expected_version: request.expected_version.map(Version),
            replace_from: Faults::optional_seq(request.replace_from_seq),
        }))?;
        let memory = &self.calls.memory;
        let answered = memory.append(&caller.tenant, &caller.policy, &append, id).await?;
        let replayed = answered.replayed;
        Ok(answer(self.appended(&append.session, answered)?, replayed))
    }

    fn appended(
        &self,
        session: &SessionId,
        answered: Answered,
    ) -> Result<pb::AppendTurnsResponse, Failure> {
        let Answer::Appended { version, change, turns, superseded } = answered.answer else {
            return Err(other_verb());
        };
        let mut new = turns.iter().filter(|(_, existed)| !existed).map(|(seq, _)| seq.0);
        let first_seq = new.next().unwrap_or(0);
        Ok(pb::AppendTurnsResponse {
            session_id: session.to_string(),
            first_seq,
            last_seq: new.next_back().unwrap_or(first_seq),
            version: version.0,
            change: change.0,
            durability: self.durability.into(),
            turns: turns
                .iter()
                .map(|(seq, existed)| pb::AppendedTurn { seq: seq.0, existed: *existed })
                .collect(),
            words_indexed: true,
            turns_superseded: superseded,
        })
    }

    async fn erase(
        &self,
        request: Request<pb::DeleteTurnsRequest>,
    ) -> Result<Response<pb::DeleteTurnsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::WRITE).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let id = faults.request_id(&request.request_id);
        let session = faults.session("session_id", &request.session_id);
        if request.seqs.is_empty() || request.seqs.len() > SEQS_MAX || request.seqs.contains(&0) {
            faults.add("seqs", format!("must hold 1 to {SEQS_MAX} seqs, each from 1"));
        }
        let erase = faults.check(session.map(|session| DeleteTurns {
            session,
            seqs: request.seqs.into_iter().map(Seq).collect::<BTreeSet<_>>(),
            expected_version: request.expected_version.map(Version),
        }))?;
        let answered = self.calls.memory.delete_turns(&caller.tenant, &erase, id).await?;
        let Answer::TurnsErased { seqs, version, change, at } = answered.answer else {
            return Err(other_verb());
        };
        let message = pb::DeleteTurnsResponse {
            session_id: erase.session.to_string(),
            seqs_erased: seqs.iter().map(|seq| seq.0).collect(),
            version: version.0,
            change: change.0,
            delete_time: Some(render::time(at)),
            erasure: Some(render::erasure(self.calls.memory.receipt(at))),
        };
        Ok(answer(message, answered.replayed))
    }

    async fn turns(
        &self,
        request: Request<pb::ListTurnsRequest>,
    ) -> Result<Response<pb::ListTurnsResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        let session = faults.session("session_id", &request.session_id);
        let session = faults.check(session)?;
        let order = format!("{} {}", request.include_superseded, request.newest_first);
        let bound = [caller.tenant.as_str(), "turns", session.as_str(), &order];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let page = TurnPage {
            session: session.clone(),
            after: after.and_then(|after| after.parse().ok()).map(Seq),
            size,
            superseded: request.include_superseded,
            newest_first: request.newest_first,
        };
        let (turns, more) = self.calls.memory.list_turns(&caller.tenant, &page).await?;
        let last = turns.last().filter(|_| more).map(|(turn, _)| turn.seq.0.to_string());
        let next_page_token = self.calls.pages.issue(&bound, last.as_deref());
        let turns = turns.iter().map(|(turn, old)| render::turn(turn, *old)).collect();
        Ok(Response::new(pb::ListTurnsResponse { turns, next_page_token }))
    }

    async fn summaries(
        &self,
        request: Request<pb::ListSummariesRequest>,
    ) -> Result<Response<pb::ListSummariesResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let request = request.into_inner();
        let mut faults = Faults::default();
        let size = faults.page_size(request.page_size) as usize;
        let session = faults.session("session_id", &request.session_id);
        let session = faults.check(session)?;
        let bound = [caller.tenant.as_str(), "summaries", session.as_str()];
        let after = self.calls.pages.open(&bound, &request.page_token)?;
        let memory = &self.calls.memory;
        let page = memory.list_summaries(&caller.tenant, &session, after.as_deref(), size).await?;
        let next_page_token = self.calls.pages.issue(&bound, page.next());
        let summaries = page.items.iter().map(|(row, on)| render::summary(row, *on)).collect();
        Ok(Response::new(pb::ListSummariesResponse { summaries, next_page_token }))
    }

    async fn build(
        &self,
        request: Request<pb::BuildContextRequest>,
    ) -> Result<Response<pb::BuildContextResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let patience = patience(&request);
        let build = parse_context::build(request.into_inner(), patience)?;
        let memory = &self.calls.memory;
        let built = memory.build_context(&caller.tenant, &caller.policy, build).await?;
        fitting(render_context::context(built, caller.policy.version))
    }

    async fn find(
        &self,
        request: Request<pb::SearchRequest>,
    ) -> Result<Response<pb::SearchResponse>, Failure> {
        let caller = self.calls.caller(request.metadata(), Scopes::READ).await?;
        let (patience, explain) = (patience(&request), request.get_ref().explain);
        let search = parse_context::search(request.into_inner(), patience)?;
        let found = self.calls.memory.search(&caller.tenant, &caller.policy, search).await?;
        fitting(render_context::found(found, caller.policy.version, explain))
    }
}

fn patience<T>(request: &Request<T>) -> Patience {
    Patience {
        deadline: deadline(request.metadata().as_ref()),
        hurried: request.extensions().get::<Hurried>().is_some(),
    }
}

/// An answer, unless it is larger than one may be.
fn fitting<T: Message>(answer: T) -> Result<Response<T>, Failure> {
    let bytes = answer.encoded_len();
    if bytes > ANSWER_BYTES_MAX {
        let message = format!(
            "the answer has {bytes} bytes and may have {ANSWER_BYTES_MAX}: ask for fewer hits, or \
             with a smaller budget, or in the format NEUTRAL"
        );
        return Err(Failure::new(Reason::AnswerTooLarge, message).over("answer_bytes"));
    }
    Ok(Response::new(answer))
}

fn other_verb() -> Failure {
    Failure::new(Reason::Internal, "a repeat row of another verb")
}

fn session_of(id: &str) -> Result<SessionId, Failure> {
    let mut faults = Faults::default();
    let session = faults.session("session_id", id);
    faults.check(session)
}

fn session_kind(faults: &mut Faults, kind: i32) -> SessionKind {
    match faults.wire_enum("kind", kind) {
        Some(pb::SessionKind::UserAssistant) => SessionKind::UserAssistant,
        Some(pb::SessionKind::PersonToPerson) => SessionKind::PersonToPerson,
        Some(pb::SessionKind::Unspecified) | None => SessionKind::Seen,
    }
}

fn parse_create(request: pb::CreateSessionRequest) -> Result<(Create, Option<RequestId>), Failure> {
    let mut faults = Faults::default();
    let id = faults.request_id(&request.request_id);
    let session = faults.session("session_id", &request.session_id);
    let user = faults.optional_user("user_id", &request.user_id);
    faults.text("pinned_instructions", &request.pinned_instructions, INSTRUCTIONS_BYTES_MAX);
    let metadata = faults.metadata("metadata", &request.metadata);
    let ttl_ms = faults.ttl(request.ttl.as_ref());
    let kind = session_kind(&mut faults, request.kind);
    let create = faults.check(session.map(|session| Create {
        session,
        user,
        pinned_instructions: request.pinned_instructions,
        metadata,
        ttl_ms,
        kind,
    }))?;
    Ok((create, id))
}

fn parse_update(request: pb::UpdateSessionRequest) -> Result<(Update, Option<RequestId>), Failure> {
    let mut faults = Faults::default();
    let id = faults.request_id(&request.request_id);
    let session = faults.session("session_id", &request.session_id);
    let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        faults.add("update_mask", "must name at least one field");
    }
    let known = ["pinned_instructions", "metadata", "ttl", "kind"];
    for path in paths.iter().filter(|path| !known.contains(&path.as_str())) {
        faults.add("update_mask", format!("`{path:.64}` is no field that can be set"));
    }
    let names = |path: &str| paths.iter().any(|p| p == path);
    faults.text("pinned_instructions", &request.pinned_instructions, INSTRUCTIONS_BYTES_MAX);
    let metadata = faults.metadata("metadata", &request.metadata);
    let ttl_ms = faults.ttl(request.ttl.as_ref());
    let kind = session_kind(&mut faults, request.kind);
    let update = faults.check(session.map(|session| Update {
        session,
        pinned_instructions: names("pinned_instructions").then_some(request.pinned_instructions),
        metadata: names("metadata").then_some(metadata),
        ttl_ms: names("ttl").then_some(ttl_ms),
        kind: names("kind").then_some(kind),
    }))?;
    Ok((update, id))
}

macro_rules! serve {
    ($($rpc:ident => $verb:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl MemoryService for MemoryApi {
            $(
                async fn $rpc(
                    &self,
                    request: Request<pb::$request>,
                ) -> Result<Response<pb::$response>, Status> {
                    self.$verb(request).await.map_err(refused)
                }
            )*
        }
    };
}

serve! {
    create_session => create(CreateSessionRequest) -> CreateSessionResponse;
    get_session => get(GetSessionRequest) -> GetSessionResponse;
    list_sessions => list(ListSessionsRequest) -> ListSessionsResponse;
    update_session => update(UpdateSessionRequest) -> UpdateSessionResponse;
    delete_session => delete(DeleteSessionRequest) -> DeleteSessionResponse;
    fork_session => fork(ForkSessionRequest) -> ForkSessionResponse;
    append_turns => append(AppendTurnsRequest) -> AppendTurnsResponse;
    delete_turns => erase(DeleteTurnsRequest) -> DeleteTurnsResponse;
    list_turns => turns(ListTurnsRequest) -> ListTurnsResponse;
    list_summaries => summaries(ListSummariesRequest) -> ListSummariesResponse;
    build_context => build(BuildContextRequest) -> BuildContextResponse;
    search => find(SearchRequest) -> SearchResponse;
}
