//! The commands of README.md and of the examples' READMEs, tried on a real `sluicegate up`, and their answers compared.
//!
//! A ```console block holds commands, after `$ `, and what they print. Before a document's commands run, `sluicegate up`
//! is started in a folder of its own with the files and folders that lie beside the document, on a port of its own. An
//! example whose configuration speaks of `SLUICEGATE_TEST_…` gets the servers it names, of its own, by `dev/services`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_sluicegate");

/// The address that the documents show.
const SHOWN: &str = "127.0.0.1:8080";

/// An answer that takes time, such as a row that is yet to be applied, must be right by then.
const PATIENCE: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command and what it prints.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    output: String,
}

/// The steps of the console blocks of a document. A command goes on over lines that end in `\` or `|`, or within quotes.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut is_console, mut is_open) = (false, false);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
            continue;
        }
        if !is_console {
            continue;
        }
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (_, Some(step)) if is_open => step.command.push_str(&format!("\n{line}")),
            (Some(command), _) => {
                steps.push(Step { line: index + 1, command: command.into(), output: String::new() });
            }
            (None, Some(step)) => {
                step.output.push_str(&format!("{line}\n"));
                continue;
            }
            (None, None) => panic!("line {}: an answer without a command", index + 1),
        }
        is_open = steps
            .last()
            .is_some_and(|step| step.command.ends_with(['\\', '|']) || step.command.matches('\'').count() % 2 == 1);
    }
    steps
}

/// What cannot be the same twice, made the same: times, ids, process numbers; and JSON in one line.
fn plain(text: &str) -> String {
    let text = text.replace('\r', "");
    // Headers, if they are shown, then a body.
    let (head, body) = match text.split_once("\n\n") {
        Some((head, body)) if head.starts_with("HTTP/") => (head, body),
        _ => ("", text.as_str()),
    };
    let body = match serde_json::from_str::<serde_json::Value>(body) {
        Ok(value) => value.to_string(),
        Err(_) => body.to_owned(),
    };
    let mut out = String::new();
    for line in head.lines().filter(|line| !line.starts_with("date:")).chain(body.lines()) {
        let mut rest = line;
        while let Some(character) = rest.chars().next() {
            let length = changing(rest).unwrap_or(0);
            if length > 0 {
                out.push('…');
                rest = &rest[length..];
            } else {
                out.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    // The columns of a table are as wide as what cannot be the same twice.
    while out.contains("   ") {
        out = out.replace("   ", "  ");
    }
    out.trim().to_owned()
}

/// The length of a time or a UUID at the beginning of `text`.
fn changing(text: &str) -> Option<usize> {
    let is = |pattern: &str| {
        text.len() >= pattern.len()
            && pattern.bytes().zip(text.bytes()).all(|(wanted, byte)| match wanted {
                b'9' => byte.is_ascii_digit(),
                b'f' => byte.is_ascii_hexdigit(),
                _ => byte == wanted,
            })
    };
    for (pattern, end) in [("9999-99-99 99:99:99", "+00"), ("9999-99-99T99:99:99", "Z")] {
        if is(pattern) {
            return text.find(end).filter(|at| *at <= "9999-99-99 99:99:99.999".len()).map(|at| at + end.len());
        }
    }
    let uuid = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    is(uuid).then_some(uuid.len())
}

/// Whether a command only looks, so that it can be asked again until apply is as far as the document says.
fn only_looks(command: &str) -> bool {
    match command.split_once(' ') {
        Some(("psql" | "kcat", _)) => true,
        Some(("cat" | "ls", rest)) => !rest.contains('>'),
        Some(("curl", _)) => !["--json", "--data", "-X", "-d "].iter().any(|word| command.contains(word)),
        Some(("sluicegate", rest)) => {
            ["rows", "receipt", "rollups", "verify", "positions", "dead-letters list", "dead-letters show"]
                .iter()
                .any(|word| rest.starts_with(word))
        }
        _ => false,
    }
}

/// A running `sluicegate up`.
struct Running {
    process: Child,
    address: String,
    variables: Vec<(String, String)>,
}

impl Running {
    fn start(folder: &Path, variables: &[(String, String)]) -> Self {
        let mut process = Command::new(BINARY)
            .args(["up", "--listen", "127.0.0.1:0"])
            .envs(variables.iter().cloned())
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listens on http://").map(|(_, address)| address.to_owned()))
            .expect("`sluicegate up` says where it listens");
        // A pipe that nobody reads fills up.
        std::thread::spawn(move || lines.for_each(drop));
        Running { process, address, variables: variables.to_vec() }
    }

    fn run(&self, folder: &Path, command: &str) -> String {
        let command = command.replace(SHOWN, &self.address);
        let programs = Path::new(BINARY).parent().unwrap().display().to_string();
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
            .env("CURL_HOME", folder)
            .envs(self.variables.iter().cloned())
            .current_dir(folder)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).replace(&self.address, SHOWN)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// True when a tool that is wanted is there. One loud line when it is not; with `REQUIRE_SERVICES=1` a failure.
fn has(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--version").output().is_ok();
    if !is_there {
        eprintln!("SKIPPED: {tool} is missing, so the commands of the documents are not tried");
        assert!(std::env::var_os("REQUIRE_SERVICES").is_none_or(|value| value != "1"), "{tool} is missing");
    }
    is_there
}

/// Copies what lies in a folder, but not the data of somebody who tried the example there.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_file() {
            fs::copy(&path, to.join(name)).unwrap();
        } else if name != "sluicegate-data" {
            fs::create_dir(to.join(name)).unwrap();
            copy(&path, &to.join(name));
        }
    }
}

/// Tries the commands of `document`, with copies of the files beside it when `with_files` says so.
fn check(document: &Path, with_files: bool) {
    let text = fs::read_to_string(document).unwrap();
    let steps = steps(&text);
    assert!(!steps.is_empty(), "{} shows no commands", document.display());
    if !["curl", "bash"].into_iter().all(has) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".curlrc"), "silent\n").unwrap();
    if with_files {
        copy(document.parent().unwrap(), folder.path());
    }
    let needed = needed_services(document);
    let services = (!needed.is_empty()).then(|| Services::up(folder.path(), &needed));
    let variables = match &services {
        Some(None) => return,
        Some(Some(services)) => services.variables(),
        None => Vec::new(),
    };
    let up = Running::start(folder.path(), &variables);
    for Step { line, command, output } in &steps {
        let wanted = plain(output);
        let begun = Instant::now();
        let mut found = plain(&up.run(folder.path(), command));
        while found != wanted && only_looks(command) && begun.elapsed() < PATIENCE {
            std::thread::park_timeout(Duration::from_millis(20));
            found = plain(&up.run(folder.path(), command));
        }
        assert!(
            found == wanted,
            "{}:{line}\n$ {command}\n--- as printed there\n{wanted}\n--- as it is\n{found}\n",
            document.display()
        );
    }
}

/// Servers of one document's own, which are gone when this is dropped.
struct Services {
    folder: PathBuf,
}

/// The servers that the configuration beside a document names.
fn needed_services(document: &Path) -> Vec<&'static str> {
    let config = fs::read_to_string(document.with_file_name("sluicegate.yaml")).unwrap_or_default();
    let is_named = |name: &&str| config.contains(&format!("SLUICEGATE_TEST_{}", name.to_uppercase()));
    ["kafka", "postgres"].into_iter().filter(is_named).collect()
}

impl Services {
    /// Starts Kafka, PostgreSQL or both. None, with one loud line, when they cannot be had; with `REQUIRE_SERVICES=1` a
    /// failure.
    fn up(folder: &Path, names: &[&str]) -> Option<Self> {
        let services = Services { folder: folder.join("services") };
        let is_up = services.run("up", names)
            && names.iter().map(|name| if *name == "kafka" { "kcat" } else { "psql" }).all(has);
        if !is_up {
            eprintln!("SKIPPED: dev/services up did not work, so an example is not tried");
            assert!(std::env::var_os("REQUIRE_SERVICES").is_none_or(|value| value != "1"), "there are no services");
        }
        is_up.then_some(services)
    }

    fn run(&self, command: &str, names: &[&str]) -> bool {
        let mut script = Command::new(root().join("dev/services"));
        script.arg(command).args(names).arg("--dir").arg(&self.folder);
        // Its output is no pipe: the servers would keep it open.
        script.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// What `. target/services/env` sets.
    fn variables(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.folder.join("env")).unwrap();
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if !self.run("down", &[]) {
            eprintln!("the services in {} stay behind", self.folder.display());
        }
    }
}

/// The folders under examples/.
fn examples() -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(root().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

#[test]
fn the_commands_of_the_readme_answer_as_it_says() {
    check(&root().join("README.md"), false);
}

#[test]
fn the_commands_of_every_example_answer_as_it_says() {
    for folder in examples() {
        check(&folder.join("README.md"), true);
    }
}

#[test]
fn every_example_configuration_passes_check() {
    for folder in examples() {
        let data = tempfile::tempdir().unwrap();
        let needed = needed_services(&folder.join("README.md"));
        let services = (!needed.is_empty()).then(|| Services::up(data.path(), &needed));
        let variables = match &services {
            Some(None) => continue,
            Some(Some(services)) => services.variables(),
            None => Vec::new(),
        };
        let output = Command::new(BINARY)
            .envs(variables)
            .env("SLUICEGATE_LISTEN", "127.0.0.1:0")
            .arg("check")
            .arg("--config")
            .arg(folder.join("sluicegate.yaml"))
            .arg("--data")
            .arg(data.path())
            .output()
            .unwrap();
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}\n{said}{errors}", folder.display());
    }
}

#[test]
fn console_blocks_are_read_as_people_read_them() {
    let text = "```console\n$ a \\\n  b\nx\n\ny\n$ c '1\n2'\n```\n```text\n$ no\n```\n";
    let step = |line, command: &str, output: &str| Step { line, command: command.into(), output: output.into() };
    assert_eq!(steps(text), [step(2, "a \\\n  b", "x\n\ny\n"), step(7, "c '1\n2'", "")]);
    assert_eq!(plain("at 2026-01-02 03:04:05.6+00, 0198c0de-0000-7000-8000-0123456789ab."), "at …, ….");
    assert_eq!(plain("HTTP/1.1 200 OK\r\ndate: x\r\n\r\n{\n \"a\": 1}"), "HTTP/1.1 200 OK\n{\"a\":1}");
}
