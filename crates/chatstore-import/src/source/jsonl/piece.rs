//! Conversations, whole or in pieces, compared with what is stored and written where that is missing.
//!
//! A long conversation is written in pieces, each a transaction. Its revision stays 1 until the last of them, as no
//! other conversation with messages has it: so an import that was interrupted is known, and goes on; and a client
//! that read a part of it sees that it changed when it is complete.

use chatstore_model::{Conversation, Limit, MessageRange, NewMessage, Order, UserId};
use chatstore_sql::{Completion, Marked, Tx, Via};

use super::batch::{Item, ItemOutcome};
use super::owner::{Owner, look_up_owners};
use super::planner::PlannedHead;
use crate::engine::{
    BatchState, DELETED, LEFT_DELETED, Mode, StoreResult, Wanted, Write, find_conversation, find_thread,
};

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

impl Item for Piece {
    const NAME: &'static str = "import_jsonl";

    async fn look_up<M: Mode>(items: &[Self], tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<()> {
        let owners: Vec<&Owner> = items.iter().map(|piece| &piece.head.owner).collect();
        let owners = look_up_owners(tx, state, &owners).await?;
        let wanted = items.iter().map(|Piece { head, .. }| {
            let owner = *owners.get(&head.owner.id()).unwrap_or(&head.owner.id());
            Wanted { owner, id: head.id, thread_id: head.new.thread_id.as_deref() }
        });
        let wanted: Vec<_> = wanted.collect();
        state.found.look_up_conversations(tx, &wanted).await
    }

    async fn put<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<ItemOutcome> {
        let Some(owner) = self.head.owner.put(tx, state).await? else {
            return Ok(ItemOutcome::Differs(format!("there is no user {}", self.head.owner.id())));
        };
        let Some(stored) = find(tx, state, owner, &self.head).await? else {
            if state.is_deleted(Marked::Conversation { owner, id: self.head.id }) {
                return Ok(ItemOutcome::Differs(format!("the conversation: {DELETED}; {LEFT_DELETED}")));
            }
            if self.is_first() {
                let key = self.head.number.to_string();
                M::apply(tx, state, Write::Conversation(owner, &self.head.new, &key)).await?;
                state.report.add("conversations", 1);
            } else if !M::IS_DRY {
                let reason = "the conversation was deleted while it was imported";
                return Ok(ItemOutcome::Differs(reason.to_owned()));
            }
            append(tx, state, owner, self, 0).await?;
            return Ok(ItemOutcome::Stored);
        };
        let present = usize::try_from(stored.last_seq).unwrap_or(0).saturating_sub(self.start);
        let present = present.min(self.messages.len());
        if let Some(turn) = first_difference(tx, owner, &stored, self, present).await? {
            return Ok(ItemOutcome::Differs(format!(
                "a conversation with this id already exists and differs at turn {turn}; it was not changed"
            )));
        }
        if present < self.messages.len() {
            if !is_incomplete(&stored, &self.head) {
                return Ok(ItemOutcome::Differs(format!(
                    "a conversation with this id already exists and has only {} of the {} turns; it was not changed",
                    self.start + present,
                    self.head.turns
                )));
            }
            append(tx, state, owner, self, present).await?;
        }
        if self.is_first() {
            state.report.keep("conversations");
        }
        Ok(ItemOutcome::Stored)
    }
}

async fn find<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    head: &PlannedHead,
) -> StoreResult<Option<Conversation>> {
    if let Some(stored) = find_conversation(tx, state, owner, head.id).await? {
        return Ok(Some(stored));
    }
    match &head.new.thread_id {
        Some(thread_id) => find_thread(tx, state, owner, thread_id).await,
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
        completes: piece.is_last().then_some(Completion { head_seq: piece.head.head_seq }),
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
