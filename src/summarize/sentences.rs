//! A turn's words as sentences: prose, items of lists and captions; code, tables and headings left
//! out.

/// A line of a turn is read up to this many bytes at once; what follows is read as a line of its
/// own. No sentence worth a line is as long.
const LINE_BYTES_MAX: usize = 4_096;

/// At most this many sentences of a turn are looked at: a longer one is a document that was pasted.
const SENTENCES_MAX: usize = 400;

/// Abbreviations that end in a full stop and are followed by a name or a number.
const ABBREVIATIONS: [&str; 20] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "e.g", "i.e", "nr", "approx", "jr", "sr", "inc",
    "z.b", "bzw", "ca", "sra", "mme", "u.s",
];

/// What opens the words for a picture, as a context shows them too.
pub(super) const CAPTION: &str = "[image: ";

/// What a sentence stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Running text.
    Prose,
    /// An item of a list.
    Item,
    /// What a picture shows.
    Caption,
}

/// One sentence, on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) text: String,
    pub(super) kind: Kind,
    /// Whether it follows the sentence before it in the same paragraph.
    pub(super) follows: bool,
}

/// The sentences of `text`, in order.
pub(super) fn sentences(text: &str) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
            continue;
        }
        if fenced || line.is_empty() || is_heading(line) || is_table(line) {
            continue;
        }
        let (kind, rest) = item(line);
        let plain = plain(rest);
        if is_code(&plain) {
            continue;
        }
        let mut rest = plain.as_str();
        while !rest.is_empty() && found.len() < SENTENCES_MAX {
            let end = piece_end(rest);
            add_line(&rest[..end], kind, &mut found);
            rest = &rest[end..];
        }
    }
    found
}

fn is_heading(line: &str) -> bool {
    let bold = line.starts_with("**") && line.trim_end_matches(':').ends_with("**");
    let rule = !line.chars().any(char::is_alphanumeric);
    line.starts_with('#') || (bold && line.matches("**").count() == 2) || rule
}

fn is_table(line: &str) -> bool {
    line.matches('|').count() >= 2 || line.matches('\t').count() >= 2
}

/// Whether so many of the characters are signs of code that it is no prose.
fn is_code(line: &str) -> bool {
    const SIGNS: &str = "{}[]<>=;$\\_+*^~|#@&/()";
    let signs = line.chars().filter(|c| SIGNS.contains(*c)).count();
    let letters = line.chars().filter(|c| c.is_alphanumeric()).count();
    let ends = line.ends_with(['{', '}', ';']) || line.starts_with("</") || line.starts_with("//");
    (ends && signs >= 2) || (signs >= 4 && signs * 8 > letters)
}

/// Whether the line is an item of a list, and what follows its mark.
fn item(line: &str) -> (Kind, &str) {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = digits.len() < line.len() && line.len() - digits.len() <= 3;
    let rest = if numbered {
        digits.strip_prefix(". ").or_else(|| digits.strip_prefix(") "))
    } else {
        ["- ", "* ", "+ ", "• ", "– ", "> "].iter().find_map(|mark| line.strip_prefix(mark))
    };
    rest.map_or((Kind::Prose, line), |rest| (Kind::Item, rest.trim_start()))
}

/// The line without marks of emphasis, with one space for any white space, links as their words.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("](") {
        let Some(open) = rest[..at].rfind('[') else { break };
        let Some(end) = rest[at..].find(')') else { break };
        text.push_str(&rest[..open]);
        text.push_str(&rest[open + 1..at]);
        rest = &rest[at + end + 1..];
    }
    text.push_str(rest);
    let text = text.replace("**", "").replace("__", "").replace('`', "");
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(clean).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn piece_end(text: &str) -> usize {
    if text.len() <= LINE_BYTES_MAX {
        return text.len();
    }
    let end = (0..=LINE_BYTES_MAX).rfind(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    text[..end].rfind(' ').map_or(end, |at| at + 1)
}

fn add_line(line: &str, kind: Kind, found: &mut Vec<Sentence>) {
    let mut rest = line;
    while let Some(at) = rest.find(CAPTION) {
        add_prose(&rest[..at], kind, found);
        let end = rest[at..].find(']').map_or(rest.len(), |end| at + end + 1);
        add(&rest[at..end], Kind::Caption, false, found);
        rest = &rest[end..];
    }
    add_prose(rest, kind, found);
}

fn add_prose(text: &str, kind: Kind, found: &mut Vec<Sentence>) {
    let (mut start, mut follows) = (0, false);
    for end in ends(text) {
        follows = add(&text[start..end], kind, follows, found) && kind == Kind::Prose;
        start = end;
    }
}

/// Adds a sentence, if there are words in it.
fn add(text: &str, kind: Kind, follows: bool, found: &mut Vec<Sentence>) -> bool {
    let text = text.trim().to_owned();
    let is_one = text.chars().any(char::is_alphanumeric);
    if is_one {
        found.push(Sentence { text, kind, follows });
    }
    is_one
}

/// Where sentences end in a line: after a mark that ends one, with what closes after it, before
/// white space; in scripts without spaces, right after the mark.
fn ends(line: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut chars = line.char_indices().peekable();
    let mut start = 0;
    while let Some((at, c)) = chars.next() {
        let wide = matches!(c, '。' | '！' | '？');
        if !wide && !matches!(c, '.' | '!' | '?' | '…' | '؟' | '।') {
            continue;
        }
        let mut end = at + c.len_utf8();
        while let Some((next, closer)) = chars.peek().copied()
            && (".!?…)]\"'”’»」』*！？。".contains(closer) || is_emoji(closer))
        {
            end = next + closer.len_utf8();
            chars.next();
        }
        let after = line[end..].chars().next();
        let spaced = after.is_none_or(char::is_whitespace);
        let next = line[end..].trim_start().chars().next();
        let goes_on =
            c == '.' && (next.is_some_and(char::is_lowercase) || abbreviates(&line[start..at]));
        if wide || (spaced && !goes_on) {
            ends.push(end);
            start = end;
        }
    }
    if ends.last() != Some(&line.len()) {
        ends.push(line.len());
    }
    ends
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{fe0f}' | '\u{200d}')
}

/// Whether the last word, before its full stop, is an abbreviation or an initial.
fn abbreviates(before: &str) -> bool {
    let mut tail = before.len().saturating_sub(24);
    while !before.is_char_boundary(tail) {
        tail += 1;
    }
    let word = before[tail..].rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or("");
    let mut chars = word.chars();
    let initial = chars.next().is_some_and(char::is_uppercase) && chars.next().is_none();
    let is_pronoun = word == "I";
    (initial && !is_pronoun) || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}
