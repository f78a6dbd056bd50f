//! Sends one file as a document; a stream that is cut goes on with a new one.

use std::io::SeekFrom;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use indicatif::ProgressBar;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tonic::{Code, Status};

use super::files::File;
use crate::cli::{Client, Error};
use crate::proto::{
    v1, v1::ingest_documents_request::Message, v1::ingest_documents_response::Message as Answer,
};

/// Bytes of a part: half of what one may have.
pub(super) const PART_BYTES: usize = 512 << 10;
/// How often a document may fail without that more of it came to the disk, and the wait after the
/// first such failure; it doubles each time.
const FAILURES_MAX: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Why a document is not there.
pub(super) enum Refused {
    /// The server refuses it.
    Document { reason: String, message: String },
    /// The file cannot be read.
    File(Error),
    /// The server cannot be reached, or refuses the call.
    Call(Box<Status>),
}

/// Why an attempt failed.
enum Cut {
    /// Trying again makes no sense.
    Refused(Refused),
    /// It does.
    Again(Refused),
}

/// Sends a file and waits until it is a document.
pub(super) async fn send(
    client: Client,
    file: &File,
    header: v1::DocumentHeader,
    progress: &ProgressBar,
) -> Result<v1::IngestDone, Refused> {
    let (mut header, mut from, mut told) = (header, 0, 0);
    let (mut wait, mut failures) = (FIRST_WAIT, 0);
    loop {
        match attempt_once(&client, file, &header, from, (progress, &mut told)).await {
            Ok(done) => {
                progress.inc(file.bytes.saturating_sub(told));
                return Ok(done);
            }
            Err(Cut::Refused(refused)) => return Err(refused),
            Err(Cut::Again(refused)) if failures + 1 >= FAILURES_MAX => return Err(refused),
            Err(Cut::Again(_)) => failures += 1,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
        let before = from;
        (header.upload_id, from) = whence(&client, &header).await.unwrap_or_default();
        if from > before {
            (wait, failures) = (FIRST_WAIT, 0);
        }
    }
}

/// Where to go on: the upload and how much of it is there.
async fn whence(client: &Client, header: &v1::DocumentHeader) -> Option<(String, u64)> {
    let request = v1::GetIngestStatusRequest {
        collection: header.collection.clone(),
        document_id: header.document_id.clone(),
    };
    let status = client.documents.clone().get_ingest_status(request).await.ok()?.into_inner();
    let has_upload = !status.upload_id.is_empty();
    has_upload.then_some((status.upload_id, status.bytes_durable))
}

async fn attempt_once(
    client: &Client,
    file: &File,
    header: &v1::DocumentHeader,
    from: u64,
    (progress, told): (&ProgressBar, &mut u64),
) -> Result<v1::IngestDone, Cut> {
    let unread = |source: std::io::Error| {
        let path = file.path.display().to_string();
        Cut::Refused(Refused::File(Error::File { verb: "read", path, source }))
    };
    let mut opened = tokio::fs::File::open(&file.path).await.map_err(unread)?;
    opened.seek(SeekFrom::Start(from)).await.map_err(unread)?;
    let header = v1::IngestDocumentsRequest { message: Some(Message::Header(header.clone())) };
    let messages = stream::iter([header]).chain(parts(opened, from, file.bytes));
    let call = client.documents.clone().ingest_documents(messages).await;
    let mut answers = call.map_err(status_cut)?.into_inner();
    while let Some(answer) = answers.message().await.map_err(status_cut)? {
        match answer.message {
            Some(Answer::Done(done)) => return Ok(done),
            Some(Answer::Failed(failed)) => {
                let v1::IngestFailed { reason, message, retryable, .. } = failed;
                // An upload that is gone begins from the start.
                let again = retryable || reason == "UPLOAD_NOT_FOUND";
                let refused = Refused::Document { reason, message };
                return Err(if again { Cut::Again(refused) } else { Cut::Refused(refused) });
            }
            Some(Answer::Progress(durable)) => {
                progress.inc(durable.bytes_durable.saturating_sub(*told));
                *told = durable.bytes_durable.max(*told);
            }
            Some(Answer::Started(_)) | None => {}
        }
    }
    Err(Cut::Again(Refused::Call(Box::new(Status::unavailable("the stream ended early")))))
}

fn status_cut(status: Status) -> Cut {
    let again = matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
            | Code::Unknown
    );
    let refused = Refused::Call(Box::new(status));
    if again { Cut::Again(refused) } else { Cut::Refused(refused) }
}

/// The parts of a file from a byte on; a file that cannot be read any further ends the stream
/// without a last part.
fn parts(
    file: tokio::fs::File,
    from: u64,
    bytes: u64,
) -> impl Stream<Item = v1::IngestDocumentsRequest> {
    stream::unfold(Some((file, from)), move |state| async move {
        let (mut file, offset) = state?;
        let mut data = vec![0; PART_BYTES];
        let mut filled = 0;
        while filled < data.len() {
            match file.read(&mut data[filled..]).await {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(_) => return None,
            }
        }
        data.truncate(filled);
        let next = offset + filled as u64;
        let last = next >= bytes || filled < PART_BYTES;
        let part = v1::DocumentPart { offset, data, last };
        let message = v1::IngestDocumentsRequest { message: Some(Message::Part(part)) };
        Some((message, (!last).then_some((file, next))))
    })
}
