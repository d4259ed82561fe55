//! What the columns of such tables are called.

use chatstore_sql::{ExternalColumn, ExternalTable};

use super::record::{Record, folded};
use crate::source::row::Layout;

/// A table of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::source) enum Table {
    Users,
    Conversations,
    Messages,
    Documents,
}

impl Table {
    pub(in crate::source) const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Conversations => "conversations",
            Self::Messages => "messages",
            Self::Documents => "documents",
        }
    }
}

/// The fields of a table, and the names that a column with it may have, the first of which wins.
type Fields = &'static [(&'static str, &'static [&'static str])];

/// The name of the field that says what parts are, which no application calls so.
pub(in crate::source) const PARTS_FORMAT: &str = "parts_format";

/// Names are compared without capitals and underscores.
const USERS: Fields = &[
    ("id", &["userid", "id", "uuid"]),
    ("username", &["username", "login", "name"]),
    ("email", &["email", "emailaddress", "mail"]),
    ("full_name", &["fullname", "displayname", "name"]),
    ("hashed_password", &["hashedpassword", "passwordhash", "password"]),
    ("is_active", &["isactive", "active"]),
    ("created_at", &["createdat", "created", "registeredat", "timestamp"]),
    ("updated_at", &["updatedat", "updated", "modifiedat"]),
];

const CONVERSATIONS: Fields = &[
    ("id", &["conversationid", "id", "uuid", "chatid", "threadid"]),
    (
        "user_id",
        &["userid", "ownerid", "username", "owner", "user", "useremail", "email", "creatorid", "createdby"],
    ),
    ("external_id", &["externalid"]),
    ("title", &["title", "name", "subject"]),
    ("default_model", &["defaultmodel", "model"]),
    ("last_message", &["lastmessage"]),
    ("created_at", &["createdat", "created", "timestamp"]),
    ("updated_at", &["updatedat", "lastupdated", "updated", "modifiedat", "lastactivity"]),
    ("message_count", &["messagecount"]),
];

const MESSAGES: Fields = &[
    ("id", &["messageid", "id", "uuid"]),
    ("external_id", &["externalid"]),
    ("conversation_id", &["conversationid", "conversation", "chatid", "threadid"]),
    ("role", &["role", "sender", "author", "type"]),
    ("content", &["content", "text", "message", "body"]),
    ("parts", &["parts"]),
    (PARTS_FORMAT, &["partsformat"]),
    ("model", &["model", "modelname"]),
    ("token_count", &["tokencount", "tokens"]),
    ("used_documents", &["useddocuments", "documents", "sources"]),
    ("created_at", &["createdat", "timestamp", "created", "time", "date"]),
    ("user_id", &["userid", "senderid", "username", "user"]),
];

const DOCUMENTS: Fields = &[
    ("id", &["documentid", "docid", "id", "uuid"]),
    ("user_id", &["userid", "ownerid", "username", "owner", "user"]),
    ("title", &["title", "name", "filename"]),
    ("content", &["content", "text", "data", "body"]),
    ("created_at", &["createdat", "created", "timestamp", "uploadedat"]),
    ("updated_at", &["updatedat", "updated"]),
];

const fn fields(table: Table) -> Fields {
    match table {
        Table::Users => USERS,
        Table::Conversations => CONVERSATIONS,
        Table::Messages => MESSAGES,
        Table::Documents => DOCUMENTS,
    }
}

/// Where each field of a row is.
pub(super) fn places(table: Table, record: &Record) -> Vec<(&'static str, Option<usize>)> {
    let names: Vec<String> = record.names().map(folded).collect();
    let mut places: Vec<(&'static str, Option<usize>)> = Vec::new();
    for (field, spellings) in fields(table) {
        let is_free = |place: &usize| !places.iter().any(|(_, taken)| *taken == Some(*place));
        let place = spellings
            .iter()
            .filter_map(|spelling| names.iter().position(|name| name == spelling))
            .find(is_free);
        places.push((field, place));
    }
    places
}

/// Every place whose name is one of a field's, as a row may have several ids.
pub(super) fn all_places(table: Table, record: &Record, field: &str) -> Vec<usize> {
    let Some((_, spellings)) = fields(table).iter().find(|(name, _)| *name == field) else {
        return Vec::new();
    };
    let names: Vec<String> = record.names().map(folded).collect();
    let place_of = |spelling: &&str| names.iter().position(|name| name == spelling);
    spellings.iter().filter_map(place_of).collect()
}

/// Whether a field of the table may have this name.
pub(in crate::source) fn is_any_field(table: Table, name: &str) -> bool {
    let name = folded(name);
    fields(table).iter().any(|(_, spellings)| spellings.contains(&name.as_str()))
}

/// The row as a table of one row.
pub(super) fn layout(table: Table, record: &Record) -> Layout {
    let columns = record
        .declared()
        .map(|(name, declared)| ExternalColumn { name: name.to_owned(), declared: declared.to_owned() })
        .collect();
    let fields = places(table, record);
    Layout { name: table.name(), table: ExternalTable { name: table.name().to_owned(), columns }, fields }
}
