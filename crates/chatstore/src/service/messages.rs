use std::sync::Arc;

use chatstore_model::{
    Access, ConversationId, ConversationRole, IntoValid, Limit, Message, MessageId, MessagePatch,
    MessageRole, NewMessage, NewReply, Page, Reply, Response, UserId, Valid,
};
use chatstore_sql::{By, ReadTx, StoreError, WriteTx};

use super::{VIEWER, Verdict, is_as_expected, reach};
use crate::actor::AsUser;
use crate::error::{Error, ErrorKind, Result};
use crate::page_request::PageRequest;

const USER_ONLY: &str = "an editor may post messages of the role user only";
const OWN_ONLY: &str = "an editor may change only messages of his own";

/// The messages of one user's conversations.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'s>(pub(crate) AsUser<'s>);

impl Messages<'_> {
    /// Appends a message with the next number; the answer means that it is on disk.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors with another role than `user`;
    /// `Invalid`.
    pub async fn append(
        self,
        conversation: ConversationId,
        new: impl IntoValid<NewMessage>,
    ) -> Result<Message> {
        let new = new.into_valid()?;
        if self.0.expected.is_some() {
            let mut appended = self.append_many(conversation, new.alone()).await?;
            return appended.pop().ok_or_else(|| Error::not_found("message"));
        }
        let user = self.0.user;
        let new = Arc::new(new);
        match self.append_by(By::Owner(user), conversation, &new).await {
            Err(error) if error.is_not_found("conversation") => {}
            done => return done,
        }
        if new.role == MessageRole::User {
            match self.append_by(By::Member(user), conversation, &new).await {
                Err(error) if error.is_not_found("conversation") => {}
                done => return done,
            }
        }
        Err(self.refusal(conversation).await?)
    }

    async fn append_by(
        self,
        by: By,
        conversation: ConversationId,
        new: &Arc<Valid<NewMessage>>,
    ) -> Result<Message> {
        let new = Arc::clone(new);
        let append = async move |tx: &mut WriteTx<'_>| tx.messages().append(by, conversation, &*new).await;
        Ok(self.0.store.database.write_single("append", append).await?)
    }

    /// Why the user could not write there.
    async fn refusal(self, conversation: ConversationId) -> Result<Error> {
        let user = self.0.user;
        let access = self
            .0
            .store
            .read("access", async move |tx| tx.conversations().access(user, conversation).await)
            .await?;
        Ok(match access.map(|access| access.role) {
            None | Some(ConversationRole::Owner) => Error::not_found("conversation"),
            Some(ConversationRole::Editor) => Error::rule(ErrorKind::Forbidden, USER_ONLY),
            Some(ConversationRole::Viewer) => Error::rule(ErrorKind::Forbidden, VIEWER),
        })
    }

    /// Appends 1 to 200 messages in order, with consecutive numbers, all or none.
    ///
    /// # Errors
    /// As [`append`](Self::append); the fields of `Invalid` are named `messages[3].content`.
    pub async fn append_many(
        self,
        conversation: ConversationId,
        new: impl IntoValid<Vec<NewMessage>>,
    ) -> Result<Vec<Message>> {
        let new = new.into_valid()?;
        let (user, expected) = (self.0.user, self.0.expected);
        let appended = self
            .0
            .store
            .write("append_many", async move |tx| {
                let access = reach(tx, user, conversation).await?;
                if let Some(refusal) = refuse_append(access.role, &new) {
                    return Ok(Verdict::Forbidden(refusal));
                }
                append_expecting(tx, access.owner_id, user, conversation, expected, &new).await
            })
            .await?;
        appended.into_result()
    }

    /// Appends a model's message with its response and books the usage on the conversation's owner,
    /// all or nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers; `Invalid`.
    pub async fn reply(self, conversation: ConversationId, new: impl IntoValid<NewReply>) -> Result<Reply> {
        let new = new.into_valid()?;
        let (user, expected) = (self.0.user, self.0.expected);
        if expected.is_some() {
            let reply = async move |tx: &mut WriteTx<'_>| {
                let access = reach(tx, user, conversation).await?;
                reply_expecting(tx, access, conversation, expected, &new).await
            };
            return self.0.store.write("reply", reply).await?.into_result();
        }
        let new = Arc::new(new);
        match self.reply_of(user, conversation, Arc::clone(&new)).await {
            Err(StoreError::NotFound { entity: "conversation" }) => {}
            done => return Ok(done?),
        }
        let access = self.0.store.read("access", async move |tx| reach(tx, user, conversation).await).await?;
        if !access.role.may_write() {
            return Err(Error::rule(ErrorKind::Forbidden, VIEWER));
        }
        Ok(self.reply_of(access.owner_id, conversation, new).await?)
    }

    async fn reply_of(
        self,
        owner: UserId,
        conversation: ConversationId,
        new: Arc<Valid<NewReply>>,
    ) -> std::result::Result<Reply, StoreError> {
        let model_is_known = new.response.model_used.is_some() || new.message.model.is_some();
        let record =
            async move |tx: &mut WriteTx<'_>| tx.messages().record_reply(owner, conversation, &*new).await;
        let database = &self.0.store.database;
        if model_is_known {
            database.write_single("reply", record).await
        } else {
            database.write("reply", record).await
        }
    }

    /// A page of a conversation.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the limit is not 1 to 200.
    pub async fn page(
        self,
        conversation: ConversationId,
        request: PageRequest,
    ) -> Result<Page<Message, i64>> {
        let limit = request.limit()?;
        let user = self.0.user;
        let page = self
            .0
            .store
            .read("message_page", async move |tx| {
                for by in [By::Owner(user), By::Member(user)] {
                    let page = page_by(tx, by, conversation, &request, limit).await?;
                    if !page.items.is_empty() {
                        return Ok(Some(page));
                    }
                }
                let reached = tx.conversations().access(user, conversation).await?;
                Ok(reached.map(|_| Page { items: Vec::new(), next: None }))
            })
            .await?;
        page.ok_or_else(|| Error::not_found("conversation"))
    }

    /// The message with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, conversation: ConversationId, id: MessageId) -> Result<Message> {
        let user = self.0.user;
        let found = self
            .0
            .store
            .read("message_get", async move |tx| {
                if let Some(message) = tx.messages().get(By::Owner(user), conversation, id).await? {
                    return Ok(Some(message));
                }
                tx.messages().get(By::Member(user), conversation, id).await
            })
            .await?;
        found.ok_or_else(|| Error::not_found("message"))
    }

    /// The message with this number.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_by_seq(self, conversation: ConversationId, seq: i64) -> Result<Message> {
        let user = self.0.user;
        let found = self
            .0
            .store
            .read("message_get", async move |tx| {
                if let Some(message) = tx.messages().find_by_seq(By::Owner(user), conversation, seq).await? {
                    return Ok(Some(message));
                }
                tx.messages().find_by_seq(By::Member(user), conversation, seq).await
            })
            .await?;
        found.ok_or_else(|| Error::not_found("message"))
    }

    /// The response behind a model's message.
    ///
    /// # Errors
    /// `NotFound`, also when the message has none.
    pub async fn response(self, conversation: ConversationId, id: MessageId) -> Result<Response> {
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
        let edited = self
            .0
            .store
            .write("message_edit", async move |tx| {
                let owner = match may_change(tx, user, conversation, id).await? {
                    Ok(owner) => owner,
                    Err(refusal) => return Ok(Verdict::Forbidden(refusal)),
                };
                if !is_as_expected(tx, owner, conversation, expected).await? {
                    return Ok(Verdict::Changed);
                }
                tx.messages().edit(owner, conversation, id, &patch).await.map(Verdict::Done)
            })
            .await?;
        edited.into_result()
    }

    /// Deletes a message with its response; its number is not used again, usage stays.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors on others' messages.
    pub async fn delete(self, conversation: ConversationId, id: MessageId) -> Result<()> {
        let (user, expected) = (self.0.user, self.0.expected);
        let deleted = self
            .0
            .store
            .write("message_delete", async move |tx| {
                let owner = match may_change(tx, user, conversation, id).await? {
                    Ok(owner) => owner,
                    Err(refusal) => return Ok(Verdict::Forbidden(refusal)),
                };
                if !is_as_expected(tx, owner, conversation, expected).await? {
                    return Ok(Verdict::Changed);
                }
                tx.messages().delete(owner, conversation, id).await.map(Verdict::Done)
            })
            .await?;
        deleted.into_result()
    }
}

async fn page_by(
    tx: &mut ReadTx<'_>,
    by: By,
    conversation: ConversationId,
    request: &PageRequest,
    limit: Limit,
) -> std::result::Result<Page<Message, i64>, StoreError> {
    match request.center() {
        Some(seq) => tx.messages().around(by, conversation, seq, limit).await,
        None => tx.messages().page(by, conversation, request.range(), request.order(), limit).await,
    }
}

/// Why somebody in this role may not append these messages, if he may not.
pub(super) fn refuse_append(role: ConversationRole, new: &[NewMessage]) -> Option<&'static str> {
    match role {
        ConversationRole::Viewer => Some(VIEWER),
        ConversationRole::Editor if new.iter().any(|message| message.role != MessageRole::User) => {
            Some(USER_ONLY)
        }
        ConversationRole::Owner | ConversationRole::Editor => None,
    }
}

/// Appends for somebody who may, if the conversation is at the revision that he expects.
async fn append_expecting(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    sender: UserId,
    conversation: ConversationId,
    expected: Option<i64>,
    new: &Valid<Vec<NewMessage>>,
) -> std::result::Result<Verdict<Vec<Message>>, StoreError> {
    if !is_as_expected(tx, owner, conversation, expected).await? {
        return Ok(Verdict::Changed);
    }
    append_as(tx, owner, sender, conversation, new).await.map(Verdict::Done)
}

/// Appends what one person says.
pub(super) async fn append_as(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    sender: UserId,
    conversation: ConversationId,
    new: &Valid<Vec<NewMessage>>,
) -> std::result::Result<Vec<Message>, StoreError> {
    let senders = vec![Some(sender); new.len()];
    tx.messages().append_many(owner, conversation, &senders, new).await
}

/// Records a reply, if the user may and the conversation is at the revision that he expects.
async fn reply_expecting(
    tx: &mut WriteTx<'_>,
    access: Access,
    conversation: ConversationId,
    expected: Option<i64>,
    new: &Valid<NewReply>,
) -> std::result::Result<Verdict<Reply>, StoreError> {
    if !access.role.may_write() {
        return Ok(Verdict::Forbidden(VIEWER));
    }
    if !is_as_expected(tx, access.owner_id, conversation, expected).await? {
        return Ok(Verdict::Changed);
    }
    tx.messages().record_reply(access.owner_id, conversation, new).await.map(Verdict::Done)
}

/// The owner of the conversation, or why the user may not change this message.
async fn may_change(
    tx: &mut WriteTx<'_>,
    user: UserId,
    conversation: ConversationId,
    id: MessageId,
) -> std::result::Result<std::result::Result<UserId, &'static str>, StoreError> {
    let access = reach(tx, user, conversation).await?;
    if access.role == ConversationRole::Owner {
        return Ok(Ok(access.owner_id));
    }
    // What is absent is absent for everybody; only then is it a matter of roles.
    let message = tx.messages().get(By::Owner(access.owner_id), conversation, id).await?;
    let message = message.ok_or(StoreError::NotFound { entity: "message" })?;
    Ok(match access.role {
        ConversationRole::Viewer => Err(VIEWER),
        _ if message.sender_id == Some(user) => Ok(access.owner_id),
        _ => Err(OWN_ONLY),
    })
}
