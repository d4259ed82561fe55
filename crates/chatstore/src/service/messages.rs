use std::sync::Arc;

use chatstore_model::{
    ConversationId, ConversationRole, Invalid, Limit, Message, MessageId, MessagePatch, MessageRole,
    NewMessage, NewReply, Page, Reply, Response, UserId, Validator, limits,
};
use chatstore_sql::{By, ReadTx, StoreError, WriteTx};

use super::{VIEWER, Verdict, reach};
use crate::actor::AsUser;
use crate::error::{Error, Result};
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
    pub async fn append(self, conversation: ConversationId, new: NewMessage) -> Result<Message> {
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

    async fn append_by(self, by: By, conversation: ConversationId, new: &Arc<NewMessage>) -> Result<Message> {
        let new = Arc::clone(new);
        let append = async move |tx: &mut WriteTx<'_>| tx.messages().append(by, conversation, &new).await;
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
            Some(ConversationRole::Editor) => Error::forbidden(USER_ONLY),
            Some(ConversationRole::Viewer) => Error::forbidden(VIEWER),
        })
    }

    /// Appends 1 to 200 messages in order, with consecutive numbers, all or none.
    ///
    /// # Errors
    /// As [`append`](Self::append); the fields of `Invalid` are named `messages[3].content`.
    pub async fn append_many(
        self,
        conversation: ConversationId,
        new: Vec<NewMessage>,
    ) -> Result<Vec<Message>> {
        check_batch(&new)?;
        let user = self.0.user;
        let appended = self
            .0
            .store
            .write("append_many", async move |tx| {
                let access = reach(tx, user, conversation).await?;
                match access.role {
                    ConversationRole::Viewer => return Ok(Verdict::Forbidden(VIEWER)),
                    ConversationRole::Editor
                        if new.iter().any(|message| message.role != MessageRole::User) =>
                    {
                        return Ok(Verdict::Forbidden(USER_ONLY));
                    }
                    ConversationRole::Owner | ConversationRole::Editor => {}
                }
                let senders = vec![Some(user); new.len()];
                let messages =
                    tx.messages().append_many(access.owner_id, conversation, &senders, &new).await?;
                Ok(Verdict::Done(messages))
            })
            .await?;
        appended.into_result()
    }

    /// Appends a model's message with its response and books the usage on the conversation's owner,
    /// all or nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers; `Invalid`.
    pub async fn reply(self, conversation: ConversationId, new: NewReply) -> Result<Reply> {
        new.validate()?;
        let user = self.0.user;
        let new = Arc::new(new);
        match self.reply_of(user, conversation, Arc::clone(&new)).await {
            Err(StoreError::NotFound { entity: "conversation" }) => {}
            done => return Ok(done?),
        }
        let access = self.0.store.read("access", async move |tx| reach(tx, user, conversation).await).await?;
        if !access.role.may_write() {
            return Err(Error::forbidden(VIEWER));
        }
        Ok(self.reply_of(access.owner_id, conversation, new).await?)
    }

    async fn reply_of(
        self,
        owner: UserId,
        conversation: ConversationId,
        new: Arc<NewReply>,
    ) -> std::result::Result<Reply, StoreError> {
        let model_is_known = new.response.model_used.is_some() || new.message.model.is_some();
        let default_model = Arc::clone(&self.0.store.default_model);
        let record = async move |tx: &mut WriteTx<'_>| {
            tx.messages().record_reply(owner, conversation, &new, &default_model).await
        };
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
        patch: MessagePatch,
    ) -> Result<Message> {
        patch.validate()?;
        let user = self.0.user;
        let edited = self
            .0
            .store
            .write("message_edit", async move |tx| {
                let owner = match may_change(tx, user, conversation, id).await? {
                    Verdict::Done(owner) => owner,
                    Verdict::Forbidden(reason) => return Ok(Verdict::Forbidden(reason)),
                };
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
        let user = self.0.user;
        let deleted = self
            .0
            .store
            .write("message_delete", async move |tx| {
                let owner = match may_change(tx, user, conversation, id).await? {
                    Verdict::Done(owner) => owner,
                    Verdict::Forbidden(reason) => return Ok(Verdict::Forbidden(reason)),
                };
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

/// The owner of the conversation, when the user may change this message.
async fn may_change(
    tx: &mut WriteTx<'_>,
    user: UserId,
    conversation: ConversationId,
    id: MessageId,
) -> std::result::Result<Verdict<UserId>, StoreError> {
    let access = reach(tx, user, conversation).await?;
    if access.role == ConversationRole::Owner {
        return Ok(Verdict::Done(access.owner_id));
    }
    // What is absent is absent for everybody; only then is it a matter of roles.
    let message = tx.messages().get(By::Owner(access.owner_id), conversation, id).await?;
    let message = message.ok_or(StoreError::NotFound { entity: "message" })?;
    Ok(match access.role {
        ConversationRole::Viewer => Verdict::Forbidden(VIEWER),
        _ if message.sender_id == Some(user) => Verdict::Done(access.owner_id),
        _ => Verdict::Forbidden(OWN_ONLY),
    })
}

fn check_batch(new: &[NewMessage]) -> std::result::Result<(), Invalid> {
    let mut validator = Validator::default();
    if new.is_empty() || new.len() > limits::BATCH {
        let code = if new.is_empty() {
            chatstore_model::FieldCode::TooShort
        } else {
            chatstore_model::FieldCode::TooLong
        };
        validator.wrong("messages", code, "must have 1 to 200 messages");
    }
    for (index, message) in new.iter().enumerate() {
        let mut item = Validator::below(format!("messages[{index}]."));
        message.check(&mut item);
        validator.absorb(item);
    }
    validator.finish()
}
