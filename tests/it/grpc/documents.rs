//! Documents come in over a stream, are found, are read back byte for byte, and go.

use futures::StreamExt as _;
use keepsake::proto::v1 as pb;
use keepsake::proto::v1::ingest_documents_request::Message;
use keepsake::proto::v1::ingest_documents_response::Message as Answer;
use tonic::{Code, Status};

use super::Service;
use super::client::{Documents, context, reason, uuid};

/// The same claims of a service with its documents on a Qdrant server: of tests, or the real one.
macro_rules! on_qdrant {
    ($($claim:ident)*) => {
        mod on_qdrant {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim(crate::grpc::Service::on_qdrant(None).await).await;
                if let Some(url) = crate::qdrant::real_qdrant() {
                    super::$claim(crate::grpc::Service::on_qdrant(Some(url)).await).await;
                }
            })*
        }
    };
}

on_qdrant! {
    a_document_is_found_by_its_words_and_read_back_byte_for_byte
    the_same_bytes_again_change_nothing_and_other_bytes_replace_them
    an_upload_that_was_cut_goes_on_where_it_was
    what_was_deleted_is_not_found
    a_document_is_its_tenants_alone
    the_same_request_is_one_document
}

on_engines! {
    a_document_is_found_by_its_words_and_read_back_byte_for_byte
    a_document_that_is_refused_does_not_end_the_stream
    the_same_bytes_again_change_nothing_and_other_bytes_replace_them
    an_upload_that_was_cut_goes_on_where_it_was
    what_was_deleted_is_not_found
    a_document_is_its_tenants_alone
    the_same_request_is_one_document
    faulty_parts_are_refused_with_a_reason
    many_small_documents_are_sent_without_waiting
    what_came_of_an_upload_can_be_deleted
    a_turn_that_asks_nothing_brings_no_passages
}

pub fn header(id: &str) -> pb::DocumentHeader {
    pb::DocumentHeader {
        collection: "notes".into(),
        document_id: id.into(),
        title: format!("About {id}"),
        media_type: "text/markdown".into(),
        ..Default::default()
    }
}

fn begin(header: pb::DocumentHeader) -> pb::IngestDocumentsRequest {
    pb::IngestDocumentsRequest { message: Some(Message::Header(header)) }
}

fn part(offset: usize, data: &[u8], last: bool) -> pb::IngestDocumentsRequest {
    let part = pb::DocumentPart { offset: offset as u64, data: data.to_vec(), last };
    pb::IngestDocumentsRequest { message: Some(Message::Part(part)) }
}

/// A header and its bytes, in parts of `size` bytes.
fn whole(header: pb::DocumentHeader, bytes: &[u8], size: usize) -> Vec<pb::IngestDocumentsRequest> {
    let mut messages = vec![begin(header)];
    let parts: Vec<&[u8]> = bytes.chunks(size).collect();
    for (at, data) in parts.iter().enumerate() {
        messages.push(part(at * size, data, at + 1 == parts.len()));
    }
    if parts.is_empty() {
        messages.push(part(0, &[], true));
    }
    messages
}

/// What a stream answers, and how it ends.
async fn answers(
    client: &mut Documents,
    messages: Vec<pb::IngestDocumentsRequest>,
) -> (Vec<Answer>, Result<(), Status>) {
    let call = client.ingest_documents(futures::stream::iter(messages)).await;
    let mut stream = match call {
        Ok(answer) => answer.into_inner(),
        Err(status) => return (Vec::new(), Err(status)),
    };
    let mut all = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(answer)) => all.push(answer.message.expect("each answer says something")),
            Ok(None) => return (all, Ok(())),
            Err(status) => return (all, Err(status)),
        }
    }
}

/// The last answer to a document that is sent whole.
pub async fn sent(client: &mut Documents, header: pb::DocumentHeader, bytes: &[u8]) -> Answer {
    let (mut all, ended) = answers(client, whole(header, bytes, 1_000)).await;
    ended.expect("the stream ends well");
    all.pop().expect("each document is answered")
}

#[track_caller]
pub fn done(answer: Answer) -> pb::IngestDone {
    match answer {
        Answer::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(answer: Answer) -> pb::IngestFailed {
    match answer {
        Answer::Failed(failed) => failed,
        other => panic!("{other:?}"),
    }
}

pub async fn found(service: &Service, query: &str) -> Vec<pb::DocumentHit> {
    let request = pb::SearchRequest {
        query: query.into(),
        collections: vec!["notes".into()],
        ..Default::default()
    };
    service.memory().search(request).await.unwrap().into_inner().documents
}

async fn read(service: &Service, id: &str, view: pb::DocumentView) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let request = pb::GetDocumentRequest {
            collection: "notes".into(),
            document_id: id.into(),
            view: view.into(),
            offset: bytes.len() as u64,
            bytes: 777,
        };
        let more = service.documents().get_document(request).await.unwrap().into_inner().data;
        if more.is_empty() {
            return bytes;
        }
        bytes.extend(more);
    }
}

const TEXT: &str = "# Boats\n\nThe ferry to Gotland leaves at nine.\n\n## Prices\n\nA cabin costs \
                    forty crowns, breakfast included.\n\n# Trains\n\nThe night train is blue.\n";

/// Some thousand bytes in which each sentence is another one.
fn long(sentences: usize) -> String {
    let sentence = |n: usize| format!("Sentence {n} speaks of item{n} and of nothing else.\n\n");
    (0..sentences).map(sentence).collect()
}

async fn a_document_is_found_by_its_words_and_read_back_byte_for_byte(service: Service) {
    let mut client = service.documents();
    let done = done(sent(&mut client, header("travel"), TEXT.as_bytes()).await);
    assert_eq!(done.outcome(), pb::IngestOutcome::Created);
    assert_eq!((done.bytes_in, done.text_bytes), (TEXT.len() as u64, TEXT.len() as u64));
    assert_eq!(done.bytes_covered, done.text_bytes);
    assert!(done.words_indexed && done.chunks >= 1);
    let hits = found(&service, "When does the ferry to Gotland leave?").await;
    let hit = &hits[0];
    let citation = hit.citation.as_ref().unwrap();
    assert_eq!(
        (citation.document_id.as_str(), citation.title.as_str()),
        ("travel", "About travel")
    );
    let range = citation.start as usize..citation.end as usize;
    assert_eq!(hit.text, TEXT[range]);
    assert!(hit.text.contains("Gotland"));
    assert_eq!(read(&service, "travel", pb::DocumentView::Bytes).await, TEXT.as_bytes());
    assert_eq!(read(&service, "travel", pb::DocumentView::Text).await, TEXT.as_bytes());
}

async fn a_document_that_is_refused_does_not_end_the_stream(service: Service) {
    let mut messages = whole(header("bad"), b"fine until \xff here", 5);
    messages.extend(whole(
        pb::DocumentHeader { title: "t".repeat(2_000), ..header("long") },
        b"x",
        1,
    ));
    messages.extend(whole(header("good"), TEXT.as_bytes(), 50));
    let (all, ended) = answers(&mut service.documents(), messages).await;
    ended.unwrap();
    let ends: Vec<_> = all
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Done(done) => Some((done.document_id, "DONE".to_owned())),
            Answer::Failed(failed) => Some((failed.document_id, failed.reason)),
            Answer::Started(_) | Answer::Progress(_) => None,
        })
        .collect();
    let expected = [("bad", "DOCUMENT_UNREADABLE"), ("long", "INVALID_REQUEST"), ("good", "DONE")];
    assert_eq!(ends, expected.map(|(id, end)| (id.to_owned(), end.to_owned())));
    assert_eq!(found(&service, "Gotland").await.len(), 1);
}

async fn the_same_bytes_again_change_nothing_and_other_bytes_replace_them(service: Service) {
    let mut client = service.documents();
    let first = done(sent(&mut client, header("a"), TEXT.as_bytes()).await);
    let again = done(sent(&mut client, header("a"), TEXT.as_bytes()).await);
    assert_eq!(again.outcome(), pb::IngestOutcome::Unchanged);
    assert_eq!((again.chunks, again.tokens), (first.chunks, first.tokens));
    let other = done(sent(&mut client, header("a"), b"Only apples are here.").await);
    assert_eq!(other.outcome(), pb::IngestOutcome::Replaced);
    assert!(found(&service, "Gotland").await.is_empty());
    assert_eq!(found(&service, "apples").await.len(), 1);
    let empty = done(sent(&mut client, header("a"), b"").await);
    assert_eq!((empty.outcome(), empty.chunks), (pb::IngestOutcome::Replaced, 0));
    assert!(found(&service, "apples").await.is_empty());
}

async fn an_upload_that_was_cut_goes_on_where_it_was(service: Service) {
    let text = long(200);
    let bytes = text.as_bytes();
    let mut client = service.documents();
    let mut cuts = fastrand::Rng::with_seed(7);
    let mut made = 0;
    for round in 0..40 {
        let id = format!("cut{round}");
        let header = pb::DocumentHeader { bytes: bytes.len() as u64, ..header(&id) };
        let (mut upload_id, mut durable) = (String::new(), 0);
        // Cut again and again at places that chance names, also inside of a part.
        for _ in 0..cuts.usize(3..9) {
            made += 1;
            let size = cuts.usize(1..3_000);
            let from = durable as usize;
            let mut messages =
                vec![begin(pb::DocumentHeader { upload_id: upload_id.clone(), ..header.clone() })];
            let rest = bytes[from..].chunks(size).take(cuts.usize(0..4)).enumerate();
            messages.extend(rest.map(|(at, data)| part(from + at * size, data, false)));
            let (all, _) = answers(&mut client, messages).await;
            let failed = failed(all.into_iter().next_back().unwrap());
            assert_eq!(failed.reason, "INVALID_REQUEST", "{}", failed.message);
            let request =
                pb::GetIngestStatusRequest { collection: "notes".into(), document_id: id.clone() };
            let status = client.get_ingest_status(request).await.unwrap().into_inner();
            assert!(status.bytes_durable >= durable, "what was on disk stays there");
            (upload_id, durable) = (status.upload_id, status.bytes_durable);
        }
        let from = durable as usize;
        let messages = vec![
            begin(pb::DocumentHeader { upload_id, ..header }),
            part(from, &bytes[from..], true),
        ];
        let (all, ended) = answers(&mut client, messages).await;
        ended.unwrap();
        done(all.into_iter().next_back().unwrap());
        assert_eq!(read(&service, &id, pb::DocumentView::Bytes).await, bytes);
    }
    assert!(made >= 200, "{made} cuts");
}

async fn what_was_deleted_is_not_found(service: Service) {
    let mut client = service.documents();
    done(sent(&mut client, header("a"), TEXT.as_bytes()).await);
    done(sent(&mut client, header("b"), b"The ferry to Visby is late.").await);
    let delete = |id: &str| pb::DeleteDocumentRequest {
        collection: "notes".into(),
        document_id: id.into(),
        request_id: uuid(4),
    };
    let erased = client.delete_document(delete("a")).await.unwrap().into_inner();
    assert!(erased.chunks_erased >= 1);
    let again = client.delete_document(delete("a")).await.unwrap().into_inner();
    assert_eq!(again, erased);
    let hits = found(&service, "ferry").await;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].citation.as_ref().unwrap().document_id, "b");
    let gone = pb::DeleteDocumentRequest { request_id: String::new(), ..delete("a") };
    let refused = client.delete_document(gone).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "DOCUMENT_NOT_FOUND"));
    let all = pb::DeleteCollectionRequest { collection: "notes".into(), request_id: uuid(5) };
    client.delete_collection(all).await.unwrap();
    let request = pb::SearchRequest {
        query: "ferry".into(),
        collections: vec!["notes".into()],
        ..Default::default()
    };
    let refused = service.memory().search(request).await.unwrap_err();
    assert_eq!(reason(&refused), "COLLECTION_NOT_FOUND");
    // The name is free, and nothing of before comes back with it.
    done(sent(&mut client, header("c"), b"A new ferry.").await);
    let hits = found(&service, "ferry").await;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].citation.as_ref().unwrap().document_id, "c");
}

async fn a_document_is_its_tenants_alone(service: Service) {
    done(sent(&mut service.documents(), header("mine"), TEXT.as_bytes()).await);
    let key = service.tenant("other", &[pb::KeyScope::Read, pb::KeyScope::Write]).await;
    let mut other = service.documents_as(&key);
    let request = pb::GetDocumentRequest {
        collection: "notes".into(),
        document_id: "mine".into(),
        ..Default::default()
    };
    let refused = other.get_document(request.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "COLLECTION_NOT_FOUND");
    done(sent(&mut other, header("theirs"), b"The ferry of others.").await);
    let refused = other.get_document(request).await.unwrap_err();
    assert_eq!(reason(&refused), "DOCUMENT_NOT_FOUND");
    let hits = found(&service, "ferry").await;
    assert!(hits.iter().all(|hit| hit.citation.as_ref().unwrap().document_id == "mine"));
    let reader = service.tenant("reader", &[pb::KeyScope::Read]).await;
    let (_, ended) = answers(&mut service.documents_as(&reader), whole(header("x"), b"x", 1)).await;
    assert_eq!(reason(&ended.unwrap_err()), "SCOPE_MISSING");
}

async fn the_same_request_is_one_document(service: Service) {
    let mut client = service.documents();
    let named = || pb::DocumentHeader { request_id: uuid(9), ..header("a") };
    let first = done(sent(&mut client, named(), TEXT.as_bytes()).await);
    done(sent(&mut client, header("a"), b"Changed since.").await);
    let again = done(sent(&mut client, named(), TEXT.as_bytes()).await);
    assert_eq!(again, pb::IngestDone { replayed: true, ..first });
    assert_eq!(read(&service, "a", pb::DocumentView::Bytes).await, b"Changed since.");
    let reused = failed(sent(&mut client, named(), b"Something else.").await);
    assert_eq!(reused.reason, "REQUEST_ID_REUSED");
}

async fn what_came_of_an_upload_can_be_deleted(service: Service) {
    let mut client = service.documents();
    let messages = vec![begin(header("part")), part(0, b"Some of it.", false)];
    answers(&mut client, messages).await.1.unwrap();
    let request =
        || pb::GetIngestStatusRequest { collection: "notes".into(), document_id: "part".into() };
    let status = client.get_ingest_status(request()).await.unwrap().into_inner();
    assert_eq!(status.bytes_durable, 11);
    let delete = pb::DeleteDocumentRequest {
        collection: "notes".into(),
        document_id: "part".into(),
        request_id: uuid(6),
    };
    let erased = client.delete_document(delete.clone()).await.unwrap().into_inner();
    assert_eq!(erased.chunks_erased, 0);
    assert_eq!(client.delete_document(delete).await.unwrap().into_inner(), erased);
    let gone = client.get_ingest_status(request()).await.unwrap_err();
    assert_eq!(reason(&gone), "DOCUMENT_NOT_FOUND");
    let header = pb::DocumentHeader { upload_id: status.upload_id, ..header("part") };
    let (all, _) = answers(&mut client, vec![begin(header)]).await;
    assert_eq!(failed(all.into_iter().next_back().unwrap()).reason, "UPLOAD_NOT_FOUND");
}

async fn many_small_documents_are_sent_without_waiting(service: Service) {
    // Each message is a frame of its own: they do not come all at once.
    let messages = (0..600).flat_map(|n| whole(header(&format!("d{n}")), b"A short rule.", 100));
    let apart = futures::stream::iter(messages).then(|message| async {
        tokio::task::yield_now().await;
        message
    });
    let mut stream = service.documents().ingest_documents(apart).await.unwrap().into_inner();
    let mut whole = 0;
    while let Some(answer) = stream.message().await.unwrap() {
        whole += usize::from(matches!(answer.message, Some(Answer::Done(_))));
    }
    assert_eq!(whole, 600);
}

async fn faulty_parts_are_refused_with_a_reason(service: Service) {
    let mut client = service.documents();
    let cases: [(&str, Vec<pb::IngestDocumentsRequest>); 3] = [
        ("PART_OUT_OF_ORDER", vec![begin(header("a")), part(3, b"xyz", true)]),
        (
            "BYTES_MISMATCH",
            vec![begin(pb::DocumentHeader { bytes: 5, ..header("a") }), part(0, b"xyz", true)],
        ),
        (
            "UPLOAD_NOT_FOUND",
            vec![begin(pb::DocumentHeader { upload_id: "0".repeat(32), ..header("a") })],
        ),
    ];
    for (expected, messages) in cases {
        let (all, ended) = answers(&mut client, messages).await;
        ended.unwrap();
        assert_eq!(failed(all.into_iter().next_back().unwrap()).reason, expected);
    }
    let (_, ended) = answers(&mut client, vec![part(0, b"xyz", true)]).await;
    assert_eq!(reason(&ended.unwrap_err()), "INVALID_REQUEST");
    let large = vec![begin(header("a")), part(0, &vec![b'x'; (1 << 20) + 1], true)];
    let (_, ended) = answers(&mut client, large).await;
    assert_eq!(reason(&ended.unwrap_err()), "MESSAGE_TOO_LARGE");
}

async fn a_turn_that_asks_nothing_brings_no_passages(service: Service) {
    let text = b"Thanks to the perfect ferry to Gotland, great and nice, all is well now.\n";
    done(sent(&mut service.documents(), header("travel"), text).await);
    for (query, passages) in [
        ("Where does the ferry go?", 1),
        ("Thanks, that was perfect!", 0),
        ("Great, thank you so much.", 0),
        ("\u{1f44d}", 0),
        ("ferry", 1),
    ] {
        let asked = context("talk", query, 1_000);
        let asked = pb::BuildContextRequest { collections: vec!["notes".into()], ..asked };
        let built = service.memory().build_context(asked).await.unwrap().into_inner();
        let kind = i32::from(pb::SectionKind::Documents);
        let section = built.sections.iter().find(|section| section.kind == kind).unwrap();
        assert_eq!(section.items.len(), passages, "{query}");
    }
}
