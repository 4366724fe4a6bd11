//! A million rows read back as CSV: how much memory the server takes, and how fast they come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rusqlite::Connection;

use crate::Fallible;
use crate::report::{Target, short, value};
use crate::scale::Scaled;
use crate::scratch::Scratch;
use crate::server::Server;

const ROWS: Scaled<u64> = Scaled(1_000_000, 10_000);

pub(crate) fn measure() -> Fallible {
    let scratch = Scratch::new()?;
    let server = Server::up(scratch.path(), &[])?;
    // What a stream writes is shown without a word in the configuration.
    let store = Connection::open(scratch.path().join("store.db"))?;
    store.execute_batch(
        "CREATE TABLE events (receipt TEXT PRIMARY KEY, received_at TIMESTAMPTZ_TEXT, name TEXT, age INTEGER, document JSONB_TEXT)",
    )?;
    store.execute(
        r#"WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ?1)
           INSERT INTO events SELECT 'events-0-' || id, '2026-11-21 10:53:49.381+00', 'name ' || id, id % 100,
                                     '{"name":"name ' || id || '","age":' || (id % 100) || ',"city":"Oslo"}' FROM n"#,
        [i64::try_from(ROWS.now())?],
    )?;
    drop(store);
    println!("  - resident before {} MiB", short(server.peak_memory_mib()?));
    for (what, query) in [("as they stand", ""), ("where age > 49", "?age=gt.49")] {
        let begun = Instant::now();
        let (lines, bytes) = read(&server.address, query)?;
        let seconds = begun.elapsed().as_secs_f64();
        let rows = lines - 1;
        let expected = if query.is_empty() { ROWS.now() } else { ROWS.now() / 2 };
        if rows != expected {
            return Err(format!("{rows} rows came, not {expected}").into());
        }
        let (rows_s, mib_s) = (rows as f64 / seconds, bytes as f64 / seconds / f64::from(1 << 20));
        println!("  - {rows} rows {what} in {} s: {} rows/s, {} MiB/s", short(seconds), short(rows_s), short(mib_s));
    }
    value("most resident memory, CSV of 1,000,000 rows", server.peak_memory_mib()?, "MiB", Target::AtMost(50.0));
    Ok(())
}

/// Asks for CSV and counts the lines and bytes of the answer, which comes in chunks.
fn read(address: &str, query: &str) -> Fallible<(u64, u64)> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /v1/tables/events/rows{query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/csv\r\n\r\n")?;
    let mut answer = BufReader::with_capacity(64 << 10, stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if !line.contains(" 200 ") {
        return Err(format!("the answer is {line:?}").into());
    }
    while !line.trim_end().is_empty() {
        line.clear();
        answer.read_line(&mut line)?;
    }
    let (mut lines, mut bytes, mut chunk) = (0, 0, Vec::new());
    loop {
        line.clear();
        answer.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16)?;
        chunk.resize(length + 2, 0);
        answer.read_exact(&mut chunk)?;
        if length == 0 {
            return Ok((lines, bytes));
        }
        lines += chunk[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += length as u64;
    }
}
