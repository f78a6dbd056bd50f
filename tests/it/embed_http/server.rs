//! A small server of `/v1/embeddings` that does as a test tells it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keepsake::embed::Hashed;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How many numbers its vectors have.
pub const DIMENSIONS: usize = 64;

/// What it does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Good,
    /// Answers nothing, ever.
    Silent,
    /// Answers nothing until [`EmbeddingServer::open`].
    Gate,
    /// Ends the connection.
    Close,
    Status(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// Answers with this body.
    Body(String),
    /// As good, the last text first.
    Reversed,
    /// Changes the first vector into this.
    First(Value),
    /// Leaves the last vector out.
    OneLess,
}

/// A request that it saw.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub authorization: Option<String>,
    pub body: Value,
    pub at: std::time::Instant,
}

impl Seen {
    pub fn texts(&self) -> Vec<String> {
        let input = self.body["input"].as_array().unwrap();
        input.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }
}

struct State {
    acts: Mutex<VecDeque<Act>>,
    always: Mutex<Act>,
    /// Texts with this are refused.
    hates: Mutex<Option<String>>,
    seen: Mutex<Vec<Seen>>,
    gate: watch::Sender<bool>,
}

/// The server; it ends with the runtime of the test.
#[derive(Clone)]
pub struct EmbeddingServer {
    address: SocketAddr,
    state: Arc<State>,
}

/// How many tokens it counts for a text.
pub fn tokens(text: &str) -> u64 {
    text.split_whitespace().count() as u64 + 2
}

impl EmbeddingServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            acts: Mutex::default(),
            always: Mutex::new(Act::Good),
            hates: Mutex::default(),
            seen: Mutex::default(),
            gate: watch::Sender::new(false),
        });
        let serves = state.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = serves.clone();
                let service = service_fn(move |request| answer(state.clone(), request));
                let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A connection that is ended on purpose is an error to hyper.
                tokio::spawn(async move { drop(serving.await) });
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Does these things with the next requests, one each.
    pub fn then(&self, acts: &[Act]) {
        self.state.acts.lock().unwrap().extend(acts.iter().cloned());
    }

    /// Does this with every request from now on, when nothing else is said of it.
    pub fn always(&self, act: Act) {
        *self.state.always.lock().unwrap() = act;
    }

    /// Refuses every request with a text that holds this.
    pub fn hate(&self, word: &str) {
        *self.state.hates.lock().unwrap() = Some(word.to_owned());
    }

    /// Lets requests go that wait at the gate.
    pub fn open(&self) {
        self.state.gate.send_replace(true);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Every text that it was asked for, in order.
    pub fn texts(&self) -> Vec<String> {
        self.seen().iter().flat_map(Seen::texts).collect()
    }

    /// Waits until it has seen so many requests.
    pub async fn saw(&self, requests: usize) {
        super::until("a request", async || (self.seen().len() >= requests).then_some(())).await;
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let seen = Seen { path, authorization, body, at: std::time::Instant::now() };
    let texts = seen.texts();
    let act = {
        let mut all = state.seen.lock().unwrap();
        all.push(seen);
        let next = state.acts.lock().unwrap().pop_front();
        next.unwrap_or_else(|| state.always.lock().unwrap().clone())
    };
    let hated = state.hates.lock().unwrap().clone();
    if hated.is_some_and(|word| texts.iter().any(|text| text.contains(&word))) {
        return Ok(response(400, &[], r#"{"error":{"message":"that text","code":"bad_input"}}"#));
    }
    match act {
        Act::Silent => std::future::pending::<()>().await,
        Act::Gate => drop(state.gate.subscribe().wait_for(|open| *open).await),
        Act::Close => return Err(std::io::Error::other("as it was told")),
        Act::Status(status, headers, body) => return Ok(response(status, &headers, body)),
        Act::Body(body) => return Ok(response(200, &[], &body)),
        Act::Good | Act::Reversed | Act::First(_) | Act::OneLess => {}
    }
    let vectors = texts.iter().enumerate().map(|(index, text)| {
        // Not of length 1: that is for the client to see to.
        let vector: Vec<f32> = Hashed::new().vector(text).iter().map(|x| x * 3.0).collect();
        json!({ "object": "embedding", "index": index, "embedding": vector })
    });
    let mut data: Vec<Value> = vectors.collect();
    match act {
        Act::Reversed => data.reverse(),
        Act::First(vector) => data[0]["embedding"] = vector,
        Act::OneLess => drop(data.pop()),
        _ => {}
    }
    let count: u64 = texts.iter().map(|text| tokens(text)).sum();
    let usage = json!({ "prompt_tokens": count, "total_tokens": count });
    let body = json!({ "object": "list", "data": data, "model": "m", "usage": usage });
    Ok(response(200, &[], &body.to_string()))
}

fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from(body.to_owned())).unwrap()
}
