//! Messages of a conversation, in their order.

use chatstore_model::{
    CanonicalJson, IntoValid, MessageId, MessageRole, NewMessage, UserId, VerbatimJson, limits,
};
use chatstore_sql::ExternalValue;
use uuid::Uuid;

use super::columns::{PARTS_FORMAT, Table};
use super::derived;
use super::prepared::Prepared;
use super::record::Record;
use super::spool::{Spool, SpoolError, uuid};
use crate::engine::Import;
use crate::plan::{PlannedMessage, RowClock};
use crate::report::Issue;
use crate::source::row::{JSON, Row, TimesWithoutZone, content, quoted, role_of, shown};

/// The conversation of messages.
pub(super) struct Around {
    /// Its row in the spool.
    pub(super) place: Option<i64>,
    pub(super) conversation: Uuid,
    /// Who may have written in it beside its owner.
    pub(super) members: Vec<UserId>,
    /// Gives a time to messages without one.
    pub(super) clock: RowClock,
}

/// What is known of a message beside its row.
struct Found {
    key: String,
    reference: Option<String>,
    is_embedded: bool,
    record: Record,
    /// How many rows before it have its id.
    repeated: i64,
    says_the_same: bool,
    occurrence: i64,
    embedded: i64,
    /// How many rows before it have its external id.
    repeated_external: i64,
}

/// Hands over the messages of a conversation.
pub(super) async fn hand_over(
    spool: &Spool,
    import: &mut Import<'_>,
    mut around: Around,
    zones: &mut TimesWithoutZone,
) -> Result<(), SpoolError> {
    let mut statement = spool.messages()?;
    let mut rows = spool.query_messages(&mut statement, around.place)?;
    while let Some(row) = rows.next()? {
        let found = found(spool, row)?;
        if let Some(problem) = found.duplicate() {
            let done = "left out; the first of them is imported";
            import.report.issue(Issue::of_row("messages", &found.key, problem, done).leaving_out());
            continue;
        }
        let message = plan(spool, &found, &around, zones)?;
        around.clock.follow(message.new.created_at);
        import.message(message).await?;
    }
    Ok(())
}

/// Reports the messages that belong to no conversation.
pub(super) fn report_orphans(spool: &Spool, import: &mut Import<'_>) -> Result<(), SpoolError> {
    let mut statement = spool.messages()?;
    let mut rows = spool.query_messages(&mut statement, None)?;
    while let Some(row) = rows.next()? {
        let found = found(spool, row)?;
        let prepared = Prepared::new(Table::Messages, found.key.clone(), &found.record);
        let row = prepared.row();
        let problem = match row.value("conversation_id") {
            ExternalValue::Null => "it names no conversation".to_owned(),
            named => format!("there is no conversation {}, or several users have one", quoted(named)),
        };
        let issue = Issue::of_row("messages", &row.key, problem, "left out");
        import.report.issue(issue.in_column("conversation_id").leaving_out());
    }
    Ok(())
}

fn found(spool: &Spool, row: &rusqlite::Row<'_>) -> Result<Found, SpoolError> {
    let (key, reference, record) = spool.message_at(row.get(0)?)?;
    Ok(Found {
        key,
        reference,
        record,
        is_embedded: row.get::<_, Option<i64>>(1)?.is_some(),
        repeated: row.get::<_, i64>(2)? - 1,
        says_the_same: row.get(3)?,
        occurrence: row.get(4)?,
        embedded: row.get(5)?,
        repeated_external: row.get::<_, i64>(6)? - 1,
    })
}

impl Found {
    /// Why it is the same as a message before it.
    fn duplicate(&self) -> Option<&'static str> {
        if self.reference.is_some() {
            let is_same = self.repeated > 0 && self.says_the_same;
            return is_same.then_some("another row has the same id and says the same");
        }
        let is_in_both = !self.is_embedded && self.occurrence <= self.embedded;
        is_in_both.then_some("the row of its conversation has the same message")
    }
}

fn plan(
    spool: &Spool,
    found: &Found,
    around: &Around,
    zones: &mut TimesWithoutZone,
) -> Result<PlannedMessage, SpoolError> {
    let prepared = Prepared::new(Table::Messages, found.key.clone(), &found.record);
    let mut row = prepared.row();
    row.keep("id");
    row.keep("user_id");
    let created_at = row.time_or("created_at", around.clock.time());
    let conversation = around.conversation.as_bytes();
    let occurrence = found.occurrence.to_string();
    let content_key = found.record.to_text();
    let derived_id = match &found.reference {
        Some(id) if found.repeated == 0 => derived(&[b"message", conversation, id.as_bytes()]),
        _ => derived(&[b"message", conversation, b"", content_key.as_bytes(), occurrence.as_bytes()]),
    };
    let fallback_id = MessageId::from_uuid(derived_id);
    let own_id = found.reference.as_deref().filter(|_| found.repeated == 0).and_then(uuid);
    let id = own_id.map_or(fallback_id, MessageId::from_uuid);
    if found.repeated > 0 {
        row.report(Some("id"), "another row has the same id", "imported with an id of its own");
    }
    let sender = match row.value("user_id") {
        ExternalValue::Null => None,
        named => spool.find_user(shown(named).trim())?.map(|user| spool.user_id(user)).transpose()?,
    };
    let role =
        if row.is_null("role") && sender.is_some() { MessageRole::User } else { role(spool, &mut row)? };
    let sender = sender.filter(|sender| around.members.contains(sender));
    let parts = parts(&row);
    let content = match &parts {
        Some(parts) if row.is_null("content") || row.declared("content") == Some(JSON) => {
            parts.text_of_parts()
        }
        _ => content(&mut row),
    };
    let external_id = external_id(&mut row, found.repeated_external);
    let format = parts.as_ref().and_then(|_| row.filled_text(PARTS_FORMAT, limits::FORMAT));
    let model = row.filled_text("model", limits::MODEL);
    let token_count = row.count("token_count");
    let used_documents = used_documents(&mut row);
    let metadata = row.metadata();
    zones.count(&row);
    let new = NewMessage {
        id: Some(id),
        parts,
        model,
        token_count,
        used_documents,
        metadata,
        created_at: Some(created_at),
        external_id,
        format,
        ..NewMessage::new(role, content)
    };
    let new = if (&new).into_valid().is_err() && new.parts.is_some() {
        row.report(Some("parts"), "they are not what parts can be", "left out; the content is kept");
        NewMessage { parts: None, format: None, ..new }
    } else {
        new
    };
    Ok(PlannedMessage { id, fallback_id, new, key: row.key, response: None, sender, issues: row.issues })
}

/// The role; a sender who is a user is one.
fn role(spool: &Spool, row: &mut Row<'_>) -> Result<MessageRole, SpoolError> {
    if let ExternalValue::Text(text) = row.value("role")
        && MessageRole::parse(text).is_none()
        && spool.find_user(text.trim())?.is_some()
    {
        row.keep("role");
        return Ok(MessageRole::User);
    }
    Ok(role_of(row))
}

/// The application's own id, when it is one that a message can have and no message before it has it.
fn external_id(row: &mut Row<'_>, repeated: i64) -> Option<String> {
    let id = row.text("external_id")?;
    let problem = if repeated > 0 {
        "a message before it has the same"
    } else if id.is_empty() || id.chars().count() > limits::EXTERNAL_ID {
        "it has no character, or more than 255"
    } else {
        return Some(id);
    };
    row.report(Some("external_id"), problem, "imported without it; the value is in metadata.source");
    row.keep("external_id");
    None
}

/// Content that is a list of objects.
fn parts(row: &Row<'_>) -> Option<VerbatimJson> {
    let field = if row.is_null("parts") { "content" } else { "parts" };
    let ExternalValue::Text(text) = row.value(field) else { return None };
    if row.declared(field) != Some(JSON) {
        return None;
    }
    let parts = VerbatimJson::parse(text.as_str()).ok()?;
    let is_list = parts.list_items().is_some_and(|mut items| items.all(|first| first == b'{'));
    is_list.then_some(parts)
}

/// What the message drew on, when it is a list of texts and objects.
fn used_documents(row: &mut Row<'_>) -> CanonicalJson {
    let list = match row.value("used_documents") {
        ExternalValue::Null => return CanonicalJson::list(),
        ExternalValue::Text(text) => CanonicalJson::parse(text).ok(),
        _ => None,
    };
    let list = list.filter(|list| {
        let new = NewMessage { used_documents: list.clone(), ..NewMessage::user("") };
        list.list_items().is_some() && (&new).into_valid().is_ok()
    });
    list.unwrap_or_else(|| {
        row.report(Some("used_documents"), "it is no list of texts and objects", "kept in metadata.source");
        row.keep_json("used_documents");
        CanonicalJson::list()
    })
}
