//! Whether every file takes part: one that no module names is never compiled, its tests never run.

use std::collections::BTreeMap;

use super::tidy::files;

#[test]
fn every_file_is_a_module_of_its_parent() {
    let files: BTreeMap<String, String> = files(&["src", "tests/it"]).into_iter().collect();
    let roots = ["src/lib.rs", "src/main.rs", "tests/it/main.rs"];
    let lost = |name: &&String| {
        let path = name.trim_end_matches(".rs").trim_end_matches("/mod");
        let (folder, module) = path.rsplit_once('/').unwrap_or(("", path));
        let parents = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].map(|end| format!("{folder}{end}"));
        let declared = format!("mod {module};");
        let declares = |file: &String| {
            files
                .get(file)
                .is_some_and(|text| text.lines().any(|line| line.trim_end().ends_with(&declared)))
        };
        !roots.contains(&name.as_str()) && !parents.iter().any(declares)
    };
    let lost: Vec<&String> = files.keys().filter(lost).collect();
    assert!(lost.is_empty(), "no module: {lost:?}");
}
