//! Versions, writers at once, external ids.

use futures::future::join_all;
use keepsake::proto::v1 as pb;

use super::Service;
use super::client::{append, assistant, fields, reason, user, values};

on_engines! {
    a_wrong_expected_version_is_aborted_with_the_current_one
    appends_at_once_to_one_session_all_succeed
    writers_of_many_sessions_of_one_user_all_succeed
    an_import_repeated_is_no_new_turn
}

fn ids(answer: &pb::AppendTurnsResponse) -> Vec<(u64, bool)> {
    answer.turns.iter().map(|turn| (turn.seq, turn.existed)).collect()
}

async fn list(service: &Service, session: &str, superseded: bool) -> Vec<pb::Turn> {
    let request = pb::ListTurnsRequest {
        session_id: session.into(),
        page_size: 1_000,
        include_superseded: superseded,
        ..Default::default()
    };
    service.memory().list_turns(request).await.unwrap().into_inner().turns
}

async fn get(service: &Service, session: &str) -> pb::Session {
    let request = pb::GetSessionRequest { session_id: session.into() };
    service.memory().get_session(request).await.unwrap().into_inner().session.unwrap()
}

async fn a_wrong_expected_version_is_aborted_with_the_current_one(service: Service) {
    let mut memory = service.memory();
    memory.append_turns(append("s", vec![user("one"), user("two")])).await.unwrap();
    memory.append_turns(append("s", vec![user("three")])).await.unwrap();
    let wrong =
        pb::AppendTurnsRequest { expected_version: Some(1), ..append("s", vec![user("four")]) };
    let status = memory.append_turns(wrong).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Aborted);
    assert_eq!(reason(&status), "VERSION_MISMATCH");
    assert_eq!(values(&status)["current_version"], "2");
    let erase = pb::DeleteTurnsRequest {
        session_id: "s".into(),
        seqs: vec![1],
        expected_version: Some(3),
        ..Default::default()
    };
    let status = memory.delete_turns(erase.clone()).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), status.code()),
        ("VERSION_MISMATCH", tonic::Code::Aborted)
    );
    assert_eq!(values(&status)["current_version"], "2");
    let right = pb::DeleteTurnsRequest { expected_version: Some(2), ..erase };
    assert_eq!(memory.delete_turns(right).await.unwrap().into_inner().version, 3);
    let absent =
        pb::AppendTurnsRequest { expected_version: Some(1), ..append("new", vec![user("one")]) };
    let status = memory.append_turns(absent).await.unwrap_err();
    assert_eq!(values(&status)["current_version"], "0");
    assert_eq!(get(&service, "s").await.turn_count, 2, "a refusal changes nothing");
}

async fn appends_at_once_to_one_session_all_succeed(service: Service) {
    for (session, callers) in [("two", 2), ("many", 32)] {
        let calls = (0..callers).map(|n| {
            let mut memory = service.memory();
            let turns = vec![user(&format!("q {n}")), assistant(&format!("a {n}"))];
            async move { memory.append_turns(append(session, turns)).await.unwrap().into_inner() }
        });
        let mut answers = join_all(calls).await;
        answers.sort_by_key(|answer| answer.first_seq);
        for (place, answer) in (0..).zip(&answers) {
            assert_eq!((answer.first_seq, answer.last_seq), (2 * place + 1, 2 * place + 2));
            assert_eq!(answer.version, place + 1, "each append is one version");
        }
        let turns = list(&service, session, false).await;
        let seqs: Vec<_> = turns.iter().map(|turn| turn.seq).collect();
        assert_eq!(seqs, (1..=2 * callers).collect::<Vec<_>>());
        let mut texts: Vec<_> = turns.iter().map(|turn| format!("{:?}", turn.parts)).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len() as u64, 2 * callers, "none is lost, none is there twice");
        let head = get(&service, session).await;
        assert_eq!((head.version, head.turn_count), (callers, 2 * callers));
    }
}

async fn writers_of_many_sessions_of_one_user_all_succeed(service: Service) {
    let calls = (0..32).map(|n| {
        let mut memory = service.memory();
        let request = pb::AppendTurnsRequest {
            user_id: "ann".into(),
            ..append(&format!("s{}", n % 8), vec![user(&format!("q {n}"))])
        };
        async move { memory.append_turns(request).await.unwrap() }
    });
    join_all(calls).await;
    let request = pb::ListSessionsRequest { user_id: "ann".into(), ..Default::default() };
    let sessions = service.memory().list_sessions(request).await.unwrap().into_inner().sessions;
    assert_eq!(sessions.len(), 8);
    assert!(sessions.iter().all(|session| session.turn_count == 4 && session.version == 4));
    let request = pb::BuildContextRequest {
        user_id: "ann".into(),
        query: "what was said?".into(),
        budget_tokens: 2_000,
        ..Default::default()
    };
    let context = service.memory().build_context(request).await.unwrap().into_inner();
    assert_eq!(context.state.unwrap().user_change, 32, "each write is a change of the user");
}

/// A turn that carries a client's id.
fn imported(id: &str, words: &str) -> pb::NewTurn {
    pb::NewTurn { external_id: id.into(), ..user(words) }
}

async fn an_import_repeated_is_no_new_turn(service: Service) {
    let mut memory = service.memory();
    let import = vec![imported("a", "one"), imported("b", "two"), imported("a", "one again")];
    let answer = memory.append_turns(append("s", import.clone())).await.unwrap().into_inner();
    assert_eq!(ids(&answer), [(1, false), (2, false), (1, true)], "within one request too");
    let again = memory.append_turns(append("s", import)).await.unwrap().into_inner();
    assert_eq!(ids(&again), [(1, true), (2, true), (1, true)]);
    assert_eq!((again.first_seq, again.last_seq, again.version), (0, 0, answer.version));
    let erase =
        pb::DeleteTurnsRequest { session_id: "s".into(), seqs: vec![1], ..Default::default() };
    memory.delete_turns(erase).await.unwrap();
    let replace =
        pb::AppendTurnsRequest { replace_from_seq: 2, ..append("s", vec![imported("c", "three")]) };
    let answer = memory.append_turns(replace).await.unwrap().into_inner();
    assert_eq!((ids(&answer), answer.turns_superseded), (vec![(3, false)], 1));
    let mixed = vec![imported("a", "one"), imported("d", "four"), imported("b", "two")];
    let answer = memory.append_turns(append("s", mixed)).await.unwrap().into_inner();
    assert_eq!(ids(&answer), [(1, true), (4, false), (2, true)], "deleted, new, superseded");
    assert_eq!((answer.first_seq, answer.last_seq), (4, 4));
    // Nothing new: then nothing is superseded either.
    let replace =
        pb::AppendTurnsRequest { replace_from_seq: 3, ..append("s", vec![imported("d", "four")]) };
    let answer = memory.append_turns(replace).await.unwrap().into_inner();
    assert_eq!((ids(&answer), answer.turns_superseded), (vec![(4, true)], 0));
    let seqs: Vec<_> = list(&service, "s", true).await.iter().map(|turn| turn.seq).collect();
    assert_eq!(seqs, [2, 3, 4]);
}

#[tokio::test]
async fn a_session_is_of_one_user_and_replacing_ends_at_the_last_turn() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    let of = |user_id: &str| pb::AppendTurnsRequest {
        user_id: user_id.into(),
        ..append("s", vec![user("one")])
    };
    memory.append_turns(of("ann")).await.unwrap();
    memory.append_turns(of("")).await.unwrap();
    let status = memory.append_turns(of("bob")).await.unwrap_err();
    assert_eq!(
        (reason(&status).as_str(), fields(&status)),
        ("USER_MISMATCH", vec!["user_id".into()])
    );
    let late = pb::AppendTurnsRequest { replace_from_seq: 3, ..of("") };
    let status = memory.append_turns(late).await.unwrap_err();
    assert_eq!(reason(&status), "SEQ_OUT_OF_RANGE");
    assert_eq!(fields(&status), ["replace_from_seq"]);
    assert_eq!(values(&status)["last_seq"], "2");
}
