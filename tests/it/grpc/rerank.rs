//! A reranker over the wire: its order, its signal, its key, and what is said when it is late.

use std::sync::Arc;
use std::time::Duration;

use keepsake::proto::v1 as pb;
use keepsake::rerank::Scripted;
use tonic::Request;

use super::client::{append, assistant, context, shown, user};
use super::crowd::{Crowd, narrow};

const QUESTION: &str = "Where does the ferry to Gotland leave?";
const BEST: &str = "The ferry to Gotland leaves from Nynashamn.";

/// A server whose reranker does as it is told, and a key.
async fn server() -> (Arc<Scripted>, Crowd, String) {
    let scripted = Scripted::new();
    let reranker = scripted.clone();
    let crowd = Crowd::with(&narrow(), |memory| memory.with_reranker(reranker, 24, &[7; 32])).await;
    crowd.let_go(1_000);
    let key = crowd.tenant("acme").await;
    let turns = vec![
        user("The ferry, the ferry! Where does one eat on the ferry, and where does one sleep?"),
        assistant("On the ferry to Gotland there is a restaurant, and cabins to sleep in."),
        user(BEST),
        assistant("Gotland has many sheep."),
        user("We take a bus from there."),
    ];
    crowd.client(&key).append_turns(append("s", turns)).await.unwrap();
    (scripted, crowd, key)
}

fn search() -> pb::SearchRequest {
    pb::SearchRequest {
        session_id: "s".into(),
        query: QUESTION.into(),
        explain: true,
        ..Default::default()
    }
}

fn lacks(degraded: &[i32]) -> Vec<pb::Degradation> {
    degraded.iter().map(|lacks| pb::Degradation::try_from(*lacks).unwrap()).collect()
}

fn first(found: &pb::SearchResponse) -> String {
    let parts = &found.hits[0].turn.as_ref().unwrap().parts;
    match &parts[0].kind {
        Some(pb::part::Kind::Text(text)) => text.text.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_comes_in_the_order_of_the_reranker_which_the_answer_names() {
    let (_, crowd, key) = server().await;
    let found = crowd.client(&key).search(search()).await.unwrap().into_inner();
    assert_eq!(first(&found), BEST);
    assert!(found.hits.is_sorted_by(|a, b| a.score >= b.score));
    let signal = found.hits[0].signals.last().unwrap();
    assert_eq!((signal.name.as_str(), signal.weight), ("reranker", 0.0));
    assert_eq!(found.state.unwrap().components["reranker"], "scripted-words");
    let built = crowd.client(&key).build_context(context("s", QUESTION, 2_000)).await.unwrap();
    let built = built.into_inner();
    assert_eq!(lacks(&built.degraded), []);
    assert_eq!(built.state.as_ref().unwrap().components["reranker"], "scripted-words");
    assert!(shown(&built).contains(BEST));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reranker_that_is_late_or_fails_costs_its_order_and_not_the_answer() {
    let (scripted, crowd, key) = server().await;
    for is_late in [true, false] {
        if is_late {
            scripted.hang_after(0)
        } else {
            scripted.fail_after(0)
        }
        let mut request = Request::new(search());
        request.set_timeout(Duration::from_millis(500));
        let found = crowd.client(&key).search(request).await.unwrap().into_inner();
        assert_eq!(lacks(&found.degraded), [pb::Degradation::Rerank]);
        assert!(!found.state.unwrap().components.contains_key("reranker"));
        assert!(found.hits.iter().all(|hit| hit.signals.iter().all(|s| s.name != "reranker")));
        let mut request = Request::new(context("s", QUESTION, 2_000));
        request.set_timeout(Duration::from_millis(500));
        let built = crowd.client(&key).build_context(request).await.unwrap().into_inner();
        assert_eq!(lacks(&built.degraded), [pb::Degradation::Rerank]);
        assert!(shown(&built).contains(BEST));
    }
}
