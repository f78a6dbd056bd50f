//! The headings of Markdown.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Heading, path::HEADINGS_MAX};

/// A text is read in blocks of about this many bytes, from empty line to empty line: what the
/// parser holds of a block takes up to a hundred times its size.
const BLOCK_BYTES: usize = 64 * 1_024;
/// A block without an empty line ends here.
const BLOCK_BYTES_MAX: usize = 4 * BLOCK_BYTES;

/// A byte order mark is no part of the first line.
const MARK: &str = "\u{feff}";

/// The headings of a text, ATX and Setext, those in code left out.
pub(super) fn headings(text: &str) -> Vec<Heading> {
    let mut headings = Vec::new();
    let start = if text.starts_with(MARK) { MARK.len() } else { 0 };
    let mut blocks = Blocks { text, at: start };
    let mut first = true;
    while let Some((at, block)) = blocks.next() {
        read(block, at, first, &mut headings);
        first = false;
        if headings.len() >= HEADINGS_MAX {
            headings.truncate(HEADINGS_MAX);
            break;
        }
    }
    headings
}

fn read(block: &str, at: usize, first: bool, headings: &mut Vec<Heading>) {
    let mut options = Options::ENABLE_HEADING_ATTRIBUTES;
    if first {
        // A head of `key: value` between two rules reads as a heading else.
        options |= Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
        options |= Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    }
    let mut open: Option<(usize, u8, String)> = None;
    for (event, range) in Parser::new_ext(block, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = Some((at + range.start, level as u8, String::new()));
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((at, level, words)) = open.take() {
                    headings.extend(Heading::new(at, level, &words));
                }
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, _, words)) = &mut open {
                    words.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some((_, _, words)) = &mut open {
                    words.push(' ');
                }
            }
            _ => {}
        }
    }
}

/// Blocks of a text that can be read apart: none ends inside of fenced code.
struct Blocks<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Blocks<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let start = self.at;
        let (mut end, mut fence) = (start, None);
        for line in self.text[start..].split_inclusive('\n') {
            let full = end - start >= BLOCK_BYTES_MAX;
            if full && fence.is_none() {
                break;
            }
            if full {
                // Code without an end: what follows its end is the next block.
                return Some((start, self.skip_code(start, end, fence)));
            }
            let empty = line.trim_ascii().is_empty();
            if empty && fence.is_none() && end - start >= BLOCK_BYTES {
                break;
            }
            fence = fence_after(line, fence);
            end += line.len();
            // A line may be as long as the text.
            if line.len() > BLOCK_BYTES_MAX {
                end -= line.len();
                break;
            }
        }
        self.close(start, end)
    }

    /// Ends a block at `end`; one that has no line of its own is a line too long to be a heading,
    /// which is passed over.
    fn close(&mut self, start: usize, end: usize) -> Option<(usize, &'a str)> {
        self.at = end;
        if end > start {
            return Some((start, &self.text[start..end]));
        }
        if start == self.text.len() {
            return None;
        }
        let line = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at + 1);
        self.at = line;
        Some((start, ""))
    }

    fn skip_code(&mut self, start: usize, end: usize, mut fence: Option<Fence>) -> &'a str {
        self.at = end;
        for line in self.text[end..].split_inclusive('\n') {
            fence = fence_after(line, fence);
            self.at += line.len();
            if fence.is_none() {
                break;
            }
        }
        &self.text[start..end]
    }
}

/// The mark that opened fenced code, and how many of it.
type Fence = (u8, usize);

/// Which fence is open after a line, if `open` was before.
fn fence_after(line: &str, open: Option<Fence>) -> Option<Fence> {
    let inner = line.trim_start_matches(' ');
    let mark = inner.bytes().next().filter(|mark| b"`~".contains(mark));
    let Some(mark) = mark.filter(|_| line.len() - inner.len() <= 3) else { return open };
    let marks = inner.bytes().take_while(|byte| *byte == mark).count();
    let rest = &inner[marks..];
    match open {
        Some((opener, least)) => {
            let closes = mark == opener && marks >= least && rest.trim_ascii().is_empty();
            (!closes).then_some((opener, least))
        }
        None => (marks >= 3 && !(mark == b'`' && rest.contains('`'))).then_some((mark, marks)),
    }
}
