//! Fetching from hubs on loopback: one that works, one that is silent, one that is not there.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::onnx::{Place, files::TOKENIZER, hub::fetch};

const REPOSITORY: &str = "Qdrant/all-MiniLM-L6-v2-onnx";

fn place(models: &Path, hub: &str) -> Place {
    Place { hub: Some(hub.to_owned()), ..Place::new(models.to_owned()) }
}

/// What stands in the files, or why they cannot be had.
fn fetched(place: &Place) -> Result<Vec<String>, String> {
    let names = ["onnx/model.onnx"].into_iter().chain(TOKENIZER);
    let paths = fetch(REPOSITORY, names, place).map_err(|error| error.to_string())?;
    Ok(paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect())
}

/// A hub in a state, which has every file; each says its own path. It serves until the test ends.
fn hub(state: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || while answer(&stream, state).is_some() {});
        }
    });
    address
}

/// Answers a request for a range of a file, as the hub does.
fn answer(mut stream: &TcpStream, state: &str) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let head: Vec<String> = lines.map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
    let range = head.iter().find(|line| line.to_lowercase().starts_with("range: bytes="))?;
    let (from, to) = range.split_once('=')?.1.trim().split_once('-')?;
    let whole = path.as_bytes();
    let from: usize = from.parse().ok()?;
    let end = to.parse().map_or(whole.len(), |to: usize| to + 1);
    let etag = blake3::hash(whole).to_hex();
    let (part, size) = (&whole[from..end], whole.len());
    let said = format!(
        "HTTP/1.1 206 Partial Content\r\netag: \"{etag}\"\r\nx-repo-commit: {state}\r\n\
         content-range: bytes {from}-{}/{size}\r\ncontent-length: {}\r\n\r\n",
        end - 1,
        part.len()
    );
    stream.write_all(said.as_bytes()).ok()?;
    stream.write_all(part).ok()
}

#[test]
fn what_is_missing_is_fetched_once_and_is_there_without_a_hub() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = place(folder.path(), &hub("c0ffee"));
    let first = fetched(&place).unwrap();
    let path = |file: &str| format!("/{REPOSITORY}/resolve/main/{file}");
    let expected: Vec<_> =
        ["onnx/model.onnx"].iter().chain(&TOKENIZER).map(|file| path(file)).collect();
    assert_eq!(first, expected);
    place.hub = Some("http://127.0.0.1:1".to_owned());
    place.offline = true;
    assert_eq!(fetched(&place).unwrap(), first);
}

#[test]
fn what_another_state_of_the_hub_lacks_is_fetched_too() {
    let folder = tempfile::tempdir().unwrap();
    let before = place(folder.path(), &hub("c0ffee"));
    fetch(REPOSITORY, ["config.json"].into_iter(), &before).unwrap();
    assert_eq!(fetched(&place(folder.path(), &hub("decaf"))).unwrap().len(), 5);
}

#[test]
fn offline_says_what_is_missing_and_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut place = place(folder.path(), &format!("http://{address}"));
    place.offline = true;
    let why = fetched(&place).unwrap_err();
    assert!(why.contains("lacks onnx/model.onnx, tokenizer.json"), "{why}");
    assert!(why.contains("onnx.offline"), "{why}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn a_hub_that_accepts_and_is_silent_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut place = place(folder.path(), &format!("http://{address}"));
    place.silence_max = Duration::from_millis(300);
    let began = Instant::now();
    let why = fetched(&place).unwrap_err();
    assert!(why.contains("the hub was silent for 0.3 s"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(listener.accept().is_ok(), "it was asked");
}

#[test]
fn a_hub_that_is_not_there_or_has_no_such_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = fetched(&place(folder.path(), &format!("http://{free}"))).unwrap_err();
    assert!(why.contains("cannot fetch `Qdrant/all-MiniLM-L6-v2-onnx`"), "{why}");
    assert!(why.contains("refused"), "{why}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let nothing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        stream.write_all(nothing).unwrap();
    });
    let why = fetched(&place(folder.path(), &format!("http://{address}"))).unwrap_err();
    serving.join().unwrap();
    assert!(why.contains("`onnx/model.onnx`") && why.contains("404"), "{why}");
}
