//! WordPiece against the reference, and vectors that stay as they were.

use proptest::prelude::*;
use tokenizers::models::wordpiece::WordPiece as Reference;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{Tokenizer, TruncationParams};

use crate::embed::{
    EmbedError,
    builtin::{TOKENS_MAX, WordPiece},
    refuse_strange, unit,
};

const VOCABULARY: &str = include_str!("../../models/minilm/vocab.txt");

/// The reference tokenizer over the same vocabulary, without its special marks.
fn reference() -> Tokenizer {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/models/minilm/vocab.txt");
    let model = Reference::from_file(file).unk_token("[UNK]".into()).build().unwrap();
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, None, true)));
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    let truncation = TruncationParams { max_length: TOKENS_MAX - 2, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).unwrap();
    tokenizer
}

#[track_caller]
fn check(reference: &Tokenizer, words: &WordPiece, text: &str) {
    let encoding = reference.encode(text, false).unwrap();
    let mut expected = vec![101];
    expected.extend(encoding.get_ids().iter().map(|id| i32::try_from(*id).unwrap()));
    expected.push(102);
    assert_eq!(words.ids(text), expected, "{text:?}");
}

#[test]
fn awkward_text_has_the_tokens_of_the_reference() {
    let (reference, words) = (reference(), WordPiece::new(VOCABULARY));
    for text in [
        "",
        " \t\n ",
        "Hello, World!",
        "naïve café ÅNGSTRÖM İstanbul ß ǅ",
        "don't—stop…",
        "東京は日本の首都です",
        "한국어 문장",
        "المكتبة",
        "ภาษาไทย",
        "हिन्दी में",
        "Ω≈ç√∫",
        "👩‍👩‍👧 🇩🇪 ☃️",
        "a\u{200b}b\u{ad}c\u{feff}",
        "\u{0}x\u{fffd}y\u{85}z\u{2028}w",
        "\u{f900}\u{2f800}",
        "[CLS] [SEP] [MASK] ##ing",
        "e\u{301}\u{327}\u{323}",
        "ﬁ ½ ①",
        "snake_case::path->x += 1;",
        "\u{1d15e} 𝒜𝒷𝒸 \u{10ffff} \u{e000}",
        "ǆ Ǆ ẞ ΣΑΣ",
        "\u{37e} \u{1fef} \u{2000}a\u{3000}b",
    ] {
        check(&reference, &words, text);
    }
    for letters in [99, 100, 101, 10_000] {
        check(&reference, &words, &"a".repeat(letters));
    }
    check(&reference, &words, &"well, then. ".repeat(1_000));
}

proptest! {
    #[test]
    fn any_text_has_the_tokens_of_the_reference(
        texts in prop::collection::vec("\\PC{0,40}|[ -~]{0,80}|[\\u{300}-\\u{36f}a-zA-Z]{0,30}", 40)
    ) {
        let (reference, words) = (reference(), WordPiece::new(VOCABULARY));
        for text in texts {
            check(&reference, &words, &text);
        }
    }
}

#[test]
fn a_vector_without_direction_becomes_a_unit_vector_all_the_same() {
    assert_eq!(unit(vec![0.0, 0.0]), [1.0, 0.0]);
    assert_eq!(unit(vec![f32::NAN, 1.0]), [1.0, 0.0]);
    assert_eq!(unit(vec![3.0, 4.0]), [0.6, 0.8]);
}

#[test]
fn a_vector_with_what_is_no_number_is_refused() {
    for strange in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let made = refuse_strange(vec![1.0, strange]);
        assert!(matches!(made, Err(EmbedError::Failed { .. })), "{strange}");
    }
    assert_eq!(refuse_strange(vec![3.0, 4.0]).unwrap(), [0.6, 0.8]);
}
