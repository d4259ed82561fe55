use std::sync::Arc;

use chatstore_model::fields::DOCUMENT_CONTENT;
use chatstore_model::{
    CanonicalJson, Document, DocumentFilter, DocumentId, DocumentPatch, DocumentPosition, FieldCode,
    IntoValid, Invalid, NewDocument, Page, UserId, Validator,
};
use chatstore_sql::{DocumentList, ReadTx, WriteTx};

use crate::error::{Error, Result};
use crate::store::Store;
use crate::user_scope::AsUser;

/// The documents of one user.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'s>(pub(crate) AsUser<'s>);

impl<'s> AsUser<'s> {
    /// The user's documents.
    #[must_use]
    pub const fn documents(&self) -> Documents<'s> {
        Documents(*self)
    }
}

impl Documents<'_> {
    /// Creates a document that the user owns.
    ///
    /// # Errors
    /// `Invalid`, also for content of more bytes than
    /// [`Builder::document_limit`](crate::Builder::document_limit); `AlreadyExists` when the id it brings is taken;
    /// `NotFound` when the user is gone.
    pub async fn create(self, new: impl IntoValid<NewDocument>) -> Result<Document> {
        let new = new.into_valid()?;
        check_sizes(self.0.store, [("", Some(&new.content))])?;
        let user = self.0.user;
        let create = async move |tx: &mut WriteTx<'_>| tx.documents().create(user, &new).await;
        Ok(self.0.write_single("document_create", create).await?)
    }

    /// Creates 1 to 200 documents, all or none.
    ///
    /// # Errors
    /// As [`create`](Self::create); the fields of `Invalid` are named `documents[3].title`.
    pub async fn create_many(self, new: impl IntoValid<Vec<NewDocument>>) -> Result<Vec<Document>> {
        let new = new.into_valid()?;
        check_batch(self.0.store, &new)?;
        let user = self.0.user;
        let create = async move |tx: &mut WriteTx<'_>| tx.documents().create_many(user, &new).await;
        Ok(self.0.write("document_create_many", create).await?)
    }

    /// A document.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, id: DocumentId) -> Result<Document> {
        let user = self.0.user;
        let get = async move |tx: &mut ReadTx<'_>| tx.documents().get(user, id).await;
        self.0.store.read("document_get", get).await?.ok_or_else(absent)
    }

    /// One page of the user's documents.
    ///
    /// # Errors
    /// `Invalid` for a title with U+0000; `Overloaded` when too many long reads wait, of a list with a filter.
    pub async fn page(self, list: DocumentList) -> Result<Page<Document, DocumentPosition>> {
        let (user, is_long) = (self.0.user, !list.filter.is_empty());
        let list = Arc::new(list);
        let page = async move |tx: &mut ReadTx<'_>| tx.documents().page(user, &list).await;
        Ok(match is_long {
            true => self.0.read_long_list("document_page", page).await?,
            false => self.0.read_list("document_page", page).await?,
        })
    }

    /// How many documents the user has.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn count(self, filter: DocumentFilter) -> Result<i64> {
        let (user, filter) = (self.0.user, Arc::new(filter));
        let count = async move |tx: &mut ReadTx<'_>| tx.documents().count(user, &filter).await;
        Ok(self.0.read_long_list("document_count", count).await?)
    }

    /// Changes a document; an empty patch changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` as [`create`](Self::create).
    pub async fn update(self, id: DocumentId, patch: impl IntoValid<DocumentPatch>) -> Result<Document> {
        let patch = patch.into_valid()?;
        check_sizes(self.0.store, [("", patch.content.as_ref())])?;
        let (user, expected) = (self.0.user, self.0.expected);
        let update = async move |tx: &mut WriteTx<'_>| {
            check_revision(tx, user, id, expected).await?;
            Ok(tx.documents().update(user, id, &patch).await?)
        };
        self.0.write("document_update", update).await
    }

    /// Deletes a document. Messages that refer to it keep their reference.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete(self, id: DocumentId) -> Result<()> {
        let (user, expected) = (self.0.user, self.0.expected);
        let delete = async move |tx: &mut WriteTx<'_>| {
            check_revision(tx, user, id, expected).await?;
            Ok(tx.documents().delete(user, id).await?)
        };
        self.0.write("document_delete", delete).await
    }
}

pub(super) fn absent() -> Error {
    Error::not_found("document")
}

/// Fails unless the document is at the revision that the caller expects, if any.
async fn check_revision(
    tx: &mut WriteTx<'_>,
    user: UserId,
    id: DocumentId,
    expected: Option<i64>,
) -> Result<()> {
    match expected {
        Some(revision) if tx.documents().lock(user, id).await? != revision => {
            Err(Error::precondition_failed())
        }
        _ => Ok(()),
    }
}

/// Fails when one of the documents is larger than the store takes.
pub(super) fn check_batch(store: &Store, new: &[NewDocument]) -> Result<()> {
    let prefixes: Vec<String> = (0..new.len()).map(|index| format!("documents[{index}].")).collect();
    let contents = prefixes.iter().zip(new).map(|(prefix, new)| (prefix.as_str(), Some(&new.content)));
    Ok(check_sizes(store, contents)?)
}

fn check_sizes<'c>(
    store: &Store,
    contents: impl IntoIterator<Item = (&'c str, Option<&'c CanonicalJson>)>,
) -> std::result::Result<(), Invalid> {
    let limit = store.document_limit();
    let mut validator = Validator::default();
    for (prefix, content) in contents {
        if content.is_some_and(|content| content.as_str().len() > limit) {
            let field = format!("{prefix}{}", DOCUMENT_CONTENT.name);
            let message = format!("must have at most {limit} bytes as JSON");
            validator.wrong(&field, FieldCode::TooLong, message);
        }
    }
    validator.finish()
}
