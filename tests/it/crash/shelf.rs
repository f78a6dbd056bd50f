//! What a client knows of a collection that it alone writes to: what was acknowledged, and the one
//! call whose answer it never got.

use std::collections::{BTreeMap, BTreeSet};

use keepsake::cli::Client;
use keepsake::proto::v1 as pb;
use keepsake::proto::v1::ingest_documents_request::Message;
use keepsake::proto::v1::ingest_documents_response::Message as Answer;
use tonic::{Code, Status};

use super::talk::{is_cut, reason_of};

/// A content: paragraphs that hold a word which no other content has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub word: String,
    pub text: String,
}

/// A write, with the id that makes it one effect.
#[derive(Debug, Clone)]
pub enum Op {
    /// Sends a document in parts of so many bytes, in place of the one of that name.
    Put { id: String, document: String, content: Content, part: usize },
    /// Erases a document.
    Delete { id: String, document: String },
    /// Erases the collection.
    DeleteAll { id: String },
}

/// A collection and its documents, as far as they were acknowledged.
#[derive(Debug)]
pub struct Shelf {
    pub collection: String,
    pub documents: BTreeMap<String, Content>,
    /// Words of contents that are gone.
    pub gone: Vec<String>,
    /// The write that was sent last and never answered, and how many bytes were acknowledged of it.
    pub doubt: Option<(Op, u64)>,
}

/// A word for a number: no two numbers share one, whatever a stemmer takes off.
pub fn word(number: u64) -> String {
    let letter = |digit: char| char::from(b"bcdfghjklm"[digit as usize - '0' as usize]);
    format!("x{}x", number.to_string().chars().map(letter).collect::<String>())
}

fn request(message: Message) -> pb::IngestDocumentsRequest {
    pb::IngestDocumentsRequest { message: Some(message) }
}

fn is_missing(status: &Status) -> bool {
    status.code() == Code::NotFound
}

impl Shelf {
    pub fn new(collection: &str) -> Self {
        Self {
            collection: collection.to_owned(),
            documents: BTreeMap::new(),
            gone: Vec::new(),
            doubt: None,
        }
    }

    fn header(&self, id: &str, document: &str, content: &Content) -> pb::DocumentHeader {
        pb::DocumentHeader {
            collection: self.collection.clone(),
            document_id: document.to_owned(),
            title: format!("About {document}"),
            bytes: content.text.len() as u64,
            request_id: id.to_owned(),
            chunking: Some(pb::Chunking { tokens_max: 64, overlap_tokens: None }),
            ..Default::default()
        }
    }

    /// Sends a write; `acknowledged` becomes how many bytes of a document are durable. The writes
    /// of a document go on after `upload`, an id and how many bytes of it are there.
    pub async fn send(
        &self,
        client: &Client,
        op: &Op,
        upload: (String, u64),
        acknowledged: &mut u64,
    ) -> Result<(), Status> {
        let (collection, mut documents) = (self.collection.clone(), client.documents.clone());
        match op.clone() {
            Op::Put { id, document, content, part } => {
                let (upload_id, from) = upload;
                let header =
                    pb::DocumentHeader { upload_id, ..self.header(&id, &document, &content) };
                let messages = messages(header, content.text.as_bytes(), from, part);
                let call = documents.ingest_documents(futures::stream::iter(messages)).await;
                done(call?.into_inner(), acknowledged).await
            }
            Op::Delete { id, document } => {
                let request =
                    pb::DeleteDocumentRequest { collection, document_id: document, request_id: id };
                documents.delete_document(request).await.map(drop)
            }
            Op::DeleteAll { id } => {
                let request = pb::DeleteCollectionRequest { collection, request_id: id };
                documents.delete_collection(request).await.map(drop)
            }
        }
    }

    /// Writes; what is cut is in doubt.
    pub async fn write(&mut self, client: &Client, op: Op) -> Result<(), Status> {
        let mut acknowledged = 0;
        let sent = self.send(client, &op, Default::default(), &mut acknowledged).await;
        match sent {
            Ok(()) => self.apply(op),
            Err(ref status) => self.doubt = is_cut(status).then_some((op, acknowledged)),
        }
        sent
    }

    fn apply(&mut self, op: Op) {
        let gone = match op {
            Op::Put { document, content, .. } => self.documents.insert(document, content),
            Op::Delete { document, .. } => self.documents.remove(&document),
            Op::DeleteAll { .. } => {
                let all = std::mem::take(&mut self.documents);
                self.gone.extend(all.into_values().map(|content| content.word));
                None
            }
        };
        self.gone.extend(gone.map(|content| content.word));
    }

    /// Holds what is found against what was acknowledged, after a restart. The write in doubt was
    /// made whole or not at all; gone on with or sent again it is one effect. Gives whether it had
    /// been made, and whether it was gone on with.
    pub async fn verify(&mut self, client: &Client) -> (bool, bool) {
        let mut how = (false, false);
        if let Some((op, acknowledged)) = self.doubt.take() {
            how = self.settle(client, op, acknowledged).await;
        }
        self.verify_bytes(client).await;
        self.verify_words(client).await;
        how
    }

    async fn settle(&mut self, client: &Client, op: Op, acknowledged: u64) -> (bool, bool) {
        let (mut kept, mut upload) = (false, (String::new(), 0));
        if let Op::Put { document, content, .. } = &op {
            let found = read(client, &self.collection, document).await;
            let before = self.documents.get(document).map(|content| content.text.clone());
            kept = found.as_ref() == Some(&content.text);
            assert!(kept || found == before, "`{document}` is neither the old nor the new one");
            if let Some((id, durable)) = upload_of(client, &self.collection, document).await {
                assert!(!kept, "an upload that became a document is gone");
                assert!(durable >= acknowledged, "{durable} of {acknowledged} bytes are there");
                upload = (id, durable);
            } else {
                assert!(kept || acknowledged == 0, "an upload of {acknowledged} bytes is lost");
            }
        }
        let resumed = upload.1 > 0;
        let sent = self.send(client, &op, upload, &mut 0).await;
        sent.unwrap_or_else(|status| panic!("{}: {op:?} again: {status}", self.collection));
        self.apply(op);
        (kept, resumed)
    }

    async fn verify_bytes(&self, client: &Client) {
        let found = list(client, &self.collection).await;
        let expected: BTreeSet<String> = self.documents.keys().cloned().collect();
        assert_eq!(found, expected, "`{}`: found, acknowledged", self.collection);
        for (document, content) in &self.documents {
            let found = read(client, &self.collection, document).await;
            assert!(found.as_ref() == Some(&content.text), "`{document}` is another one");
        }
    }

    /// Each content is found by its word, and none that is gone.
    async fn verify_words(&mut self, client: &Client) {
        for (document, content) in &self.documents {
            let found = self.search(client, &content.word).await;
            assert_eq!(found, BTreeSet::from([document.clone()]), "`{}`", content.word);
        }
        for word in self.gone.drain(..) {
            let found = search(client, &self.collection, &word).await;
            assert_eq!(found, BTreeSet::new(), "`{word}` is gone");
        }
    }

    /// The documents that have a word.
    pub async fn search(&self, client: &Client, word: &str) -> BTreeSet<String> {
        search(client, &self.collection, word).await
    }
}

fn messages(
    header: pb::DocumentHeader,
    bytes: &[u8],
    from: u64,
    part: usize,
) -> Vec<pb::IngestDocumentsRequest> {
    let mut messages = vec![request(Message::Header(header))];
    let mut at = from as usize;
    loop {
        let end = bytes.len().min(at + part);
        let (offset, data) = (at as u64, bytes[at..end].to_vec());
        let last = end == bytes.len();
        messages.push(request(Message::Part(pb::DocumentPart { offset, data, last })));
        if last {
            return messages;
        }
        at = end;
    }
}

/// Waits for the end of a document's stream.
async fn done(
    mut answers: tonic::Streaming<pb::IngestDocumentsResponse>,
    acknowledged: &mut u64,
) -> Result<(), Status> {
    while let Some(answer) = answers.message().await? {
        match answer.message {
            Some(Answer::Done(done)) => {
                assert_eq!(done.bytes_covered, done.text_bytes);
                return Ok(());
            }
            Some(Answer::Failed(failed)) => panic!("{failed:?}"),
            Some(Answer::Progress(progress)) => *acknowledged = progress.bytes_durable,
            Some(Answer::Started(_)) | None => {}
        }
    }
    Err(Status::unavailable("the stream ended early"))
}

/// The upload of a document and how much of it is there; `None`: there is none.
async fn upload_of(client: &Client, collection: &str, document: &str) -> Option<(String, u64)> {
    let request = pb::GetIngestStatusRequest {
        collection: collection.to_owned(),
        document_id: document.to_owned(),
    };
    let status = match client.documents.clone().get_ingest_status(request).await {
        Ok(status) => status.into_inner(),
        Err(status) if is_missing(&status) => return None,
        Err(status) => panic!("{status}"),
    };
    let has_upload = !status.upload_id.is_empty();
    has_upload.then_some((status.upload_id, status.bytes_durable))
}

/// The bytes of a document; `None`: it is not there.
async fn read(client: &Client, collection: &str, document: &str) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let request = pb::GetDocumentRequest {
            collection: collection.to_owned(),
            document_id: document.to_owned(),
            view: pb::DocumentView::Bytes.into(),
            offset: bytes.len() as u64,
            ..Default::default()
        };
        let more = match client.documents.clone().get_document(request).await {
            Ok(more) => more.into_inner().data,
            Err(status) if is_missing(&status) => return None,
            Err(status) => panic!("{status}"),
        };
        if more.is_empty() {
            return Some(String::from_utf8(bytes).unwrap());
        }
        bytes.extend(more);
    }
}

async fn list(client: &Client, collection: &str) -> BTreeSet<String> {
    let mut request = pb::ListDocumentsRequest {
        collection: collection.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let mut all = BTreeSet::new();
    loop {
        let page = match client.documents.clone().list_documents(request.clone()).await {
            Ok(page) => page.into_inner(),
            Err(status) if is_missing(&status) => return all,
            Err(status) => panic!("{status}"),
        };
        all.extend(page.documents.into_iter().map(|document| document.document_id));
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// The documents of a collection that have a word; waits while the index lags.
async fn search(client: &Client, collection: &str, word: &str) -> BTreeSet<String> {
    loop {
        let request = pb::SearchRequest {
            query: word.to_owned(),
            collections: vec![collection.to_owned()],
            top_k: 1_000,
            explain: true,
            ..Default::default()
        };
        let found = match client.memory.clone().search(request).await {
            Ok(found) => found.into_inner(),
            Err(status) if reason_of(&status) == "COLLECTION_NOT_FOUND" => return BTreeSet::new(),
            Err(status) => panic!("{status}"),
        };
        if found.degraded.contains(&pb::Degradation::IndexLag.into()) {
            // Looks once in a while: what goes on in another process tells nobody.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        }
        // Meaning may bring others.
        let has_word = |hit: &pb::DocumentHit| hit.text.contains(word);
        let citations = found.documents.into_iter().filter(has_word).filter_map(|hit| hit.citation);
        return citations.map(|citation| citation.document_id).collect();
    }
}
