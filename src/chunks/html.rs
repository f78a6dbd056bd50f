//! The text of HTML: of its main part where one is found, else all that is visible.

mod scan;

use std::panic::catch_unwind;

use dom_smoothie::{Config, Readability};

use super::{Extract, Heading};
use scan::{Scan, Shape, scan};

/// Elements whose text nobody sees.
const UNSEEN: &[&str] = &[
    "script", "style", "title", "template", "noscript", "svg", "math", "select", "textarea",
    "button", "iframe", "object", "canvas", "audio", "video",
];

/// Elements that lead elsewhere; an open one without an end would hide the rest.
const AROUND: &[&str] = &["nav"];

/// What the search for the main part may be given. It builds a tree and goes over it many times;
/// tag soup can make that tree quadratic in the text. These limits hold its time to some tenths of
/// a second (1 MB of `&` would take nine), and leave out no page that people write by hand.
const SHAPE_MAX: Shape = Shape {
    bytes: 1_024 * 1_024,
    elements: 20_000,
    depth: 100,
    attributes: 64,
    references: 20_000,
    reopened: 100_000,
};

/// A main part that has less than a third of what is visible is not believed, and none is looked
/// for in a page of less than this many bytes of text: what is left out cannot be found.
const MAIN_PART_MIN: usize = 3;
const MAIN_BYTES_MIN: usize = 500;

/// The text with its headings, in time linear in the length of `html`.
pub(super) fn extract(html: &str) -> Extract {
    let all: Vec<&str> = UNSEEN.iter().chain(AROUND).copied().collect();
    let mut seen = scan(html, &all);
    if seen.cut_short {
        seen = scan(html, UNSEEN);
    }
    let look = seen.text.len() >= MAIN_BYTES_MIN && seen.shape.within(&SHAPE_MAX);
    let main = if look { main_part(html, &seen) } else { None };
    let Scan { text, headings, .. } = match main {
        Some(main) if main.text.len() * MAIN_PART_MIN >= seen.text.len() => main,
        _ => seen,
    };
    Extract { text, headings, ..Extract::default() }
}

/// The main part, under its title if that is no heading of it.
fn main_part(html: &str, seen: &Scan) -> Option<Scan> {
    let config = Config { disable_json_ld: true, ..Config::default() };
    // It indexes lists that tag soup may leave empty; then there is no main part.
    let found = catch_unwind(|| Readability::new(html, None, Some(config))?.parse());
    let article = found.ok()?.ok()?;
    let mut main = scan(&article.content, UNSEEN);
    // The search turns headings of level 1 into such of level 2.
    let mut known = seen.headings.iter();
    for heading in &mut main.headings {
        let mut ahead = known.clone();
        if let Some(same) = ahead.find(|seen| seen.text == heading.text) {
            heading.level = same.level;
            known = ahead;
        }
    }
    let title = Heading::new(0, 1, &article.title);
    let is_new = |title: &Heading| main.headings.iter().all(|known| known.text != title.text);
    if let Some(title) = title.filter(is_new) {
        let before = format!("{}\n\n", title.text);
        for heading in &mut main.headings {
            heading.at += before.len();
        }
        main.text.insert_str(0, &before);
        main.headings.insert(0, title);
    }
    Some(main)
}
