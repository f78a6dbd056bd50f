//! Texts without borders: their chunks hold, and the work is linear in their length.

use std::cell::Cell;

use super::{read, text_of, tokens};
use crate::chunks::chunk;
use crate::types::{Chunking, MediaType};

/// Checks 200 KB of `part`, and that the bytes that are counted, over and over, are within some
/// times the text.
#[track_caller]
fn check(media: MediaType, part: &str) {
    let extract = read(media, &part.repeat(200_000 / part.len()));
    let counted = Cell::new(0);
    let count = |text: &str| {
        counted.set(counted.get() + text.len());
        tokens(text)
    };
    let spans = chunk("", &extract, Chunking::DEFAULT, &count);
    let mut end = 0;
    for span in &spans {
        assert!(span.start <= end && span.end > end && span.tokens <= 200, "{span:?}");
        assert!(!text_of(&extract, span).is_empty());
        end = span.end;
    }
    assert_eq!(end as usize, extract.text.len());
    let times = counted.get() / extract.text.len().max(1);
    assert!(times <= 6, "counted {times} times");
}

#[test]
fn texts_without_borders_are_cut_in_linear_work() {
    for part in [
        "a",
        "Zq9+/",
        " ",
        "\n",
        "\r\n",
        "\r",
        "\0",
        "\t",
        "-",
        ".",
        "漢字",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "\u{200d}",
        "\u{301}",
        "e\u{301}",
        "word and another ",
        "a\n",
        ". 1 2 3 4 5 6 7 ",
        "ภาษาไทยเป็นภาษา",
    ] {
        check(MediaType::Plain, part);
    }
}

#[test]
fn hostile_markdown_is_cut_in_linear_work() {
    for part in
        ["*", "[", "> ", "# a\n", "```\n# x\n", "![[]()", "|a|b|\n", "* * * a\n", "&", "<!--"]
    {
        check(MediaType::Markdown, part);
    }
}

#[test]
fn hostile_rows_are_cut_in_linear_work() {
    for part in ["\"", ",", "\n\n,", "\"\"", "a,b\n", "\"a\nb\","] {
        check(MediaType::Csv, part);
    }
    check(MediaType::JsonLines, "[1, 2]\n");
    check(MediaType::JsonLines, "{\"key\": \"a value of some words\"}\n");
}
