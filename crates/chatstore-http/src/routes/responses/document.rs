//! Documents, as answers hold them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chatstore::{Document, DocumentId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;

use super::with_revision;

/// A document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Document, example = json!({
    "id": "0195f1d4-7b30-7d11-8e42-c6a1f0b95d27", "short_id": "1BwtYBz2Vn8mKeRq4TgHs9",
    "title": "Manual", "content": {"kind": "manual", "pages": [{"number": 12, "text": "Press the button."}]},
    "metadata": {"source": "upload"}, "revision": 1, "created_at": "2026-03-01T12:00:00.000000Z",
    "updated_at": "2026-03-01T12:00:00.000000Z"
}))]
pub(crate) struct DocumentResponse {
    #[schema(value_type = String, format = "uuid")]
    id: DocumentId,
    /// The id for URLs: 22 base-58 characters.
    #[schema(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    short_id: String,
    #[schema(required)]
    title: Option<String>,
    /// Any JSON.
    #[schema(value_type = serde_json::Value)]
    content: chatstore::CanonicalJson,
    /// The application's own data.
    #[schema(value_type = Object)]
    metadata: chatstore::CanonicalJson,
    /// Rises with every change.
    revision: i64,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl ListItem for DocumentResponse {
    fn large_bytes(&self) -> usize {
        self.content.as_str().len() + self.metadata.as_str().len()
    }
}

impl From<Document> for DocumentResponse {
    fn from(document: Document) -> Self {
        let Document { owner_id: _, id, title, content, metadata, revision, created_at, updated_at } =
            document;
        Self { id, short_id: id.short(), title, content, metadata, revision, created_at, updated_at }
    }
}

impl IntoResponse for DocumentResponse {
    /// The document, with its revision as an entity tag.
    fn into_response(self) -> Response {
        let revision = self.revision;
        with_revision(Json(self).into_response(), revision)
    }
}
