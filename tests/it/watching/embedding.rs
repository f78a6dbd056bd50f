//! What a server that embeds costs is seen, in total and by tenant, and nothing else of it.

use super::Server;
use crate::embed_http::{EmbeddingServer, tokens, until};
use crate::grpc::client::{append, context, user};

const SECRET: &str = "sk-zqxsecret";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_counted_by_model_and_told_by_the_hash_of_the_tenant() {
    let embeds = EmbeddingServer::start().await;
    let server = Server::start(&[
        ("EMBEDDING_MODEL", "http:small"),
        ("EMBEDDING_HTTP_URL", &embeds.url()),
        ("EMBEDDING_HTTP_API_KEY", SECRET),
        ("LOG_FORMAT", "json"),
        ("LOG_FILTER", "trace"),
    ]);
    let mut memory = server.memory(&server.key, &[]).await;
    for n in 0..8 {
        let said = format!("zqxcanary number {n} was bought in Oslo.");
        memory.append_turns(append("s", vec![user(&said)])).await.unwrap();
    }
    let built = until("a context with everything", async || {
        let asked = context("s", "What was bought in Oslo, zqxcanary?", 1_000);
        let built = memory.build_context(asked).await.unwrap().into_inner();
        built.degraded.is_empty().then_some(built)
    });
    built.await;
    let scrape = server.scrape();
    let value = |sample: &str| -> f64 {
        let line = scrape.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no `{sample}` in\n{scrape}")).parse().unwrap()
    };
    // The probe at the start is of no tenant.
    let mut texts = embeds.texts();
    texts.retain(|text| text != "hello");
    let spent: u64 = texts.iter().map(|text| tokens(text)).sum();
    assert!(spent > 0);
    assert_eq!(value("keepsake_embedder_tokens_total{model=\"http:small\"}"), spent as f64);
    assert_eq!(value("keepsake_embedder_texts_total"), texts.len() as f64);
    let good = value("keepsake_embedder_requests_total{outcome=\"ok\"}");
    assert_eq!(value("keepsake_embedder_request_seconds_count"), good);
    assert_eq!(value("keepsake_embedder_breaker"), 0.0);
    let missed = value("keepsake_cache_requests_total{cache=\"vectors\",outcome=\"miss\"}");
    assert!(missed >= texts.len() as f64);
    let log = server.stop();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines: Vec<_> = lines.collect();
    let of = |target: &str| {
        let target = target.to_owned();
        lines.iter().filter(move |line| line["target"] == target).cloned().collect::<Vec<_>>()
    };
    let usage = of("keepsake::usage");
    let told: u64 = usage.iter().map(|line| line["tokens"].as_u64().unwrap()).sum();
    assert_eq!(told, spent);
    let tag = &of("keepsake::call")[0]["span"]["tenant"];
    assert!(usage.iter().all(|line| line["tenant"] == *tag), "{usage:?}");
    assert!(!log.contains("zqxcanary") && !log.contains(SECRET), "{log}");
}
