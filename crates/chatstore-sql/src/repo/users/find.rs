//! Users as they are found and listed.

use chatstore_model::{
    Email, ExternalId, Limit, Order, Page, User, UserFilter, UserId, UserName, UserPosition, UserRole,
};
use constcat::concat;

use super::{COLUMNS, Users, read};
use crate::db::Sql;
use crate::error::StoreError;
use crate::repo::{list_of, refuse_nul};

const GET: Sql =
    Sql::same("users.get", concat!("select ", COLUMNS, " from users where id = $1 and deleted_at is null"));

const BY_USERNAME: Sql = Sql::same(
    "users.by_username",
    concat!("select ", COLUMNS, " from users where username_key = $1 and deleted_at is null"),
);

const BY_EMAIL: Sql = Sql::same(
    "users.by_email",
    concat!(
        "select ",
        COLUMNS,
        " from users where email_key = $1 and email_verified_at is not null and deleted_at is null"
    ),
);

const BY_CLAIMED_EMAIL: Sql = Sql::same(
    "users.by_claimed_email",
    concat!(
        "select ",
        COLUMNS,
        " from users where email_key = $1 and email_verified_at is null and deleted_at is null"
    ),
);

const BY_EXTERNAL_ID: Sql = Sql::same(
    "users.by_external_id",
    concat!(
        "select ",
        COLUMNS,
        " from users where external_namespace = $1 and external_id = $2 and deleted_at is null"
    ),
);

/// The built-in user has the least id and is in no list.
const ASCENDING: &str = " from users where (created_at, id) > ($1, $2) and id <> $3 and deleted_at is null";
const DESCENDING: &str = " from users where (created_at, id) < ($1, $2) and id <> $3 and deleted_at is null";
const OLDEST_FIRST: &str = " order by created_at, id limit ";
const NEWEST_FIRST: &str = " order by created_at desc, id desc limit ";
const FILTER: &str = " and (cast($4 as text) is null or role = $4) \
    and (cast($5 as boolean) is null or is_active = $5)";

const PAGE_ASCENDING: Sql =
    Sql::same("users.page_ascending", concat!("select ", COLUMNS, ASCENDING, OLDEST_FIRST, "$4"));
const PAGE_DESCENDING: Sql =
    Sql::same("users.page_descending", concat!("select ", COLUMNS, DESCENDING, NEWEST_FIRST, "$4"));
const FILTERED_ASCENDING: Sql =
    Sql::same("users.filtered_ascending", concat!("select ", COLUMNS, ASCENDING, FILTER, OLDEST_FIRST, "$6"));
const FILTERED_DESCENDING: Sql = Sql::same(
    "users.filtered_descending",
    concat!("select ", COLUMNS, DESCENDING, FILTER, NEWEST_FIRST, "$6"),
);

const COUNT: Sql =
    Sql::same("users.count", "select count(*) from users where id <> $1 and deleted_at is null");

/// PostgreSQL would keep the plan for the few users that there are before an import.
const EXISTING: Sql = Sql::pair(
    "users.existing",
    "select id from users where id in (select unhex(value) from json_each($1)) and deleted_at is null",
    "select id from users where id in (select value::uuid from jsonb_array_elements_text($1)) \
     and deleted_at is null",
)
.planned_anew();

pub(super) const STATEMENTS: &[Sql] = &[
    GET,
    EXISTING,
    BY_USERNAME,
    BY_EMAIL,
    BY_CLAIMED_EMAIL,
    BY_EXTERNAL_ID,
    PAGE_ASCENDING,
    PAGE_DESCENDING,
    FILTERED_ASCENDING,
    FILTERED_DESCENDING,
    COUNT,
];

impl<M> Users<'_, '_, M> {
    /// The user with this id.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.0.executor.query_first(&GET, &[id.into()], read).await
    }

    /// Those of these users that exist, in any order.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn existing(&mut self, ids: &[UserId]) -> Result<Vec<UserId>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = list_of(ids.iter().map(|id| id.uuid()))?;
        self.0.executor.query(&EXISTING, &[(&ids).into()], |row| row.next()).await
    }

    /// The user with this name, however it is spelled ([`UserName::key_of`]).
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name with NUL.
    pub async fn find_by_username(&mut self, username: &str) -> Result<Option<User>, StoreError> {
        refuse_nul("username", username)?;
        let key = UserName::key_of(username);
        self.0.executor.query_first(&BY_USERNAME, &[(&key).into()], read).await
    }

    /// The user who is known to have this e-mail address, however it is spelled ([`Email::key_of`]). One who only
    /// claims it is not found.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an address with NUL.
    pub async fn find_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        refuse_nul("email", email)?;
        let key = Email::key_of(email);
        self.0.executor.query_first(&BY_EMAIL, &[(&key).into()], read).await
    }

    /// The user who claims this e-mail address, however it is spelled. It may belong to someone else: this is for
    /// those who want to know who claims it, never to act for its owner.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an address with NUL.
    pub async fn find_by_claimed_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        refuse_nul("email", email)?;
        let key = Email::key_of(email);
        self.0.executor.query_first(&BY_CLAIMED_EMAIL, &[(&key).into()], read).await
    }

    /// The user whom another system knows by this id.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_by_external_id(&mut self, id: &ExternalId) -> Result<Option<User>, StoreError> {
        let values = [id.namespace().as_str().into(), id.id().into()];
        self.0.executor.query_first(&BY_EXTERNAL_ID, &values, read).await
    }

    /// Users by creation, without the built-in one. What a filter passes over costs time.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        filter: UserFilter,
        order: Order,
        from: Option<UserPosition>,
        limit: Limit,
    ) -> Result<Page<User, UserPosition>, StoreError> {
        let from = from.unwrap_or(UserPosition::start(order));
        let is_filtered = filter != UserFilter::default();
        let sql = match (order, is_filtered) {
            (Order::Ascending, false) => &PAGE_ASCENDING,
            (Order::Descending, false) => &PAGE_DESCENDING,
            (Order::Ascending, true) => &FILTERED_ASCENDING,
            (Order::Descending, true) => &FILTERED_DESCENDING,
        };
        let mut values = vec![from.at.into(), from.id.into(), UserId::ANONYMOUS.into()];
        if is_filtered {
            values.extend([filter.role.map(UserRole::as_str).into(), filter.is_active.into()]);
        }
        values.push(limit.with_lookahead().into());
        let rows = self.0.executor.query_page(sql, &values, limit, read).await?;
        Ok(rows.into_page(|user| UserPosition { at: user.created_at, id: user.id.uuid() }))
    }

    /// How many users there are, without the built-in one.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn count(&mut self) -> Result<i64, StoreError> {
        self.0.executor.query_one(&COUNT, &[UserId::ANONYMOUS.into()], |row| row.next()).await
    }
}
