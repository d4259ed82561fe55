//! Deleting a message with everything below it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_model::{ConversationId, MessageId, UserId};
use chatstore_sql::{PieceRows, Via, WriteTx};

use super::messages::Messages;
use super::{access_as_owner, check_revision};
use crate::error::{Error, Result};

impl Messages<'_> {
    /// Deletes a message and everything that hangs below it, with their responses; how many messages there were. Up to
    /// 1,000 are deleted in one transaction. More are deleted in several of about 2 ms of SQLite's writer or 20 ms of a
    /// connection to PostgreSQL, without what is appended meanwhile: each leaves a whole tree, and what is deleted stays
    /// deleted when the call fails.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for all but the owner.
    pub async fn delete_subtree(self, conversation: ConversationId, id: MessageId) -> Result<u64> {
        let (chat, user, expected) = (self.0, self.0.user, self.0.expected);
        let begin = async move |tx: &mut WriteTx<'_>| {
            access_as_owner(tx, user, conversation).await?;
            check_revision(tx, user, conversation, expected).await?;
            let found = tx.messages().get(Via::Owner(user), conversation, id).await?;
            let message = found.ok_or_else(|| Error::not_found("message"))?;
            let seqs = tx.messages().subtree(user, conversation, message.seq).await?;
            if seqs.len() > ROWS_AT_ONCE {
                return Ok((0, seqs));
            }
            let removed = tx.messages().remove(user, conversation, &seqs).await?;
            Ok::<_, Error>((removed.unsigned_abs(), Vec::new()))
        };
        let (mut removed, rest) = chat.write("subtree_delete", begin).await?;
        let (rest, mut rows, mut done) = (Arc::new(rest), PieceRows::first(chat.store.kind()), 0);
        while done < rest.len() {
            let count = usize::try_from(rows.count()).unwrap_or(1);
            let (piece, end) = (Arc::clone(&rest), rest.len().min(done + count));
            let begun = done;
            let delete = async move |tx: &mut WriteTx<'_>| {
                delete_piece(tx, user, conversation, &piece[begun..end]).await
            };
            let (piece, took) = chat.write("subtree_delete_piece", delete).await?;
            (done, removed) = (end, removed + piece);
            tokio::time::sleep(rows.pause_after(took)).await;
            rows = rows.after(took);
        }
        Ok(removed)
    }
}

/// Maximum messages that are deleted in the transaction of the request.
const ROWS_AT_ONCE: usize = 1_000;

async fn delete_piece(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    seqs: &[i64],
) -> Result<(u64, Duration)> {
    let begun = Instant::now();
    let removed = tx.messages().remove(owner, conversation, seqs).await?;
    Ok((removed.unsigned_abs(), begun.elapsed()))
}
