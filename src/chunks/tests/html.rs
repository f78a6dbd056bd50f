//! What is read of HTML, and that none of it takes long.

use super::read;
use crate::types::MediaType;

#[track_caller]
fn check(html: &str, text: &str, headings: &str) {
    let extract = read(MediaType::Html, html);
    assert_eq!(extract.text, text);
    let shown: Vec<_> = extract
        .headings
        .iter()
        .map(|heading| format!("{}:{}:{}", heading.at, heading.level, heading.text))
        .collect();
    assert_eq!(shown.join(" | "), headings);
    assert!(!extract.verbatim);
}

#[test]
fn what_is_not_seen_is_left_out() {
    check("<script>a</script>b<style>c</style><nav>d</nav><!-- e --> f", "b\n\nf", "");
    check("<nav><ul><nav>a</nav></ul>b</nav>c", "c", "");
    check("<select><option>a</select><textarea><p>a</textarea><svg><text>a</svg>b", "b", "");
}

#[test]
fn an_element_without_an_end_hides_nothing() {
    check("a<nav>b<p>c", "a\n\nb\n\nc", "");
}

#[test]
fn blocks_lines_and_cells_are_kept_apart() {
    check("<div>a<div>b</div></div><p>c<p>d<br>e", "a\n\nb\n\nc\n\nd\ne", "");
    check("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\nc", "");
    check("a  b\n<b>c</b>d <i> e</i>", "a b cd e", "");
    check("<pre>a\n  b</pre> c", "a\n  b\n\nc", "");
}

#[test]
fn entities_are_read() {
    check("&lt;p&gt; &amp; &eacute;&#x4e00;&nbsp;x &bogus;", "<p> & é一\u{a0}x &bogus;", "");
}

#[test]
fn headings_keep_their_places() {
    check("<h1>a\n b</h1>c<h2> <b>d</b></h2><h3></h3>e", "a b\n\nc\n\nd\n\ne", "0:1:a b | 8:2:d");
    check("<h1>a<h2>b", "a\n\nb", "0:1:a | 3:2:b");
}

fn article() -> String {
    let paragraph = "<p>Night trains run again between Lisbon and Madrid, and they leave at nine, \
                     in the evening, and arrive before breakfast, if all goes well.</p>";
    format!(
        "<html><head><title>Night trains</title></head><body><div class=sidebar><a href=/>Buy our \
         things</a></div><article><h2>Times</h2>{}<h2>Tickets</h2>{}</article><div \
         class=footer><a href=/>Imprint</a></div></body></html>",
        paragraph.repeat(6),
        paragraph.repeat(6)
    )
}

#[test]
fn the_main_part_of_an_article_is_read_under_its_title() {
    let extract = read(MediaType::Html, &article());
    assert!(!extract.text.contains("Imprint") && !extract.text.contains("Buy"), "{}", extract.text);
    assert_eq!(extract.text.matches("before breakfast").count(), 12);
    let headings: Vec<_> = extract.headings.iter().map(|heading| heading.text.as_str()).collect();
    assert_eq!(headings, ["Night trains", "Times", "Tickets"]);
}

#[test]
fn hostile_html_is_read() {
    for part in [
        "<b>",
        "<div>",
        "<p><b>",
        "<a href=1>",
        "<table>",
        "<font a=1>",
        "<b a=1><p>",
        "</p>",
        "<br>",
        "<!--",
        "<![CDATA[",
        "<",
        "&",
        "&amp",
        "<script>",
        "<nav>",
        "<h1>",
        "<li>",
        "<x y>",
        "<svg>",
        "<template>",
        "<select>",
        "<frameset>",
        "<math>",
        "<p>x",
        "<h1>a</h1>",
        "</a></b>",
    ] {
        for bytes in [10_000, 200_000] {
            let html = part.repeat(bytes / part.len());
            let extract = read(MediaType::Html, &html);
            assert!(extract.text.len() <= 2 * html.len());
            assert!(extract.headings.is_sorted_by_key(|heading| heading.at));
        }
    }
    let attributes = "x=1 y ".repeat(50_000);
    assert_eq!(read(MediaType::Html, &format!("<a {attributes}>b</a>")).text, "b");
}
