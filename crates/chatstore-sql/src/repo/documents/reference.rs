//! Documents that messages refer to.

use chatstore_model::{Document, DocumentId, Limit, UserId};
use constcat::concat;

use super::bounds::{bounded_rows, page_bytes};
use super::{COLUMNS, Documents, read};
use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::repo::list_of;
use crate::repo::live::live_user;

const OF_OWNER: &str = concat!(" from documents where owner_id = $1 and ", live_user!("$1"), " and id in ");
const ON_SQLITE: &str = "(select unhex(value) from json_each($2))";
const ON_POSTGRES: &str = "(select value::uuid from jsonb_array_elements_text($2))";

const FIND_PRESENT: Sql = Sql::pair(
    "documents.find_present",
    concat!("select id", OF_OWNER, ON_SQLITE),
    concat!("select id", OF_OWNER, ON_POSTGRES),
);

const FIND: Sql = Sql::pair(
    "documents.find",
    concat!("select ", COLUMNS, OF_OWNER, ON_SQLITE, " order by id"),
    bounded_rows!(concat!("select ", COLUMNS, OF_OWNER, ON_POSTGRES), "id", "$3"),
);

pub(super) const STATEMENTS: &[Sql] = &[FIND_PRESENT, FIND];

/// Documents that were looked for together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundDocuments {
    /// Those that exist, by their ids, up to the bytes of a page.
    pub documents: Vec<Document>,
    /// Whether these are all that exist.
    pub is_complete: bool,
}

impl<M> Documents<'_, '_, M> {
    /// Which of these documents the owner has.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_present(
        &mut self,
        owner: UserId,
        ids: &[DocumentId],
    ) -> Result<Vec<DocumentId>, StoreError> {
        let ids = list_of(ids.iter().map(|id| id.uuid()))?;
        self.0.executor.query(&FIND_PRESENT, &[owner.into(), (&ids).into()], |row| row.next()).await
    }

    /// Those of these documents that the owner has. The first 200 of the ids are looked for, and the documents have the
    /// bytes of a page.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find(&mut self, owner: UserId, ids: &[DocumentId]) -> Result<FoundDocuments, StoreError> {
        let most = Limit::MAX.rows();
        let listed = list_of(ids.iter().take(most).map(|id| id.uuid()))?;
        let mut values = vec![owner.into(), (&listed).into()];
        let is_bounded = self.0.executor.sends_every_row();
        if is_bounded {
            values.push(page_bytes());
        }
        let mut found: i64 = 0;
        let read = |row: &Row<'_>| {
            let document = read(row)?;
            if is_bounded {
                found = row.next()?;
            }
            Ok(document)
        };
        let mut rows = self.0.executor.query_page(&FIND, &values, Limit::MAX, read).await?;
        rows.note_found(found);
        let page = rows.into_page(|_| ());
        Ok(FoundDocuments { documents: page.items, is_complete: page.next.is_none() && ids.len() <= most })
    }
}
