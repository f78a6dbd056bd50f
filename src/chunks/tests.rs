//! Tests of texts and chunks.

mod covers;
mod golden;
mod html;
mod long;
mod read;

use crate::chunks::{Extract, chunk, extract};
use crate::types::{ChunkSpan, Chunking, MediaType};

/// As production counts.
fn tokens(text: &str) -> u32 {
    u32::try_from(bpe_openai::o200k_base().count(text)).unwrap()
}

fn chunking(tokens_max: u16, overlap_tokens: u16) -> Chunking {
    Chunking { tokens_max, overlap_tokens }
}

fn text_of<'a>(extract: &'a Extract, span: &ChunkSpan) -> &'a str {
    &extract.text[span.start as usize..span.end as usize]
}

/// The text of a document that can be read.
#[track_caller]
fn read(media: MediaType, text: &str) -> Extract {
    extract(media, text.as_bytes()).unwrap()
}

/// Its chunks as people read them: headings and tokens, then the text up to a `<`.
#[track_caller]
fn shown(media: MediaType, text: &str, chunking: Chunking) -> String {
    let extract = read(media, text);
    let show = |span: &ChunkSpan| {
        let heading = span.heading.join(" > ");
        format!("[{heading}] {}\n{}<\n", span.tokens, text_of(&extract, span))
    };
    chunk("", &extract, chunking, &tokens).iter().map(show).collect()
}
