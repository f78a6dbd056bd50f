//! The README says what the code says.

use expect_test::expect_file;
use keepsake::app::limits;
use keepsake::config::KEYS;

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

/// The page of limits, as the code has them.
fn page_of_limits() -> String {
    let mut page =
        "# Limits\n\nEvery limit, and what becomes of what is over it. Reasons of refusals: \
        [errors.md](errors.md). Settings\n(`limits.…`): the README.\n"
            .to_owned();
    for (heading, rows) in limits() {
        page.push_str(&format!("\n## {heading}\n\n| what | limit | else |\n| --- | --- | --- |\n"));
        for row in rows {
            page.push_str(&format!("| {} | {} | {} |\n", row.what, row.most, row.else_what));
        }
    }
    page
}

#[test]
fn the_page_of_limits_has_the_limits_of_the_code() {
    expect_file!["../../docs/limits.md"].assert_eq(&page_of_limits());
}

#[test]
fn the_example_of_the_readme_is_the_one_that_runs() {
    let example = include_str!("../../clients/python/keepsake_example.py");
    let append = example.split_once("def append(").expect("it appends").1;
    let append = append.split_once("\n\n").expect("another function follows").0;
    assert!(README.contains(append));
}
