//! Reads HTML tag by tag, without a tree, so that nothing in it can take long or much memory.

use std::collections::HashMap;

use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use crate::chunks::{Heading, path::HEADINGS_MAX};

/// What is seen of HTML.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) text: String,
    pub(super) headings: Vec<Heading>,
    /// Whether an element that is left out has no end, so that all after it is missing.
    pub(super) cut_short: bool,
    pub(super) shape: Shape,
}

/// How hard HTML is to build a tree of.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Shape {
    pub(super) bytes: usize,
    pub(super) elements: usize,
    /// The most elements that are open at a time.
    pub(super) depth: usize,
    /// The most attributes of an element.
    pub(super) attributes: usize,
    /// The signs that may begin a character reference.
    pub(super) references: usize,
    /// The elements for bold, links and the like that are open at each tag, together: a tree opens
    /// them again in each block.
    pub(super) reopened: usize,
}

impl Shape {
    pub(super) fn within(&self, most: &Self) -> bool {
        self.bytes <= most.bytes
            && self.elements <= most.elements
            && self.depth <= most.depth
            && self.attributes <= most.attributes
            && self.references <= most.references
            && self.reopened <= most.reopened
    }
}

/// Elements without content.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];
/// Elements that end by themselves where the next begins.
const SELF_ENDING: &[&str] = &[
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "rt", "rp",
    "html", "head", "body", "colgroup",
];
/// Elements that a tree opens again in each block.
const REOPENED: &[&str] = &[
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];
/// Elements that begin and end a line.
const LINES: &[&str] = &["li", "tr", "dt", "dd", "br", "figcaption", "caption", "summary"];
/// Elements with an empty line before and after.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "details",
    "div",
    "dl",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
];
/// Elements after which a word ends.
const CELLS: &[&str] = &["td", "th"];

/// What stands between two words.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Cell,
    Line,
    Paragraph,
}

impl Gap {
    fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Space => " ",
            Self::Cell => "\t",
            Self::Line => "\n",
            Self::Paragraph => "\n\n",
        }
    }
}

/// The text of `html` outside of elements named in `left_out`.
pub(super) fn scan(html: &str, left_out: &[&str]) -> Scan {
    let mut scanner = Scanner { left_out, ..Scanner::default() };
    scanner.scan.shape.bytes = html.len();
    scanner.scan.shape.references = html.bytes().filter(|byte| *byte == b'&').count();
    let mut emitter = CallbackEmitter::new(&mut scanner);
    emitter.naively_switch_states(true);
    // It gives no tokens: all is done by the time it ends, and text in memory can be read.
    for Ok(()) in Tokenizer::new_with_emitter(html, emitter) {}
    scanner.end_heading();
    scanner.scan.cut_short = scanner.hidden.is_some();
    scanner.scan
}

#[derive(Default)]
struct Scanner<'a> {
    left_out: &'a [&'a str],
    scan: Scan,
    /// The element that is left out just now, and how many of its name are open.
    hidden: Option<(String, usize)>,
    gap: Gap,
    /// How many `pre` are open.
    verbatim: usize,
    /// The heading that is open: its level, and where its text begins once there is some.
    heading: Option<(u8, Option<usize>)>,
    attributes: usize,
    open: HashMap<Vec<u8>, usize>,
    depth: usize,
    reopened: usize,
}

impl Callback<(), ()> for &mut Scanner<'_> {
    fn handle_event(&mut self, event: CallbackEvent<'_>, _: Span<()>) -> Option<()> {
        match event {
            CallbackEvent::OpenStartTag { name } => self.start(name),
            CallbackEvent::AttributeName { .. } => {
                self.attributes += 1;
                let most = &mut self.scan.shape.attributes;
                *most = self.attributes.max(*most);
            }
            CallbackEvent::EndTag { name } => self.end(name),
            CallbackEvent::String { value } if self.hidden.is_none() => {
                self.push(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
        None
    }
}

fn is(name: &[u8], among: &[&str]) -> bool {
    among.iter().any(|known| known.as_bytes() == name)
}

fn heading_level(name: &[u8]) -> Option<u8> {
    match name {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}

impl Scanner<'_> {
    fn start(&mut self, name: &[u8]) {
        self.attributes = 0;
        self.measure_start(name);
        if let Some((hidden, open)) = &mut self.hidden {
            *open += usize::from(hidden.as_bytes() == name);
            return;
        }
        if is(name, self.left_out) {
            self.hidden = Some((String::from_utf8_lossy(name).into_owned(), 1));
            self.gap = self.gap.max(Gap::Space);
            self.separate(name);
            return;
        }
        self.separate(name);
        if let Some(level) = heading_level(name) {
            self.end_heading();
            self.heading = Some((level, None));
        }
        self.verbatim += usize::from(name == b"pre");
    }

    fn end(&mut self, name: &[u8]) {
        self.measure_end(name);
        if let Some((hidden, open)) = &mut self.hidden {
            *open -= usize::from(hidden.as_bytes() == name);
            if *open == 0 {
                self.hidden = None;
            }
            return;
        }
        if heading_level(name).is_some() {
            self.end_heading();
        }
        if name == b"pre" {
            self.verbatim = self.verbatim.saturating_sub(1);
        }
        self.separate(name);
    }

    fn separate(&mut self, name: &[u8]) {
        let gap = match name {
            name if is(name, BLOCKS) => Gap::Paragraph,
            name if is(name, LINES) => Gap::Line,
            name if is(name, CELLS) => Gap::Cell,
            _ => return,
        };
        self.gap = self.gap.max(gap);
    }

    fn push(&mut self, text: &str) {
        if self.verbatim > 0 {
            if !text.is_empty() {
                self.begin();
                self.scan.text.push_str(text);
            }
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.trim_start_matches(is_white);
            if word.len() < rest.len() {
                self.gap = self.gap.max(Gap::Space);
            }
            let end = word.find(is_white).unwrap_or(word.len());
            if end > 0 {
                self.begin();
                self.scan.text.push_str(&word[..end]);
            }
            rest = &word[end..];
        }
    }

    /// Writes what stands before the next words.
    fn begin(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if !self.scan.text.is_empty() {
            self.scan.text.push_str(gap.text());
        }
        if let Some((_, start @ None)) = &mut self.heading {
            *start = Some(self.scan.text.len());
        }
    }

    fn end_heading(&mut self) {
        if let Some((level, Some(start))) = self.heading.take()
            && self.scan.headings.len() < HEADINGS_MAX
        {
            let words = &self.scan.text[start..];
            self.scan.headings.extend(Heading::new(start, level, words));
        }
    }

    fn measure_start(&mut self, name: &[u8]) {
        self.scan.shape.elements += 1;
        self.scan.shape.reopened = self.scan.shape.reopened.saturating_add(self.reopened);
        if is(name, VOID) || is(name, SELF_ENDING) {
            return;
        }
        match self.open.get_mut(name) {
            Some(open) => *open += 1,
            None => drop(self.open.insert(name.to_vec(), 1)),
        }
        self.depth += 1;
        self.reopened += usize::from(is(name, REOPENED));
        self.scan.shape.depth = self.scan.shape.depth.max(self.depth);
    }

    fn measure_end(&mut self, name: &[u8]) {
        let Some(open) = self.open.get_mut(name).filter(|open| **open > 0) else { return };
        *open -= 1;
        self.depth -= 1;
        self.reopened -= usize::from(is(name, REOPENED));
    }
}

/// White space that HTML folds.
fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}
