//! Messages by the names that their application gave them.

use chatstore_model::{ConversationId, FieldCode, Invalid, Message, MessageId, UserId};
use constcat::concat;

use super::Messages;
use super::row::{COLUMNS, read};
use super::select::head;
use crate::db::{PageBounds, Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::json_list;
use crate::repo::live::{live_conversation, live_sender, live_user};
use crate::schema::MESSAGES;

/// Maximum bytes of messages that are found together.
const MAX_BYTES: usize = 16 * 1024 * 1024;

const OF_CONVERSATION: &str = concat!(
    "select ",
    COLUMNS,
    ", (select default_model from conversations where owner_id = $1 and id = $2) as default_model from messages \
     where owner_id = $1 and conversation_id = $2 and ",
    live_conversation!("$1", "$2"),
    " and ",
    live_sender!("sender_id")
);

const BY_EXTERNAL_IDS: Sql = Sql::pair(
    "messages.by_external_ids",
    concat!(
        OF_CONVERSATION,
        " and external_id is not null and external_id in (select value from json_each($3))"
    ),
    concat!(
        OF_CONVERSATION,
        " and external_id is not null and external_id in (select value from jsonb_array_elements_text($3))"
    ),
);

const BY_IDS: Sql = Sql::pair(
    "messages.by_ids",
    concat!(OF_CONVERSATION, " and id in (select unhex(value) from json_each($3))"),
    concat!(OF_CONVERSATION, " and id in (select value::uuid from jsonb_array_elements_text($3))"),
);

/// A message of the owner's, in whichever of their conversations it is.
const OWN: Sql = Sql::same(
    "messages.own",
    concat!(
        "select ",
        MESSAGES.all_columns().with_prefix("m.").as_str(),
        ", ",
        head!("c."),
        " as head from messages m \
         join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id \
         where m.owner_id = $1 and m.id = $2 and c.deleted_at is null and ",
        live_user!("m.owner_id"),
        " and ",
        live_sender!("m.sender_id")
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[BY_EXTERNAL_IDS, BY_IDS, OWN];

impl<M> Messages<'_, '_, M> {
    /// The messages of a conversation with these ids or external ids, each once.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] with field `messages` when they are larger than 16 MiB together.
    pub async fn named(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        ids: &[MessageId],
        external_ids: &[&str],
    ) -> Result<Vec<Message>, StoreError> {
        let ids: Vec<String> = ids.iter().map(|id| id.uuid().simple().to_string()).collect();
        let mut found = self.listed(&BY_IDS, owner, conversation, ids.into()).await?;
        let named = self.listed(&BY_EXTERNAL_IDS, owner, conversation, external_ids.into()).await?;
        for message in named {
            if found.iter().all(|other| other.id != message.id) {
                found.push(message);
            }
        }
        Ok(found)
    }

    async fn listed(
        &mut self,
        sql: &Sql,
        owner: UserId,
        conversation: ConversationId,
        names: serde_json::Value,
    ) -> Result<Vec<Message>, StoreError> {
        let rows = names.as_array().map_or(0, Vec::len);
        if rows == 0 {
            return Ok(Vec::new());
        }
        let names = json_list(names)?;
        let values: [Value<'_>; 3] = [owner.into(), conversation.into(), (&names).into()];
        let mut default_model: Option<String> = None;
        let read = |row: &Row<'_>| {
            let message = read(row)?;
            default_model = row.next()?;
            Ok(message)
        };
        let bounds = PageBounds { rows, bytes: MAX_BYTES };
        let page = self.0.executor.query_page(sql, &values, bounds, read).await?.into_page(|_| ());
        if page.next.is_some() {
            let message = "must name stored messages of at most 16 MiB together";
            return Err(Invalid::field("messages", FieldCode::TooLong, message).into());
        }
        let mut messages = Vec::with_capacity(page.items.len());
        for row in page.items {
            messages.push(self.with_model(row, default_model.as_deref()).await?);
        }
        Ok(messages)
    }

    /// The message with this id in one of the owner's conversations.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_own(&mut self, owner: UserId, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.find_one(&OWN, &[owner.into(), id.into()]).await
    }
}
