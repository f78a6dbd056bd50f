use std::collections::BTreeMap;

use clap::Parser;
use expect_test::{expect, expect_file};

use crate::cli::{
    Cli, Form, Output,
    eval::ask::{Answer, Context, Shown},
    eval::figures::{Figure, Figures, is_apart, of_answer},
    eval::plot::{Curve, plot},
    eval::report::{Measured, Report, Way},
    eval::sample::{Estimate, Sample, estimates},
    run,
    tests::eval::{ids, question},
};

/// Four questions to two conversations, and what was answered to them.
const ASKED: [(&str, &str, u32, &str, &str); 4] = [
    (
        r#"{"query":"1","conversation":"c","text":"?","category":"1-x","answer":"The Blue-Pot",
            "evidence":["a","b"]}"#,
        "x a y z v b",
        40,
        "a",
        "It lay under a blue pot, he said.",
    ),
    (
        r#"{"query":"2","conversation":"c","text":"?","category":"2-y","answer":"an  Owl’s nest",
            "evidence":["c"]}"#,
        "c",
        51,
        "c x",
        "owl s nests",
    ),
    (
        r#"{"query":"3","conversation":"d","text":"?","category":"1-x","answer":"7",
            "evidence":[]}"#,
        "c",
        20,
        "c x",
        "7",
    ),
    (
        r#"{"query":"4","conversation":"d","text":"?","category":"5-none","answer":"no",
            "evidence":["a"]}"#,
        "a",
        10,
        "a",
        "no",
    ),
];

fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (asked, ranked, tokens, turns, text) in ASKED {
        let question = question(asked);
        let shown = Shown { turns: ids(turns), partial: Vec::new(), text: text.to_owned() };
        let contexts = vec![Context { budget: 50, tokens, full_history_tokens: 200, shown }];
        let figures = of_answer(&question, &Answer { ranked: ids(ranked), contexts });
        if !is_apart(&question) {
            samples.push(Sample { cluster: question.conversation, figures });
        }
    }
    samples
}

#[test]
fn the_figures_are_those_of_the_sets_own_scorer() {
    let means: Vec<String> = estimates(&samples())
        .iter()
        .map(|(figure, one)| format!("{} {:.4} n {}\n", figure.key(), one.mean, one.questions))
        .collect();
    // As score.py gave them for the same questions and answers; it has no `saved`.
    expect![[r"
        recall@5 0.7500 n 2
        recall@10 1.0000 n 2
        recall@20 1.0000 n 2
        ndcg@10 0.8026 n 2
        evidence@50 0.7500 n 2
        allEvidence@50 0.5000 n 2
        answer@50 0.6667 n 3
        tokens@50 37.0000 n 3
        saved@50 0.8150 n 3
    "]]
    .assert_eq(&means.concat());
}

/// Questions that have this one figure, by conversation.
fn asked(of: &[(&str, f64)]) -> Vec<Sample> {
    let sample = |(cluster, value): &(&str, f64)| Sample {
        cluster: (*cluster).to_owned(),
        figures: Figures::from([(Figure::Ndcg, *value)]),
    };
    of.iter().map(sample).collect()
}

fn estimate(samples: &[Sample]) -> Estimate {
    estimates(samples)[&Figure::Ndcg]
}

#[test]
fn an_interval_holds_the_mean_and_is_as_wide_as_the_questions_differ() {
    let of = |spread: f64| -> Vec<(String, f64)> {
        let value = |at: u32| 0.5 + if at.is_multiple_of(2) { spread } else { -spread };
        (0..100).map(|at| (format!("c{at}"), value(at))).collect()
    };
    for spread in [0.0, 0.1, 0.4] {
        let values = of(spread);
        let values: Vec<(&str, f64)> = values.iter().map(|(name, v)| (&**name, *v)).collect();
        let [low, high] = estimate(&asked(&values)).interval;
        // The normal interval of a mean of 100: 1.96 deviations over 10 on either side.
        let width = 2.0 * 1.96 * spread / 10.0;
        assert!((high - low - width).abs() <= width / 10.0 + 1e-9, "{spread}: {low} to {high}");
        assert!(low <= 0.5 + 1e-9 && high >= 0.5 - 1e-9, "{spread}: {low} to {high}");
    }
}

#[test]
fn questions_to_one_conversation_are_not_taken_for_independent() {
    let mut apart = Vec::new();
    for at in 0..40 {
        apart.push((["a", "b", "c", "d"][at % 4], if at % 4 < 2 { 1.0 } else { 0.0 }));
    }
    let names: Vec<String> = (0..40).map(|at| format!("c{at}")).collect();
    let alone: Vec<(&str, f64)> =
        names.iter().zip(&apart).map(|(name, (_, value))| (&**name, *value)).collect();
    let width = |samples: &[(&str, f64)]| {
        let [low, high] = estimate(&asked(samples)).interval;
        high - low
    };
    assert!(width(&apart) > 2.0 * width(&alone), "{} {}", width(&apart), width(&alone));
}

#[test]
fn the_halves_hold_each_conversation_once_and_whole() {
    let samples = asked(&[("a", 1.0), ("b", 0.0), ("a", 1.0), ("b", 0.0), ("b", 0.0)]);
    let one = estimate(&samples);
    let mut halves = one.halves.map(Option::unwrap);
    halves.sort_by(f64::total_cmp);
    assert_eq!((one.mean, halves), (0.4, [0.0, 1.0]));
    assert_eq!(one, estimate(&samples), "the same again");
    assert_eq!(estimate(&asked(&[("a", 1.0)])).halves, [Some(1.0), None]);
}

#[test]
fn a_table_has_a_column_for_each_set() {
    let way = |name| Way { name, figures: estimates(&samples()), latencies: Default::default() };
    let mut chats = Measured::new("chats", 4, "2 users".to_owned());
    chats.ways = vec![way("hybrid"), way("words")];
    (chats.contexts, chats.over_budget) = (8, 2);
    let mut papers = Measured::new("papers", 1, "9 documents".to_owned());
    let figures = estimates(&asked(&[("q", 0.25)]));
    papers.ways = vec![
        Way { name: "hybrid", figures, latencies: Default::default() },
        Way { name: "words", figures: BTreeMap::new(), latencies: Default::default() },
    ];
    let report = Report { sets: vec![chats, papers], model: "gpt-4".to_owned() };
    let text = report.to_text();
    let table: Vec<&str> = text.lines().take_while(|line| line.starts_with('|')).collect();
    expect_file!["eval_all.txt"].assert_eq(&table.join("\n"));
    let json = report.to_json();
    assert_eq!(json["sets"][0]["ways"]["words"]["figures"]["recall@5"]["mean"], 0.75);
    let labels: Vec<String> = report.curves().into_iter().map(|curve| curve.label).collect();
    assert_eq!(labels, ["chats", "chats, words alone"], "documents have no contexts");
}

#[test]
fn a_plot_shows_each_curve_by_its_name() {
    let points = vec![(500.0, 0.8, [0.7, 0.9]), (1000.0, 0.9, [0.85, 0.95])];
    let curve =
        |set, way, label: &str| Curve { set, way, label: label.to_owned(), points: points.clone() };
    let svg = plot(&[curve(0, 0, "one <set>"), curve(0, 1, "one, words"), curve(5, 2, "more")]);
    let svg = svg.unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    for name in ["one &lt;set&gt;", "one, words", "more", "evidence recall, percent"] {
        assert!(svg.contains(name), "{name}");
    }
    assert!(plot(&[]).is_err());
}

#[tokio::test]
async fn all_sets_of_a_folder_are_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "chats.turns.jsonl",
        concat!(
            r#"{"conversation":"c","session":"s","turn":"1","role":"user","#,
            r#""text":"The key is under the blue pot."}"#,
        ),
    );
    write(
        "chats.queries.jsonl",
        concat!(
            r#"{"query":"q","conversation":"c","text":"Where is the key?","evidence":["1"],"#,
            r#""answer":"under the blue pot"}"#,
        ),
    );
    write("papers.documents.jsonl", r#"{"document":"7","text":"Wings of slender bodies."}"#);
    write("papers.queries.jsonl", r#"{"query":"q","text":"slender wings","relevant":{"7":1}}"#);
    write("other.queries.jsonl", r#"{"query":"q","text":"no such set"}"#);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, plot, runs) = (path(""), path("plot.svg"), path("runs"));
    let cli = Cli::try_parse_from([
        "keepsake", "eval", "--all", "--data", &data, "--plot", &plot, "--out", &runs,
    ]);
    assert_eq!(run(cli.unwrap(), Output::new(Form::Plain)).await.unwrap(), 0);
    assert!(std::fs::read_to_string(&plot).unwrap().contains("chats, vectors alone"));
    let mut files: Vec<String> = std::fs::read_dir(&runs)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let ways = ["hybrid", "vectors", "words"];
    let wanted: Vec<String> = ["chats", "papers"]
        .iter()
        .flat_map(|set| ways.map(|way| format!("{set}.{way}.jsonl")))
        .collect();
    assert_eq!(files, wanted);
    let run = std::fs::read_to_string(folder.path().join("runs/chats.hybrid.jsonl")).unwrap();
    assert_eq!(run.lines().count(), 5, "a ranking and four budgets");
}
