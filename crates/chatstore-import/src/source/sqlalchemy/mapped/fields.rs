//! The fields of our tables, and which types of columns they cannot be read from.

use super::super::mapping::{TimeForm, ValueMap};
use crate::source::records::Table;

/// A table of ours, as a mapping names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: &'static str,
    /// None for members, which are put to their conversations.
    pub(super) table: Option<Table>,
    pub(super) fields: &'static [&'static str],
    /// Of each of these lists one field at least has to be there.
    pub(super) required: &'static [&'static [&'static str]],
}

/// In the order in which they are read.
pub(super) const TARGETS: [Target; 5] = [
    Target {
        name: "users",
        table: Some(Table::Users),
        fields: &[
            "id",
            "username",
            "email",
            "full_name",
            "hashed_password",
            "is_active",
            "created_at",
            "updated_at",
        ],
        required: &[&["username", "email", "id"]],
    },
    Target {
        name: "conversations",
        table: Some(Table::Conversations),
        fields: &[
            "id",
            "external_id",
            "user_id",
            "title",
            "default_model",
            "last_message",
            "created_at",
            "updated_at",
        ],
        required: &[&["id"]],
    },
    Target {
        name: "messages",
        table: Some(Table::Messages),
        fields: &[
            "id",
            "external_id",
            "conversation_id",
            "user_id",
            "role",
            "content",
            "parts",
            "format",
            "model",
            "token_count",
            "used_documents",
            "created_at",
        ],
        required: &[&["conversation_id"], &["role"], &["content", "parts"]],
    },
    Target {
        name: "documents",
        table: Some(Table::Documents),
        fields: &["id", "user_id", "title", "content", "created_at", "updated_at"],
        required: &[&["content", "title"]],
    },
    Target {
        name: "members",
        table: None,
        fields: &["conversation_id", "user_id"],
        required: &[&["conversation_id"], &["user_id"]],
    },
];

/// What a column holds, by its declared type; an unknown type may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Integer,
    Flag,
    Time,
    Json,
    Bytes,
    Other,
}

impl Family {
    fn of(declared: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if declared.starts_with("json") {
            Self::Json
        } else if has(&["blob", "bytea", "binary"]) {
            Self::Bytes
        } else if has(&["bool"]) {
            Self::Flag
        } else if has(&["timestamp", "date", "time"]) {
            Self::Time
        } else if declared.starts_with("int") || has(&["bigint", "smallint", "serial"]) {
            Self::Integer
        } else {
            Self::Other
        }
    }
}

/// Why a field cannot be read from a column of this type.
pub(super) fn mismatch(field: &str, declared: &str, map: &ValueMap, has_path: bool) -> Option<String> {
    use Family::{Bytes, Flag, Integer, Json, Time};
    let family = Family::of(declared);
    if has_path {
        let is_json = !matches!(family, Integer | Flag | Time | Bytes);
        return (!is_json).then(|| format!("it is {declared}, which holds no JSON for a path"));
    }
    if !map.values.is_empty() {
        return None;
    }
    let (wanted, refused): (&str, &[Family]) = match field {
        "created_at" | "updated_at" => match map.time {
            Some(TimeForm::Epoch(_)) => ("numbers, which time says it holds", &[Time, Json, Bytes, Flag]),
            Some(TimeForm::Pattern(_)) => {
                ("texts, which the pattern of time reads", &[Integer, Time, Json, Bytes, Flag])
            }
            None => ("times", &[Json, Bytes, Flag]),
        },
        "is_active" => ("truth values", &[Time, Json, Bytes]),
        "token_count" => ("counts", &[Time, Json, Bytes, Flag]),
        "parts" | "used_documents" => ("JSON", &[Integer, Time, Bytes, Flag]),
        "role" | "username" | "email" | "full_name" | "title" | "format" | "model" | "default_model" => {
            ("texts", &[Time, Json, Bytes, Flag])
        }
        _ => return None,
    };
    refused.contains(&family).then(|| format!("it is {declared}; {field} takes {wanted}"))
}
