//! Documents, as JSON.

use chatstore_model::{CanonicalJson, DocumentId, IntoValid, NewDocument, UserId, limits};
use chatstore_sql::ExternalValue;

use super::columns::Table;
use super::conversations::find_owner;
use super::derived;
use super::prepared::Prepared;
use super::spool::{Spool, SpoolError, uuid};
use crate::engine::Import;
use crate::plan::{PlannedDocument, PlannedOwner, RowClock};
use crate::report::Issue;
use crate::source::row::{JSON, Row, TimesWithoutZone, shown};

/// Hands over all documents.
pub(super) async fn hand_over(
    spool: &Spool,
    import: &mut Import<'_>,
    owner: UserId,
    zones: &mut TimesWithoutZone,
) -> Result<(), SpoolError> {
    let limit = import.document_limit();
    let mut clock = RowClock::following(import.base_time());
    let mut after = 0;
    while let Some(spooled) = spool.next(Table::Documents, after)? {
        after = spooled.position;
        let prepared = Prepared::new(Table::Documents, spooled.key.clone(), &spooled.record);
        let row = prepared.row();
        let key = row.key.clone();
        match plan(spool, row, &spooled.record.to_text(), owner, limit, clock, zones)? {
            Ok(document) => {
                clock.follow(document.new.created_at);
                import.document(document).await?;
            }
            Err(problem) => {
                import.report.issue(Issue::of_row("documents", &key, problem, "left out").leaving_out())
            }
        }
    }
    Ok(())
}

fn plan(
    spool: &Spool,
    mut row: Row<'_>,
    whole: &str,
    otherwise: UserId,
    limit: usize,
    clock: RowClock,
    zones: &mut TimesWithoutZone,
) -> Result<Result<PlannedDocument, String>, SpoolError> {
    row.keep("id");
    row.keep("user_id");
    let owner = find_owner(spool, &mut row, otherwise)?;
    let id_text = shown(row.value("id"));
    let content = match row.value("content") {
        ExternalValue::Null => CanonicalJson::parse(whole),
        ExternalValue::Text(text) if row.declared("content") == Some(JSON) => CanonicalJson::parse(text),
        ExternalValue::Text(text) => CanonicalJson::new(serde_json::Value::from(text.as_str())),
        other => CanonicalJson::new(serde_json::Value::from(shown(other))),
    };
    let content = match content {
        Ok(content) if content.as_str().len() <= limit => content,
        Ok(_) => return Ok(Err(format!("its content has more than {limit} bytes"))),
        Err(error) => return Ok(Err(format!("its content {error}"))),
    };
    let owner_key = match &owner {
        PlannedOwner::Known(id) => id.uuid(),
        PlannedOwner::Described(user) => user.id.uuid(),
    };
    let derived_id = derived(&[b"document", owner_key.as_bytes(), row.key.as_bytes()]);
    let id = DocumentId::from_uuid(uuid(&id_text).unwrap_or(derived_id));
    let created_at = row.time_or("created_at", clock.time());
    let updated_at = row.time("updated_at");
    let new = NewDocument {
        id: Some(id),
        title: row.text_within("title", limits::TITLE),
        content,
        created_at: Some(created_at),
        updated_at: Some(updated_at.unwrap_or(created_at).max(created_at)),
        metadata: row.metadata(),
    };
    if let Err(error) = (&new).into_valid() {
        return Ok(Err(error.to_string()));
    }
    zones.count(&row);
    Ok(Ok(PlannedDocument { owner, new, key: row.key, issues: row.issues }))
}
