use chatstore_model::{
    Conversation, ConversationId, ConversationPatch, ConversationPosition, ConversationRole, IntoValid,
    Membership, NewConversation, Page, UserId,
};
use chatstore_sql::{By, ConversationList, StoreError, WriteTx};

use super::{NO_CONVERSATION, OWNER_ONLY, VIEWER, Verdict, is_as_expected, reach};
use crate::actor::AsUser;
use crate::error::{Error, Result};

const EDITOR: &str = "an editor may change title, default_model and metadata only";

/// The conversations of one user, owned and shared.
#[derive(Debug, Clone, Copy)]
pub struct Conversations<'s>(pub(crate) AsUser<'s>);

impl Conversations<'_> {
    /// Makes a conversation that the user owns.
    ///
    /// # Errors
    /// `Invalid`; `AlreadyExists` with field `thread_id`; `NotFound` when the user is gone.
    pub async fn create(self, new: impl IntoValid<NewConversation>) -> Result<Conversation> {
        let new = new.into_valid()?;
        let user = self.0.user;
        let create =
            async move |tx: &mut chatstore_sql::WriteTx<'_>| tx.conversations().create(user, &new).await;
        Ok(self.0.store.database.write_single("conversation_create", create).await?)
    }

    /// The user's own conversation with the application's id; made from `new` when there is none,
    /// else untouched by it. True when it was made.
    ///
    /// # Errors
    /// `Invalid`; `Conflict` when `new` has no `thread_id`.
    pub async fn get_or_create_by_thread(
        self,
        new: impl IntoValid<NewConversation>,
    ) -> Result<(Conversation, bool)> {
        let new = new.into_valid()?;
        let user = self.0.user;
        self.0
            .store
            .write("thread_get_or_create", async move |tx| {
                tx.conversations().get_or_create_by_thread(user, &new).await
            })
            .await
    }

    /// A conversation with the user's role in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, id: ConversationId) -> Result<(Conversation, ConversationRole)> {
        let user = self.0.user;
        let found = self
            .0
            .store
            .read("conversation_get", async move |tx| {
                if let Some(own) = tx.conversations().get(By::Owner(user), id).await? {
                    return Ok(Some(own));
                }
                tx.conversations().get(By::Member(user), id).await
            })
            .await?;
        found.ok_or_else(|| Error::not_found("conversation"))
    }

    /// The user's own conversation with the application's id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_by_thread(self, thread_id: &str) -> Result<Conversation> {
        let (user, thread_id) = (self.0.user, thread_id.to_owned());
        let found = self
            .0
            .store
            .read("thread_get", async move |tx| tx.conversations().find_by_thread(user, &thread_id).await)
            .await?;
        found.ok_or_else(|| Error::not_found("conversation"))
    }

    /// One page of the user's conversations, each with his role in it.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn page(
        self,
        list: ConversationList,
    ) -> Result<Page<(Conversation, ConversationRole), ConversationPosition>> {
        let user = self.0.user;
        self.0
            .store
            .read("conversation_page", async move |tx| tx.conversations().page(user, &list).await)
            .await
    }

    /// How many conversations the user has.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn count(self, membership: Membership) -> Result<i64> {
        let user = self.0.user;
        self.0
            .store
            .read("conversation_count", async move |tx| tx.conversations().count(user, membership).await)
            .await
    }

    /// Changes a conversation; an empty patch changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors outside title, default model and
    /// metadata; `Invalid`; `AlreadyExists` with field `thread_id`.
    pub async fn update(
        self,
        id: ConversationId,
        patch: impl IntoValid<ConversationPatch>,
    ) -> Result<(Conversation, ConversationRole)> {
        let patch = patch.into_valid()?;
        let (user, expected) = (self.0.user, self.0.expected);
        let updated = self
            .0
            .store
            .write("conversation_update", async move |tx| {
                let access = reach(tx, user, id).await?;
                match access.role {
                    ConversationRole::Viewer => return Ok(Verdict::Forbidden(VIEWER)),
                    ConversationRole::Editor if !patch.is_for_editors() => {
                        return Ok(Verdict::Forbidden(EDITOR));
                    }
                    ConversationRole::Owner | ConversationRole::Editor => {}
                }
                if !is_as_expected(tx, access.owner_id, id, expected).await? {
                    return Ok(Verdict::Changed);
                }
                let conversation = tx.conversations().update(access.owner_id, id, &patch).await?;
                Ok(Verdict::Done((conversation, access.role)))
            })
            .await?;
        updated.into_result()
    }

    /// Deletes a conversation with its members, messages and responses; usage stays.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for everybody but the owner.
    pub async fn delete(self, id: ConversationId) -> Result<()> {
        let (user, expected) = (self.0.user, self.0.expected);
        let deleted = self
            .0
            .store
            .write("conversation_delete", async move |tx| {
                if reach(tx, user, id).await?.role != ConversationRole::Owner {
                    return Ok(Verdict::Forbidden(OWNER_ONLY));
                }
                if !is_as_expected(tx, user, id, expected).await? {
                    return Ok(Verdict::Changed);
                }
                tx.conversations().delete(user, id).await.map(Verdict::Done)
            })
            .await?;
        deleted.into_result()
    }

    /// As [`update`](Self::update), of the user's own conversation with the application's id.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`; `AlreadyExists` with field `thread_id`.
    pub async fn update_by_thread(
        self,
        thread_id: &str,
        patch: impl IntoValid<ConversationPatch>,
    ) -> Result<Conversation> {
        let patch = patch.into_valid()?;
        let (user, expected, thread_id) = (self.0.user, self.0.expected, thread_id.to_owned());
        let updated = self
            .0
            .store
            .write("thread_update", async move |tx| {
                let id = own_thread(tx, user, &thread_id).await?;
                if !is_as_expected(tx, user, id, expected).await? {
                    return Ok(Verdict::Changed);
                }
                tx.conversations().update(user, id, &patch).await.map(Verdict::Done)
            })
            .await?;
        updated.into_result()
    }

    /// As [`delete`](Self::delete), of the user's own conversation with the application's id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_by_thread(self, thread_id: &str) -> Result<()> {
        let (user, expected, thread_id) = (self.0.user, self.0.expected, thread_id.to_owned());
        let deleted = self
            .0
            .store
            .write("thread_delete", async move |tx| {
                let id = own_thread(tx, user, &thread_id).await?;
                if !is_as_expected(tx, user, id, expected).await? {
                    return Ok(Verdict::Changed);
                }
                tx.conversations().delete(user, id).await.map(Verdict::Done)
            })
            .await?;
        deleted.into_result()
    }
}

async fn own_thread(
    tx: &mut WriteTx<'_>,
    user: UserId,
    thread_id: &str,
) -> std::result::Result<ConversationId, StoreError> {
    let found = tx.conversations().find_by_thread(user, thread_id).await?;
    found.map(|conversation| conversation.id).ok_or(NO_CONVERSATION)
}
