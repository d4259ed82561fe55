//! Messages that are appended together, to a conversation or to a thread that may not exist yet.

use std::sync::Arc;

use chatstore_model::fields::CREATED_AT;
use chatstore_model::{
    CanonicalJson, ConversationId, ConversationPatch, ConversationRole, FieldCode, FieldError, IntoValid,
    Invalid, Message, MessageBatch, MessageId, NewConversation, NewMessage, Timestamp, UserId, Valid,
    Validator,
};
use chatstore_sql::{Via, WriteTx};
use uuid::Uuid;

use super::conflicts::Plan;
use super::conversations::EDITOR;
use super::deletions::NewMessageIds;
use super::idempotency_key::{IdempotencyKey, KeyRetention, Outcome, earlier, gone};
use super::idempotent::Idempotent;
use super::messages::{Messages, check_appender, head_rule};
use super::references::References;
use super::{access, is_at_revision};
use crate::error::{Error, Result};
use crate::user_scope::Writer;

/// Where messages are appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A conversation of the user's, owned or shared.
    Conversation(ConversationId),
    /// The user's own conversation with the application's id, which is created when there is none.
    Thread(String),
    /// The user's own conversation with the application's id.
    ExistingThread(String),
}

impl From<ConversationId> for Destination {
    fn from(id: ConversationId) -> Self {
        Self::Conversation(id)
    }
}

impl Destination {
    /// The conversation, when it is named by its id.
    pub(super) const fn conversation(&self) -> Option<ConversationId> {
        match self {
            Self::Conversation(id) => Some(*id),
            Self::Thread(_) | Self::ExistingThread(_) => None,
        }
    }
}

/// Messages that were appended together.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendedBatch {
    /// Their conversation.
    pub conversation: ConversationId,
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// How many of them are new; the others were there already.
    pub appended: usize,
}

impl Messages<'_> {
    /// Appends 1 to 1,000 messages in order, with consecutive numbers, and changes their conversation; all or nothing. Those
    /// whose ids the conversation has already become what [`OnConflict`](chatstore_model::OnConflict) says. A
    /// [`Thread`](Destination::Thread) that does not exist is created: of any number of concurrent calls one creates it,
    /// and each appends its messages.
    ///
    /// # Errors
    /// `AlreadyExists` with [`item`](crate::Error::item) and field, of an id that is taken; `Forbidden` also for editors that
    /// would replace others' messages; as [`append`](Self::append) and [`Conversations::update`](super::Conversations::update); the fields of `Invalid`
    /// are named `messages[3].content` and `conversation.title`. With
    /// [`if_revision`](crate::AsUser::if_revision) a thread is not created: that is `PreconditionFailed`.
    pub async fn append_batch(
        self,
        to: impl Into<Destination>,
        batch: impl IntoValid<MessageBatch>,
    ) -> Result<AppendedBatch> {
        let (to, mut batch) = (to.into(), batch.into_valid()?);
        if let Destination::Conversation(conversation) = to
            && References::of_batch(&batch.messages()).is_empty()
        {
            // One message alone takes a statement less.
            batch = match batch.into_single() {
                Ok(new) => {
                    let message = self.append(conversation, new).await?;
                    return Ok(AppendedBatch { conversation, messages: vec![message], appended: 1 });
                }
                Err(batch) => batch,
            };
        }
        self.append_batch_once(to, batch).await
    }

    /// The same in a transaction of several statements.
    pub(super) async fn append_batch_once(
        self,
        to: Destination,
        batch: Valid<MessageBatch>,
    ) -> Result<AppendedBatch> {
        let ids = batch.messages().iter().filter_map(|new| new.id).collect();
        let taken = NewMessageIds::new(self.0.user, to.conversation(), ids);
        let write = Arc::new(BatchWrite { writer: self.0.writer(), to, batch, once: None });
        let attempt = || {
            let write = Arc::clone(&write);
            let append = async move |tx: &mut WriteTx<'_>| Ok::<_, Error>(write.run(tx).await?.value);
            self.0.write("append_batch", append)
        };
        self.0.store.past_deletions(taken, attempt).await
    }
}

impl Idempotent<'_> {
    /// As [`Messages::append_many`].
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn append(
        self,
        conversation: ConversationId,
        new: impl IntoValid<Vec<NewMessage>>,
    ) -> Result<Outcome<Vec<Message>>> {
        let batch: Valid<MessageBatch> = new.into_valid()?.into();
        let Outcome { value, is_replayed } = self.append_batch(conversation, batch).await?;
        Ok(Outcome { value: value.messages, is_replayed })
    }

    /// As [`Messages::append_batch`].
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`]. A thread that was deleted after the first request is not created again:
    /// that is a `Conflict`. Under a key that is [remembered as long as the history](KeyRetention::Conversation) a repetition
    /// returns those of the messages that still exist.
    pub async fn append_batch(
        self,
        to: impl Into<Destination>,
        batch: impl IntoValid<MessageBatch>,
    ) -> Result<Outcome<AppendedBatch>> {
        let (to, batch) = (to.into(), batch.into_valid()?);
        let brought: Vec<MessageId> = batch.messages().iter().filter_map(|new| new.id).collect();
        let taken = NewMessageIds::new(self.chat.user, to.conversation(), brought);
        let ids = batch.messages().iter().map(|_| MessageId::from_uuid(self.new_uuid())).collect();
        let once = Some((self.key.clone(), ids));
        let write = Arc::new(BatchWrite { writer: self.chat.writer(), to, batch, once });
        self.write("append_batch_once", taken, async move |tx| write.run(tx).await).await
    }
}

/// A batch on its way into the database.
struct BatchWrite {
    writer: Writer,
    to: Destination,
    batch: Valid<MessageBatch>,
    /// The key under which it is appended once, and the ids of messages that bring none.
    once: Option<(IdempotencyKey, Vec<MessageId>)>,
}

/// What the destination of a batch is, for its user.
pub(super) struct Place {
    pub(super) owner: UserId,
    pub(super) conversation: ConversationId,
    pub(super) role: ConversationRole,
}

impl BatchWrite {
    async fn run(&self, tx: &mut WriteTx<'_>) -> Result<Outcome<AppendedBatch>> {
        let Self { writer: Writer { user, expected, is_service }, to, batch, once } = self;
        let user = *user;
        let place = find(tx, user, to).await?;
        let is_unchanged = match &place {
            Some(place) => is_at_revision(tx, place.owner, place.conversation, *expected).await?,
            None => expected.is_none(),
        };
        if let Some((key, _)) = once
            && let Some(created) = earlier(tx, user, key).await?
        {
            // The first request may have created the thread after it was looked for.
            let place = match place {
                None => find(tx, user, to).await?,
                found => found,
            };
            return replay(tx, &place.ok_or_else(gone)?, &created, key.retention).await;
        }
        let role = place.as_ref().map_or(ConversationRole::Owner, |place| place.role);
        check_appender(role, *is_service, &batch.messages())?;
        check_times(tx.now(), &batch.messages())?;
        let change = batch.conversation();
        if role != ConversationRole::Owner && !change.is_for_editors() {
            return Err(Error::forbidden(EDITOR));
        }
        if !is_unchanged {
            return Err(Error::precondition_failed());
        }
        let owner = place.as_ref().map_or(user, |place| place.owner);
        References::of_batch(&batch.messages()).check(tx, owner).await?;
        let (place, is_created) = match (place, to) {
            (Some(place), _) => (place, false),
            (None, Destination::Thread(thread_id)) => create(tx, user, thread_id, *change).await?,
            (None, _) => return Err(Error::not_found("conversation")),
        };
        let Place { owner, conversation, .. } = place;
        let mut plan = match batch.has_ids() || once.is_some() {
            true => Some(Plan::new(tx, (owner, conversation), (role, user), batch).await?),
            false => None,
        };
        if let (Some((key, ids)), Some(plan)) = (once, &mut plan) {
            let ids: Vec<Uuid> = plan.complete_ids(ids).into_iter().map(MessageId::uuid).collect();
            let record = key.kept(key.created(tx.now(), &ids)?, conversation);
            tx.idempotency_keys().record(owner, user, &record).await?;
        }
        if !is_created && !change.is_empty() {
            let updated = tx.conversations().update(owner, conversation, change).await;
            updated.map_err(|error| of_conversation(error.into()))?;
        }
        let (messages, appended) = match plan {
            Some(plan) => plan.apply(tx, (owner, conversation), (role, user)).await?,
            None => {
                let senders = vec![Some(user); batch.messages().len()];
                let new = batch.messages();
                let rule = head_rule(role);
                let messages = tx.messages().append_now(owner, conversation, &senders, new, rule).await?;
                let appended = messages.len();
                (messages, appended)
            }
        };
        Ok(Outcome::first(AppendedBatch { conversation, messages, appended }))
    }
}

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Fails when a message is said to be created more than a day ahead.
pub(super) fn check_times(now: Timestamp, new: &[NewMessage]) -> Result<()> {
    let latest = now.plus_microseconds(DAY);
    let mut validator = Validator::default();
    for (index, message) in new.iter().enumerate() {
        if message.created_at.is_some_and(|at| at > latest) {
            let reason = "must be at most one day ahead";
            validator.wrong(&format!("messages[{index}].{}", CREATED_AT.name), FieldCode::OutOfRange, reason);
        }
    }
    Ok(validator.finish()?)
}

/// The destination; none when it is a thread that does not exist but may be created.
pub(super) async fn find(tx: &mut WriteTx<'_>, user: UserId, to: &Destination) -> Result<Option<Place>> {
    let thread_id = match to {
        Destination::Conversation(conversation) => {
            let access = access(tx, user, *conversation).await?;
            let place = Place { owner: access.owner_id, conversation: *conversation, role: access.role };
            return Ok(Some(place));
        }
        Destination::Thread(thread_id) | Destination::ExistingThread(thread_id) => thread_id,
    };
    match (tx.conversations().find_by_thread(user, thread_id).await?, to) {
        (Some(found), _) => Ok(Some(Place::own(user, found.id))),
        (None, Destination::Thread(_)) => Ok(None),
        (None, _) => Err(Error::not_found("conversation")),
    }
}

impl Place {
    const fn own(owner: UserId, conversation: ConversationId) -> Self {
        Self { owner, conversation, role: ConversationRole::Owner }
    }
}

/// Creates a thread as the changes make it; false when another transaction did so meanwhile.
pub(super) async fn create(
    tx: &mut WriteTx<'_>,
    user: UserId,
    thread_id: &str,
    change: &ConversationPatch,
) -> Result<(Place, bool)> {
    let metadata = change.metadata_after(&CanonicalJson::object());
    let new = NewConversation {
        title: change.title.value().cloned(),
        default_model: change.default_model.value().cloned(),
        last_message: change.last_message.value().cloned(),
        metadata: metadata.map_err(|invalid| of_conversation(invalid.into()))?,
        ..NewConversation::thread(thread_id)
    };
    let (created, is_new) = tx.conversations().get_or_create_by_thread(user, &new).await?;
    Ok((Place::own(user, created.id), is_new))
}

/// What is wrong with the changes of the conversation.
pub(super) fn of_conversation(error: Error) -> Error {
    let Some(Invalid(errors)) = error.invalid() else { return error };
    let named =
        |error: &FieldError| FieldError { field: format!("conversation.{}", error.field), ..error.clone() };
    Invalid(errors.iter().map(named).collect()).into()
}

/// The messages that an earlier request appended, as they are now.
async fn replay(
    tx: &mut WriteTx<'_>,
    place: &Place,
    created: &[Uuid],
    retention: KeyRetention,
) -> Result<Outcome<AppendedBatch>> {
    let Place { owner, conversation, .. } = *place;
    let messages = still_there(tx, (owner, conversation), created).await?;
    // A key that is remembered as long as the history outlives messages that are removed one by one.
    if retention == KeyRetention::Day && messages.len() < created.len() {
        return Err(gone());
    }
    let appended = messages.len();
    Ok(Outcome::replayed(AppendedBatch { conversation, messages, appended }))
}

/// Those of the messages with these ids that are still there, as they are now.
pub(super) async fn still_there(
    tx: &mut WriteTx<'_>,
    (owner, conversation): (UserId, ConversationId),
    created: &[Uuid],
) -> Result<Vec<Message>> {
    let mut messages = Vec::with_capacity(created.len());
    for id in created {
        let id = MessageId::from_uuid(*id);
        messages.extend(tx.messages().get(Via::Owner(owner), conversation, id).await?);
    }
    Ok(messages)
}
