//! Sends the copies of a request and keeps at it until each has an answer that settles it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;
use tokio::task::JoinSet;

use super::fleet::Ports;
use super::plan::Entry;

/// Between two attempts of one copy.
const PAUSE: Duration = Duration::from_millis(20);

/// Longer than the server may take for anything.
const TIMEOUT: Duration = Duration::from_secs(10);

const MISMATCH: &str = "urn:chatstore:problem:idempotency-mismatch";

/// The outcome of one key.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Its place in the plan.
    pub(super) number: usize,
    /// The last answer to each copy.
    pub(super) answers: Vec<Settled>,
    /// To another body under the same key: `None` when none was sent, else whether it was refused as it should be,
    /// or what came instead.
    pub(super) mismatch: Option<Result<(), String>>,
    /// Requests sent, and those of them that were sent again.
    pub(super) sent: usize,
    pub(super) sent_again: usize,
    /// Why they were.
    pub(super) reasons: BTreeMap<String, usize>,
}

/// The answer to one copy that ended its being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    Created(Created),
    /// Another answer, or none in all the time.
    Failed(String),
}

/// What a 201 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Created {
    pub(super) location: String,
    pub(super) ids: Vec<String>,
    pub(super) replayed: bool,
}

/// Sends one key after the other.
#[derive(Debug)]
pub(super) struct Sender {
    courier: Courier,
    random: Random,
}

/// One copy's way to a server.
#[derive(Debug, Clone)]
struct Courier {
    http: reqwest::Client,
    ports: Ports,
    api_key: String,
    timeout: Duration,
}

/// One copy, settled.
struct Delivery {
    answer: Result<Reply, String>,
    attempts: usize,
    reasons: BTreeMap<String, usize>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Sender {
    pub(super) fn new(ports: Ports, api_key: &str, timeout: Duration, seed: u64) -> Result<Self, Error> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let courier = Courier { http, ports, api_key: api_key.to_owned(), timeout };
        Ok(Self { courier, random: Random::new(seed) })
    }

    /// Sends all copies of a request at once; afterwards, where the plan says so, another body under its key.
    pub(super) async fn settle(&mut self, number: usize, entry: &Entry) -> Result<Outcome, Error> {
        let mut copies = JoinSet::new();
        for _ in 0..entry.copies {
            let (courier, random) = (self.courier.clone(), Random::new(self.random.next_u64()));
            let (path, key, body) = (entry.path.clone(), entry.key.clone(), entry.body.clone());
            copies.spawn(async move { courier.deliver(&path, &key, &body, random).await });
        }
        let mut outcome = Outcome::new(number);
        while let Some(delivered) = copies.join_next().await {
            let delivery = delivered?;
            outcome.count(&delivery);
            outcome.answers.push(settled(delivery.answer));
        }
        let was_created = outcome.answers.iter().any(|answer| matches!(answer, Settled::Created(_)));
        if let (true, Some(other_body)) = (was_created, &entry.other_body) {
            let random = Random::new(self.random.next_u64());
            let delivery = self.courier.deliver(&entry.path, &entry.key, other_body, random).await;
            outcome.count(&delivery);
            outcome.mismatch = Some(delivery.answer.and_then(|reply| refused_as_mismatch(&reply)));
        }
        Ok(outcome)
    }
}

impl Outcome {
    pub(super) const fn new(number: usize) -> Self {
        Self { number, answers: Vec::new(), mismatch: None, sent: 0, sent_again: 0, reasons: BTreeMap::new() }
    }

    fn count(&mut self, delivery: &Delivery) {
        self.sent += delivery.attempts;
        self.sent_again += delivery.attempts - 1;
        for (reason, count) in &delivery.reasons {
            *self.reasons.entry(reason.clone()).or_default() += count;
        }
    }
}

impl Courier {
    /// Sends until there is an answer that is not to be tried again.
    async fn deliver(&self, path: &str, key: &str, body: &str, mut random: Random) -> Delivery {
        let begun = Instant::now();
        let mut delivery = Delivery { answer: Err(String::new()), attempts: 0, reasons: BTreeMap::new() };
        loop {
            delivery.attempts += 1;
            let port = self.ports.pick(&mut random);
            let reason = match self.attempt(port, path, key, body).await {
                Ok(reply) if !is_to_be_tried_again(&reply) => {
                    delivery.answer = Ok(reply);
                    return delivery;
                }
                Ok(reply) => reply.status.as_u16().to_string(),
                Err(error) if error.is_connect() => "no connection".to_owned(),
                Err(error) if error.is_timeout() => "no answer in time".to_owned(),
                Err(_) => "connection lost".to_owned(),
            };
            *delivery.reasons.entry(reason.clone()).or_default() += 1;
            if begun.elapsed() > self.timeout {
                delivery.answer = Err(format!("no settling answer, last: {reason}"));
                return delivery;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&self, port: u16, path: &str, key: &str, body: &str) -> reqwest::Result<Reply> {
        let request = self.http.post(format!("http://127.0.0.1:{port}{path}")).bearer_auth(&self.api_key);
        let request = request.header("Content-Type", "application/json").header("Idempotency-Key", key);
        let answer = request.body(body.to_owned()).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        Ok(Reply { status, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}

/// Busy, down, or unable to say what became of it; and the concurrent duplicate that is still running.
fn is_to_be_tried_again(reply: &Reply) -> bool {
    match reply.status.as_u16() {
        409 => reply.body["type"] == "urn:chatstore:problem:request-in-progress",
        status => matches!(status, 429 | 500 | 502 | 503 | 504),
    }
}

fn settled(answer: Result<Reply, String>) -> Settled {
    let reply = match answer {
        Ok(reply) => reply,
        Err(reason) => return Settled::Failed(reason),
    };
    if reply.status != StatusCode::CREATED {
        return Settled::Failed(format!("{} {}", reply.status, reply.body));
    }
    let ids = match reply.body["data"].as_array() {
        Some(items) => items.iter().map(id).collect(),
        None => vec![id(&reply.body)],
    };
    let text = |value: Option<&reqwest::header::HeaderValue>| {
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let location = text(reply.headers.get(LOCATION));
    let replayed = text(reply.headers.get("Idempotency-Replayed")) == "true";
    Settled::Created(Created { location, ids, replayed })
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}

fn refused_as_mismatch(reply: &Reply) -> Result<(), String> {
    if reply.status == StatusCode::UNPROCESSABLE_ENTITY && reply.body["type"] == MISMATCH {
        return Ok(());
    }
    Err(format!("{} {}", reply.status, reply.body))
}
