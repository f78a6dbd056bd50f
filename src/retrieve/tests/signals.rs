use super::{ask, assistant_chat, persons_chat, session};
use crate::retrieve::{
    Language, SessionIndex, Weights,
    dates::{AskedDate, asked_dates, day_of},
    lexical::rarity,
    query::surface_words,
    rules::rules,
    signals::{ChatKind, FLAGS_START, NAMES, Standardised, in_order, named_speakers, shifted},
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
    let values = |values: &[f32]| Standardised::new(values.to_vec()).values().collect::<Vec<_>>();
    assert_eq!(values(&[3.0; 5]), [0.0; 5]);
    assert_eq!(values(&[0.0, 4.0]), [-1.0, 1.0]);
    assert!(values(&[]).is_empty());
    assert_eq!(Standardised::raw(vec![3.0]).value_of(0), 3.0);
}

#[test]
fn neighbours_end_at_the_session() {
    let values = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(shifted(&values, &[0..2, 2..4], 0), [0.0, 1.0, 0.0, 3.0]);
    assert_eq!(shifted(&values, &[0..2, 2..4], 2), [2.0, 0.0, 4.0, 0.0]);
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
    let order = in_order(&weights, weights.person_to_person);
    let weight = |name: &str| order[NAMES.iter().position(|known| *known == name).expect(name)];
    assert_eq!(weight("vicinity"), weights.vicinity);
    assert_eq!(weight("before"), weights.person_to_person.before);
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
    check(&chat, "When did Ida sell the boat?", "time_word", &[(1, 1.0)]);
    check(&chat, "Did Ida sell the boat?", "time_word", &[]);
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
