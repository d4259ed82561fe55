//! Brings conversations into the store: what is there already stays, what is not is added.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chatstore_model::{
    Conversation, ConversationId, MessageId, MessageRange, NewConversation, NewMessage, NewUser, Response,
    UserId,
};
use chatstore_sql::{By, PresentMessage, ReadTx, StoreError, Tx, WriteTx};

use super::Reported;
use super::added::{Added, Unwritten, unwritten};
use super::plan::{Owner, PlannedConversation, PlannedMessage, says_the_same};
use super::users::{UserOutcome, decide_user};

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

/// Whose conversation it is or becomes.
async fn decide_owner<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    planned: &PlannedConversation,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Result<UserId, StoreError> {
    let user = match &planned.owner {
        Owner::Known(id) => return Ok(*id),
        Owner::Addressed(user) => user,
    };
    let mut reported = Vec::new();
    let owner = match decide_user(tx, unwritten, user, &mut reported).await? {
        UserOutcome::Present => return Ok(user.id),
        UserOutcome::Matched(id) => return Ok(id),
        UserOutcome::Add(_) if user.new.email.is_none() => UserId::ANONYMOUS,
        UserOutcome::Add(new) => {
            changes.user = Some(new);
            outcome.reported.append(&mut reported);
            user.id
        }
    };
    let done = if owner == user.id { "the user is made" } else { "it belongs to anonymous" };
    outcome.missing_owner = Some(Reported {
        table: "conversations",
        key: Some(planned.key.clone()),
        column: Some("user_email".to_owned()),
        problem: format!("there is no user {:?}", user.key),
        done: done.to_owned(),
        left_out: false,
    });
    Ok(owner)
}

/// Where a conversation is or goes; `None` when it is left out.
async fn decide_conversation<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    planned: &PlannedConversation,
    owner: UserId,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Result<Option<(UserId, ConversationId)>, StoreError> {
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
    for id in [planned.id, planned.derived] {
        let there = find(tx, owner, id).await?;
        let is_twin = match (&there, unwritten.conversation(owner, id)) {
            (Some(there), _) => id == planned.id && planned.is_anothers(&there.metadata),
            (None, Some(key)) => id == planned.id && *key != planned.key,
            (None, None) => false,
        };
        if is_twin {
            let problem = format!("another conversation of theirs has the UUID {id}");
            note("uuid", problem, "it has an id made from its key; the UUID is in metadata.source", false);
            new.id = Some(planned.derived);
            continue;
        }
        if there.as_ref().is_some_and(|there| !says_the_same(there, &new)) {
            outcome.reported.push(changed(planned));
        }
        if there.is_some() || unwritten.conversation(owner, id).is_some() {
            outcome.conversation.unchanged += 1;
            return Ok(Some((owner, id)));
        }
        // Somebody may have taken over a visitor's conversation.
        if id == planned.id
            && id != planned.derived
            && owner != UserId::ANONYMOUS
            && let Some(there) = find(tx, UserId::ANONYMOUS, id).await?
            && !planned.is_anothers(&there.metadata)
        {
            let problem = "it was imported before it was this user's".to_owned();
            note("user_id", problem, "it was left with anonymous", false);
            outcome.reported.append(&mut reported);
            outcome.conversation.unchanged += 1;
            return Ok(Some((UserId::ANONYMOUS, id)));
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
            return Ok(Some((owner, there.id)));
        } else {
            note("thread_id", problem, "it was left as it is", true);
            outcome.conversation.left_out += 1;
            outcome.reported.append(&mut reported);
            return Ok(None);
        }
    }
    outcome.reported.extend(outcome.missing_owner.take());
    outcome.reported.append(&mut reported);
    let id = new.id.unwrap_or(planned.derived);
    outcome.conversation.added += 1;
    unwritten.now.conversations.insert((owner, id), planned.key.clone());
    changes.conversation = Some(new);
    Ok(Some((owner, id)))
}

async fn find<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    id: ConversationId,
) -> Result<Option<Conversation>, StoreError> {
    let found = tx.conversations().get(By::Owner(owner), id).await?;
    Ok(found.map(|(conversation, _)| conversation))
}

fn changed(planned: &PlannedConversation) -> Reported {
    Reported {
        table: "conversations",
        key: Some(planned.key.clone()),
        column: None,
        problem: "it was changed, here or there, since it was imported".to_owned(),
        done: "it was left as it is here".to_owned(),
        left_out: false,
    }
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
        let is_anothers = found.is_some_and(|found| message.is_anothers(&found.metadata));
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

/// Messages that are missing between two that are there.
struct Missing<'p> {
    /// The numbers of the two, or where there is none 0 and one more than the highest.
    between: (i64, Option<i64>),
    messages: Vec<(MessageId, &'p PlannedMessage)>,
}

/// Compares messages with what is there; what is missing, and adds responses that are.
fn compare_messages<'p>(
    unwritten: &Unwritten,
    piece: &'p Piece,
    (owner, conversation): (UserId, ConversationId),
    present: &HashMap<MessageId, PresentMessage>,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Vec<Missing<'p>> {
    let mut used: HashSet<MessageId> = HashSet::new();
    let mut runs = Vec::new();
    let mut run = Missing { between: (piece.last_seq, None), messages: Vec::new() };
    for message in &piece.messages {
        let mut id = message.id;
        let is_twin = present.get(&id).is_some_and(|found| message.is_anothers(&found.metadata))
            || used.contains(&id)
            || unwritten.has(|added| added.messages.contains(&(owner, id)));
        if is_twin {
            id = message.derived();
        }
        used.insert(id);
        let Some(found) = present.get(&id) else {
            run.messages.push((id, message));
            continue;
        };
        outcome.messages.unchanged += 1;
        match &message.response {
            Some(_) if !found.has_response => {
                add_response(message, id, found.conversation_id, outcome, changes);
            }
            Some(_) => outcome.responses.unchanged += 1,
            None => {}
        }
        if found.conversation_id == conversation {
            run.between.1 = Some(found.seq);
            let next = Missing { between: (found.seq, None), messages: Vec::new() };
            runs.push(std::mem::replace(&mut run, next));
        }
    }
    outcome.last_seq = run.between.0;
    runs.push(run);
    runs.retain(|run| !run.messages.is_empty());
    runs
}

/// Adds what is missing. Numbers are never used again, so where one between two messages belongs to
/// none any more, a message was deleted here; it is not brought back.
#[allow(clippy::too_many_arguments, reason = "all of it is what one piece is decided by")]
async fn decide_missing<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    piece: &Piece,
    (owner, conversation): (UserId, ConversationId),
    last_seq: i64,
    runs: Vec<Missing<'_>>,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    for run in runs {
        let range = MessageRange { after: run.between.0, before: run.between.1.unwrap_or(last_seq + 1) };
        let numbers = (range.before - range.after - 1).max(0);
        let deleted = match numbers {
            0 => 0,
            _ => numbers - tx.messages().count_between(owner, conversation, range).await?,
        };
        let deleted = usize::try_from(deleted).unwrap_or(0);
        for (place, (id, message)) in run.messages.into_iter().enumerate() {
            if place < deleted {
                leave_out(message, outcome);
                continue;
            }
            if id != message.id {
                outcome.reported.push(twin(message));
            }
            outcome.messages.added += 1;
            outcome.reported.extend(message.reported.iter().cloned());
            unwritten.now.messages.insert((owner, id));
            changes.messages.push(NewMessage { id: Some(id), ..message.new.clone() });
            add_response(message, id, conversation, outcome, changes);
        }
    }
    if !changes.messages.is_empty() {
        outcome.last_seq = last_seq + i64::try_from(changes.messages.len()).unwrap_or(0);
    }
    outcome.last_seq = outcome.last_seq.max(piece.last_seq);
    Ok(())
}

fn twin(message: &PlannedMessage) -> Reported {
    Reported {
        table: "messages",
        key: Some(message.key.clone()),
        column: Some("uuid".to_owned()),
        problem: format!("another message of theirs has the UUID {}", message.id),
        done: "it has an id made from its key; the UUID is in metadata.source".to_owned(),
        left_out: false,
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
        problem: "it was deleted here after an earlier import".to_owned(),
        done: "left out".to_owned(),
        left_out: true,
    };
    outcome.messages.left_out += 1;
    outcome.reported.push(note("messages", &message.key));
    if let Some(response) = &message.response {
        outcome.responses.left_out += 1;
        outcome.reported.push(note("responses", &response.key));
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
