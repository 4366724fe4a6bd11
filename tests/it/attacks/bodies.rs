//! Bodies that are small to send and hard to judge, unpack or answer.

use std::io::Write as _;

use super::beside::{Attack, Beside, CONFIG, SCHEMA, check, many, nothing, once};
use crate::support::{Connection, Home, Request, Target};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const YAML: &str = "application/yaml";

fn to(stream: &str, media: &str, body: impl AsRef<[u8]>) -> Request {
    Request::post(&format!("/v1/streams/{stream}"), body).header("Content-Type", media)
}

fn packed(stream: &str, media: &str, body: impl AsRef<[u8]>) -> Request {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.as_ref()).unwrap();
    to(stream, media, encoder.finish().unwrap()).header("Content-Encoding", "gzip")
}

/// A text on which the schema's pattern goes back without end.
fn slow() -> String {
    format!("\"{}c\"", "a".repeat(30))
}

#[test]
fn a_body_that_takes_too_long_to_be_judged_is_refused_with_the_mend() {
    let home = Home::with(CONFIG);
    home.write("judged.json", SCHEMA);
    let server = home.up();
    let lines = format!("{{\"b\":{}}}\n", slow()).repeat(5_000);
    let problem = server.send(to("judged", LINES, &lines)).expect(413).json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("in several bodies") && detail.contains("without looking ahead"), "{problem}");
    let few = format!("{{\"b\":{}}}\n", slow()).repeat(2);
    let answer = server.send(to("judged", LINES, few + "[\"abcde\"]")).expect(207).json();
    assert_eq!(answer["accepted"], 1, "{answer}");
    assert_eq!(answer["results"][1]["problem"]["errors"][0]["pointer"], "/b", "{answer}");
}

/// Sends a request from each of `count` clients, who leave after a while without an answer.
fn left_alone(beside: &Beside, count: usize, request: &Request) -> String {
    let mut connections: Vec<_> = (0..count).map(|_| Connection::open(beside.address).unwrap()).collect();
    for connection in &mut connections {
        connection.ask(request).unwrap();
    }
    beside.look_on(50);
    drop(connections);
    beside.look_on(150);
    "left".to_owned()
}

#[test]
fn patterns_that_go_back_take_nobody_elses_turn() {
    check(&[
        Attack {
            name: "5,000 lines whose pattern goes back, by 4 clients",
            ready: nothing,
            run: |beside| {
                let lines = format!("{{\"b\":{}}}\n", slow()).repeat(5_000);
                many(beside, 4, 2, |_| to("judged", LINES, &lines))
            },
        },
        Attack {
            name: "the same, by 8 clients who leave",
            ready: nothing,
            run: |beside| {
                let lines = format!("{{\"b\":{}}}\n", slow()).repeat(5_000);
                left_alone(beside, 8, &to("judged", LINES, lines))
            },
        },
        Attack {
            name: "one document with 2,000 such texts, by 8 clients",
            ready: nothing,
            run: |beside| {
                let texts: Vec<_> = (0..2_000).map(|nth| format!("\"{}{nth}c\"", "a".repeat(30))).collect();
                let document = format!("{{\"many\":[{}]}}", texts.join(","));
                many(beside, 8, 2, |_| to("judged", JSON, &document))
            },
        },
        Attack {
            name: "one such text, by 8 clients",
            ready: nothing,
            run: |beside| {
                many(beside, 8, 2, |_| to("judged", JSON, r#"{"user":"customer-relations-department@example.com"}"#))
            },
        },
    ]);
}

#[test]
fn tiny_lines_by_the_thousand_are_judged_aside() {
    check(&[Attack {
        name: "20,000 tiny lines, by 8 clients",
        ready: nothing,
        run: |beside| {
            let lines = "1\n".repeat(20_000);
            many(beside, 8, 2, |_| to("kept", LINES, &lines))
        },
    }]);
}

#[test]
fn packed_bodies_have_time_to_be_unpacked_whoever_else_unpacks() {
    check(&[
        Attack {
            name: "8 million tiny lines, packed, by 2 clients",
            ready: nothing,
            run: |beside| {
                let body = packed("kept", LINES, "1\n".repeat(8 << 20));
                let seen = once(beside, 2, |_| body.clone());
                // One has more documents than are taken; the other has room after it, or none.
                assert!(!seen.contains("400"), "{seen}");
                seen
            },
        },
        Attack {
            name: "200 MiB of one byte, packed, by 4 clients",
            ready: nothing,
            run: |beside| {
                let body = packed("kept", LINES, vec![b'0'; 200 << 20]);
                once(beside, 4, |_| body.clone())
            },
        },
        Attack {
            name: "empty members of gzip, by 3 clients",
            ready: nothing,
            run: |beside| {
                let empty = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
                let members = empty.repeat((1 << 20) / empty.len());
                many(beside, 3, 1, |_| to("kept", LINES, &members).header("Content-Encoding", "gzip"))
            },
        },
    ]);
}

#[test]
fn yaml_takes_no_more_memory_than_it_has_room_for() {
    fn attack(beside: &Beside, body: String) -> String {
        let body = packed("kept", YAML, body);
        many(beside, 6, 1, |_| body.clone())
    }
    check(&[
        Attack {
            name: "200,000 anchors in brackets",
            ready: nothing,
            run: |beside| attack(beside, format!("[{}1]", "&a 1,".repeat(200_000))),
        },
        Attack {
            name: "200,000 anchors in lines",
            ready: nothing,
            run: |beside| attack(beside, (0..80_000).map(|nth| format!("- &a{nth} 1\n")).collect()),
        },
        Attack {
            name: "95,000 keys in brackets",
            ready: nothing,
            run: |beside| {
                let keys: String = (0..95_000).map(|nth| format!("k{nth}: 1,")).collect();
                attack(beside, format!("{{{keys}}}"))
            },
        },
        Attack {
            name: "95,000 keys in lines",
            ready: nothing,
            run: |beside| attack(beside, (0..95_000).map(|nth| format!("k{nth}: 1\n")).collect()),
        },
        Attack {
            name: "as much in brackets as is taken, in 16 documents",
            ready: nothing,
            run: |beside| attack(beside, format!("---\n[{}1]\n", "&a 1,".repeat(9_500)).repeat(16)),
        },
        Attack {
            name: "aliases of aliases, in 16 documents",
            ready: nothing,
            run: |beside| {
                let mut document = "---\n- &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
                for nth in 1..5 {
                    let aliases = vec![format!("*a{}", nth - 1); 9].join(",");
                    document.push_str(&format!("- &a{nth} [{aliases}]\n"));
                }
                attack(beside, document.repeat(16))
            },
        },
        Attack { name: "brackets in brackets", ready: nothing, run: |beside| attack(beside, "[".repeat(900_000)) },
    ]);
}

#[test]
fn answers_that_nobody_reads_have_their_room_from_the_start() {
    check(&[Attack {
        name: "20,000 refusals, not read by 30 clients",
        ready: nothing,
        run: |beside| left_alone(beside, 30, &packed("judged", LINES, "[\"x\",\"y\",\"z\"]\n".repeat(20_000))),
    }]);
}
