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

#[derive(serde::Deserialize)]
struct Compose {
    services: std::collections::BTreeMap<String, Service>,
}

#[derive(serde::Deserialize)]
struct Service {
    #[serde(default)]
    image: String,
    environment: std::collections::BTreeMap<String, String>,
}

#[test]
fn what_compose_sets_are_settings_and_one_key_is_for_both() {
    let compose = include_str!("../../deploy/compose.yaml");
    let compose: Compose = serde_saphyr::from_str(compose).expect("it is YAML");
    let ours = &compose.services["keepsake"].environment;
    let unknown: Vec<_> =
        ours.keys().filter(|name| !KEYS.iter().any(|key| key.env == name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(ours["KEEPSAKE_DOCUMENTS_ENGINE"], "qdrant");
    let server = &compose.services["qdrant"];
    let key = &server.environment["QDRANT__SERVICE__API_KEY"];
    assert_eq!(&ours["KEEPSAKE_DOCUMENTS_QDRANT_API_KEY"], key);
    let version = server.image.strip_prefix("qdrant/qdrant:v").expect("a version is pinned");
    let page = include_str!("../../deploy/qdrant.md");
    assert!(version.starts_with("1.") && page.contains("1.19"), "{version}");
}
