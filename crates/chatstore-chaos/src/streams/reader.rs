//! Clients that read a conversation as lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chatstore_bench::error::Error;
use reqwest::Response;
use serde_json::Value;

/// What the readers count.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) streams: AtomicUsize,
    pub(super) lines: AtomicUsize,
    pub(super) wrong: AtomicUsize,
    pub(super) is_over: AtomicBool,
}

async fn ask(port: u16, conversation: &str, key: &str) -> reqwest::Result<Response> {
    let url = format!("http://127.0.0.1:{port}/api/v1/conversations/{conversation}/messages");
    let request = reqwest::Client::new().get(url).bearer_auth(key);
    request.header("Accept", "application/x-ndjson").send().await?.error_for_status()
}

/// A client that reads no more than the beginning.
pub(super) struct Slow {
    _answer: Response,
}

impl Slow {
    pub(super) async fn open(port: u16, conversation: &str, key: &str) -> Result<Self, Error> {
        let mut answer = ask(port, conversation, key).await?;
        answer.chunk().await?;
        Ok(Self { _answer: answer })
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With the line that names the last message, which was there, without a gap.
    Whole,
    /// Without that line, or left unread because it is over.
    CutOff,
    /// With a gap, a repetition, or a last line that names other messages.
    Wrong,
}

/// Reads the conversation until it is over, and holds each line to the one before.
pub(super) async fn read_again_and_again(port: u16, conversation: String, key: String, counts: Arc<Counts>) {
    while !counts.is_over.load(Ordering::Relaxed) {
        let ending = match ask(port, &conversation, &key).await {
            Ok(answer) => read(answer, &counts).await,
            Err(error) => Err(error),
        };
        let count = match ending {
            Ok(Ending::Whole) => &counts.streams,
            // What was not read to its end says nothing.
            Ok(Ending::CutOff) if counts.is_over.load(Ordering::Relaxed) => return,
            Ok(Ending::CutOff | Ending::Wrong) | Err(_) => &counts.wrong,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads the lines of an answer, which are the messages from the first to the one that the end names.
async fn read(mut answer: Response, counts: &Counts) -> reqwest::Result<Ending> {
    let mut unread: Vec<u8> = Vec::new();
    let mut seq = 0;
    while let Some(bytes) = answer.chunk().await? {
        unread.extend_from_slice(&bytes);
        let Some(end) = unread.iter().rposition(|byte| *byte == b'\n') else { continue };
        let rest = unread.split_off(end + 1);
        for line in unread.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Some(end) = line.strip_prefix(b"{\"end\":") {
                let end: Value = serde_json::from_slice(&end[..end.len() - 1]).unwrap_or_default();
                let is_whole = end["count"] == seq && end["last_seq"] == seq;
                return Ok(if is_whole { Ending::Whole } else { Ending::Wrong });
            }
            seq += 1;
            if seq_of(line) != Some(seq) {
                return Ok(Ending::Wrong);
            }
            counts.lines.fetch_add(1, Ordering::Relaxed);
        }
        unread = rest;
        if counts.is_over.load(Ordering::Relaxed) {
            return Ok(Ending::CutOff);
        }
    }
    Ok(Ending::CutOff)
}

/// The number of the message on a line.
fn seq_of(line: &[u8]) -> Option<i64> {
    const NAME: &[u8] = b"\"seq\":";
    let start = line.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits: Vec<u8> = line[start..].iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Deletes a conversation under a client that reads it; what the client sees of its answer. A short one may be sent before
/// the deletion.
pub(super) async fn delete_while_reading(port: u16, conversation: &str, key: &str) -> Result<Ending, Error> {
    let answer = ask(port, conversation, key).await?;
    let url = format!("http://127.0.0.1:{port}/api/v1/conversations/{conversation}");
    reqwest::Client::new().delete(url).bearer_auth(key).send().await?.error_for_status()?;
    // A connection that is closed early ends the answer too.
    Ok(read(answer, &Counts::default()).await.unwrap_or(Ending::CutOff))
}
