//! What each `--help` ends with: commands to try, as they are typed. A test parses every one.

/// The path of a command, nothing for the program itself, and its examples.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "sluicegate up",
            "sluicegate publish events people.ndjson",
            "sluicegate rows events --limit 10",
            "sluicegate verify --output table",
        ],
    ),
    (
        "up",
        &[
            "sluicegate up",
            "sluicegate up --listen 0.0.0.0:8080 --data /var/lib/sluicegate",
            "sluicegate up --role gateway --journal kafka://a:9092,b:9092",
            "sluicegate up --log json --log-level info,access=debug",
        ],
    ),
    ("rollups", &["sluicegate rollups --output table", "sluicegate rollups seen", "sluicegate rollups seen j11288090"]),
    ("init", &["sluicegate init", "sluicegate init --config gate.yaml"]),
    ("check", &["sluicegate check", "sluicegate check --config gate.yaml"]),
    (
        "publish",
        &[
            "sluicegate publish events people.ndjson more.json notes.yaml",
            "sluicegate publish events --again people.ndjson",
            "zcat people.ndjson.gz | sluicegate publish events -",
        ],
    ),
    (
        "generate",
        &[
            "sluicegate generate events",
            "sluicegate generate events --users 1000 --rate 500 --duration 1m",
            "sluicegate generate - --users 10000 --seed 7 --at 2026-01-01 > seen.ndjson",
        ],
    ),
    (
        "tail",
        &[
            "sluicegate tail events -n 5",
            "sluicegate tail events --from end --output json",
            "sluicegate tail events --from 42 --partition 0 --exit",
        ],
    ),
    (
        "rows",
        &[
            "sluicegate rows item --where price=gt.20 --order price.desc --limit 10",
            "sluicegate rows events --where 'document->>city=eq.Oslo' --output ndjson",
            "sluicegate rows item --output csv > item.csv",
            "sluicegate rows item --limit 10 --watch 5s",
        ],
    ),
    ("receipt", &["sluicegate receipt activities-0-42"]),
    (
        "dead-letters",
        &[
            "sluicegate dead-letters list --stream activities",
            "sluicegate dead-letters show activities-0-42",
            "sluicegate dead-letters retry --all",
        ],
    ),
    (
        "dead-letters list",
        &[
            "sluicegate dead-letters list --stream activities --reason unknown-table",
            "sluicegate dead-letters list --watch",
        ],
    ),
    ("dead-letters show", &["sluicegate dead-letters show activities-0-42"]),
    (
        "dead-letters retry",
        &[
            "sluicegate dead-letters retry activities-0-42 activities-0-43",
            "sluicegate dead-letters retry activities-0-42 --with mended.json",
            "sluicegate dead-letters retry --reason unknown-table",
        ],
    ),
    ("dead-letters drop", &["sluicegate dead-letters drop activities-0-42"]),
    ("backup", &["sluicegate backup /backups/monday", "sluicegate backup copy --data /var/lib/sluicegate"]),
    (
        "positions",
        &[
            "sluicegate positions --watch",
            "sluicegate positions set events --to beginning",
            "sluicegate positions accept-loss events",
        ],
    ),
    (
        "positions set",
        &[
            "sluicegate positions set events --to beginning",
            "sluicegate positions set events --to 42 --partition 0 --yes",
        ],
    ),
    ("positions forget", &["sluicegate positions forget events"]),
    ("positions accept-loss", &["sluicegate positions accept-loss events --yes"]),
    ("verify", &["sluicegate verify", "sluicegate verify events --output table"]),
    ("schema", &["sluicegate schema > sluicegate.schema.json"]),
    ("completions", &["sluicegate completions bash > ~/.local/share/bash-completion/completions/sluicegate"]),
    ("man", &["sluicegate man > sluicegate.1"]),
];

/// The command line with its examples.
pub(super) fn add(definition: clap::Command) -> clap::Command {
    add_below("", definition)
}

fn add_below(path: &str, command: clap::Command) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    let command = match EXAMPLES.iter().find(|(known, _)| *known == path) {
        Some((_, examples)) => command.after_help(format!("Examples:\n  {}", examples.join("\n  "))),
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command.mut_subcommand(name, |inner| add_below(&path, inner))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::definition;

    fn paths(path: &str, command: &clap::Command, found: &mut Vec<String>) {
        found.push(path.to_owned());
        for inner in command.get_subcommands() {
            paths(format!("{path} {}", inner.get_name()).trim(), inner, found);
        }
    }

    #[test]
    fn every_command_has_examples_and_no_others_have() {
        let mut found = Vec::new();
        paths("", &definition(), &mut found);
        found.sort();
        let mut known: Vec<_> = EXAMPLES.iter().map(|(path, _)| (*path).to_owned()).collect();
        known.sort();
        assert_eq!(known, found);
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        for (path, example) in EXAMPLES.iter().flat_map(|(path, examples)| examples.iter().map(move |it| (path, it))) {
            let begin = example.find("sluicegate ").unwrap();
            let words = example[begin..].split(" > ").next().unwrap().replace('\'', "");
            let read = definition().try_get_matches_from(words.split(' '));
            assert!(read.is_ok(), "{example}: {}", read.unwrap_err());
            assert!(example[begin + "sluicegate ".len()..].starts_with(path), "{example} is no example of {path}");
        }
    }
}
