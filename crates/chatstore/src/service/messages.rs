use std::slice;
use std::sync::Arc;

use chatstore_model::{
    Branch, ConversationId, ConversationRole, HeadRule, IntoValid, Message, MessageBatch, MessageFilter,
    MessageId, MessagePatch, MessageRole, ModelResponse, NewMessage, NewReply, Page, Reply, UserId, Valid,
};
use chatstore_sql::{ReadTx, StoreError, Via, WriteTx};

use super::deletions::NewMessageIds;
use super::references::References;
use super::{access, as_owner_or_member, check_revision, check_writer};
use crate::error::{Error, Result};
use crate::page_request::PageRequest;
use crate::user_scope::AsUser;

const OWNERS_TIMES: &str = "only the owner and service keys may say when a message was created";
const USER_ONLY: &str = "an editor may post messages of the role user only";
pub(super) const OWN_ONLY: &str = "an editor may change only messages of their own";

/// The messages of one user's conversations.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'s>(pub(crate) AsUser<'s>);

impl<'s> AsUser<'s> {
    /// The messages of the user's conversations.
    #[must_use]
    pub const fn messages(&self) -> Messages<'s> {
        Messages(*self)
    }
}

impl Messages<'_> {
    /// Appends a message with the next number; the answer means that it is on disk.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors with another role than `user`;
    /// `Invalid`, also for a reference to what is no document of the conversation's owner.
    pub async fn append(
        self,
        conversation: ConversationId,
        new: impl IntoValid<NewMessage>,
    ) -> Result<Message> {
        let new = new.into_valid()?;
        if new.created_at.is_some() || new.parent.is_some() {
            // In a box, because a batch of one message is appended by this.
            let mut batch = Box::pin(self.append_batch(conversation, new.alone())).await?;
            return batch.messages.pop().ok_or_else(|| Error::not_found("message"));
        }
        let new = Arc::new(new);
        let ids = NewMessageIds::new(self.0.user, Some(conversation), new.id.into_iter().collect());
        let attempt = || self.append_once(conversation, Arc::clone(&new));
        self.0.store.past_deletions(ids, attempt).await
    }

    async fn append_in_steps(
        self,
        conversation: ConversationId,
        batch: Valid<MessageBatch>,
    ) -> Result<Message> {
        let mut batch = Box::pin(self.append_batch_once(conversation.into(), batch)).await?;
        batch.messages.pop().ok_or_else(|| Error::not_found("message"))
    }

    async fn append_once(self, conversation: ConversationId, new: Arc<Valid<NewMessage>>) -> Result<Message> {
        let references = References::of(Some(&new.used_documents));
        if self.0.expected.is_some() || !references.is_empty() {
            return self.append_at_revision(conversation, new).await;
        }
        let user = self.0.user;
        let may_be_members = new.role == MessageRole::User;
        for by in as_owner_or_member(user) {
            if by == Via::Owner(user) || may_be_members {
                let new = Arc::clone(&new);
                let append =
                    async move |tx: &mut WriteTx<'_>| tx.messages().append(by, conversation, &*new).await;
                match self.0.write_single("append", append).await {
                    Err(StoreError::NotFound { entity: "conversation" }) => {}
                    done => return Ok(done?),
                }
            }
        }
        // One that branched takes more than a statement; or there is none, or the user may not append.
        self.append_in_steps(conversation, Valid::clone(&new).alone()).await
    }

    async fn append_at_revision(
        self,
        conversation: ConversationId,
        new: Arc<Valid<NewMessage>>,
    ) -> Result<Message> {
        let (user, expected) = (self.0.user, self.0.expected);
        let append = async move |tx: &mut WriteTx<'_>| {
            let access = access(tx, user, conversation).await?;
            check_appender(access.role, false, slice::from_ref(&*new))?;
            check_revision(tx, access.owner_id, conversation, expected).await?;
            References::of(Some(&new.used_documents)).check(tx, access.owner_id).await?;
            let by = if access.owner_id == user { Via::Owner(user) } else { Via::Member(user) };
            Ok(tx.messages().append_in_steps(by, conversation, &*new).await?)
        };
        self.0.write("append", append).await
    }

    /// Appends 1 to 1,000 messages in order, with consecutive numbers, all or none.
    ///
    /// # Errors
    /// As [`append`](Self::append); the fields of `Invalid` are named `messages[3].content`.
    pub async fn append_many(
        self,
        conversation: ConversationId,
        new: impl IntoValid<Vec<NewMessage>>,
    ) -> Result<Vec<Message>> {
        let batch: Valid<MessageBatch> = new.into_valid()?.into();
        Ok(self.append_batch(conversation, batch).await?.messages)
    }

    /// Appends a model's message with its response and books the usage on the conversation's owner,
    /// all or nothing. What [is not vouched for](AsUser::not_vouched_for) is booked on the user's own alone.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers; `Invalid`.
    pub async fn reply(self, conversation: ConversationId, new: impl IntoValid<NewReply>) -> Result<Reply> {
        let new = Arc::new(new.into_valid()?);
        let ids = NewMessageIds::new(self.0.user, Some(conversation), new.message.id.into_iter().collect());
        let attempt = || self.reply_once(conversation, Arc::clone(&new));
        let reply = self.0.store.past_deletions(ids, attempt).await?;
        self.0.store.measures.note_reply(&reply.response);
        Ok(reply)
    }

    async fn reply_once(self, conversation: ConversationId, new: Arc<Valid<NewReply>>) -> Result<Reply> {
        let references = References::of(Some(&new.message.used_documents));
        if self.0.expected.is_some() || !references.is_empty() || new.message.parent.is_some() {
            return self.reply_at_revision(conversation, new).await;
        }
        match self.reply_of(self.0.user, conversation, Arc::clone(&new)).await {
            Err(StoreError::NotFound { entity: "conversation" }) => {}
            done => return Ok(done?),
        }
        let access = self.0.access(conversation).await?;
        check_writer(access.role)?;
        if access.owner_id != self.0.user {
            match self.reply_of(access.owner_id, conversation, Arc::clone(&new)).await {
                Err(StoreError::NotFound { entity: "conversation" }) => {}
                done => return Ok(done?),
            }
        }
        // One that branched takes more than a statement; or it is gone.
        self.reply_at_revision(conversation, new).await
    }

    async fn reply_of(
        self,
        owner: UserId,
        conversation: ConversationId,
        new: Arc<Valid<NewReply>>,
    ) -> std::result::Result<Reply, StoreError> {
        let model_is_known = new.response.model_used.is_some() || new.message.model.is_some();
        let books = self.0.is_vouched_for || owner == self.0.user;
        let record =
            async move |tx: &mut WriteTx<'_>| record(tx, owner, conversation, &new, None, books).await;
        if model_is_known && books {
            self.0.write_single("reply", record).await
        } else {
            self.0.write("reply", record).await
        }
    }

    async fn reply_at_revision(
        self,
        conversation: ConversationId,
        new: Arc<Valid<NewReply>>,
    ) -> Result<Reply> {
        let scope = self.0;
        let (user, expected, is_vouched_for) = (scope.user, scope.expected, scope.is_vouched_for);
        let record = async move |tx: &mut WriteTx<'_>| {
            let access = access(tx, user, conversation).await?;
            check_writer(access.role)?;
            check_revision(tx, access.owner_id, conversation, expected).await?;
            References::of(Some(&new.message.used_documents)).check(tx, access.owner_id).await?;
            let books = is_vouched_for || access.owner_id == user;
            Ok(record(tx, access.owner_id, conversation, &new, Some(head_rule(access.role)), books).await?)
        };
        self.0.write("reply", record).await
    }

    /// A page of a conversation: of the path to its head, which in one that never branched has all messages.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the limit is not 1 to 200.
    pub async fn page(
        self,
        conversation: ConversationId,
        request: PageRequest,
    ) -> Result<Page<Message, i64>> {
        let page = self.page_of_branch(conversation, Branch::Head, request, None).await?;
        Ok(Page { items: page.items, next: page.next.map(|position| position.seq) })
    }

    /// The newest of these messages on the path to the head, `count` of them, in ascending order. When they are larger
    /// than a page, or more than 10,000, the oldest are left out, and [`Page::next`] is the number below which they are; else it is `None`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn newest(
        self,
        conversation: ConversationId,
        filter: impl Into<MessageFilter>,
        count: u32,
    ) -> Result<Page<Message, i64>> {
        self.newest_of_branch(conversation, Branch::Head, filter, count).await
    }

    /// The message with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, conversation: ConversationId, id: MessageId) -> Result<Message> {
        let user = self.0.user;
        let get = async move |tx: &mut ReadTx<'_>| {
            for by in as_owner_or_member(user) {
                if let Some(message) = tx.messages().get(by, conversation, id).await? {
                    return Ok(message);
                }
            }
            Err(Error::not_found("message"))
        };
        self.0.read("message_get", get).await
    }

    /// The message with this number.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_by_seq(self, conversation: ConversationId, seq: i64) -> Result<Message> {
        let user = self.0.user;
        let get = async move |tx: &mut ReadTx<'_>| {
            for by in as_owner_or_member(user) {
                if let Some(message) = tx.messages().find_by_seq(by, conversation, seq).await? {
                    return Ok(message);
                }
            }
            Err(Error::not_found("message"))
        };
        self.0.read("message_get", get).await
    }

    /// The message with this id of the application.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_by_external_id(
        self,
        conversation: ConversationId,
        external_id: &str,
    ) -> Result<Message> {
        let (user, external_id) = (self.0.user, external_id.to_owned());
        let get = async move |tx: &mut ReadTx<'_>| {
            for by in as_owner_or_member(user) {
                if let Some(message) =
                    tx.messages().find_by_external_id(by, conversation, &external_id).await?
                {
                    return Ok(message);
                }
            }
            Err(Error::not_found("message"))
        };
        self.0.read("message_get", get).await
    }

    /// The message with this id in one of the user's own conversations.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_own(self, id: MessageId) -> Result<Message> {
        let user = self.0.user;
        let get = async move |tx: &mut ReadTx<'_>| tx.messages().find_own(user, id).await;
        let found = self.0.read("message_get", get).await?;
        found.ok_or_else(|| Error::not_found("message"))
    }

    /// The response behind a model's message.
    ///
    /// # Errors
    /// `NotFound`, also when the message has none.
    pub async fn response(self, conversation: ConversationId, id: MessageId) -> Result<ModelResponse> {
        let message = self.get(conversation, id).await?;
        let found = self
            .0
            .store
            .read("response_get", async move |tx| tx.responses().get(message.owner_id, message.id).await)
            .await?;
        found.ok_or_else(|| Error::not_found("response"))
    }

    /// Changes a message; an empty patch changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors on others' messages; `Invalid`.
    pub async fn edit(
        self,
        conversation: ConversationId,
        id: MessageId,
        patch: impl IntoValid<MessagePatch>,
    ) -> Result<Message> {
        let patch = patch.into_valid()?;
        let (user, expected) = (self.0.user, self.0.expected);
        let edit = async move |tx: &mut WriteTx<'_>| {
            let owner = access_to_change(tx, user, conversation, id).await?;
            check_revision(tx, owner, conversation, expected).await?;
            References::of(patch.used_documents.as_ref()).check(tx, owner).await?;
            Ok(tx.messages().edit(owner, conversation, id, &patch).await?)
        };
        self.0.write("message_edit", edit).await
    }

    /// Deletes a message with its response; its number is not used again, usage stays.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors on others' messages.
    pub async fn delete(self, conversation: ConversationId, id: MessageId) -> Result<()> {
        let (user, expected) = (self.0.user, self.0.expected);
        let delete = async move |tx: &mut WriteTx<'_>| {
            let owner = access_to_change(tx, user, conversation, id).await?;
            check_revision(tx, owner, conversation, expected).await?;
            Ok(tx.messages().delete(owner, conversation, id).await?)
        };
        self.0.write("message_delete", delete).await
    }
}

/// Fails unless a user in this role may append these messages, or an application that acts for such a user.
pub(super) fn check_appender(role: ConversationRole, is_service: bool, new: &[NewMessage]) -> Result<()> {
    check_writer(role)?;
    let may_say_times = role == ConversationRole::Owner || is_service;
    if !may_say_times && new.iter().any(|message| message.created_at.is_some()) {
        return Err(Error::forbidden(OWNERS_TIMES));
    }
    if role == ConversationRole::Editor && new.iter().any(|message| message.role != MessageRole::User) {
        return Err(Error::forbidden(USER_ONLY));
    }
    Ok(())
}

/// Records a reply, and its usage if that is to be booked.
pub(super) async fn record(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    new: &Valid<NewReply>,
    rule: Option<HeadRule>,
    books: bool,
) -> std::result::Result<Reply, StoreError> {
    match books {
        true => tx.messages().record_reply_by(owner, conversation, new, rule).await,
        false => tx.messages().record_unbooked_reply(owner, conversation, new, rule).await,
    }
}

/// What becomes of the head when a user in this role appends a message with a parent.
pub(super) const fn head_rule(role: ConversationRole) -> HeadRule {
    match role {
        ConversationRole::Owner => HeadRule::Follows,
        ConversationRole::Editor | ConversationRole::Viewer => HeadRule::Stays,
    }
}

/// The owner of the conversation, if the user may change this message.
async fn access_to_change(
    tx: &mut WriteTx<'_>,
    user: UserId,
    conversation: ConversationId,
    id: MessageId,
) -> Result<UserId> {
    let access = access(tx, user, conversation).await?;
    if access.role == ConversationRole::Owner {
        return Ok(access.owner_id);
    }
    // What is absent is absent for all; only then is it a matter of roles.
    let message = tx.messages().get(Via::Owner(access.owner_id), conversation, id).await?;
    let message = message.ok_or_else(|| Error::not_found("message"))?;
    check_writer(access.role)?;
    if message.sender_id != Some(user) {
        return Err(Error::forbidden(OWN_ONLY));
    }
    Ok(access.owner_id)
}
