//! A small blocking HTTP/1.1 client that can also send what a careful one would not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer of the program may take, `Prefer: wait` included.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// A request, built up member by member.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_chunked: bool,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Request { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new(), is_chunked: false }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path).body(body)
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// One document a line.
    pub(crate) fn lines(self) -> Self {
        self.header("Content-Type", "application/x-ndjson")
    }

    pub(crate) fn wait(self, seconds: u32) -> Self {
        self.header("Prefer", &format!("wait={seconds}"))
    }

    /// Sends the body in chunks, so that no `Content-Length` says how long it is.
    pub(crate) fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.is_chunked {
            head.push_str("Transfer-Encoding: chunked\r\n");
        } else if !self.body.is_empty() || self.method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head
    }
}

/// An answer that was read whole.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {} {:?}", self.status, self.text()),
        }
    }

    /// The receipt in the body.
    #[track_caller]
    pub(crate) fn receipt(&self) -> String {
        match self.json()["receipt"].as_str() {
            Some(receipt) => receipt.into(),
            None => panic!("no receipt in {} {}", self.status, self.text()),
        }
    }

    /// Fails unless the answer has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// One connection that is kept open from request to request.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Waits no longer than this for each piece of an answer.
    pub(crate) fn patience(&mut self, timeout: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(timeout))
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request and reads the answer whole.
    pub(crate) fn send(&mut self, request: &Request) -> io::Result<Response> {
        self.ask(request)?;
        self.answer(request.method == "HEAD")
    }

    /// Sends a request without reading the answer.
    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<()> {
        let mut bytes = request.head().into_bytes();
        if request.is_chunked {
            for chunk in request.body.chunks(8192) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(&request.body);
        }
        match self.write(&bytes) {
            // A server that answers before it has read everything may close first; its answer is still there.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
            written => written,
        }
    }

    /// Reads an interim answer, such as `100 Continue`.
    pub(crate) fn interim(&mut self) -> io::Result<()> {
        while !self.line()?.is_empty() {}
        Ok(())
    }

    /// Reads one answer.
    pub(crate) fn answer(&mut self, is_to_head: bool) -> io::Result<Response> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if status == 100 {
            return self.answer(is_to_head);
        }
        let mut response = Response { status, headers, body: Vec::new() };
        if is_to_head || status == 204 || status == 304 {
            return Ok(response);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
                self.body(&mut response, length)?;
                self.line()?;
                if length == 0 {
                    return Ok(response);
                }
            }
        }
        let length = response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.body(&mut response, length)?;
        Ok(response)
    }

    fn body(&mut self, response: &mut Response, length: usize) -> io::Result<()> {
        let begin = response.body.len();
        response.body.resize(begin + length, 0);
        self.stream.read_exact(&mut response.body[begin..])
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Whatever requests can be sent to.
pub(crate) trait Target {
    fn address(&self) -> SocketAddr;

    /// Sends a request on a connection of its own.
    #[track_caller]
    fn send(&self, request: Request) -> Response {
        match Connection::open(self.address()).and_then(|mut connection| connection.send(&request)) {
            Ok(response) => response,
            Err(error) => panic!("no answer to {} {}: {error}", request.method, request.path),
        }
    }

    #[track_caller]
    fn get(&self, path: &str) -> Response {
        self.send(Request::get(path))
    }

    #[track_caller]
    fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Response {
        self.send(Request::post(path, body))
    }
}

impl Target for SocketAddr {
    fn address(&self) -> SocketAddr {
        *self
    }
}
