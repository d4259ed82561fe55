//! All messages of a branch of a conversation, piece by piece.

use chatstore_model::{
    Branch, ConversationId, Limit, Message, MessageFilter, MessagePosition, Order, Page, UserId,
};
use chatstore_sql::{ReadTx, StoreError};

use super::as_owner_or_member;
use super::branches::{Reading, Seen, View, look};
use super::messages::Messages;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use crate::user_scope::AsUser;

/// The bytes of messages with which a piece ends. One message alone may have more.
const PIECE_BYTES: usize = 256 * 1024;

/// Minimum rows of a piece: fewer are read when they have the bytes.
const MIN_ROWS: usize = 10;

/// All messages of a branch of a conversation, of up to 200 and about 256 KiB each time. Between two pieces nothing of the
/// database is held. What is appended after the stream began is no part of it, and another head moves it to no other branch; a
/// message that is edited or deleted meanwhile is as it is when its piece is read, and shows by the
/// [revision](Self::revision_at_end).
#[derive(Debug)]
pub struct MessageStream {
    store: Store,
    user: UserId,
    conversation: ConversationId,
    view: View,
    first: Option<Vec<Message>>,
    is_at_end: bool,
    revision_at_start: i64,
    revision_at_end: i64,
}

/// A piece, and the revision when it was read.
struct Piece {
    page: Page<Message, i64>,
    leaf: Option<i64>,
    revision: i64,
    /// The number that the first message after the end would have, where that was asked for and more follow.
    end: Option<i64>,
}

impl Messages<'_> {
    /// All messages of a branch of a conversation, piece by piece. The first piece is read at once.
    ///
    /// # Errors
    /// `NotFound` for the conversation or the message that names the branch.
    pub async fn stream(
        self,
        conversation: ConversationId,
        branch: Branch,
        filter: impl Into<MessageFilter>,
        order: Order,
    ) -> Result<MessageStream> {
        let chat = self.0;
        let read = Reading::Piece(filter.into(), order, (Limit::MAX, PIECE_BYTES));
        let mut stream = MessageStream {
            store: chat.store.clone(),
            user: chat.user,
            conversation,
            view: View { branch, from: None, read },
            first: None,
            is_at_end: false,
            revision_at_start: 0,
            revision_at_end: 0,
        };
        let piece = stream.read(true, order == Order::Ascending).await?;
        stream.revision_at_start = piece.revision;
        stream.first = Some(stream.take(piece));
        Ok(stream)
    }
}

impl MessageStream {
    /// The next messages; `None` at the end.
    ///
    /// # Errors
    /// `NotFound` when the conversation does not exist any more, or not for this user; that the database is unavailable.
    pub async fn next(&mut self) -> Result<Option<Vec<Message>>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.is_at_end {
            return Ok(None);
        }
        let piece = match self.read(true, false).await {
            // What a standby has not replayed yet was not there when the stream began.
            Ok(piece) if piece.revision < self.revision_at_start => self.read(false, false).await?,
            Err(error) if error.kind() == ErrorKind::NotFound => self.read(false, false).await?,
            read => read?,
        };
        Ok(Some(self.take(piece)))
    }

    /// Whether the piece that was returned last is the last one.
    #[must_use]
    pub const fn is_at_end(&self) -> bool {
        self.is_at_end && self.first.is_none()
    }

    /// The revision of the conversation when the first piece was read.
    #[must_use]
    pub const fn revision_at_start(&self) -> i64 {
        self.revision_at_start
    }

    /// The revision of the conversation when the last piece so far was read. Nothing was changed since the first one when
    /// it is the same.
    #[must_use]
    pub const fn revision_at_end(&self) -> i64 {
        self.revision_at_end
    }

    /// The store as the user sees it who reads the messages.
    #[must_use]
    pub const fn as_user(&self) -> AsUser<'_> {
        self.store.as_user(self.user)
    }

    /// The messages of a piece, behind which the next one begins.
    fn take(&mut self, piece: Piece) -> Vec<Message> {
        let Piece { page: Page { items, next }, leaf, revision, end } = piece;
        self.revision_at_end = revision;
        match next {
            Some(seq) => self.view.from = Some(MessagePosition { seq, leaf }),
            None => self.is_at_end = true,
        }
        if let Reading::Piece(filter, _, (rows, _)) = &mut self.view.read {
            if let Some(end) = end {
                filter.range.before = filter.range.before.min(end);
            }
            *rows = rows_of(items.len(), items.iter().map(Message::large_bytes).sum());
        }
        items
    }

    async fn read(&self, may_be_standby: bool, asks_for_end: bool) -> Result<Piece> {
        let Self { user, conversation, .. } = *self;
        let view = self.view.clone();
        let is_long = matches!(&view.read, Reading::Piece(filter, ..) if filter.compares());
        let read = async move |tx: &mut ReadTx<'_>| {
            let Seen { page, leaf } = look(tx, user, conversation, &view).await?;
            let mut revision = tx.conversation_revision();
            let mut end = None;
            if page.items.is_empty() || (asks_for_end && page.next.is_some()) {
                let last_seq = last_seq(tx, user, conversation).await?;
                match page.items.is_empty() {
                    true => revision = tx.conversation_revision(),
                    false => end = Some(last_seq.saturating_add(1)),
                }
            }
            let revision = revision.ok_or(StoreError::InvalidState("messages are read with a revision"))?;
            Ok::<_, Error>(Piece { page, leaf, revision, end })
        };
        match (may_be_standby, is_long) {
            (true, false) => self.as_user().read_list("message_piece", read).await,
            (true, true) => self.as_user().read_long_list("message_piece", read).await,
            (false, _) => self.store.database.read_long("message_piece", read).await,
        }
    }
}

/// The highest number that a message of the conversation got.
async fn last_seq(tx: &mut ReadTx<'_>, user: UserId, conversation: ConversationId) -> Result<i64> {
    for by in as_owner_or_member(user) {
        if let Some((found, _)) = tx.conversations().get(by, conversation).await? {
            return Ok(found.last_seq);
        }
    }
    Err(Error::not_found("conversation"))
}

/// How many rows the next piece has, when the last one had this many with these bytes: more than fit would be sent by
/// PostgreSQL in vain.
fn rows_of(rows: usize, bytes: usize) -> Limit {
    let average = bytes / rows.max(1) + 1;
    let fitting = (PIECE_BYTES / average).clamp(MIN_ROWS, Limit::MAX.rows());
    u16::try_from(fitting).ok().and_then(Limit::new).unwrap_or(Limit::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_as_many_rows_as_are_likely_to_fit() {
        assert_eq!(rows_of(200, 20_000).rows(), 200);
        assert_eq!(rows_of(25, PIECE_BYTES).rows(), 24);
        assert_eq!(rows_of(1, 64 * PIECE_BYTES).rows(), MIN_ROWS);
        assert_eq!(rows_of(0, 0).rows(), 200);
    }
}
