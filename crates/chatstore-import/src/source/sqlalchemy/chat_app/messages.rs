//! Messages with their responses.

use chatstore_model::{ConversationId, MessageId, MessageRole, ModelResponse, NewMessage, Timestamp, limits};
use chatstore_sql::ExternalValue;
use serde_json::Value;

use super::{derived, uuid};
use crate::plan::{PlannedMessage, PlannedResponse};
use crate::report::Issue;
use crate::source::row::{Layout, Row, TimesWithoutZone, content, role_of, shown};

/// What a message needs to know of the conversation around it.
pub(super) struct Around<'a> {
    pub(super) conversation: ConversationId,
    pub(super) default_model: &'a str,
    /// Its time, when the row has none.
    pub(super) otherwise: Timestamp,
}

/// A message, and the issues of responses that are left out; `responses` are the rows that belong to it.
pub(super) fn plan_message(
    (layout, of_responses): (&Layout, &Layout),
    values: &[ExternalValue],
    responses: &[&[ExternalValue]],
    around: &Around<'_>,
    zones: &mut TimesWithoutZone,
) -> (PlannedMessage, Vec<Issue>) {
    let mut row = Row::new(layout, values, "id");
    row.keep("id");
    let created_at = row.time_or("created_at", around.otherwise);
    let key = row.key.clone();
    let conversation = around.conversation.uuid();
    let fallback_id = derived(&[b"message", conversation.as_bytes(), key.as_bytes()]);
    let fallback_id = MessageId::from_uuid(fallback_id);
    let uuid = layout.place("uuid").and_then(|_| uuid(&mut row));
    let id = uuid.map_or(fallback_id, MessageId::from_uuid);
    let role = role_of(&mut row);
    let content = content(&mut row);
    let model = row.filled_text("model", limits::MODEL);
    let mut response = None;
    let mut left_out = Vec::new();
    let mut others = Vec::new();
    for values in responses {
        let mut below = Row::new(of_responses, values, "id");
        below.keep("id");
        let planned = plan_response(&mut below, id, around, model.as_deref(), created_at);
        zones.count(&below);
        if role == MessageRole::Assistant && response.is_none() {
            make_room(&mut row, "response");
            row.source.insert("response".to_owned(), Value::Object(below.source));
            response = Some(PlannedResponse { key: below.key, response: planned, issues: below.issues });
            continue;
        }
        let problem = if role == MessageRole::Assistant {
            format!("message {key} has another response")
        } else {
            format!("message {key} is of the role {}, not of a model", role.as_str())
        };
        below.report(Some("message_id"), problem, "kept in the message's metadata.source.responses");
        if let Some(last) = below.issues.last_mut() {
            last.left_out = true;
        }
        left_out.append(&mut below.issues);
        others.push(whole(of_responses, values));
    }
    if !others.is_empty() {
        make_room(&mut row, "responses");
        row.source.insert("responses".to_owned(), Value::Array(others));
    }
    let metadata = row.metadata();
    zones.count(&row);
    let model_used = response.as_ref().map(|response| response.response.model_used.clone());
    let new = NewMessage {
        id: Some(id),
        model: model.or(model_used),
        metadata,
        created_at: Some(created_at),
        ..NewMessage::new(role, content)
    };
    (PlannedMessage { id, fallback_id, new, key, response, sender: None, issues: row.issues }, left_out)
}

/// An unknown column of this name is kept under another.
fn make_room(row: &mut Row<'_>, name: &str) {
    if let Some(value) = row.source.remove(name) {
        let other = format!("messages.{name}");
        row.report(Some(name), "its name is taken in metadata.source", format!("kept there as {other}"));
        row.source.insert(other, value);
    }
}

/// A response; its total is at least the sum of its parts.
fn plan_response(
    row: &mut Row<'_>,
    message_id: MessageId,
    around: &Around<'_>,
    own_model: Option<&str>,
    otherwise: Timestamp,
) -> ModelResponse {
    let (prompt, completion) = (row.count("tokens_prompt"), row.count("tokens_completion"));
    let mut total = row.count("tokens_total");
    let parts = prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)).min(limits::COUNT);
    if total.is_some_and(|total| total < parts) {
        row.keep("tokens_total");
        let problem = format!("it is below tokens_prompt + tokens_completion, {parts}");
        row.report(Some("tokens_total"), problem, "their sum is taken; it is in metadata.source");
        total = Some(parts);
    }
    if total.is_none() && prompt.is_some() && completion.is_some() {
        total = Some(parts);
    }
    let model_used = row.filled_text("model_used", limits::MODEL).unwrap_or_else(|| {
        let model = own_model.unwrap_or(around.default_model).to_owned();
        row.report(Some("model_used"), "it names no model", format!("taken as {model}"));
        model
    });
    ModelResponse {
        message_id,
        conversation_id: around.conversation,
        model_used,
        tokens_prompt: prompt,
        tokens_completion: completion,
        tokens_total: total,
        tokens_cached: None,
        completion_time_ms: row.count("completion_time_ms"),
        finish_reason: None,
        from_cache: false,
        created_at: row.time_or("created_at", otherwise),
    }
}

/// Every column of a row that is kept in another row.
fn whole(layout: &Layout, values: &[ExternalValue]) -> Value {
    let columns = layout.table.columns.iter().zip(values);
    let shown = columns.map(|(column, value)| {
        let value = match value {
            ExternalValue::Null => Value::Null,
            ExternalValue::Int(number) => (*number).into(),
            ExternalValue::Bool(flag) => (*flag).into(),
            other => shown(other).replace('\0', "\u{fffd}").into(),
        };
        (column.name.clone(), value)
    });
    Value::Object(shown.collect())
}
