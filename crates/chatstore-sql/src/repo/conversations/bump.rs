//! Every statement that keeps the row of a conversation in step with its messages: counts, preview,
//! revision and time of the last activity.

use chatstore_model::{ConversationId, Timestamp, UserId, preview};
use constcat::concat;

use super::Conversations;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::live::{live_conversation, live_sender, live_user};
use crate::tx::ReadWrite;

/// The owner of the conversation `$4` of which the user `$3` is an editor; of several with this id the one
/// that is also read, which the user joined first.
const OWNER_FOR_EDITOR: &str = concat!(
    "(select owner_id from (select m.owner_id, m.role from conversation_members m \
    where m.user_id = $3 and m.conversation_id = $4 and ",
    live_conversation!("m.owner_id", "$4"),
    " and ",
    live_user!("$3"),
    " order by m.joined_at, m.owner_id limit 1) as first where role = 'editor')"
);

/// Shows a message as the last one.
const SHOW: &str = concat!(
    "update conversations set last_message = $1, last_message_at = $2, revision = revision + 1, ",
    forward!("updated_at", "$2"),
    ", "
);
const BY_ONE: &str =
    concat!(SHOW, "last_seq = last_seq + 1, message_count = message_count + 1 where owner_id = ");
/// Of a conversation that never branched: its messages need not say what they follow.
const LINEAR: &str = " and head_seq is null";
const RETURNING: &str = " returning owner_id, last_seq, default_model, revision";

/// Takes the next number for a message of the owner.
pub(in crate::repo) const BUMP_OWN: &str =
    concat!(BY_ONE, "$3 and id = $4 and deleted_at is null", LINEAR, " and ", live_user!("$3"), RETURNING);
/// Takes the next number for a message of an editor.
pub(in crate::repo) const BUMP_SHARED: &str =
    concat!(BY_ONE, OWNER_FOR_EDITOR, " and id = $4 and deleted_at is null", LINEAR, RETURNING);

const OWN: Sql = Sql::same("conversations.bump_own", BUMP_OWN);
const SHARED: Sql = Sql::same("conversations.bump_shared", BUMP_SHARED);

/// Takes `$4` numbers at once. The time of the last message is not that of the activity.
const BY_MANY: Sql = Sql::same(
    "conversations.bump_by_many",
    concat!(
        "update conversations set last_message = $1, last_message_at = $2, revision = revision + 1, ",
        forward!("updated_at", "$3"),
        ", last_seq = last_seq + $4, message_count = message_count + $4 where owner_id = $5 and id = $6 and deleted_at is null",
        LINEAR,
        " and ",
        live_user!("$5"),
        RETURNING
    ),
);

/// Takes `$4` numbers at once after the number `$7`, for an import in pieces: the revision becomes 2 with the last.
const BY_PIECE: Sql = Sql::same(
    "conversations.bump_by_piece",
    concat!(
        "update conversations set last_message = $1, last_message_at = $2, revision = case when $3 then 2 else 1 end, ",
        forward!("updated_at", "$2"),
        ", last_seq = last_seq + $4, message_count = message_count + $4 \
         where owner_id = $5 and id = $6 and last_seq = $7 and message_count = $7 and revision = 1 \
         and deleted_at is null and ",
        live_user!("$5"),
        RETURNING
    ),
);

/// Locks the row, so that changes of one conversation follow each other. The count does not go
/// below zero, so that of two who delete the last message the second finds it gone.
const FOR_CHANGE: Sql = Sql::same(
    "conversations.bump_for_change",
    concat!(
        "update conversations set \
         message_count = case when message_count < $1 then 0 else message_count - $1 end, \
         revision = revision + 1, ",
        forward!("updated_at", "$2"),
        " where owner_id = $3 and id = $4 and deleted_at is null and ",
        live_user!("$3"),
        RETURNING,
        ", head_seq"
    ),
);

const IS_NEWEST: Sql = Sql::same(
    "conversations.is_newest_message",
    "select not exists ( \
       select 1 from messages where owner_id = $1 and conversation_id = $2 and seq > $3)",
);

/// 200 is `chatstore_model::PREVIEW_CHARACTERS`; both databases count characters, not bytes. Nothing is shown of a sender
/// who is being deleted, until the deletion removes the message and shows the one before.
const WRITE_PREVIEW: Sql = Sql::same(
    "conversations.write_preview",
    concat!(
        "update conversations set (last_message, last_message_at) = ( \
         select substr(content, 1, 200), created_at from (select content, created_at, sender_id from messages \
         where owner_id = $1 and conversation_id = $2 order by seq desc limit 1) as newest where ",
        live_sender!("sender_id"),
        ") where owner_id = $1 and id = $2 and deleted_at is null and ",
        live_user!("$1")
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[OWN, SHARED, BY_MANY, BY_PIECE, FOR_CHANGE, IS_NEWEST, WRITE_PREVIEW];

/// What a message needs to know of its conversation.
pub(in crate::repo) struct Bumped {
    pub(in crate::repo) owner_id: UserId,
    /// The highest number that was given to a message.
    pub(in crate::repo) last_seq: i64,
    pub(in crate::repo) default_model: Option<String>,
    /// The revision after the change.
    revision: i64,
}

/// What a change of messages needs to know of their conversation.
pub(in crate::repo) struct Changed {
    pub(in crate::repo) default_model: Option<String>,
    /// The number of the head, if the conversation branched.
    pub(in crate::repo) head_seq: Option<i64>,
}

fn read(row: &Row<'_>) -> Result<Bumped, StoreError> {
    Ok(Bumped {
        owner_id: row.next()?,
        last_seq: row.next()?,
        default_model: row.next()?,
        revision: row.next()?,
    })
}

impl Conversations<'_, '_, ReadWrite> {
    /// Takes the next number for a message that is appended, and shows it; `None` when there is no such conversation,
    /// the user may not append, or it branched.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn bump(
        &mut self,
        by: Via,
        conversation: ConversationId,
        content: &str,
        at: Timestamp,
    ) -> Result<Option<Bumped>, StoreError> {
        let values = [preview(content).into(), at.into(), by.user().into(), conversation.into()];
        self.run(by.statement(&OWN, &SHARED), &values).await
    }

    /// Takes the next numbers for messages of the owner, of which the last is shown; `at` is when something was last done.
    /// `None` when there is no such conversation, or it branched.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn bump_by_many(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        count: i64,
        last: (&str, Timestamp),
        at: Timestamp,
    ) -> Result<Option<Bumped>, StoreError> {
        let (content, created_at) = last;
        let values = [
            preview(content).into(),
            created_at.into(),
            at.into(),
            count.into(),
            owner.into(),
            conversation.into(),
        ];
        self.run(&BY_MANY, &values).await
    }

    /// Takes the next numbers for a piece of an import, of which the last message is shown; `None` when the
    /// conversation is not one of which exactly the messages up to `after` were imported.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn bump_by_piece(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        after: i64,
        count: i64,
        last: (&str, Timestamp),
        completes: bool,
    ) -> Result<Option<Bumped>, StoreError> {
        let (content, at) = last;
        let values = [
            preview(content).into(),
            at.into(),
            completes.into(),
            count.into(),
            owner.into(),
            conversation.into(),
            after.into(),
        ];
        self.run(&BY_PIECE, &values).await
    }

    /// Notes that messages are changed, of which some are removed, and what becomes of them; `None` when there is no such
    /// conversation.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn bump_for_change(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        removed: i64,
        at: Timestamp,
    ) -> Result<Option<Changed>, StoreError> {
        let values = [removed.into(), at.into(), owner.into(), conversation.into()];
        let read = |row: &Row<'_>| Ok((read(row)?, row.next()?));
        let changed = self.0.executor.query_changed(&FOR_CHANGE, &values, read).await?;
        Ok(changed.map(|(bumped, head_seq)| {
            self.0.note_revision(bumped.revision);
            Changed { default_model: bumped.default_model, head_seq }
        }))
    }

    /// Shows the newest message, or nothing when there is none, unless others follow the one that was
    /// changed or deleted.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn repair_preview(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        changed: i64,
    ) -> Result<(), StoreError> {
        let values = [owner.into(), conversation.into(), changed.into()];
        if self.0.executor.query_one(&IS_NEWEST, &values, |row| row.next()).await? {
            self.0.executor.execute(&WRITE_PREVIEW, &[owner.into(), conversation.into()]).await?;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &Sql, values: &[Value<'_>]) -> Result<Option<Bumped>, StoreError> {
        let bumped = self.0.executor.query_changed(sql, values, read).await?;
        if let Some(bumped) = &bumped {
            self.0.note_revision(bumped.revision);
        }
        Ok(bumped)
    }
}
