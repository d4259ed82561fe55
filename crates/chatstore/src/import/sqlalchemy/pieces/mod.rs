//! Brings conversations into the store: what is there already stays, what is not is added.

mod conversations;
mod messages;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chatstore_model::{ConversationId, NewConversation, NewMessage, NewUser, Response, UserId};
use chatstore_sql::{By, ReadTx, StoreError, Tx, WriteTx};

use super::Reported;
use super::added::{Added, Unwritten, unwritten};
use super::plan::{PlannedConversation, PlannedMessage};
use conversations::{decide_conversation, decide_owner};
use messages::{compare_messages, decide_missing, find_present};

/// A conversation with some of its messages, all in order.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) conversation: Arc<PlannedConversation>,
    /// The number of the last message in earlier pieces.
    pub(super) last_seq: i64,
    pub(super) messages: Vec<PlannedMessage>,
    /// Where the earlier pieces went.
    pub(super) place: Option<(UserId, ConversationId)>,
}

/// What became of a piece.
#[derive(Debug, Default)]
pub(super) struct PieceOutcome {
    pub(super) place: Option<(UserId, ConversationId)>,
    /// The number of the last message.
    pub(super) last_seq: i64,
    pub(super) conversation: Rows,
    pub(super) messages: Rows,
    pub(super) responses: Rows,
    pub(super) reported: Vec<Reported>,
    /// What is to be said of its owner when the conversation is new.
    missing_owner: Option<Reported>,
}

/// Rows by what became of them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Rows {
    pub(super) added: u64,
    pub(super) unchanged: u64,
    pub(super) left_out: u64,
}

/// What is to be written of a piece.
#[derive(Debug, Default)]
pub(super) struct Changes {
    user: Option<Box<NewUser>>,
    conversation: Option<NewConversation>,
    messages: Vec<NewMessage>,
    responses: Vec<Response>,
}

/// Whether two messages of an owner may have the same UUID, which costs a look at each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Twins {
    Unlikely,
    Possible,
}

/// Compares a piece with what is there.
pub(super) async fn decide_piece<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    piece: &Piece,
    twins: Twins,
) -> Result<(PieceOutcome, Changes), StoreError> {
    let mut outcome = PieceOutcome::default();
    let mut changes = Changes::default();
    let planned = piece.conversation.as_ref();
    let (owner, id) = match piece.place {
        Some(place) => place,
        None => {
            let owner = decide_owner(tx, unwritten, planned, &mut outcome, &mut changes).await?;
            let place = decide_conversation(tx, unwritten, planned, owner, &mut outcome, &mut changes);
            let Some(place) = place.await? else { return Ok((outcome, changes)) };
            place
        }
    };
    outcome.place = Some((owner, id));
    let there = match changes.conversation {
        Some(_) => None,
        None => tx.conversations().get(By::Owner(owner), id).await?.map(|(conversation, _)| conversation),
    };
    let present = if there.is_none() && twins == Twins::Unlikely {
        HashMap::new()
    } else {
        find_present(tx, owner, &piece.messages).await?
    };
    let missing = compare_messages(unwritten, piece, (owner, id), &present, &mut outcome, &mut changes);
    let last_seq = there.map_or(0, |there| there.last_seq);
    decide_missing(tx, unwritten, piece, (owner, id), last_seq, missing, &mut outcome, &mut changes).await?;
    Ok((outcome, changes))
}

/// Writes what was decided but for the responses.
async fn apply(
    tx: &mut WriteTx<'_>,
    place: Option<(UserId, ConversationId)>,
    changes: &Changes,
) -> Result<(), StoreError> {
    let Some((owner, id)) = place else { return Ok(()) };
    if let Some(user) = &changes.user {
        tx.users().create(&**user).await?;
    }
    if let Some(conversation) = &changes.conversation {
        tx.conversations().create(owner, conversation).await?;
    }
    if !changes.messages.is_empty() {
        tx.messages().append_many(owner, id, &[], &changes.messages).await?;
    }
    Ok(())
}

/// What became of each piece, and what is added with them.
pub(super) type Pieces = (Vec<PieceOutcome>, Added);

pub(super) async fn look_at_pieces(
    tx: &mut ReadTx<'_>,
    batch: &[Piece],
    earlier: &Arc<Added>,
) -> Result<Pieces, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for piece in batch {
        outcomes.push(decide_piece(tx, &mut unwritten, piece, Twins::Possible).await?.0);
    }
    Ok((outcomes, unwritten.now))
}

pub(super) async fn write_pieces(
    tx: &mut WriteTx<'_>,
    batch: &[Piece],
    earlier: &Arc<Added>,
    twins: Twins,
) -> Result<Pieces, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut responses: BTreeMap<UserId, Vec<Response>> = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    for piece in batch {
        let (outcome, changes) = decide_piece(tx, &mut unwritten, piece, twins).await?;
        apply(tx, outcome.place, &changes).await?;
        if let (Some((owner, _)), false) = (outcome.place, changes.responses.is_empty()) {
            responses.entry(owner).or_default().extend(changes.responses);
        }
        outcomes.push(outcome);
    }
    // Everybody locks usage after conversations.
    for (owner, responses) in &responses {
        tx.messages().attach_responses(*owner, responses).await?;
    }
    Ok((outcomes, unwritten.now))
}
