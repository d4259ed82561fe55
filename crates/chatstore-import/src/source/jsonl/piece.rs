//! Conversations, whole or in pieces, compared with what is stored and written where that is missing.
//!
//! A long conversation is written in pieces, each a transaction. Its revision stays 1 until the last of them, as no
//! other conversation with messages has it: so an import that was interrupted is known, and goes on; and a client
//! that read a part of it sees that it changed when it is complete.

use chatstore_model::{Conversation, Limit, MessageRange, NewMessage, Order, UserId};
use chatstore_sql::{Tx, Via};

use super::planner::PlannedHead;
use crate::engine::{Batch, BatchState, Mode, StoreResult, Write};

/// Messages of a conversation that follow each other.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) head: PlannedHead,
    /// Turns before it.
    pub(super) start: usize,
    pub(super) messages: Vec<NewMessage>,
}

impl Piece {
    const fn is_first(&self) -> bool {
        self.start == 0
    }

    fn is_last(&self) -> bool {
        self.start + self.messages.len() == self.head.turns
    }
}

/// What became of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PieceOutcome {
    /// It is stored.
    Stored,
    /// How the stored conversation differs, which is left as it is.
    Differs(String),
}

/// Pieces that are stored in one transaction, up to the first that differs if `stops`.
pub(super) struct PieceBatch {
    pub(super) owner: UserId,
    pub(super) stops: bool,
    pub(super) pieces: Vec<Piece>,
}

impl Batch for PieceBatch {
    const NAME: &'static str = "import_jsonl";
    /// In the order of the pieces; fewer when it stopped.
    type Outcome = Vec<PieceOutcome>;

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        let mut outcomes = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let outcome = put(tx, state, self.owner, piece).await?;
            let is_end = self.stops && outcome != PieceOutcome::Stored;
            outcomes.push(outcome);
            if is_end {
                break;
            }
        }
        Ok(outcomes)
    }
}

/// Stores what is missing of a piece, unless what is stored differs.
async fn put<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    piece: &Piece,
) -> StoreResult<PieceOutcome> {
    let Some(stored) = find(tx, owner, &piece.head).await? else {
        if piece.is_first() {
            let key = piece.head.number.to_string();
            M::apply(tx, state, Write::Conversation(owner, &piece.head.new, &key)).await?;
            state.report.add("conversations", 1);
        } else if !M::IS_DRY {
            let reason = "the conversation was deleted while it was imported";
            return Ok(PieceOutcome::Differs(reason.to_owned()));
        }
        append(tx, state, owner, piece, 0).await?;
        return Ok(PieceOutcome::Stored);
    };
    let present = usize::try_from(stored.last_seq).unwrap_or(0).saturating_sub(piece.start);
    let present = present.min(piece.messages.len());
    if let Some(turn) = first_difference(tx, owner, &stored, piece, present).await? {
        return Ok(PieceOutcome::Differs(format!(
            "a conversation with this id already exists and differs at turn {turn}; it was not changed"
        )));
    }
    if present < piece.messages.len() {
        if !is_incomplete(&stored, &piece.head) {
            return Ok(PieceOutcome::Differs(format!(
                "a conversation with this id already exists and has only {} of the {} turns; it was not changed",
                piece.start + present,
                piece.head.turns
            )));
        }
        append(tx, state, owner, piece, present).await?;
    }
    if piece.is_first() {
        state.report.keep("conversations");
    }
    Ok(PieceOutcome::Stored)
}

async fn find<M>(tx: &mut Tx<'_, M>, owner: UserId, head: &PlannedHead) -> StoreResult<Option<Conversation>> {
    if let Some((stored, _)) = tx.conversations().get(Via::Owner(owner), head.id).await? {
        return Ok(Some(stored));
    }
    match &head.new.thread_id {
        Some(thread_id) => tx.conversations().find_by_thread(owner, thread_id).await,
        None => Ok(None),
    }
}

/// Whether an import of this conversation began, did not end, and no other write changed it.
fn is_incomplete(stored: &Conversation, head: &PlannedHead) -> bool {
    stored.id == head.id && stored.revision == 1 && stored.message_count == stored.last_seq
}

async fn append<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    piece: &Piece,
    present: usize,
) -> StoreResult<()> {
    let messages = &piece.messages[present..];
    let write = Write::Piece {
        owner,
        conversation: piece.head.id,
        after: i64::try_from(piece.start + present).unwrap_or(i64::MAX),
        messages,
        is_last: piece.is_last(),
    };
    M::apply(tx, state, write).await?;
    state.report.add("messages", messages.len() as u64);
    Ok(())
}

/// The first turn of a piece that differs from the stored message of its number; what came after the `present` ones
/// does not matter.
async fn first_difference<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    stored: &Conversation,
    piece: &Piece,
    present: usize,
) -> StoreResult<Option<usize>> {
    let mut compared = 0;
    let mut after = i64::try_from(piece.start).unwrap_or(i64::MAX);
    let before = after.saturating_add(i64::try_from(present).unwrap_or(i64::MAX)).saturating_add(1);
    while compared < present {
        let range = MessageRange { after, before };
        let page =
            tx.messages().page(Via::Owner(owner), stored.id, range, Order::Ascending, Limit::MAX).await?;
        for (message, new) in page.items.iter().zip(&piece.messages[compared..]) {
            compared += 1;
            if message.role != new.role || message.content != new.content {
                return Ok(Some(piece.start + compared));
            }
        }
        match page.next {
            Some(seq) => after = seq,
            None => break,
        }
    }
    // A message that was deleted.
    Ok((compared < present).then_some(piece.start + compared + 1))
}
