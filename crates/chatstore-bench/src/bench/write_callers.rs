//! Callers that write through the store.

use std::sync::Arc;

use chatstore_model::{NewMessage, NewReply, NewResponse};
use chatstore_sql::{By, Database};

use crate::Failure;
use crate::data::{Targets, content};
use crate::drive::{Caller, Kind};
use crate::random::Random;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// A user's message.
    Append,
    /// A model's message with response and usage.
    Reply,
}

impl WriteKind {
    /// The model of a reply, which the application names.
    pub(crate) const MODEL: &'static str = "model-large";
    pub(crate) const TOKENS_PROMPT: i64 = 900;
    pub(crate) const TOKENS_COMPLETION: i64 = 70;
    pub(crate) const COMPLETION_TIME_MS: i64 = 1_200;
    pub(crate) const FINISH_REASON: &'static str = "stop";

    /// The experiment's name.
    pub(crate) const fn experiment(self) -> &'static str {
        match self {
            Self::Append => "w1",
            Self::Reply => "w2",
        }
    }

    /// What it is, for the table.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Append => "append a message",
            Self::Reply => "record a reply",
        }
    }
}

/// Writes to one conversation after the other, chosen at random.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) database: Database,
    pub(crate) kind: WriteKind,
    pub(crate) targets: Arc<Targets>,
    pub(crate) random: Random,
    pub(crate) content: String,
}

impl Writer {
    /// So many of them, each with another choice of conversations.
    pub(crate) fn many(
        count: usize,
        database: &Database,
        kind: WriteKind,
        targets: &Arc<Targets>,
    ) -> Vec<Self> {
        let writer = |number: usize| Self {
            database: database.clone(),
            kind,
            targets: Arc::clone(targets),
            random: Random::new(number as u64),
            content: content(),
        };
        (0..count).map(writer).collect()
    }
}

impl Caller for Writer {
    async fn run(&mut self) -> Result<Kind, Failure> {
        let (owner, conversation) =
            self.targets.conversations[self.random.below(self.targets.conversations.len())];
        match self.kind {
            WriteKind::Append => {
                let message = NewMessage::user(self.content.clone());
                let append = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
                    tx.messages().append(By::Owner(owner), conversation, &message).await
                };
                self.database.write_single("append", append).await?;
            }
            WriteKind::Reply => {
                let reply = reply(self.content.clone());
                let record = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
                    tx.messages().record_reply(owner, conversation, &reply).await
                };
                self.database.write_single("record_reply", record).await?;
            }
        }
        Ok(Kind::Write)
    }
}

fn reply(content: String) -> NewReply {
    let response = NewResponse {
        model_used: Some(WriteKind::MODEL.to_owned()),
        tokens_prompt: Some(WriteKind::TOKENS_PROMPT),
        tokens_completion: Some(WriteKind::TOKENS_COMPLETION),
        completion_time_ms: Some(WriteKind::COMPLETION_TIME_MS),
        finish_reason: Some(WriteKind::FINISH_REASON.to_owned()),
        ..NewResponse::default()
    };
    NewReply { response, ..NewReply::new(content) }
}
