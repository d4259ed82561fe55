//! A conversation while its rows are being read.

use std::sync::Arc;

use chatstore_model::{ConversationId, Timestamp, UserId};
use chatstore_sql::{ForeignRow, ForeignValue, Joined, Selection};

use super::{BATCH_BYTES, BATCH_ROWS, Import, known, order};
use crate::sqlalchemy::layout::{Layout, Layouts, Schema, part};
use crate::sqlalchemy::pieces::{Piece, Rows};
use crate::sqlalchemy::plan::{Around, OwnerKey, PlannedConversation, PlannedMessage, conversation, message};
use crate::sqlalchemy::row::shown;
use crate::sqlalchemy::{Event, SqlalchemyError};

/// A conversation whose rows are being read.
pub(super) struct Open {
    key: String,
    conversation: Arc<PlannedConversation>,
    place: Option<(UserId, ConversationId)>,
    /// Messages in pieces that were cut off.
    given: usize,
    /// The number of the last of them.
    last_seq: i64,
    messages: Vec<PlannedMessage>,
    /// Bytes of their texts.
    bytes: usize,
    /// The rows of one message, one for each response.
    rows: Vec<ForeignRow>,
    /// The time of the message before.
    time: Timestamp,
}

impl Open {
    pub(super) fn is_of_another(&self, layout: &Layout, row: &ForeignRow, schema: Schema) -> bool {
        // Every row of a thread is a thread of its own.
        schema == Schema::Pakton || self.key != shown(layout.value(part(row, 0, layout), "id"))
    }

    fn piece(&mut self) -> Piece {
        self.bytes = 0;
        Piece {
            conversation: Arc::clone(&self.conversation),
            last_seq: self.last_seq,
            messages: std::mem::take(&mut self.messages),
            place: self.place,
        }
    }
}

impl<W: FnMut(Event)> Import<'_, W> {
    /// Begins with a conversation.
    pub(super) fn open(&mut self, layout: &Layout, row: &ForeignRow, owner_width: usize) -> Open {
        let values = part(row, 0, layout);
        let owner = &row[values.len()..values.len() + owner_width];
        let owner = match self.schema {
            Schema::Pakton if *layout.value(values, "user_email") != ForeignValue::Null => {
                OwnerKey::Addressed
            }
            Schema::ChatApp if owner.first().is_some_and(|key| *key != ForeignValue::Null) => {
                OwnerKey::Numbered(&owner[0], owner.get(1).unwrap_or(&ForeignValue::Null))
            }
            _ => OwnerKey::Nobody,
        };
        let (planned, without_zone) = conversation(self.schema, layout, values, &owner, self.next_time());
        self.before = planned.new.created_at.unwrap_or(self.before);
        self.tally.zones("conversations", &without_zone);
        Open {
            key: planned.key.clone(),
            time: self.before,
            conversation: Arc::new(planned),
            place: None,
            last_seq: 0,
            given: 0,
            bytes: 0,
            messages: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of a conversation; the rows of one message come one after the other.
    pub(super) async fn add(
        &mut self,
        open: &mut Open,
        row: ForeignRow,
        layouts: &Layouts,
        of_messages: usize,
    ) -> Result<(), SqlalchemyError> {
        if self.schema == Schema::Pakton || *message_key(&row, layouts, of_messages) == ForeignValue::Null {
            return Ok(());
        }
        if let Some(first) = open.rows.first()
            && message_key(first, layouts, of_messages) != message_key(&row, layouts, of_messages)
        {
            self.take_message(open, layouts, of_messages);
            if open.messages.len() == BATCH_ROWS || open.bytes >= BATCH_BYTES {
                self.cut(open).await?;
            }
        }
        open.rows.push(row);
        Ok(())
    }

    /// Makes a message of the rows that wait.
    fn take_message(&mut self, open: &mut Open, layouts: &Layouts, of_messages: usize) {
        let Some(first) = open.rows.first() else { return };
        let (messages, responses) = (layouts.get("messages"), layouts.get("responses"));
        let of_responses = of_messages + messages.table.columns.len();
        let mut parts: Vec<&[ForeignValue]> = open
            .rows
            .iter()
            .map(|row| part(row, of_responses, responses))
            .filter(|values| *responses.value(values, "id") != ForeignValue::Null)
            .collect();
        parts.sort_by_key(|values| match responses.value(values, "id") {
            ForeignValue::Int(number) => *number,
            _ => i64::MAX,
        });
        let around = Around {
            conversation: open.conversation.id,
            default_model: open.conversation.new.default_model.as_deref(),
            server_model: self.store.default_model(),
            before: open.time.plus_microseconds(1),
        };
        let values = part(first, of_messages, messages);
        let (planned, left_out, zones) = message((messages, responses), values, &parts, &around);
        for (table, column) in zones {
            self.tally.zones(table, &[column]);
        }
        let rows_left_out = parts.len() - usize::from(planned.response.is_some());
        self.tally.count("responses", Rows { left_out: rows_left_out as u64, ..Rows::default() });
        self.tally.tell_all(left_out);
        open.time = planned.new.created_at.unwrap_or(open.time);
        self.rows += 1;
        self.bytes += planned.new.content.len();
        open.bytes += planned.new.content.len();
        open.messages.push(planned);
        open.rows.clear();
    }

    /// Ends a conversation.
    pub(super) async fn close(
        &mut self,
        open: Option<Open>,
        layouts: &Layouts,
        of_messages: usize,
    ) -> Result<(), SqlalchemyError> {
        let Some(mut open) = open else { return Ok(()) };
        self.take_message(&mut open, layouts, of_messages);
        self.rows += 1;
        if !open.messages.is_empty() || open.given == 0 {
            self.pieces.push(open.piece());
        }
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what there is of a large conversation. Its pieces are cut at the same messages in every
    /// run, so each was written whole or not at all.
    async fn cut(&mut self, open: &mut Open) -> Result<(), SqlalchemyError> {
        let given = open.messages.len();
        let piece = open.piece();
        self.pieces.push(piece);
        (open.place, open.last_seq) = self.flush().await?;
        open.given += given;
        Ok(())
    }
}

/// Joins what identifies the users of conversations; how many columns that is.
pub(super) fn join_users<'l>(selection: &mut Selection<'l>, layouts: &'l Layouts) -> usize {
    let (conversations, users) = (layouts.get("conversations"), layouts.get("users"));
    let columns: Vec<&str> =
        ["id", "created_at"].into_iter().filter_map(|field| users.column(field)).collect();
    let width = columns.len();
    let Some(of) = conversations.column("user_id") else { return 0 };
    selection.joined.push(Joined { table: &users.table, columns, key: known(users, "id"), of: (0, of) });
    width
}

/// Joins what belongs to conversations, in the order of each.
pub(super) fn join_messages<'l>(selection: &mut Selection<'l>, layouts: &'l Layouts) {
    let (conversations, messages) = (layouts.get("conversations"), layouts.get("messages"));
    let responses = layouts.get("responses");
    let place = selection.joined.len() + 1;
    selection.joined.push(Joined {
        table: &messages.table,
        columns: messages.columns(),
        key: known(messages, "conversation_id"),
        of: (0, known(conversations, "id")),
    });
    selection.joined.push(Joined {
        table: &responses.table,
        columns: responses.columns(),
        key: known(responses, "message_id"),
        of: (place, known(messages, "id")),
    });
    // The order in which their application shows them.
    selection.order.extend(order(messages, place, &["created_at", "id"]));
    selection.identified = vec![(0, known(conversations, "id")), (place, known(messages, "id"))];
}

fn message_key<'r>(row: &'r ForeignRow, layouts: &Layouts, of_messages: usize) -> &'r ForeignValue {
    let messages = layouts.get("messages");
    messages.place("id").and_then(|place| row.get(of_messages + place)).unwrap_or(&ForeignValue::Null)
}
