//! Deletion: at once what is small, in pieces what is large.
//!
//! What is large is marked in the request's transaction ([`mark`]), which removes it for every statement with the
//! conditions of [`live`](super::live). [`piece`] deletes its rows, and `crate::sweep` decides how many at a time.

mod logs;
mod mark;
mod piece;

use chatstore_model::{MessageId, UserId};
use constcat::concat;

use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::marked::Marked;
use crate::repo::live::live_user;

pub(super) use mark::{BYTES_AT_ONCE, BYTES_ON_POSTGRES, BYTES_ON_SQLITE};
pub use piece::{Piece, PiecePosition};

const MARKED_USERS: Sql = Sql::same(
    "deletions.marked_users",
    "select id from users where deleted_at is not null order by id limit $1",
);

/// Those of a user who is marked go with the user. A mark of later belongs to a copy that is being made.
const MARKED_CONVERSATIONS: Sql = Sql::same(
    "deletions.marked_conversations",
    concat!(
        "select owner_id, id from conversations where deleted_at is not null and deleted_at <= $1 and ",
        live_user!("owner_id"),
        " order by owner_id, id limit $2"
    ),
);

const IS_CONVERSATION_MARKED: Sql = Sql::same(
    "deletions.is_conversation_marked",
    "select exists (select 1 from conversations where owner_id = $1 and id = $2 and deleted_at is not null)",
);

const IS_USER_MARKED: Sql = Sql::same(
    "deletions.is_user_marked",
    "select exists (select 1 from users where id = $1 and deleted_at is not null)",
);

const COUNT: Sql = Sql::same(
    "deletions.count",
    "select (select count(*) from users where deleted_at is not null), \
     (select count(*) from conversations where deleted_at is not null and deleted_at <= $1)",
);

const MESSAGES_OF_CONVERSATION: Sql = Sql::same(
    "deletions.left_of_conversation",
    "select count(*) from messages where owner_id = $1 and conversation_id = $2",
);

const MESSAGES_OF_USER: Sql = Sql::same(
    "deletions.left_of_user",
    "select (select count(*) from messages where owner_id = $1) + (select count(*) from messages where sender_id = $1)",
);

const HOLDER: Sql = Sql::same(
    "deletions.holder",
    "select c.id from messages m join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id \
     where m.owner_id = $1 and m.id = $2 and c.deleted_at is not null",
);

pub(super) const STATEMENTS: &[&[Sql]] =
    &[OWN_STATEMENTS, logs::STATEMENTS, mark::STATEMENTS, piece::STATEMENTS];

const OWN_STATEMENTS: &[Sql] = &[
    MARKED_USERS,
    MARKED_CONVERSATIONS,
    IS_CONVERSATION_MARKED,
    IS_USER_MARKED,
    COUNT,
    MESSAGES_OF_CONVERSATION,
    MESSAGES_OF_USER,
    HOLDER,
];

/// How much is being deleted in pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MarkedCounts {
    /// Users, with everything that is theirs.
    pub users: i64,
    /// Conversations that were deleted themselves.
    pub conversations: i64,
}

repository! {
    /// What is being deleted in pieces.
    Deletions, deletions
}

impl<M> Deletions<'_, '_, M> {
    /// What is marked, users before conversations, of each up to `limit`. Conversations of such users are not among
    /// them, nor are copies that are being made.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn list(&mut self, limit: i64) -> Result<Vec<Marked>, StoreError> {
        let read_user = |row: &Row<'_>| Ok(Marked::User(row.next()?));
        let mut marked = self.0.executor.query(&MARKED_USERS, &[limit.into()], read_user).await?;
        let read = |row: &Row<'_>| Ok(Marked::Conversation { owner: row.next()?, id: row.next()? });
        let values = [self.0.now().into(), limit.into()];
        marked.extend(self.0.executor.query(&MARKED_CONVERSATIONS, &values, read).await?);
        Ok(marked)
    }

    /// How much is being deleted, without copies that are being made.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn count(&mut self) -> Result<MarkedCounts, StoreError> {
        let read = |row: &Row<'_>| Ok(MarkedCounts { users: row.next()?, conversations: row.next()? });
        let now = self.0.now();
        self.0.executor.query_one(&COUNT, &[now.into()], read).await
    }

    /// Whether some of it is left.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn is_left(&mut self, marked: Marked) -> Result<bool, StoreError> {
        let read = |row: &Row<'_>| row.next();
        match marked {
            Marked::Conversation { owner, id } => {
                let values = [owner.into(), id.into()];
                self.0.executor.query_one(&IS_CONVERSATION_MARKED, &values, read).await
            }
            Marked::User(id) => self.0.executor.query_one(&IS_USER_MARKED, &[id.into()], read).await,
        }
    }

    /// Messages that are left of what is marked.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn messages_left(&mut self, marked: Marked) -> Result<i64, StoreError> {
        let read = |row: &Row<'_>| row.next();
        match marked {
            Marked::Conversation { owner, id } => {
                let values = [owner.into(), id.into()];
                self.0.executor.query_one(&MESSAGES_OF_CONVERSATION, &values, read).await
            }
            Marked::User(id) => self.0.executor.query_one(&MESSAGES_OF_USER, &[id.into()], read).await,
        }
    }

    /// The conversation that is being deleted and still has the message of this id.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn holder(&mut self, owner: UserId, message: MessageId) -> Result<Option<Marked>, StoreError> {
        let read = |row: &Row<'_>| Ok(Marked::Conversation { owner, id: row.next()? });
        self.0.executor.query_first(&HOLDER, &[owner.into(), message.into()], read).await
    }

    /// Fails when something with this id is being deleted.
    ///
    /// # Errors
    /// [`StoreError::BeingDeleted`].
    pub(super) async fn refuse(&mut self, marked: Marked) -> Result<(), StoreError> {
        match self.is_left(marked).await? {
            true => Err(StoreError::BeingDeleted(marked)),
            false => Ok(()),
        }
    }
}
