//! What every message has.

use chatstore_model::MessageRole;
use chatstore_sql::ExternalValue;
use serde_json::Value;

use super::{LOOSE, Row, quoted};

/// The content, an empty text where it is null.
pub(in crate::source) fn content(row: &mut Row<'_>) -> String {
    if row.is_null("content") {
        row.report(Some("content"), "it is null", "stored as an empty text");
        row.source.insert("content".to_owned(), Value::Null);
        return String::new();
    }
    row.text("content").unwrap_or_default()
}

/// The role, also under other common names.
pub(in crate::source) fn role_of(row: &mut Row<'_>) -> MessageRole {
    let text = match row.value("role") {
        ExternalValue::Text(text) => text.as_str(),
        _ => "",
    };
    if let Some(role) = MessageRole::parse(text) {
        return role;
    }
    let word = text.trim().to_lowercase();
    let is_common = matches!(word.as_str(), "human" | "ai" | "bot" | "model");
    let role = match word.as_str() {
        "user" | "human" | "person" => MessageRole::User,
        "assistant" | "ai" | "bot" | "model" => MessageRole::Assistant,
        "tool" | "function" => MessageRole::Tool,
        "system" => MessageRole::System,
        "developer" => MessageRole::Developer,
        _ => MessageRole::Tool,
    };
    row.keep("role");
    if row.declared("role") == Some(LOOSE) && is_common {
        return role;
    }
    let problem =
        format!("{} is not one of system, developer, user, assistant, tool", quoted(row.value("role")));
    row.report(Some("role"), problem, format!("taken as {}; it is in metadata.source", role.as_str()));
    role
}
