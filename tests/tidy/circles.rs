//! No circle of files: what a file of src/ names by `use` or by a path leads away from it, and never back.
//!
//! Best effort: macros and names that a glob brings are not followed. A name that a module passes on with `pub use` leads to
//! the file where it stands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Module = Vec<String>;
type Edges = BTreeMap<Module, BTreeSet<Module>>;

/// Knots that are yet to be untied: the folder around one, and how many files it has at most. No row is added, and no number
/// rises: what two files need goes down into a file of its own.
const KNOTS: &[(&str, usize)] = &[
    ("change", 4),
    ("command", 26),
    ("config", 8),
    ("intake", 7),
    ("schema", 4),
    ("store", 4),
    ("store::postgres", 8),
    ("store::postgres", 3),
    ("store::postgres::keys", 2),
    ("store::sqlite", 6),
];

/// What a text names: the paths that it uses, and the names that it passes on.
#[derive(Default)]
struct Named {
    paths: Vec<Module>,
    passed_on: BTreeMap<String, Module>,
}

/// The text without its tests, comments and literals.
fn bare(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut bare = String::new();
    for line in text.lines() {
        // Literals are the odd parts; those of several lines hide what follows.
        let line = line.replace("\\\"", "");
        let parts = line.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        bare.push_str(parts.split("//").next().unwrap_or_default());
        bare.push('\n');
    }
    bare
}

/// The paths of a tree such as `a::{b, c::{self, d}}`.
fn leaves(tree: &str, before: &[String], found: &mut Vec<Module>) {
    let (head, list) = match tree.split_once('{') {
        Some((head, list)) => (head, list.rsplit_once('}').map(|(list, _)| list)),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let path: Module = before.iter().cloned().chain(names).collect();
    let Some(list) = list else { return found.extend((!path.is_empty()).then_some(path)) };
    let (mut depth, mut start) = (0, 0);
    for (at, byte) in list.bytes().chain([b',']).enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                if !list[start..at].trim().is_empty() {
                    leaves(list[start..at].trim(), &path, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// Where a path leads from the module `here`, counted from the root; none when it leaves the crate.
fn absolute(path: &[String], here: &[String], modules: &BTreeSet<&Module>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut target = match first.as_str() {
        "crate" => Vec::new(),
        "self" => here.to_vec(),
        "super" => {
            let climbs = path.iter().take_while(|name| *name == "super").count();
            let mut target = here[..here.len().saturating_sub(climbs)].to_vec();
            target.extend_from_slice(&path[climbs..]);
            return Some(target);
        }
        _ => {
            let child: Module = here.iter().chain([first]).cloned().collect();
            return modules.contains(&child).then(|| here.iter().chain(path).cloned().collect());
        }
    };
    target.extend_from_slice(rest);
    Some(target)
}

fn named(text: &str, here: &[String], modules: &BTreeSet<&Module>) -> Named {
    let mut named = Named::default();
    let rest = bare(text);
    let mut words = String::new();
    let mut lines = rest.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let (head, tree) = trimmed.split_once("use ").unwrap_or((trimmed, ""));
        let is_use = tree.len() > 1 && (head.is_empty() || (head.starts_with("pub") && head.ends_with(' ')));
        if !is_use {
            words.push_str(line);
            words.push('\n');
            continue;
        }
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            let Some(line) = lines.next() else { break };
            tree.push_str(line);
        }
        let mut paths = Vec::new();
        leaves(tree.split(';').next().unwrap_or_default(), &[], &mut paths);
        for mut path in paths {
            if path.last().is_some_and(|last| last == "self" || last == "*") && path.len() > 1 {
                path.pop();
            }
            let Some(target) = absolute(&path, here, modules) else { continue };
            match target.last().filter(|_| !head.is_empty()) {
                Some(name) => drop(named.passed_on.insert(name.clone(), target)),
                None => named.paths.push(target),
            }
        }
    }
    // `pub(in crate::a)` says who may look, and looks nowhere.
    let words = words.replace("(in crate", "(in");
    for word in words.split(|other: char| !other.is_ascii_alphanumeric() && other != '_' && other != ':') {
        if word.contains("::") && !word.starts_with("::") {
            let path: Module = word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            named.paths.extend(absolute(&path, here, modules));
        }
    }
    named
}

/// The file that a path leads to: its longest beginning that is one, or where that passes its next name on from.
fn file(path: &[String], all: &BTreeMap<Module, Named>, steps: usize) -> Option<Module> {
    let length = (1..=path.len()).rev().find(|length| all.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    match rest.first().and_then(|name| all[module].passed_on.get(name)).filter(|_| steps > 0) {
        Some(passed_on) => file(&[passed_on, &rest[1..]].concat(), all, steps - 1),
        None => Some(module.to_vec()),
    }
}

/// Which file names which others.
fn edges(texts: &[(Module, &str)]) -> Edges {
    let modules: BTreeSet<_> = texts.iter().map(|(module, _)| module).collect();
    let all: BTreeMap<_, _> =
        texts.iter().map(|(module, text)| (module.clone(), named(text, module, &modules))).collect();
    let targets = |module: &Module, named: &Named| {
        named.paths.iter().filter_map(|path| file(path, &all, 8)).filter(|other| other != module).collect()
    };
    all.iter().map(|(module, named)| (module.clone(), targets(module, named))).collect()
}

/// The shortest way from a file back to it; empty when there is none.
fn circle(from: &Module, edges: &Edges) -> Vec<Module> {
    let mut came: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(module) = queue.pop_front() {
        for next in &edges[module] {
            if next == from {
                let mut way = vec![from.clone(), module.clone()];
                while way.last() != Some(from) {
                    way.push(came[&way[way.len() - 1]].clone());
                }
                way.reverse();
                return way;
            }
            if !came.contains_key(next) {
                came.insert(next, module);
                queue.push_back(next);
            }
        }
    }
    Vec::new()
}

/// The files that can be reached from one.
fn reached(from: &Module, edges: &Edges) -> BTreeSet<Module> {
    let (mut found, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(module) = left.pop() {
        left.extend(edges[module].iter().filter(|next| found.insert((*next).clone())));
    }
    found
}

/// The knots: files of which each leads to each. The largest of a folder stands first.
fn knots(edges: &Edges) -> Vec<Vec<Module>> {
    let reach: BTreeMap<_, _> = edges.keys().map(|module| (module, reached(module, edges))).collect();
    let mut knots = BTreeSet::new();
    for (module, from_it) in &reach {
        let knot: Vec<_> = from_it.iter().filter(|other| reach[other].contains(*module)).cloned().collect();
        if !knot.is_empty() {
            knots.insert(knot);
        }
    }
    let mut knots: Vec<_> = knots.into_iter().collect();
    knots.sort_by_key(|knot| std::cmp::Reverse(knot.len()));
    knots
}

/// The folder around files.
fn folder(files: &[Module]) -> String {
    let alike = |depth: &usize| files.iter().all(|file| file.get(*depth) == files[0].get(*depth));
    let depth = (0..files[0].len()).take_while(alike).count();
    files[0][..depth].join("::")
}

#[test]
fn files_of_the_source_go_in_no_circle() {
    let sources = crate::sources("src");
    let texts: Vec<_> = sources
        .iter()
        .map(|source| (crate::module(&source.path), source.text.as_str()))
        .filter(|(module, _)| !module.is_empty() && module.last().is_none_or(|last| last != "main" && last != "tests"))
        .collect();
    let edges = edges(&texts);
    let mut faults = Vec::new();
    let mut left: Vec<_> = KNOTS.iter().collect();
    for knot in knots(&edges) {
        let folder = folder(&knot);
        let known = left.iter().position(|(of, most)| *of == folder && knot.len() <= *most).map(|at| left.remove(at));
        if known.is_none() {
            let way: Vec<_> = circle(&knot[0], &edges).iter().map(|module| module.join("::")).collect();
            faults.push(format!("{folder}: {} files go in a circle: {}", knot.len(), way.join(" -> ")));
        }
    }
    faults.extend(
        left.iter().map(|(folder, files)| format!("no knot of {files} files is left in {folder}: strike its row")),
    );
    crate::check(faults);
}

#[test]
fn circles_are_found_however_they_are_written() {
    let back = |text: &str, others: &[(&str, &str)]| {
        let mut texts = vec![(crate::module("src/a/b.rs"), text)];
        texts.extend(others.iter().map(|(path, text)| (crate::module(path), *text)));
        knots(&edges(&texts)).iter().map(|knot| folder(knot)).collect::<Vec<_>>()
    };
    let c = ("src/a/c.rs", "use super::b::B;");
    for text in [
        "use super::c::C;",
        "use crate::a::c;",
        "use super::{\n    c::{self, C},\n    d,\n};",
        "fn f() { super::c::go(); }",
        "fn f(c: &crate::a::c::C) {}",
        "use super::super::a::c::C as D;",
    ] {
        assert_eq!(back(text, &[c]), ["a"], "{text}");
    }
    for text in ["// super::c::C", "const C: &str = \"super::c\";", "pub(in crate::a::c) struct B;", "use std::c::C;"] {
        assert_eq!(back(text, &[c]), [""; 0], "{text}");
    }
    // A parent that declares a child is no circle; one that calls what needs it is.
    let child = "use super::A;";
    assert_eq!(back(child, &[("src/a/mod.rs", "mod b;\npub struct A;")]), [""; 0]);
    assert_eq!(back(child, &[("src/a/mod.rs", "mod b;\npub struct A;\nfn f() { b::go() }")]), ["a"]);
    // What a parent passes on leads to where it stands.
    let parent = ("src/a/mod.rs", "mod b;\nmod d;\npub use self::d::A;\nuse self::b::B;");
    assert_eq!(back(child, &[parent, ("src/a/d.rs", "pub struct A;")]), [""; 0]);
    assert_eq!(back(child, &[parent, ("src/a/d.rs", "use super::b::B;")]), ["a"]);
    assert_eq!(circle(&crate::module("src/x.rs"), &edges(&[(crate::module("src/x.rs"), "")])), Vec::<Module>::new());
}
