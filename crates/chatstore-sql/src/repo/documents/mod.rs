//! Documents, found by id, listed by creation, and filtered by what their JSON contains.

mod bounds;
mod list;
mod reference;

use chatstore_model::{Document, DocumentId, DocumentPatch, IntoValid, NewDocument, UserId};
use constcat::concat;

use crate::db::{Sql, Value, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::schema::{Columns, DOCUMENTS};
use crate::tx::ReadWrite;

pub use list::DocumentList;
pub use reference::FoundDocuments;

const ALL: Columns = DOCUMENTS.all_columns();
const COLUMNS: &str = ALL.names().as_str();

const GET: Sql = Sql::same(
    "documents.get",
    concat!("select ", COLUMNS, " from documents where owner_id = $1 and id = $2 and ", live_user!("$1")),
);

/// SQLite has one writer, so nothing moves there while a transaction runs.
const LOCK: Sql = Sql::pair("documents.lock", LOCKED, concat!(LOCKED, " for no key update"));
const LOCKED: &str =
    concat!("select revision from documents where owner_id = $1 and id = $2 and ", live_user!("$1"));

/// The revision of a new document.
const FIRST_REVISION: i64 = 1;

/// Nothing, when there is no such owner or the id is taken. The content is not sent back.
const CREATE: Sql = Sql::same(
    "documents.create",
    concat!(
        ALL.insert_into().as_str(),
        " select ",
        ALL.values(1, &[]).as_str(),
        " from users u where u.id = $1 and u.deleted_at is null on conflict do nothing returning revision"
    ),
);

/// Keeps the owner from being deleted while several documents are created.
const LOCK_OWNER: Sql = Sql::pair("documents.lock_owner", OWNER, concat!(OWNER, " for key share"));
const OWNER: &str = "select id from users where id = $1 and deleted_at is null";

const INSERT: Sql = Sql::same("documents.insert", ALL.insert(&[]).as_str());

const UPDATE: Sql = Sql::same(
    "documents.update",
    concat!(
        "update documents set title = case when $1 then $2 else title end, \
         metadata = coalesce($3, metadata), content = coalesce($4, content), revision = revision + 1, ",
        forward!("updated_at", "$5"),
        " where owner_id = $6 and id = $7 and ",
        live_user!("$6"),
        " returning ",
        COLUMNS
    ),
);

const DELETE: Sql = Sql::same(
    "documents.delete",
    concat!("delete from documents where owner_id = $1 and id = $2 and ", live_user!("$1")),
);

pub(super) const STATEMENTS: &[&[Sql]] = &[OWN_STATEMENTS, list::STATEMENTS, reference::STATEMENTS];

const OWN_STATEMENTS: &[Sql] = &[GET, LOCK, CREATE, LOCK_OWNER, INSERT, UPDATE, DELETE];

const NOT_FOUND: StoreError = StoreError::NotFound { entity: DOCUMENTS.entity };
const TAKEN: StoreError = StoreError::AlreadyExists { entity: DOCUMENTS.entity, field: "id" };
const NO_OWNER: StoreError = StoreError::MissingReference { entity: DOCUMENTS.entity };

repository! {
    /// Documents.
    Documents, documents
}

reader! {
    fn read -> Document {
        owner_id, id, title, metadata, revision, created_at, updated_at, content,
    }
}

impl<M> Documents<'_, '_, M> {
    /// A document of this owner.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(&mut self, owner: UserId, id: DocumentId) -> Result<Option<Document>, StoreError> {
        self.0.executor.query_first(&GET, &[owner.into(), id.into()], read).await
    }
}

impl Documents<'_, '_, ReadWrite> {
    /// The revision of a document, which no other transaction changes before this one ends.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn lock(&mut self, owner: UserId, id: DocumentId) -> Result<i64, StoreError> {
        let values = [owner.into(), id.into()];
        let revision = self.0.executor.query_first(&LOCK, &values, |row| row.next()).await?;
        revision.ok_or(NOT_FOUND)
    }

    /// Creates a document.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] when the id it brings is taken;
    /// [`StoreError::MissingReference`] when there is no such owner.
    pub async fn create(
        &mut self,
        owner: UserId,
        new: impl IntoValid<&NewDocument>,
    ) -> Result<Document, StoreError> {
        let new = *new.into_valid()?;
        let document = self.to_document(owner, new);
        let created: Option<i64> =
            self.0.executor.query_changed(&CREATE, &insert_values(&document), |row| row.next()).await?;
        if created.is_some() {
            return Ok(document);
        }
        match self.get(owner, document.id).await? {
            Some(_) => Err(TAKEN),
            None => Err(NO_OWNER),
        }
    }

    /// Creates documents, all or none, in this order.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_many(
        &mut self,
        owner: UserId,
        new: impl IntoValid<&[NewDocument]>,
    ) -> Result<Vec<Document>, StoreError> {
        let new = *new.into_valid()?;
        let locked: Option<UserId> =
            self.0.executor.query_first(&LOCK_OWNER, &[owner.into()], |row| row.next()).await?;
        if locked.is_none() {
            return Err(NO_OWNER);
        }
        let documents: Vec<Document> = new.iter().map(|new| self.to_document(owner, new)).collect();
        let values = documents.iter().map(|document| insert_values(document).to_vec()).collect();
        self.0.executor.execute_each(&INSERT, values).await?;
        Ok(documents)
    }

    /// Changes a document; an empty patch changes nothing, not even the revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`].
    pub async fn update(
        &mut self,
        owner: UserId,
        id: DocumentId,
        patch: impl IntoValid<&DocumentPatch>,
    ) -> Result<Document, StoreError> {
        let patch = *patch.into_valid()?;
        if patch.is_empty() {
            return self.get(owner, id).await?.ok_or(NOT_FOUND);
        }
        let DocumentPatch { title, content, metadata } = patch;
        let values = [
            (!title.is_keep()).into(),
            title.value().into(),
            metadata.as_ref().into(),
            content.as_ref().into(),
            self.0.now().into(),
            owner.into(),
            id.into(),
        ];
        self.0.executor.query_changed(&UPDATE, &values, read).await?.ok_or(NOT_FOUND)
    }

    /// Deletes a document. What refers to it keeps its reference.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete(&mut self, owner: UserId, id: DocumentId) -> Result<(), StoreError> {
        match self.0.executor.execute(&DELETE, &[owner.into(), id.into()]).await? {
            0 => Err(NOT_FOUND),
            _ => Ok(()),
        }
    }

    fn to_document(&self, owner: UserId, new: &NewDocument) -> Document {
        let created_at = new.created_at.unwrap_or_else(|| self.0.now());
        Document {
            owner_id: owner,
            id: new.id.unwrap_or_else(|| DocumentId::from_uuid(self.0.new_uuid(created_at))),
            title: new.title.clone(),
            content: new.content.clone(),
            metadata: new.metadata.clone(),
            revision: FIRST_REVISION,
            created_at,
            updated_at: new.updated_at.unwrap_or(created_at),
        }
    }
}

fn insert_values(document: &Document) -> [Value<'_>; ALL.count()] {
    [
        document.owner_id.into(),
        document.id.into(),
        document.title.as_ref().into(),
        (&document.metadata).into(),
        document.revision.into(),
        document.created_at.into(),
        document.updated_at.into(),
        (&document.content).into(),
    ]
}
