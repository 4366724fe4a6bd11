//! Early answers: a client that is still sending gets the answer all the same, whatever it is written in.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Home, PATIENCE, Process, Target, eventually};

const CONFIG: &str = "
streams:
  s: {takes: events}
";

/// How often each client tries: the answer was lost to 4 to 10 of 10.
const TRIES: usize = 20;

const BYTES: usize = 4 << 20;

/// The path, headers, and the status of an early answer.
type Refusal = (&'static str, &'static [(&'static str, &'static str)], u16);

const REFUSALS: &[Refusal] = &[
    ("/v1/streams/s", &[], 413),
    ("/v1/streams/s", &[("Origin", "https://evil.example")], 403),
    ("/v1/streams/s", &[("Host", "evil.example")], 403),
    ("/v1/streams/nothing", &[], 404),
    ("/nothing", &[], 404),
    ("/v1/streams/s", &[("Content-Type", "text/csv")], 415),
    ("/v1/streams/s", &[("Content-Encoding", "br")], 415),
    ("/v1/streams/s?dry=1", &[], 400),
    ("/health/live", &[], 405),
];

/// Sends everything before it reads anything, as many clients do. Gives the answer's status.
fn status_after_sending(server: &Process, path: &str, headers: &[(&str, &str)]) -> Result<u16, std::io::Error> {
    let mut stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("POST {path} HTTP/1.1\r\nContent-Length: {BYTES}\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str("Host: localhost\r\n");
    }
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    for piece in vec![b' '; BYTES].chunks(32 << 10) {
        stream.write_all(piece)?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0))
}

#[test]
fn an_early_answer_reaches_who_sends_everything_first() {
    let home = Home::with(CONFIG);
    let server = home.up();
    for (path, headers, expected) in REFUSALS {
        for nth in 0..TRIES {
            let status = status_after_sending(&server, path, headers);
            assert!(status.as_ref().is_ok_and(|status| status == expected), "{nth}: {path} {headers:?} {status:?}");
        }
    }
}

#[test]
fn who_is_answered_and_goes_on_for_ever_is_left() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST /v1/streams/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 1u64 << 40);
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b' '; 1 << 20];
    let mut sent = 0usize;
    while stream.write_all(&piece).is_ok() {
        sent += piece.len();
        assert!(sent < 256 << 20, "it takes bytes without end");
    }
    // One that says nothing more is let go as well.
    let mut silent = TcpStream::connect(server.address()).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    silent.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413"));
    eventually(PATIENCE, "the silent one's connection is closed", || silent.write_all(b" ").is_err().then_some(()));
    let _ = silent.shutdown(Shutdown::Both);
}

const PYTHON: &str = r#"
import sys, urllib.request, urllib.error
url, size, tries = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for _ in range(tries):
    try:
        urllib.request.urlopen(urllib.request.Request(url, data=b" " * size, headers={"Content-Type": "application/json"}))
        print("accepted")
    except urllib.error.HTTPError as error:
        print(error.code, len(error.read()) > 0)
    except Exception as error:
        print("lost", error)
"#;

const NODE: &str = r#"
const http = require("http");
const [url, size, tries] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const one = () => new Promise((done) => {
  const request = http.request(url, { method: "POST", headers: { "Content-Type": "application/json", "Content-Length": size } }, (answer) => {
    let length = 0;
    answer.on("data", (piece) => (length += piece.length));
    answer.on("end", () => done(`${answer.statusCode} ${length > 0 ? "True" : "False"}`));
    answer.on("error", (error) => done(`lost ${error}`));
  });
  request.on("error", (error) => done(`lost ${error}`));
  request.end(Buffer.alloc(size, " "));
});
(async () => { for (let nth = 0; nth < tries; nth++) console.log(await one()); })();
"#;

const GO: &str = r#"
package main

import ("bytes"; "fmt"; "io"; "net/http"; "os"; "strconv")

func main() {
	size, _ := strconv.Atoi(os.Args[2])
	tries, _ := strconv.Atoi(os.Args[3])
	for nth := 0; nth < tries; nth++ {
		answer, err := http.Post(os.Args[1], "application/json", bytes.NewReader(bytes.Repeat([]byte(" "), size)))
		if err != nil { fmt.Println("lost", err); continue }
		body, err := io.ReadAll(answer.Body)
		if err != nil { fmt.Println("lost", err); continue }
		if len(body) > 0 { fmt.Println(answer.StatusCode, "True") } else { fmt.Println(answer.StatusCode, "False") }
	}
}
"#;

#[test]
fn a_413_reaches_the_clients_that_people_use() {
    let home = Home::with(CONFIG);
    let server = home.up();
    let url = format!("http://{}/v1/streams/s", server.address());
    for (program, name, text, arguments) in [
        ("python3", "post.py", PYTHON, &[] as &[&str]),
        ("node", "post.js", NODE, &[]),
        ("go", "post.go", GO, &["run"]),
    ] {
        let file = home.write(name, text);
        let mut command = Command::new(program);
        command.args(arguments).arg(file).args([&url, &BYTES.to_string(), &TRIES.to_string()]);
        command.env("GOCACHE", home.path("go-cache")).env("GOFLAGS", "-mod=mod").stdin(Stdio::null());
        match command.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(said, "413 True\n".repeat(TRIES), "{program}: {told}");
            }
            Err(error) => eprintln!("SKIPPED: the client {program} cannot be run: {error}"),
        }
    }
}
