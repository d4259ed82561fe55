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

/// Reads the conversation until it is over, and holds each line to the one before.
pub(super) async fn read_again_and_again(port: u16, conversation: String, key: String, counts: Arc<Counts>) {
    while !counts.is_over.load(Ordering::Relaxed) {
        let count = match read(port, &conversation, &key, &counts).await {
            Ok(true) => &counts.streams,
            // What was not read to its end says nothing.
            Ok(false) if counts.is_over.load(Ordering::Relaxed) => return,
            Ok(false) | Err(_) => &counts.wrong,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the lines were the messages from the first to the one that the end names, without a gap. What is left when it is
/// over is not read.
async fn read(port: u16, conversation: &str, key: &str, counts: &Counts) -> Result<bool, Error> {
    let mut answer = ask(port, conversation, key).await?;
    let mut unread: Vec<u8> = Vec::new();
    let mut seq = 0;
    while let Some(bytes) = answer.chunk().await? {
        unread.extend_from_slice(&bytes);
        let Some(end) = unread.iter().rposition(|byte| *byte == b'\n') else { continue };
        let rest = unread.split_off(end + 1);
        for line in unread.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Some(end) = line.strip_prefix(b"{\"end\":") {
                let end: Value = serde_json::from_slice(&end[..end.len() - 1])?;
                return Ok(end["count"] == seq && end["last_seq"] == seq);
            }
            seq += 1;
            if seq_of(line) != Some(seq) {
                return Ok(false);
            }
            counts.lines.fetch_add(1, Ordering::Relaxed);
        }
        unread = rest;
        if counts.is_over.load(Ordering::Relaxed) {
            return Ok(false);
        }
    }
    Ok(false)
}

/// The number of the message on a line.
fn seq_of(line: &[u8]) -> Option<i64> {
    const NAME: &[u8] = b"\"seq\":";
    let start = line.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits: Vec<u8> = line[start..].iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Deletes a conversation under a client that reads it; whether the client was told of no end.
pub(super) async fn delete_while_reading(port: u16, conversation: &str, key: &str) -> Result<bool, Error> {
    let mut answer = ask(port, conversation, key).await?;
    let mut last = answer.chunk().await?.map_or_else(Vec::new, |bytes| bytes.to_vec());
    let url = format!("http://127.0.0.1:{port}/api/v1/conversations/{conversation}");
    reqwest::Client::new().delete(url).bearer_auth(key).send().await?.error_for_status()?;
    loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => last = bytes.to_vec(),
            Ok(None) => break,
            Err(_) => return Ok(true),
        }
    }
    Ok(!String::from_utf8_lossy(&last).contains("{\"end\":"))
}
