//! `keepsake doctor` on folders that are sound, held, damaged and not there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keepsake::record::{Head, decode, encode, keys};
use keepsake::storage::fjall::FjallStore;
use keepsake::storage::{Batch, Read, Store as _};
use keepsake::types::{SessionId, TenantId};
use serde_json::Value;

use super::chance::Chance;
use super::server::{Setup, keepsake};
use super::talk::{Op, Talk};

/// What the doctor says as JSON, and its exit code.
fn doctor(data: &Path, flags: &[&str]) -> (Value, Option<i32>) {
    let mut command = keepsake();
    command.args(["doctor", "--json", "--data"]).arg(data).args(flags);
    let said = command.output().unwrap();
    (serde_json::from_slice(&said.stdout).unwrap(), said.status.code())
}

#[track_caller]
fn check(data: &Path, name: &str, level: &str, says: &str) {
    let (said, code) = doctor(data, &[]);
    let line = said["checks"].as_array().unwrap().iter().find(|line| line["check"] == name);
    let line = line.unwrap_or_else(|| panic!("there is a line `{name}`: {said:#}"));
    assert_eq!(line["level"], level, "{said:#}");
    assert!(line.to_string().contains(says), "{line:#}");
    let wrong = said["level"] == "bad";
    assert_eq!(code, Some(i32::from(wrong)), "{said:#}");
    assert!(level != "bad" || wrong);
}

/// A folder in which one session has three turns.
async fn filled(folder: &Path) -> (Setup, Talk) {
    let setup = Setup::new(folder, "fjall");
    let mut server = setup.started().await;
    let mut talk = Talk::new("talk", "ann");
    let texts = ["One.", "Two.", "Three."].map(str::to_owned).to_vec();
    let op = Op::Append { id: Chance::new(1).request_id(), texts, from: 0 };
    talk.send(&mut server.client, &op).await.unwrap();
    talk = talk.after(&op);
    check(&setup.data(), "store", "bad", "in use by another process");
    assert!(server.stop().await.success());
    (setup, talk)
}

/// Makes the head of the session count wrongly.
async fn damage(data: &Path) {
    let store = FjallStore::open(data).unwrap();
    let (tenant, session) = (TenantId::parse("dev").unwrap(), SessionId::parse("talk").unwrap());
    let key = keys::head(&tenant, &session);
    let row = store.read(vec![Read::get(key.clone())]).await.unwrap().remove(0).remove(0);
    let head = Head { turns_living: 77, ..decode(&row.value).unwrap() };
    store.commit(Batch::new().put(key, encode(&head))).await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_what_is_wrong_with_a_folder_and_mends_what_is_derived() {
    let folder = tempfile::tempdir().unwrap();
    let (setup, mut talk) = filled(folder.path()).await;
    let data = setup.data();
    check(&data, "turns", "ok", "1 looked at");
    check(&data, "folder", "ok", "");
    let key = data.join("server.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    check(&data, "server.key", "bad", "chmod 600");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    check(&data, "folder", "warn", "chmod 700");
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    damage(&data).await;
    check(&data, "turns", "bad", "dev/talk: 77 living turns by its head, 3 there");
    let (said, code) = doctor(&data, &["--repair"]);
    assert_eq!((&said["level"], code), (&Value::from("ok"), Some(0)), "{said:#}");
    check(&data, "turns", "ok", "1 looked at");
    let mut server = setup.started().await;
    talk.verify(&mut server.client).await;
    assert!(server.stop().await.success());
}

#[test]
fn the_doctor_makes_no_folder_and_names_wrong_settings() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    check(&data, "folder", "bad", "holds no data of this program");
    assert!(!data.exists());
    let config = folder.path().join("keepsake.toml");
    fs::write(&config, "listne = \"127.0.0.1:1\"").unwrap();
    let (said, code) = doctor(&data, &["--config", &config.to_string_lossy()]);
    assert_eq!(code, Some(1));
    assert!(said["checks"][0].to_string().contains("is `listen` meant?"), "{said:#}");
}
