//! Conversations, found by id or by the application's own id.

mod all;
mod bump;
mod filtered;
mod list;
mod many;
mod threads;
mod tree;

use chatstore_model::{
    Access, CanonicalJson, Conversation, ConversationId, ConversationPatch, ConversationRole, IntoValid,
    NewConversation, UserId,
};
use constcat::concat;

use crate::db::{Row, Sql, Value, reader};
use crate::error::StoreError;
use crate::marked::{Deletion, Marked};
use crate::repo::live::{live_conversation, live_user};
use crate::repo::{Via, refuse_nul};
use crate::schema::{CONVERSATIONS, Columns};
use crate::tx::ReadWrite;

pub use all::Owners;
pub(super) use bump::{BUMP_OWN, BUMP_SHARED, Changed};
pub use list::ConversationList;
pub use threads::DeletedThreads;
pub(super) use tree::Growth;

/// With a prefix, because two tables of a join have some of these names.
const COLUMNS: &str = READ.with_prefix("c.").as_str();

const PLAIN_COLUMNS: &str = READ.names().as_str();

/// No conversation that is read is being deleted.
const READ: Columns = CONVERSATIONS.columns_without(&["deleted_at"]);

/// That the conversation `c` of the owner `$1` is not being deleted.
const LIVE_OF_FIRST: &str = concat!(" and c.deleted_at is null and ", live_user!("$1"));

const GET: Sql = Sql::same(
    "conversations.get",
    concat!("select ", COLUMNS, " from conversations c where c.owner_id = $1 and c.id = $2", LIVE_OF_FIRST),
);

const GET_SHARED: Sql = Sql::same(
    "conversations.get_shared",
    concat!(
        "select ",
        COLUMNS,
        ", m.role from conversation_members m \
         join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id \
         where m.user_id = $1 and m.conversation_id = $2 and c.deleted_at is null and ",
        live_user!("m.owner_id"),
        " and ",
        live_user!("$1"),
        " order by m.joined_at, m.owner_id limit 1"
    ),
);

const BY_THREAD: Sql = Sql::same(
    "conversations.by_thread",
    concat!(
        "select ",
        COLUMNS,
        " from conversations c where c.owner_id = $1 and c.thread_id = $2",
        LIVE_OF_FIRST
    ),
);

const ACCESS: Sql = Sql::same(
    "conversations.access",
    concat!(
        "select c.owner_id, 'owner' as role, 0 as rank, c.created_at as joined_at from conversations c \
         where c.owner_id = $1 and c.id = $2",
        LIVE_OF_FIRST,
        " union all select m.owner_id, m.role, 1, m.joined_at from conversation_members m \
         where m.user_id = $1 and m.conversation_id = $2 and ",
        live_conversation!("m.owner_id", "$2"),
        " and ",
        live_user!("$1"),
        " order by rank, joined_at, owner_id limit 1"
    ),
);

/// SQLite has one writer, so nothing moves there while a transaction runs.
const LOCK: Sql = Sql::pair("conversations.lock", LOCKED, concat!(LOCKED, " for no key update"));
const LOCKED: &str = concat!(
    "select revision from conversations where owner_id = $1 and id = $2 and deleted_at is null and ",
    live_user!("$1")
);

/// A new conversation has no message yet.
const COUNTS: &[(&str, &str)] = &[("last_seq", "0"), ("message_count", "0"), ("revision", "1")];
const INSERTED: Columns = CONVERSATIONS.inserted_columns();

/// Nothing, when there is no such owner.
const INSERT: &str = concat!(
    INSERTED.insert_into().as_str(),
    " select ",
    INSERTED.values(1, COUNTS).as_str(),
    " from users u where u.id = $1 and u.deleted_at is null"
);

const CREATE: Sql =
    Sql::same("conversations.create", concat!(INSERT, " on conflict do nothing returning ", PLAIN_COLUMNS));

/// That no other conversation has the thread id. The key of the table says so as well, but a PostgreSQL server would log
/// the id with its violation. Of two changes at the same moment one still ends there.
const THREAD_IS_FREE: &str = concat!(
    " and not exists (select 1 from conversations other where other.owner_id = $12 and other.thread_id = $2 \
     and other.id <> $13 and other.deleted_at is null and ",
    live_user!("$12"),
    ")"
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
        " where owner_id = $12 and id = $13 and deleted_at is null and ",
        live_user!("$12"),
        THREAD_IS_FREE,
        " returning ",
        PLAIN_COLUMNS
    ),
);

const DELETE: Sql = Sql::same(
    "conversations.delete",
    concat!(
        "delete from conversations where owner_id = $1 and id = $2 and deleted_at is null and ",
        live_user!("$1")
    ),
);

pub(super) const STATEMENTS: &[&[Sql]] = &[
    OWN_STATEMENTS,
    all::STATEMENTS,
    bump::STATEMENTS,
    filtered::STATEMENTS,
    list::STATEMENTS,
    many::STATEMENTS,
    threads::STATEMENTS,
    tree::STATEMENTS,
];

const OWN_STATEMENTS: &[Sql] = &[GET, GET_SHARED, BY_THREAD, ACCESS, LOCK, CREATE, UPDATE, DELETE];

pub(super) const NOT_FOUND: StoreError = StoreError::NotFound { entity: CONVERSATIONS.entity };

repository! {
    /// Conversations.
    Conversations, conversations
}

reader! {
    fn read -> Conversation {
        owner_id, id, thread_id, title, default_model, last_seq, message_count, last_message, last_message_at,
        revision, metadata, created_at, updated_at, archived_at, head_seq,
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
        let read_with_role = |row: &Row<'_>| {
            let conversation = read(row)?;
            let role = match by {
                Via::Owner(_) => ConversationRole::Owner,
                Via::Member(_) => row.next()?,
            };
            Ok((conversation, role))
        };
        let statement = by.statement(&GET, &GET_SHARED);
        let found = self.0.executor.query_first(statement, &values, read_with_role).await?;
        if let Some((conversation, _)) = &found {
            self.0.note_revision(conversation.revision);
        }
        Ok(found)
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
    /// user owns comes first, then the one that the user joined first.
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
        let revision: Option<i64> = self.0.executor.query_first(&LOCK, &values, |row| row.next()).await?;
        let revision = revision.ok_or(NOT_FOUND)?;
        self.0.note_revision(revision);
        Ok(revision)
    }

    /// Creates a conversation.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] with field `thread_id` or `id`;
    /// [`StoreError::BeingDeleted`]; [`StoreError::MissingReference`] when there is no such owner.
    pub async fn create(
        &mut self,
        owner: UserId,
        new: impl IntoValid<&NewConversation>,
    ) -> Result<Conversation, StoreError> {
        let new = *new.into_valid()?;
        if let Some(created) = self.insert(owner, new).await? {
            return Ok(created);
        }
        // The databases do not agree on which of two violated keys they name.
        self.refuse_taken_id(owner, new.id).await?;
        if let Some(thread_id) = new.thread_id.as_deref()
            && self.find_by_thread(owner, thread_id).await?.is_some()
        {
            return Err(StoreError::AlreadyExists { entity: CONVERSATIONS.entity, field: "thread_id" });
        }
        Err(self.why_not_created(owner).await?)
    }

    /// The owner's conversation with the application's own id; created from `new` when there is none,
    /// else untouched by it. True when it was created. Of any number of concurrent calls one creates it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::InvalidState`] when `new` has no `thread_id`;
    /// [`StoreError::AlreadyExists`] when the id it brings is taken; [`StoreError::BeingDeleted`];
    /// [`StoreError::MissingReference`].
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
        if let Some(created) = self.insert(owner, new).await? {
            return Ok((created, true));
        }
        if let Some(conversation) = self.find_by_thread(owner, thread_id).await? {
            return Ok((conversation, false));
        }
        self.refuse_taken_id(owner, new.id).await?;
        Err(self.why_not_created(owner).await?)
    }

    /// Fails when the owner has a conversation with this id, or when one is being deleted.
    async fn refuse_taken_id(&mut self, owner: UserId, id: Option<ConversationId>) -> Result<(), StoreError> {
        let Some(id) = id else { return Ok(()) };
        if self.get(Via::Owner(owner), id).await?.is_some() {
            return Err(StoreError::AlreadyExists { entity: CONVERSATIONS.entity, field: "id" });
        }
        self.0.deletions().refuse(Marked::Conversation { owner, id }).await
    }

    /// Why a conversation was not stored although its id and its thread id are free.
    async fn why_not_created(&mut self, owner: UserId) -> Result<StoreError, StoreError> {
        match self.0.users().get(owner).await? {
            None => Ok(StoreError::MissingReference { entity: CONVERSATIONS.entity }),
            Some(_) => Ok(self.0.conflict("the conversation was created and deleted meanwhile")),
        }
    }

    /// Changes a conversation; an empty patch changes nothing, not even the revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`], also for a head that is no message of the conversation;
    /// [`StoreError::AlreadyExists`] with field `thread_id`.
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
        let head = match &patch.head {
            Some(head) => Some(self.find_head(owner, id, head).await?),
            None => None,
        };
        let metadata = match patch.metadata_patch {
            Some(_) => Some(self.merged_metadata(owner, id, patch).await?),
            None => patch.metadata.clone(),
        };
        let ConversationPatch {
            thread_id,
            title,
            default_model,
            last_message,
            metadata: _,
            metadata_patch: _,
            archived,
            head: _,
        } = patch;
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
        if let Some(updated) = self.0.executor.query_changed(&UPDATE, &values, read).await? {
            self.0.note_revision(updated.revision);
            return match head.flatten() {
                None => Ok(updated),
                Some(head) => self.switch_head(owner, id, head).await,
            };
        }
        match self.get(Via::Owner(owner), id).await? {
            Some(_) => Err(StoreError::AlreadyExists { entity: CONVERSATIONS.entity, field: "thread_id" }),
            None => Err(NOT_FOUND),
        }
    }

    /// The metadata that a merge patch makes, of a conversation that no other transaction changes before this one ends.
    async fn merged_metadata(
        &mut self,
        owner: UserId,
        id: ConversationId,
        patch: &ConversationPatch,
    ) -> Result<CanonicalJson, StoreError> {
        self.lock(owner, id).await?;
        let found = self.get(Via::Owner(owner), id).await?;
        let (conversation, _) = found.ok_or(NOT_FOUND)?;
        Ok(patch.metadata_after(&conversation.metadata)?)
    }

    /// Deletes a conversation with its members, messages and responses; usage stays. A long one is marked: then it
    /// no longer exists for any reader, and its rows are left to be deleted in pieces.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete(&mut self, owner: UserId, id: ConversationId) -> Result<Deletion, StoreError> {
        let marked = self.0.deletions().mark_conversation(owner, id).await?;
        if marked != Deletion::Done {
            return Ok(marked);
        }
        match self.0.executor.execute(&DELETE, &[owner.into(), id.into()]).await? {
            0 => Err(NOT_FOUND),
            _ => Ok(Deletion::Done),
        }
    }

    /// `None` when a key is taken, or when there is no such owner.
    async fn insert(
        &mut self,
        owner: UserId,
        new: &NewConversation,
    ) -> Result<Option<Conversation>, StoreError> {
        let row = self.to_row(owner, new);
        let values: [Value<'_>; INSERTED.count() - COUNTS.len()] = [
            row.owner_id.into(),
            row.id.into(),
            row.thread_id.as_ref().into(),
            row.title.as_ref().into(),
            row.default_model.as_ref().into(),
            row.last_message.as_ref().into(),
            (&row.metadata).into(),
            row.created_at.into(),
            row.updated_at.into(),
        ];
        self.0.executor.query_changed(&CREATE, &values, read).await
    }
}
