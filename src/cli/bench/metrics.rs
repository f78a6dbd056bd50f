//! What the server says about itself: its Prometheus metrics, before and after a row.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The gauge that says how many collections have vectors that are being put in order.
const ORDERING: &str = "keepsake_index_ordering";

/// The gauge that says how many sessions wait for vectors.
const PENDING: &str = "keepsake_embedding_sessions_pending";

/// Where metrics are served.
#[derive(Debug, Clone, Copy)]
pub struct Metrics {
    address: SocketAddr,
}

/// Every number that was served, by its name with its labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape(BTreeMap<String, f64>);

impl Metrics {
    /// The metrics of a server.
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Reads them; nothing when they cannot be read: a benchmark goes on without.
    pub fn scrape(self) -> Scrape {
        self.text().map(|text| Scrape::parse(&text)).unwrap_or_default()
    }

    fn text(self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // HTTP/1.0: the answer is what comes until the connection ends.
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// A histogram of the server over a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Its name with its labels.
    pub name: String,
    /// How many values were noted.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// Bounds that 50 % and 99 % of them do not exceed, where there are buckets.
    pub bounds: Option<(f64, f64)>,
}

impl Measured {
    /// As JSON.
    pub fn to_json(&self) -> Value {
        let (p50, p99) = self.bounds.unzip();
        json!({"name": self.name, "count": self.count, "mean": self.mean,
               "p50AtMost": p50, "p99AtMost": p99})
    }
}

impl Scrape {
    /// Reads the text form.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| line.starts_with("keepsake"));
        let numbers = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(numbers.collect())
    }

    /// How many sessions wait for vectors; `None`: the server does not say.
    pub fn pending(&self) -> Option<f64> {
        self.0.get(PENDING).copied()
    }

    /// In how many collections vectors are being put in order; `None`: the server does not say.
    pub fn ordering(&self) -> Option<f64> {
        self.0.get(ORDERING).copied()
    }

    /// What was noted since `before`, by histogram.
    pub fn since(&self, before: &Self) -> Vec<Measured> {
        let grown = |name: &str| {
            let earlier = before.0.get(name).copied().unwrap_or_default();
            self.0.get(name).map(|now| now - earlier)
        };
        let sums = self.0.keys().filter_map(|key| {
            let (name, labels) = split(key);
            Some((name.strip_suffix("_sum")?, labels))
        });
        let measured = sums.filter_map(|(name, labels)| {
            let count = grown(&joined(name, "_count", labels)).filter(|count| *count > 0.0)?;
            let mean = grown(&joined(name, "_sum", labels))? / count;
            let bounds = self.buckets(before, name, labels);
            let bounds = quantile(&bounds, 0.5).zip(quantile(&bounds, 0.99));
            Some(Measured { name: joined(name, "", labels), count, mean, bounds })
        });
        measured.collect()
    }

    /// The bounds of a histogram's buckets, each with how many values since `before` do not exceed
    /// it, in order.
    fn buckets(&self, before: &Self, name: &str, labels: &str) -> Vec<(f64, f64)> {
        let start = format!("{name}_bucket{{");
        let own = self.0.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
        let mut bounds: Vec<(f64, f64)> = own
            .filter_map(|(key, now)| {
                let (rest, bound) = key[start.len()..].strip_suffix("\"}")?.rsplit_once("le=\"")?;
                if rest.trim_end_matches(',') != labels {
                    return None;
                }
                let earlier = before.0.get(key).copied().unwrap_or_default();
                Some((bound.parse().ok()?, now - earlier))
            })
            .collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        bounds
    }
}

/// The name of a series and what stands between its braces.
fn split(key: &str) -> (&str, &str) {
    match key.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}')),
        None => (key, ""),
    }
}

fn joined(name: &str, end: &str, labels: &str) -> String {
    if labels.is_empty() { format!("{name}{end}") } else { format!("{name}{end}{{{labels}}}") }
}

/// The first bound that a share of the values does not exceed.
fn quantile(bounds: &[(f64, f64)], share: f64) -> Option<f64> {
    let all = bounds.last()?.1;
    bounds.iter().find(|(_, count)| *count >= share * all).map(|(bound, _)| *bound)
}
