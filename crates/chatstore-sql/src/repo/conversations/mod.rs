//! Conversations, found by id or by the application's own id.

mod bump;
mod list;

use chatstore_model::{
    Access, Conversation, ConversationId, ConversationPatch, ConversationRole, IntoValid, NewConversation,
    UserId,
};
use constcat::concat;

use crate::db::{Sql, Value, reader};
use crate::error::StoreError;
use crate::repo::{Via, refuse_nul};
use crate::schema::{CONVERSATIONS, Columns};
use crate::tx::ReadWrite;

pub(super) use bump::{BUMP_OWN, BUMP_SHARED};
pub use list::ConversationList;

/// With a prefix, because two tables of a join have some of these names.
const COLUMNS: &str = CONVERSATIONS.all_columns().with_prefix("c.").as_str();

const PLAIN_COLUMNS: &str = CONVERSATIONS.all_columns().names().as_str();

const GET: Sql = Sql::same(
    "conversations.get",
    concat!("select ", COLUMNS, " from conversations c where c.owner_id = $1 and c.id = $2"),
);

const GET_SHARED: Sql = Sql::same(
    "conversations.get_shared",
    concat!(
        "select ",
        COLUMNS,
        ", m.role from conversation_members m \
         join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id \
         where m.user_id = $1 and m.conversation_id = $2 order by m.owner_id limit 1"
    ),
);

const BY_THREAD: Sql = Sql::same(
    "conversations.by_thread",
    concat!("select ", COLUMNS, " from conversations c where c.owner_id = $1 and c.thread_id = $2"),
);

const ACCESS: Sql = Sql::same(
    "conversations.access",
    "select owner_id, 'owner' as role, 0 as rank from conversations where owner_id = $1 and id = $2 \
     union all \
     select owner_id, role, 1 from conversation_members where user_id = $1 and conversation_id = $2 \
     order by rank, owner_id limit 1",
);

/// SQLite has one writer, so nothing moves there while a transaction runs.
const LOCK: Sql = Sql::pair(
    "conversations.lock",
    "select revision from conversations where owner_id = $1 and id = $2",
    "select revision from conversations where owner_id = $1 and id = $2 for no key update",
);

/// A new conversation has no message yet.
const COUNTS: &[(&str, &str)] = &[("last_seq", "0"), ("message_count", "0"), ("revision", "1")];
const INSERTED: Columns = CONVERSATIONS.inserted_columns();
const INSERT: &str = INSERTED.insert(COUNTS).as_str();

const CREATE: Sql =
    Sql::same("conversations.create", concat!(INSERT, " on conflict do nothing returning ", PLAIN_COLUMNS));

const CREATE_UNLESS_THREAD_TAKEN: Sql = Sql::same(
    "conversations.create_unless_thread_taken",
    concat!(INSERT, " on conflict (owner_id, thread_id) do nothing returning ", PLAIN_COLUMNS),
);

const UPDATE: Sql = Sql::same(
    "conversations.update",
    concat!(
        "update conversations set \
         thread_id = case when $1 then $2 else thread_id end, \
         title = case when $3 then $4 else title end, \
         default_model = case when $5 then $6 else default_model end, \
         last_message = case when $7 then $8 else last_message end, \
         metadata = coalesce($9, metadata), \
         archived_at = case when $10 then coalesce(archived_at, $11) when not $10 then null else archived_at end, \
         revision = revision + 1, ",
        forward!("updated_at", "$11"),
        " where owner_id = $12 and id = $13 returning ",
        PLAIN_COLUMNS
    ),
);

const DELETE: Sql =
    Sql::same("conversations.delete", "delete from conversations where owner_id = $1 and id = $2");

pub(super) const STATEMENTS: &[&[Sql]] = &[OWN_STATEMENTS, bump::STATEMENTS, list::STATEMENTS];

const OWN_STATEMENTS: &[Sql] =
    &[GET, GET_SHARED, BY_THREAD, ACCESS, LOCK, CREATE, CREATE_UNLESS_THREAD_TAKEN, UPDATE, DELETE];

pub(super) const NOT_FOUND: StoreError = StoreError::NotFound { entity: CONVERSATIONS.entity };

repository! {
    /// Conversations.
    Conversations, conversations
}

reader! {
    fn read -> Conversation {
        owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at,
        revision, metadata, created_at, updated_at, archived_at,
    }
}

impl<M> Conversations<'_, '_, M> {
    /// A conversation with the role of the user in it.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(
        &mut self,
        by: Via,
        id: ConversationId,
    ) -> Result<Option<(Conversation, ConversationRole)>, StoreError> {
        let values = [by.user().into(), id.into()];
        self.0
            .executor
            .query_first(by.statement(&GET, &GET_SHARED), &values, |row| {
                let conversation = read(row)?;
                let role = match by {
                    Via::Owner(_) => ConversationRole::Owner,
                    Via::Member(_) => row.next()?,
                };
                Ok((conversation, role))
            })
            .await
    }

    /// The owner's conversation with the application's own id.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an id with NUL.
    pub async fn find_by_thread(
        &mut self,
        owner: UserId,
        thread_id: &str,
    ) -> Result<Option<Conversation>, StoreError> {
        refuse_nul("thread_id", thread_id)?;
        self.0.executor.query_first(&BY_THREAD, &[owner.into(), thread_id.into()], read).await
    }

    /// The owner of a conversation and the role in it of a user who owns it or is a member; one that the
    /// user owns comes first.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn access(&mut self, user: UserId, id: ConversationId) -> Result<Option<Access>, StoreError> {
        self.0
            .executor
            .query_first(&ACCESS, &[user.into(), id.into()], |row| {
                Ok(Access { owner_id: row.next()?, role: row.next()? })
            })
            .await
    }
}

impl Conversations<'_, '_, ReadWrite> {
    /// The revision of a conversation, which no other transaction changes before this one ends.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn lock(&mut self, owner: UserId, id: ConversationId) -> Result<i64, StoreError> {
        let values = [owner.into(), id.into()];
        let revision = self.0.executor.query_first(&LOCK, &values, |row| row.next()).await?;
        revision.ok_or(NOT_FOUND)
    }

    /// Creates a conversation.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] with field `thread_id` or `id`;
    /// [`StoreError::MissingReference`] when there is no such owner.
    pub async fn create(
        &mut self,
        owner: UserId,
        new: impl IntoValid<&NewConversation>,
    ) -> Result<Conversation, StoreError> {
        let new = *new.into_valid()?;
        if let Some(created) = self.insert(&CREATE, owner, new).await? {
            return Ok(created);
        }
        // The databases do not agree on which of two violated keys they name.
        let is_id_taken = match new.id {
            Some(id) => self.get(Via::Owner(owner), id).await?.is_some(),
            None => false,
        };
        let field = if is_id_taken || new.thread_id.is_none() { "id" } else { "thread_id" };
        Err(StoreError::AlreadyExists { entity: CONVERSATIONS.entity, field })
    }

    /// The owner's conversation with the application's own id; created from `new` when there is none,
    /// else untouched by it. True when it was created. Of any number of concurrent calls one creates it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::InvalidState`] when `new` has no `thread_id`;
    /// [`StoreError::AlreadyExists`] when the id it brings is taken; [`StoreError::MissingReference`].
    pub async fn get_or_create_by_thread(
        &mut self,
        owner: UserId,
        new: impl IntoValid<&NewConversation>,
    ) -> Result<(Conversation, bool), StoreError> {
        let new = *new.into_valid()?;
        let Some(thread_id) = new.thread_id.as_deref() else {
            return Err(StoreError::InvalidState(
                "a conversation is found or created by its thread_id, which is missing",
            ));
        };
        if let Some(conversation) = self.find_by_thread(owner, thread_id).await? {
            return Ok((conversation, false));
        }
        if let Some(created) = self.insert(&CREATE_UNLESS_THREAD_TAKEN, owner, new).await? {
            return Ok((created, true));
        }
        match self.find_by_thread(owner, thread_id).await? {
            Some(conversation) => Ok((conversation, false)),
            None => Err(self.0.conflict("the conversation was created and deleted meanwhile")),
        }
    }

    /// Changes a conversation; an empty patch changes nothing, not even the revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] with field
    /// `thread_id`.
    pub async fn update(
        &mut self,
        owner: UserId,
        id: ConversationId,
        patch: impl IntoValid<&ConversationPatch>,
    ) -> Result<Conversation, StoreError> {
        let patch = *patch.into_valid()?;
        if patch.is_empty() {
            let found = self.get(Via::Owner(owner), id).await?;
            return found.map(|(conversation, _)| conversation).ok_or(NOT_FOUND);
        }
        let ConversationPatch { thread_id, title, default_model, last_message, metadata, archived } = patch;
        let values = [
            (!thread_id.is_keep()).into(),
            thread_id.value().into(),
            (!title.is_keep()).into(),
            title.value().into(),
            (!default_model.is_keep()).into(),
            default_model.value().into(),
            (!last_message.is_keep()).into(),
            last_message.value().into(),
            metadata.as_ref().into(),
            (*archived).into(),
            self.0.now().into(),
            owner.into(),
            id.into(),
        ];
        self.0.executor.query_changed(&UPDATE, &values, read).await?.ok_or(NOT_FOUND)
    }

    /// Deletes a conversation with its members, messages and responses; usage stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete(&mut self, owner: UserId, id: ConversationId) -> Result<(), StoreError> {
        match self.0.executor.execute(&DELETE, &[owner.into(), id.into()]).await? {
            0 => Err(NOT_FOUND),
            _ => Ok(()),
        }
    }

    /// `None` when a key is taken.
    async fn insert(
        &mut self,
        sql: &Sql,
        owner: UserId,
        new: &NewConversation,
    ) -> Result<Option<Conversation>, StoreError> {
        let created_at = new.created_at.unwrap_or_else(|| self.0.now());
        let id = new.id.unwrap_or_else(|| ConversationId::from_uuid(self.0.new_uuid(created_at)));
        let values: [Value<'_>; INSERTED.count() - COUNTS.len()] = [
            owner.into(),
            id.into(),
            new.thread_id.as_ref().into(),
            new.title.as_ref().into(),
            new.default_model.as_ref().into(),
            new.last_message.as_ref().into(),
            (&new.metadata).into(),
            created_at.into(),
            new.updated_at.unwrap_or(created_at).into(),
        ];
        self.0.executor.query_changed(sql, &values, read).await
    }
}
