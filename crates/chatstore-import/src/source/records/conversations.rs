//! Conversations, each followed by its messages.

use chatstore_model::{CanonicalJson, ConversationId, Email, NewUser, Timestamp, UserId, UserName};
use serde_json::json;

use super::columns::Table;
use super::messages::{self, Around};
use super::prepared::Prepared;
use super::spool::{Spool, SpoolError, uuid};
use super::{HandOver, derived};
use crate::engine::Import;
use crate::plan::{PlannedConversation, PlannedOwner, PlannedUser, RowClock, UserIdentity};
use crate::report::Issue;
use crate::source::planning::{Times, plan_conversation, thread_id, whose};
use crate::source::row::{Row, TimesWithoutZone, quoted, shown};

/// Hands over all conversations, and reports the messages that belong to none.
pub(super) async fn hand_over(
    spool: &Spool,
    import: &mut Import<'_>,
    settings: HandOver,
    zones: &mut TimesWithoutZone,
) -> Result<(), SpoolError> {
    let mut clock = RowClock::following(import.base_time());
    let mut after = 0;
    while let Some(spooled) = spool.next(Table::Conversations, after)? {
        after = spooled.position;
        let mut record = spooled.record;
        let mut issues = Vec::new();
        let mut same_after = 0;
        while let Some(same) = spool.next_same(Table::Conversations, spooled.position, same_after)? {
            same_after = same.position;
            record.fill(same.record);
            let problem = format!("it is the conversation of row {:?}", spooled.key);
            issues.push(Issue::of_row(
                "conversations",
                &same.key,
                problem,
                "one conversation, with the messages of both",
            ));
            import.report.keep("conversations");
        }
        let prepared = Prepared::new(Table::Conversations, spooled.key.clone(), &record);
        let row = prepared.row();
        let count = spool.message_count(spooled.position)?;
        let otherwise = spool.first_time(spooled.position)?.unwrap_or(clock.time());
        let mut conversation = plan(spool, row, &spooled.key, count, settings, otherwise, zones)?;
        conversation.issues.extend(issues);
        for named in spool.members(spooled.position)? {
            match spool.find_user(&named)? {
                Some(user) => conversation.members.push(spool.user_id(user)?),
                None => {
                    let problem = format!("there is no member {named:?}");
                    let issue = Issue::of_row("conversations", &conversation.key, problem, "left out");
                    conversation.issues.push(issue.needing_review());
                }
            }
        }
        clock.follow(conversation.new.created_at);
        let members = conversation.members.clone();
        let around =
            Around { members, place: Some(spooled.position), conversation: conversation.id.uuid(), clock };
        import.conversation(conversation).await?;
        messages::hand_over(spool, import, around, zones).await?;
        import.report.progress();
    }
    messages::report_orphans(spool, import)
}

fn owner_id(owner: &PlannedOwner) -> UserId {
    match owner {
        PlannedOwner::Known(id) => *id,
        PlannedOwner::Described(user) => user.id,
    }
}

fn plan(
    spool: &Spool,
    mut row: Row<'_>,
    row_key: &str,
    messages: i64,
    settings: HandOver,
    otherwise: Timestamp,
    zones: &mut TimesWithoutZone,
) -> Result<PlannedConversation, SpoolError> {
    let times = if settings.has_times {
        Times::read(&mut row, otherwise)
    } else {
        Times::known_or(&mut row, otherwise)
    };
    row.keep("id");
    row.keep("user_id");
    let owner = find_owner(spool, &mut row, settings.owner)?;
    let owner_key = owner_id(&owner).uuid();
    let created_at = shown(row.value("created_at"));
    let derived_id = if row.is_null("id") {
        derived(&[b"conversation", owner_key.as_bytes(), b"row", row_key.as_bytes(), created_at.as_bytes()])
    } else {
        derived(&[b"conversation", owner_key.as_bytes(), row.key.as_bytes()])
    };
    let fallback_id = ConversationId::from_uuid(derived_id);
    let (id, thread_id) = match uuid(&row.key) {
        Some(id) if !row.is_null("id") => (ConversationId::from_uuid(id), None),
        _ if row.is_null("id") => (fallback_id, None),
        _ => (fallback_id, thread_id(&mut row, "id")),
    };
    let thread_id =
        if row.is_null("external_id") { thread_id } else { self::thread_id(&mut row, "external_id") };
    if let Some(counted) = row.count("message_count")
        && counted != messages
    {
        let done = format!("the conversation has {messages}");
        row.report(Some("message_count"), format!("it says {counted}"), done);
    }
    Ok(plan_conversation(row, times, owner, (id, fallback_id), thread_id, zones))
}

/// The owner that a row names; one that has no row is created.
pub(super) fn find_owner(
    spool: &Spool,
    row: &mut Row<'_>,
    otherwise: UserId,
) -> Result<PlannedOwner, SpoolError> {
    if row.is_null("user_id") {
        return Ok(PlannedOwner::Known(otherwise));
    }
    let named = shown(row.value("user_id"));
    if let Some(position) = spool.find_user(named.trim())? {
        return Ok(PlannedOwner::Known(spool.user_id(position)?));
    }
    let is_number_or_uuid = named.trim().parse::<f64>().is_ok() || uuid(named.trim()).is_some();
    let email = Email::new(named.trim()).ok();
    let name = if email.is_some() { None } else { UserName::imported(named.trim()).ok() };
    if is_number_or_uuid || (email.is_none() && name.is_none()) {
        let problem = format!("there is no user {}", quoted(row.value("user_id")));
        row.report(Some("user_id"), problem, whose(otherwise));
        return Ok(PlannedOwner::Known(otherwise));
    }
    let identity = match (&name, &email) {
        (Some(name), _) => format!("name:{}", name.key()),
        (None, email) => format!("email:{}", email.as_ref().map_or("", Email::key)),
    };
    let id = UserId::from_uuid(derived(&[b"user", identity.as_bytes()]));
    let metadata = CanonicalJson::new(json!({ "source": { "id": named } }));
    let new = NewUser {
        id: Some(id),
        email,
        metadata: metadata.unwrap_or_else(|_| CanonicalJson::object()),
        username: name,
        ..NewUser::default()
    };
    let identified_by = if new.username.is_some() { UserIdentity::Username } else { UserIdentity::Id };
    let user = PlannedUser { identified_by, ..PlannedUser::new(id, new, named) };
    Ok(PlannedOwner::Described(Box::new(user)))
}
