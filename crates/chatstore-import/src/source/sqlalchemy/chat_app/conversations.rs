//! Conversations, each followed by its messages with their responses.

use chatstore_model::{ConversationId, Timestamp, UserId};
use chatstore_sql::{ExternalRow, ExternalValue, Joined, Selection};

use super::messages::{Around, plan_message};
use super::{user_id, uuid};
use crate::engine::Import;
use crate::plan::{PlannedConversation, PlannedOwner, RowClock};
use crate::source::planning::{Times, conversation_id, plan_conversation, thread_id, whose};
use crate::source::row::{Layout, Row, TimesWithoutZone, quoted, shown};
use crate::source::sqlalchemy::reader::{Reader, known, order, select};
use crate::source::sqlalchemy::tables::Tables;
use crate::source::sqlalchemy::{Schema, SqlalchemyError};

/// Hands over all conversations with their messages.
pub(super) async fn read(reader: &mut Reader<'_>, tables: &Tables) -> Result<(), SqlalchemyError> {
    let Reader { database, import, zones, owner } = reader;
    let owner = *owner;
    let joined = JoinedTables::of(tables);
    let selection = joined.selection();
    let mut clock = RowClock::following(import.base_time());
    let mut open: Option<OpenConversation> = None;
    let mut rows = database.rows(&selection).await?;
    while let Some(read) = rows.next().await? {
        for row in read {
            let key = shown(joined.conversations.value(joined.split(&row).conversation, "id"));
            if open.as_ref().is_none_or(|open| open.key != key) {
                hand_message_over(&joined, open.as_mut(), import, zones).await?;
                let conversation = plan(&joined, &row, owner, clock.time(), zones);
                clock.follow(conversation.new.created_at);
                let model = conversation.new.default_model.as_deref().unwrap_or(import.default_model());
                let (id, default_model) = (conversation.id, model.to_owned());
                open = Some(OpenConversation { key, id, default_model, clock, rows: Vec::new() });
                import.conversation(conversation).await?;
            }
            if *joined.message_key(&row) == ExternalValue::Null {
                continue;
            }
            if open.as_ref().is_some_and(|open| open.is_at_another_message(&joined, &row)) {
                hand_message_over(&joined, open.as_mut(), import, zones).await?;
            }
            if let Some(open) = &mut open {
                open.rows.push(row);
            }
        }
        import.report.progress();
    }
    hand_message_over(&joined, open.as_mut(), import, zones).await
}

/// The tables whose rows are read joined: one for each response, for each message without a response, and for
/// each conversation without a message.
struct JoinedTables<'t> {
    users: &'t Layout,
    conversations: &'t Layout,
    messages: &'t Layout,
    responses: &'t Layout,
    /// The columns of users that name the owner.
    owner_columns: Vec<&'t str>,
}

impl<'t> JoinedTables<'t> {
    fn of(tables: &'t Tables) -> Self {
        let (users, conversations) = (tables.get("users"), tables.get("conversations"));
        let owner_columns = match conversations.column("user_id") {
            Some(_) => ["id", "created_at"].into_iter().filter_map(|field| users.column(field)).collect(),
            None => Vec::new(),
        };
        let (messages, responses) = (tables.get("messages"), tables.get("responses"));
        Self { users, conversations, messages, responses, owner_columns }
    }

    fn selection(&self) -> Selection<'t> {
        let mut selection = select(self.conversations, order(self.conversations, 0, &["id"]));
        if let Some(user_id) = self.conversations.column("user_id") {
            selection.joined.push(Joined {
                table: &self.users.table,
                columns: self.owner_columns.clone(),
                key: known(self.users, "id"),
                of: (0, user_id),
            });
        }
        let place = selection.joined.len() + 1;
        selection.joined.push(Joined {
            table: &self.messages.table,
            columns: self.messages.columns(),
            key: known(self.messages, "conversation_id"),
            of: (0, known(self.conversations, "id")),
        });
        selection.joined.push(Joined {
            table: &self.responses.table,
            columns: self.responses.columns(),
            key: known(self.responses, "message_id"),
            of: (place, known(self.messages, "id")),
        });
        // The order in which the application shows them.
        selection.order.extend(order(self.messages, place, &["created_at", "id"]));
        selection.identified =
            vec![(0, known(self.conversations, "id")), (place, known(self.messages, "id"))];
        selection
    }

    fn split<'r>(&self, row: &'r ExternalRow) -> JoinedRow<'r> {
        let (conversation, rest) = row.split_at(self.conversations.table.columns.len());
        let (owner, rest) = rest.split_at(self.owner_columns.len());
        let (message, response) = rest.split_at(self.messages.table.columns.len());
        JoinedRow { conversation, owner, message, response }
    }

    fn message_key<'r>(&self, row: &'r ExternalRow) -> &'r ExternalValue {
        self.messages.value(self.split(row).message, "id")
    }
}

/// The values of a joined row, by table.
struct JoinedRow<'r> {
    conversation: &'r [ExternalValue],
    /// The number of the user who owns the conversation, and when they were created.
    owner: &'r [ExternalValue],
    message: &'r [ExternalValue],
    response: &'r [ExternalValue],
}

fn plan(
    joined: &JoinedTables<'_>,
    row: &ExternalRow,
    otherwise_owner: UserId,
    otherwise: Timestamp,
    zones: &mut TimesWithoutZone,
) -> PlannedConversation {
    let JoinedRow { conversation, owner, .. } = joined.split(row);
    let mut row = Row::new(joined.conversations, conversation, "id");
    let times = Times::read(&mut row, otherwise);
    row.keep("id");
    row.keep("user_id");
    let owner = match owner {
        [] | [ExternalValue::Null, ..] => other_owner(&mut row, otherwise_owner),
        [number, rest @ ..] => user_id(number, rest.first().unwrap_or(&ExternalValue::Null)),
    };
    let fallback_id = conversation_id(Schema::ChatApp.as_str(), owner, &row, "uuid");
    let (id, thread_id) = match uuid(&mut row) {
        Some(id) => (ConversationId::from_uuid(id), None),
        None => (fallback_id, thread_id(&mut row, "uuid")),
    };
    plan_conversation(row, times, PlannedOwner::Known(owner), (id, fallback_id), thread_id, zones)
}

/// The owner of what belongs to no user, or to one who is gone.
fn other_owner(row: &mut Row<'_>, otherwise: UserId) -> UserId {
    if !row.is_null("user_id") {
        let problem = format!("there is no user {}", quoted(row.value("user_id")));
        row.report(Some("user_id"), problem, whose(otherwise));
    }
    otherwise
}

/// A conversation whose messages are being read.
struct OpenConversation {
    key: String,
    id: ConversationId,
    /// The model of a response that names none, nor does its message.
    default_model: String,
    /// Times of messages.
    clock: RowClock,
    /// The rows of one message, one for each response.
    rows: Vec<ExternalRow>,
}

impl OpenConversation {
    fn is_at_another_message(&self, joined: &JoinedTables<'_>, row: &ExternalRow) -> bool {
        self.rows.first().is_some_and(|first| joined.message_key(first) != joined.message_key(row))
    }
}

/// Hands over the message whose rows were read.
async fn hand_message_over(
    joined: &JoinedTables<'_>,
    open: Option<&mut OpenConversation>,
    import: &mut Import<'_>,
    zones: &mut TimesWithoutZone,
) -> Result<(), SqlalchemyError> {
    let Some(open) = open else { return Ok(()) };
    let rows = std::mem::take(&mut open.rows);
    let Some(first) = rows.first() else { return Ok(()) };
    let id_of = |values: &[ExternalValue]| joined.responses.value(values, "id").clone();
    let mut responses: Vec<&[ExternalValue]> = rows
        .iter()
        .map(|row| joined.split(row).response)
        .filter(|values| id_of(values) != ExternalValue::Null)
        .collect();
    responses.sort_by_key(|values| match id_of(values) {
        ExternalValue::Int(number) => number,
        _ => i64::MAX,
    });
    let around =
        Around { conversation: open.id, default_model: &open.default_model, otherwise: open.clock.time() };
    let layouts = (joined.messages, joined.responses);
    let (message, left_out) = plan_message(layouts, joined.split(first).message, &responses, &around, zones);
    open.clock.follow(message.new.created_at);
    for issue in left_out {
        import.report.issue(issue);
    }
    Ok(import.message(message).await?)
}
