//! Which messages and responses of a conversation are missing.

use std::collections::{HashMap, HashSet};

use chatstore_model::{MessageId, MessageRange, ModelResponse, NewMessage, UserId};
use chatstore_sql::{ImportedResponse, PresentMessage, Tx, Via};

use super::conversations::{Place, find_conversation};
use super::{BatchState, DELETED, LEFT_DELETED, Mode, StoreResult, Write};
use crate::plan::PlannedMessage;
use crate::report::{Issue, RowsReport};

/// Writes the messages of a chunk that are missing, and adds the responses that are. The number of its last message.
pub(super) async fn put_messages<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    place: Place,
    is_new: bool,
    seq_before: i64,
    messages: &[PlannedMessage],
    responses: &mut Vec<ImportedResponse>,
) -> StoreResult<i64> {
    let stored = if is_new { None } else { find_conversation(tx, state, place.owner, place.id).await? };
    let present = if stored.is_none() && !state.may_repeat_uuids {
        HashMap::new()
    } else {
        find_present(tx, state, place.owner, messages).await?
    };
    let stored_seq = stored.map_or(0, |conversation| conversation.last_seq);
    let (gaps, mut last_seq) = compare_messages(state, place, seq_before, messages, &present, responses);
    let mut new = Vec::new();
    let mut senders = Vec::new();
    for gap in gaps {
        let deleted = if state.restores { 0 } else { count_deleted(tx, place, &gap, stored_seq).await? };
        for (index, (id, message)) in gap.messages.into_iter().enumerate() {
            if index < deleted {
                leave_out(&mut state.report, message, DELETED, LEFT_DELETED);
                continue;
            }
            if id != message.id {
                state.report.issues.push(uuid_is_taken(message));
            }
            state.report.add("messages", 1);
            state.report.issues.extend(message.issues.iter().cloned());
            let external_id = if is_new {
                message.new.external_id.clone()
            } else {
                free_external_id(tx, state, place, message).await?
            };
            new.push(NewMessage { id: Some(id), external_id, ..message.new.clone() });
            senders.push(message.sender);
            add_response(&mut state.report, responses, message, id, place, message.new.model.is_none());
        }
    }
    if !new.is_empty() {
        M::apply(tx, state, Write::Messages(place.owner, place.id, &senders, &new)).await?;
        last_seq = stored_seq + i64::try_from(new.len()).unwrap_or(0);
    }
    Ok(last_seq.max(seq_before))
}

/// The external id of a message, unless another message of the stored conversation has it.
async fn free_external_id<M>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    place: Place,
    message: &PlannedMessage,
) -> StoreResult<Option<String>> {
    let Some(external_id) = &message.new.external_id else { return Ok(None) };
    let by = Via::Owner(place.owner);
    if tx.messages().find_by_external_id(by, place.id, external_id).await?.is_none() {
        return Ok(Some(external_id.clone()));
    }
    let problem = format!("a message in the store has the external id {external_id:?}");
    let issue = Issue::of_row("messages", &message.key, problem, "imported without it");
    state.report.issues.push(issue.in_column("external_id"));
    Ok(None)
}

/// Reports a message that is left out, with its response.
pub(super) fn leave_out(report: &mut RowsReport, message: &PlannedMessage, problem: &str, done: &str) {
    let issue = |table, key: &str| Issue::of_row(table, key, problem, done).leaving_out();
    report.issues.push(issue("messages", &message.key));
    report.issues.extend(message.response.iter().map(|response| issue("responses", &response.key)));
}

/// Adds the response of a message that is stored, or is going to be.
fn add_response(
    report: &mut RowsReport,
    responses: &mut Vec<ImportedResponse>,
    message: &PlannedMessage,
    message_id: MessageId,
    place: Place,
    names_model: bool,
) {
    let Some(planned) = &message.response else { return };
    report.add("responses", 1);
    report.issues.extend(planned.issues.iter().cloned());
    let response = ModelResponse { message_id, conversation_id: place.id, ..planned.response.clone() };
    responses.push(ImportedResponse { owner: place.owner, response, names_model });
}

/// What the owner has of these messages, under either of their ids.
async fn find_present<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    messages: &[PlannedMessage],
) -> StoreResult<HashMap<MessageId, PresentMessage>> {
    let known: Option<Vec<_>> =
        messages.iter().map(|message| state.found.message(owner, message.id)).collect();
    let found: Vec<PresentMessage> = if let Some(known) = known {
        known.into_iter().flatten().cloned().collect()
    } else {
        M::apply(tx, state, Write::Waiting).await?;
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        tx.messages().find_present(owner, &ids).await?
    };
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
struct Gap<'c> {
    /// The number of the message before, or 0.
    after: i64,
    /// The number of the message after, when there is one.
    before: Option<i64>,
    /// With the ids that they would have.
    messages: Vec<(MessageId, &'c PlannedMessage)>,
}

impl Gap<'_> {
    const fn after(seq: i64) -> Self {
        Self { after: seq, before: None, messages: Vec::new() }
    }
}

/// Compares messages with what is stored: counts those that are, adds responses that they lack, and finds the
/// gaps. Also the number of the last message that is stored.
fn compare_messages<'c>(
    state: &mut BatchState,
    place: Place,
    seq_before: i64,
    messages: &'c [PlannedMessage],
    present: &HashMap<MessageId, PresentMessage>,
    responses: &mut Vec<ImportedResponse>,
) -> (Vec<Gap<'c>>, i64) {
    let mut used: HashSet<MessageId> = HashSet::new();
    let mut gaps = Vec::new();
    let mut gap = Gap::after(seq_before);
    for message in messages {
        let is_uuid_taken = present.get(&message.id).is_some_and(|it| message.is_another_row(&it.metadata))
            || used.contains(&message.id)
            || state.has(|added| added.messages.contains(&(place.owner, message.id)));
        let id = if is_uuid_taken { message.fallback_id } else { message.id };
        used.insert(id);
        let Some(found) = present.get(&id) else {
            gap.messages.push((id, message));
            continue;
        };
        state.report.keep("messages");
        match &message.response {
            Some(_) if found.has_response => state.report.keep("responses"),
            _ => {
                let at = Place { owner: place.owner, id: found.conversation_id };
                add_response(&mut state.report, responses, message, id, at, true);
            }
        }
        if found.conversation_id == place.id {
            gap.before = Some(found.seq);
            gaps.push(std::mem::replace(&mut gap, Gap::after(found.seq)));
        }
    }
    let last_seq = gap.after;
    gaps.push(gap);
    gaps.retain(|gap| !gap.messages.is_empty());
    (gaps, last_seq)
}

/// How many messages were deleted in a gap: numbers are never used again, so each that no message has is one.
async fn count_deleted<M>(
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

fn uuid_is_taken(message: &PlannedMessage) -> Issue {
    let problem = format!("another message has the UUID {}", message.id);
    let done = "its id is derived from its key; the UUID is in metadata.source";
    Issue::of_row("messages", &message.key, problem, done).in_column("uuid")
}
