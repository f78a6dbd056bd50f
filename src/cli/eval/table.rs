//! The figures of a run, by category, and how long the calls took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::eval::{
    ask::Answer,
    figures::{DEPTHS, Figure, is_apart, of_answer},
    questions::Question,
};

/// Of one category, how many questions have a figure, and its sum.
type Group = BTreeMap<Figure, (usize, f64)>;

/// Recall of rankings and of contexts. Questions without evidence count for budgets only.
#[derive(Debug, Default)]
pub struct Table {
    budgets: Vec<u32>,
    groups: BTreeMap<String, Group>,
    over_budget: usize,
    contexts: usize,
}

impl Table {
    /// An empty table for contexts of these budgets.
    pub fn new(budgets: &[u32]) -> Self {
        Self { budgets: budgets.to_vec(), ..Self::default() }
    }

    /// Notes what was answered to a question.
    pub fn add(&mut self, question: &Question, answer: &Answer) {
        self.contexts += answer.contexts.len();
        self.over_budget += answer.contexts.iter().filter(|one| one.tokens > one.budget).count();
        for (figure, value) in of_answer(question, answer) {
            if matches!(figure, Figure::Recall(_) | Figure::Evidence(_)) {
                for group in groups_of(question) {
                    let sum = self.groups.entry(group).or_default().entry(figure).or_default();
                    *sum = (sum.0 + 1, sum.1 + value);
                }
            }
        }
    }

    /// The table for people: a line a category, recall in percent.
    pub fn to_text(&self) -> String {
        let mut text = format!("{:<28}{:>5}", "category", "n");
        for depth in DEPTHS {
            text.push_str(&format!("{:>7}", format!("r@{depth}")));
        }
        for budget in &self.budgets {
            text.push_str(&format!("{:>8}", format!("ev@{budget}")));
        }
        text.push('\n');
        for (name, group) in &self.groups {
            text.push_str(&format!("{name:<28}{:>5}", ranked(group)));
            for depth in DEPTHS {
                text.push_str(&format!("{:>7.1}", 100.0 * mean(group, Figure::Recall(depth))));
            }
            for budget in &self.budgets {
                text.push_str(&format!("{:>8.1}", 100.0 * mean(group, Figure::Evidence(*budget))));
            }
            text.push('\n');
        }
        if self.groups.is_empty() {
            text.push_str("no question has evidence: there is nothing to measure recall by\n");
        }
        text.push_str(&format!(
            "contexts over budget: {} of {}\n",
            self.over_budget, self.contexts
        ));
        text
    }

    /// The table as JSON, recall from 0 to 1.
    pub fn to_json(&self) -> Value {
        let group = |group: &Group| {
            let recall = DEPTHS.map(|depth| (depth, mean(group, Figure::Recall(depth))));
            let recall = recall.map(|(depth, mean)| (format!("recall@{depth}"), mean));
            let context =
                |budget: &u32| (budget.to_string(), mean(group, Figure::Evidence(*budget)));
            let contexts: BTreeMap<_, _> = self.budgets.iter().map(context).collect();
            let recall = BTreeMap::from(recall);
            json!({"questions": ranked(group), "ranked": recall, "evidenceRecall": contexts})
        };
        let groups: BTreeMap<_, _> = self.groups.iter().map(|(n, g)| (n, group(g))).collect();
        json!({"groups": groups, "contexts": self.contexts, "overBudget": self.over_budget})
    }
}

/// The category, and `all` unless the category stands apart: score.py's own rule.
fn groups_of(question: &Question) -> Vec<String> {
    let category = question.category.clone().unwrap_or_default();
    let mut groups = Vec::new();
    if !is_apart(question) {
        groups.push("all".to_owned());
    }
    if !category.is_empty() {
        groups.push(category);
    }
    groups
}

/// How many questions of a group have a ranking to measure.
fn ranked(group: &Group) -> usize {
    group.get(&Figure::Recall(DEPTHS[0])).map_or(0, |(count, _)| *count)
}

#[expect(clippy::cast_precision_loss, reason = "counts of questions are small")]
fn mean(group: &Group, figure: Figure) -> f64 {
    group.get(&figure).map_or(0.0, |(count, sum)| sum / *count as f64)
}

/// How long calls took, as the client saw it.
#[derive(Debug, Default)]
pub struct Latencies {
    /// Of Search.
    pub search: Vec<Duration>,
    /// Of BuildContext.
    pub context: Vec<Duration>,
}

impl Latencies {
    /// A line a call that was made, in milliseconds.
    pub fn to_text(&self) -> String {
        let line = |(name, [p50, p95, p99], count): (&str, [f64; 3], usize)| {
            format!("{name:<13} p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, n = {count}\n")
        };
        self.rows().into_iter().filter(|(_, _, count)| *count > 0).map(line).collect()
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        let rows = self.rows().map(|(name, [p50, p95, p99], count)| {
            json!({"call": name, "p50": p50, "p95": p95, "p99": p99, "n": count})
        });
        Value::Array(rows.to_vec())
    }

    fn rows(&self) -> [(&'static str, [f64; 3], usize); 2] {
        [("Search", &self.search), ("BuildContext", &self.context)].map(|(name, times)| {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            (name, [50, 95, 99].map(|percent| percentile_ms(&sorted, percent)), sorted.len())
        })
    }
}

/// The smallest of the sorted times that `percent` of them do not exceed; 0 of none.
pub fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}
