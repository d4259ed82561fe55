//! The HTTP API as a client sees it: no more of it than the experiments need.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::error::Error;

/// Longer than the server may take for anything.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Messages of one page, the most the server gives.
const PAGE: usize = 200;

/// The outcome of a write, as far as its sender knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Stored under this number.
    Stored(i64),
    /// Not stored: the server said so, or nothing was sent.
    Refused(String),
    /// Sent, and no answer that would tell.
    Unknown(String),
}

/// A message as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the conversation.
    pub seq: i64,
    /// Its text.
    pub content: String,
}

/// A client with an API key.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: String,
    key: String,
}

impl Client {
    /// A client of the server on this port of the loopback interface.
    ///
    /// # Errors
    /// When the system offers no secure connections.
    pub fn new(port: u16, key: &str) -> Result<Self, Error> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, address: format!("http://127.0.0.1:{port}"), key: key.to_owned() })
    }

    /// Whether the server answers.
    pub async fn is_healthy(&self) -> bool {
        let answer = self.http.get(format!("{}/healthz", self.address)).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// Creates a conversation and returns its id.
    pub async fn create_conversation(&self) -> Result<String, Error> {
        let request = self.http.post(format!("{}/api/v1/conversations", self.address));
        let answer = request.bearer_auth(&self.key).json(&json!({ "title": "experiment" })).send().await?;
        let conversation = object(answer, StatusCode::CREATED).await?;
        let id = conversation["id"].as_str().ok_or("a conversation without an id")?;
        Ok(id.to_owned())
    }

    /// Appends a message.
    pub async fn append(&self, conversation: &str, content: &str) -> Answer {
        let request = self.http.post(self.messages_url(conversation));
        let answer = match request.bearer_auth(&self.key).json(&json!({ "content": content })).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Answer::Refused("no connection".to_owned()),
            Err(error) => return Answer::Unknown(lost(&error)),
        };
        let status = answer.status();
        match status.as_u16() {
            201 => {}
            // An internal failure or a time-out may come after the commit.
            500 | 502 | 504 => return Answer::Unknown(status.to_string()),
            _ => return Answer::Refused(status.to_string()),
        }
        match answer.json::<Value>().await {
            Ok(message) => match message["seq"].as_i64() {
                Some(seq) => Answer::Stored(seq),
                None => Answer::Unknown("an answer without a seq".to_owned()),
            },
            Err(error) => Answer::Unknown(lost(&error)),
        }
    }

    /// Deletes a conversation.
    ///
    /// # Errors
    /// When it is not there, or there is no answer.
    pub async fn delete_conversation(&self, conversation: &str) -> Result<(), Error> {
        let url = format!("{}/api/v1/conversations/{conversation}", self.address);
        let answer = self.http.delete(url).bearer_auth(&self.key).send().await?;
        match answer.status() {
            StatusCode::NO_CONTENT => Ok(()),
            other => Err(format!("a deletion was answered with {other}").into()),
        }
    }

    /// All messages of a conversation, from the first on.
    pub async fn read_back(&self, conversation: &str) -> Result<Vec<Stored>, Error> {
        let mut all: Vec<Stored> = Vec::new();
        loop {
            let after = all.last().map_or(0, |message| message.seq);
            let url = format!("{}?after={after}&limit={PAGE}&order=asc", self.messages_url(conversation));
            let page = self.get(url).await?;
            let items = page["data"].as_array().ok_or("a list without data")?;
            for item in items {
                let seq = item["seq"].as_i64().ok_or("a message without a seq")?;
                let content = item["content"].as_str().ok_or("a message without content")?;
                all.push(Stored { seq, content: content.to_owned() });
            }
            // Also a page that ends early, because it is large, has another after it.
            if page["next_cursor"].is_null() {
                return Ok(all);
            }
        }
    }

    /// The count that the conversation itself keeps.
    pub async fn message_count(&self, conversation: &str) -> Result<i64, Error> {
        let url = format!("{}/api/v1/conversations/{conversation}", self.address);
        let found = self.get(url).await?;
        Ok(found["message_count"].as_i64().ok_or("a conversation without a message_count")?)
    }

    async fn get(&self, url: String) -> Result<Value, Error> {
        object(self.http.get(url).bearer_auth(&self.key).send().await?, StatusCode::OK).await
    }

    fn messages_url(&self, conversation: &str) -> String {
        format!("{}/api/v1/conversations/{conversation}/messages", self.address)
    }
}

/// The body of an answer that must have this status.
async fn object(answer: Response, expected: StatusCode) -> Result<Value, Error> {
    let status = answer.status();
    if status != expected {
        let body = answer.text().await.unwrap_or_default();
        return Err(format!("the server answered {status} instead of {expected}: {body}").into());
    }
    Ok(answer.json().await?)
}

/// Why there is no answer, in words that are the same for all that have the same reason.
fn lost(error: &reqwest::Error) -> String {
    let reason = if error.is_timeout() { "no answer in time" } else { "connection lost" };
    reason.to_owned()
}
