//! Callers that write through the store.

use std::sync::Arc;

use chatstore_bench::data::{Targets, content};
use chatstore_bench::drive::{Caller, Kind};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_model::{NewMessage, NewModelResponse, NewReply};
use chatstore_sql::{Database, Via};

use crate::kinds::WriteKind;

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
    async fn run(&mut self) -> Result<Kind, Error> {
        let (owner, conversation) =
            self.targets.conversations[self.random.below(self.targets.conversations.len())];
        match self.kind {
            WriteKind::Append => {
                let message = NewMessage::user(self.content.clone());
                let append = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
                    tx.messages().append(Via::Owner(owner), conversation, &message).await
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
    let response = NewModelResponse {
        model_used: Some(WriteKind::MODEL.to_owned()),
        tokens_prompt: Some(WriteKind::TOKENS_PROMPT),
        tokens_completion: Some(WriteKind::TOKENS_COMPLETION),
        completion_time_ms: Some(WriteKind::COMPLETION_TIME_MS),
        finish_reason: Some(WriteKind::FINISH_REASON.to_owned()),
        ..NewModelResponse::default()
    };
    NewReply { response, ..NewReply::new(content) }
}
