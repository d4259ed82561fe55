//! `migrate roles`: the roles of a PostgreSQL server, each with the rights that it needs.

use chatstore_sql::schema::TABLES;
use clap::Args;

use crate::commands::print;

/// What stands in the script for the beginning of the names of the roles, for the names of the tables, for those that
/// reports may read, and for the columns that they may not.
const PREFIX: &str = "PREFIX";
const TABLE_NAMES: &str = "TABLES";
const READABLE_NAMES: &str = "READABLE";
const SECRET_NAMES: &str = "SECRETS";

/// Tables with nothing for reports: credentials, and answers that are kept for repeated requests.
const UNREADABLE: [&str; 4] = ["api_keys", "sessions", "refresh_tokens", "idempotency_keys"];

/// Columns of other tables with credentials.
const SECRETS: [&str; 1] = ["password_hash"];

/// The tables of the history, which are not part of the schema.
const HISTORY: [&str; 2] = ["chatstore_migrations", "chatstore_migrations_log"];

const SCRIPT: &str = include_str!("roles.sql");

#[derive(Debug, Args)]
pub(crate) struct Roles {
    /// Print the SQL; nothing runs it but you
    #[arg(long, required = true)]
    sql: bool,
    /// What the names of the roles begin with
    #[arg(long, value_name = "NAME", default_value = "chatstore", value_parser = name)]
    prefix: String,
}

impl Roles {
    pub(super) fn print(&self) {
        let names = || TABLES.iter().map(|table| table.name);
        let script = SCRIPT
            .replace(TABLE_NAMES, &quoted(names().chain(HISTORY)))
            .replace(READABLE_NAMES, &quoted(names().filter(|name| !UNREADABLE.contains(name))))
            .replace(SECRET_NAMES, &quoted(SECRETS))
            .replace(PREFIX, &self.prefix);
        print(script.trim_end());
    }
}

fn quoted<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

/// A name that needs no quotes.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    if begins_well && text.len() <= 40 && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("it must have up to 40 lower-case letters, digits and underscores, and begin with no digit"
        .to_owned())
}
