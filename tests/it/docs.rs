//! The README says what the code says.

use keepsake::api::{ANSWER_BYTES_MAX, REQUEST_BYTES_MAX};
use keepsake::config::KEYS;
use keepsake::memory::REPEATS_KEPT_MS;
use keepsake::sessions::SESSION_TURNS_MAX;
use keepsake::types::ID_BYTES_MAX;

const README: &str = include_str!("../../README.md");

/// The rows of the first table under a heading, without its two head lines.
fn rows(heading: &str) -> Vec<&'static str> {
    let section = README.split_once(&format!("\n## {heading}\n")).expect("the heading is there").1;
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    table.take_while(|line| line.starts_with('|')).skip(2).collect()
}

#[test]
fn the_table_of_settings_is_the_one_of_the_code() {
    let expected: Vec<String> = KEYS
        .iter()
        .map(|key| {
            let default = key.default.map_or("–".to_owned(), |text| format!("`{text}`"));
            format!("| `{}` | `{}` | {default} | {} |", key.path, key.env, key.doc)
        })
        .collect();
    assert_eq!(rows("Settings"), expected);
}

#[test]
fn the_table_of_limits_has_the_limits_of_the_code() {
    let turns = SESSION_TURNS_MAX / 1_000;
    let expected = [
        format!("| one request | {} MiB |", REQUEST_BYTES_MAX >> 20),
        format!("| one answer | {} MiB |", ANSWER_BYTES_MAX >> 20),
        format!("| turns of a session, superseded ones included | {turns},000 |"),
        format!(
            "| an id (tenant, user, session) | {ID_BYTES_MAX} bytes of `A-Z a-z 0-9 . _ ~ -` |"
        ),
        format!("| a repeat is known for | {} hours |", REPEATS_KEPT_MS / 3_600_000),
    ];
    let rows = rows("Limits");
    for row in expected {
        assert!(rows.contains(&row.as_str()), "the README lacks: {row}");
    }
}

#[test]
fn the_example_of_the_readme_is_the_one_that_runs() {
    let example = include_str!("../../clients/python/keepsake_example.py");
    let append = example.split_once("def append(").expect("it appends").1;
    let append = append.split_once("\n\n").expect("another function follows").0;
    assert!(README.contains(append));
}
