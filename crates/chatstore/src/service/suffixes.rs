//! Replacing the newest messages of a conversation where they are what the caller expects.

use std::sync::Arc;

use chatstore_model::{
    ConversationId, ConversationRole, ExpectedSuffix, IntoValid, Message, MessageBatch, MessageId,
    SuffixReplacement, UserId, Valid,
};
use chatstore_sql::WriteTx;
use serde_json::json;
use uuid::Uuid;

use super::batches::{check_times, of_conversation, still_there};
use super::branches::page_of_head;
use super::conflicts::Plan;
use super::conversations::EDITOR;
use super::deletions::NewMessageIds;
use super::idempotency_key::{DONE, IdempotencyKey, Outcome, damaged, earlier_result};
use super::idempotent::Idempotent;
use super::messages::{Messages, OWN_ONLY, check_appender};
use super::references::References;
use super::{access, check_revision, check_writer};
use crate::error::{Error, Result};
use crate::page_request::PageRequest;
use crate::user_scope::Writer;

/// Rows of a page.
const MAX_ROWS: u16 = 200;

/// What became of the newest messages.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplacedSuffix {
    /// How many messages were removed.
    pub removed: u64,
    /// The messages that came in their place.
    pub messages: Vec<Message>,
}

impl Messages<'_> {
    /// Replaces the newest messages of a conversation in one transaction, if they are what is expected; else nothing
    /// changes. Of concurrent calls that expect the same one replaces it.
    ///
    /// # Errors
    /// `NotFound`; `PreconditionFailed` when the newest messages are others; `Forbidden` for viewers, and for editors unless
    /// each of the messages, removed and new ones, is their own; `Invalid`; `AlreadyExists` with
    /// [`item`](crate::Error::item) for an id that is taken.
    pub async fn replace_suffix(
        self,
        conversation: ConversationId,
        replacement: impl IntoValid<SuffixReplacement>,
    ) -> Result<ReplacedSuffix> {
        let replacement = Replacement::new(self.0.writer(), conversation, replacement.into_valid()?, None);
        let (taken, replacement) = (replacement.ids(), Arc::new(replacement));
        let attempt = || {
            let replacement = Arc::clone(&replacement);
            let replace = async move |tx: &mut WriteTx<'_>| Ok::<_, Error>(replacement.run(tx).await?.value);
            self.0.write("message_replace_suffix", replace)
        };
        self.0.store.past_deletions(taken, attempt).await
    }
}

impl Idempotent<'_> {
    /// As [`Messages::replace_suffix`]. A repetition changes nothing, whatever the newest messages are by then, and returns
    /// those of the new messages that still exist.
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn replace_suffix(
        self,
        conversation: ConversationId,
        replacement: impl IntoValid<SuffixReplacement>,
    ) -> Result<Outcome<ReplacedSuffix>> {
        let valid = replacement.into_valid()?;
        let ids = valid.messages.iter().map(|_| MessageId::from_uuid(self.new_uuid())).collect();
        let once = Some((self.key.clone(), ids));
        let replacement = Replacement::new(self.chat.writer(), conversation, valid, once);
        let (taken, replacement) = (replacement.ids(), Arc::new(replacement));
        self.write("message_replace_suffix_once", taken, async move |tx| replacement.run(tx).await).await
    }
}

/// A replacement on its way into the database.
struct Replacement {
    writer: Writer,
    conversation: ConversationId,
    expected: Expected,
    batch: Valid<MessageBatch>,
    /// The key under which it happens once, and the ids of messages that bring none.
    once: Option<(IdempotencyKey, Vec<MessageId>)>,
}

/// The newest messages of the path to the head.
struct Suffix {
    seqs: Vec<i64>,
    /// Whether they are all of its messages.
    is_whole_path: bool,
}

/// What is expected, ready to be compared.
enum Expected {
    /// The texts of parts, and their normal forms.
    Parts(Vec<(String, String)>),
    Seqs(Vec<i64>),
}

impl Expected {
    fn of(expected: ExpectedSuffix) -> Self {
        match expected {
            ExpectedSuffix::Seqs(seqs) => Self::Seqs(seqs),
            ExpectedSuffix::Parts(parts) => {
                Self::Parts(parts.iter().map(|parts| (parts.to_string(), parts.normal_form())).collect())
            }
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Parts(parts) => parts.len(),
            Self::Seqs(seqs) => seqs.len(),
        }
    }

    /// Whether a message is the expected one at this place.
    fn is_at(&self, place: usize, message: &Message) -> bool {
        match self {
            Self::Seqs(seqs) => seqs.get(place) == Some(&message.seq),
            Self::Parts(parts) => match (parts.get(place), &message.parts) {
                (Some((text, normal)), Some(stored)) => {
                    stored.as_str() == text || stored.normal_form() == *normal
                }
                _ => false,
            },
        }
    }
}

impl Replacement {
    fn new(
        writer: Writer,
        conversation: ConversationId,
        replacement: Valid<SuffixReplacement>,
        once: Option<(IdempotencyKey, Vec<MessageId>)>,
    ) -> Self {
        let (batch, expected) = replacement.into_batch();
        Self { writer, conversation, expected: Expected::of(expected), batch, once }
    }

    /// The ids that it gives to messages.
    fn ids(&self) -> NewMessageIds {
        let ids = self.batch.messages().iter().filter_map(|new| new.id).collect();
        NewMessageIds::new(self.writer.user, Some(self.conversation), ids)
    }

    async fn run(&self, tx: &mut WriteTx<'_>) -> Result<Outcome<ReplacedSuffix>> {
        let Self { writer, conversation, batch, once, .. } = self;
        let (Writer { user, expected, is_service }, conversation) = (*writer, *conversation);
        let access = access(tx, user, conversation).await?;
        let (owner, role) = (access.owner_id, access.role);
        // No other transaction changes messages before this one ends.
        tx.conversations().lock(owner, conversation).await?;
        if let Some((key, _)) = once
            && let Some(result) = earlier_result(tx, user, key).await?
        {
            return replay(tx, (owner, conversation), &result).await;
        }
        check_writer(role)?;
        check_appender(role, is_service, &batch.messages())?;
        check_times(tx.now(), &batch.messages())?;
        let change = batch.conversation();
        if role != ConversationRole::Owner && !change.is_for_editors() {
            return Err(Error::forbidden(EDITOR));
        }
        check_revision(tx, owner, conversation, expected).await?;
        References::of_batch(&batch.messages()).check(tx, owner).await?;
        let Suffix { seqs: replaced, is_whole_path } = self.suffix(tx, owner, role).await?;
        tx.messages().remove(owner, conversation, &replaced).await?;
        // Without a message that is left of the path, another branch would be the head.
        let rooted = is_whole_path.then(|| batch.at_root());
        let batch = rooted.as_ref().unwrap_or(batch);
        let mut plan = Plan::new(tx, (owner, conversation), (role, user), batch).await?;
        let removed = replaced.len() as u64;
        if let Some((key, ids)) = once {
            let ids: Vec<Uuid> = plan.complete_ids(ids).into_iter().map(MessageId::uuid).collect();
            let record = key.done(tx.now(), DONE, json!({ "ids": ids, "removed": removed }))?;
            let record = key.kept(record, conversation);
            tx.idempotency_keys().record(owner, user, &record).await?;
        }
        if !change.is_empty() {
            let updated = tx.conversations().update(owner, conversation, change).await;
            updated.map_err(|error| of_conversation(error.into()))?;
        }
        let (messages, _) = plan.apply(tx, (owner, conversation), (role, user)).await?;
        Ok(Outcome::first(ReplacedSuffix { removed, messages }))
    }

    /// The newest messages, if they are the expected ones.
    async fn suffix(&self, tx: &mut WriteTx<'_>, owner: UserId, role: ConversationRole) -> Result<Suffix> {
        let Self { writer: Writer { user, .. }, conversation, expected, .. } = self;
        let count = expected.len();
        let mut seqs = Vec::with_capacity(count);
        let mut are_own = true;
        let mut is_whole_path = false;
        let mut from = None;
        while seqs.len() < count {
            let rows = u16::try_from(count - seqs.len()).unwrap_or(u16::MAX).min(MAX_ROWS);
            let page = page_of_head(tx, owner, *conversation, PageRequest::newest(rows), from).await?;
            for message in &page.items {
                if !expected.is_at(count - 1 - seqs.len(), message) {
                    return Err(Error::unexpected_suffix());
                }
                are_own &= message.sender_id == Some(*user);
                seqs.push(message.seq);
            }
            match page.next {
                Some(next) => from = Some(next),
                None if seqs.len() < count => return Err(Error::unexpected_suffix()),
                None => is_whole_path = true,
            }
        }
        if role != ConversationRole::Owner && !are_own {
            return Err(Error::forbidden(OWN_ONLY));
        }
        Ok(Suffix { seqs, is_whole_path })
    }
}

/// What an earlier request with the key came to.
async fn replay(
    tx: &mut WriteTx<'_>,
    place: (UserId, ConversationId),
    result: &serde_json::Value,
) -> Result<Outcome<ReplacedSuffix>> {
    let removed = result["removed"].as_u64().ok_or_else(|| damaged("it counts no messages"))?;
    let created: Vec<Uuid> =
        serde_json::from_value(result["ids"].clone()).map_err(|error| damaged(&error.to_string()))?;
    let messages = still_there(tx, place, &created).await?;
    Ok(Outcome::replayed(ReplacedSuffix { removed, messages }))
}
