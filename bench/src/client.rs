//! As much of HTTP as the measurements need.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::Fallible;

/// One answer at the beginning of `bytes`: its status and its length. None while it is not complete.
pub(crate) fn answer(bytes: &[u8]) -> Option<(u16, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    let is_length = |line: &&[u8]| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:");
    let length = bytes[..head].split(|byte| *byte == b'\n').find(is_length);
    let length = length.and_then(|line| std::str::from_utf8(&line[15..]).ok()?.trim().parse::<usize>().ok());
    let end = head + length.unwrap_or(0);
    (bytes.len() >= end).then_some((status, end))
}

/// Sends one request on a connection of its own, and gives the status and the whole answer.
pub(crate) fn ask(address: &str, method: &str, path: &str, header: &str, body: &[u8]) -> Fallible<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    loop {
        if let Some((status, _)) = answer(&bytes) {
            return Ok((status, String::from_utf8_lossy(&bytes).into_owned()));
        }
        match stream.read(&mut some)? {
            0 => return Err("the server hung up".into()),
            read => bytes.extend_from_slice(&some[..read]),
        }
    }
}
