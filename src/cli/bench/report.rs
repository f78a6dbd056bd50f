//! The figures of a benchmark as text for people and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::metrics::Measured;
use super::tally::{Operation, Tally, Times};
use super::watch::Sample;

const MIB: f64 = 1_048_576.0;

/// What the server used while a row was measured.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// At the begin, at intervals, at the end.
    pub samples: Vec<Sample>,
    /// Its histograms.
    pub measured: Vec<Measured>,
    /// Calls that ended meanwhile, of all loads that were sent at once, refused ones included.
    pub calls: u64,
}

impl Used {
    fn cpu(&self) -> Duration {
        let ends = self.samples.first().zip(self.samples.last());
        ends.map_or(Duration::ZERO, |(first, last)| last.cpu.saturating_sub(first.cpu))
    }

    fn rss_mib(&self) -> [f64; 3] {
        let rss = |sample: Option<&Sample>| sample.map_or(0.0, |at| at.rss_bytes as f64 / MIB);
        let most = self.samples.iter().max_by_key(|sample| sample.rss_bytes);
        [rss(self.samples.first()), rss(most), rss(self.samples.last())]
    }
}

/// One thing that was measured.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// For how long.
    pub duration: Duration,
    /// What became of its calls.
    pub tally: Tally,
    /// What the server used; `None`: it is another's process.
    pub used: Option<Used>,
}

impl Row {
    /// Answers a second.
    pub fn goodput(&self) -> f64 {
        self.tally.ended.0 as f64 / self.duration.as_secs_f64()
    }

    /// CPU time of the server for each call that ended, in milliseconds; with several loads at once
    /// that of all their calls.
    pub fn cpu_ms(&self) -> Option<f64> {
        let used = self.used.as_ref().filter(|used| used.calls > 0)?;
        Some(used.cpu().as_secs_f64() * 1e3 / used.calls as f64)
    }

    fn operations(&self) -> impl Iterator<Item = (Operation, &Times)> {
        self.tally.done.iter().map(|(operation, times)| (*operation, times))
    }

    fn to_json(&self) -> Value {
        let calls: Vec<Value> = self
            .operations()
            .map(|(operation, times)| {
                let mut of = latency(times);
                of["call"] = json!(operation.name());
                of
            })
            .collect();
        let refused = self.tally.refused.iter().map(|((operation, why), times)| {
            let mut of = latency(times);
            of["call"] = json!(operation.name());
            of["reason"] = json!(why);
            of
        });
        let mut row = json!({
            "name": self.name, "seconds": self.duration.as_secs_f64(), "calls": calls,
            "refused": refused.collect::<Vec<_>>(), "goodput": self.goodput(),
            "sent": self.tally.done_count() + self.tally.refused_count(),
            "ended": {"answered": self.tally.ended.0, "refused": self.tally.ended.1},
            "unsent": self.tally.unsent, "degraded": self.tally.degraded,
            "coverage": {"turns": self.tally.coverage.0, "embedded": self.tally.coverage.1},
            "usedTokens": self.tally.used_tokens, "sentLate": latency(&self.tally.late),
        });
        if let Some(used) = &self.used {
            let [start, peak, end] = used.rss_mib();
            row["server"] = json!({
                "cpuSeconds": used.cpu().as_secs_f64(), "cpuMsPerCall": self.cpu_ms(),
                "rssMib": {"start": start, "peak": peak, "end": end},
                "measured": used.measured.iter().map(Measured::to_json).collect::<Vec<_>>(),
            });
        }
        row
    }
}

fn latency(times: &Times) -> Value {
    let [p50, p90, p99, p999] = [50.0, 90.0, 99.0, 99.9].map(|p| times.percentile_ms(p));
    json!({"count": times.count(), "p50Ms": p50, "p90Ms": p90, "p99Ms": p99, "p999Ms": p999,
           "maxMs": times.max_ms()})
}

/// All that a benchmark says.
#[derive(Debug, Default)]
pub struct Report {
    /// Where and with what: names and values.
    pub head: Vec<(&'static str, String)>,
    /// What was measured.
    pub rows: Vec<Row>,
    /// What follows from the rows: names and values.
    pub findings: Vec<(String, f64)>,
    /// Samples of a long run: seconds since its begin, and what the server used.
    pub course: Vec<(f64, Sample)>,
}

impl Report {
    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        let pairs = |(name, value): &(&str, String)| ((*name).to_owned(), json!(value));
        let head: serde_json::Map<String, Value> = self.head.iter().map(pairs).collect();
        let findings: serde_json::Map<String, Value> =
            self.findings.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let course = self.course.iter().map(|(seconds, at)| {
            json!({"seconds": seconds, "rssMib": at.rss_bytes as f64 / MIB, "files": at.files,
                   "threads": at.threads})
        });
        json!({
            "head": head, "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "findings": findings, "course": course.collect::<Vec<_>>(),
        })
    }

    /// As text: tables as Markdown writes them.
    pub fn to_text(&self) -> String {
        let head = self.head.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let mut text: String = head.collect();
        text.push_str(&section("", &self.calls()));
        text.push_str(&section("the server", &self.server()));
        text.push_str(&section("refused or failed", &self.refused()));
        text.push_str(&section("contexts that lack something", &self.degraded()));
        text.push_str(&section("the server's own histograms", &self.measured()));
        text.push_str(&section("the course", &self.course_cells()));
        if !self.findings.is_empty() {
            text.push('\n');
        }
        for (name, value) in &self.findings {
            text.push_str(&format!("{name}: {value:.2}\n"));
        }
        text
    }

    fn calls(&self) -> Vec<Vec<String>> {
        let head = "row|call|count|p50 ms|p90 ms|p99 ms|p99.9 ms|max ms|answers/s";
        let mut cells = vec![line(head)];
        for row in &self.rows {
            for (operation, times) in row.operations() {
                cells.push(times_of(&row.name, operation.name(), times, row.goodput()));
            }
        }
        cells
    }

    fn refused(&self) -> Vec<Vec<String>> {
        let head = "row|call: reason|count|p50 ms|p90 ms|p99 ms|p99.9 ms|max ms|a second";
        let mut cells = vec![line(head)];
        for row in &self.rows {
            for ((operation, why), times) in &row.tally.refused {
                let rate = times.count() as f64 / row.duration.as_secs_f64();
                let what = format!("{}: {why}", operation.name());
                cells.push(times_of(&row.name, &what, times, rate));
            }
            if row.tally.unsent > 0 {
                let count = row.tally.unsent.to_string();
                cells.push(vec![row.name.clone(), "never sent".to_owned(), count]);
            }
        }
        cells
    }

    fn server(&self) -> Vec<Vec<String>> {
        let head = "row|cores used|CPU ms/call|RSS MiB at start|peak|end|sent late, p99 ms";
        let mut cells = vec![line(head)];
        for row in &self.rows {
            let Some(used) = &row.used else { continue };
            let cores = used.cpu().as_secs_f64() / row.duration.as_secs_f64();
            let [start, peak, end] = used.rss_mib().map(|mib| format!("{mib:.0}"));
            let late = match row.tally.late.count() {
                0 => "-".to_owned(),
                _ => format!("{:.2}", row.tally.late.percentile_ms(99.0)),
            };
            let cpu = row.cpu_ms().map_or("-".to_owned(), |ms| format!("{ms:.3}"));
            let name = row.name.clone();
            cells.push(vec![name, format!("{cores:.2}"), cpu, start, peak, end, late]);
        }
        cells
    }

    fn degraded(&self) -> Vec<Vec<String>> {
        let mut cells = vec![line("row|degraded|contexts|of all|turns with vectors")];
        for row in &self.rows {
            let all = row.tally.done.get(&Operation::Context).map_or(0, Times::count);
            let (turns, embedded) = row.tally.coverage;
            for (lack, count) in &row.tally.degraded {
                cells.push(vec![
                    row.name.clone(),
                    (*lack).to_owned(),
                    count.to_string(),
                    percent(*count, all),
                    percent(embedded, turns),
                ]);
            }
        }
        cells
    }

    fn measured(&self) -> Vec<Vec<String>> {
        let mut cells = vec![line("row|histogram|count|mean|p50 at most|p99 at most")];
        for row in &self.rows {
            for of in row.used.iter().flat_map(|used| &used.measured) {
                let bound = |at: Option<f64>| at.map_or("-".to_owned(), |at| format!("{at:.6}"));
                let (p50, p99) = of.bounds.unzip();
                let (name, count) = (row.name.clone(), format!("{:.0}", of.count));
                let mean = format!("{:.6}", of.mean);
                cells.push(vec![name, of.name.clone(), count, mean, bound(p50), bound(p99)]);
            }
        }
        cells
    }

    fn course_cells(&self) -> Vec<Vec<String>> {
        let mut cells = vec![line("seconds|RSS MiB|files|threads")];
        for (seconds, at) in &self.course {
            cells.push(vec![
                format!("{seconds:.0}"),
                format!("{:.1}", at.rss_bytes as f64 / MIB),
                at.files.to_string(),
                at.threads.to_string(),
            ]);
        }
        cells
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

fn line(text: &str) -> Vec<String> {
    text.split('|').map(str::to_owned).collect()
}

fn times_of(row: &str, what: &str, times: &Times, rate: f64) -> Vec<String> {
    let mut cells = vec![row.to_owned(), what.to_owned(), times.count().to_string()];
    cells.extend([50.0, 90.0, 99.0, 99.9].map(|p| format!("{:.2}", times.percentile_ms(p))));
    cells.push(format!("{:.2}", times.max_ms()));
    cells.push(format!("{rate:.0}"));
    cells
}

/// A table with its title; nothing when it holds its head only.
fn section(title: &str, cells: &[Vec<String>]) -> String {
    let Some((head, [_, ..])) = cells.split_first() else { return String::new() };
    let widths: Vec<usize> = (0..head.len())
        .map(|at| cells.iter().filter_map(move |row| row.get(at)).map(|cell| cell.chars().count()))
        .map(|lengths| lengths.max().unwrap_or(0).max(3))
        .collect();
    let mut text = String::from("\n");
    if !title.is_empty() {
        text.push_str(&format!("{title}\n\n"));
    }
    for (place, row) in cells.iter().enumerate() {
        let padded = widths.iter().enumerate().map(|(at, width)| {
            let cell = row.get(at).map_or("", String::as_str);
            if at < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(&format!("| {} |\n", padded.collect::<Vec<_>>().join(" | ")));
        if place == 0 {
            let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>();
            text.push_str(&format!("| {} |\n", rule.join(" | ")));
        }
    }
    text
}

/// By how much a quantity grows in a minute, by least squares over points of seconds and values.
pub fn slope_a_minute(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut over, mut under) = (0.0, 0.0);
    for (at, value) in points {
        over += (at - x) * (value - y);
        under += (at - x) * (at - x);
    }
    if under == 0.0 { 0.0 } else { over * 60.0 / under }
}
