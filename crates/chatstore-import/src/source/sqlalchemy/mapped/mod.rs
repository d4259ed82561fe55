//! Databases that a mapping describes: its rows become records of ours, and go the way of those of every application
//! whose rows name each other.

mod fields;
mod read;
mod ready;
mod resolve;

use chatstore_sql::{ExternalRow, ExternalValue};

use super::SqlalchemyError;
use super::json::json;
use super::mapping::Filter;
use super::reader::Reader;
use crate::report::Issue;
use crate::source::records::{self, HandOver, Record, Spool, Table};
use read::text_of;

pub(super) use ready::{based, ready_maps};
pub(super) use resolve::{MappedTable, resolve};

/// The tables of a report.
pub(super) const REPORTED: [&str; 5] = ["users", "conversations", "messages", "documents", "members"];

/// Whether a conversation's owner is nowhere in the database.
pub(super) fn names_no_owner(tables: &[MappedTable]) -> bool {
    tables.iter().any(|table| table.target.name == "conversations" && !table.has_field("user_id"))
}

/// The names of the tables that are read.
pub(super) fn read_tables(tables: &[MappedTable]) -> impl Iterator<Item = &str> {
    tables.iter().flat_map(|table| &table.tables).map(|table| table.name.as_str())
}

/// Hands over everything.
pub(super) async fn read(reader: &mut Reader<'_>, tables: &[MappedTable]) -> Result<(), SqlalchemyError> {
    let spool = Spool::create()?;
    let messages = tables.iter().find(|table| table.target.table == Some(Table::Messages));
    spool.keep_order(messages.is_some_and(|table| table.is_ordered));
    for table in tables {
        read_table(reader, &spool, table).await?;
    }
    let users = tables.iter().find(|table| table.target.table == Some(Table::Users));
    let wants_passwords = users.is_some_and(|table| table.has_field("hashed_password"));
    let conversations = tables.iter().find(|table| table.target.table == Some(Table::Conversations));
    let has_times = conversations.is_some_and(|table| table.has_field("created_at"));
    let settings = HandOver { owner: reader.owner, wants_passwords, has_times };
    records::hand_over(&spool, &mut reader.import, settings).await?;
    Ok(())
}

async fn read_table(
    reader: &mut Reader<'_>,
    spool: &Spool,
    table: &MappedTable,
) -> Result<(), SqlalchemyError> {
    let name = table.target.name;
    let (mut number, mut skipped) = (0_u64, 0);
    let mut before: Option<ExternalRow> = None;
    let selection = table.selection();
    let mut rows = reader.database.rows(&selection).await?;
    while let Some(read) = rows.next().await? {
        for values in read {
            if table.is_distinct && before.as_ref() == Some(&values) {
                continue;
            }
            number += 1;
            if is_skipped(table, &values) {
                skipped += 1;
            } else {
                put(spool, table, &values, number, &mut |issue| reader.import.report.issue(issue))?;
            }
            if table.is_distinct {
                before = Some(values);
            }
        }
    }
    if let Some((_, Filter { column, values, keeps, .. })) = &table.filter
        && skipped > 0
    {
        let (with, values) = (if *keeps { "other than" } else { "of" }, values.join(", "));
        let problem = format!("{skipped} rows have a {column} {with} {values}");
        reader
            .import
            .report
            .pass_over(Issue::of_table(name, problem, "left out, as the mapping says"), skipped);
    }
    if number > 0 {
        for column in &table.ignored {
            let problem = format!("the column of {} is not read", table.tables[0].name);
            let issue = Issue::of_table(name, problem, "left out, as the mapping says").in_column(column);
            reader.import.report.issue(issue);
        }
    }
    Ok(())
}

fn is_skipped(table: &MappedTable, values: &[ExternalValue]) -> bool {
    let Some((place, filter)) = &table.filter else { return false };
    let value = values.get(*place).and_then(|value| json(value, false));
    let text = value.as_deref().and_then(text_of).unwrap_or_default();
    filter.values.contains(&text) != filter.keeps
}

fn put(
    spool: &Spool,
    table: &MappedTable,
    values: &[ExternalValue],
    number: u64,
    report: &mut impl FnMut(Issue),
) -> Result<(), SqlalchemyError> {
    let mut record = Record::default();
    let mut key = None;
    let mut without_json = None;
    for field in &table.fields {
        without_json = without_json.or_else(|| field.read.place_without_json(values));
        let Some(value) = field.value(values) else { continue };
        if field.name == "id" {
            key = text_of(&value);
        }
        // Of parts, the name in a record says nothing of their format.
        let name = if field.name == "format" { records::PARTS_FORMAT } else { field.name };
        record.push(name.to_owned(), value);
    }
    let key = key.unwrap_or_else(|| number.to_string());
    let name = table.target.name;
    if let Some((place, column)) = without_json.and_then(|place| Some((place, table.column_at(place)?))) {
        let done = "what is in it is left empty; the text is in metadata.source";
        report(Issue::of_row(name, &key, "it holds no JSON", done).in_column(column));
        if let Some(text) = json(&values[place], false) {
            record.push(format!("{}.{column}", table.tables[0].name), text);
        }
    }
    let Some(target) = table.target.table else {
        let named = |field: &str| table.fields.iter().find(|known| known.name == field)?.value(values);
        let named = |field: &str| named(field).as_deref().and_then(text_of);
        if let (Some(conversation), Some(user)) = (named("conversation_id"), named("user_id")) {
            spool.member(&conversation, &user)?;
        }
        return Ok(());
    };
    for (index, column, is_json) in &table.kept {
        let Some(value) = json(&values[*index], *is_json) else { continue };
        record.push(kept_name(target, &table.tables[0].name, column), value);
    }
    match target {
        Table::Users => spool.user(&key, &record)?,
        Table::Conversations => spool.conversation(spool.begin_conversation(), &key, &record)?,
        Table::Messages => spool.message(&key, None, &record)?,
        Table::Documents => spool.document(&key, &record)?,
    }
    Ok(())
}

/// The name of a column without a field; one that is called like a field has the name of its table before it.
fn kept_name(target: Table, table: &str, column: &str) -> String {
    if records::is_any_field(target, column) { format!("{table}.{column}") } else { column.to_owned() }
}
