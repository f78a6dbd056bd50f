//! Counts against the reference, lines that add up, and bounds.

use proptest::prelude::*;
use tiktoken_rs::CoreBPE;

use crate::tokens::{Exactness, Tokenizer, tests::builtin};

const PUBLISHED: [&str; 6] =
    ["o200k_base", "o200k_harmony", "cl100k_base", "p50k_base", "p50k_edit", "r50k_base"];

/// Pieces of text at which tokenizers differ: white space of every kind, letters of every class,
/// marks, digits, contractions, special tokens.
const FRAGMENTS: &[&str] = &[
    " ",
    " ",
    "  ",
    "\n",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\t",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{a0}",
    "\u{1680}",
    "\u{2003}",
    "\u{2028}",
    "\u{2029}",
    "\u{202f}",
    "\u{3000}",
    "\u{200b}",
    "\u{feff}",
    "a",
    "The",
    "hello",
    " world",
    "camelCase",
    "XMLHttp",
    "ß",
    "ſ",
    "K",
    "İ",
    "ǅ",
    "ʰ",
    "ª",
    "é",
    "e\u{301}",
    "\u{301}",
    "\u{903}",
    "\u{20dd}",
    "\u{e0100}",
    "א",
    "العربية",
    "ไทย",
    "हिन्दी",
    "漢字",
    "日本",
    "한국어",
    "가",
    "Ω",
    "я",
    "1",
    "12",
    "345",
    "67890",
    "٣",
    "½",
    "²",
    "Ⅷ",
    "'s",
    "'S",
    "'ſ",
    "'LL",
    "'re",
    "'",
    "’s",
    "'d've",
    ".",
    ",",
    "!?",
    "...",
    "/",
    "//",
    "\n/",
    "-",
    "_",
    "---",
    "#",
    "{\"",
    "\\n",
    "=>",
    "🙂",
    "👩‍👩‍👧",
    "🇩🇪",
    "❤️",
    "\u{0}",
    "\u{1f}",
    "\u{fffd}",
    "\u{10ffff}",
    "<|endoftext|>",
    "<|im_start|>",
    "<|",
    "|>",
    "<|fim_prefix|>",
    "aaaaaaaaaaaaaaaaaaaa",
    "          ",
    "https://a.b/c?d",
];

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(FRAGMENTS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-zA-Z]{1,12}",
    ]
}

fn awkward(fragments_max: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..fragments_max).prop_map(|parts| parts.concat())
}

fn long() -> impl Strategy<Value = String> {
    let run = (fragment(), 1..400_usize).prop_map(|(text, times)| text.repeat(times));
    prop::collection::vec(run, 1..8).prop_map(|runs| runs.concat())
}

fn reference(name: &str) -> &'static CoreBPE {
    match name {
        "o200k_base" => tiktoken_rs::o200k_base_singleton(),
        "o200k_harmony" => tiktoken_rs::o200k_harmony_singleton(),
        "cl100k_base" => tiktoken_rs::cl100k_base_singleton(),
        "p50k_base" => tiktoken_rs::p50k_base_singleton(),
        "p50k_edit" => tiktoken_rs::p50k_edit_singleton(),
        _ => tiktoken_rs::r50k_base_singleton(),
    }
}

#[track_caller]
fn check_reference(name: &str, text: &str) {
    let expected = reference(name).encode_ordinary(text).len();
    let start: String = text.chars().take(200).collect();
    assert_eq!(builtin(name).count(text) as usize, expected, "{name}: {start:?}");
}

#[track_caller]
fn check_lines(name: &str, above: &str, below: &str) {
    if below.starts_with(|first: char| first.is_whitespace() || first == '/') {
        return;
    }
    let tokenizer = builtin(name);
    let whole = tokenizer.count(&format!("{above}\n{below}"));
    let lines = tokenizer.count(&format!("{above}\n")) + tokenizer.count(below);
    assert_eq!(whole, lines, "{name}: {above:?} over {below:?}");
}

#[test]
fn text_as_people_write_it_counts_as_the_reference_counts_it() {
    let texts = [
        "",
        "Hello, world!",
        "We're moving to Zürich on 2023-05-08; I'll bring the 3 boxes.\n\nThanks!\n  — Ann\n",
        "fn main() {\n    let x = vec![1, 2, 3];\r\n\tprintln!(\"{:?}\", x);\n}\n",
        "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bogotá\", \"days\": 12}}",
        "昨日、東京で友達に会いました。とても楽しかった!",
        "مرحبا بالعالم، كيف حالك اليوم؟",
        "Ich habe die Donaudampfschifffahrtsgesellschaft angerufen 🙂👩‍👩‍👧🇩🇪",
    ];
    for name in PUBLISHED {
        for text in texts {
            check_reference(name, text);
        }
    }
}

#[test]
fn text_that_looks_like_special_tokens_is_plain_text() {
    for name in PUBLISHED {
        check_reference(name, "<|endoftext|>");
        check_reference(name, "a<|im_start|>user<|im_end|><|endofprompt|>\n<|start|><|call|>");
        assert!(builtin(name).count("<|endoftext|>") > 1, "{name}");
    }
}

#[test]
fn long_and_monotonous_text_counts_as_the_reference_counts_it() {
    let units = [
        "a", " ", "\n", ".", "é", "漢", "🙂", "\u{301}", "7", "ab", "a ", " \n", "\r\n", "'s", "/",
    ];
    for name in ["o200k_base", "cl100k_base", "p50k_base", "r50k_base"] {
        for unit in units {
            let text = unit.repeat(20_000 / unit.len());
            check_reference(name, &text);
            check_reference(name, &format!("x{text}y"));
        }
    }
}

#[test]
fn rules_of_any_length_count_as_the_reference_counts_them() {
    for name in ["o200k_base", "cl100k_base"] {
        for unit in ["-", "=", "*", "/", "#", "\t", "-=", "_"] {
            for times in (1..300).chain([511, 640, 1_023, 1_024, 1_025, 4_097]) {
                let rule = unit.repeat(times);
                check_reference(name, &rule);
                check_reference(name, &format!("a {rule}\n"));
                check_reference(name, &format!("#{rule}+b"));
            }
        }
    }
}

#[test]
fn white_space_without_end_does_not_break_the_older_encodings() {
    for unit in [" ", "\n", "\t ", "\u{3000}"] {
        let text = format!("a{}b", unit.repeat(1_200_000));
        for name in ["p50k_base", "r50k_base", "cl100k_base", "o200k_base"] {
            assert!(builtin(name).count(&text) > 2, "{name}");
        }
    }
}

#[test]
fn all_that_looks_random_counts_as_the_reference_counts_it() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::new();
    while text.len() < 60_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let draw = u32::try_from(state >> 33).expect("31 bits");
        let range = [0x80, 0x250, 0x3000, 0x11_0000][(state >> 20) as usize % 4];
        text.extend(char::from_u32(draw % range));
    }
    for name in PUBLISHED {
        check_reference(name, &text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn awkward_text_counts_as_o200k_counts_it(text in awkward(16)) {
        check_reference("o200k_base", &text);
    }

    #[test]
    fn awkward_text_counts_as_cl100k_counts_it(text in awkward(16)) {
        check_reference("cl100k_base", &text);
    }

    #[test]
    fn lines_add_up(above in awkward(8), below in awkward(8)) {
        for name in ["o200k_base", "cl100k_base", "claude", "claude_legacy", "gemini"] {
            check_lines(name, &above, &below);
        }
    }

    #[test]
    fn a_bound_is_never_below_its_encoding_nor_far_above_the_bytes(text in awkward(12)) {
        let bytes = u32::try_from(text.len()).expect("short");
        let lines = u32::try_from(text.lines().count().max(1)).expect("few");
        for (name, base) in
            [("claude", "cl100k_base"), ("claude_legacy", "cl100k_base"), ("gemini", "o200k_base")]
        {
            let bound = builtin(name).count(&text);
            prop_assert!(bound >= builtin(base).count(&text), "{} of {:?}", name, text);
            prop_assert!(bound <= bytes + 2 * lines, "{} of {:?}", name, text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn awkward_text_counts_as_the_older_encodings_count_it(text in awkward(16)) {
        for name in ["p50k_base", "p50k_edit", "r50k_base", "o200k_harmony"] {
            check_reference(name, &text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn long_awkward_text_counts_as_the_reference_counts_it(text in long()) {
        for name in PUBLISHED {
            check_reference(name, &text);
        }
    }
}

#[test]
fn a_bound_is_the_ratio_rounded_up_line_by_line() {
    let text = "one two three\nfour\n";
    let lines = ["one two three\n", "four\n"].map(|line| builtin("cl100k_base").count(line));
    let expected: u32 = lines.iter().map(|tokens| (tokens * 3).div_ceil(2)).sum();
    assert_eq!(builtin("claude_legacy").count(text), expected);
    assert_eq!(builtin("claude").count(text), 2 * builtin("cl100k_base").count(text));
    let emoji = "🙂 ".repeat(40);
    let words = builtin("o200k_base").count(&emoji);
    assert_eq!(builtin("gemini").count(&emoji), (words * 13).div_ceil(10));
    for name in ["claude", "claude_legacy", "gemini"] {
        assert_eq!(builtin(name).count(""), 0);
        assert_eq!(builtin(name).exactness(), Exactness::Estimated);
    }
}

#[test]
fn names_that_count_alike_share_a_key_and_no_others_do() {
    let key = |name| builtin(name).key().to_owned();
    assert_eq!(key("o200k_base"), key("o200k_harmony"));
    assert_eq!(key("p50k_base"), key("p50k_edit"));
    let mut keys: Vec<String> = Tokenizer::builtin_names().map(key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 7, "{keys:?}");
    assert!(Tokenizer::builtin("").is_none());
    assert!(Tokenizer::builtin("o200k").is_none());
}

#[test]
fn only_encodings_with_a_border_at_line_breaks_say_that_lines_add_up() {
    for name in Tokenizer::builtin_names() {
        let expected = !["p50k_base", "p50k_edit", "r50k_base"].contains(&name);
        assert_eq!(builtin(name).lines_add_up(), expected, "{name}");
    }
}
