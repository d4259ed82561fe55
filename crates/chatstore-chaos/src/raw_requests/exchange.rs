//! What is sent over one connection, and what comes back.

use std::io::ErrorKind;
use std::time::Duration;

use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than the server may take for anything that a client without more to say has sent.
const LONGEST: Duration = Duration::from_secs(20);

/// Bytes of all answers of a connection that are kept.
const KEPT_BYTES: u64 = 16 << 20;

/// How the bytes of a connection are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Delivery {
    Whole,
    /// In this many pieces.
    Pieces(usize),
    /// Byte by byte, up to a limit.
    Bytes,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Says that it has nothing more to send, and reads to the end.
    HalfClose,
    /// Is gone without reading.
    Vanish,
}

/// Bytes that are sent one by one.
const ONE_BY_ONE: usize = 400;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client vanished.
    Unread,
    /// The server closed it after these bytes.
    Answers(Vec<u8>),
    /// The server did not close it in time.
    Hangs,
}

impl Delivery {
    pub(super) fn random(random: &mut Random) -> Self {
        match random.below(8) {
            0 => Self::Bytes,
            1..4 => Self::Pieces(2 + random.below(6)),
            _ => Self::Whole,
        }
    }
}

/// Sends bytes over a new connection.
///
/// # Errors
/// When no connection can be opened: the server is gone.
pub(super) async fn exchange(
    port: u16,
    bytes: &[u8],
    delivery: Delivery,
    leaving: Leaving,
    random: &mut Random,
) -> Result<Ended, Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut reading, mut writing) = stream.split();
    let sending = async {
        // What is wrong ends the connection early, which is the server's right.
        let _ = send(&mut writing, bytes, delivery, random).await;
        if leaving == Leaving::HalfClose {
            let _ = writing.shutdown().await;
        }
    };
    if leaving == Leaving::Vanish {
        return match timeout(LONGEST, sending).await {
            Ok(()) => Ok(Ended::Unread),
            Err(_) => Ok(Ended::Hangs),
        };
    }
    let receiving = async {
        let mut answers = Vec::new();
        let mut limited = (&mut reading).take(KEPT_BYTES);
        match limited.read_to_end(&mut answers).await {
            // A reset, after what was sent before it.
            Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
            _ => Ok(answers),
        }
    };
    match timeout(LONGEST, async { tokio::join!(sending, receiving) }).await {
        Ok(((), answers)) => Ok(Ended::Answers(answers?)),
        Err(_) => Ok(Ended::Hangs),
    }
}

async fn send(
    writing: &mut tokio::net::tcp::WriteHalf<'_>,
    bytes: &[u8],
    delivery: Delivery,
    random: &mut Random,
) -> std::io::Result<()> {
    let mut rest = bytes;
    let count = match delivery {
        Delivery::Whole => 1,
        Delivery::Pieces(count) => count,
        Delivery::Bytes => ONE_BY_ONE,
    };
    for left in (1..=count).rev() {
        let size = match delivery {
            _ if left == 1 => rest.len(),
            Delivery::Bytes => 1.min(rest.len()),
            _ => random.below(rest.len() + 1),
        };
        let (piece, after) = rest.split_at(size);
        rest = after;
        writing.write_all(piece).await?;
        // So that the server has a chance to see the pieces apart.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// An answer of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'b> {
    pub(super) status: u16,
    pub(super) text: &'b [u8],
}

/// The answers in the bytes of a connection; the first part that is none.
pub(super) fn answers(bytes: &[u8]) -> Result<Vec<Answer<'_>>, &[u8]> {
    let (mut answers, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (status, head, body) = shape(rest).ok_or(rest)?;
        // An answer to HEAD says the length of a body that it does not have.
        let has_no_body = head == rest.len() || rest[head..].starts_with(b"HTTP/1.");
        let end = if has_no_body { head } else { (head + body).min(rest.len()) };
        answers.push(Answer { status, text: &rest[..end] });
        rest = &rest[end..];
    }
    Ok(answers)
}

/// Status, length of the head and of the body.
fn shape(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let mut words = text.split(' ');
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.get(..3)?.parse().ok()?;
    let field = |name: &str| {
        let mut fields = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let body = match field("content-length") {
        Some(length) => length.parse().ok()?,
        None if field("transfer-encoding").is_some() => {
            let last = b"\r\n0\r\n\r\n";
            find(&bytes[head..], last).map_or(bytes.len() - head, |at| at + last.len())
        }
        None if status < 200 || matches!(status, 204 | 304) => 0,
        // To a client of HTTP/1.0 a body whose length is not known ends with the connection (RFC 9112, section 6.3).
        None => bytes.len() - head,
    };
    Some((status, head, body))
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_connection_are_told_apart() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}\
            HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nab\r\n0\r\n\r\nHTTP/1.0 503 Service Unavailable\r\ncontent-length: 1\r\n\r\nx";
        let statuses: Vec<u16> = answers(text).unwrap().iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [100, 200, 200, 200, 503]);
        assert_eq!(answers(b"").unwrap(), []);
        assert_eq!(answers(b"HTTP/1.1 204 No Content\r\n\r\nSSH").unwrap_err(), b"SSH");
        assert_eq!(answers(b"HTTP/1.0 200 OK\r\n\r\n{}\n{}").unwrap().len(), 1);
    }
}
