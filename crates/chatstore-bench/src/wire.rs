//! HTTP/1.1 with as little work as possible: requests built beforehand, one kept connection for each caller.
//!
//! A load generator on the machine it measures takes time from the server; this one takes a system call or two a
//! request. It understands only what the server sends: answers with a `Content-Length` or without a body.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::error::Error;

/// The bytes of a request without a body, by a user.
pub fn get(path: &str, key: &str) -> Vec<u8> {
    without_body("GET", path, key)
}

/// The bytes of a deletion.
pub fn delete(path: &str, key: &str) -> Vec<u8> {
    without_body("DELETE", path, key)
}

fn without_body(method: &str, path: &str, key: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n").into_bytes()
}

/// The bytes of a request with JSON.
pub fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, &format!("Authorization: Bearer {key}\r\n"), body)
}

/// The same without credentials.
pub fn post_anonymously(path: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, "", body)
}

/// The bytes of a change.
pub fn patch(path: &str, key: &str, body: &str) -> Vec<u8> {
    with_body("PATCH", path, &format!("Authorization: Bearer {key}\r\n"), body)
}

fn with_body(method: &str, path: &str, authorization: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    (head + body).into_bytes()
}

/// The room for an answer that is usually enough.
const BUFFER: usize = 32 << 10;

/// A connection that is used again for one request after the other.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to the server on this port of the loopback interface.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn open(port: u16) -> Result<Self, Error> {
        Self::over(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?)
    }

    /// The same from another address of the loopback interface, like 127.0.0.2.
    ///
    /// # Errors
    /// When nothing listens there, or the address is none of this machine's.
    pub async fn open_from(address: Ipv4Addr, port: u16) -> Result<Self, Error> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        Self::over(socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?)
    }

    fn over(stream: TcpStream) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// The socket, to be used without the protocol.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Errors
    /// When the connection ends before the answer does; it is of no use afterwards.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, Error> {
        self.send(request).await?;
        self.answer().await
    }

    /// Hands a request to the system.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&mut self, request: &[u8]) -> Result<(), Error> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Waits for the whole answer to the request that was sent last.
    ///
    /// # Errors
    /// When the connection ends before the answer does; it is of no use afterwards.
    pub async fn answer(&mut self) -> Result<Answer<'_>, Error> {
        self.buffer.clear();
        self.buffer.reserve(BUFFER);
        loop {
            if let Some(shape) = complete(&self.buffer)? {
                return Ok(Answer { shape, bytes: &self.buffer });
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection ended before the answer".into());
            }
        }
    }
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer<'b> {
    shape: Shape,
    bytes: &'b [u8],
}

impl Answer<'_> {
    /// The status code.
    pub const fn status(&self) -> u16 {
        self.shape.status
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(std::str::from_utf8(&self.bytes[..self.shape.head]).ok()?, name)
    }

    /// What follows the head.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.shape.head..self.shape.end()]
    }
}

/// How an answer is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    status: u16,
    head: usize,
    body: usize,
}

impl Shape {
    const fn end(self) -> usize {
        self.head + self.body
    }
}

/// `None` while something is missing.
fn complete(bytes: &[u8]) -> Result<Option<Shape>, Error> {
    Ok(shape(bytes)?.filter(|shape| bytes.len() >= shape.end()))
}

/// `None` while the head is incomplete.
fn shape(bytes: &[u8]) -> Result<Option<Shape>, Error> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end + 2])?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no HTTP answer")?;
    let body = header(head, "content-length").map_or(Ok(0), str::parse)?;
    Ok(Some(Shape { status, head: end + 4, body }))
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.split("\r\n").skip(1);
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_divided_by_its_empty_line_and_its_length() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nContent-Length: 2\r\n\r\n{}";
        let shape = shape(text).unwrap().unwrap();
        let answer = Answer { shape, bytes: text };
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.header("Retry-After"), Some("1"));
        assert_eq!(answer.header("status"), None);
        assert_eq!(answer.body(), b"{}");
    }

    #[test]
    fn half_a_head_is_no_answer_yet() {
        assert_eq!(shape(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
        assert!(shape(b"SSH-2.0\r\n\r\n").is_err());
    }
}
