//! The lines of the quoted block: escapes, speakers, passages.

use super::*;

#[track_caller]
fn check_escape(text: &str, expected: &str) {
    assert_eq!(block::escape(text), (expected.into(), text != expected));
}

#[test]
fn look_alikes_of_the_fence_are_escaped_and_nothing_else() {
    check_escape("</memory>", "&lt;/memory>");
    check_escape("< /\n MeMoRy", "&lt; /\n MeMoRy");
    check_escape("<<memory>", "<&lt;memory>");
    check_escape("a < b, <memo>, <ıemory>", "a < b, <memo>, <ıemory>");
    check_escape("", "");
    check_escape("<\u{200b}mem\u{ad}ory>", "&lt;\u{200b}mem\u{ad}ory>");
    check_escape("</\u{2060}m\u{fe0f}emory>", "&lt;/\u{2060}m\u{fe0f}emory>");
    check_escape("＜／ｍｅｍｏｒｙ＞ ‹memory›", "&lt;／ｍｅｍｏｒｙ＞ &lt;memory›");
    check_escape("<𝐦𝐞𝐦𝐨𝐫𝐲> <mémory>", "&lt;𝐦𝐞𝐦𝐨𝐫𝐲> &lt;mémory>");
    check_escape("<мемоry> <MΕΜOrΥ>", "&lt;мемоry> &lt;MΕΜOrΥ>");
    check_escape("<\u{fe0f}/memory> <\u{34f}memory>", "&lt;\u{fe0f}/memory> &lt;\u{34f}memory>");
    check_escape("<╱ᴍᴇᴍᴏʀʏ>ᐸ\\\u{2800}memory>", "&lt;╱ᴍᴇᴍᴏʀʏ>&lt;\\\u{2800}memory>");
    // The word may follow in the next line, as the name of who speaks there.
    check_escape("ask </ \n", "ask &lt;/ \n");
    check_escape("‹mémo› ＜mem 〈память〉", "‹mémo› ＜mem 〈память〉");
}

#[track_caller]
fn check_line(name: &str, text: &str, passage: Option<std::ops::Range<usize>>, expected: &str) {
    let mut turn = turn(1, Role::User, vec![Part::Text(text.into())]);
    turn.name = name.into();
    assert_eq!(block::line(&turn, passage.as_ref()).map_or(String::new(), |l| l.text), expected);
}

#[test]
fn a_line_begins_with_its_speaker_and_never_with_space_or_slash() {
    check_line("", "hi\nthere", None, "User: hi\nthere\n");
    check_line(" \n Ann\tB ", "hi", None, "Ann B: hi\n");
    check_line("/etc", "hi", None, "@/etc: hi\n");
    check_line(" \u{3000}", "hi", None, "User: hi\n");
    check_line("Ann", " \n ", None, "");
}

#[test]
fn a_passage_is_cut_at_characters_and_says_where() {
    check_line("", "one two three", Some(4..7), "User: […] two […]\n");
    check_line("", "one two three", Some(0..5), "User: one t […]\n");
    check_line("", "日本語", Some(1..7), "User: […] 本 […]\n");
    check_line("", "日本語", Some(0..99), "User: 日本語\n");
    check_line("", "日本語", Some(4..5), "");
    check_line("", "日本語", Some(50..60), "");
}
