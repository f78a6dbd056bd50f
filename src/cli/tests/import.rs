use expect_test::{Expect, expect};

use crate::cli::{
    import::send::batches,
    import::{Parsed, parse},
    wire::{readable, show_time, text_part},
};
use crate::proto::v1;

fn show(parsed: &Parsed) -> String {
    let mut text = format!("{}; skipped {}\n", parsed.form, parsed.skipped);
    for session in &parsed.sessions {
        let labels: Vec<String> =
            session.metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
        text.push_str(&format!("{} of [{}]", session.session_id, session.user_id));
        text.push_str(&format!(" {}\n", labels.join(" ")));
        if !session.pinned_instructions.is_empty() {
            text.push_str(&format!("  pinned: {:?}\n", session.pinned_instructions));
        }
        for turn in &session.turns {
            text.push_str(&format!("  {} {}", turn.external_id, turn.role().as_str_name()));
            text.push_str(&format!(" {:?}", readable(&turn.parts)));
            if !turn.name.is_empty() {
                text.push_str(&format!(" by {}", turn.name));
            }
            if turn.created_at.is_some() {
                text.push_str(&format!(" at {}", show_time(turn.created_at.as_ref())));
            }
            text.push('\n');
        }
    }
    for mistake in &parsed.mistakes {
        text.push_str(&format!("line {}: {}\n", mistake.line, mistake.message));
    }
    for session in &parsed.damaged {
        text.push_str(&format!("damaged: {session}\n"));
    }
    text
}

#[track_caller]
fn check(input: &str, expected: Expect) {
    expected.assert_eq(&show(&parse(input, "file")));
}

#[test]
fn lines_with_ids_become_sessions_of_their_users() {
    check(
        concat!(
            r#"{"conversation":"c/1","session":"S#1","turn":"D1:1","role":"user","name":"Ann","#,
            r#""created_at":"2023-05-08T13:56:00Z","text":"Hey"}"#,
            "\n",
            r#"{"conversation":"c/1","session":"S#1","turn":"D1:2","role":"assistant","#,
            r#""name":null,"created_at":1683554160,"text":"Hi"}"#,
            "\n\n",
            r#"{"conversation":"c/2","session":"S#1","turn":"D1:1","role":"user","text":"Other"}"#,
            "\n",
            r#"{"conversation":"c/2","session":"S#1","turn":"D1:2","role":"user","text":"  "}"#,
        ),
        expect![[r#"
            JSON Lines of turns; skipped 1
            c~2F1.S~231 of [c~2F1] conversation=c/1 session=S#1
              D1:1 ROLE_USER "Hey" by Ann at 2023-05-08T13:56:00Z
              D1:2 ROLE_ASSISTANT "Hi" at 2023-05-08T13:56:00Z
            c~2F2.S~231 of [c~2F2] conversation=c/2 session=S#1
              D1:1 ROLE_USER "Other"
        "#]],
    );
}

#[test]
fn lines_without_ids_are_one_session_named_like_the_file() {
    check(
        r#"{"role":"system","content":"Be brief."}
{"role":"user","content":"one"}
{"role":"assistant","content":"two"}"#,
        expect![[r#"
            JSON Lines of turns; skipped 0
            file of [] session=file
              pinned: "Be brief."
              m-0001 ROLE_USER "one"
              m-0002 ROLE_ASSISTANT "two"
        "#]],
    );
}

#[test]
fn a_bad_line_damages_the_sessions_it_may_belong_to() {
    check(
        r#"{"session":"a","turn":"1","role":"user","text":"one"}
{"session":"a","turn":
{"session":"b","turn":"1","role":"user","text":"two"}
{"session":"c","turn":"1","role":"wizard","text":"three"}
{"session":"d","turn":"1","role":"user","text":"four","created_at":"once"}
{"session":"e","turn":"1","role":"user","text":"five"}"#,
        expect![[r#"
            JSON Lines of turns; skipped 0
            a of [] session=a
              1 ROLE_USER "one"
            b of [] session=b
              1 ROLE_USER "two"
            e of [] session=e
              1 ROLE_USER "five"
            line 2: no JSON: EOF while parsing a value (column 22)
            line 4: `wizard` is no role: user, assistant, tool or system
            line 5: `once` is no moment in time: write 2024-05-08T13:56:00Z or 2024-05-08
            damaged: a
            damaged: b
            damaged: c
            damaged: d
        "#]],
    );
}

#[test]
fn a_repeated_line_is_passed_over_and_a_contradicting_one_is_a_mistake() {
    check(
        r#"{"session":"a","turn":"1","role":"user","text":"one"}
{"session":"a","turn":"1","role":"user","text":"one"}
{"session":"a","turn":"1","role":"user","text":"other"}"#,
        expect![[r#"
            JSON Lines of turns; skipped 1
            a of [] session=a
              1 ROLE_USER "one"
            line 3: the turn `1` is there twice, different
            damaged: a
        "#]],
    );
}

#[test]
fn message_arrays_keep_their_calls_and_pin_their_instructions() {
    check(
        r#"[{"role":"system","content":"Be brief."},
            {"role":"user","content":[{"type":"text","text":"What is this?"},
              {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},
              {"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]},
            {"role":"assistant","content":null,"tool_calls":[
              {"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":1}"}},
              {"id":"c2","type":"function","function":{"name":"look","arguments":"odd"}}]},
            {"role":"tool","tool_call_id":"c1","content":"a cat"},
            {"role":"tool","tool_call_id":"c2","content":""},
            {"role":"assistant","content":""},
            {"role":"assistant","content":"A cat."}]"#,
        expect![[r#"
            Chat Completions messages; skipped 1
            file of [] session=file
              pinned: "Be brief."
              m-0002 ROLE_USER "What is this?\n[image]\n[media: ]"
              m-0003 ROLE_ASSISTANT "[calls look({\"at\":1})]\n[calls look({\"input\":\"odd\"})]"
              m-0004 ROLE_TOOL "[answers] a cat"
              m-0005 ROLE_TOOL "[answers] "
              m-0007 ROLE_ASSISTANT "A cat."
        "#]],
    );
}

#[test]
fn several_conversations_are_several_sessions() {
    let one = r#"{"messages":[{"role":"user","content":"one"}]}"#;
    let two = r#"{"id":"two","user":"u 1","messages":[{"role":"user","content":"two"}]}"#;
    let bad = r#"{"messages":[{"role":"user","content":7}]}"#;
    let expected = expect![[r#"
        Chat Completions messages; skipped 1
        file-0001 of [] session=file-0001
          m-0001 ROLE_USER "one"
        two of [u~201] session=two
          m-0001 ROLE_USER "two"
        line 3: file-0003, message 1: `content` is neither text nor a list of parts
        damaged: file-0003
    "#]];
    expected.assert_eq(&show(&parse(&format!("{one}\n{two}\n{bad}"), "file")));
    let array = parse(&format!("[{one},{two}]"), "file");
    assert_eq!(array.sessions.len(), 2);
    assert_eq!(parse(one, "file").sessions[0].session_id, "file");
}

/// A node of an export: id, parent, and the message's JSON (empty: none).
fn node(id: &str, parent: &str, message: &str) -> String {
    let parent = if parent.is_empty() { "null".to_owned() } else { format!("\"{parent}\"") };
    let message = if message.is_empty() { "null" } else { message };
    format!(r#""{id}":{{"id":"{id}","parent":{parent},"children":[],"message":{message}}}"#)
}

fn message(role: &str, text: &str, rest: &str) -> String {
    format!(
        r#"{{"author":{{"role":"{role}","name":"web"}},"create_time":1700000000.5,
            "content":{{"content_type":"text","parts":["{text}"]}}{rest}}}"#
    )
}

#[test]
fn an_export_follows_the_current_branch_only() {
    let hidden = r#","metadata":{"is_visually_hidden_from_conversation":true}"#;
    let nodes = [
        node("r", "", ""),
        node("s", "r", &message("system", "", "")),
        node("h", "s", &message("user", "custom instructions", hidden)),
        node("q", "h", &message("user", "What now?", "")),
        node("old", "q", &message("assistant", "Old answer", "")),
        node("call", "q", &message("assistant", "search(x)", r#","recipient":"web""#)),
        node("result", "call", &message("tool", "found x", "")),
        node("new", "result", &message("assistant", "New answer", "")),
        node("stray", "new", &message("tool", "late", "")),
        node(
            "image",
            "stray",
            r#"{"author":{"role":"user"},"content":{"content_type":
            "multimodal_text","parts":[{"content_type":"image_asset_pointer"},"And this?"]}}"#,
        ),
    ];
    let export = format!(
        r#"[{{"id":"abc-1","title":"A talk","current_node":"image","mapping":{{{}}}}},
            {{"id":"abc-2","mapping":{{{}}}}},
            {{"id":"abc-3","current_node":"gone","mapping":{{}}}}]"#,
        nodes.join(","),
        node("x", "", &message("user", "alone", "")),
    );
    check(
        &export,
        expect![[r#"
        ChatGPT's conversations.json; skipped 2
        abc-1 of [chatgpt] conversation=abc-1 title=A talk
          q ROLE_USER "What now?" at 2023-11-14T22:13:20Z
          call ROLE_ASSISTANT "[calls web({\"input\":\"search(x)\"})]" at 2023-11-14T22:13:20Z
          result ROLE_TOOL "[answers] found x" at 2023-11-14T22:13:20Z
          new ROLE_ASSISTANT "New answer" at 2023-11-14T22:13:20Z
          stray ROLE_ASSISTANT "[web] late" at 2023-11-14T22:13:20Z
          image ROLE_USER "[image]\nAnd this?"
        abc-2 of [chatgpt] conversation=abc-2
          x ROLE_USER "alone" at 2023-11-14T22:13:20Z
        line 0: conversation `abc-3`: there is no node `gone`
    "#]],
    );
}

#[test]
fn a_tree_that_bites_its_tail_is_a_mistake() {
    let nodes = [node("a", "b", &message("user", "1", "")), node("b", "a", "")];
    let export = format!(r#"[{{"id":"1","current_node":"a","mapping":{{{}}}}}]"#, nodes.join(","));
    let parsed = parse(&export, "file");
    assert!(parsed.sessions.is_empty() && parsed.mistakes.len() == 1, "{parsed:?}");
}

#[test]
fn what_is_no_conversation_is_said_once() {
    for input in ["", "[\n{\"a\":", "{\n \"messages\": [", "[]", "42", "hello"] {
        let parsed = parse(input, "file");
        let none = parsed.sessions.is_empty();
        assert!(none && parsed.mistakes.len() == usize::from(input != "[]"), "{input}: {parsed:?}");
    }
}

#[test]
fn batches_hold_at_most_200_turns_and_2_mib_in_order() {
    let turn = |bytes: usize| v1::NewTurn {
        parts: vec![text_part("x".repeat(bytes))],
        ..Default::default()
    };
    let sizes = |turns: &[v1::NewTurn]| batches(turns).iter().map(|b| b.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&vec![turn(1); 450]), [200, 200, 50]);
    assert_eq!(sizes(&vec![turn(900_000); 5]), [2, 2, 1]);
    assert_eq!(sizes(&[turn(3 << 20), turn(1)]), [1, 1]);
    assert_eq!(sizes(&[]), [0; 0]);
}

#[test]
fn the_demo_is_whole() {
    let parsed = parse(include_str!("../demo.jsonl"), "demo");
    assert!(parsed.mistakes.is_empty() && parsed.skipped == 0, "{:?}", parsed.mistakes);
    assert!(parsed.sessions.len() == 1 && parsed.sessions[0].turns.len() >= 150);
}
