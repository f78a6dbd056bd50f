//! What all sets gave, as one table. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::cli::eval::{
    figures::Figure,
    plot::Curve,
    sample::Estimate,
    table::{Latencies, percentile_ms},
};

/// What stands below the table.
const LEGEND: &str = "\
In percent, but for tokens and times. In brackets the 95 % interval (conversations are drawn
anew, and the questions of each), then the figure over the questions to either half of the
conversations alone. The table is of hybrid search but where words or vectors alone are named.
Times are the client's, over gRPC; Search comes before BuildContext and has the question
embedded.";

/// One way of searching a set.
#[derive(Debug)]
pub struct Way {
    /// `hybrid`, `words` or `vectors`.
    pub name: &'static str,
    /// What it gave.
    pub figures: BTreeMap<Figure, Estimate>,
    /// How long the calls took.
    pub latencies: Latencies,
}

/// What a set gave.
#[derive(Debug)]
pub struct Measured {
    name: String,
    questions: usize,
    holds: String,
    /// The ways it was searched; the first is what a new tenant gets.
    pub ways: Vec<Way>,
    /// How many contexts were made.
    pub contexts: usize,
    /// How many took more than their budget.
    pub over_budget: usize,
}

impl Measured {
    /// A set of so many questions to what it holds, before anything is asked.
    pub fn new(name: &str, questions: usize, holds: String) -> Self {
        let name = name.to_owned();
        Self { name, questions, holds, ways: Vec::new(), contexts: 0, over_budget: 0 }
    }

    fn estimate(&self, way: usize, figure: Figure) -> Option<&Estimate> {
        self.ways.get(way)?.figures.get(&figure)
    }

    fn latencies(&self) -> Option<&Latencies> {
        self.ways.first().map(|way| &way.latencies)
    }
}

/// What all sets gave.
#[derive(Debug)]
pub struct Report {
    /// The sets, in the order of the columns.
    pub sets: Vec<Measured>,
    /// The model whose tokenizer counted.
    pub model: String,
}

impl Report {
    /// The table for people, in Markdown: a column a set.
    pub fn to_text(&self) -> String {
        let mut rows = vec![
            self.row("", |set| Some(set.name.clone())),
            vec!["---".to_owned(); self.sets.len() + 1],
            self.row("questions", |set| Some(set.questions.to_string())),
            self.row("asked of", |set| Some(set.holds.clone())),
        ];
        for figure in self.figures() {
            let label = figure.label();
            rows.push(self.row(&label, |set| set.estimate(0, figure).map(|one| cell(figure, one))));
            for (way, name) in self.other_ways().filter(|_| figure.is_main()) {
                let value =
                    |set: &Measured| set.estimate(way, figure).map(|one| figure.format(one.mean));
                rows.push(self.row(&format!("{label}, {name} alone"), value));
            }
        }
        rows.push(self.row("BuildContext p50 / p99, ms", |set| times(&set.latencies()?.context)));
        rows.push(self.row("Search p50 / p99, ms", |set| times(&set.latencies()?.search)));
        rows.push(self.row("contexts over budget", |set| {
            let some = set.contexts > 0;
            some.then(|| format!("{} of {}", set.over_budget, set.contexts))
        }));
        let model = &self.model;
        format!("{}\n{LEGEND} Tokens are counted for {model}.\n", aligned(&rows))
    }

    /// The same as JSON, shares from 0 to 1.
    pub fn to_json(&self) -> Value {
        let estimate = |(figure, one): (&Figure, &Estimate)| {
            let [low, high] = one.interval;
            let value = json!({
                "mean": one.mean, "low": low, "high": high, "halves": one.halves,
                "questions": one.questions,
            });
            (figure.key(), value)
        };
        let way = |way: &Way| {
            let figures: BTreeMap<_, _> = way.figures.iter().map(estimate).collect();
            let latencies = way.latencies.to_json();
            (way.name, json!({"figures": figures, "latencyMs": latencies}))
        };
        let set = |set: &Measured| {
            let ways: BTreeMap<_, _> = set.ways.iter().map(way).collect();
            json!({
                "set": set.name, "questions": set.questions, "ways": ways,
                "contexts": set.contexts, "overBudget": set.over_budget,
            })
        };
        let sets: Vec<Value> = self.sets.iter().map(set).collect();
        json!({"sets": sets, "model": self.model})
    }

    /// Evidence recall against tokens, a curve for each way of each set that has contexts.
    pub fn curves(&self) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (set, measured) in self.sets.iter().enumerate() {
            for (way, searched) in measured.ways.iter().enumerate() {
                let point = |(figure, one): (&Figure, &Estimate)| {
                    let Figure::Evidence(budget) = figure else { return None };
                    let tokens = searched.figures.get(&Figure::Tokens(*budget))?.mean;
                    Some((tokens, one.mean, one.interval))
                };
                let points: Vec<_> = searched.figures.iter().filter_map(point).collect();
                let label = match way {
                    0 => measured.name.clone(),
                    _ => format!("{}, {} alone", measured.name, searched.name),
                };
                curves.push(Curve { set, way, label, points });
            }
        }
        curves.retain(|curve| !curve.points.is_empty());
        curves
    }

    /// All figures that a set has, in order.
    fn figures(&self) -> BTreeSet<Figure> {
        let first = self.sets.iter().filter_map(|set| set.ways.first());
        first.flat_map(|way| way.figures.keys().copied()).collect()
    }

    fn other_ways(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let ways = self.sets.first().map(|set| &*set.ways).unwrap_or_default();
        ways.iter().map(|way| way.name).enumerate().skip(1)
    }

    fn row(&self, label: &str, cell: impl Fn(&Measured) -> Option<String>) -> Vec<String> {
        let cells = self.sets.iter().map(|set| cell(set).unwrap_or_else(|| "–".to_owned()));
        std::iter::once(label.to_owned()).chain(cells).collect()
    }
}

/// A value; a main figure with its interval and halves.
fn cell(figure: Figure, one: &Estimate) -> String {
    let value = figure.format(one.mean);
    if !figure.is_main() {
        return value;
    }
    let [low, high] = one.interval.map(|end| figure.format(end));
    let half = |half: Option<f64>| half.map_or_else(|| "–".to_owned(), |mean| figure.format(mean));
    let [one, other] = one.halves.map(half);
    format!("{value} [{low}, {high}] ({one}, {other})")
}

fn times(times: &[std::time::Duration]) -> Option<String> {
    if times.is_empty() {
        return None;
    }
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| percentile_ms(&sorted, percent));
    Some(format!("{p50:.2} / {p99:.2}"))
}

/// Rows of Markdown whose columns are as wide as their widest cell.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("| {cell:<width$} "));
        }
        text.push_str("|\n");
    }
    text
}
