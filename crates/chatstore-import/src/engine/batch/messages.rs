//! Which messages and responses of a conversation are missing.

use std::collections::{HashMap, HashSet};

use chatstore_model::{ConversationId, MessageId, MessageRange, NewMessage, UserId};
use chatstore_sql::{PresentMessage, Tx};

use super::decision::{ChunkDecision, ConversationChunk, Place};
use super::{BatchState, StoreResult};
use crate::plan::PlannedMessage;
use crate::report::Issue;

/// What the owner has of these messages, under either of their ids.
pub(super) async fn find_present<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    messages: &[PlannedMessage],
) -> StoreResult<HashMap<MessageId, PresentMessage>> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    let found = tx.messages().find_present(owner, &ids).await?;
    let mut present: HashMap<MessageId, PresentMessage> =
        found.into_iter().map(|found| (found.id, found)).collect();
    let mut seen = HashSet::new();
    let mut fallback_ids = Vec::new();
    for message in messages {
        let found = present.get(&message.id);
        let is_another_row = found.is_some_and(|found| message.is_another_row(&found.metadata));
        if is_another_row || !seen.insert(message.id) {
            fallback_ids.push(message.fallback_id);
        }
    }
    if !fallback_ids.is_empty() {
        let found = tx.messages().find_present(owner, &fallback_ids).await?;
        present.extend(found.into_iter().map(|found| (found.id, found)));
    }
    Ok(present)
}

/// Messages that are missing between two that are stored.
pub(super) struct Gap<'c> {
    /// The number of the message before, or 0.
    after: i64,
    /// The number of the message after, when there is one.
    before: Option<i64>,
    /// With the ids that they would have.
    messages: Vec<(MessageId, &'c PlannedMessage)>,
}

impl<'c> Gap<'c> {
    const fn after(seq: i64) -> Self {
        Self { after: seq, before: None, messages: Vec::new() }
    }
}

/// Compares messages with what is stored: counts those that are, adds responses that they lack, and finds the
/// gaps.
pub(super) fn compare_messages<'c>(
    decision: &mut ChunkDecision,
    chunk: &'c ConversationChunk,
    state: &BatchState,
    place: Place,
    present: &HashMap<MessageId, PresentMessage>,
) -> Vec<Gap<'c>> {
    let mut used: HashSet<MessageId> = HashSet::new();
    let mut gaps = Vec::new();
    let mut gap = Gap::after(chunk.last_seq_before());
    for message in &chunk.messages {
        let is_uuid_taken = present.get(&message.id).is_some_and(|it| message.is_another_row(&it.metadata))
            || used.contains(&message.id)
            || state.has_message(place.owner, message.id);
        let id = if is_uuid_taken { message.fallback_id } else { message.id };
        used.insert(id);
        let Some(found) = present.get(&id) else {
            gap.messages.push((id, message));
            continue;
        };
        decision.report.keep("messages");
        match &message.response {
            Some(_) if found.has_response => decision.report.keep("responses"),
            _ => decision.add_response(message, id, found.conversation_id),
        }
        if found.conversation_id == place.id {
            gap.before = Some(found.seq);
            gaps.push(std::mem::replace(&mut gap, Gap::after(found.seq)));
        }
    }
    decision.end.last_seq = gap.after;
    gaps.push(gap);
    gaps.retain(|gap| !gap.messages.is_empty());
    gaps
}

/// How many messages were deleted in a gap: numbers are never used again, so each that no message has is one.
pub(super) async fn count_deleted<M>(
    tx: &mut Tx<'_, M>,
    place: Place,
    gap: &Gap<'_>,
    last_seq: i64,
) -> StoreResult<usize> {
    let range = MessageRange { after: gap.after, before: gap.before.unwrap_or(last_seq + 1) };
    let numbers = range.before - range.after - 1;
    if numbers <= 0 {
        return Ok(0);
    }
    let held = tx.messages().count_between(place.owner, place.id, range).await?;
    Ok(usize::try_from(numbers - held).unwrap_or(0))
}

impl Gap<'_> {
    /// Adds what is missing; what was deleted here is not brought back.
    pub(super) fn fill(self, decision: &mut ChunkDecision, deleted: usize, conversation: ConversationId) {
        for (index, (id, message)) in self.messages.into_iter().enumerate() {
            if index < deleted {
                decision.leave_out(message, "it was deleted in the store after an earlier import");
                continue;
            }
            if id != message.id {
                decision.report.issues.push(uuid_is_taken(message));
            }
            decision.report.add("messages", 1);
            decision.report.issues.extend(message.issues.iter().cloned());
            decision.new_messages.push(NewMessage { id: Some(id), ..message.new.clone() });
            decision.add_response(message, id, conversation);
        }
    }
}

fn uuid_is_taken(message: &PlannedMessage) -> Issue {
    let problem = format!("another message has the UUID {}", message.id);
    let done = "its id is derived from its key; the UUID is in metadata.source";
    Issue::of_row("messages", &message.key, problem, done).in_column("uuid")
}
