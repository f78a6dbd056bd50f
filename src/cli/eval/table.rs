//! The figures of a run, by category, and how long the calls took.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::eval::questions::Question;

const DEPTHS: [usize; 3] = [5, 10, 20];

/// Sums of one category.
#[derive(Debug, Clone, Default)]
struct Group {
    ranked: usize,
    recall: [f64; DEPTHS.len()],
    contexts: BTreeMap<u32, (usize, f64)>,
}

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

    /// Notes a ranking, best first.
    pub fn ranked(&mut self, question: &Question, ranked: &[String]) {
        let Some(evidence) = evidence_of(question) else { return };
        let recall = DEPTHS.map(|depth| {
            let first: HashSet<&str> = ranked.iter().take(depth).map(String::as_str).collect();
            share(&evidence, &first)
        });
        for group in groups_of(question) {
            let group = self.groups.entry(group).or_default();
            group.ranked += 1;
            group.recall.iter_mut().zip(recall).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Notes a context of a budget and the turns that stand whole in it.
    pub fn context(&mut self, question: &Question, budget: u32, tokens: u32, turns: &[String]) {
        self.contexts += 1;
        self.over_budget += usize::from(tokens > budget);
        let Some(evidence) = evidence_of(question) else { return };
        let turns: HashSet<&str> = turns.iter().map(String::as_str).collect();
        let recall = share(&evidence, &turns);
        for group in groups_of(question) {
            let group = self.groups.entry(group).or_default();
            let sum = group.contexts.entry(budget).or_default();
            *sum = (sum.0 + 1, sum.1 + recall);
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
            text.push_str(&format!("{name:<28}{:>5}", group.ranked));
            for sum in group.recall {
                text.push_str(&format!("{:>7.1}", 100.0 * mean(sum, group.ranked)));
            }
            for budget in &self.budgets {
                let (count, sum) = group.contexts.get(budget).copied().unwrap_or_default();
                text.push_str(&format!("{:>8.1}", 100.0 * mean(sum, count)));
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
            let recall = DEPTHS.iter().zip(group.recall);
            let recall: BTreeMap<_, _> = recall
                .map(|(depth, sum)| (format!("recall@{depth}"), mean(sum, group.ranked)))
                .collect();
            let contexts: BTreeMap<_, _> = group
                .contexts
                .iter()
                .map(|(budget, (count, sum))| (budget.to_string(), mean(*sum, *count)))
                .collect();
            json!({"questions": group.ranked, "ranked": recall, "evidenceRecall": contexts})
        };
        let groups: BTreeMap<_, _> = self.groups.iter().map(|(n, g)| (n, group(g))).collect();
        json!({"groups": groups, "contexts": self.contexts, "overBudget": self.over_budget})
    }
}

/// The category, and `all` unless the category stands apart: score.py's own rule.
fn groups_of(question: &Question) -> Vec<String> {
    let category = question.category.clone().unwrap_or_default();
    let apart = category.starts_with("5-") || category == "abstention";
    let mut groups = Vec::new();
    if !apart {
        groups.push("all".to_owned());
    }
    if !category.is_empty() {
        groups.push(category);
    }
    groups
}

fn evidence_of(question: &Question) -> Option<HashSet<&str>> {
    let evidence = question.evidence.as_ref()?;
    let evidence: HashSet<&str> = evidence.iter().map(String::as_str).collect();
    (!evidence.is_empty()).then_some(evidence)
}

#[expect(clippy::cast_precision_loss, reason = "counts of turns and questions are small")]
fn share(evidence: &HashSet<&str>, found: &HashSet<&str>) -> f64 {
    evidence.intersection(found).count() as f64 / evidence.len() as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of questions are small")]
fn mean(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
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
