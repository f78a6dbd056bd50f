//! Whatever a text is, its chunks cover it, in order, and none is too large.

use proptest::prelude::*;

use super::{chunking, read, text_of, tokens};
use crate::chunks::{Extract, chunk, extract, searchable};
use crate::types::{Chunking, MediaType};

/// What holds for the chunks of any text.
#[track_caller]
fn check(extract: &Extract, chunking: Chunking, count: &dyn Fn(&str) -> u32) {
    let text = &extract.text;
    let spans = chunk("A title", extract, chunking, count);
    assert_eq!(spans, chunk("A title", extract, chunking, count), "the same again");
    assert_eq!(spans.is_empty(), text.is_empty());
    let mut before = None;
    for span in &spans {
        let (start, end) = (span.start as usize, span.end as usize);
        assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{span:?}");
        let (last_start, last_end) = before.unwrap_or((0, 0));
        assert!(before.is_none() || start > last_start, "starts rise: {span:?}");
        assert!(start <= last_end && end > last_end, "no gap, and something new: {span:?}");
        assert_eq!(span.tokens, count(text_of(extract, span)));
        assert!(span.tokens <= u32::from(chunking.tokens_max), "{span:?}");
        let repeated = count(&text[start..last_end]);
        assert!(repeated <= u32::from(chunking.overlap_tokens), "{repeated}: {span:?}");
        let searched = searchable("A title", &span.heading, text_of(extract, span));
        assert_eq!(span.hash, blake3::hash(searched.as_bytes()).as_bytes()[..16]);
        before = Some((start, end));
    }
    assert_eq!(before.map_or(0, |(_, end)| end), text.len());
    let places = extract.headings.iter().map(|heading| heading.at);
    assert!(places.is_sorted() && extract.rows.is_sorted());
}

/// Parts of documents: scripts, breaks, white space, marks that formats know, long words.
fn part() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "\n\n\n",
        " ",
        "\t",
        "    ",
        "\u{a0}",
        "\u{feff}",
        "\0",
        ". ",
        "# ",
        "## ",
        "\n# Title\n",
        "\n===\n",
        "```\n",
        "---\n",
        "- ",
        "> ",
        "| a | b |\n",
        "*",
        "[",
        "<p>",
        "</p>",
        "<h2>",
        "</h2>",
        "<div>",
        "<script>",
        "</script>",
        "<pre>",
        "&amp;",
        "<br>",
        ",",
        ";",
        "\"",
        "\"\"",
        "{\"a\": 1}\n",
        "[1, 2]\n",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "e\u{301}",
        "\u{200d}",
        "The train left. ",
        "Dr. Who? Yes! ",
        "今天天气很好。",
        "ภาษาไทย",
        "שלום עולם ",
        "Привет, мир! ",
        "مرحبا بالعالم؟ ",
        "नमस्ते दुनिया। ",
        "fn main() {\n    body();\n}\n",
        "a",
    ]);
    let long = (
        prop::sample::select(vec!["a", "Z9+", " ", "\n", "漢", "👩‍👩‍👧‍👦", "\u{301}", "-", ". "]),
        1..700_usize,
    );
    prop_oneof![
        6 => fixed.prop_map(str::to_owned),
        2 => "[a-z]{1,12} ",
        2 => "\\PC{0,20}",
        1 => long.prop_map(|(part, times)| part.repeat(times)),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 0..60).prop_map(|parts| parts.concat())
}

fn any_chunking() -> impl Strategy<Value = Chunking> {
    (32..260_u16, 0..=100_u16).prop_map(|(tokens_max, percent)| {
        chunking(tokens_max, u32::from(tokens_max * percent).div_euclid(200) as u16)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_byte_of_any_text_is_in_a_chunk_within_its_limits(
        text in text(),
        chunking in any_chunking(),
    ) {
        for media in MediaType::ALL {
            let Ok(extract) = extract(media, text.as_bytes()) else { continue };
            if extract.verbatim {
                assert_eq!(extract.text, text);
            }
            check(&extract, chunking, &tokens);
        }
    }

    #[test]
    fn a_count_that_does_not_add_up_is_kept_to_as_well(
        text in text(),
        chunking in any_chunking(),
        seed in any::<u8>(),
    ) {
        // Anything from 1 token to one for each byte, jumping with the bytes at its ends.
        let count = |text: &str| {
            let ends = text.bytes().next().unwrap_or(0) ^ text.bytes().next_back().unwrap_or(0);
            (text.len() / (1 + usize::from((ends ^ seed) % 4))) as u32
        };
        check(&read(MediaType::Plain, &text), chunking, &count);
    }
}

#[test]
fn an_empty_text_has_no_chunk_and_white_space_has_some() {
    for media in [MediaType::Plain, MediaType::Markdown, MediaType::Csv, MediaType::JsonLines] {
        check(&read(media, ""), Chunking::DEFAULT, &tokens);
        check(&read(media, " \n\r\n\t \n"), Chunking::DEFAULT, &tokens);
    }
}
