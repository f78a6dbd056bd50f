//! A server with content that can be told from all other, and what of it lies in which rows.

use std::path::Path;
use std::time::Duration;

use keepsake::config::{Engine, Settings};
use keepsake::proto::v1 as pb;
use keepsake::proto::v1::ingest_documents_request::Message;
use keepsake::proto::v1::ingest_documents_response::Message as Answer;
use keepsake::storage::disk::{DiskStore, Kind};
use keepsake::storage::fjall::Fjall;
use keepsake::storage::sled::Sled;
use keepsake::storage::{Read, Row, Store as _};

use super::scan::{Needle, holds};
use crate::grpc::client::{self, Service, append, layers, turn};

/// How long something may take that goes on behind, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn settings(folder: &Path, engine: &str) -> Settings {
    let layers = layers(folder, engine).with_flag("embedding.model", Some("hashed".to_owned()));
    Settings::resolve(&layers).unwrap()
}

/// Waits until something is there.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(there) = look().await {
            return there;
        }
        assert!(began.elapsed() < PATIENCE, "not there after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Has summaries made often.
pub async fn make_often(service: &Service) {
    let summaries =
        pb::SummaryPolicy { tail_high_tokens: 256, tail_low_tokens: 64, ..Default::default() };
    let request = pb::UpdateTenantRequest {
        tenant_id: "dev".to_owned(),
        policy: Some(pb::Policy { summaries: Some(summaries), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["summaries".to_owned()] }),
        ..Default::default()
    };
    service.tenants().update_tenant(request).await.unwrap();
}

/// Says much in a session, in words that hold its mark, and waits for its summary.
pub async fn talk(service: &Service, session: &str, mark: &str) {
    let mut memory = service.memory();
    let create = pb::CreateSessionRequest {
        session_id: session.into(),
        pinned_instructions: format!("Be kind to {mark}pinned."),
        metadata: [("label".to_owned(), format!("{mark}label"))].into(),
        ..Default::default()
    };
    memory.create_session(create).await.unwrap();
    for round in 0..12 {
        let user = format!(
            "My sister {mark}turn moved to Lisbon on 3 May and paid {round}40 euros for the flat."
        );
        let answer = format!("I noted that your sister moved, and the sum of {round}40 euros.");
        let mut user = turn(pb::Role::User, &user);
        user.metadata = [("topic".to_owned(), format!("{mark}meta"))].into();
        user.name = "ann".to_owned();
        memory
            .append_turns(append(session, vec![user, turn(pb::Role::Assistant, &answer)]))
            .await
            .unwrap();
    }
    until("a summary", async || {
        let request = pb::ListSummariesRequest { session_id: session.into(), ..Default::default() };
        let all = memory.list_summaries(request).await.unwrap().into_inner().summaries;
        (!all.is_empty()).then_some(())
    })
    .await;
    service.running().embedded().await;
}

fn header(id: &str, mark: &str) -> pb::DocumentHeader {
    pb::DocumentHeader {
        collection: "notes".into(),
        document_id: id.into(),
        title: format!("Of {mark}title"),
        // Its text is not its bytes, so that these are kept too.
        media_type: "text/html".into(),
        metadata: [("shelf".to_owned(), format!("{mark}shelf"))].into(),
        ..Default::default()
    }
}

fn html(mark: &str, say: &str) -> Vec<u8> {
    let line = format!("<p>The {mark}body says {say} of rivers, and {mark}word once more.</p>\n");
    format!("<html><body><h1>{mark}heading</h1>\n{}</body></html>", line.repeat(40)).into_bytes()
}

fn messages(id: &str, mark: &str, say: &str, last: bool) -> Vec<pb::IngestDocumentsRequest> {
    let part = pb::DocumentPart { offset: 0, data: html(mark, say), last };
    [Message::Header(header(id, mark)), Message::Part(part)]
        .map(|message| pb::IngestDocumentsRequest { message: Some(message) })
        .into()
}

/// Takes a document in, and waits for its vectors.
pub async fn ingest(service: &Service, id: &str, mark: &str, say: &str) {
    let mut documents = service.documents();
    let sent = futures::stream::iter(messages(id, mark, say, true));
    let mut answers = documents.ingest_documents(sent).await.unwrap().into_inner();
    let mut last = None;
    while let Some(answer) = answers.message().await.unwrap() {
        last = answer.message;
    }
    assert!(matches!(last, Some(Answer::Done(_))), "{last:?}");
    until("its vectors", async || {
        let (collection, document_id) = ("notes".into(), id.into());
        let request = pb::GetDocumentRequest { collection, document_id, ..Default::default() };
        let found = documents.get_document(request).await.unwrap().into_inner().document.unwrap();
        (found.chunks > 0 && found.chunks_embedded == found.chunks).then_some(())
    })
    .await;
}

/// Leaves an upload that is not whole.
pub async fn begin(service: &Service, id: &str, mark: &str) {
    let sent = futures::stream::iter(messages(id, mark, "half", false));
    let mut answers = service.documents().ingest_documents(sent).await.unwrap().into_inner();
    while answers.message().await.is_ok_and(|answer| answer.is_some()) {}
}

pub async fn delete_session(service: &Service, session: &str) -> pb::DeleteSessionResponse {
    let request = pb::DeleteSessionRequest { session_id: session.into(), ..Default::default() };
    service.memory().delete_session(request).await.unwrap().into_inner()
}

pub async fn delete_document(service: &Service, id: &str) -> pb::DeleteDocumentResponse {
    let (collection, document_id) = ("notes".into(), id.into());
    let request = pb::DeleteDocumentRequest { collection, document_id, ..Default::default() };
    service.documents().delete_document(request).await.unwrap().into_inner()
}

pub async fn erasure(service: &Service) -> pb::GetErasureResponse {
    service.tenants().get_erasure(pb::GetErasureRequest {}).await.unwrap().into_inner()
}

/// Asks for files to be rid of what was deleted, and waits until they are or something holds them.
pub async fn erase(service: &Service) -> pb::GetErasureResponse {
    let asked = service.tenants().erase_files(pb::EraseFilesRequest {}).await.unwrap();
    let asked = asked.into_inner().request_time.unwrap();
    let moment = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
    until("files without what was deleted", async || {
        let state = erasure(service).await;
        let before = state.erased_before.as_ref().map(moment);
        let ended = before >= Some(moment(&asked)) || !state.held_by.is_empty();
        (ended && !state.running).then_some(state)
    })
    .await
}

/// All rows of a folder that no server holds.
pub async fn rows(settings: &Settings) -> Vec<Row> {
    match settings.engine {
        Engine::Sled => rows_of::<Sled>(&settings.data).await,
        _ => rows_of::<Fjall>(&settings.data).await,
    }
}

async fn rows_of<K: Kind>(folder: &Path) -> Vec<Row> {
    let store = DiskStore::<K>::open(folder).unwrap();
    store.read(vec![Read::prefix("")]).await.unwrap().remove(0)
}

/// What no file may hold of content that holds a mark: the mark, and of each row with it, or of the
/// same session or content, some of its value; named by the kinds of the rows.
pub fn needles(rows: &[Row], mark: &str) -> Vec<Needle> {
    let marked = |row: &&Row| holds(&row.value, mark.as_bytes());
    let lives: Vec<&[u8]> = rows
        .iter()
        .filter(marked)
        .filter(|row| matches!(row.key[0], b'i' | b'g'))
        .map(|row| &row.key[..17])
        .collect();
    let of_content = |row: &Row| marked(&row) || lives.iter().any(|life| row.key.starts_with(life));
    let others: Vec<u8> =
        rows.iter().filter(|row| !of_content(row)).flat_map(|row| row.value.to_vec()).collect();
    let mut needles = vec![Needle { name: "mark".to_owned(), bytes: mark.into() }];
    for row in rows.iter().filter(|row| of_content(row) && row.value.len() >= 32) {
        let kind = match row.key[0] {
            b'i' | b'g' => format!("{}{}", char::from(row.key[0]), char::from(row.key[17])),
            b'c' => format!("c{}", char::from(row.key[17])),
            kind => char::from(kind).to_string(),
        };
        let bytes = match memchr::memmem::find(&row.value, mark.as_bytes()) {
            Some(at) => &row.value[at.saturating_sub(16)..at + mark.len()],
            None => &row.value[4..row.value.len().min(300)],
        };
        // What other content has too proves nothing.
        if !holds(&others, bytes) {
            needles.push(Needle { name: kind, bytes: bytes.to_vec() });
        }
    }
    for life in lives {
        needles.push(Needle {
            name: format!("{} life", char::from(life[0])),
            bytes: life[1..].into(),
        });
    }
    needles
}

/// Takes the numbers of sessions out of what is looked for: the list of jobs by their time keeps
/// them, and nothing else, until that time.
pub fn take_lives(needles: &mut Vec<Needle>) -> Vec<Needle> {
    let lives = needles.iter().filter(|needle| needle.name == "i life").cloned().collect();
    needles.retain(|needle| needle.name != "i life");
    lives
}

/// A server on these settings.
pub async fn start(settings: &Settings) -> Service {
    client::Service::start(settings).await
}
