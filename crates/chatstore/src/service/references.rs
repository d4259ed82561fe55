//! What messages refer to: entries `{"document_id": …}` of their `used_documents`, which are documents of the
//! conversation's owner.

use std::collections::{BTreeMap, HashMap, HashSet};

use chatstore_model::fields::{MESSAGES, USED_DOCUMENTS};
use chatstore_model::{
    CanonicalJson, Document, DocumentId, DocumentReference, FieldCode, Message, MessageId, MessageRole,
    ModelResponse, NewMessage, UserId, Validator,
};
use chatstore_sql::{ReadTx, Tx};

use crate::error::Result;
use crate::user_scope::AsUser;

/// The references of messages that are about to be stored, with the names of their fields.
#[derive(Debug, Clone, Default)]
pub(super) struct References(Vec<(String, Option<DocumentId>)>);

impl References {
    /// Those of one message.
    pub(super) fn of(used_documents: Option<&CanonicalJson>) -> Self {
        let mut references = Self::default();
        references.add("", used_documents);
        references
    }

    /// Those of a batch.
    pub(super) fn of_batch(new: &[NewMessage]) -> Self {
        let mut references = Self::default();
        for (index, message) in new.iter().enumerate() {
            references.add(&format!("{}[{index}].", MESSAGES.name), Some(&message.used_documents));
        }
        references
    }

    fn add(&mut self, prefix: &str, used_documents: Option<&CanonicalJson>) {
        for reference in used_documents.map(DocumentReference::of).unwrap_or_default() {
            let field = format!("{prefix}{}{}", USED_DOCUMENTS.name, reference.field());
            self.0.push((field, reference.id));
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails unless each is a document of this owner.
    pub(super) async fn check<M>(&self, tx: &mut Tx<'_, M>, owner: UserId) -> Result<()> {
        let ids: Vec<DocumentId> = self.0.iter().filter_map(|(_, id)| *id).collect();
        let present: HashSet<DocumentId> = match ids.is_empty() {
            true => HashSet::new(),
            false => tx.documents().find_present(owner, &ids).await?.into_iter().collect(),
        };
        let mut validator = Validator::default();
        for (field, id) in &self.0 {
            match id {
                None => validator.wrong(field, FieldCode::InvalidFormat, "must be the id of a document"),
                Some(id) if !present.contains(id) => {
                    let message = "must be a document of the conversation's owner";
                    validator.wrong(field, FieldCode::NotAllowed, message);
                }
                Some(_) => {}
            }
        }
        Ok(validator.finish()?)
    }
}

/// The documents that messages refer to.
#[derive(Debug, Clone, Default)]
pub struct ReferencedDocuments {
    found: BTreeMap<DocumentId, Document>,
    is_complete: bool,
}

impl ReferencedDocuments {
    /// The document; `Some(None)` when it was deleted, `None` when it was left out because there are too many.
    #[must_use]
    pub fn get(&self, id: DocumentId) -> Option<Option<&Document>> {
        match self.found.get(&id) {
            Some(document) => Some(Some(document)),
            None if self.is_complete => Some(None),
            None => None,
        }
    }
}

impl AsUser<'_> {
    /// The responses behind messages of one conversation, which the caller has read. One statement, and none when no
    /// model said any of them.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn responses_behind(&self, messages: &[Message]) -> Result<HashMap<MessageId, ModelResponse>> {
        let answers = messages.iter().filter(|message| message.role == MessageRole::Assistant);
        let ids: Vec<MessageId> = answers.map(|message| message.id).collect();
        let Some(owner) = messages.first().map(|message| message.owner_id).filter(|_| !ids.is_empty()) else {
            return Ok(HashMap::new());
        };
        let find =
            async move |tx: &mut ReadTx<'_>| tx.responses().of_messages(owner, ids.iter().copied()).await;
        let found = self.read_list("responses_behind", find).await?;
        Ok(found.into_iter().map(|response| (response.message_id, response)).collect())
    }

    /// The documents that messages of one conversation refer to, which the caller has read: a maximum of 200, and of
    /// the bytes of a page. One statement, and none when there are no references.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn referenced_documents(&self, messages: &[Message]) -> Result<ReferencedDocuments> {
        let mut ids = Vec::new();
        let mut seen = HashSet::new();
        for message in messages {
            let references = DocumentReference::of(&message.used_documents);
            ids.extend(references.iter().filter_map(|reference| reference.id).filter(|id| seen.insert(*id)));
        }
        let Some(owner) = messages.first().map(|message| message.owner_id).filter(|_| !ids.is_empty()) else {
            return Ok(ReferencedDocuments { found: BTreeMap::new(), is_complete: true });
        };
        let find = async move |tx: &mut ReadTx<'_>| tx.documents().find(owner, &ids).await;
        let found = self.read_list("documents_referenced", find).await?;
        let documents = found.documents.into_iter().map(|document| (document.id, document)).collect();
        Ok(ReferencedDocuments { found: documents, is_complete: found.is_complete })
    }
}
