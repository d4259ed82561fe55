//! A tab, and what it was told.

use std::collections::HashSet;

use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Messages of a list that is not saved: one more would be too many.
const MAX_LIST: usize = 1_000;

/// What tabs were told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) conversation: String,
    /// The names of the messages that were appended, by an append or a replacement.
    pub(super) appended: Vec<String>,
    /// The parts of messages that were popped.
    pub(super) popped: Vec<String>,
    /// The parts of messages that were replaced.
    pub(super) replaced: Vec<String>,
    /// The names in lists that were saved: what was popped meanwhile is there again.
    pub(super) listed: HashSet<String>,
    pub(super) swapped: usize,
    pub(super) lost_swaps: usize,
    /// Lists that were saved, and those that others were quicker than.
    pub(super) saved: usize,
    pub(super) lost_saves: usize,
    /// Requests that the server had no capacity for.
    pub(super) refused: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.appended.extend(other.appended);
        self.popped.extend(other.popped);
        self.replaced.extend(other.replaced);
        self.listed.extend(other.listed);
        self.swapped += other.swapped;
        self.lost_swaps += other.lost_swaps;
        self.saved += other.saved;
        self.lost_saves += other.lost_saves;
        self.refused += other.refused;
    }
}

/// A tab at work.
pub(super) struct Tab {
    client: Client,
    url: String,
    key: String,
    number: usize,
    random: Random,
    named: usize,
    tally: Tally,
}

impl Tab {
    pub(super) fn new(port: u16, conversation: &str, key: &str, number: usize, random: Random) -> Self {
        let url = format!("http://127.0.0.1:{port}/api/v1/conversations/{conversation}/messages");
        let (client, key, tally) = (Client::new(), key.to_owned(), Tally::default());
        Self { client, url, key, number, random, named: 0, tally }
    }

    /// Sends so many requests, one after the other.
    pub(super) async fn run(mut self, requests: usize) -> Result<Tally, Error> {
        for _ in 0..requests {
            match self.random.below(10) {
                0..3 => self.append().await?,
                3..7 => self.pop().await?,
                7..9 => self.swap().await?,
                _ => self.save().await?,
            }
        }
        Ok(self.tally)
    }

    async fn append(&mut self) -> Result<(), Error> {
        let new: Vec<Value> = (0..=self.random.below(2)).map(|_| self.message()).collect();
        let (status, _) = self.send(Method::POST, "", &json!({"messages": new})).await?;
        match status {
            201 => self.tally.appended.extend(new.iter().map(name)),
            status => self.note_refusal(status)?,
        }
        Ok(())
    }

    async fn pop(&mut self) -> Result<(), Error> {
        let (status, answer) = self.send(Method::DELETE, "/last", &Value::Null).await?;
        match status {
            200 => self.tally.popped.extend(parts(&answer["data"])),
            status => self.note_refusal(status)?,
        }
        Ok(())
    }

    /// Replaces the newest message, if it still is when the request arrives.
    async fn swap(&mut self) -> Result<(), Error> {
        let (status, newest) = self.send(Method::GET, "?last=1", &Value::Null).await?;
        if status != 200 {
            return self.note_refusal(status);
        }
        let expected: Vec<Value> = newest["data"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|message| json!({"parts": message["parts"]}))
            .collect();
        let new = self.message();
        let body = json!({"expected": expected, "messages": [new]});
        let (status, _) = self.send(Method::POST, "/replace-suffix", &body).await?;
        match status {
            200 => {
                self.tally.swapped += 1;
                self.tally.replaced.extend(parts(&newest["data"]));
                self.tally.appended.push(name(&new));
            }
            412 => self.tally.lost_swaps += 1,
            status => self.note_refusal(status)?,
        }
        Ok(())
    }

    /// Saves all messages with a new one, which removes nothing that others stored meanwhile.
    async fn save(&mut self) -> Result<(), Error> {
        let (status, stored) = self.send(Method::GET, "?last=1000", &Value::Null).await?;
        if status != 200 {
            return self.note_refusal(status);
        }
        let stored = stored["data"].as_array().into_iter().flatten();
        let mut list: Vec<Value> = stored
            .map(|message| json!({"external_id": message["external_id"], "parts": message["parts"]}))
            .collect();
        if list.len() == MAX_LIST {
            return Ok(());
        }
        let new = self.message();
        list.push(new.clone());
        let (status, _) = self.send(Method::PUT, "", &json!({"messages": list})).await?;
        match status {
            200 => {
                self.tally.saved += 1;
                self.tally.listed.extend(list.iter().map(name));
                self.tally.appended.push(name(&new));
            }
            409 => self.tally.lost_saves += 1,
            status => self.note_refusal(status)?,
        }
        Ok(())
    }

    fn message(&mut self) -> Value {
        self.named += 1;
        let name = format!("{}-{}", self.number, self.named);
        json!({"external_id": name, "parts": [{"name": name}]})
    }

    fn note_refusal(&mut self, status: u16) -> Result<(), Error> {
        match status {
            503 => {
                self.tally.refused += 1;
                Ok(())
            }
            status => Err(format!("a request was answered with {status}").into()),
        }
    }

    async fn send(&self, method: Method, below: &str, body: &Value) -> Result<(u16, Value), Error> {
        let mut request = self.client.request(method, format!("{}{below}", self.url)).bearer_auth(&self.key);
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }
}

/// The name of a new message.
fn name(message: &Value) -> String {
    message["parts"][0]["name"].as_str().unwrap_or_default().to_owned()
}

/// The parts of messages, as texts.
fn parts(messages: &Value) -> Vec<String> {
    messages.as_array().into_iter().flatten().map(|message| message["parts"].to_string()).collect()
}
