//! PAKTON: users by e-mail address, conversations by thread id; the messages are elsewhere.

use chatstore_model::{CanonicalJson, Email, NewUser, Timestamp, UserId};

use super::reader::{Reader, RepeatedKeys, order, select};
use super::tables::{TableDescription, Tables};
use super::{Schema, SqlalchemyError};
use crate::plan::{PlannedConversation, PlannedOwner, PlannedUser, RowClock, UserIdentity};
use crate::source::planning::{Times, conversation_id, derived, plan_conversation, thread_id, whose};
use crate::source::row::{Row, TimesWithoutZone, shown};

pub(super) const TABLES: [TableDescription; 2] = [
    TableDescription {
        name: "users",
        singular: "user",
        required: &["email"],
        optional: &["created_at", "updated_at"],
    },
    TableDescription {
        name: "conversations",
        singular: "conversation",
        required: &["thread_id", "user_email"],
        optional: &["title", "last_message", "created_at", "updated_at"],
    },
];

/// Hands over everything.
pub(super) async fn read(reader: &mut Reader<'_>, tables: &Tables) -> Result<(), SqlalchemyError> {
    reader.users(tables.get("users"), "email", |row| user_id(&row.key)).await?;
    let layout = tables.get("conversations");
    let key = ["user_email", "thread_id"];
    let selection = select(layout, order(layout, 0, &key));
    let mut repeated = RepeatedKeys::of(layout, &key);
    let mut clock = RowClock::following(reader.import.base_time());
    let mut rows = reader.database.rows(&selection).await?;
    while let Some(read) = rows.next().await? {
        for values in read {
            if let Some(issue) = repeated.find(&values) {
                reader.import.report.issue(issue);
                continue;
            }
            let row = Row::new(layout, &values, "thread_id");
            let conversation = plan(row, reader.owner, clock.time(), &mut reader.zones);
            clock.follow(conversation.new.created_at);
            reader.import.conversation(conversation).await?;
        }
        reader.import.report.progress();
    }
    Ok(())
}

fn plan(
    mut row: Row<'_>,
    otherwise_owner: UserId,
    otherwise: Timestamp,
    zones: &mut TimesWithoutZone,
) -> PlannedConversation {
    let times = Times::read(&mut row, otherwise);
    row.keep("thread_id");
    let (owner, owner_id) = if row.is_null("user_email") {
        row.report(Some("user_email"), "it names no user", whose(otherwise_owner));
        (PlannedOwner::Known(otherwise_owner), otherwise_owner)
    } else {
        let user = user_with_address(&mut row, times.created_at);
        let id = user.id;
        (PlannedOwner::Described(Box::new(user)), id)
    };
    let id = conversation_id(Schema::Pakton.as_str(), owner_id, &row, "thread_id");
    let thread_id = thread_id(&mut row, "thread_id");
    let planned = plan_conversation(row, times, owner, (id, id), thread_id, zones);
    PlannedConversation { is_thread: true, ..planned }
}

/// The user with the address of a conversation, as they are created when there is none.
fn user_with_address(row: &mut Row<'_>, created_at: Timestamp) -> PlannedUser {
    row.keep("user_email");
    let address = shown(row.value("user_email"));
    let id = user_id(&address);
    let source = serde_json::json!({ "source": { "email": address.replace('\0', "\u{fffd}") } });
    let email = Email::new(address.clone()).ok();
    let new = NewUser {
        id: Some(id),
        is_email_verified: email.is_some(),
        email,
        created_at: Some(created_at),
        metadata: CanonicalJson::new(source).unwrap_or_else(|_| CanonicalJson::object()),
        ..NewUser::default()
    };
    PlannedUser { identified_by: UserIdentity::Email, ..PlannedUser::new(id, new, address) }
}

fn user_id(address: &str) -> UserId {
    UserId::from_uuid(derived(&[b"pakton user", address.as_bytes()]))
}
