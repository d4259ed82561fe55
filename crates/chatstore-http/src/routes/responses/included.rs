//! Documents in the entries that refer to them.

use std::fmt::Write as _;

use chatstore::{CanonicalJson, DocumentReference, PAGE_BYTES, ReferencedDocuments};
use serde_json::value::RawValue;

use super::document::DocumentResponse;

/// Adds documents to lists of `used_documents`, until they have the bytes of a page, however often each is repeated.
pub(super) struct Including<'r> {
    referenced: &'r ReferencedDocuments,
    left: usize,
}

impl<'r> Including<'r> {
    pub(super) const fn new(referenced: &'r ReferencedDocuments) -> Self {
        Self { referenced, left: PAGE_BYTES }
    }

    /// Adds the document to each entry that refers to one, null for one that was deleted.
    pub(super) fn add_to(&mut self, used_documents: &mut CanonicalJson) {
        if let Some(included) = self.with_documents(used_documents) {
            *used_documents = included;
        }
    }

    /// The entries with their documents; `None` if there are none to add.
    fn with_documents(&mut self, used_documents: &CanonicalJson) -> Option<CanonicalJson> {
        let references = DocumentReference::of(used_documents);
        if references.is_empty() {
            return None;
        }
        let entries: Vec<&RawValue> = serde_json::from_str(used_documents.as_str()).ok()?;
        let mut texts: Vec<String> = entries.iter().map(|entry| entry.get().to_owned()).collect();
        for reference in references {
            let (Some(id), Some(text)) = (reference.id, texts.get_mut(reference.index)) else { continue };
            let document = match self.referenced.get(id) {
                Some(Some(document)) if self.left > 0 => {
                    serde_json::to_string(&DocumentResponse::from(document.clone())).ok()?
                }
                Some(None) => "null".to_owned(),
                Some(Some(_)) | None => continue,
            };
            self.left = self.left.saturating_sub(document.len());
            let rest = text.split_off(1);
            let _ = write!(text, "\"document\":{document},{rest}");
        }
        CanonicalJson::parse(&format!("[{}]", texts.join(","))).ok()
    }
}
