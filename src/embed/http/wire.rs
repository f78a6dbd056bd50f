//! The messages of `/v1/embeddings`: what is asked, and what an answer must be. Neither texts nor
//! words of the server go into what is said of a bad one: a server may repeat texts and keys.

use serde::{Deserialize, Serialize};

use crate::embed::unit;

/// The longest code of an error that is repeated.
const CODE_CHARS_MAX: usize = 48;

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Answered {
    data: Vec<Item>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    /// Which text it is of; where it is left out, the place says so.
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    code: Option<serde_json::Value>,
    r#type: Option<serde_json::Value>,
}

/// What a good answer says.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// One vector of length 1 for each text, in the order in which they were asked.
    pub vectors: Vec<Vec<f32>>,
    /// What the server counted for all of them; 0: it does not count.
    pub tokens: u64,
}

/// The body that asks for the vectors of texts.
pub(super) fn ask(model: &str, texts: &[String], dimensions: Option<usize>) -> Vec<u8> {
    let asked = Asked { model, input: texts, dimensions };
    serde_json::to_vec(&asked).expect("texts and numbers are JSON")
}

/// Reads an answer to so many texts; `dimensions` 0: vectors of any length, all of the same.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(body: &[u8], texts: usize, dimensions: usize) -> Result<Answer, String> {
    let answered: Answered = serde_json::from_slice(body).map_err(|error| {
        // Its own words may quote the body.
        let (line, column) = (error.line(), error.column());
        format!("its answer cannot be read from line {line}, column {column} on")
    })?;
    let found = answered.data.len();
    if found != texts {
        return Err(format!("it gives {found} vectors for {texts} texts"));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; texts];
    let mut expected = dimensions;
    for (place, item) in answered.data.into_iter().enumerate() {
        let numbers = item.embedding.len();
        if numbers == 0 || expected != 0 && numbers != expected {
            return Err(format!("it gives a vector of {numbers} numbers, not of {expected}"));
        }
        expected = numbers;
        if !item.embedding.iter().all(|x| x.is_finite()) {
            return Err("it gives a vector with a number that is none".to_owned());
        }
        let index = item.index.unwrap_or(place);
        match vectors.get_mut(index) {
            Some(free @ None) => *free = Some(unit(item.embedding)),
            Some(Some(_)) => return Err(format!("it gives two vectors for text {index}")),
            None => return Err(format!("it gives a vector for text {index} of {texts}")),
        }
    }
    let tokens = answered.usage.and_then(|usage| usage.total_tokens.or(usage.prompt_tokens));
    let vectors = vectors.into_iter().flatten().collect();
    Ok(Answer { vectors, tokens: tokens.unwrap_or(0) })
}

/// The code of an error, when it is one: a word of small letters, digits and `_`.
pub(super) fn code(body: &[u8]) -> Option<String> {
    let reason = serde_json::from_slice::<Refusal>(body).ok()?.error;
    let is_code = |text: &str| {
        let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (1..=CODE_CHARS_MAX).contains(&text.len()) && text.bytes().all(small) && text.contains('_')
    };
    let mut said = [reason.code, reason.r#type].into_iter().flatten();
    said.find_map(|said| said.as_str().filter(|text| is_code(text)).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::{ask, code, read};

    /// What becomes of an answer to two texts with vectors of two numbers: the first numbers of its
    /// vectors and the tokens, or what is wrong.
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let found = match read(body.as_bytes(), 2, 2) {
            Ok(answer) => {
                let firsts: Vec<_> =
                    answer.vectors.iter().map(|v| format!("{:.1}", v[0])).collect();
                format!("{} | {}", firsts.join(" "), answer.tokens)
            }
            Err(why) => why,
        };
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn vectors_come_in_the_order_of_their_index_and_have_length_one() {
        check(
            r#"{"data":[{"index":1,"embedding":[0,-7]},{"index":0,"embedding":[3,4]}],
               "usage":{"total_tokens":9,"prompt_tokens":8}}"#,
            "0.6 0.0 | 9",
        );
        check(r#"{"data":[{"embedding":[3,4]},{"embedding":[1,0]}]}"#, "0.6 1.0 | 0");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let one = |item: &str| format!(r#"{{"data":[{{"index":0,"embedding":[1,0]}},{item}]}}"#);
        check(r#"{"data":[{"index":0,"embedding":[1,0]}]}"#, "it gives 1 vectors for 2 texts");
        check(&one(r#"{"index":0,"embedding":[1,0]}"#), "it gives two vectors for text 0");
        check(&one(r#"{"index":2,"embedding":[1,0]}"#), "it gives a vector for text 2 of 2");
        check(
            &one(r#"{"index":1,"embedding":[1,0,0]}"#),
            "it gives a vector of 3 numbers, not of 2",
        );
        check(&one(r#"{"index":1,"embedding":[]}"#), "it gives a vector of 0 numbers, not of 2");
        let none = "it gives a vector with a number that is none";
        check(&one(r#"{"index":1,"embedding":[1e39,0]}"#), none);
    }

    #[test]
    fn what_is_no_number_is_refused_and_nothing_of_it_is_repeated() {
        for number in ["null", "NaN", "\"secret\"", "1e999"] {
            let body = format!("{{\"data\":[{{\"embedding\":[{number}]}},{{\"embedding\":[1]}}]}}");
            let why = read(body.as_bytes(), 2, 1).unwrap_err();
            assert!(why.starts_with("its answer cannot be read from line 1"), "{why}");
        }
        assert!(!read(b"secret", 1, 1).unwrap_err().contains("secret"));
    }

    #[test]
    fn vectors_of_an_unknown_length_must_all_have_the_same() {
        let body = br#"{"data":[{"embedding":[1,0]},{"embedding":[1,0,0]}]}"#;
        let why = read(body, 2, 0).unwrap_err();
        assert_eq!(why, "it gives a vector of 3 numbers, not of 2");
    }

    #[test]
    fn codes_of_errors_are_repeated_and_sentences_are_not() {
        let said = |body: &str| code(body.as_bytes());
        let quota = r#"{"error":{"message":"Pay, sk-1!","type":"x","code":"insufficient_quota"}}"#;
        assert_eq!(said(quota).as_deref(), Some("insufficient_quota"));
        let by_type = r#"{"error":{"message":"no","type":"invalid_request_error","code":null}}"#;
        assert_eq!(said(by_type).as_deref(), Some("invalid_request_error"));
        assert_eq!(said(r#"{"error":{"code":"Incorrect key sk-1","type":"word"}}"#), None);
        assert_eq!(said("no JSON"), None);
    }

    #[test]
    fn dimensions_are_sent_only_when_they_are_to_be() {
        let text =
            |dimensions| String::from_utf8(ask("m", &["a\"b".to_owned()], dimensions)).unwrap();
        assert_eq!(text(None), r#"{"model":"m","input":["a\"b"]}"#);
        assert_eq!(text(Some(8)), r#"{"model":"m","input":["a\"b"],"dimensions":8}"#);
    }
}
