//! Brings conversations into the store: what is there already stays, what is not is added.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chatstore_model::{
    Conversation, ConversationId, MessageId, NewConversation, NewMessage, NewUser, Response, UserId,
};
use chatstore_sql::{By, PresentMessage, ReadTx, StoreError, Tx, WriteTx};

use super::Reported;
use super::added::{Added, Unwritten, unwritten};
use super::plan::{Owner, PlannedConversation, PlannedMessage, is_anothers, says_the_same};
use super::users::{UserOutcome, decide_user};

/// A conversation with some of its messages, all in order.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) conversation: Arc<PlannedConversation>,
    /// Messages of it in earlier pieces.
    pub(super) first: i64,
    pub(super) messages: Vec<PlannedMessage>,
    /// Where the earlier pieces went.
    pub(super) place: Option<(UserId, ConversationId)>,
}

/// What became of a piece.
#[derive(Debug, Default)]
pub(super) struct PieceOutcome {
    pub(super) place: Option<(UserId, ConversationId)>,
    pub(super) conversation: Rows,
    pub(super) messages: Rows,
    pub(super) responses: Rows,
    pub(super) reported: Vec<Reported>,
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
            let owner = match &planned.owner {
                Owner::Known(id) => *id,
                Owner::Addressed(user) => {
                    match decide_user(tx, unwritten, user, &mut outcome.reported).await? {
                        UserOutcome::Present => user.id,
                        UserOutcome::Matched(id) => id,
                        UserOutcome::Add(new) => {
                            changes.user = Some(new);
                            user.id
                        }
                    }
                }
            };
            let Some(id) =
                decide_conversation(tx, unwritten, planned, owner, &mut outcome, &mut changes).await?
            else {
                return Ok((outcome, changes));
            };
            (owner, id)
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
    decide_messages(unwritten, piece, (owner, id), there.as_ref(), &present, &mut outcome, &mut changes);
    Ok((outcome, changes))
}

/// The id that a conversation has or gets; `None` when it is left out.
async fn decide_conversation<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    planned: &PlannedConversation,
    owner: UserId,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Result<Option<ConversationId>, StoreError> {
    let mut new = planned.new.clone();
    let mut reported = Vec::new();
    let mut note = |column: &str, problem: String, done: &str, left_out: bool| {
        reported.push(Reported {
            table: "conversations",
            key: Some(planned.key.clone()),
            column: Some(column.to_owned()),
            problem,
            done: done.to_owned(),
            left_out,
        });
    };
    let key_field = if planned.is_thread { "thread_id" } else { "id" };
    for id in [planned.id, planned.derived] {
        let there = tx.conversations().get(By::Owner(owner), id).await?;
        let is_anothers = match (&there, unwritten.conversation(owner, id)) {
            (Some((there, _)), _) => is_anothers(&there.metadata, &planned.key, key_field),
            (None, Some(key)) => *key != planned.key,
            (None, None) => false,
        };
        if is_anothers {
            let problem = format!("another conversation of theirs has the UUID {id}");
            note("uuid", problem, "it has an id made from its key; the UUID is in metadata.source", false);
            new.id = Some(planned.derived);
            continue;
        }
        if there.is_some() || unwritten.conversation(owner, id).is_some() {
            outcome.conversation.unchanged += 1;
            return Ok(Some(id));
        }
        break;
    }
    if let Some(thread_id) = &new.thread_id
        && let Some(there) = tx.conversations().find_by_thread(owner, thread_id).await?
    {
        let problem = format!("a conversation with the thread_id {thread_id:?} is there already");
        if !planned.is_thread {
            note("uuid", problem, "it has no thread_id; the text is in metadata.source", false);
            new.thread_id = None;
        } else if says_the_same(&there, &new) {
            outcome.conversation.unchanged += 1;
            return Ok(Some(there.id));
        } else {
            note("thread_id", problem, "it was left as it is", true);
            outcome.conversation.left_out += 1;
            outcome.reported.append(&mut reported);
            return Ok(None);
        }
    }
    outcome.reported.append(&mut reported);
    let id = new.id.unwrap_or(planned.derived);
    outcome.conversation.added += 1;
    unwritten.now.conversations.insert((owner, id), planned.key.clone());
    changes.conversation = Some(new);
    Ok(Some(id))
}

/// What the owner has of these messages, under either of their ids.
async fn find_present<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    messages: &[PlannedMessage],
) -> Result<HashMap<MessageId, PresentMessage>, StoreError> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    let found = tx.messages().find_present(owner, &ids).await?;
    let mut present: HashMap<MessageId, PresentMessage> =
        found.into_iter().map(|found| (found.id, found)).collect();
    let mut seen = HashSet::new();
    let mut twins = Vec::new();
    for message in messages {
        let found = present.get(&message.id);
        let is_anothers = found.is_some_and(|found| is_anothers(&found.metadata, &message.key, "id"));
        if is_anothers || !seen.insert(message.id) {
            twins.push(message.derived());
        }
    }
    if !twins.is_empty() {
        let found = tx.messages().find_present(owner, &twins).await?;
        present.extend(found.into_iter().map(|found| (found.id, found)));
    }
    Ok(present)
}

/// Which messages and responses are missing.
fn decide_messages(
    unwritten: &mut Unwritten,
    piece: &Piece,
    (owner, conversation): (UserId, ConversationId),
    there: Option<&Conversation>,
    present: &HashMap<MessageId, PresentMessage>,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) {
    let mut used: HashSet<MessageId> = HashSet::new();
    let mut missing = Vec::new();
    let mut some_present = false;
    for (position, message) in (piece.first + 1..).zip(&piece.messages) {
        let mut id = message.id;
        let is_anothers = |id: MessageId| {
            let found = present.get(&id);
            let elsewhere = found.is_some_and(|found| {
                found.conversation_id != conversation || is_anothers(&found.metadata, &message.key, "id")
            });
            elsewhere || used.contains(&id) || unwritten.has(|added| added.messages.contains(&(owner, id)))
        };
        let is_twin = is_anothers(id);
        if is_twin {
            id = message.derived();
        }
        if is_twin && !present.contains_key(&id) {
            outcome.reported.push(Reported {
                table: "messages",
                key: Some(message.key.clone()),
                column: Some("uuid".to_owned()),
                problem: format!("another message of theirs has the UUID {}", message.id),
                done: "it has an id made from its key; the UUID is in metadata.source".to_owned(),
                left_out: false,
            });
        }
        used.insert(id);
        match present.get(&id) {
            None => missing.push((position, id, message)),
            Some(found) => {
                some_present = true;
                outcome.messages.unchanged += 1;
                match &message.response {
                    Some(_) if !found.has_response => {
                        add_response(message, id, conversation, outcome, changes)
                    }
                    Some(_) => outcome.responses.unchanged += 1,
                    None => {}
                }
            }
        }
    }
    // A piece was written whole or not at all. Of one that was, a message that is missing was deleted
    // here, unless its number was never given to any.
    let last_seq = there.map_or(0, |there| there.last_seq);
    let was_written = some_present || piece.first == 0;
    for (position, id, message) in missing {
        if was_written && position <= last_seq {
            leave_out(message, outcome);
            continue;
        }
        outcome.messages.added += 1;
        outcome.reported.extend(message.reported.iter().cloned());
        unwritten.now.messages.insert((owner, id));
        changes.messages.push(NewMessage { id: Some(id), ..message.new.clone() });
        add_response(message, id, conversation, outcome, changes);
    }
}

fn add_response(
    message: &PlannedMessage,
    id: MessageId,
    conversation: ConversationId,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) {
    let Some(planned) = &message.response else { return };
    outcome.responses.added += 1;
    outcome.reported.extend(planned.reported.iter().cloned());
    let response = Response { message_id: id, conversation_id: conversation, ..planned.response.clone() };
    changes.responses.push(response);
}

fn leave_out(message: &PlannedMessage, outcome: &mut PieceOutcome) {
    let note = |table: &'static str, key: &str| Reported {
        table,
        key: Some(key.to_owned()),
        column: None,
        problem: "it was deleted here after an earlier import, or its conversation went on here without it"
            .to_owned(),
        done: "left out".to_owned(),
        left_out: true,
    };
    outcome.messages.left_out += 1;
    outcome.reported.push(note("messages", &message.key));
    if message.response.is_some() {
        outcome.responses.left_out += 1;
        outcome.reported.push(note("responses", &format!("of message {}", message.key)));
    }
}

/// Writes what was decided.
pub(super) async fn apply(
    tx: &mut WriteTx<'_>,
    place: Option<(UserId, ConversationId)>,
    changes: Changes,
) -> Result<(), StoreError> {
    let Some((owner, id)) = place else { return Ok(()) };
    if let Some(user) = &changes.user {
        tx.users().create(user).await?;
    }
    if let Some(conversation) = &changes.conversation {
        tx.conversations().create(owner, conversation).await?;
    }
    if !changes.messages.is_empty() {
        tx.messages().append_many(owner, id, &[], &changes.messages).await?;
    }
    if !changes.responses.is_empty() {
        tx.messages().attach_responses(owner, &changes.responses).await?;
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
    let mut outcomes = Vec::with_capacity(batch.len());
    for piece in batch {
        let (outcome, changes) = decide_piece(tx, &mut unwritten, piece, twins).await?;
        apply(tx, outcome.place, changes).await?;
        outcomes.push(outcome);
    }
    Ok((outcomes, unwritten.now))
}
