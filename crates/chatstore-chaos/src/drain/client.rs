//! One client of a server that is stopped.

use std::sync::Arc;
use std::time::Instant;

use chatstore_bench::client::Answer;
use chatstore_bench::wire::{self, Connection};
use serde_json::{Value, json};

use crate::crash::check::Operation;

/// Appends messages until there is no server any more.
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) port: u16,
    pub(super) key: String,
    pub(super) conversation: Arc<str>,
    /// Whether it sends more than one request over a connection.
    pub(super) keeps_connection: bool,
    pub(super) begun: Instant,
}

impl Client {
    /// What it sent, and how that was answered. `sent_at` is when the whole request was in the hands of the system.
    pub(super) async fn run(self) -> Vec<Operation> {
        let path = format!("/api/v1/conversations/{}/messages", self.conversation);
        let mut ledger = Vec::new();
        let mut kept: Option<Connection> = None;
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match Connection::open(self.port).await {
                    Ok(connection) => connection,
                    Err(_) => return ledger,
                },
            };
            let content = format!("client {}, message {}", self.number, ledger.len() + 1);
            let request = wire::post(&path, &self.key, &json!({ "content": content }).to_string());
            let sent = connection.send(&request).await;
            let sent_at = self.begun.elapsed();
            let (answer, is_last) = match sent {
                Ok(()) => answer(&mut connection).await,
                // The connection was closed between two requests.
                Err(error) => (Answer::Unknown(format!("not sent: {error}")), true),
            };
            let answered_at = self.begun.elapsed();
            let is_unknown = matches!(answer, Answer::Unknown(_));
            let conversation = self.conversation.to_string();
            ledger.push(Operation { conversation, content, sent_at, answer, answered_at });
            if is_unknown {
                return ledger;
            }
            if self.keeps_connection && !is_last {
                kept = Some(connection);
            }
        }
    }
}

/// The answer, and whether it is the last of its connection.
async fn answer(connection: &mut Connection) -> (Answer, bool) {
    let answer = match connection.answer().await {
        Ok(answer) => answer,
        Err(error) => return (Answer::Unknown(error.to_string()), true),
    };
    let is_last = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    if answer.status() != 201 {
        return (Answer::Refused(answer.status().to_string()), is_last);
    }
    let message: Option<Value> = serde_json::from_slice(answer.body()).ok();
    match message.and_then(|message| message["seq"].as_i64()) {
        Some(seq) => (Answer::Stored(seq), is_last),
        None => (Answer::Unknown("an answer without a seq".to_owned()), is_last),
    }
}
