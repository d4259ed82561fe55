//! Which messages and responses of a conversation are missing.

use std::collections::{HashMap, HashSet};

use chatstore_model::{ConversationId, MessageId, MessageRange, NewMessage, Response, UserId};
use chatstore_sql::{PresentMessage, StoreError, Tx};

use super::{Changes, Piece, PieceOutcome};
use crate::sqlalchemy::Reported;
use crate::sqlalchemy::added::Unwritten;
use crate::sqlalchemy::plan::PlannedMessage;

/// What the owner has of these messages, under either of their ids.
pub(super) async fn find_present<M>(
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
pub(super) struct Missing<'p> {
    /// The numbers of the two, or where there is none 0 and one more than the highest.
    between: (i64, Option<i64>),
    messages: Vec<(MessageId, &'p PlannedMessage)>,
}

/// Compares messages with what is there; what is missing, and adds responses that are.
pub(super) fn compare_messages<'p>(
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
pub(super) async fn decide_missing<M>(
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
