//! The data step of the revision that tells verified e-mail addresses from claimed ones: the keys of all addresses by the
//! present rules, and which of them are verified.
//!
//! A user without a password was not registered by the one who has the address now: an administrator, a service or an
//! import wrote it down. All other addresses are claims, until someone verifies them.

use std::fmt::Write as _;

use chatstore_migrate::{DatabaseError, DatabaseErrorKind, Dialect, StepAnswer, StepConnection, TextRow};
use chatstore_model::Email;
use uuid::Uuid;

/// Users whose addresses are read at a time.
const PIECE: usize = 1_000;

/// Pairs of users that an error names.
const NAMED: usize = 10;

/// Live users with an address, with the key it gets and whether it will be verified.
const FUTURE: &str = "(select users.id, coalesce(new_address_keys.email_key, users.email_key) as email_key, \
    users.password_hash is null as is_verified from users \
    left join new_address_keys on new_address_keys.id = users.id where users.email_key is not null) as future";

const VERIFY: &str =
    "update users set email_verified_at = updated_at where email_key is not null and password_hash is null";

pub(super) fn address_keys<'a>(connection: &'a mut StepConnection<'_>) -> StepAnswer<'a> {
    Box::pin(async move {
        let dialect = connection.dialect();
        connection.execute(create_table(dialect)).await?;
        collect_new_keys(connection).await?;
        refuse_shared_keys(connection).await?;
        connection.execute(VERIFY).await?;
        // One key may be free only when its present holder has got another.
        let in_transit = format!("'in transit ' || {}", shown_id(dialect, "id"));
        for key in [&in_transit, "(select n.email_key from new_address_keys n where n.id = users.id)"] {
            let changed = "where id in (select id from new_address_keys)";
            connection.execute(&format!("update users set email_key = {key} {changed}")).await?;
        }
        note_counts(connection).await?;
        connection.execute("drop table new_address_keys").await
    })
}

const fn create_table(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "create table new_address_keys (id blob not null primary key, email_key text not null)"
        }
        Dialect::Postgres => {
            "create table new_address_keys (id uuid not null primary key, email_key text collate \"C\" not null)"
        }
    }
}

/// Reads all addresses, and writes down the keys that change.
async fn collect_new_keys(connection: &mut StepConnection<'_>) -> Result<(), DatabaseError> {
    let dialect = connection.dialect();
    let mut after = "0".repeat(32);
    loop {
        let sql = format!(
            "select {}, email, email_key from users where email_key is not null and id > {} order by id limit {PIECE}",
            shown_id(dialect, "id"),
            id(dialect, &after),
        );
        let rows = connection.query(&sql).await?;
        let mut values = String::new();
        for row in &rows {
            let [user, email, present] = columns(row)?;
            let key = Email::key_of(email);
            if key != present {
                let separator = if values.is_empty() { "" } else { ", " };
                // Writing to a string does not fail.
                let _ = write!(values, "{separator}({}, {})", id(dialect, user), text(dialect, &key));
            }
            user.clone_into(&mut after);
        }
        if !values.is_empty() {
            connection
                .execute(&format!("insert into new_address_keys (id, email_key) values {values}"))
                .await?;
        }
        if rows.len() < PIECE {
            return Ok(());
        }
    }
}

/// Fails where two users would have one key: they may be one person or two, which only a person can tell.
async fn refuse_shared_keys(connection: &mut StepConnection<'_>) -> Result<(), DatabaseError> {
    let user = shown_id(connection.dialect(), "id");
    let sql = format!(
        "select min({user}), max({user}), count(*) from {FUTURE} group by email_key, is_verified \
         having count(*) > 1 order by 1 limit {NAMED}"
    );
    let shared = connection.query(&sql).await?;
    if shared.is_empty() {
        return Ok(());
    }
    let mut pairs = Vec::with_capacity(shared.len());
    for row in &shared {
        let [first, last, _] = columns(row)?;
        pairs.push(format!("{} and {}", hyphenated(first), hyphenated(last)));
    }
    let message = format!(
        "nothing was changed: the addresses of these users are now one and the same: {}; change or clear the address of \
         one of each, or erase that user, with the version of chatstore that the database is from, and upgrade again",
        pairs.join(", ")
    );
    Err(DatabaseError::new(DatabaseErrorKind::UnsuitableRows, message))
}

async fn note_counts(connection: &mut StepConnection<'_>) -> Result<(), DatabaseError> {
    let sql = "select count(email_verified_at), count(*) - count(email_verified_at), \
               (select count(*) from new_address_keys) from users where email_key is not null";
    let rows = connection.query(sql).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let [verified, claimed, changed] = columns(row)?;
    if (verified, claimed) != ("0", "0") {
        connection.note(&format!(
            "addresses of users without a password, which are verified now: {verified}; of users with one, which stay \
             claimed until they are verified: {claimed}; addresses that are compared in another form: {changed}"
        ));
    }
    Ok(())
}

/// An id as 32 hexadecimal digits, which sort as the ids do.
fn shown_id(dialect: Dialect, column: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("lower(hex({column}))"),
        Dialect::Postgres => format!("replace({column}::text, '-', '')"),
    }
}

fn id(dialect: Dialect, digits: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("x'{digits}'"),
        Dialect::Postgres => format!("'{digits}'::uuid"),
    }
}

/// A text as its bytes, so that nothing in it can end the literal.
fn text(dialect: Dialect, text: &str) -> String {
    let mut digits = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        let _ = write!(digits, "{byte:02x}");
    }
    match dialect {
        Dialect::Sqlite => format!("cast(x'{digits}' as text)"),
        Dialect::Postgres => format!("convert_from(decode('{digits}', 'hex'), 'UTF8')"),
    }
}

fn hyphenated(digits: &str) -> String {
    digits.parse::<Uuid>().map_or_else(|_| digits.to_owned(), |id| id.to_string())
}

fn columns(row: &TextRow) -> Result<[&str; 3], DatabaseError> {
    match row.as_slice() {
        [Some(first), Some(second), Some(third)] => Ok([first, second, third]),
        _ => Err(DatabaseError::new(
            DatabaseErrorKind::UnsuitableRows,
            "a user has the key of an address and no address; clear the key and upgrade again",
        )),
    }
}
