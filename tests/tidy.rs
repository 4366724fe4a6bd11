//! The rules of the house, run as tests: who may import whom, how long a file may be, which names say nothing, and that
//! the documents under docs/ still tell the truth.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/outside.rs"]
mod outside;
#[path = "tidy/words.rs"]
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sluicegate::http::{describe, routes};
use sluicegate::problem::ProblemType;

use self::imports::IMPORTS;
use self::outside::OUTSIDE;

/// Names that do not say what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helpers", "helper", "misc", "core", "base", "types"];

/// No file is longer. The aim is 120 lines.
const LINES_MAX: usize = 600;

/// Files longer than this need a reason here: one thing that would not be clearer in two places.
const LINES_USUAL: usize = 400;
const LONG: &[(&str, &str)] = &[
    ("src/change/column_type.rs", "every type and its aliases, and their table of tests"),
    ("src/change/decimal.rs", "arithmetic on digits, and its table of tests"),
    ("src/change/moment.rs", "dates and times as PostgreSQL reads them, and their table of tests"),
    ("src/config/tests.rs", "every problem of a configuration, as tables"),
    ("src/json.rs", "one reader, to be read down the page"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the project.
struct Source {
    /// Relative to the root, such as `src/gate/key.rs`.
    path: String,
    text: String,
}

/// The `.rs` files under `folder`.
fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let source = |path: PathBuf| Source {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(source).collect()
}

/// Fails with every fault at once.
#[track_caller]
fn check(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The path of the module in a file: `["store", "sqlite", "plan"]`.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The unit that a module belongs to: its longest beginning that the table names, or its first name.
fn unit(module: &[String]) -> Option<String> {
    let named = (1..=module.len()).rev().map(|length| module[..length].join("::"));
    named.clone().find(|name| IMPORTS.iter().any(|(unit, _)| unit == name)).or_else(|| module.first().cloned())
}

/// The text without comments. Good enough for this code: `//` in a string hides what follows it on its line.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

/// The modules that one line names, by `crate::` or by a `super::` that leaves the file's own folder.
fn named(line: &str, here: &[String], is_inline: bool) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let names = |text: &str| -> Vec<String> {
        let is_name =
            |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let end = text.find(|other: char| !other.is_ascii_alphanumeric() && other != '_' && other != ':');
        text[..end.unwrap_or(text.len())].split("::").take_while(is_name).map(str::to_owned).collect()
    };
    for (at, word) in line.match_indices("crate::") {
        let rest = &line[at + word.len()..];
        match rest.strip_prefix('{').and_then(|list| list.split('}').next()) {
            Some(list) => found.extend(list.split(',').map(|item| names(item.trim()))),
            None => found.push(names(rest)),
        }
    }
    let mut rest = line;
    while let Some(at) = rest.find("super::") {
        let mut climbs = 0;
        rest = &rest[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            climbs += 1;
            rest = after;
        }
        let climbs = if is_inline { climbs - 1 } else { climbs };
        let mut target = here[..here.len().saturating_sub(climbs)].to_vec();
        target.extend(names(rest));
        found.push(target);
    }
    found.retain(|module| !module.is_empty());
    found
}

#[test]
fn the_import_table_flows_one_way() {
    let mut faults = Vec::new();
    for (index, (unit, imports)) in IMPORTS.iter().enumerate() {
        for import in *imports {
            if !IMPORTS[..index].iter().any(|(above, _)| above == import) {
                faults.push(format!("{unit} imports {import}, which does not stand above it"));
            }
        }
        let is_there =
            ["", "/mod"].iter().any(|end| root().join(format!("src/{}{end}.rs", unit.replace("::", "/"))).exists());
        if !is_there && *unit != "digest" {
            faults.push(format!("{unit} stands in the table, and is no module"));
        }
    }
    check(faults);
}

#[test]
fn imports_are_found_however_they_are_written() {
    let here = module("src/store/sqlite/plan.rs");
    for (line, is_inline, expected) in [
        ("use crate::change::{Change, Key};", false, vec!["change"]),
        ("use crate::{config, registry};", false, vec!["config", "registry"]),
        ("    let x = crate::journal::sqlite::open();", false, vec!["journal::sqlite"]),
        ("use super::catalogue::Table;", false, vec!["store::sqlite"]),
        ("use super::super::rows::Rows;", false, vec!["store"]),
        ("    use super::*;", true, vec!["store::sqlite"]),
        ("use super::super::super::reading::progress::Progress;", false, vec!["reading::progress"]),
        ("use std::fmt;", false, vec![]),
    ] {
        let found: Vec<_> = named(line, &here, is_inline).iter().filter_map(|module| unit(module)).collect();
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn modules_import_only_what_the_table_lets_them() {
    let table: BTreeMap<_, _> = IMPORTS.iter().copied().collect();
    let mut faults = Vec::new();
    for Source { path, text } in sources("src") {
        let here = module(&path);
        // lib.rs lists the modules, and main.rs names the library as others do.
        let Some(own) = unit(&here).filter(|own| own != "main") else { continue };
        let Some(allowed) = table.get(own.as_str()) else {
            faults.push(format!("{path}: module {own} stands in no row of the import table"));
            continue;
        };
        let mut is_inline = false;
        for (number, line) in code(&text) {
            is_inline |= line.starts_with("mod ") && line.ends_with('{');
            for module in named(line, &here, is_inline) {
                let Some(other) = unit(&module) else { continue };
                if other != own && !allowed.contains(&other.as_str()) {
                    faults.push(format!("{path}:{number}: {own} must not import {other}"));
                }
            }
        }
    }
    check(faults);
}

/// The problems that are decided above the stores: by what a store has read, not by what its database said.
const DECIDED_ABOVE_STORES: &[ProblemType] = &[
    ProblemType::BadQuery,
    ProblemType::IdempotencyKeyReused,
    ProblemType::NameConflict,
    ProblemType::QueryTimeout,
    ProblemType::RowTooLarge,
    ProblemType::TooManyNames,
    ProblemType::TypeConflict,
    ProblemType::UnknownColumn,
    ProblemType::UnknownTable,
    ProblemType::UnreadableRecord,
];

#[test]
fn a_store_backend_decides_nothing() {
    let names: Vec<_> = DECIDED_ABOVE_STORES.iter().map(|kind| format!("{kind:?}")).collect();
    let (mut faults, mut count) = (Vec::new(), 0);
    for Source { path, text } in sources("src/store") {
        if unit(&module(&path)).as_deref() == Some("store") {
            continue;
        }
        count += 1;
        for (number, line) in code(&text).take_while(|(_, line)| *line != "#[cfg(test)]") {
            let words: Vec<_> = line.split(|other: char| !other.is_ascii_alphanumeric()).collect();
            for name in names.iter().filter(|name| words.contains(&name.as_str())) {
                faults.push(format!("{path}:{number}: a store must not decide that it is {name}"));
            }
        }
    }
    assert!(count > 20, "the backends' files are found");
    check(faults);
}

#[test]
fn only_the_outside_touches_the_outside() {
    let mut faults = Vec::new();
    for Source { path, text } in sources("src") {
        let own = unit(&module(&path)).unwrap_or_default();
        for (number, line) in code(&text).take_while(|(_, line)| *line != "#[cfg(test)]") {
            for (what, allowed) in OUTSIDE {
                let is_used = line.match_indices(what).any(|(at, _)| {
                    !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || matches!(before, '_' | ':'))
                });
                if is_used && !allowed.contains(&own.as_str()) {
                    faults.push(format!("{path}:{number}: {own} must not use {what}"));
                }
            }
        }
    }
    check(faults);
}

#[test]
fn backends_are_named_by_the_registry_only() {
    let mut faults = Vec::new();
    for Source { path, text } in sources("src") {
        let is_backend = |unit: &&str| unit.starts_with("journal::") || unit.starts_with("store::");
        for backend in IMPORTS.iter().map(|(unit, _)| *unit).filter(is_backend) {
            let own = unit(&module(&path)).unwrap_or_default();
            if own != backend && own != "registry" && code(&text).any(|(_, line)| line.contains(backend)) {
                faults.push(format!("{path} names {backend}"));
            }
        }
    }
    check(faults);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut faults = Vec::new();
    for Source { path, text } in ["src", "tests", "bench"].into_iter().flat_map(sources) {
        let lines = text.lines().count();
        let has_reason = LONG.iter().any(|(long, _)| *long == path);
        if lines > LINES_MAX {
            faults.push(format!("{path} has {lines} lines; {LINES_MAX} is the most"));
        } else if lines > LINES_USUAL && !has_reason && path.starts_with("src") {
            faults.push(format!("{path} has {lines} lines; divide it, or give a reason in LONG"));
        } else if lines <= LINES_USUAL && has_reason {
            faults.push(format!("{path} has {lines} lines and needs no reason in LONG"));
        }
        if !path.starts_with("bench") && !text.starts_with("//!") {
            faults.push(format!("{path} does not begin by saying what it is (`//!`)"));
        }
        for name in module(&path) {
            if EMPTY_NAMES.contains(&name.as_str()) {
                faults.push(format!("{path}: the name {name:?} does not say what is inside"));
            }
        }
    }
    check(faults);
}

/// No function is longer: it fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are yet to be divided.
const LONG_FUNCTIONS: &[&str] =
    &["src/format/wal2json/v1.rs: change", "src/format/wal2json/v2.rs: line", "src/store/sqlite/plan.rs: make"];

/// The functions of a file that have a body, and how many lines each takes. It is laid out by rustfmt.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let Some((before, rest)) = line.split_once("fn ") else { continue };
        let words = ["pub", "pub(super)", "pub(crate)", "const", "async", "unsafe", "extern", "\"C\""];
        if !before.split_whitespace().all(|word| words.contains(&word) || word.starts_with("pub(in")) {
            continue;
        }
        let name = rest.split(['(', '<']).next().unwrap_or_default();
        // A declaration ends with a semicolon, before any body begins.
        let head = lines[index..].iter().find(|line| line.ends_with('{') || line.ends_with([';', '}']));
        if head.is_none_or(|head| !head.ends_with('{')) {
            continue;
        }
        // A body ends with a brace that stands as far in as its function.
        let end = lines[index..].iter().position(|line| line.strip_prefix(indent) == Some("}"));
        found.extend(end.map(|end| (name, end + 1)));
    }
    found
}

#[test]
fn functions_fit_a_screen() {
    let example = "fn a() {\n    x;\n}\n\ntrait T {\n    fn b(\n        &self,\n    ) -> u8;\n\n    fn c(&self) -> u8 {\n        1\n    }\n}\n";
    assert_eq!(functions(example), [("a", 3), ("c", 3)]);
    let mut faults = Vec::new();
    for Source { path, text } in sources("src").into_iter().filter(|source| !source.path.ends_with("tests.rs")) {
        // A table of a test may be long.
        let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (name, lines) in functions(text) {
            let is_known = LONG_FUNCTIONS.contains(&format!("{path}: {name}").as_str());
            if lines > FUNCTION_LINES_MAX && !is_known {
                faults.push(format!("{path}: {name} has {lines} lines; {FUNCTION_LINES_MAX} is the most: divide it"));
            }
        }
    }
    check(faults);
}

#[test]
fn nothing_is_left_undone_ignored_or_slept_through() {
    // Put together, so that this file does not hold them itself.
    let everywhere =
        [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("d", "bg!("), concat!("FIX", "ME")];
    let in_tests = [concat!("#[ig", "nore"), concat!("sle", "ep(")];
    let mut faults = Vec::new();
    for Source { path, text } in ["src", "tests", "bench"].into_iter().flat_map(sources) {
        for (number, line) in text.lines().enumerate() {
            let is_test = path.starts_with("tests");
            for word in everywhere.iter().chain(in_tests.iter().filter(|_| is_test)) {
                if line.contains(word) {
                    faults.push(format!("{path}:{}: {word}", number + 1));
                }
            }
            let outside = concat!("/..", "/shared");
            if line.contains(outside) {
                faults.push(format!("{path}:{}: reads what a clone does not have", number + 1));
            }
        }
    }
    check(faults);
}

#[test]
fn every_file_of_tests_is_run() {
    let mut faults = Vec::new();
    for Source { path, .. } in sources("tests/it") {
        let (folder, file) = path.rsplit_once('/').unwrap();
        let name = file.trim_end_matches(".rs");
        let parents = match folder {
            "tests/it" => vec!["tests/it/main.rs".to_owned()],
            _ => vec![format!("{folder}.rs"), format!("{folder}/mod.rs")],
        };
        let says_so = |parent: &String| {
            let text = fs::read_to_string(root().join(parent)).unwrap_or_default();
            text.contains(&format!("mod {name};")) || text.contains(&format!("/{name}.rs\"]"))
        };
        if !matches!(name, "main" | "mod") && !parents.iter().any(says_so) {
            faults.push(format!("{path} is named by none of {}", parents.join(", ")));
        }
    }
    check(faults);
}

/// The texts between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_test_that_guarantees_md_names_exists() {
    let mut faults = Vec::new();
    let mut count = 0;
    for named in quoted(&read("docs/GUARANTEES.md")) {
        let Some((file, test)) = named.split_once(".rs::") else { continue };
        count += 1;
        let file = format!("{file}.rs");
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        if !text.contains(&format!("fn {test}(")) {
            faults.push(format!("docs/GUARANTEES.md: there is no test {test} in {file}"));
        }
    }
    assert!(count >= 10, "only {count} tests are named");
    check(faults);
}

#[test]
fn every_file_that_the_documents_name_exists() {
    let mut faults = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/GUARANTEES.md", "docs/http.md"] {
        let text = read(document);
        let is_file = |name: &&str| {
            ["src/", "tests/", "docs/", "examples/", "script/", "bench/"].iter().any(|folder| name.starts_with(folder))
                && !name.contains(['*', '{', ' ', 'X'])
        };
        for name in quoted(&text).filter(is_file) {
            let file = name.split("::").next().unwrap_or_default().split(':').next().unwrap_or_default();
            if !root().join(file).exists() {
                faults.push(format!("{document} names {file}, which is not there"));
            }
        }
        let folder = root().join(document).parent().unwrap().to_path_buf();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !link.starts_with("http") && !folder.join(file).exists() {
                faults.push(format!("{document} links to {link}, which is not there"));
            }
        }
    }
    check(faults);
}

/// How docs/http.md writes the value of a constant: `30 s`, `16 MiB`, `8192`.
fn shown(name: &str, value: &str) -> String {
    let number =
        |text: &str| text.replace('_', "").trim().parse::<u64>().unwrap_or_else(|_| panic!("{name} is {text}"));
    for (call, unit) in [("Duration::from_secs(", "s"), ("Duration::from_millis(", "ms")] {
        if let Some(inner) = value.strip_prefix(call) {
            return format!("{} {unit}", number(inner.trim_end_matches(')')));
        }
    }
    let mut amount = match value.split_once("<<") {
        Some((left, right)) => number(left) << number(right),
        None => number(value),
    };
    if name.contains("_KIB") {
        amount <<= 10;
    }
    match amount {
        _ if !name.contains("BYTES") && !name.contains("_KIB") => amount.to_string(),
        _ if amount % (1 << 20) == 0 => format!("{} MiB", amount >> 20),
        _ if amount % (1 << 10) == 0 => format!("{} KiB", amount >> 10),
        _ => format!("{amount} bytes"),
    }
}

/// A row of the table reads `| what | 30 s | `NAME` in `src/file.rs` |`.
#[test]
fn the_limits_in_http_md_are_those_of_the_code() {
    let mut faults = Vec::new();
    let mut count = 0;
    for row in read("docs/http.md").lines().filter(|line| line.contains("` in `src/")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let names: Vec<_> = quoted(cells[3]).collect();
        let (constant, file) = (names[0], names[1]);
        count += 1;
        let text = read(file);
        let value = text.lines().find_map(|line| {
            let declared = line.trim().trim_start_matches("pub(super) ").trim_start_matches("pub ");
            let rest = declared.strip_prefix("const ")?.strip_prefix(constant)?.strip_prefix(':')?;
            Some(rest.split_once('=')?.1.trim().trim_end_matches(';').to_owned())
        });
        match value {
            None => faults.push(format!("docs/http.md: {file} has no constant {constant}")),
            Some(value) if shown(constant, &value) != cells[2] => {
                faults.push(format!(
                    "docs/http.md says {} of {constant}, which is {}",
                    cells[2],
                    shown(constant, &value)
                ));
            }
            Some(_) => {}
        }
    }
    assert!(count >= 10, "only {count} limits are named");
    check(faults);
}

/// docs/problems.md, made from the catalogue.
fn problems() -> String {
    let mut out = String::from(
        "# Problems\n\n\
         Every error answer is `application/problem+json` (RFC 9457), and its `type` is one of these; so are the reasons of \
         dead\nletters. The gate serves each as a page at its own address. Made from the catalogue in `src/problem.rs`:\n\
         `UPDATE_DOCS=1 cargo test --test tidy problems_md` writes it again.\n",
    );
    for (title, is_here) in
        [("Answers", (|kind| !is_reason(kind)) as fn(ProblemType) -> bool), ("Reasons of dead letters", is_reason)]
    {
        out.push_str(&format!("\n## {title}\n"));
        for kind in ProblemType::ALL.iter().copied().filter(|kind| is_here(*kind)) {
            out.push_str(&format!("\n### `{}` · {}\n\n{}\n\n", kind.name(), kind.status(), kind.title()));
            out.push_str(&format!("{}\n", kind.mend()));
        }
    }
    out
}

/// Whether a type is met as the reason of a dead letter first.
fn is_reason(kind: ProblemType) -> bool {
    kind == ProblemType::UnknownTable || kind.status() == 409 && kind != ProblemType::NotApplied
}

#[test]
fn problems_md_says_what_the_catalogue_says() {
    let path = root().join("docs/problems.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, problems()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == problems(), "docs/problems.md is out of date: UPDATE_DOCS=1 cargo test --test tidy problems_md");
}

/// docs/http.md has the routes between these two lines.
#[test]
fn the_routes_in_http_md_are_those_of_the_table() {
    let mut routes = vec![routes::front()];
    routes.extend(routes::fixed());
    routes.extend(routes::of_health());
    let (path, written) = (root().join("docs/http.md"), read("docs/http.md"));
    let (begin, end) = ("routes_in_http_md -->\n", "<!-- end of the routes -->");
    let (before, rest) = written.split_once(begin).unwrap();
    let after = rest.split_once(end).unwrap().1;
    let right = format!("{before}{begin}\n{}\n{end}{after}", describe::table(&routes));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &right).unwrap();
    }
    assert!(
        read("docs/http.md") == right,
        "docs/http.md is out of date: UPDATE_DOCS=1 cargo test --test tidy routes_in_http_md"
    );
}
