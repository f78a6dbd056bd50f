//! What is embedded: the pieces of turns, and questions as the one would say it who can answer.

use super::{assistant_chat, persons_chat, session};
use crate::retrieve::{PIECES_MAX, Query, SessionIndex, Source, pieces::pieces_of, to_embed};

#[track_caller]
fn check_pieces(text: &str, expected: &[&str]) {
    assert_eq!(pieces_of(text), expected);
}

#[test]
fn a_turn_is_embedded_whole_and_by_sentences() {
    check_pieces("I moved to Porto in spring.", &["I moved to Porto in spring."]);
    check_pieces(
        " I moved to Porto in spring. My cat Nilo came along by train. ",
        &[
            "I moved to Porto in spring. My cat Nilo came along by train.",
            "I moved to Porto in spring.",
            "My cat Nilo came along by train.",
        ],
    );
    check_pieces("", &[]);
    check_pieces(" \n\t", &[]);
}

#[test]
fn a_sentence_too_short_to_mean_something_stands_with_its_neighbour() {
    check_pieces(
        "Wow! I moved to Porto in spring. Nice. My cat Nilo came along by train. Ha!",
        &[
            "Wow! I moved to Porto in spring. Nice. My cat Nilo came along by train. Ha!",
            "Wow! I moved to Porto in spring.",
            "Nice. My cat Nilo came along by train. Ha!",
        ],
    );
    check_pieces("Yes! Good!", &["Yes! Good!"]);
    check_pieces(
        "日本へ行きました。東京はとても楽しかったです。",
        &[
            "日本へ行きました。東京はとても楽しかったです。",
            "日本へ行きました。",
            "東京はとても楽しかったです。",
        ],
    );
}

#[test]
fn a_long_turn_is_embedded_by_passages_of_which_there_is_a_limit() {
    let long = "The river was high that day, and the bridge was closed. ".repeat(40);
    let found = pieces_of(&long);
    assert_eq!(found[0], found[1], "the model reads no more of it");
    assert!((4..8).contains(&found.len()), "{}", found.len());
    assert!(found[1..].iter().all(|piece| piece.len() < 1_000));
    assert_eq!(pieces_of(&long.repeat(50)).len(), PIECES_MAX);
    assert_eq!(pieces_of(&"a ".repeat(40_000)).len(), PIECES_MAX);
}

/// What is embedded for `text` and its language; empty when nothing is.
#[track_caller]
fn check(index: &SessionIndex, text: &str, expected: &str, language: &str) {
    check_after(index, text, None, expected, language);
}

#[track_caller]
fn check_after(
    index: &SessionIndex,
    text: &str,
    previous_user_text: Option<&str>,
    expected: &str,
    language: &str,
) {
    let sources = [Source { index, horizon: None, words_from: None }];
    let query = Query { text, previous_user_text, ..Query::default() };
    let found = to_embed(&query, &sources).map(|found| (found.text, found.language));
    let found = found.as_ref().map(|(text, language)| (text.as_str(), *language));
    assert_eq!(found.unwrap_or_default(), (expected, language));
}

#[test]
fn a_question_that_names_a_speaker_is_turned_to_the_first_person() {
    let chat = persons_chat();
    check(&chat, "When did Amir open the bakery?", "I open the bakery?", "en");
    check(&chat, "What is Nora's greyhound called?", "my greyhound called?", "en");
    check(&chat, "What does Nora do to rest her knee?", "I do to rest my knee?", "en");
    check(&chat, "Who helps Amir when he has to sleep?", "helps I when I has to sleep?", "en");
    check(&chat, "which bread did amir bake", "bread I bake", "en");
}

#[test]
fn what_names_no_speaker_or_asks_nothing_stays_as_it_is() {
    let chat = persons_chat();
    check(&chat, "Amir told me of the bakery.", "Amir told me of the bakery.", "en");
    check(&chat, "When did Paula open the bakery?", "When did Paula open the bakery?", "en");
    check(&assistant_chat(), "When is my rent due?", "When is my rent due?", "en");
    let will = session("Will: I sold the boat.\nMay: Which boat was it?");
    check(&will, "Which boat will sink?", "Which boat will sink?", "en");
    check(&will, "Which boat did Will sell?", "boat I sell?", "en");
    check(&will, "Which boat sank in may?", "Which boat sank in may?", "en");
}

#[test]
fn the_words_of_one_name_are_one_speaker() {
    let chat = session("Ana Maria: I sold the boat.\nBo: Which boat was it?");
    check(&chat, "Which boat did Ana Maria sell?", "boat I sell?", "en");
    check(&chat, "What colour is Ana Maria's boat?", "colour my boat?", "en");
}

#[test]
fn a_short_question_shows_its_language_by_its_little_words() {
    let chat = assistant_chat();
    check(&chat, "Hat sie eine Katze?", "Hat sie eine Katze?", "de");
    check(&chat, "Wo ist der Hund?", "Wo ist der Hund?", "de");
    check(&chat, "Où est le chat ?", "Où est le chat ?", "fr");
    check(&chat, "¿Dónde está el perro?", "¿Dónde está el perro?", "es");
    check(&chat, "Was the hat in the car?", "Was the hat in the car?", "en");
    check(&chat, "Who met Die Ärzte?", "Who met Die Ärzte?", "en");
}

#[test]
fn other_languages_turn_names_and_the_rest_stays() {
    let chat = session(
        "Anna: Ich habe gestern in der Stadt ein altes Klavier gekauft.
        Jens: Das ist ja eine schöne Überraschung, wo hast du es gefunden?",
    );
    check(&chat, "Wann kaufte Anna das Klavier?", "kaufte ich das Klavier?", "de");
    let japanese = session("花: 私は東京の図書館で働いています。\n健: いいですね、楽しそうです。");
    check(&japanese, "花の図書館はどこですか?", "花の図書館はどこですか?", "ja");
}

#[test]
fn nothing_is_embedded_where_nothing_is_asked() {
    let chat = assistant_chat();
    check(&chat, "ok, thanks!", "", "");
    check(&chat, "", "", "");
    check(&SessionIndex::default(), "Where is my greyhound?", "", "");
    check_after(&chat, "go on", Some("Tell me of the tiles"), "", "");
}

#[test]
fn a_question_that_says_too_little_brings_the_turn_before() {
    let chat = assistant_chat();
    let previous = Some("I want to see old tiles.");
    check_after(&chat, "And trams?", previous, "I want to see old tiles. And trams?", "en");
    check_after(&chat, "Which trams go uphill?", previous, "Which trams go uphill?", "en");
}

#[test]
fn of_a_long_text_its_questions_are_embedded() {
    let chat = assistant_chat();
    let story = "The weather report said many things about clouds and wind. ".repeat(12);
    let text = format!("{story}What is my rent? {story}");
    check(&chat, &text, "What is my rent?", "en");
    check(&chat, story.trim(), story.trim(), "en");
}
