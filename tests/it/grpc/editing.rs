//! What was replaced or erased, and what is left of it.

use keepsake::proto::v1 as pb;

use super::Service;
use super::client::{append, assistant, call, context, reason, result, shown, user};

on_engines! {
    superseded_turns_are_listed_on_request_only
    a_tool_group_goes_together
    a_result_takes_its_call_along_over_a_superseded_turn
    a_fork_has_the_living_turns_up_to_a_seq_and_goes_its_own_way
    a_deleted_session_is_gone_and_its_name_is_free
}

fn list(session: &str, superseded: bool) -> pb::ListTurnsRequest {
    pb::ListTurnsRequest {
        session_id: session.into(),
        include_superseded: superseded,
        ..Default::default()
    }
}

async fn seqs(service: &Service, session: &str, superseded: bool) -> Vec<u64> {
    let answer = service.memory().list_turns(list(session, superseded)).await.unwrap();
    answer.into_inner().turns.iter().map(|turn| turn.seq).collect()
}

async fn get(service: &Service, session: &str) -> pb::Session {
    let request = pb::GetSessionRequest { session_id: session.into() };
    service.memory().get_session(request).await.unwrap().into_inner().session.unwrap()
}

async fn erase(service: &Service, session: &str, seqs: &[u64]) -> pb::DeleteTurnsResponse {
    let request = pb::DeleteTurnsRequest {
        session_id: session.into(),
        seqs: seqs.to_vec(),
        ..Default::default()
    };
    service.memory().delete_turns(request).await.unwrap().into_inner()
}

fn replace(session: &str, from: u64, turns: Vec<pb::NewTurn>) -> pb::AppendTurnsRequest {
    pb::AppendTurnsRequest { replace_from_seq: from, ..append(session, turns) }
}

async fn superseded_turns_are_listed_on_request_only(service: Service) {
    let mut memory = service.memory();
    let turns = vec![user("where is the kestrel?"), assistant("in the barn"), user("and now?")];
    memory.append_turns(append("s", turns)).await.unwrap();
    let again = replace("s", 2, vec![assistant("on the roof")]);
    let answer = memory.append_turns(again).await.unwrap().into_inner();
    assert_eq!((answer.first_seq, answer.turns_superseded, answer.version), (4, 2, 2));
    assert_eq!(seqs(&service, "s", false).await, [1, 4]);
    let all = memory.list_turns(list("s", true)).await.unwrap().into_inner().turns;
    let marks: Vec<_> = all.iter().map(|turn| (turn.seq, turn.superseded)).collect();
    assert_eq!(marks, [(1, false), (2, true), (3, true), (4, false)]);
    let head = get(&service, "s").await;
    assert_eq!((head.turn_count, head.last_seq, head.version, head.change), (2, 4, 2, 2));
    let answer = memory.build_context(context("s", "barn", 1_000)).await.unwrap().into_inner();
    assert!(!shown(&answer).contains("in the barn") && shown(&answer).contains("on the roof"));
    assert!(answer.not_shown.is_empty(), "superseded turns are not counted: {answer:?}");
    let search = pb::SearchRequest {
        session_id: "s".into(),
        query: "kestrel barn".into(),
        ..Default::default()
    };
    let hits = memory.search(search).await.unwrap().into_inner().hits;
    assert!(hits.iter().all(|hit| hit.turn.as_ref().is_some_and(|turn| turn.seq % 4 < 2)));
    // A superseded turn can be erased; that changes no count of living turns.
    assert_eq!(erase(&service, "s", &[2]).await.seqs_erased, [2]);
    let head = get(&service, "s").await;
    assert_eq!((head.turn_count, head.version), (2, 3));
    assert_eq!(seqs(&service, "s", true).await, [1, 3, 4]);
}

async fn a_tool_group_goes_together(service: Service) {
    let mut memory = service.memory();
    let mut two_calls = call("c1", "weather", "{}");
    two_calls.parts.extend(call("c2", "time", "{}").parts);
    let turns = vec![
        user("weather and time?"),
        two_calls,
        result("c1", "sunny"),
        result("c2", "noon"),
        assistant("sunny, noon"),
        call("c3", "tide", "{}"),
        result("c3", "low"),
    ];
    memory.append_turns(append("s", turns)).await.unwrap();
    let receipt = erase(&service, "s", &[4]).await;
    assert_eq!((receipt.seqs_erased, receipt.version), (vec![2, 3, 4], 2));
    let receipt = erase(&service, "s", &[4, 6, 99]).await;
    assert_eq!((receipt.seqs_erased, receipt.version), (vec![6, 7], 3));
    let receipt = erase(&service, "s", &[6, 7]).await;
    assert_eq!((receipt.seqs_erased, receipt.version), (vec![], 3), "nothing was left to erase");
    assert_eq!(seqs(&service, "s", true).await, [1, 5]);
    let answer = memory.append_turns(append("s", vec![user("more")])).await.unwrap();
    assert_eq!(answer.into_inner().first_seq, 8, "a seq is never used again");
}

async fn a_result_takes_its_call_along_over_a_superseded_turn(service: Service) {
    let mut memory = service.memory();
    let turns = vec![call("c1", "weather", "{}"), assistant("I cannot say.")];
    memory.append_turns(append("s", turns)).await.unwrap();
    let again = replace("s", 2, vec![result("c1", "sunny"), assistant("It is sunny.")]);
    memory.append_turns(again).await.unwrap();
    assert_eq!(seqs(&service, "s", false).await, [1, 3, 4]);
    assert_eq!(erase(&service, "s", &[3]).await.seqs_erased, [1, 3]);
}

async fn a_fork_has_the_living_turns_up_to_a_seq_and_goes_its_own_way(service: Service) {
    let mut memory = service.memory();
    let of = |request| pb::AppendTurnsRequest { user_id: "ann".into(), ..request };
    let turns = vec![user("one"), assistant("two"), user("three"), assistant("four")];
    memory.append_turns(of(append("s", turns))).await.unwrap();
    memory.append_turns(of(replace("s", 4, vec![assistant("five")]))).await.unwrap();
    erase(&service, "s", &[2]).await;
    let fork = |name: &str, at: u64| pb::ForkSessionRequest {
        session_id: "s".into(),
        new_session_id: name.into(),
        at_seq: at,
        ..Default::default()
    };
    let answer = memory.fork_session(fork("f", 0)).await.unwrap().into_inner();
    assert_eq!((answer.turns_copied, answer.last_seq, answer.version), (3, 5, 1));
    assert_eq!(seqs(&service, "f", true).await, [1, 3, 5]);
    let answer = memory.fork_session(fork("g", 3)).await.unwrap().into_inner();
    assert_eq!((answer.turns_copied, answer.last_seq), (2, 3));
    let head = get(&service, "g").await;
    assert_eq!((head.user_id.as_str(), head.turn_count), ("ann", 2));
    assert_eq!((head.forked_from_session_id.as_str(), head.forked_at_seq), ("s", 3));
    memory.append_turns(append("g", vec![assistant("my own way")])).await.unwrap();
    erase(&service, "s", &[1]).await;
    assert_eq!(seqs(&service, "g", true).await, [1, 3, 4]);
    assert_eq!(seqs(&service, "s", false).await, [3, 5]);
    let status = memory.fork_session(fork("f", 0)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (tonic::Code::AlreadyExists, "SESSION_EXISTS".into())
    );
    let status = memory.fork_session(fork("h", 9)).await.unwrap_err();
    assert_eq!(reason(&status), "SEQ_OUT_OF_RANGE");
    let missing = pb::ForkSessionRequest { session_id: "none".into(), ..fork("h", 0) };
    assert_eq!(reason(&memory.fork_session(missing).await.unwrap_err()), "SESSION_NOT_FOUND");
    let context = memory.build_context(context("g", "", 1_000)).await.unwrap().into_inner();
    assert!(shown(&context).contains("my own way") && !shown(&context).contains("five"));
}

async fn a_deleted_session_is_gone_and_its_name_is_free(service: Service) {
    let mut memory = service.memory();
    let of = |user_id: &str, words: &str| pb::AppendTurnsRequest {
        user_id: user_id.into(),
        ..append("s", vec![user(words)])
    };
    memory.append_turns(of("ann", "the vault opens with heron")).await.unwrap();
    memory.build_context(context("s", "", 1_000)).await.unwrap();
    let by_user = |user_id: &str| pb::BuildContextRequest {
        user_id: user_id.into(),
        scope: pb::Scope::User.into(),
        session_id: String::new(),
        ..context("", "vault heron osprey?", 1_000)
    };
    let before = memory.build_context(by_user("ann")).await.unwrap().into_inner();
    assert!(before.full_history_tokens > 0);
    let delete = pb::DeleteSessionRequest { session_id: "s".into(), ..Default::default() };
    let receipt = memory.delete_session(delete.clone()).await.unwrap().into_inner();
    assert_eq!(receipt.turns_erased, 1);
    assert_eq!(reason(&memory.delete_session(delete).await.unwrap_err()), "SESSION_NOT_FOUND");
    let gone = memory.build_context(context("s", "hello?", 1_000)).await.unwrap().into_inner();
    assert_eq!((gone.state.unwrap().session_change, gone.not_shown.len()), (0, 0));
    // The name begins a new life, of another user: the first one's view has nothing of it.
    memory.append_turns(of("bob", "the vault opens with osprey")).await.unwrap();
    memory.build_context(context("s", "", 1_000)).await.unwrap();
    let head = get(&service, "s").await;
    assert_eq!((head.user_id.as_str(), head.last_seq, head.version), ("bob", 1, 1));
    let ann = memory.build_context(by_user("ann")).await.unwrap().into_inner();
    assert_eq!(ann.not_shown, [], "a session of another user");
    assert!(!shown(&ann).contains("with"), "{ann:?}");
    let bob = memory.build_context(by_user("bob")).await.unwrap().into_inner();
    let all = format!("{} {:?}", shown(&bob), bob.not_shown);
    assert!(all.contains("osprey") || bob.not_shown.len() == 1, "{bob:?}");
}
