use super::{ask, assistant_chat, persons_chat, session};
use crate::retrieve::{
    Language, NearWeights, SessionIndex, Weights,
    dates::{AskedDate, asked_dates, day_of},
    lexical::rarity,
    query::surface_words,
    rules::rules,
    signals::{ChatKind, FLAGS_START, NAMES, Standardised, in_order, named_speakers},
};
use crate::types::Timestamp;

/// The raw values of signal `name` by place, in the order of the turns.
#[track_caller]
fn check(index: &SessionIndex, query: &str, name: &str, expected: &[(u64, f64)]) {
    let ranking = ask(&[index], query);
    let mut found: Vec<(u64, f64)> = Vec::new();
    for hit in &ranking.hits {
        let signal = hit.signals.iter().find(|signal| signal.name == name);
        let raw = signal.expect("the signal has weight in this kind of chat").raw;
        if raw != 0.0 {
            found.push((hit.seq.0, raw));
        }
    }
    found.sort_by_key(|(seq, _)| *seq);
    assert_eq!(found, expected);
}

#[test]
fn without_variance_a_signal_counts_nothing() {
    let values = |values: &[f32]| {
        let signal = Standardised::new(values.to_vec());
        (0..values.len()).map(|turn| signal.value_of(turn)).collect::<Vec<_>>()
    };
    assert_eq!(values(&[3.0; 5]), [0.0; 5]);
    assert_eq!(values(&[0.0, 4.0]), [-1.0, 1.0]);
    assert!(values(&[]).is_empty());
    assert_eq!(Standardised::raw(vec![3.0]).value_of(0), 3.0);
}

#[test]
fn rare_terms_are_worth_more_and_none_is_worth_less_than_nothing() {
    assert!(rarity(1, 100) > rarity(10, 100));
    assert!(rarity(100, 100) > 0.0);
}

#[test]
fn persons_have_names_and_assistants_have_none() {
    assert_eq!(ChatKind::of(persons_chat().turns.iter()), ChatKind::PersonToPerson);
    assert_eq!(ChatKind::of(assistant_chat().turns.iter()), ChatKind::UserAssistant);
    assert_eq!(ChatKind::of([].iter()), ChatKind::UserAssistant);
}

#[test]
fn each_weight_has_its_name() {
    let weights = Weights::DEFAULT;
    let order = in_order(&weights, weights.short_turns, weights.person_to_person);
    let weight = |name: &str| order[NAMES.iter().position(|known| *known == name).expect(name)];
    assert_eq!(weight("vicinity"), weights.short_turns.vicinity);
    assert_eq!(weight("session"), weights.session);
    assert_eq!(weight("speaker_named"), weights.person_to_person.speaker_named);
    assert_eq!(weight("date"), weights.person_to_person.date);
    assert_eq!(NAMES[FLAGS_START], "speaker_named");
}

#[test]
fn a_speaker_is_named_by_any_word_of_the_name() {
    let chat = session("Ana Maria: hi\nBo: hello");
    let named = |query| named_speakers(&chat, &surface_words(query));
    assert_eq!(named("What did Maria's boss say?"), [true, false]);
    assert_eq!(named("did BO call?"), [false, true]);
    assert_eq!(named("who?"), [false, false]);
}

#[test]
fn flags_say_what_turns_are() {
    let chat = session(
        "Ida: I sold my boat yesterday.
        Jon: Which boat?
        Ida: The boat from Oslo.
        Jon: A boat for what price?",
    );
    check(&chat, "When did Ida sell the boat?", "speaker_named", &[(1, 1.0), (3, 1.0)]);
    check(&chat, "When did Ida sell the boat?", "first_person", &[(1, 1.0)]);
    check(&chat, "When did Ida sell the boat?", "after_question", &[(3, 1.0)]);
    check(&chat, "When did Ida sell the boat?", "is_question", &[(2, 1.0), (4, 1.0)]);
    check(&chat, "The boat on 16 November 2023?", "date", &[(2, 1.0)]);
}

#[test]
fn the_side_that_is_asked_for_counts() {
    let chat = session("U: a tent\nA: a tent");
    check(&chat, "Which tent do I have?", "asked_side", &[(1, 1.0)]);
    check(
        &chat,
        "Which tent did you tell me? I mean the tent you recommended.",
        "asked_side",
        &[(2, 1.0)],
    );
    check(&chat, "Can you remind me of the tent?", "asked_side", &[(2, 1.0)]);
    check(&chat, "I told you about my tent.", "asked_side", &[(1, 1.0)]);
    check(&chat, "Can you recommend a tent?", "asked_side", &[(1, 1.0)]);
}

#[test]
fn a_weight_is_set_by_its_name_for_one_kind_or_both() {
    let of = |name: &str| Weights::DEFAULT.with(name, 7.0).expect("there is such a weight");
    for (at, name) in NAMES.into_iter().enumerate() {
        let weights = of(name);
        let near = [weights.short_turns, weights.long_turns];
        let chats = [weights.person_to_person, weights.user_assistant];
        for (near, chat) in near.into_iter().zip(chats) {
            assert_eq!(in_order(&weights, near, chat)[at], 7.0, "{name}");
        }
    }
    let weights = of("persons.date");
    assert_eq!(weights.person_to_person.date, 7.0);
    assert_eq!(weights.user_assistant, Weights::DEFAULT.user_assistant);
    let weights = of("long.turn");
    assert_eq!(weights.long_turns.turn, 7.0);
    assert_eq!(weights.short_turns, Weights::DEFAULT.short_turns);
    assert_eq!(of("length").length, 7.0);
    for unknown in ["persons.session", "long.date", "colour", "", "."] {
        assert_eq!(Weights::DEFAULT.with(unknown, 1.0), None, "{unknown}");
    }
}

#[test]
fn turns_of_middling_length_count_between_short_and_long_ones() {
    let weights = Weights::DEFAULT;
    assert_eq!(weights.near(13.0), weights.short_turns);
    assert_eq!(weights.near(80.0), weights.long_turns);
    let middle = weights.near(40.0);
    let mean =
        |pick: fn(NearWeights) -> f64| (pick(weights.short_turns) + pick(weights.long_turns)) / 2.0;
    assert!((middle.turn - mean(|near| near.turn)).abs() < 1e-9);
    assert!((middle.window - mean(|near| near.window)).abs() < 1e-9);
    assert!((middle.vicinity - mean(|near| near.vicinity)).abs() < 1e-9);
}

#[track_caller]
fn check_dates(text: &str, language: Language, expected: &[(i16, u8, u8)]) {
    let rules = rules(language).expect("the language has a table");
    let part =
        |date: AskedDate| (date.year.unwrap_or(0), date.month.unwrap_or(0), date.day.unwrap_or(0));
    let found: Vec<_> = asked_dates(&surface_words(text), rules).into_iter().map(part).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn dates_are_read_as_far_as_they_are_named() {
    check_dates("on 7 May 2023", Language::English, &[(2023, 5, 7)]);
    check_dates("on May 7th, 2023?", Language::English, &[(2023, 5, 7)]);
    check_dates("in June", Language::English, &[(0, 6, 0)]);
    check_dates("it may rain", Language::English, &[]);
    check_dates("2023-05-07", Language::English, &[(2023, 5, 7)]);
    check_dates("am 3. März", Language::German, &[(0, 3, 3)]);
    check_dates("le 1er août 2022", Language::French, &[(2022, 8, 1)]);
    check_dates("el 5 de enero", Language::Spanish, &[(0, 1, 5)]);
    let day = day_of(Timestamp(1_683_417_600_000)).expect("a day of 2023");
    assert!(AskedDate { year: None, month: Some(5), day: Some(7) }.matches(day));
    assert!(!AskedDate { year: Some(2022), month: Some(5), day: None }.matches(day));
    assert_eq!(day_of(Timestamp(i64::MAX)), None);
}
