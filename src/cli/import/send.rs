//! Appends the sessions of a file: several at once, each in batches by its order.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use indicatif::ProgressBar;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::cli::{Client, Error, import::parsed::ImportSession};
use crate::proto::v1;

/// Turns of one append: large enough that the trip does not count, small enough for one commit.
const BATCH_TURNS_MAX: usize = 200;

/// Bytes of one append: half of what a gRPC server takes in one message by default.
const BATCH_BYTES_MAX: usize = 2 << 20;

/// Sessions at once: commits of several share one sync; more would only queue in the server.
const SESSIONS_AT_ONCE: usize = 8;

/// How often a call is sent at most, and the wait after the first failure; it doubles each time.
const ATTEMPTS_MAX: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What became of turns.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Turns that were appended.
    pub new: usize,
    /// Turns that were there already.
    pub existed: usize,
    /// Sessions whose turns are all there now.
    pub sessions: usize,
    /// Sessions that could not be appended, and why.
    pub failed: Vec<(String, String)>,
    /// The first failure of a session, for the exit code.
    pub first_error: Option<Box<Status>>,
    /// For each session the seqs of its turns, in their order.
    pub seqs: Vec<(String, Vec<u64>)>,
}

/// Appends sessions, several at once, each in its order. Turns that are there already under their
/// external id stay as they are. A session that fails does not stop the others.
pub async fn send(client: &Client, sessions: Vec<ImportSession>, progress: &ProgressBar) -> Sent {
    // Repeats of a call within a run are one effect; a run of its own is judged by external ids, so
    // that what was deleted meanwhile can be imported again.
    let run = Uuid::new_v4();
    let mut sent = Sent::default();
    let mut answers = stream::iter(sessions)
        .map(|session| {
            let client = client.clone();
            async move {
                let id = session.session_id.clone();
                (id, send_session(client, session, run, progress).await)
            }
        })
        .buffer_unordered(SESSIONS_AT_ONCE);
    while let Some((id, answer)) = answers.next().await {
        match answer {
            Ok(turns) => {
                sent.sessions += 1;
                sent.existed += turns.iter().filter(|turn| turn.existed).count();
                sent.new += turns.iter().filter(|turn| !turn.existed).count();
                sent.seqs.push((id, turns.iter().map(|turn| turn.seq).collect()));
            }
            Err(status) => {
                let error = Error::Status(status.clone());
                sent.failed.push((id, error.to_text()));
                sent.first_error.get_or_insert(status);
            }
        }
    }
    sent
}

async fn send_session(
    mut client: Client,
    session: ImportSession,
    run: Uuid,
    progress: &ProgressBar,
) -> Result<Vec<v1::AppendedTurn>, Box<Status>> {
    create(&mut client, &session, run).await?;
    let mut appended = Vec::with_capacity(session.turns.len());
    for (index, batch) in batches(&session.turns).into_iter().enumerate() {
        let mut request = v1::AppendTurnsRequest {
            session_id: session.session_id.clone(),
            user_id: session.user_id.clone(),
            turns: batch.to_vec(),
            ..Default::default()
        };
        let content = blake3::hash(&request.encode_to_vec());
        let name = format!("{} {index} {content}", session.session_id);
        request.request_id = Uuid::new_v5(&run, name.as_bytes()).to_string();
        let answer = retry(|| {
            let mut memory = client.memory.clone();
            let request = request.clone();
            async move { memory.append_turns(request).await }
        });
        appended.extend(answer.await?.into_inner().turns);
        progress.inc(batch.len() as u64);
    }
    Ok(appended)
}

/// Creates a session that has labels or instructions; one that is there stays as it is.
async fn create(
    client: &mut Client,
    session: &ImportSession,
    run: Uuid,
) -> Result<(), Box<Status>> {
    let request = v1::CreateSessionRequest {
        session_id: session.session_id.clone(),
        user_id: session.user_id.clone(),
        pinned_instructions: session.pinned_instructions.clone(),
        metadata: session.metadata.clone(),
        request_id: Uuid::new_v5(&run, session.session_id.as_bytes()).to_string(),
        ..Default::default()
    };
    let answer = retry(|| {
        let mut memory = client.memory.clone();
        let request = request.clone();
        async move { memory.create_session(request).await }
    });
    match answer.await {
        Err(status) if status.code() == Code::AlreadyExists => Ok(()),
        answer => answer.map(drop),
    }
}

/// Cuts turns into runs that fit one append.
pub fn batches(turns: &[v1::NewTurn]) -> Vec<&[v1::NewTurn]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, turn) in turns.iter().enumerate() {
        let size = turn.encoded_len();
        if index > start && (index - start == BATCH_TURNS_MAX || bytes + size > BATCH_BYTES_MAX) {
            batches.push(&turns[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += size;
    }
    if start < turns.len() {
        batches.push(&turns[start..]);
    }
    batches
}

/// Sends a call again while the server asks for it: it is unavailable, exhausted for a stated time,
/// or another write came between.
async fn retry<T, F>(mut call: impl FnMut() -> F) -> Result<T, Box<Status>>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let status = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let stated = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        let again = matches!(status.code(), Code::Unavailable | Code::Aborted) || stated.is_some();
        if !again || attempt == ATTEMPTS_MAX {
            return Err(Box::new(status));
        }
        tokio::time::sleep(stated.unwrap_or(wait).min(WAIT_MAX)).await;
        wait *= 2;
    }
    unreachable!("the loop ends by its limit of attempts")
}
