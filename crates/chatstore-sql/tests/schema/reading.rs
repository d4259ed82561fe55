//! Every column is read into the field of its name.

use chatstore_model::{
    CanonicalJson, ConversationId, Day, DocumentId, LogEventId, MessageId, Timestamp, UserId,
};
use chatstore_sql::schema::{Column, ColumnType, TABLES, Table};
use chatstore_sql::{Database, ReadTx, StoreError, Via};
use chatstore_testkit::Backend;
use rusqlite::types::Value;
use uuid::Uuid;

/// Columns that no entity has: secrets, keys by which rows are found, owners known to the caller, what only decides
/// whether a request is let in, and the marks of what is being deleted, which is not read.
const UNREAD: &[(&str, &[&str])] = &[
    ("users", &["username_key", "email_key", "password_hash", MARK]),
    ("conversations", &[MARK]),
    ("responses", &["owner_id"]),
    ("usage_daily", &["owner_id"]),
    ("api_keys", &["key_hash", "previous_key_hash", "password_confirmed_at"]),
    ("sessions", &["used_counter", "password_confirmed_at"]),
    ("refresh_tokens", &["token_hash"]),
];

/// The mark of what is being deleted.
const MARK: &str = "deleted_at";

/// Columns whose texts are words of a closed list.
const WORDS: &[(&str, &str, &str)] = &[
    ("users", "role", "admin"),
    ("messages", "role", "user"),
    ("api_keys", "scope", "service"),
    ("sessions", "revoke_reason", "logout"),
    ("logs", "level", "warn"),
];

/// Columns whose JSON is of one shape: the table, the column, the JSON, and how the field that holds it is shown.
const SHAPES: &[(&str, &str, &str, &str)] =
    &[("api_keys", "rights", r#"{"read_only":true}"#, "KeyRights { read_only: true")];

fn uuid(index: usize) -> Uuid {
    Uuid::from_u128(index as u128 + 1)
}

fn word(table: &Table, column: &Column) -> Option<&'static str> {
    let entry = WORDS.iter().find(|(name, of, _)| *name == table.name && *of == column.name);
    entry.map(|(_, _, word)| *word)
}

/// Columns whose texts are JSON.
const VERBATIM: &[(&str, &str)] = &[("messages", "parts")];

/// A value that no other column of the table has, and how the field that holds it is shown.
fn distinct(table: &Table, index: usize) -> (Value, String) {
    let column = &table.columns[index];
    if column.name == MARK {
        return (Value::Null, String::new());
    }
    let shape = SHAPES.iter().find(|(name, of, ..)| *name == table.name && *of == column.name);
    if let Some((.., json, shown)) = shape {
        return (Value::Text((*json).to_owned()), (*shown).to_owned());
    }
    match column.kind {
        ColumnType::Uuid => (Value::Blob(uuid(index).as_bytes().to_vec()), uuid(index).to_string()),
        ColumnType::Text => match word(table, column) {
            Some(word) => (Value::Text(word.to_owned()), capitalised(word)),
            None if VERBATIM.contains(&(table.name, column.name)) => {
                (Value::Text(format!("{:?}", column.name)), format!("{:?}", column.name))
            }
            None => (Value::Text(column.name.to_owned()), format!("{:?}", column.name)),
        },
        ColumnType::Bool => {
            let is_even = index.is_multiple_of(2);
            (Value::Integer(i64::from(is_even)), is_even.to_string())
        }
        ColumnType::Int => (Value::Integer(900 - index as i64), (900 - index).to_string()),
        ColumnType::Time => {
            let at = Timestamp::from_microseconds(86_400_000_000 * (index as i64 + 1)).unwrap();
            (Value::Integer(at.as_microseconds()), Day::of(at).to_string())
        }
        ColumnType::Json => {
            let text = format!("{{\"{}\":1}}", column.name);
            let shown = format!("{:?}", CanonicalJson::parse(&text).unwrap());
            (Value::Text(text), shown)
        }
        ColumnType::Bytes => (Value::Blob(vec![index as u8; 32]), format!("[{index}, {index}, {index}")),
        ColumnType::Float => panic!("no table has a float"),
    }
}

fn capitalised(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// One row in each table, each column with a value of its own.
fn insert_rows(path: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch("pragma foreign_keys = off; pragma ignore_check_constraints = on; delete from users")
        .unwrap();
    for table in TABLES {
        let places: Vec<String> = (1..=table.columns.len()).map(|number| format!("?{number}")).collect();
        let values = (0..table.columns.len()).map(|index| distinct(table, index).0);
        let text = format!("insert into {} values ({})", table.name, places.join(", "));
        connection.execute(&text, rusqlite::params_from_iter(values)).unwrap();
    }
    insert_conversation_of(&connection, "responses");
    insert_conversation_of(&connection, "idempotency_keys");
}

/// A response or a key is read by way of its conversation.
fn insert_conversation_of(connection: &rusqlite::Connection, rows: &str) {
    let table = TABLES.iter().find(|table| table.name == "conversations").unwrap();
    let id = format!("(select conversation_id from {rows})");
    let values = table.columns.iter().map(|column| match column.name {
        "id" => &id,
        "thread_id" => "null",
        name => name,
    });
    let values: Vec<&str> = values.collect();
    let text = format!("insert into conversations select {} from conversations limit 1", values.join(", "));
    connection.execute(&text, ()).unwrap();
}

async fn shown(tx: &mut ReadTx<'_>, table: &Table) -> Result<Option<String>, StoreError> {
    let owner = UserId::from_uuid(uuid(0));
    Ok(Some(match table.name {
        "users" => format!("{:?}", tx.users().get(owner).await?),
        "conversations" => {
            let id = ConversationId::from_uuid(uuid(1));
            format!("{:?}", tx.conversations().get(Via::Owner(owner), id).await?)
        }
        "messages" => {
            let (conversation, id) = (ConversationId::from_uuid(uuid(1)), MessageId::from_uuid(uuid(3)));
            format!("{:?}", tx.messages().get(Via::Owner(owner), conversation, id).await?)
        }
        "responses" => format!("{:?}", tx.responses().get(owner, MessageId::from_uuid(uuid(1))).await?),
        "usage_daily" => {
            let (first, last) = (Day::of(Timestamp::MIN), Day::of(Timestamp::MAX));
            format!("{:?}", tx.usage().between(owner, first, last).await?)
        }
        "documents" => {
            format!("{:?}", tx.documents().get(owner, DocumentId::from_uuid(uuid(1))).await?)
        }
        "logs" => format!("{:?}", tx.logs().get(owner, LogEventId::from_uuid(uuid(1))).await?),
        "api_keys" => format!("{:?}", tx.api_keys().list(owner).await?),
        "sessions" => format!("{:?}", tx.sessions().list(owner).await?),
        "refresh_tokens" => format!("{:?}", tx.refresh_tokens().list(owner).await?),
        "identities" => format!("{:?}", tx.identities().list(owner).await?),
        "idempotency_keys" => {
            format!("{:?}", tx.idempotency_keys().list(UserId::from_uuid(uuid(1))).await?)
        }
        // Members are read with the names of their users.
        "conversation_members" => return Ok(None),
        other => panic!("{other}: how are its rows read?"),
    }))
}

/// What is inside of `Some(…)`, `UserId(…)` and the like.
fn without_wrappers(mut value: &str) -> &str {
    loop {
        let name = value.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default();
        match value[name.len()..].strip_prefix('(') {
            Some(inner) => value = inner,
            None => return value,
        }
    }
}

async fn entity(database: &Database, table: &'static Table) -> Option<String> {
    database.read("entity", async move |tx| shown(tx, table).await).await.unwrap()
}

#[tokio::test]
async fn every_column_is_read_into_the_field_of_its_name() {
    let case = Backend::Sqlite.database().await;
    insert_rows(case.database.place());
    for table in TABLES {
        let Some(entity) = entity(&case.database, table).await else { continue };
        let unread = UNREAD.iter().find(|(name, _)| *name == table.name).map_or(&[][..], |(_, list)| list);
        for (index, column) in table.columns.iter().enumerate() {
            let field = entity.split_once(&format!(" {}: ", column.name));
            assert_eq!(field.is_none(), unread.contains(&column.name), "{}: {entity}", column.name);
            let Some((_, value)) = field else { continue };
            let (_, expected) = distinct(table, index);
            let is_read = without_wrappers(value).starts_with(&expected);
            assert!(is_read, "{}.{}: not {expected} in {entity}", table.name, column.name);
        }
    }
}
