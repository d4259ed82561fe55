//! Conversations that are found, and stored, many at a time, as imports do it.

use chatstore_model::{Conversation, ConversationId, NewConversation, UserId};
use constcat::concat;

use super::{COLUMNS, Conversations, read};
use crate::db::{Sql, Value};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::pairs_of;
use crate::schema::{CONVERSATIONS, Columns};
use crate::tx::ReadWrite;

/// Conversations by owner and id. PostgreSQL would keep the plan for the few rows that there are before an import.
const FIND_MANY: Sql = Sql::pair(
    "conversations.find_many",
    concat!(ON_SQLITE, "c.id = unhex(wanted.value ->> 1)", LIVE),
    concat!(ON_POSTGRES, "c.id = (wanted.value ->> 1)::uuid", LIVE),
)
.planned_anew();

/// The same by the application's own ids.
const FIND_THREADS: Sql = Sql::pair(
    "conversations.find_threads",
    concat!(ON_SQLITE, "c.thread_id = wanted.value ->> 1", LIVE),
    concat!(ON_POSTGRES, "c.thread_id = wanted.value ->> 1", LIVE),
)
.planned_anew();

const ON_SQLITE: &str = concat!(
    "select ",
    COLUMNS,
    " from json_each($1) as wanted cross join conversations c where c.owner_id = unhex(wanted.value ->> 0) and "
);
const ON_POSTGRES: &str = concat!(
    "select ",
    COLUMNS,
    " from jsonb_array_elements($1) as wanted(value) cross join conversations c \
     where c.owner_id = (wanted.value ->> 0)::uuid and "
);
const LIVE: &str = concat!(" and c.deleted_at is null and ", live_user!("c.owner_id"));

/// With the head that its messages give it.
const INSERTED: Columns = CONVERSATIONS.columns_without(&["archived_at", "deleted_at"]);
const INSERT: Sql = Sql::same("conversations.insert", INSERTED.insert(&[]).as_str());

pub(super) const STATEMENTS: &[Sql] = &[FIND_MANY, FIND_THREADS, INSERT];

impl<M> Conversations<'_, '_, M> {
    /// Those of these conversations that exist, in any order.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_many(
        &mut self,
        wanted: &[(UserId, ConversationId)],
    ) -> Result<Vec<Conversation>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = pairs_of(wanted.iter().map(|(owner, id)| (*owner, id.uuid().simple().to_string())))?;
        self.0.executor.query(&FIND_MANY, &[(&wanted).into()], read).await
    }

    /// Those of the conversations with these ids of the application that exist, in any order.
    ///
    /// # Errors
    /// What the database reports; on PostgreSQL also for an id with NUL.
    pub async fn find_threads(
        &mut self,
        wanted: &[(UserId, String)],
    ) -> Result<Vec<Conversation>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = pairs_of(wanted.iter().cloned())?;
        self.0.executor.query(&FIND_THREADS, &[(&wanted).into()], read).await
    }
}

impl Conversations<'_, '_, ReadWrite> {
    /// A conversation as it is before its first message.
    pub(in crate::repo) fn to_row(&self, owner: UserId, new: &NewConversation) -> Conversation {
        let created_at = new.created_at.unwrap_or_else(|| self.0.now());
        Conversation {
            owner_id: owner,
            id: new.id.unwrap_or_else(|| ConversationId::from_uuid(self.0.new_uuid(created_at))),
            thread_id: new.thread_id.clone(),
            title: new.title.clone(),
            default_model: new.default_model.clone(),
            last_seq: 0,
            message_count: 0,
            last_message: new.last_message.clone(),
            last_message_at: None,
            revision: 1,
            metadata: new.metadata.clone(),
            created_at,
            updated_at: new.updated_at.unwrap_or(created_at),
            archived_at: None,
            head_seq: None,
        }
    }

    /// Stores conversations as they are, all or none. Their owners are known to exist.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], also when one with the id is being deleted; [`StoreError::MissingReference`] when an
    /// owner was erased meanwhile.
    pub(in crate::repo) async fn insert_rows(&mut self, rows: &[Conversation]) -> Result<(), StoreError> {
        let values = rows.iter().map(|row| insert_values(row).to_vec()).collect();
        self.0.executor.insert_many(&INSERT, values).await
    }
}

fn insert_values(row: &Conversation) -> [Value<'_>; INSERTED.count()] {
    [
        row.owner_id.into(),
        row.id.into(),
        row.thread_id.as_ref().into(),
        row.title.as_ref().into(),
        row.default_model.as_ref().into(),
        row.last_seq.into(),
        row.message_count.into(),
        row.last_message.as_ref().into(),
        row.last_message_at.into(),
        row.revision.into(),
        (&row.metadata).into(),
        row.created_at.into(),
        row.updated_at.into(),
        row.head_seq.into(),
    ]
}
