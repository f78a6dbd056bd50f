//! What summaries say, on small talks of the project's own writing.

use expect_test::{Expect, expect};

use crate::summarize::{
    SUMMARIZER_VERSION, SUMMARY_TOKENS_MAX, Span, Summary, condense, sentences::sentences,
    summarize,
};
use crate::tokens::Tokenizer;
use crate::types::{Media, Part, Role, Seq, Status, Timestamp, Turn};

const DAY_MS: i64 = 86_400_000;

fn tokenizer() -> Tokenizer {
    Tokenizer::builtin("cl100k_base").unwrap()
}

fn turn(seq: u64, role: Role, name: &str, text: &str) -> Turn {
    Turn {
        seq: Seq(seq),
        role,
        name: name.into(),
        parts: vec![Part::Text(text.into())],
        created_at: Timestamp(1_700_000_000_000 + seq as i64 / 8 * DAY_MS),
        committed_at: Timestamp(0),
        external_id: String::new(),
        metadata: Default::default(),
        status: Status::Complete,
    }
}

/// Turns from `Ann: …`, `u: …` (the user), `a: …` (the model), `t: …` (a tool), one a line; names
/// take turns as user and assistant. `¶` is a line break.
fn talk(lines: &str) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for (seq, line) in (1..).zip(lines.lines().map(str::trim).filter(|line| !line.is_empty())) {
        let (who, text) = line.split_once(": ").unwrap();
        let text = text.replace('¶', "\n");
        turns.push(match who {
            "u" => turn(seq, Role::User, "", &text),
            "a" => turn(seq, Role::Assistant, "", &text),
            "t" => turn(seq, Role::Tool, "", &text),
            name if seq % 2 == 1 => turn(seq, Role::User, name, &text),
            name => turn(seq, Role::Assistant, name, &text),
        });
    }
    turns
}

fn summary(turns: &[Turn]) -> Summary {
    let last_seq = turns.last().map_or(Seq(1), |turn| turn.seq);
    let span = Span { level: 0, first_seq: Seq(1), last_seq };
    summarize(span, &turns.iter().collect::<Vec<_>>(), "", &tokenizer())
}

fn lines(summary: &Summary) -> String {
    let lines = summary.lines.iter().map(|line| format!("{} {}\n", line.seq.0, line.render()));
    lines.collect()
}

/// What the model says at length, so that a tenth of all is enough for what the user says.
fn padded(lines: &str, words: usize) -> Vec<Turn> {
    let mut turns = talk(lines);
    let long = "certainly, one may look at that from many sides, as is so often the way ";
    let seq = turns.len() as u64 + 1;
    turns.push(turn(seq, Role::Assistant, "", &long.repeat(words / 14 + 1)));
    turns
}

#[track_caller]
fn check(talk: &str, expected: Expect) {
    expected.assert_eq(&lines(&summary(&padded(talk, 1_500))));
}

#[test]
fn greetings_thanks_and_praise_are_left_out() {
    check(
        "Ann: Hey Ben! How are you? Good to see you!
         Ben: Hi Ann! I'm fine, thanks. I moved to Lisbon in March.
         Ann: Wow, that's amazing! I'm so happy for you!
         Ben: Thanks so much! You're the best.
         Ann: Congrats again. My brother Tom bought a bakery on Hill Street.
         Ben: Sounds great!",
        expect![[r#"
            2 Ben: I moved to Lisbon in March.
            5 Ann: My brother Tom bought a bakery on Hill Street.
        "#]],
    );
}

#[test]
fn code_tables_headings_and_lists_of_the_model_are_left_out() {
    check(
        "u: I keep bees near Graz and need a label for 240 jars of honey.
         a: # Labels¶Here is a plan:¶- Measure the 240 jars of Graz¶| a | b |¶|---|---|¶| Graz | 2 |
         u: Please write code.¶```python¶print('The 240 jars of Graz are full')¶```
         a: ```rust¶fn main() { let jars = 240; }¶```¶**Notes**",
        expect![[r#"
            1 User: I keep bees near Graz and need a label for 240 jars of honey.
        "#]],
    );
}

#[test]
fn an_answer_brings_its_question_and_a_pointer_the_sentence_before() {
    check(
        "Ann: Where did your sister find the old piano?
         Ben: In a barn near Colmar.
         Ann: I found a chest. It held 400 silver coins from Prague and Vienna.
         Ben: That was brave.",
        expect![[r#"
            2 Ben: [Ann: Where did your sister find the old piano?] In a barn near Colmar.
            3 Ann: I found a chest. It held 400 silver coins from Prague and Vienna.
        "#]],
    );
}

#[test]
fn thanks_to_somebody_by_name_answer_no_question() {
    check(
        "Ann: Did you bring the blue tent along?
         Ben: Thanks, Ann!
         Ann: I left mine in Oslo on Monday.",
        expect![[r#"
            3 Ann: I left mine in Oslo on Monday.
        "#]],
    );
}

#[test]
fn a_judgement_at_the_end_goes_and_what_says_more_stays() {
    check(
        "u: I rode along the Danube to Linz, which was fun.
         a: Fine.
         u: I bought 240 coupons for trams in Linz and it's getting slow to count them.",
        expect![[r#"
            1 User: I rode along the Danube to Linz.
            3 User: I bought 240 coupons for trams in Linz and it's getting slow to count them.
        "#]],
    );
}

#[test]
fn the_newest_version_of_a_fact_is_marked_and_the_older_goes() {
    check(
        "u: My marathon in Hamburg starts at 8:15 on Sunday.
         a: Noted.
         u: I signed up for a pottery course in Bremen.
         a: Fine.
         u: My marathon in Hamburg starts at 9:30 on Sunday.
         a: Noted.",
        expect![[r#"
            3 User: I signed up for a pottery course in Bremen.
            5 User: My marathon in Hamburg starts at 9:30 on Sunday. (changed)
        "#]],
    );
}

#[test]
fn what_is_said_twice_stands_once() {
    check(
        "u: I am allergic to walnuts and to kiwi fruit.
         a: I see.
         u: As I said, I am allergic to walnuts and kiwi fruit.
         a: I see.",
        expect![[r#"
            1 User: I am allergic to walnuts and to kiwi fruit.
        "#]],
    );
}

#[test]
fn other_languages_get_their_rules_or_a_sane_result() {
    check(
        "Eva: Hallo Max! Wie geht es dir?
         Max: Danke, gut! Ich habe gestern in Leipzig ein altes Klavier gekauft.
         Eva: Toll! Ich ziehe im August nach Rostock und arbeite dort als Lehrerin.
         Max: Das klingt super!",
        expect![[r#"
            2 Max: Ich habe gestern in Leipzig ein altes Klavier gekauft.
            3 Eva: Ich ziehe im August nach Rostock und arbeite dort als Lehrerin.
        "#]],
    );
    check(
        "u: 私は来月、京都で新しい陶芸教室を始めます。値段は三千円です。",
        expect![[r#"
        1 User: 私は来月、京都で新しい陶芸教室を始めます。
    "#]],
    );
}

#[test]
fn a_higher_level_keeps_the_best_lines_of_its_children() {
    let first = summary(&padded("u: My sister Ida married in Ghent on 4 May.\n a: Oh.", 900));
    let second = summary(&padded("u: My boat is called Petrel and needs paint.\n a: Oh.", 900));
    let span = Span { level: 1, first_seq: Seq(1), last_seq: Seq(9) };
    let both = condense(span, &[&first, &second], "", &tokenizer());
    assert_eq!(both.turns, first.turns + second.turns);
    assert_eq!(both.source_tokens, first.source_tokens + second.source_tokens);
    expect![[r#"
        1 User: My sister Ida married in Ghent on 4 May.
        1 User: My boat is called Petrel and needs paint.
    "#]]
    .assert_eq(&lines(&both));
}

fn tokens(summary: &Summary) -> u64 {
    let text = |line: &crate::summarize::Line| format!("{}\n", line.render());
    summary.lines.iter().map(|line| u64::from(tokenizer().count(&text(line)))).sum()
}

#[test]
fn a_summary_is_at_most_a_tenth_of_its_source_and_never_over_its_limit() {
    let facts = |from: u64, to: u64| {
        let fact = |n: u64| format!("u: I paid {n} euros for item {n} in shop {}.\n", n * 7_919);
        talk(&(from..to).map(fact).collect::<String>())
    };
    for (turns, least) in [(3, 0), (60, 50), (2_000, 200)] {
        let summary = summary(&facts(1, turns));
        let used = tokens(&summary);
        assert!(used * 10 <= summary.source_tokens && used <= SUMMARY_TOKENS_MAX, "{used}");
        assert!(used >= least, "{used} tokens of {}", summary.source_tokens);
        let mut ranks: Vec<u16> = summary.lines.iter().map(|line| line.rank).collect();
        assert!(summary.lines.is_sorted_by_key(|line| line.seq));
        ranks.sort_unstable();
        assert!(ranks.iter().zip(0..).all(|(rank, at)| *rank == at), "{ranks:?}");
    }
}

#[test]
fn awkward_texts_are_summarized_in_linear_time_and_one_line_each() {
    let pieces =
        ["a", " ", ".", ")", "?!", "\n", "日本。", "🙂", "[image: ", "](", "**", "1. ", "| "];
    for piece in pieces {
        let long = piece.repeat(100_000 / piece.len());
        let turns = [turn(1, Role::User, "A\n/b", &long), turn(2, Role::User, "", "I own 3 cats.")];
        for line in summary(&turns).lines {
            assert!(!line.text.trim().is_empty() && !line.render().contains('\n'));
        }
    }
    assert_eq!(summary(&[]).lines, []);
}

#[test]
fn captions_are_lines_and_what_tools_say_is_not() {
    let mut turns = padded("Ann: Look.\n t: The oven in Ulm has 240 degrees on Monday.", 1_500);
    let media = Media {
        uri: "https://x.example/a.png".into(),
        file_id: String::new(),
        media_type: "image/png".into(),
        caption: "a red barn beside two old oak trees".into(),
        tokens: 0,
    };
    turns[0].parts.push(Part::Media(media));
    expect![[r#"
        1 Ann: [image: a red barn beside two old oak trees]
    "#]]
    .assert_eq(&lines(&summary(&turns)));
}

#[track_caller]
fn check_sentences(text: &str, expected: &str) {
    let found = sentences(text);
    let found: Vec<&str> = found.iter().map(|sentence| sentence.text.as_str()).collect();
    assert_eq!(found.join(" | "), expected);
}

#[test]
fn sentences_end_where_a_reader_would_end_them() {
    check_sentences("One. Two! Three?! Four", "One. | Two! | Three?! | Four");
    check_sentences(
        "Dr. Ada Low paid 3.50 at 5 p.m. today.",
        "Dr. Ada Low paid 3.50 at 5 p.m. today.",
    );
    check_sentences("\"Go.\" She went.", "\"Go.\" | She went.");
    check_sentences("一。二！三", "一。 | 二！ | 三");
    check_sentences("**Bold** and [a link](https://x.example/y) `code`", "Bold and a link code");
    check_sentences("Look. [image: a cat. A dog] Nice", "Look. | [image: a cat. A dog] | Nice");
    check_sentences("## Title\n- an item\n2) another\n---", "an item | another");
}

/// When this changes, `SUMMARIZER_VERSION` must.
#[test]
fn the_summaries_are_those_of_their_version() {
    let talk = "Ann: I sold the green boat to Karl for 900 euros yesterday!
        Ben: Great! Where will you sail now?
        Ann: On the lake near Bled. My cousin Mira keeps two dinghies there.
        Ben: I finished my course in joinery on 3 June, which was fun.
        Ann: We leave on Friday. It takes six hours by train.
        Ben: My address is now Mill Lane 7.";
    let made = summary(&padded(talk, 1_500));
    let above = condense(made.span, &[&made, &made], "en", &tokenizer());
    let all = format!("{made:?}{above:?}");
    expect!["1 47cc87fadf7f5b1e3cd7727115db750173fc359148c50486b6252eac2d6dd208"]
        .assert_eq(&format!("{SUMMARIZER_VERSION} {}", blake3::hash(all.as_bytes())));
}
