//! The alerts of `deploy/` are rules, and ask for metrics, labels and values that exist.

use std::collections::BTreeMap;

use keepsake::error::Reason;
use keepsake::telemetry::{CODES, Kind, METRICS};
use serde::Deserialize;

const ALERTS: &str = include_str!("../../../deploy/alerts.yml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    alert: String,
    expr: String,
    #[serde(default, rename = "for")]
    lasting: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

/// A vector that an expression asks for: the metric, and the values that its labels may have.
struct Asked {
    name: String,
    labels: Vec<(String, String)>,
}

/// What an expression asks for: words of this project and of processes, with what stands in braces
/// behind them.
fn asked(expr: &str) -> Vec<Asked> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(begin) = rest.find(is_word) {
        let word = &rest[begin..];
        let (name, after) = word.split_at(word.find(|c| !is_word(c)).unwrap_or(word.len()));
        rest = after;
        if !["keepsake_", "process_"].iter().any(|begin| name.starts_with(begin)) {
            continue;
        }
        let mut labels = Vec::new();
        if let Some(braced) = after.strip_prefix('{') {
            let (inside, after) = braced.split_once('}').expect("a brace is closed");
            rest = after;
            for matcher in inside.split(',') {
                let (label, value) = matcher.split_once('=').expect("a label has a value");
                let value = value.trim_start_matches('~').trim_matches('"');
                labels.push((label.trim().to_owned(), value.to_owned()));
            }
        }
        found.push(Asked { name: name.to_owned(), labels });
    }
    found
}

/// Whether a label of a metric can have a value, as far as that is known here.
fn can_be(label: &str, value: &str) -> bool {
    match label {
        "job" => value == "keepsake",
        "code" => CODES.contains(&value),
        "reason" => Reason::ALL.iter().any(|reason| reason.text() == value),
        "outcome" => ["done", "failed", "dead"].contains(&value),
        "method" => {
            let (service, method) = value.split_once('/').expect("Service/Method");
            let service = keepsake::proto::POOL.get_service_by_name(service);
            service.is_some_and(|service| service.methods().any(|known| known.name() == method))
        }
        _ => false,
    }
}

#[test]
fn alerts_ask_for_what_is_exported() {
    let rules: Rules = serde_saphyr::from_str(ALERTS).expect("the rules are YAML of rules");
    let rules = rules.groups.iter().flat_map(|group| {
        assert!(!group.name.is_empty());
        &group.rules
    });
    let mut seen = 0;
    for Alert { alert, expr, lasting, labels, annotations } in rules {
        assert!(["page", "ticket"].contains(&labels["severity"].as_str()), "{alert}");
        assert!(annotations.contains_key("summary") && annotations.contains_key("description"));
        assert!(lasting.is_empty() || lasting.ends_with('m'), "{alert}: {lasting}");
        let vectors = asked(expr);
        assert!(!vectors.is_empty(), "{alert}");
        for Asked { name, labels } in vectors {
            let metric = METRICS.iter().find(|metric| match metric.kind {
                Kind::Histogram(_) => name == format!("{}_bucket", metric.name),
                Kind::Counter | Kind::Gauge => name == metric.name,
            });
            let metric = metric.unwrap_or_else(|| panic!("{alert}: no metric `{name}`"));
            for (label, values) in labels {
                let known = label == "job" || metric.labels.contains(&label.as_str());
                assert!(known, "{alert}: `{name}` has no label `{label}`");
                for value in values.split('|') {
                    assert!(can_be(&label, value), "{alert}: {label} is no {value}");
                }
            }
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn the_scrape_loads_the_alerts_and_names_the_job_that_they_ask_for() {
    let scrape: serde_json::Value =
        serde_saphyr::from_str(include_str!("../../../deploy/prometheus.yml")).expect("it is YAML");
    assert_eq!(scrape["rule_files"], serde_json::json!(["alerts.yml"]));
    assert_eq!(scrape["scrape_configs"][0]["job_name"], "keepsake");
}
