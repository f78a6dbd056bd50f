//! How good rankings of documents are. Pure.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::cli::eval::questions::DocumentQuestion;

/// How far nDCG looks.
const NDCG_DEPTH: usize = 10;
const DEPTHS: [usize; 3] = [10, 20, 50];

/// Sums over the questions that have relevant documents.
#[derive(Debug, Default)]
pub struct Gains {
    questions: u32,
    ndcg: f64,
    recall: [f64; DEPTHS.len()],
}

impl Gains {
    /// Notes a ranking, best first.
    pub fn ranked(&mut self, question: &DocumentQuestion, ranked: &[String]) {
        if question.relevant.is_empty() {
            return;
        }
        self.questions += 1;
        self.ndcg += ndcg(&question.relevant, ranked);
        for (sum, depth) in self.recall.iter_mut().zip(DEPTHS) {
            let first = ranked.iter().take(depth);
            let found = first.filter(|name| question.relevant.contains_key(*name)).count();
            *sum += ratio(found, question.relevant.len());
        }
    }

    /// The means in percent, for people.
    pub fn to_text(&self) -> String {
        if self.questions == 0 {
            return "no question has relevant documents: there is nothing to measure by\n".into();
        }
        let mut text = format!("nDCG@{NDCG_DEPTH}");
        for depth in DEPTHS {
            text.push_str(&format!("{:>7}", format!("r@{depth}")));
        }
        text.push_str(&format!("\n{:>7.1}", 100.0 * self.mean(self.ndcg)));
        for sum in self.recall {
            text.push_str(&format!("{:>7.1}", 100.0 * self.mean(sum)));
        }
        text + "\n"
    }

    /// The means as JSON, from 0 to 1.
    pub fn to_json(&self) -> Value {
        let mut figures = json!({
            "questions": self.questions,
            format!("ndcg@{NDCG_DEPTH}"): self.mean(self.ndcg),
        });
        for (depth, sum) in DEPTHS.iter().zip(self.recall) {
            figures[format!("recall@{depth}")] = self.mean(sum).into();
        }
        figures
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / f64::from(self.questions.max(1))
    }
}

/// The discounted gain of the first ten against that of the best order there could be, 0 to 1, with
/// the gains themselves and a discount of log2(rank + 1). Source: Järvelin and Kekäläinen 2002,
/// "Cumulated gain-based evaluation of IR techniques".
pub fn ndcg(relevant: &HashMap<String, f64>, ranked: &[String]) -> f64 {
    let mut best: Vec<f64> = relevant.values().copied().collect();
    best.sort_by(|a, b| b.total_cmp(a));
    let got = ranked.iter().map(|name| relevant.get(name).copied().unwrap_or_default());
    let ideal = discounted(best.into_iter());
    if ideal > 0.0 { discounted(got) / ideal } else { 0.0 }
}

fn discounted(gains: impl Iterator<Item = f64>) -> f64 {
    let ranks = (2..).map(f64::from);
    gains.take(NDCG_DEPTH).zip(ranks).map(|(gain, rank)| gain / rank.log2()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "counts of documents are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
