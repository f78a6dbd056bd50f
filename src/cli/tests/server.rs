//! Commands against a server of the test's own, over a real socket.

use clap::Parser;
use indicatif::ProgressBar;

use crate::cli::{
    Cli, Client, Form, Output,
    import::{self, Sent, send},
    local::{LocalServer, Wishes},
    run,
};
use crate::proto::v1;

const LINES: &str = concat!(
    r#"{"conversation":"c/1","session":"s#1","turn":"1","role":"user","#,
    r#""created_at":"2024-01-02T10:00:00Z","text":"The key is under the blue pot."}"#,
    "\n",
    r#"{"conversation":"c/1","session":"s#1","turn":"2","role":"assistant","text":"Noted."}"#,
    "\n",
    r#"{"conversation":"c/1","session":"s#2","turn":"1","role":"user","text":"What a day."}"#,
    "\n",
);

async fn import_lines(client: &Client, lines: &str) -> Sent {
    let sessions = import::parse(lines, "file").sessions;
    send(client, sessions, &ProgressBar::hidden()).await
}

#[tokio::test]
async fn an_import_appends_what_is_missing_and_nothing_twice() {
    let (server, mut client) = LocalServer::start(Wishes::default()).await.unwrap();
    let first_one: String = LINES.lines().take(1).map(|line| format!("{line}\n")).collect();
    let mut counts = Vec::new();
    for lines in [first_one.as_str(), LINES, LINES] {
        let sent = import_lines(&client, lines).await;
        assert!(sent.failed.is_empty(), "{:?}", sent.failed);
        counts.push((sent.new, sent.existed));
    }
    assert_eq!(counts, [(1, 0), (2, 1), (0, 3)]);
    let erase = v1::DeleteSessionRequest {
        session_id: "c~2F1.s~231".to_owned(),
        request_id: String::new(),
    };
    client.memory.delete_session(erase).await.unwrap();
    let again = import_lines(&client, LINES).await;
    assert_eq!((again.new, again.existed), (2, 1), "what was erased can be imported again");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_refused_does_not_stop_the_others() {
    let (server, client) = LocalServer::start(Wishes::default()).await.unwrap();
    let other = LINES.replace("c/1", "c-2");
    let mut sessions = import::parse(&other, "file").sessions;
    sessions[0].session_id = "not an id".to_owned();
    let sent = send(&client, sessions, &ProgressBar::hidden()).await;
    assert_eq!((sent.sessions, sent.failed.len(), sent.new), (1, 1, 1));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_evaluation_writes_a_line_for_each_ranking_and_budget() {
    let folder = tempfile::tempdir().unwrap();
    let question = r#"{"query":"q1","conversation":"c/1","text":"Where is the key?","as_of":null}"#;
    std::fs::write(folder.path().join("tiny.turns.jsonl"), LINES).unwrap();
    std::fs::write(folder.path().join("tiny.queries.jsonl"), question).unwrap();
    let out = folder.path().join("run.jsonl");
    let data = folder.path().display().to_string();
    let cli = Cli::try_parse_from([
        "keepsake",
        "eval",
        "--data",
        &data,
        "--set",
        "tiny",
        "--budgets",
        "200,400",
        "--out",
        &out.display().to_string(),
    ]);
    assert_eq!(run(cli.unwrap(), Output::new(Form::Plain)).await.unwrap(), 0);
    let lines = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["ranked"][0], "1");
    for (line, budget) in lines[1..].iter().zip([200, 400]) {
        assert!(line["budget"] == budget && line["tokens"].as_u64() <= Some(budget), "{line}");
        assert!(line["turns"].as_array().unwrap().contains(&"1".into()), "{line}");
        assert!(line["text"].as_str().unwrap().contains("under the blue pot"), "{line}");
    }
}
