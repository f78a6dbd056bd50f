//! How much longer the normalizer of a tokenizer file may make a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// By what factor a text may grow at the most. The normalizers of known models stay at 3 (a space
/// becomes `▁`), or at 33 for one character of theirs; a library that normalizes keeps 17 bytes for
/// each that comes out.
pub(super) const GROWTH_MAX: usize = 64;

#[derive(Deserialize)]
struct File {
    normalizer: Option<Value>,
}

/// By what factor a text may grow, as far as the file can be read: what cannot be is refused by
/// the tokenizer library.
pub(super) fn growth(file: &str) -> usize {
    let file: Option<File> = serde_json::from_str(file).ok();
    file.and_then(|file| file.normalizer).map_or(1, |normalizer| of(&normalizer))
}

fn of(normalizer: &Value) -> usize {
    let text = |name: &str| normalizer[name].as_str().unwrap_or_default();
    match text("type") {
        "Sequence" => {
            let all = normalizer["normalizers"].as_array();
            all.into_iter().flatten().map(of).fold(1, usize::saturating_mul)
        }
        "Replace" => {
            let content = text("content").len();
            match normalizer["pattern"]["String"].as_str() {
                Some("") => usize::MAX,
                Some(pattern) => content.div_ceil(pattern.len()).max(1),
                // An expression may match the empty text before each character.
                None => content + 1,
            }
        }
        "Precompiled" => replacements(text("precompiled_charsmap")),
        "ByteLevel" => 2,
        _ => 1,
    }
}

/// The longest text that a map of SentencePiece puts in the place of another one, in bytes. The map
/// is the size of a trie (four bytes, little end first), the trie, and texts that end in NUL.
fn replacements(map: &str) -> usize {
    let Ok(map) = STANDARD.decode(map) else { return 1 };
    let Some((size, rest)) = map.split_first_chunk() else { return 1 };
    let texts = rest.get(u32::from_le_bytes(*size) as usize..).unwrap_or_default();
    texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::growth;

    #[track_caller]
    fn check(normalizer: &str, expected: usize) {
        assert_eq!(growth(&format!(r#"{{"normalizer":{normalizer},"model":{{}}}}"#)), expected);
    }

    #[test]
    fn the_growth_of_a_text_is_the_product_of_what_its_normalizers_put_in() {
        check("null", 1);
        check(r#"{"type":"NFC"}"#, 1);
        let space = r#"{"type":"Replace","pattern":{"String":" "},"content":"▁"}"#;
        check(space, 3);
        check(&format!(r#"{{"type":"Sequence","normalizers":[{space},{space}]}}"#), 9);
        check(r#"{"type":"Replace","pattern":{"String":"abcd"},"content":"a"}"#, 1);
        check(r#"{"type":"Replace","pattern":{"String":""},"content":"a"}"#, usize::MAX);
        check(r#"{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}"#, 4);
        let long = "a".repeat(1_000);
        let long = format!(r#"{{"type":"Replace","pattern":{{"String":"a"}},"content":"{long}"}}"#);
        let nested = format!(r#"{{"type":"Sequence","normalizers":[{long},{long},{long}]}}"#);
        check(&format!(r#"{{"type":"Sequence","normalizers":[{nested}]}}"#), 1_000_000_000);
    }

    #[test]
    fn the_longest_replacement_of_a_map_counts() {
        let map = [&4_u32.to_le_bytes()[..], b"trie", b"ab\0abcdefg\0a\0"].concat();
        let map = STANDARD.encode(map);
        check(&format!(r#"{{"type":"Precompiled","precompiled_charsmap":"{map}"}}"#), 7);
        check(r#"{"type":"Precompiled","precompiled_charsmap":"%%"}"#, 1);
    }
}
