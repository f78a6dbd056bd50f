//! Every scenario of the load generator on tiny numbers: the real binary against a server of its
//! own; the figures are not judged, only that each call is accounted for once.

use std::process::Command;

use serde_json::Value;

/// Runs a scenario for a moment and gives its report.
#[track_caller]
fn bench(arguments: &str) -> Value {
    bench_and_notes(arguments).0
}

/// Also what it says meanwhile.
#[track_caller]
fn bench_and_notes(arguments: &str) -> (Value, String) {
    let small = "--warm-up 0.1 --duration 0.4 --connections 4 --json";
    let of_sessions = !arguments.starts_with("documents");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepsake"));
    command.arg("bench").args(arguments.split(' ')).args(small.split(' '));
    command.args(of_sessions.then_some("--session-turns=6"));
    let done = command.env_remove("KEEPSAKE_ADDRESS").output().unwrap();
    let notes = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments}: {notes}");
    (serde_json::from_slice(&done.stdout).unwrap(), notes)
}

fn count(of: &Value) -> u64 {
    let counts = of.as_array().unwrap().iter().map(|of| of["count"].as_u64().unwrap());
    counts.sum()
}

/// Checks that each row has calls, that all were answered, and that the counts add up.
#[track_caller]
fn check(report: &Value, names: &[&str]) {
    let rows = report["rows"].as_array().unwrap();
    let found: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    for row in rows {
        assert!(count(&row["calls"]) > 0, "{row:#}");
        assert_eq!(row["refused"], Value::Array(Vec::new()), "{row:#}");
        assert_eq!(row["unsent"], 0, "{row:#}");
        assert_eq!(row["sent"], count(&row["calls"]), "{row:#}");
        for call in row["calls"].as_array().unwrap() {
            let times = ["p50Ms", "p90Ms", "p99Ms", "p999Ms", "maxMs"].map(|name| &call[name]);
            let times = times.map(|time| time.as_f64().unwrap());
            assert!(times[0] > 0.0 && times.is_sorted(), "{call:#}");
        }
        assert!(row["server"]["rssMib"]["peak"].as_f64().unwrap() > 0.0, "{row:#}");
    }
}

#[test]
fn clients_in_a_closed_loop_on_two_stores() {
    let report = bench("clients --clients 1,3 --sessions 4,8");
    check(
        &report,
        &["1 clients, 4 × 6", "3 clients, 4 × 6", "1 clients, 8 × 6", "3 clients, 8 × 6"],
    );
    assert!(report["findings"]["start with 8 sessions of 6 turns, seconds"].as_f64() > Some(0.0));
}

#[test]
fn a_rate_with_vectors_of_the_benchmark_s_own() {
    let report =
        bench("rate --rate 50 --sessions 4 --append-share 0 --embedding hashed --unsettled");
    check(&report, &["50/s"]);
    let row = &report["rows"][0];
    assert_eq!(row["calls"][0]["call"], "context", "{row:#}");
    assert!(row["usedTokens"].as_u64() > Some(0), "{row:#}");
    assert!(row["coverage"]["turns"].as_u64() > Some(0), "{row:#}");
}

#[test]
fn multiples_of_a_saturation() {
    let report = bench("overload --saturation 40 --multiples 1,2 --sessions 4");
    check(&report, &["1 × (40/s)", "2 × (80/s)"]);
    assert!(report["findings"]["2 ×: p99 of answers to that at 1 ×"].as_f64() > Some(0.0));
}

#[test]
fn a_flood_of_another_tenant() {
    let report = bench("flood --rate 40 --flood 80 --sessions 4 --engine memory");
    check(&report, &["alone", "beside the flood", "the flood"]);
    assert!(report["findings"]["p99 beside the flood to p99 alone"].as_f64() > Some(0.0));
}

#[test]
fn documents_of_one_tenant_and_of_several() {
    let arguments = "documents --tenants 1,3 --documents 4 --streams 2 --questions 10";
    let report = bench(&format!("{arguments} --embedding hashed"));
    check(&report, &["1 × 4", "1 × 4", "3 × 4", "3 × 4"]);
    let calls: Vec<_> =
        report["rows"].as_array().unwrap().iter().map(|row| &row["calls"]).collect();
    assert_eq!(calls.iter().map(|calls| count(calls)).collect::<Vec<_>>(), [10; 4]);
    for (place, call) in ["search", "passages"].into_iter().cycle().take(4).enumerate() {
        assert_eq!(calls[place][0]["call"], call);
    }
    let finding = |name: &str| report["findings"][name].as_f64().unwrap();
    assert!(finding("1 × 4: chunks") >= 40.0);
    assert!(finding("3 × 4: chunks") >= 120.0);
    assert!(finding("3 × 4: intake, chunks/s") > 0.0);
    assert!(finding("3 × 4: start until every document is found, seconds") > 0.0);
}

#[test]
fn a_soak_shows_its_course() {
    let report = bench("soak --saturation 50 --soak 1 --intervals 4 --sessions 4 --append-share 1");
    check(&report, &["soak at 35/s"]);
    let course = report["course"].as_array().unwrap();
    assert!(course.len() >= 4, "{course:?}");
    assert!(course.iter().all(|at| at["rssMib"].as_f64() > Some(0.0)), "{course:?}");
}

#[test]
fn a_store_that_is_kept_is_not_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let turns = r#"{"conversation":"c","session":"s","turn":"1","role":"user","text":"Tea at 4."}"#;
    let question = r#"{"query":"q","conversation":"c","text":"When is tea?"}"#;
    std::fs::write(folder.path().join("tiny.turns.jsonl"), turns).unwrap();
    std::fs::write(folder.path().join("tiny.queries.jsonl"), question).unwrap();
    let (store, data) = (path.display(), folder.path().display());
    let run = || {
        let scenario = format!("clients --clients 1 --sessions 3 --store {store}");
        bench_and_notes(&format!("{scenario} --append-share 0 --data {data} --set tiny"))
    };
    for is_filled in [false, true] {
        let (report, notes) = run();
        check(&report, &["1 clients, 3 × 6"]);
        assert_eq!(report["head"]["talk"], "the set `tiny`: 1 turns");
        assert_eq!(notes.contains("filled 3 sessions"), !is_filled, "{notes}");
    }
}
