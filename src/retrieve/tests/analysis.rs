use proptest::prelude::*;

use crate::retrieve::{
    Language,
    passages::passages,
    stem::{Stem, hash},
    terms::{ANALYSIS_VERSION, ENDS_IN_QUESTION, FIRST_PERSON, IS_QUESTION, analyse_text},
    words::{Side, Word, each_word},
};

#[track_caller]
fn check_words(text: &str, expected: &str) {
    let mut words = Vec::new();
    each_word(text, Side::Query, &mut |word| words.push(word.text.to_owned()));
    assert_eq!(words.join(" "), expected);
}

#[test]
fn words_are_folded_and_cut_at_apostrophes() {
    check_words("Don't STOP, Straße 1,000!", "don t stop strasse 1000");
    check_words("ﬁne ＡＢＣ L’Homme", "fine abc l homme");
    check_words("", "");
    check_words("🙂 … ?", "");
}

#[test]
fn identifiers_are_given_whole_and_in_parts() {
    check_words("parse_header", "parse_header parse header");
    check_words("renderFrame", "renderframe render frame");
    check_words("std::io and a.b.cd", "std io std::io and a.b.cd cd");
    check_words("3.14", "3.14");
}

#[test]
fn scripts_without_spaces_are_given_in_pairs() {
    check_words("東京都", "東京 京都");
    check_words("猫が好き", "猫 が 好 き");
    check_words("カメラを買う", "カメラ カメ メラ を 買 う");
    check_words("한국어", "한국 국어");
    check_words("ab東京", "ab 東京");
    check_words("กินปู", "กิน นปู");
}

#[track_caller]
fn check_marks(text: &str, expected: u8) {
    assert_eq!(analyse_text(text, None).marks & 7, expected, "{text}");
}

#[test]
fn marks_say_what_a_turn_is() {
    check_marks("I'm here.", FIRST_PERSON);
    check_marks("Nice. Why?", ENDS_IN_QUESTION | IS_QUESTION);
    check_marks("So. It is red. Why?", ENDS_IN_QUESTION);
    check_marks("Why? It is red. So be it.", 0);
    check_marks("Wirklich? Ich bin gestern mit dem Zug nach Hause gefahren.", 5);
    check_marks("本当ですか？", ENDS_IN_QUESTION | IS_QUESTION);
    check_marks("", 0);
}

#[track_caller]
fn check_language(text: &str, expected: Option<Language>) {
    assert_eq!(Language::detect(text), expected, "{text}");
}

#[test]
fn a_language_is_detected_only_when_there_is_enough_to_tell() {
    check_language("Where is the key to the garden house?", Some(Language::English));
    check_language(
        "Gestern sind wir mit dem Fahrrad an den See gefahren und haben dort gebadet.",
        Some(Language::German),
    );
    check_language("Привет", Some(Language::Russian));
    check_language("شكرا", Some(Language::Arabic));
    check_language("東京", Some(Language::Chinese));
    check_language("東京です", Some(Language::Japanese));
    check_language("ok", None);
    check_language("", None);
}

#[test]
fn language_codes_are_read() {
    assert_eq!(Language::parse(""), None);
    assert_eq!(Language::parse("de"), Some(Language::German));
    assert_eq!(Language::parse("pt-BR"), Some(Language::Portuguese));
    assert_eq!(Language::parse("xx"), Some(Language::Other));
}

/// Everything that derived rows hold depends on these: when one of them changes, the version must
/// change with it.
#[test]
fn the_analysis_version_is_bound_to_its_output() {
    let text = "I'll visit the children's Häuser in 2023, cafés & snake_case! 東京 ok? Спасибо";
    let terms = analyse_text(text, Some(Language::English));
    let bytes = postcard::to_stdvec(&terms).expect("terms are serialisable");
    let digest = blake3::hash(&bytes).to_hex();
    assert_eq!((ANALYSIS_VERSION, &digest[..16]), (4, "3781661ffeeacd88"));
    let back: crate::retrieve::TurnTerms = postcard::from_bytes(&bytes).expect("they come back");
    assert_eq!(back, terms);
    assert_eq!(hash("kayak"), 4_989_036_569_934_231_695);
}

#[test]
fn stems_lose_their_accents() {
    let hashes = |language, text| {
        let mut hashes = Vec::new();
        let word = Word { text, raw: false, idle: false, again: false };
        Stem::new(language).each_hash(word, &mut |hash| hashes.push(hash));
        hashes
    };
    assert_eq!(hashes(Language::French, "cafés"), hashes(Language::French, "cafes"));
    assert_eq!(hashes(Language::English, "running"), hashes(Language::English, "runs"));
    assert_eq!(hashes(Language::Other, "runs"), [hash("runs")]);
    // Without stems the accents count beside the letters.
    assert_eq!(hashes(Language::Vietnamese, "phở"), [hash("pho"), hash("phở")]);
    // The ending stands behind an accent: both stems are there.
    let without = hashes(Language::Spanish, "habitacion");
    assert!(hashes(Language::Spanish, "habitación").contains(&without[0]));
}

#[test]
fn to_be_found_characters_are_given_alone_too() {
    let check = |text, expected: &str| {
        let mut words = Vec::new();
        each_word(text, Side::Index, &mut |word| words.push(word.text.to_owned()));
        assert_eq!(words.join(" "), expected);
    };
    check("黒猫", "黒猫 黒 猫");
    check("猫", "猫");
    check("책을", "책을 책");
    check("กินปู", "กิน นปู กิ ปู");
}

#[test]
fn passages_end_at_sentences_and_keep_code_together() {
    let prose = "One sentence stands here. ".repeat(80);
    let code = format!("```\n{}```\n", "let x = 1;\n".repeat(20));
    let text = format!("{prose}\n{code}{prose}");
    let found = passages(&text);
    assert!(found.len() > 4, "{found:?}");
    let fence = text.find("```").expect("there is code");
    let holder = found.iter().find(|range| range.contains(&fence)).expect("it is in a passage");
    assert!(holder.contains(&(fence + code.len() - 2)), "{holder:?}");
    for range in &found[..found.len() - 1] {
        assert!(text[range.clone()].trim_end().ends_with(['.', '`']), "{range:?}");
    }
    assert_eq!(passages("").iter().map(ExactSizeIterator::len).collect::<Vec<_>>(), [0]);
    assert_eq!(passages("short").iter().map(ExactSizeIterator::len).collect::<Vec<_>>(), [5]);
}

proptest! {
    #[test]
    fn passages_together_are_the_text(text in "(?s)(.{0,40}|[a-z ]{0,400}[.?!\n]|```\n){0,40}") {
        let found = passages(&text);
        let mut at = 0;
        for range in &found {
            prop_assert_eq!(range.start, at);
            prop_assert!(text.is_char_boundary(range.end));
            at = range.end;
        }
        prop_assert_eq!(at, text.len());
        analyse_text(&text, None);
    }
}
