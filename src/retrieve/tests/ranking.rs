use super::{ask, ask_sources, assistant_chat, no_signal, persons_chat, request, session};
use crate::retrieve::{
    ChatKind, Decision, Indexed, NoSignal, Query, Request, Source, rank, terms::analyse_text,
};
use crate::types::{Role, Seq, Timestamp};

/// Checks that `wanted` is among the first `places` hits.
#[track_caller]
fn check(lines: &str, query: &str, wanted: u64, places: usize) {
    check_in(&session(lines), query, wanted, places);
}

#[track_caller]
fn check_in(index: &crate::retrieve::SessionIndex, query: &str, wanted: u64, places: usize) {
    let ranking = ask(&[index], query);
    let found: Vec<u64> = ranking.hits.iter().map(|hit| hit.seq.0).collect();
    assert!(found.iter().take(places).any(|seq| *seq == wanted), "{found:?}");
}

#[test]
fn what_the_user_said_is_found() {
    check_in(&assistant_chat(), "What am I allergic to?", 5, 2);
    check_in(&assistant_chat(), "When is my rent due, and to which landlord?", 9, 1);
    check_in(&assistant_chat(), "Which instrument did I start learning with Rui?", 11, 1);
}

#[test]
fn what_the_assistant_said_is_found_when_asked_for() {
    check_in(
        &assistant_chat(),
        "Which seafood place did you say you suggested by the river?",
        6,
        1,
    );
    check_in(&assistant_chat(), "What monthly cost of the loan had you given?", 18, 2);
}

#[test]
fn the_person_named_in_the_question_speaks() {
    check_in(&persons_chat(), "What does Amir bake?", 4, 3);
    check_in(&persons_chat(), "What did Nora do to her knee?", 13, 3);
    check_in(&persons_chat(), "What happened to Amir's bike?", 16, 1);
}

#[test]
fn an_answer_is_found_by_the_words_of_its_question() {
    check_in(&persons_chat(), "Is Nora's greyhound from a shelter?", 7, 3);
}

#[test]
fn small_partitions_are_ranked_by_raw_scores() {
    check("U: I keep bees.\nA: How nice.\nU: My car is red.\nA: I see.", "my bees?", 1, 1);
}

#[test]
fn stems_meet_in_each_language() {
    check("U: Gestern haben wir zwei alte Häuser besichtigt.", "Welches Haus?", 1, 1);
    check("U: Nous avons visité les châteaux de la Loire hier matin.", "Quel château ?", 1, 1);
    check("U: Compré unas manzanas en el mercado de la plaza.", "¿Qué manzana?", 1, 1);
    check("U: Вчера мы купили новые книги в магазине.", "Какую книгу?", 1, 1);
}

#[test]
fn scripts_without_spaces_are_found_by_pairs() {
    check("U: 私は東京の図書館で働いています。\nA: いいですね。", "図書館はどこ?", 1, 1);
    check("U: 我的猫叫小白。\nA: 好可爱。\nU: 我住在上海。", "上海", 3, 1);
    check("U: 저는 부산에서 태어났습니다.\nA: 그렇군요.", "부산", 1, 1);
    check("U: ฉันทำงานที่โรงพยาบาลในเชียงใหม่\nA: ดีมาก", "โรงพยาบาล", 1, 1);
    check("U: أعمل في مستشفى كبير في القاهرة.\nA: رائع.", "أين المستشفى؟ القاهرة", 1, 1);
}

#[test]
fn code_identifiers_are_found_whole_and_in_parts() {
    let lines = "U: The bug is in parse_header_line again.\nA: And renderFrame?\nU: No.";
    check(lines, "parse_header_line", 1, 1);
    check(lines, "the header bug", 1, 1);
    check(lines, "frame", 2, 2);
}

#[test]
fn turns_at_or_above_the_horizon_change_nothing() {
    let whole = assistant_chat();
    let lines = |seq: u64| Source { index: &whole, horizon: Some(Seq(seq)), words_from: None };
    let query = Query { text: "What am I allergic to, peanuts?", ..Query::default() };
    let mut grown = whole.clone();
    let before = ask_sources(&[lines(21)], query);
    grown.push(Indexed {
        seq: Seq(99),
        role: Role::User,
        speaker: "Peanut",
        created_at: Timestamp(0),
        terms: &analyse_text("I am allergic to peanuts and peanuts. Ich bin allergisch.", None),
    });
    let after =
        ask_sources(&[Source { index: &grown, horizon: Some(Seq(21)), words_from: None }], query);
    assert_eq!(before, after);
    assert!(before.hits.iter().all(|hit| hit.seq < Seq(21)));
    assert_eq!(ask_sources(&[lines(1)], query), no_signal(NoSignal::EmptyPartition));
}

#[test]
fn a_filter_limits_hits_and_changes_no_score() {
    let (chat, text) = (assistant_chat(), "Which restaurant is free of peanuts?");
    let sources = [Source { index: &chat, horizon: None, words_from: None }];
    let all = ask(&[&chat], text);
    let filter = |_: usize, seq: Seq| seq.0 % 2 == 1;
    let query = Query { text, ..Query::default() };
    let odd = rank(&Request { filter: &filter, hits_max: 3, ..request(&sources, query) });
    let expected: Vec<_> = all.hits.into_iter().filter(|hit| hit.seq.0 % 2 == 1).take(3).collect();
    assert_eq!(odd.hits, expected);
}

#[test]
fn sessions_are_one_partition_but_not_neighbours() {
    let (one, two) = (session("U: I bought a kayak."), session("U: It is blue.\nA: Nice."));
    let ranking = ask(&[&one, &two], "kayak");
    assert_eq!(
        ranking.hits.iter().map(|hit| (hit.source, hit.seq.0)).collect::<Vec<_>>(),
        [(0, 1)]
    );
}

#[test]
fn the_same_question_has_the_same_answer_and_equal_scores_go_newest_first() {
    let chat = session("U: a red kite\nA: yes\nU: a red kite");
    let ranking = ask(&[&chat, &chat], "kite");
    assert_eq!(ranking, ask(&[&chat, &chat], "kite"));
    let first: Vec<_> = ranking.hits.iter().take(2).map(|hit| (hit.source, hit.seq.0)).collect();
    assert_eq!(first, [(0, 3), (1, 3)]);
}

#[test]
fn a_long_turn_shows_its_best_passage() {
    let filler = "The weather was mild and the road was long. ".repeat(60);
    let text = format!("U: {filler}The zeppelin landed in Ghent. {filler}");
    let ranking = ask(&[&session(&text)], "zeppelin");
    let passage = ranking.hits[0].passage.clone().expect("a long turn has passages");
    assert!(text[3..][passage.clone()].contains("zeppelin"), "{passage:?}");
    assert!(passage.len() < 1_000, "{passage:?}");
}

#[test]
fn a_query_that_says_too_little_borrows_from_the_turn_before_at_half_weight() {
    let chat = session("U: The plumber charged 80 euros.\nA: ok\nU: My dentist charged 200 euros.");
    let sources = [Source { index: &chat, horizon: None, words_from: None }];
    let previous_user_text = Some("Tell me about the dentist");
    let with = Query { text: "How much charged?", previous_user_text, ..Query::default() };
    assert_eq!(ask_sources(&sources, with).hits[0].seq, Seq(3));
    let idle = Query { text: "ok, go on", previous_user_text, ..Query::default() };
    assert_eq!(ask_sources(&sources, idle), no_signal(NoSignal::NothingAsked));
}

#[test]
fn a_long_turn_before_does_not_drown_what_was_asked() {
    let long =
        "Rewrite the email about the calorie deficit, the invoice, the parcel and the printer";
    let chat = session(&format!(
        "U: We stayed in Tokyo in April.\nA: Nice.\nU: The parcel is late.\nA: ok\nU: {long}\nA: ok"
    ));
    let sources = [Source { index: &chat, horizon: None, words_from: None }];
    let query = Query { text: "Tokyo", previous_user_text: Some(long), ..Query::default() };
    assert_eq!(ask_sources(&sources, query).hits[0].seq, Seq(1));
}

#[test]
fn a_long_query_keeps_its_question() {
    let chat = persons_chat();
    let story = "the weather report said many things about clouds and rain and wind ".repeat(20);
    let text = format!("{story}. What is the name of the greyhound? {story}");
    assert_eq!(ask(&[&chat], &text).hits[0].seq, Seq(5));
}

#[test]
fn without_evidence_nothing_is_retrieved() {
    let chat = assistant_chat();
    assert_eq!(ask(&[], "anything about tiles?"), no_signal(NoSignal::EmptyPartition));
    assert_eq!(ask(&[&chat], ""), no_signal(NoSignal::NothingAsked));
    assert_eq!(ask(&[&chat], "why?"), no_signal(NoSignal::NothingAsked));
    assert_eq!(ask(&[&chat], "quantum chromodynamics"), no_signal(NoSignal::NothingKnown));
    assert_eq!(ask(&[&chat], "tiles").decision, Decision::Retrieved);
}

#[test]
fn awkward_texts_are_ranked_in_linear_time_without_panic() {
    let letters = "a".repeat(100_000);
    let marks = "?!\u{301}\u{200d}🙂".repeat(5_000);
    let digits = "1 ".repeat(50_000);
    let fences = "```\n".repeat(10_000);
    let kana = "あ漢カ".repeat(20_000);
    for text in [letters, marks, digits, fences, kana] {
        let one_line = text.replace('\n', " ");
        let chat = session(&format!("U: {one_line} kayak\nA: ok"));
        assert_eq!(ask(&[&chat], "kayak").hits[0].seq, Seq(1));
        ask(&[&chat], &text);
        analyse_text(&text, None);
    }
}

#[test]
fn a_declared_kind_is_over_the_kind_that_is_seen() {
    let chat = session(
        "U: I keep bees on the roof.\nA: How many hives of bees do you keep?\n\
         U: Two hives on the roof.\nA: Two hives of bees on a roof need little.",
    );
    let sources = [Source { index: &chat, horizon: None, words_from: None }];
    let query = Query { text: "What do I know of hives?", ..Query::default() };
    let declared = |kind| Query { kind: Some(kind), ..query };
    let scores = |query| {
        let found = ask_sources(&sources, query).hits;
        found.iter().map(|hit| hit.score).collect::<Vec<_>>()
    };
    assert_eq!(scores(query), scores(declared(ChatKind::UserAssistant)));
    assert_ne!(scores(query), scores(declared(ChatKind::PersonToPerson)));
}
