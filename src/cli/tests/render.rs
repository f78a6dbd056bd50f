use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::cli::{output::Paint, render};
use crate::proto::v1;

fn context() -> v1::BuildContextResponse {
    let section = |kind: v1::SectionKind, tokens, items| v1::Section {
        kind: kind as i32,
        tokens,
        allowance_tokens: 400,
        items,
    };
    let item = |seq, score| v1::Item {
        session_id: "trip".to_owned(),
        first_seq: seq,
        last_seq: seq,
        tokens: 40,
        score,
        ..Default::default()
    };
    v1::BuildContextResponse {
        used_tokens: 610,
        budget_tokens: 1_000,
        framing_tokens: 10,
        exactness: v1::Exactness::Exact as i32,
        sections: vec![
            section(v1::SectionKind::Instructions, 0, vec![]),
            section(v1::SectionKind::Recent, 300, (10..20).map(|seq| item(seq, 0.0)).collect()),
            section(v1::SectionKind::Retrieved, 280, vec![item(3, 2.5), item(7, 1.25)]),
            section(v1::SectionKind::CurrentExchange, 20, vec![v1::Item::default()]),
        ],
        not_shown: vec![v1::TurnRange {
            session_id: "trip".to_owned(),
            first_seq: 1,
            last_seq: 2,
            turns: 2,
            tokens: 90,
        }],
        full_history_tokens: 6_100,
        degraded: vec![v1::Degradation::Retrieval as i32],
        decision: v1::RetrievalDecision::Retrieved as i32,
        model: "gpt-4o".to_owned(),
        tokenizer: "o200k_base".to_owned(),
        ..Default::default()
    }
}

#[track_caller]
fn check(coloured: bool, expected: Expect) {
    expected.assert_eq(&render::account(&context(), Paint { coloured }));
}

#[test]
fn an_account_is_readable_without_colours() {
    check(
        false,
        expect![[r#"
        [RRRRRRRRRRRRRRRRRRFFFFFFFFFFFFFFFFQ+························] 610 of 1000 tokens, 61 %
          R recent               300
          F retrieved            280
          Q current exchange      20
          + framing               10
        recent (10, 300 of 400 tokens)
          trip#10–19
        retrieved (2, 280 of 400 tokens)
          trip#3                                 40 tokens  score 2.500
          trip#7                                 40 tokens  score 1.250
        current exchange (1, 20 of 400 tokens)
          this request                            0 tokens
        full history 6100 tokens: 90 % saved; counted for gpt-4o by o200k_base (exact)
        not shown: 2 turns in 1 ranges, 90 tokens; 0 found and left out
        retrieval: retrieved; degraded: retrieval
    "#]],
    );
}

#[test]
fn a_passage_names_its_place_in_its_document() {
    let citation = v1::Citation {
        collection: "handbook".to_owned(),
        document_id: "leave".to_owned(),
        title: "Leave".to_owned(),
        heading: vec!["Parental\nleave".to_owned()],
        start: 1_200,
        end: 2_044,
        ..Default::default()
    };
    let item = v1::Item {
        tokens: 180,
        score: 1.5,
        escaped: true,
        citation: Some(citation),
        ..Default::default()
    };
    let documents = v1::Section {
        kind: v1::SectionKind::Documents as i32,
        tokens: 210,
        allowance_tokens: 400,
        items: vec![item],
    };
    let context = v1::BuildContextResponse { sections: vec![documents], ..context() };
    let account = render::account(&context, Paint { coloured: false });
    let own = account.split("tokens)\n").nth(1).unwrap().split("full history").next().unwrap();
    let passage = "  handbook/leave@1200–2044              180 tokens  score 1.500  escaped\n";
    assert_eq!(own, format!("{passage}      Leave > Parental leave\n"));
}

#[test]
fn colours_come_only_when_they_are_wanted() {
    assert!(!render::bar(&context(), Paint { coloured: false }).contains('\u{1b}'));
    assert!(render::bar(&context(), Paint { coloured: true }).contains('\u{1b}'));
}

#[test]
fn text_is_cut_at_characters() {
    assert_eq!(render::one_line("äöü\n  x", 4), "äöü …");
    assert_eq!(render::one_line("a", 4), "a");
}

proptest! {
    #[test]
    fn a_bar_is_never_longer_than_it_is(
        tokens in prop::collection::vec(0_u64..2_000_000, 1..8), budget in 0_u64..1_000_000
    ) {
        let cells = render::cells_of(&tokens, budget, 60);
        prop_assert!(cells.iter().sum::<usize>() <= 60);
        for (tokens, cells) in tokens.iter().zip(cells) {
            prop_assert_eq!(*tokens > 0, cells > 0);
        }
    }
}
