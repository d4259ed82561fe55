//! Documents: JSON that an application keeps beside its messages.

use chatstore_migrate::model::Action::Cascade;
use chatstore_migrate::model::ColumnType::{Int, Json, Text, Time, Uuid};

use super::parts::{Table, containment_index, foreign_key, index, optional, required};

/// The content is last: SQLite reads everything in front of a column to find it.
pub(crate) const DOCUMENTS: Table = Table {
    name: "documents",
    entity: "document",
    repository: "documents",
    columns: &[
        required("owner_id", Uuid),
        required("id", Uuid),
        optional("title", Text),
        required("metadata", Json),
        required("revision", Int),
        required("created_at", Time),
        required("updated_at", Time),
        required("content", Json),
    ],
    primary_key: &["owner_id", "id"],
    key_field: Some("id"),
    uniques: &[],
    foreign_keys: &[foreign_key("fk_documents_owner_id", &["owner_id"], "users", &["id"], Cascade)],
    checks: &[],
    indexes: &[
        index("ix_documents_created_at", &["owner_id", "created_at desc", "id desc"], None),
        index("ix_documents_title", &["owner_id", "title", "created_at desc", "id desc"], None),
        containment_index("ix_documents_content", &["content"]),
        containment_index("ix_documents_metadata", &["metadata"]),
    ],
};
