//! What the words of the project accept.

use crate::types::{Part, Role, Seq, SessionId, Shares, Status, Timestamp, Turn};

#[track_caller]
fn check_id(text: &str, valid: bool) {
    assert_eq!(SessionId::parse(text).is_ok(), valid, "{text:?}");
}

#[test]
fn an_id_is_ascii_begins_with_a_letter_or_digit_and_ends_by_128() {
    check_id("a", true);
    check_id("0-._~Z", true);
    check_id(&"a".repeat(128), true);
    check_id("", false);
    check_id(&"a".repeat(129), false);
    check_id("-a", false);
    check_id("a/b", false);
    check_id("a\0", false);
    check_id("é", false);
}

#[test]
fn calls_and_opaque_json_are_not_searchable_but_results_are() {
    let turn = Turn {
        seq: Seq(1),
        role: Role::Tool,
        name: String::new(),
        parts: vec![
            Part::ToolCall { id: "c".into(), name: "secret".into(), arguments: "{}".into() },
            Part::Opaque { provider: "openai".into(), json: "{}".into() },
            Part::ToolResult {
                call_id: "c".into(),
                parts: vec![Part::Text("21 degrees".into())],
                is_error: false,
            },
        ],
        created_at: Timestamp(0),
        committed_at: Timestamp(0),
        external_id: String::new(),
        metadata: Default::default(),
        status: Status::Complete,
    };
    assert_eq!(turn.searchable_text(), "21 degrees");
    assert_eq!(turn.speaker(), "Tool");
}

#[test]
fn shares_over_a_hundred_do_not_fit() {
    assert!(Shares::DEFAULT.fit(None) && Shares::DEFAULT.fit(Some(0)));
    assert!(!Shares { summary_percent: 60, recent_percent: 50, retrieved_percent: 0 }.fit(None));
    assert!(!Shares::DEFAULT.fit(Some(1)));
}
