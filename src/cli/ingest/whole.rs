//! Documents that are in memory, whole, many on one stream: for commands that measure.

use futures::stream;

use super::send::PART_BYTES;
use crate::cli::{Client, Error};
use crate::proto::{
    v1, v1::ingest_documents_request::Message, v1::ingest_documents_response::Message as Answer,
};

/// A document as it is sent: its header, with how many bytes it has, and these in parts.
pub fn messages(header: v1::DocumentHeader, bytes: &[u8]) -> Vec<v1::IngestDocumentsRequest> {
    let header = v1::DocumentHeader { bytes: bytes.len() as u64, ..header };
    // An empty document is one part without bytes.
    let count = bytes.len().div_ceil(PART_BYTES).max(1);
    let part = |number: usize| {
        let from = number * PART_BYTES;
        let data = bytes[from..bytes.len().min(from + PART_BYTES)].to_vec();
        Message::Part(v1::DocumentPart { offset: from as u64, data, last: number + 1 == count })
    };
    std::iter::once(Message::Header(header))
        .chain((0..count).map(part))
        .map(|message| v1::IngestDocumentsRequest { message: Some(message) })
        .collect()
}

/// Sends one stream; `done` hears of each document that is whole. Gives the first one that was
/// refused, which ends it.
///
/// # Errors
/// When the call is refused or cut.
pub async fn send(
    client: &Client,
    messages: impl Iterator<Item = v1::IngestDocumentsRequest> + Send + 'static,
    mut done: impl FnMut(v1::IngestDone),
) -> Result<Option<v1::IngestFailed>, Error> {
    let call = client.documents.clone().ingest_documents(stream::iter(messages)).await?;
    let mut answers = call.into_inner();
    while let Some(answer) = answers.message().await? {
        match answer.message {
            Some(Answer::Done(whole)) => done(whole),
            Some(Answer::Failed(failed)) => return Ok(Some(failed)),
            Some(Answer::Started(_) | Answer::Progress(_)) | None => {}
        }
    }
    Ok(None)
}
