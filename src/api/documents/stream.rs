//! The stream of IngestDocuments: headers and parts come in, what became of them goes out, in the
//! order in which it happened. Nothing is read ahead of what is on disk: a client that sends faster
//! than the disk writes waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, Stream, stream};
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

use crate::api::{
    Admission,
    call::{Calls, refused},
    correct::corrected_message,
    documents::{
        parse::{PART_BYTES_MAX, Parsed, header},
        render,
    },
};
use crate::error::{Failure, Kind, Reason};
use crate::memory::{Caller, Upload};
use crate::proto::{v1 as pb, v1::ingest_documents_request::Message};
use crate::record::Scopes;
use crate::telemetry::{OpenStream, document_answered, document_refused};

/// How long a stream may say nothing before it is ended: longer than keepalives of proxies.
pub const IDLE_MAX: Duration = Duration::from_secs(300);

/// What a stream is at.
enum State {
    /// Between documents.
    Between,
    /// In a document.
    In(Box<Upload>),
    /// In a document that was refused: its parts are passed over.
    Past,
}

/// One stream.
pub(super) struct Ingest {
    calls: Calls,
    admission: Arc<Admission>,
    caller: Caller,
    metadata: MetadataMap,
    messages: Streaming<pb::IngestDocumentsRequest>,
    state: State,
    answers: VecDeque<pb::IngestDocumentsResponse>,
    /// A message that was read and is still to be looked at.
    next: Option<Message>,
    /// What the stream broke with, to be said after what is still to be done.
    broken: Option<Status>,
    ended: bool,
    _counted: OpenStream,
}

/// A part, of one or more messages.
struct Part {
    offset: u64,
    bytes: Bytes,
    last: bool,
}

impl Ingest {
    pub(super) fn new(
        calls: Calls,
        admission: Arc<Admission>,
        caller: Caller,
        metadata: MetadataMap,
        messages: Streaming<pb::IngestDocumentsRequest>,
    ) -> Self {
        Self {
            calls,
            admission,
            caller,
            metadata,
            messages,
            state: State::Between,
            answers: VecDeque::new(),
            next: None,
            broken: None,
            ended: false,
            _counted: OpenStream::new(),
        }
    }

    /// The answers, each when what it says is true.
    pub(super) fn answers(self) -> impl Stream<Item = Result<pb::IngestDocumentsResponse, Status>> {
        stream::unfold(self, |mut ingest| async move {
            let answer = ingest.answer().await?;
            ingest.ended |= answer.is_err();
            Some((answer, ingest))
        })
    }

    async fn answer(&mut self) -> Option<Result<pb::IngestDocumentsResponse, Status>> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                note(&answer);
                return Some(Ok(answer));
            }
            if self.ended {
                return None;
            }
            let worked = match self.message().await {
                Ok(Some(message)) => self.take(message).await.map_err(refused),
                Ok(None) => {
                    self.ended = true;
                    self.leave();
                    Ok(())
                }
                Err(status) => Err(status),
            };
            if let Err(status) = worked {
                return Some(Err(status));
            }
        }
    }

    /// The next message; none at the end of the stream.
    async fn message(&mut self) -> Result<Option<Message>, Status> {
        if let Some(message) = self.next.take() {
            return Ok(Some(message));
        }
        if let Some(status) = self.broken.take() {
            return Err(status);
        }
        let read = tokio::time::timeout(IDLE_MAX, self.messages.message()).await;
        let read = read.map_err(|_| {
            let message = format!("nothing came for {} s", IDLE_MAX.as_secs());
            refused(Failure::new(Reason::DeadlineExceeded, message))
        })?;
        let Some(request) = read.map_err(corrected_message)? else { return Ok(None) };
        request.message.map(Some).ok_or_else(|| refused(empty_message()))
    }

    /// Leaves a document that is not whole: it can be gone on with.
    fn leave(&mut self) {
        if let State::In(before) = std::mem::replace(&mut self.state, State::Between) {
            let message =
                "the document was not ended by a last part; its upload can be gone on with";
            let failure = Failure::new(Reason::InvalidRequest, message);
            let spot = before.spot();
            let names = (spot.collection.as_str(), spot.document.as_str());
            self.answers.push_back(render::failed(names, &failure));
        }
    }

    /// Works on a message. A document that is refused is an answer; an error ends the stream.
    async fn take(&mut self, message: Message) -> Result<(), Failure> {
        match message {
            Message::Header(header) => self.begin(header).await,
            Message::Part(part) => {
                let part = self.gather(part)?;
                self.go_on(part).await
            }
        }
    }

    async fn begin(&mut self, sent: pb::DocumentHeader) -> Result<(), Failure> {
        self.leave();
        // A key that was revoked meanwhile, or a policy that was changed, counts from here on.
        self.caller = self.calls.caller(&self.metadata, Scopes::WRITE).await?;
        let names = (sent.collection.clone(), sent.document_id.clone());
        let started = match header(&self.caller.tenant, sent) {
            Ok(Parsed { spot, header, resumed, request_id }) => {
                let _place = self.admission.ingest(&self.caller.tenant).await;
                self.calls.memory.start_upload(spot, &header, resumed, request_id).await
            }
            Err(failure) => Err(failure),
        };
        match started {
            Ok(upload) => {
                self.answers.push_back(render::started(upload.spot(), &upload.started()));
                self.state = State::In(Box::new(upload));
                Ok(())
            }
            Err(failure) => self.refuse((&names.0, &names.1), failure),
        }
    }

    /// A part with those after it that have come already, as far as they are small.
    fn gather(&mut self, first: pb::DocumentPart) -> Result<Part, Failure> {
        let pb::DocumentPart { offset, data, mut last } = first;
        check_size(data.len())?;
        let mut bytes = BytesMut::from(&data[..]);
        while !last && bytes.len() < PART_BYTES_MAX {
            let request = match self.messages.message().now_or_never() {
                Some(Ok(Some(request))) => request,
                Some(Err(status)) => {
                    self.broken = Some(corrected_message(status));
                    break;
                }
                Some(Ok(None)) | None => break,
            };
            match request.message {
                Some(Message::Part(part))
                    if part.offset == offset + bytes.len() as u64
                        && bytes.len() + part.data.len() <= PART_BYTES_MAX =>
                {
                    bytes.extend_from_slice(&part.data);
                    last = part.last;
                }
                Some(other) => {
                    self.next = Some(other);
                    break;
                }
                None => {
                    self.broken = Some(refused(empty_message()));
                    break;
                }
            }
        }
        Ok(Part { offset, bytes: bytes.freeze(), last })
    }

    async fn go_on(&mut self, part: Part) -> Result<(), Failure> {
        let mut upload = match std::mem::replace(&mut self.state, State::Past) {
            State::In(upload) => upload,
            State::Past => {
                if part.last {
                    self.state = State::Between;
                }
                return Ok(());
            }
            State::Between => {
                let message = "a part came before the header of its document";
                return Err(Failure::new(Reason::InvalidRequest, message).at("part"));
            }
        };
        let spot = upload.spot().clone();
        let names = (spot.collection.as_str(), spot.document.as_str());
        let memory = self.calls.memory.clone();
        let kept = {
            let _place = self.admission.ingest(&self.caller.tenant).await;
            memory.keep_part(&mut upload, part.offset, part.bytes).await
        };
        let bytes_durable = match kept {
            Ok(bytes_durable) => bytes_durable,
            Err(failure) => {
                if part.last {
                    self.state = State::Between;
                }
                return self.refuse_part(names, failure);
            }
        };
        if !part.last {
            self.answers.push_back(render::progress(&spot, bytes_durable));
            self.state = State::In(upload);
            return Ok(());
        }
        self.state = State::Between;
        self.admission.background().await;
        match memory.finish_upload(&self.caller.policy, &upload).await {
            Ok(finished) => {
                self.answers.extend(render::done(&spot, &finished));
                Ok(())
            }
            Err(failure) => {
                if is_final(&failure) {
                    // What cannot become a document is not kept for another try.
                    memory.give_up(&upload).await?;
                }
                self.refuse_part(names, failure)
            }
        }
    }

    fn refuse(&mut self, names: (&str, &str), failure: Failure) -> Result<(), Failure> {
        self.state = State::Past;
        self.refuse_part(names, failure)
    }

    /// Answers that a document is refused; a fault of the node ends the stream.
    fn refuse_part(&mut self, names: (&str, &str), failure: Failure) -> Result<(), Failure> {
        match failure.reason().kind() {
            Kind::Internal | Kind::Unauthenticated | Kind::Denied => Err(failure),
            Kind::Unavailable if failure.reason() == Reason::ShuttingDown => Err(failure),
            _ => {
                document_refused(failure.reason().text());
                self.answers.push_back(render::failed(names, &failure));
                Ok(())
            }
        }
    }
}

/// Notes an answer for the metrics.
fn note(answer: &pb::IngestDocumentsResponse) {
    use pb::ingest_documents_response::Message as Answer;
    document_answered(match &answer.message {
        Some(Answer::Started(_)) => "started",
        Some(Answer::Progress(_)) => "progress",
        Some(Answer::Done(_)) => "done",
        Some(Answer::Failed(_)) | None => "failed",
    });
}

fn empty_message() -> Failure {
    let message = "a message of the stream is neither a header nor a part";
    Failure::new(Reason::MessageMalformed, message)
}

/// Whether the same bytes can never become a document.
fn is_final(failure: &Failure) -> bool {
    matches!(failure.reason().kind(), Kind::Invalid)
}

fn check_size(bytes: usize) -> Result<(), Failure> {
    if bytes <= PART_BYTES_MAX {
        return Ok(());
    }
    let message = format!("a part may have at most {PART_BYTES_MAX} bytes");
    Err(Failure::new(Reason::MessageTooLarge, message).over("part_bytes"))
}
