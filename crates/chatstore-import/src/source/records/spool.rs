//! The temporary file of an import: rows as they came, and by what other rows name them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use chatstore_model::{Email, Timestamp, UserId, UserName};
use rusqlite::{Connection, OptionalExtension, Rows, Statement, ToSql, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::columns::{Table, all_places, places};
use super::derived;
use super::record::Record;
use crate::source::row::moment;

const TABLES: &str = "
    pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;
    pragma cache_size = -16384; pragma temp_store = file;
    create table users (position integer primary key, key text, id blob, same_as integer, body text);
    create table identities (identity text primary key, position integer) without rowid;
    create table user_names (kind integer, value text, position integer, primary key (kind, value)) without rowid;
    create table conversations
        (position integer primary key, key text, identity text, owner text, same_as integer, body text);
    create table conversation_names
        (kind integer, value text, position integer, primary key (kind, value, position)) without rowid;
    create table conversation_identities
        (owner text, identity text, position integer, primary key (owner, identity)) without rowid;
    create table messages
        (position integer primary key, key text, reference text, external text, conversation text, owner text,
         parent integer, home integer, at integer, digest blob, body text);
    create table members (conversation text, named text);
    create table documents (position integer primary key, key text, owner text, body text);
    begin;
";

/// Messages that are not in their conversation's row, put to the one that they name. An id that conversations of several
/// users have is none.
const FIND_HOMES: &str = "
    update messages set home = coalesce(
        (select coalesce(same_as, position) from conversations where position = messages.parent),
        (select case when count(distinct coalesce(same_as, c.position)) = 1 then min(coalesce(same_as, c.position)) end
            from conversation_names n join conversations c on c.position = n.position
            where n.kind = 0 and n.value = messages.conversation),
        (select coalesce(same_as, c.position) from conversation_names n join conversations c on c.position = n.position
            where n.kind = 1 and n.value = messages.conversation
            and not exists (select 1 from conversation_names o where o.kind = 0 and o.value = messages.conversation)));
    create index members_by_conversation on members (conversation);
    create index messages_by_home on messages (home, position);
    create index users_by_same on users (same_as, position) where same_as is not null;
    create index conversations_by_same on conversations (same_as, position) where same_as is not null;
    create index conversation_names_by_position on conversation_names (position, value) where kind = 0;
    -- Each of the sorts of a long conversation may have as much as the cache.
    pragma cache_size = -2048;
";

/// The messages of a conversation: those of its row in their order, others by their times, in which one without a time
/// follows the one before, or in their order as well. `repeated` counts rows with the same id, `occurrence` those that say the same, and
/// `embedded` those of them that are in the conversation's row. Rows are looked up one by one, so that they are not sorted.
const MESSAGES: &str = "
    select position, parent, repeated, digest = first_digest, occurrence, embedded, repeated_external from
        (select position, parent, digest, max(at) over (partition by following) as place,
            case when reference is null then 1
                else row_number() over (partition by reference order by position) end as repeated,
            case when external is null then 1
                else row_number() over (partition by external order by position) end as repeated_external,
            first_value(digest) over (partition by reference order by position) as first_digest,
            row_number() over (partition by digest, parent is null, reference order by position) as occurrence,
            sum(parent is not null) over (partition by digest) as embedded
        from (select *, count(at) over (order by position) as following from
            (select position, reference, external, parent, digest, case when parent is null and not ?2 then at end as at
                from messages where home is ?1)))
    order by place, position
";

/// The temporary file failed, or the store did.
#[derive(Debug, thiserror::Error)]
pub(in crate::source) enum SpoolError {
    #[error("the temporary file of the import failed: {0}")]
    File(String),
    #[error(transparent)]
    Store(#[from] chatstore::Error),
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error.to_string())
    }
}

impl From<serde_json::Error> for SpoolError {
    fn from(error: serde_json::Error) -> Self {
        Self::File(error.to_string())
    }
}

type SpoolResult<T> = Result<T, SpoolError>;

/// By what a user is named, in the order in which it is tried.
const USER_NAMES: [i64; 4] = [0, 1, 2, 3];

/// The rows of an import.
pub(in crate::source) struct Spool {
    file: Connection,
    positions: Cell<i64>,
    /// Whether messages are in the order of their rows, and not of their times.
    keeps_order: Cell<bool>,
    /// Columns without a field, with how many rows have them.
    unknown: RefCell<BTreeMap<(Table, String), u64>>,
}

const PREFIX: &str = "chatstore-import-";

/// Maximum number of columns without a field that are named.
const MAX_UNKNOWN: usize = 200;

/// A user, conversation or document as it was put into the spool.
#[derive(Debug)]
pub(super) struct SpooledRow {
    pub(super) position: i64,
    pub(super) key: String,
    pub(super) record: Record,
}

impl Spool {
    /// Creates the file, in the folder for temporary files, from which it is gone at once: it ends with the process.
    pub(in crate::source) fn create() -> SpoolResult<Self> {
        let of_system = |error: std::io::Error| SpoolError::File(error.to_string());
        let path = tempfile::Builder::new().prefix(PREFIX).tempfile().map_err(of_system)?.into_temp_path();
        let file = Connection::open(&path)?;
        file.execute_batch(TABLES)?;
        path.close().map_err(of_system)?;
        Ok(Self { file, positions: Cell::new(0), keeps_order: Cell::new(false), unknown: RefCell::default() })
    }

    fn next_position(&self) -> i64 {
        self.positions.set(self.positions.get() + 1);
        self.positions.get()
    }

    fn run(&self, statement: &str, values: &[&dyn ToSql]) -> SpoolResult<usize> {
        Ok(self.file.prepare_cached(statement)?.execute(values)?)
    }

    fn number(&self, statement: &str, values: &[&dyn ToSql]) -> SpoolResult<Option<i64>> {
        let found = self.file.prepare_cached(statement)?.query_row(values, |row| row.get(0)).optional()?;
        Ok(found.flatten())
    }

    /// Notes the columns without a field; the place of each field.
    fn look(&self, table: Table, record: &Record) -> Vec<(&'static str, Option<usize>)> {
        let places = places(table, record);
        for (index, name) in record.names().enumerate() {
            if places.iter().any(|(_, place)| *place == Some(index)) {
                continue;
            }
            let mut unknown = self.unknown.borrow_mut();
            if unknown.len() < MAX_UNKNOWN || unknown.contains_key(&(table, name.to_owned())) {
                *unknown.entry((table, name.to_owned())).or_default() += 1;
            }
        }
        places
    }

    /// Columns that have no field, with how many rows have them.
    pub(super) fn unknown_columns(&self) -> SpoolResult<Vec<(Table, String, u64)>> {
        let unknown = self.unknown.borrow();
        Ok(unknown.iter().map(|((table, name), rows)| (*table, name.clone(), *rows)).collect())
    }

    /// Puts a user, whose row has this key in its table.
    pub(in crate::source) fn user(&self, key: &str, record: &Record) -> SpoolResult<()> {
        let places = self.look(Table::Users, record);
        let named = |field: &str| reference(&places, record, field);
        let position = self.next_position();
        let name = named("username").and_then(|name| Some(UserName::imported(name).ok()?.key().to_owned()));
        let email = named("email").and_then(|email| Some(Email::new(email).ok()?.key().to_owned()));
        let own_id = named("id");
        let identity = match (&name, &email) {
            (Some(name), _) => format!("name:{name}"),
            (None, Some(email)) => format!("email:{email}"),
            (None, None) => format!("id:{}", own_id.as_deref().unwrap_or(key)),
        };
        let id = own_id.as_deref().and_then(uuid).unwrap_or_else(|| derived(&[b"user", identity.as_bytes()]));
        let found = "select position from identities where identity = ?1";
        let same_as = self.number(found, &[&identity])?;
        let canonical = same_as.unwrap_or(position);
        if same_as.is_none() {
            self.run("insert into identities values (?1, ?2)", &[&identity, &position])?;
        }
        let ids = all_places(Table::Users, record, "id");
        let ids = ids.into_iter().filter_map(|place| record.reference(place)).map(|id| (0, id));
        let others = [name.map(|name| (1, name)), email.map(|email| (2, email)), Some((3, key.to_owned()))];
        for (kind, value) in ids.chain(others.into_iter().flatten()) {
            let statement = "insert or ignore into user_names values (?1, ?2, ?3)";
            self.run(statement, &[&kind, &value, &canonical])?;
        }
        let body = record.to_text();
        let statement = "insert into users values (?1, ?2, ?3, ?4, ?5)";
        self.run(statement, &[&position, &key, &id.as_bytes().as_slice(), &same_as, &body])?;
        Ok(())
    }

    /// Says whether messages are in the order in which they are put, and not in that of their times.
    pub(in crate::source) fn keep_order(&self, keeps_order: bool) {
        self.keeps_order.set(keeps_order);
    }

    /// Where a conversation's messages refer to, before the conversation itself is put.
    pub(in crate::source) fn begin_conversation(&self) -> i64 {
        self.next_position()
    }

    /// Puts a conversation that was begun.
    pub(in crate::source) fn conversation(
        &self,
        position: i64,
        key: &str,
        record: &Record,
    ) -> SpoolResult<()> {
        let places = self.look(Table::Conversations, record);
        let named = |field: &str| reference(&places, record, field);
        let identity = named("id").map_or_else(
            || format!("row:{key}:{}", named("created_at").unwrap_or_default()),
            |id| format!("id:{id}"),
        );
        for place in all_places(Table::Conversations, record, "id") {
            if let Some(id) = record.reference(place) {
                let statement = "insert or ignore into conversation_names values (0, ?1, ?2)";
                self.run(statement, &[&id, &position])?;
            }
        }
        self.run("insert or ignore into conversation_names values (1, ?1, ?2)", &[&key, &position])?;
        let (owner, body) = (named("user_id"), record.to_text());
        let statement = "insert into conversations values (?1, ?2, ?3, ?4, null, ?5)";
        self.run(statement, &[&position, &key, &identity, &owner, &body])?;
        Ok(())
    }

    /// Puts a message, which is in the row of a conversation, or names one.
    pub(in crate::source) fn message(
        &self,
        key: &str,
        parent: Option<i64>,
        record: &Record,
    ) -> SpoolResult<()> {
        let places = self.look(Table::Messages, record);
        let raw = |field: &str| {
            let place = places.iter().find(|(name, _)| *name == field).and_then(|(_, place)| *place);
            place.map_or("null", |place| record.raw(place))
        };
        let named = |field: &str| reference(&places, record, field);
        let mut digest = Sha256::new();
        for field in ["role", "content", "parts", "created_at"] {
            digest.update(raw(field));
            digest.update([0]);
        }
        let digest = digest.finalize();
        let at = places.iter().find(|(name, _)| *name == "created_at").and_then(|(_, place)| *place);
        let at = at.and_then(|place| {
            moment::read_loose(record.values().get(place)?).instant().map(|at| at.as_microseconds())
        });
        let (position, body) = (self.next_position(), record.to_text());
        let (reference, external) = (named("id"), named("external_id"));
        let (conversation, owner) = (named("conversation_id"), named("user_id"));
        let statement = "insert into messages values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null, ?8, ?9, ?10)";
        self.file.prepare_cached(statement)?.execute(params![
            position,
            key,
            reference,
            external,
            conversation,
            owner,
            parent,
            at,
            digest.as_slice(),
            body
        ])?;
        Ok(())
    }

    /// Puts a member of a conversation, both as other rows name them.
    pub(in crate::source) fn member(&self, conversation: &str, user: &str) -> SpoolResult<()> {
        self.run("insert into members values (?1, ?2)", &[&conversation, &user])?;
        Ok(())
    }

    /// How the members of a conversation are named.
    pub(super) fn members(&self, conversation: i64) -> SpoolResult<Vec<String>> {
        let statement = "select distinct m.named from members m join conversation_names n on n.value = m.conversation \
                         where n.kind = 0 and n.position = ?1 order by m.named";
        let mut statement = self.file.prepare_cached(statement)?;
        let named = statement.query_map([conversation], |row| row.get(0))?;
        Ok(named.collect::<Result<_, _>>()?)
    }

    /// Puts a document.
    pub(in crate::source) fn document(&self, key: &str, record: &Record) -> SpoolResult<()> {
        let places = self.look(Table::Documents, record);
        let (position, owner) = (self.next_position(), reference(&places, record, "user_id"));
        let statement = "insert into documents values (?1, ?2, ?3, ?4)";
        self.run(statement, &[&position, &key, &owner, &record.to_text()])?;
        Ok(())
    }

    /// Looks up what the rows name, after all of them were put.
    pub(super) fn prepare(&self) -> SpoolResult<()> {
        let mut all = self.file.prepare("select position, identity, owner from conversations")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            let (position, identity): (i64, String) = (row.get(0)?, row.get(1)?);
            let named: Option<String> = row.get(2)?;
            let owner = match named.as_deref().map(|named| self.find_user(named)).transpose()?.flatten() {
                Some(user) => format!("user:{user}"),
                None => format!("none:{}", named.unwrap_or_default()),
            };
            let found = "select position from conversation_identities where owner = ?1 and identity = ?2";
            match self.number(found, &[&owner, &identity])? {
                Some(same) => {
                    let statement = "update conversations set same_as = ?2 where position = ?1";
                    self.run(statement, &[&position, &same])?;
                }
                None => {
                    let statement = "insert into conversation_identities values (?1, ?2, ?3)";
                    self.run(statement, &[&owner, &identity, &position])?;
                }
            }
        }
        self.file.execute_batch(FIND_HOMES)?;
        Ok(())
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> SpoolResult<u64> {
        let count = "select (select count(*) from users) + (select count(*) from conversations) \
                     + (select count(*) from messages) + (select count(*) from documents)";
        Ok(self.number(count, &[])?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// The row of the user who is named so: by id, name, address, or the key of their row.
    pub(super) fn find_user(&self, named: &str) -> SpoolResult<Option<i64>> {
        for kind in USER_NAMES {
            let value = match kind {
                1 => UserName::key_of(named),
                2 => Email::key_of(named),
                _ => named.to_owned(),
            };
            let found = "select position from user_names where kind = ?1 and value = ?2";
            if let Some(position) = self.number(found, &[&kind, &value])? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// The id that the user of a row has or gets.
    pub(super) fn user_id(&self, position: i64) -> SpoolResult<UserId> {
        let mut statement = self.file.prepare_cached("select id from users where position = ?1")?;
        let id: Vec<u8> = statement.query_row([position], |row| row.get(0))?;
        Ok(UserId::from_uuid(Uuid::from_slice(&id).unwrap_or_default()))
    }

    /// How many messages a conversation has.
    pub(super) fn message_count(&self, conversation: i64) -> SpoolResult<i64> {
        Ok(self.number("select count(*) from messages where home = ?1", &[&conversation])?.unwrap_or(0))
    }

    /// The time of a conversation's first message.
    pub(super) fn first_time(&self, conversation: i64) -> SpoolResult<Option<Timestamp>> {
        let first = self.number("select min(at) from messages where home = ?1", &[&conversation])?;
        Ok(first.and_then(|microseconds| Timestamp::from_microseconds(microseconds).ok()))
    }

    /// The first row of a table after a position, without those that are the same as another.
    pub(super) fn next(&self, table: Table, after: i64) -> SpoolResult<Option<SpooledRow>> {
        let distinct = if table == Table::Documents { "" } else { "same_as is null and" };
        let statement = format!(
            "select position, key, body from {} where {distinct} position > ?1 order by position limit 1",
            table.name()
        );
        self.one(&statement, &[&after])
    }

    /// The first row after a position that is the same as another.
    pub(super) fn next_same(
        &self,
        table: Table,
        same_as: i64,
        after: i64,
    ) -> SpoolResult<Option<SpooledRow>> {
        let statement = format!(
            "select position, key, body from {} where same_as = ?1 and position > ?2 \
             order by position limit 1",
            table.name()
        );
        self.one(&statement, &[&same_as, &after])
    }

    fn one(&self, statement: &str, values: &[&dyn ToSql]) -> SpoolResult<Option<SpooledRow>> {
        let mut statement = self.file.prepare_cached(statement)?;
        let found = statement
            .query_row(values, |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))
            .optional()?;
        let Some((position, key, body)) = found else { return Ok(None) };
        Ok(Some(SpooledRow { position, key, record: Record::parse(&body)? }))
    }

    /// A message by its position: its key, its id if it has one, and its row.
    pub(super) fn message_at(&self, position: i64) -> SpoolResult<(String, Option<String>, Record)> {
        let statement = "select key, reference, body from messages where position = ?1";
        let mut statement = self.file.prepare_cached(statement)?;
        let (key, reference, body): (_, _, String) =
            statement.query_row([position], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok((key, reference, Record::parse(&body)?))
    }

    /// The statement that finds messages.
    pub(super) fn messages(&self) -> SpoolResult<Statement<'_>> {
        Ok(self.file.prepare(MESSAGES)?)
    }

    /// The messages of a conversation, or without one those that have none.
    pub(super) fn query_messages<'s>(
        &self,
        statement: &'s mut Statement<'_>,
        conversation: Option<i64>,
    ) -> SpoolResult<Rows<'s>> {
        Ok(statement.query(params![conversation, self.keeps_order.get()])?)
    }
}

/// A text as a UUID that a row may have.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text).ok().filter(|uuid| !uuid.is_nil())
}

fn reference(places: &[(&'static str, Option<usize>)], record: &Record, field: &str) -> Option<String> {
    let place = places.iter().find(|(name, _)| *name == field).and_then(|(_, place)| *place)?;
    record.reference(place)
}

#[cfg(test)]
mod tests;
