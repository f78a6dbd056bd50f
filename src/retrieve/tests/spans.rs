//! Times named by their distance from now.

use jiff::civil::date;

use crate::retrieve::{Language, query::surface_words, rules::relative, spans::asked_spans};

/// What a question of Wednesday, 14 June 2023, names.
#[track_caller]
fn check(language: Language, text: &str, expected: &str) {
    let relative = relative(language).expect("the language has a table");
    let spans = asked_spans(&surface_words(text), relative, date(2023, 6, 14));
    let spans: Vec<_> =
        spans.iter().map(|span| format!("{} {}", span.start(), span.end())).collect();
    assert_eq!(spans.join(", "), expected, "{text}");
}

#[test]
fn units_back_name_days_around_that_one() {
    check(Language::English, "What did I buy yesterday?", "2023-06-12 2023-06-14");
    check(Language::English, "What did I buy 10 days ago?", "2023-06-03 2023-06-05");
    check(Language::English, "Which book did I finish a week ago?", "2023-06-03 2023-06-11");
    check(Language::English, "the party three months ago", "2023-03-01 2023-03-31");
    check(Language::English, "a couple of weeks ago", "2023-05-20 2023-05-28");
    check(Language::English, "ten years ago", "2013-02-16 2013-10-14");
}

#[test]
fn the_one_before_now_is_the_one_that_people_mean() {
    check(Language::English, "Where was I last week?", "2023-06-03 2023-06-14");
    check(Language::English, "What did I cook last weekend?", "2023-06-10 2023-06-12");
    check(Language::English, "Whom did I meet last Tuesday?", "2023-06-13 2023-06-14");
    check(Language::English, "Whom did I meet last Wednesday?", "2023-06-07 2023-06-08");
    check(Language::English, "What did I read last month?", "2023-05-01 2023-05-31");
    check(Language::English, "Where was I last year?", "2022-01-01 2022-12-31");
    check(Language::English, "the trip last summer", "2022-06-01 2022-08-31");
    check(Language::English, "the trip last spring", "2023-03-01 2023-05-31");
    check(Language::English, "the trip last winter", "2022-12-01 2023-02-28");
}

#[test]
fn the_last_few_and_the_present_ones_reach_to_today() {
    check(Language::English, "in the last 3 weeks", "2023-05-24 2023-06-14");
    check(Language::English, "in the past few months", "2023-03-13 2023-06-14");
    check(Language::English, "this week", "2023-06-12 2023-06-14");
    check(Language::English, "this month", "2023-06-01 2023-06-14");
    check(Language::English, "this year", "2023-01-01 2023-06-14");
}

#[test]
fn what_names_no_time_gives_none() {
    check(Language::English, "How many days ago did I buy it?", "");
    check(Language::English, "Did the lamp last two hours?", "");
    check(Language::English, "a week of rain", "");
    check(Language::English, "99999999999 years ago, 4000 weeks ago", "");
}

#[test]
fn other_languages_have_their_own_words() {
    check(Language::German, "Was habe ich vor zwei Wochen gekauft?", "2023-05-27 2023-06-04");
    check(Language::German, "Wo war ich letzten Sommer?", "2022-06-01 2022-08-31");
    check(Language::French, "Qu'ai-je lu il y a dix jours ?", "2023-06-03 2023-06-05");
    check(Language::French, "la semaine dernière", "2023-06-03 2023-06-14");
    check(Language::Spanish, "¿Qué compré hace dos semanas?", "2023-05-27 2023-06-04");
    check(Language::Italian, "due settimane fa", "2023-05-27 2023-06-04");
    check(Language::Portuguese, "no mês passado", "2023-05-01 2023-05-31");
    check(Language::Dutch, "twee weken geleden", "2023-05-27 2023-06-04");
}
