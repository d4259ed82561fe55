//! chatcore, Coach Bot and Chatter: rows that name each other by the keys of their application.

use chatstore_sql::{ExternalRow, ExternalTable, ExternalValue, Selection};

use super::SqlalchemyError;
use super::json::json;
use super::reader::{Reader, order, select};
use super::tables::{TableDescription, Tables};
use crate::source::records::{self, HandOver, Record, Spool, Table};
use crate::source::row::{Layout, shown};

/// chatcore, whose messages have what they drew on.
pub(super) const CHATCORE: [TableDescription; 4] = [
    TableDescription { name: "users", singular: "user", required: &["username"], optional: &["id"] },
    TableDescription {
        name: "conversations",
        singular: "conversation",
        required: &["user_id", "message_count"],
        optional: &["id"],
    },
    TableDescription {
        name: "messages",
        singular: "message",
        required: &["conversation_id", "role", "content", "used_documents"],
        optional: &["id", "created_at"],
    },
    TableDescription { name: "documents", singular: "document", required: &[], optional: &["id"] },
];

/// Chatter, whose conversations have a creator and members.
pub(super) const CHATTER: [TableDescription; 3] = [
    TableDescription { name: "users", singular: "user", required: &["id"], optional: &[] },
    TableDescription {
        name: "conversations",
        singular: "conversation",
        required: &["id", "creator_id"],
        optional: &[],
    },
    TableDescription {
        name: "messages",
        singular: "message",
        required: &["id", "conversation_id", "sender_id", "content"],
        optional: &["created_at"],
    },
];

/// Coach Bot, whose conversations are chats.
pub(super) const COACH_BOT: [TableDescription; 3] = [
    TableDescription { name: "users", singular: "user", required: &["id"], optional: &[] },
    TableDescription { name: "chats", singular: "chat", required: &["id", "user_id"], optional: &[] },
    TableDescription {
        name: "messages",
        singular: "message",
        required: &["id", "chat_id", "role", "content"],
        optional: &["created_at"],
    },
];

/// The tables of a report.
pub(super) const REPORTED: [&str; 5] = ["users", "conversations", "messages", "documents", "sessions"];

/// Hands over everything.
pub(super) async fn read(
    reader: &mut Reader<'_>,
    tables: &Tables,
    reads_members: bool,
) -> Result<(), SqlalchemyError> {
    let spool = Spool::create()?;
    for layout in &tables.0 {
        let table = match layout.name {
            "users" => Table::Users,
            "messages" => Table::Messages,
            "documents" => Table::Documents,
            _ => Table::Conversations,
        };
        let selection = select(layout, order(layout, 0, &["created_at", "id"]));
        let mut number = 0;
        let mut rows = reader.database.rows(&selection).await?;
        while let Some(read) = rows.next().await? {
            for values in read {
                number += 1;
                let key = match layout.value(&values, "id") {
                    ExternalValue::Null => number.to_string(),
                    id => shown(id),
                };
                let record = record(layout, &values);
                match table {
                    Table::Users => spool.user(&key, &record)?,
                    Table::Conversations => spool.conversation(spool.begin_conversation(), &key, &record)?,
                    Table::Messages => spool.message(&key, None, &record)?,
                    Table::Documents => spool.document(&key, &record)?,
                }
            }
        }
    }
    for name in reader.database.table_names().await? {
        let Some(table) = reader.database.table(&name).await? else { continue };
        if reads_members && is_membership(&table) {
            read_members(reader, &spool, table).await?;
        }
    }
    let settings = HandOver { owner: reader.owner, wants_passwords: true, has_times: true };
    records::hand_over(&spool, &mut reader.import, settings).await?;
    Ok(())
}

/// Whether a table says who is in which conversation.
pub(super) fn is_membership(table: &ExternalTable) -> bool {
    table.column("conversation_id").is_some()
        && table.column("user_id").is_some()
        && table.column("content").is_none()
        && table.column("title").is_none()
}

async fn read_members(
    reader: &mut Reader<'_>,
    spool: &Spool,
    table: ExternalTable,
) -> Result<(), SqlalchemyError> {
    let selection = Selection {
        columns: vec!["conversation_id", "user_id"],
        table: &table,
        joined: Vec::new(),
        without: None,
        order: Vec::new(),
        identified: Vec::new(),
    };
    let mut rows = reader.database.rows(&selection).await?;
    while let Some(read) = rows.next().await? {
        for values in read {
            if let [conversation, user] = values.as_slice() {
                spool.member(&shown(conversation), &shown(user))?;
            }
        }
    }
    Ok(())
}

/// A row, with renamed columns under the names that are known.
fn record(layout: &Layout, values: &ExternalRow) -> Record {
    let mut record = Record::default();
    for (place, (column, value)) in layout.table.columns.iter().zip(values).enumerate() {
        let field = layout.fields.iter().find(|(_, found)| *found == Some(place));
        let name = field.map_or(column.name.as_str(), |(field, _)| field);
        if let Some(value) = json(value, column.declared.starts_with("json")) {
            record.push(name.to_owned(), value);
        }
    }
    record
}
