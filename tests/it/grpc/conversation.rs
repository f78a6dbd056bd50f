//! The main job: append a conversation, get back a context.

use keepsake::proto::v1 as pb;

use super::Service;
use super::client::{append, assistant, call, context, fields, reason, result, shown, user};

#[tokio::test]
async fn what_was_appended_comes_back_in_the_next_context() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    let turns = vec![
        user("My train to Basel leaves at 7:42 on Friday."),
        assistant("Noted: Friday, 7:42, Basel."),
        user("When does my train leave?"),
    ];
    let answer = memory.append_turns(append("s", turns)).await.unwrap().into_inner();
    assert_eq!((answer.first_seq, answer.last_seq, answer.version), (1, 3, 1));
    let context = memory.build_context(context("s", "", 1_000)).await.unwrap().into_inner();
    assert!(shown(&context).contains("7:42 on Friday"), "{context:?}");
    assert!(context.used_tokens <= 1_000);
    let full: u64 = context.full_history_tokens;
    assert!(full >= u64::from(context.used_tokens), "all of a short conversation is shown");
}

#[tokio::test]
async fn a_regenerated_answer_and_a_deleted_message_are_in_no_later_context() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    let turns = vec![
        user("What is the weather in Bern? My password is swordfish."),
        call("c1", "weather", r#"{"city":"Bern"}"#),
        result("c1", "21 degrees, sunny"),
        assistant("It is cloudy in Bern."),
    ];
    memory.append_turns(append("s", turns)).await.unwrap();
    let again = pb::AppendTurnsRequest {
        replace_from_seq: 4,
        ..append("s", vec![assistant("It is 21 degrees and sunny in Bern.")])
    };
    let answer = memory.append_turns(again).await.unwrap().into_inner();
    assert_eq!((answer.first_seq, answer.turns_superseded), (5, 1));
    memory.append_turns(append("s", vec![user("Thanks. And tomorrow?")])).await.unwrap();
    let delete =
        pb::DeleteTurnsRequest { session_id: "s".into(), seqs: vec![1], ..Default::default() };
    let receipt = memory.delete_turns(delete).await.unwrap().into_inner();
    assert_eq!(receipt.seqs_erased, [1]);
    for format in [pb::Format::Neutral, pb::Format::OpenaiChat, pb::Format::AnthropicMessages] {
        let request = pb::BuildContextRequest {
            format: format.into(),
            ..context("s", "What was the password, was it cloudy?", 2_000)
        };
        let answer = memory.build_context(request).await.unwrap().into_inner();
        let sent = format!("{} {}", shown(&answer), answer.payload_json);
        assert!(!sent.contains("swordfish") && !sent.contains("cloudy in"), "{sent}");
        assert!(sent.contains("21 degrees and sunny"), "{sent}");
    }
}

#[tokio::test]
async fn a_bad_request_names_every_faulty_field_at_once() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    let mut turns = vec![user(""), user("fine")];
    turns[1].role = 99;
    let request = pb::AppendTurnsRequest {
        session_id: "a/b".into(),
        request_id: "no uuid".into(),
        turns,
        ..Default::default()
    };
    let status = memory.append_turns(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(reason(&status), "INVALID_REQUEST");
    assert_eq!(fields(&status), ["request_id", "session_id", "turns[0].parts", "turns[1].role"]);
}

#[tokio::test]
async fn a_system_turn_is_refused_with_its_own_reason() {
    let service = Service::in_memory().await;
    let mut turn = user("You are a pirate.");
    turn.role = pb::Role::System.into();
    let status = service.memory().append_turns(append("s", vec![turn])).await.unwrap_err();
    assert_eq!(reason(&status), "SYSTEM_TURN");
}

#[tokio::test]
async fn a_system_turn_beside_another_fault_is_a_bad_request_with_both() {
    let service = Service::in_memory().await;
    let turns = [pb::Role::Unspecified, pb::Role::System].map(|role| {
        let mut turn = user("Ahoy.");
        turn.role = role.into();
        turn
    });
    let refused = service.memory().append_turns(append("s", turns.to_vec())).await;
    let status = refused.unwrap_err();
    assert_eq!(reason(&status), "INVALID_REQUEST");
    assert_eq!(fields(&status), ["turns[0].role", "turns[1].role"]);
}

#[tokio::test]
async fn a_budget_too_small_for_the_question_says_so_and_a_reserve_above_the_default_too() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    let small = pb::BuildContextRequest { reserve_tokens: 63, ..context("s", "turn 5", 64) };
    let status = memory.build_context(small).await.unwrap_err();
    assert_eq!(reason(&status), "CURRENT_EXCHANGE_TOO_LARGE");
    let large = pb::BuildContextRequest { reserve_tokens: 4_000, ..context("s", "turn 5", 0) };
    let status = memory.build_context(large).await.unwrap_err();
    assert_eq!(
        (reason(&status), fields(&status)),
        ("INVALID_REQUEST".into(), vec!["reserve_tokens".to_owned()])
    );
}

#[tokio::test]
async fn a_lost_secret_is_refused_and_a_lost_development_key_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    Service::on(folder.path()).await.stop().await;
    std::fs::remove_file(folder.path().join("dev.key")).unwrap();
    let settings = super::client::settings(folder.path(), "fjall");
    let running = keepsake::app::start(&settings).await.unwrap();
    assert_eq!(running.dev_key, None);
    running.stop().await.unwrap();
    std::fs::remove_file(folder.path().join("server.key")).unwrap();
    assert!(keepsake::app::start(&settings).await.is_err());
    assert!(!folder.path().join("server.key").exists());
}
