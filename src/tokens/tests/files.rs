//! Tokenizer files: what they count, and which are refused.

use crate::tokens::{Exactness, JSON_BYTES_MAX, Tokenizer};

/// A tokenizer file with a byte-pair vocabulary and all that a real one may switch on which must
/// not change a count. `extra` stands before its first part.
fn file(extra: &str, vocabulary: &str, byte_fallback: bool) -> String {
    format!(
        r#"{{"version":"1.0",{extra}
        "added_tokens":[{{"id":259,"content":"<|endoftext|>","single_word":false,"lstrip":false,
            "rstrip":false,"normalized":false,"special":true}}],
        "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,
        "model":{{"type":"BPE","dropout":0.9,"unk_token":null,"continuing_subword_prefix":null,
            "end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":{byte_fallback},
            "vocab":{{{vocabulary}}},"merges":[MERGES]}}}}"#
    )
    .replace("MERGES", if byte_fallback { "\"h i\"" } else { "" })
}

/// A tokenizer file that knows the word "hi" and takes the bytes of all else.
pub(super) fn bytes_json(extra: &str) -> String {
    let mut vocabulary: Vec<String> =
        (0..=255).map(|byte| format!("\"<0x{byte:02X}>\":{byte}")).collect();
    vocabulary.push("\"h\":256,\"i\":257,\"hi\":258,\"<|endoftext|>\":259,\"[PAD]\":260".into());
    file(extra, &vocabulary.join(","), true)
}

const CUT_AND_PADDED: &str = r#"
    "truncation":{"direction":"Right","max_length":4,"strategy":"LongestFirst","stride":0},
    "padding":{"strategy":{"Fixed":64},"direction":"Right","pad_to_multiple_of":null,
        "pad_id":260,"pad_type_id":0,"pad_token":"[PAD]"},"#;

#[test]
fn a_tokenizer_file_counts_without_truncation_padding_dropout_or_special_tokens() {
    let tokenizer = Tokenizer::from_json(&bytes_json(CUT_AND_PADDED)).expect("a whole file");
    for (text, expected) in
        [("", 0), ("hi", 1), ("hihihihihihi", 6), ("xyz", 3), ("漢", 3), ("<|endoftext|>", 13)]
    {
        assert_eq!(tokenizer.count(text), expected, "{text:?}");
    }
    assert_eq!(tokenizer.count(&"hi ".repeat(30_000)), 60_000);
    assert_eq!(tokenizer.exactness(), Exactness::Exact);
    assert!(!tokenizer.lines_add_up());
}

#[test]
fn a_tokenizer_files_key_is_the_hash_of_its_text() {
    let json = bytes_json("");
    let tokenizer = Tokenizer::from_json(&json).expect("a whole file");
    let hash = blake3::hash(json.as_bytes()).to_hex();
    assert_eq!(tokenizer.key(), format!("json:{}.1", &hash[..16]));
    assert_ne!(tokenizer, Tokenizer::from_json(&bytes_json(CUT_AND_PADDED)).expect("another"));
}

#[track_caller]
fn check_refused(json: &str, reason: &str) {
    let error = Tokenizer::from_json(json).expect_err("not usable").to_string();
    assert!(error.contains(reason), "{error}");
    assert!(error.len() < 400, "{error}");
}

#[test]
fn a_file_that_is_no_tokenizer_is_refused_with_a_reason() {
    check_refused("", "cannot parse");
    check_refused("{}", "cannot parse");
    check_refused(&format!("{{\"x\":{}", "[".repeat(100_000)), "cannot parse");
    check_refused(&bytes_json("")[1..], "cannot parse");
    check_refused(&" ".repeat(JSON_BYTES_MAX + 1), "bytes");
    let words = |vocabulary: &str| {
        format!(
            r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
            "normalizer":null,"pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,
            "decoder":null,"model":{{"type":"WordLevel","vocab":{vocabulary},
            "unk_token":"[UNK]"}}}}"#
        )
    };
    check_refused(&words("{\"one\":0}"), "cannot count the text");
    let long = "a".repeat(100);
    let once = format!(r#"{{"type":"Replace","pattern":{{"String":"a"}},"content":"{long}"}}"#);
    let grows =
        format!(r#""normalizer":{{"type":"Sequence","normalizers":[{once},{once},{once}]}}"#);
    let known = words("{\"[UNK]\":0}");
    check_refused(&known.replace("\"normalizer\":null", &grows), "times longer");
    let whole = Tokenizer::from_json(&words("{\"one\":0,\"[UNK]\":1}")).expect("knows unknowns");
    assert_eq!(whole.count("one two, three"), 4);
    check_refused(&file("", "\"z\":0", false), "no token");
}

#[test]
fn a_tokenizer_file_that_fails_on_a_text_answers_with_its_bytes() {
    let probed = "A word , and 12 more . one two né 漢字 🙂 <| endoftext |>";
    let words: Vec<String> =
        probed.split(' ').enumerate().map(|(id, word)| format!("\"{word}\":{id}")).collect();
    let json = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,
        "decoder":null,"model":{{"type":"WordLevel","vocab":{{{}}},"unk_token":"[UNK]"}}}}"#,
        words.join(",")
    );
    let tokenizer = Tokenizer::from_json(&json).expect("it knows the words it is tried on");
    assert_eq!(tokenizer.count("one word more"), 3);
    assert_eq!(tokenizer.count("one surprise"), 12);
}
