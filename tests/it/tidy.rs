//! The house rules that a program can check: rooms and their imports, lengths, forbidden words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// What each room may import, from the innermost outward, as `src/ARCHITECTURE.md` lists them.
const ROOMS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("planted", &[]),
    ("proto", &[]),
    ("error", &[]),
    ("breaker", &[]),
    ("telemetry", &[]),
    ("tokens", &["types"]),
    ("retrieve", &["types"]),
    ("chunks", &["types"]),
    ("summarize", &["types", "tokens", "retrieve"]),
    ("context", &["types", "planted", "tokens", "summarize"]),
    ("storage", &[]),
    ("clock", &["types"]),
    ("chance", &["types"]),
    ("pool", &[]),
    ("extract", &["chunks"]),
    ("onnx", &[]),
    ("embed", &["types", "error", "breaker", "telemetry", "onnx"]),
    ("rerank", &["onnx"]),
    ("documents", &["types", "breaker", "retrieve", "pool"]),
    ("admission", &[]),
    ("record", &["types", "retrieve", "summarize", "context"]),
    ("sessions", &["types", "planted", "error", "summarize", "storage", "record"]),
    ("catalog", &["types", "storage", "record", "sessions"]),
    ("audit", &["types", "summarize", "storage", "record"]),
    (
        "memory",
        &[
            "types",
            "planted",
            "error",
            "telemetry",
            "tokens",
            "retrieve",
            "summarize",
            "context",
            "storage",
            "clock",
            "chance",
            "pool",
            "extract",
            "embed",
            "rerank",
            "documents",
            "chunks",
            "record",
            "sessions",
            "catalog",
        ],
    ),
    (
        "api",
        &[
            "types",
            "proto",
            "error",
            "telemetry",
            "tokens",
            "retrieve",
            "summarize",
            "context",
            "documents",
            "admission",
            "record",
            "sessions",
            "catalog",
            "memory",
        ],
    ),
    ("config", &["retrieve"]),
    (
        "app",
        &[
            "types",
            "proto",
            "error",
            "storage",
            "clock",
            "chance",
            "pool",
            "onnx",
            "embed",
            "rerank",
            "documents",
            "telemetry",
            "admission",
            "record",
            "sessions",
            "audit",
            "memory",
            "api",
            "config",
        ],
    ),
    (
        "cli",
        &["types", "proto", "error", "telemetry", "retrieve", "extract", "audit", "config", "app"],
    ),
];

/// Rooms without async, clocks, chance, I/O or logging.
const PURE: &[&str] = &[
    "types",
    "error",
    "tokens",
    "retrieve",
    "chunks",
    "summarize",
    "context",
    "admission",
    "record",
    "sessions",
    "catalog",
    "audit",
];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of these folders, by its path from the root.
pub fn files(folders: &[&str]) -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("the folder can be listed");
            waiting.extend(entries.map(|entry| entry.expect("the folder can be listed").path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.strip_prefix(root()).expect("it lies below the root");
            let name = name.to_str().expect("names are ASCII").to_owned();
            files.push((name, fs::read_to_string(&path).expect("the file is text")));
        }
    }
    files.sort();
    files
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/") || name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// The room of a file of `src/`; `None` for the files that only name rooms.
fn room(name: &str) -> Option<&str> {
    let inside = name.strip_prefix("src/")?;
    let room = inside.split('/').next()?.trim_end_matches(".rs");
    (!["main", "lib"].contains(&room)).then_some(room)
}

/// What a file does that a rule may forbid, each with its line.
#[derive(Default)]
struct Seen {
    /// Rooms that are imported by `use`, with the line of each statement.
    uses: Vec<(String, usize)>,
    /// Rooms that are named by their whole path elsewhere.
    paths: Vec<(String, usize)>,
    globs: Vec<usize>,
    unwraps: Vec<usize>,
    spawns: Vec<usize>,
    allows: Vec<usize>,
    impure: Vec<(String, usize)>,
    functions: Vec<(String, usize, usize)>,
    in_test: usize,
}

fn line(spanned: &impl syn::spanned::Spanned) -> usize {
    spanned.span().start().line
}

/// Whether attributes say that an item is there in tests only.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => {
            list.path.is_ident("cfg") && list.tokens.to_string().contains("test")
        }
        meta => meta.path().is_ident("test"),
    };
    attributes.iter().any(is_test)
}

impl Seen {
    fn of(text: &str, is_test: bool) -> Self {
        let parsed = syn::parse_file(text).expect("the file is Rust");
        let mut seen = Self { in_test: usize::from(is_test), ..Self::default() };
        seen.visit_file(&parsed);
        seen
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String], at: usize) {
        match tree {
            syn::UseTree::Path(path) => {
                let mut names = before.to_vec();
                names.push(path.ident.to_string());
                self.tree(&path.tree, &names, at);
            }
            syn::UseTree::Group(group) => {
                if before == ["crate"] {
                    self.uses.push(("{".to_owned(), at));
                }
                for tree in &group.items {
                    self.tree(tree, before, at);
                }
            }
            syn::UseTree::Glob(_) => self.globs.push(at),
            syn::UseTree::Name(name) => self.leaf(before, &name.ident, at),
            syn::UseTree::Rename(name) => self.leaf(before, &name.ident, at),
        }
    }

    fn leaf(&mut self, before: &[String], last: &syn::Ident, at: usize) {
        let mut names = before.to_vec();
        names.push(last.to_string());
        if names[0] == "crate" && !self.uses.contains(&(names[1].clone(), at)) {
            self.uses.push((names[1].clone(), at));
        }
        self.look_for_effects(&names, at);
    }

    fn look_for_effects(&mut self, names: &[String], at: usize) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let impure = matches!(
            names.as_slice(),
            ["tokio" | "tracing" | "getrandom" | "futures", ..]
                | ["std", "fs" | "net" | "env" | "process" | "thread", ..]
                | ["std", "time", "Instant" | "SystemTime", ..]
        );
        if impure && self.in_test == 0 {
            self.impure.push((names.join("::"), at));
        }
    }

    fn function(&mut self, name: &syn::Ident, item: &impl syn::spanned::Spanned, from: usize) {
        let lines = item.span().end().line + 1 - from;
        self.functions.push((name.to_string(), lines, from));
    }

    fn within(&mut self, test: bool, look: impl FnOnce(&mut Self)) {
        self.in_test += usize::from(test);
        look(self);
        self.in_test -= usize::from(test);
    }

    fn asynchronous(&mut self, what: &str, at: usize) {
        if self.in_test == 0 {
            self.impure.push((what.to_owned(), at));
        }
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[], line(item));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        if names[0] == "crate" && names.len() > 1 {
            self.paths.push((names[1].clone(), line(path)));
        }
        self.look_for_effects(&names, line(path));
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("allow") {
            self.allows.push(line(attribute));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(for_tests(&item.attrs), |seen| visit::visit_item_mod(seen, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, item, line(&item.sig));
        self.within(for_tests(&item.attrs), |seen| visit::visit_item_fn(seen, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, item, line(&item.sig));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if signature.asyncness.is_some() {
            self.asynchronous("async fn", line(signature));
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        self.asynchronous("await", line(expression));
        visit::visit_expr_await(self, expression);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" && self.in_test == 0 {
            self.unwraps.push(line(call));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(path) = call.func.as_ref() {
            let parts = &path.path.segments;
            let is_tokio = |part: &syn::PathSegment| part.ident == "tokio" || part.ident == "task";
            let tokio = parts.first().is_some_and(is_tokio);
            let spawn = parts.last().is_some_and(|part| part.ident == "spawn");
            if tokio && spawn && self.in_test == 0 {
                self.spawns.push(line(call));
            }
        }
        visit::visit_expr_call(self, call);
    }
}

/// Fails with all that was found.
#[track_caller]
fn check(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// What a rule finds in each file of the crate.
fn found_in_src(rule: impl Fn(&str, &Seen) -> Vec<String>) -> Vec<String> {
    let files = files(&["src"]);
    files.iter().flat_map(|(name, text)| rule(name, &Seen::of(text, is_test(name)))).collect()
}

#[test]
fn every_room_is_in_the_table_and_imports_come_from_inner_rooms() {
    let order: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    for (place, (room, allowed)) in ROOMS.iter().enumerate() {
        let inner = |other: &&str| order[..place].contains(other);
        assert!(allowed.iter().all(inner), "{room} imports outward");
    }
    let table: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    check(found_in_src(|name, seen| {
        let Some(own) = room(name) else { return Vec::new() };
        let Some(allowed) = table.get(own) else { return vec![format!("{name}: no known room")] };
        let named = seen.uses.iter().chain(&seen.paths);
        named
            .filter(|(room, _)| table.contains_key(room.as_str()) && room != own)
            .filter(|(room, _)| !allowed.contains(&room.as_str()) && !is_test(name))
            .map(|(room, line)| format!("{name}:{line} imports `{room}`"))
            .collect()
    }));
}

#[test]
fn the_map_lists_the_rooms_of_the_table() {
    let map = fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let rows = map.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<String> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split(','))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .filter(|name| name.ends_with('/') || name.ends_with(".rs"))
        .map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned())
        .collect();
    let known: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(listed, known);
}

#[test]
fn a_file_imports_each_room_in_one_statement() {
    check(found_in_src(|name, seen| {
        let mut statements: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (room, line) in &seen.uses {
            statements.entry(room).or_default().insert(*line);
        }
        statements
            .into_iter()
            .filter(|(room, lines)| lines.len() > 1 || *room == "{")
            .map(|(room, lines)| format!("{name}: `{room}` at lines {lines:?}"))
            .collect()
    }));
}

#[test]
fn no_glob_imports_no_allow_and_no_unwrap_outside_tests() {
    check(found_in_src(|name, seen| {
        // A test may take a whole prelude.
        let globs = seen.globs.iter().filter(|_| !is_test(name));
        let globs = globs.map(|line| format!("{name}:{line} imports all"));
        let allows = seen.allows.iter().map(|line| format!("{name}:{line} allows a lint"));
        let unwraps = seen.unwraps.iter().map(|line| format!("{name}:{line} unwraps"));
        globs.chain(allows).chain(unwraps).collect()
    }));
}

#[test]
fn pure_rooms_have_no_effects() {
    check(found_in_src(|name, seen| {
        if !room(name).is_some_and(|room| PURE.contains(&room)) || is_test(name) {
            return Vec::new();
        }
        seen.impure.iter().map(|(what, line)| format!("{name}:{line} `{what}`")).collect()
    }));
}

#[test]
fn tasks_start_in_the_app_only() {
    check(found_in_src(|name, seen| {
        let lines = seen.spawns.iter().filter(|_| room(name) != Some("app"));
        lines.map(|line| format!("{name}:{line} starts a task")).collect()
    }));
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut found = Vec::new();
    for (name, text) in files(&["src", "tests", "benches", "build.rs"]) {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{name} has {lines} lines"));
        }
        for (line, columns) in (1..).zip(text.lines().map(|line| line.chars().count())) {
            if columns > COLUMNS_MAX {
                found.push(format!("{name}:{line} has {columns} columns"));
            }
        }
        for (function, lines, line) in Seen::of(&text, is_test(&name)).functions {
            if lines > FUNCTION_LINES_MAX {
                found.push(format!("{name}:{line} `{function}` has {lines} lines"));
            }
        }
    }
    check(found);
}

#[test]
fn the_roots_hold_no_logic() {
    let lib = syn::parse_file(&fs::read_to_string(root().join("src/lib.rs")).unwrap()).unwrap();
    let bare = |item: &syn::Item| match item {
        syn::Item::Mod(item) => item.content.is_none(),
        item => matches!(item, syn::Item::Use(_)),
    };
    assert!(lib.items.iter().all(bare), "lib.rs names rooms only");
    let main = syn::parse_file(&fs::read_to_string(root().join("src/main.rs")).unwrap()).unwrap();
    let functions = main.items.iter().filter_map(|item| match item {
        syn::Item::Fn(function) => Some(function.block.stmts.len()),
        _ => None,
    });
    assert!(functions.collect::<Vec<_>>().iter().all(|statements| *statements <= 1));
}

#[test]
fn every_room_opens_with_what_it_is() {
    let files = files(&["src"]);
    let openings = files.iter().filter(|(name, _)| !is_test(name) || name.ends_with("mod.rs"));
    let bare = openings.filter(|(_, text)| !text.starts_with("//!"));
    check(bare.map(|(name, _)| format!("{name} does not say what it is")).collect());
}

#[test]
fn dependencies_come_from_the_registry() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let mut found = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, wanted) in manifest[section].as_table().unwrap() {
            let elsewhere = ["git", "path", "registry"];
            if elsewhere.iter().any(|key| wanted.get(key).is_some()) {
                found.push(format!("{name} of {section}"));
            }
        }
    }
    check(found);
}
