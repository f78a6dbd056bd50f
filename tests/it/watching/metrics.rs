//! The metrics that a server exports are those of the file of names, and those of the docs.

use std::collections::{BTreeMap, BTreeSet};

use keepsake::proto::v1 as pb;
use keepsake::proto::v1::memory_service_client::MemoryServiceClient;
use keepsake::telemetry::{Kind, METRICS};

use super::{Called, Server};
use crate::grpc::client::{append, context, raw, user};

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

/// Calls that touch every metric: answers, refusals, what is lacking, a method that is none.
async fn converse(server: &Server) {
    let mut memory = server.memory(&server.key, &[]).await;
    for _ in 0..2 {
        memory.append_turns(append("s", vec![user("My train leaves at 7:42.")])).await.unwrap();
        memory.build_context(context("s", "When does my train leave?", 1_000)).await.unwrap();
    }
    ingest(server, &mut memory).await;
    let gone = pb::GetSessionRequest { session_id: "gone".into() };
    memory.get_session(gone).await.unwrap_err();
    let mut tenants = server.tenants().await;
    let vectors =
        pb::RetrievalPolicy { mode: pb::RetrievalMode::Vectors.into(), ..Default::default() };
    let update = pb::UpdateTenantRequest {
        tenant_id: "dev".into(),
        policy: Some(pb::Policy { retrieval: Some(vectors), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["retrieval.mode".into()] }),
        ..Default::default()
    };
    tenants.update_tenant(update).await.unwrap();
    memory.build_context(context("s", "When does my train leave?", 1_000)).await.unwrap();
    raw(server.channel().await, &server.key, "/made.up/Method", &[]).await;
}

/// A document, one that is refused, and a question to it.
async fn ingest(server: &Server, memory: &mut MemoryServiceClient<Called>) {
    use pb::ingest_documents_request::Message;
    let document = |id: &str, data: &[u8]| {
        let (collection, document_id) = ("trains".into(), id.into());
        let header = pb::DocumentHeader { collection, document_id, ..Default::default() };
        let part = pb::DocumentPart { offset: 0, data: data.to_vec(), last: true };
        [Message::Header(header), Message::Part(part)]
            .map(|message| pb::IngestDocumentsRequest { message: Some(message) })
    };
    let sent = [document("times", b"The train to Ghent leaves at 7:42."), document("no", b"\xff")];
    let sent = futures::stream::iter(sent.concat());
    let mut documents = server.documents().await;
    let mut answers = documents.ingest_documents(sent).await.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
    let search = pb::SearchRequest {
        query: "When does the train leave?".into(),
        collections: vec!["trains".into()],
        ..Default::default()
    };
    memory.search(search).await.unwrap();
    // Gauges are set each five seconds: what they say of documents then is looked at elsewhere.
}

/// The families of a scrape: each with its type and the labels that its samples have.
fn families(scrape: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut now = String::new();
    for line in scrape.lines().filter(|line| !line.is_empty()) {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            now = name.to_owned();
            families.insert(now.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.split_once('}').unwrap().0);
            let names = labels.split("\",").filter_map(|label| label.split_once('='));
            let names = names.map(|(name, _)| name.to_owned()).filter(|name| name != "le");
            families.get_mut(&now).expect("a type stands first").1.extend(names);
        }
    }
    families
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_what_the_file_of_names_says() {
    let server = Server::start(&[]);
    converse(&server).await;
    let scrape = server.scrape();
    let expected: BTreeMap<String, (String, BTreeSet<String>)> = METRICS
        .iter()
        .map(|metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            (metric.name.to_owned(), (kind(metric.kind).to_owned(), labels))
        })
        .collect();
    let found = families(&scrape);
    let names = |of: &BTreeMap<String, _>| of.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&found), names(&expected));
    assert_eq!(found, expected);
    let value = |sample: &str| -> f64 {
        let line = scrape.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no `{sample}` in\n{scrape}")).parse().unwrap()
    };
    let method = "method=\"keepsake.v1.MemoryService/AppendTurns\"";
    assert_eq!(value(&format!("keepsake_requests_total{{{method},code=\"OK\"}}")), 2.0);
    assert_eq!(value(&format!("keepsake_requests_in_flight{{{method}}}")), 0.0);
    assert_eq!(value(&format!("keepsake_request_seconds_count{{{method}}}")), 2.0);
    assert_eq!(value("keepsake_errors_total{reason=\"SESSION_NOT_FOUND\"}"), 1.0);
    assert_eq!(value("keepsake_degraded_total{reason=\"VECTOR\"}"), 1.0);
    assert_eq!(value("keepsake_context_used_tokens_count"), 3.0);
    assert_eq!(value("keepsake_serving"), 1.0);
    assert_eq!(value("keepsake_documents_total{outcome=\"created\"}"), 1.0);
    assert_eq!(value("keepsake_documents_bytes_total"), 35.0);
    assert_eq!(value("keepsake_documents_chunks_total"), 1.0);
    assert_eq!(value("keepsake_documents_answers_total{answer=\"failed\"}"), 1.0);
    let refused = "keepsake_documents_refused_total{reason=\"DOCUMENT_UNREADABLE\"}";
    assert_eq!(value(refused), 1.0);
    assert_eq!(value("keepsake_documents_streams"), 0.0);
    assert_eq!(value("keepsake_documents_search_seconds_count"), 1.0);
    assert_eq!(value("keepsake_embedding_chunks_total"), 0.0);
    let unknown = "keepsake_requests_total{method=\"other\",code=\"UNIMPLEMENTED\"}";
    assert_eq!(value(unknown), 1.0, "what callers make up is no label");
    assert!(value("keepsake_store_group_commits_sum") >= 4.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(scrape.contains("keepsake_store_sync_seconds_bucket{le=\"0.001\"}"), "{scrape}");
    server.stop();
}

#[test]
fn the_table_of_the_docs_is_the_file_of_names() {
    let docs = include_str!("../../../docs/metrics.md");
    let rows = docs.lines().filter(|line| line.starts_with("| `")).map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, unit, meaning, operator] = cells[..] else { panic!("{row}") };
        assert!(operator.len() > 3, "it says what to do: {row}");
        [name, kind, labels, unit, meaning].map(str::to_owned)
    });
    let expected = METRICS.iter().map(|metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        let (name, meaning) = (format!("`{}`", metric.name), metric.meaning.to_owned());
        [name, kind(metric.kind).to_owned(), labels, metric.unit.to_owned(), meaning]
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
