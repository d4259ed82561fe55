//! Documents: JSON that an application keeps beside its messages, such as what a model draws on.

use serde::Serialize;

use crate::field::METADATA;
use crate::{
    CanonicalJson, Change, DocumentId, JsonField, JsonFilter, JsonShape, ListField, TextField, Timestamp,
    UserId, Validate, Validator, limits,
};

/// The title of a document.
pub const DOCUMENT_TITLE: TextField = TextField::new("title").at_most(limits::TITLE);

/// The content of a document.
pub const DOCUMENT_CONTENT: JsonField =
    JsonField { name: "content", about: "Any JSON, null included.", shape: JsonShape::Any };

/// Documents that are created together.
pub const DOCUMENTS: ListField =
    ListField { name: "documents", item: "document", min: 1, max: limits::DOCUMENT_BATCH };

/// A document; its owner's id is part of its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// Who owns it.
    #[serde(skip)]
    pub owner_id: UserId,
    /// The id.
    #[serde(flatten, serialize_with = "crate::id::with_short_id")]
    pub id: DocumentId,
    /// The title.
    pub title: Option<String>,
    /// Any JSON.
    pub content: CanonicalJson,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// Rises with every change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A document to be created.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewDocument {
    /// The id, for imports that bring one; a new one is drawn when left out.
    pub id: Option<DocumentId>,
    /// The title.
    pub title: Option<String>,
    /// Any JSON.
    pub content: CanonicalJson,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// The time, for imports that bring one; the store's clock when left out.
    pub created_at: Option<Timestamp>,
    /// When it was last changed; the time of creation when left out.
    pub updated_at: Option<Timestamp>,
}

impl NewDocument {
    /// A document with this content and nothing else.
    #[must_use]
    pub fn new(content: CanonicalJson) -> Self {
        Self { content, ..Self::default() }
    }
}

impl Validate for NewDocument {
    fn check(&self, validator: &mut Validator) {
        DOCUMENT_TITLE.check(validator, self.title.as_deref());
        DOCUMENT_CONTENT.check(validator, Some(&self.content));
        METADATA.check(validator, Some(&self.metadata));
    }
}

/// Documents that one request creates together.
impl Validate for Vec<NewDocument> {
    fn check(&self, validator: &mut Validator) {
        DOCUMENTS.check(validator, self.len());
        self.as_slice().check(validator);
    }
}

/// Any number of documents, as imports create them.
impl Validate for &[NewDocument] {
    fn check(&self, validator: &mut Validator) {
        for (index, document) in self.iter().enumerate() {
            validator.check_below(&format!("{}[{index}]", DOCUMENTS.name), document);
        }
    }
}

/// Changes of a document; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocumentPatch {
    /// Another title.
    pub title: Change<String>,
    /// Replaces the content whole.
    pub content: Option<CanonicalJson>,
    /// Replaces the metadata whole.
    pub metadata: Option<CanonicalJson>,
}

impl DocumentPatch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Validate for DocumentPatch {
    fn check(&self, validator: &mut Validator) {
        DOCUMENT_TITLE.check(validator, self.title.as_deref());
        DOCUMENT_CONTENT.check(validator, self.content.as_ref());
        METADATA.check(validator, self.metadata.as_ref());
    }
}

/// The key of an entry of `used_documents` that refers to a document.
const REFERENCE: &str = "document_id";

/// An entry of a message's `used_documents` that refers to a document: `{"document_id": …}` with no other key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentReference {
    /// The place of the entry in the list.
    pub index: usize,
    /// The document; `None` when the value is no id.
    pub id: Option<DocumentId>,
}

impl DocumentReference {
    /// The references in a message's `used_documents`, in their order. Texts and other objects are none.
    #[must_use]
    pub fn of(used_documents: &CanonicalJson) -> Vec<Self> {
        if !used_documents.as_str().contains(REFERENCE) {
            return Vec::new();
        }
        let serde_json::Value::Array(entries) = used_documents.to_value() else { return Vec::new() };
        let reference = |(index, entry): (usize, &serde_json::Value)| {
            let value = entry.as_object().filter(|fields| fields.len() == 1)?.get(REFERENCE)?;
            Some(Self { index, id: value.as_str().and_then(|text| text.parse().ok()) })
        };
        entries.iter().enumerate().filter_map(reference).collect()
    }

    /// The name of its field in `used_documents`.
    #[must_use]
    pub fn field(&self) -> String {
        format!("[{}].{REFERENCE}", self.index)
    }
}

/// Which of a user's documents; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Only those with exactly this title.
    pub title: Option<String>,
    /// Only those whose content contains this.
    pub contains: Option<JsonFilter>,
    /// Only those whose metadata contains this.
    pub metadata_contains: Option<JsonFilter>,
}

impl DocumentFilter {
    /// Whether it leaves nothing out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let Self { title, contains, metadata_contains } = self;
        title.is_none() && contains.is_none() && metadata_contains.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntoValid as _, Invalid};

    #[test]
    fn every_wrong_field_of_a_document_is_reported_with_its_place() {
        let wrong = NewDocument {
            title: Some("x".repeat(513)),
            metadata: CanonicalJson::list(),
            ..NewDocument::new(CanonicalJson::list())
        };
        let Invalid(errors) = vec![NewDocument::default(), wrong].into_valid().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["documents[1].title", "documents[1].metadata"]);
    }

    #[test]
    fn only_an_object_with_a_document_id_alone_is_a_reference() {
        let id = DocumentId::from_uuid(uuid::Uuid::from_u128(7));
        let used = format!(
            r#"["document_id", {{"id": "{id}"}}, {{"document_id": "{id}"}}, {{"document_id": "{id}", "score": 1}},
            {{"document_id": 7}}, {{"document_id": "{}"}}, {{}}]"#,
            id.short()
        );
        let found = DocumentReference::of(&CanonicalJson::parse(&used).unwrap());
        let expected = [(2, Some(id)), (4, None), (5, Some(id))];
        assert_eq!(found, expected.map(|(index, id)| DocumentReference { index, id }));
        assert_eq!(found[1].field(), "[4].document_id");
        assert_eq!(DocumentReference::of(&CanonicalJson::list()), []);
    }

    #[test]
    fn the_content_of_a_document_may_be_any_json() {
        for text in ["null", "0", "\"\"", "[]", "{}", "true"] {
            let content = CanonicalJson::parse(text).unwrap();
            assert!(NewDocument::new(content).into_valid().is_ok(), "{text}");
        }
    }
}
