//! Which bytes are which text, and which are none.

use super::read;
use crate::chunks::{ExtractError, Heading, extract};
use crate::types::MediaType;

#[track_caller]
fn check_headings(media: MediaType, text: &str, expected: &str) {
    let extract = read(media, text);
    let show = |Heading { at, level, text }: &Heading| format!("{at}:{level}:{text}");
    let shown: Vec<_> = extract.headings.iter().map(show).collect();
    assert_eq!(shown.join(" | "), expected);
}

#[test]
fn what_is_verbatim_keeps_every_byte() {
    let text = "\u{feff}one\r\ntwo\0three\rfour\n";
    for media in [MediaType::Plain, MediaType::Source, MediaType::Markdown, MediaType::Csv] {
        let extract = read(media, text);
        assert_eq!((extract.text.as_str(), extract.verbatim), (text, true));
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_told_by_their_place() {
    for media in MediaType::ALL.into_iter().filter(|media| *media != MediaType::Pdf) {
        let error = extract(media, b"good \xff bad").unwrap_err();
        assert_eq!(error, ExtractError::NotUtf8 { at: 5 });
        assert_eq!(error.to_string(), "the bytes are no UTF-8 from byte `5` on");
        // A character that is cut off.
        assert_eq!(extract(media, b"ab\xe6\xbc").unwrap_err(), ExtractError::NotUtf8 { at: 2 });
    }
}

#[test]
fn markdown_has_atx_and_setext_headings_and_none_in_code() {
    let check = |text, expected| check_headings(MediaType::Markdown, text, expected);
    check("# One\ntext\n\n## Two `code` *it*\n", "0:1:One | 12:2:Two code it");
    check("One\nmore\n===\n\nTwo\n---\n", "0:1:One more | 14:2:Two");
    check("```\n# no\n```\n~~~~\n# no\n~~~\n# no\n~~~~\n# yes\n", "37:1:yes");
    check("    # no\n\n#no\n\n####### no\n", "");
    check("\u{feff}# One {#one}\r\n\r\ntext\r\n", "3:1:One");
    check("---\ntitle: x\n---\n# One\n", "17:1:One");
    check("# \n## Two\n", "3:2:Two");
}

#[test]
fn headings_beyond_the_first_block_have_their_places() {
    let filler = "some words of a paragraph\n\n".repeat(8_000);
    let text = format!("# One\n\n{filler}## Two\n\n```\n{filler}# no\n{filler}\n```\n\n## Three\n");
    let two = text.find("## Two").unwrap();
    let three = text.find("## Three").unwrap();
    check_headings(MediaType::Markdown, &text, &format!("0:1:One | {two}:2:Two | {three}:2:Three"));
    let long = format!("{}\n\n# After\n", "x".repeat(700_000));
    check_headings(MediaType::Markdown, &long, "700002:1:After");
}

#[test]
fn a_long_heading_is_cut() {
    let extract = read(MediaType::Markdown, &format!("# {}\n", "wörd ".repeat(100)));
    let heading = &extract.headings[0].text;
    assert!(heading.len() <= 160 && heading.starts_with("wörd wörd"), "{heading}");
}

#[test]
fn each_line_of_json_lines_is_a_row() {
    let text = "\u{feff}{\"a\": 1}\r\n\n  \n[2]\n\"three\"";
    assert_eq!(read(MediaType::JsonLines, text).rows, [0, 17, 21]);
}

#[test]
fn what_is_no_json_lines_is_told_by_its_line_without_content() {
    let check = |text: &str, expected: &str| {
        let error = extract(MediaType::JsonLines, text.as_bytes()).unwrap_err();
        let expected = format!("the bytes are no `application/jsonl`: {expected}");
        assert_eq!(error.to_string(), expected);
    };
    check("{}\n{\"secret\": \n", "line 2 ends within a value, column 10");
    check("{}\n\n{} secret\n", "line 3 is no JSON, column 4");
    check(&"[".repeat(100_000), "line 1 ends within a value, column 100000");
}

#[test]
fn each_record_of_csv_is_a_row_and_names_are_a_heading() {
    let text = "name,note\nAnn,\"two\nlines\"\n\nBob,x\r\nEve,y";
    let extract = read(MediaType::Csv, text);
    let starts: Vec<_> = extract.rows.iter().map(|row| &text[*row..][..3]).collect();
    assert_eq!(starts, ["nam", "Ann", "Bob", "Eve"]);
    check_headings(MediaType::Csv, text, "10:1:name, note");
    check_headings(MediaType::Csv, "a;b;c\n1;2;3\n", "6:1:a, b, c");
    check_headings(MediaType::Csv, "1,2\n3,4\n", "");
    check_headings(MediaType::Csv, "name,\n3,4\n", "");
    check_headings(MediaType::Csv, "name,other\n", "");
    check_headings(MediaType::Csv, &format!("{},b\n3,4\n", "a".repeat(200)), "");
}

#[test]
fn a_pdf_is_read_elsewhere() {
    let error = extract(MediaType::Pdf, b"%PDF").unwrap_err();
    assert!(error.to_string().contains("a process of its own"), "{error}");
}
