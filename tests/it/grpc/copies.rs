//! `keepsake store copy`: a server on the copy answers as the one on the original did.

use std::path::Path;
use std::process::{Command, Output};

use super::Service;
use super::client::{append, assistant, context, user};

/// Runs the command; gives its exit code and what it wrote.
fn copy(from: &Path, to: &Path, engine: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepsake"));
    command.args(["store", "copy", "--engine", engine, "--from"]).arg(from).arg("--to").arg(to);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let both = [stdout, stderr].concat();
    (status.code(), String::from_utf8(both).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_copy_answers_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    let service = Service::on_engine(&name("first"), "fjall").await;
    let key = service.dev_key().to_owned();
    for n in 0..30 {
        let turns = vec![user(&format!("Box {n} is at shelf {}.", n * 3)), assistant("Noted.")];
        service.memory().append_turns(append("s", turns)).await.unwrap();
    }
    let asked = || context("s", "Where is box 7?", 400);
    let mut before = service.memory().build_context(asked()).await.unwrap().into_inner();
    let (code, told) = copy(&name("first"), &name("other"), "sled");
    assert_eq!(code, Some(2), "a server holds the folder: {told}");
    assert!(told.contains("in use by another process"), "{told}");
    service.stop().await;
    for (from, to, engine) in [("first", "second", "sled"), ("second", "third", "fjall")] {
        let (code, told) = copy(&name(from), &name(to), engine);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("read back and equal, blake3 "), "{told}");
        let service = Service::on_engine(&name(to), engine).await;
        assert_eq!(service.dev_key(), key, "the secrets are copied too");
        let after = service.memory().build_context(asked()).await.unwrap().into_inner();
        assert_eq!(after.messages, before.messages);
        assert_eq!(after.sections, before.sections);
        let next = append("s", vec![user("And box 31?")]);
        let answer = service.memory().append_turns(next).await.unwrap().into_inner();
        assert!(answer.first_seq > 60);
        before = service.memory().build_context(asked()).await.unwrap().into_inner();
        service.stop().await;
    }
    let (code, told) = copy(&name("first"), &name("second"), "sled");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("is not empty"), "{told}");
    let (code, told) = copy(&name("nothing"), &name("fourth"), "sled");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("holds no record") && !name("fourth").exists(), "{told}");
}
