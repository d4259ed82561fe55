//! Reads their tables in order and hands the rows on, batch by batch.

use std::sync::Arc;

use chatstore_model::{ConversationId, Timestamp, UserId};
use chatstore_sql::{
    ForeignDatabase, ForeignRow, ForeignValue, Joined, ReadTx, Selection, StoreError, WriteTx,
};

use super::layout::{Layout, Layouts, Schema, part};
use super::plan::{
    Around, OwnerKey, PlannedConversation, PlannedMessage, PlannedUser, conversation, message, user,
};
use super::row::shown;
use super::store::{
    Added, Piece, PieceOutcome, Rows, Twins, Unwritten, UserOutcome, apply, decide_piece, decide_user,
};
use super::tally::Tally;
use super::{Event, Options, Report, Reported, Source, SqlalchemyError};
use crate::error::ErrorKind;
use crate::store::Store;

/// Rows written together at most; on SQLite this holds the writer for some 30 milliseconds.
const BATCH_ROWS: usize = 1_000;

/// Users looked at together, each with several statements.
const BATCH_USERS: usize = 200;

/// Bytes of texts that wait at most, so that large messages do not fill the memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How often a batch is tried when another import of the same rows gets in between.
const ATTEMPTS: usize = 5;

pub(super) async fn run(
    source: Source,
    store: &Store,
    options: Options,
    watch: impl FnMut(Event),
) -> Result<Report, SqlalchemyError> {
    let Source { mut database, layouts } = source;
    let mut total = 0;
    for layout in layouts.iter() {
        total += database.count(&layout.table).await?;
    }
    let tally = Tally::new(&layouts, total, watch);
    let mut import = Import {
        store,
        options,
        schema: layouts.schema,
        tally,
        earlier: Arc::new(Added::default()),
        before: options.base_time,
        pieces: Vec::new(),
        rows: 0,
        bytes: 0,
    };
    import.users(&mut database, &layouts).await?;
    import.conversations(&mut database, &layouts).await?;
    if layouts.schema == Schema::ChatApp {
        import.orphans(&mut database, &layouts).await?;
    }
    import.tally.progress();
    Ok(import.tally.finish())
}

struct Import<'s, W> {
    store: &'s Store,
    options: Options,
    schema: Schema,
    tally: Tally<W>,
    /// What a run that writes nothing would have added.
    earlier: Arc<Added>,
    /// The time of the row before.
    before: Timestamp,
    pieces: Vec<Piece>,
    rows: usize,
    bytes: usize,
}

impl<W: FnMut(Event)> Import<'_, W> {
    async fn users(
        &mut self,
        database: &mut ForeignDatabase,
        layouts: &Layouts,
    ) -> Result<(), SqlalchemyError> {
        let layout = layouts.get("users");
        let key = if self.schema == Schema::Pakton { "email" } else { "id" };
        let selection = Selection {
            table: &layout.table,
            columns: layout.columns(),
            joined: Vec::new(),
            without: None,
            order: order(layout, 0, &[key]),
            identified: Vec::new(),
        };
        let mut rows = database.rows(&selection).await?;
        while let Some(piece) = rows.next().await? {
            for piece in piece.chunks(BATCH_USERS) {
                let mut batch = Vec::with_capacity(piece.len());
                for values in piece {
                    let (planned, without_zone) = user(self.schema, layout, values, self.next_time());
                    self.before = planned.new.created_at.unwrap_or(self.before);
                    self.tally.zones("users", &without_zone);
                    batch.push(planned);
                }
                self.put_users(Arc::new(batch)).await?;
            }
        }
        Ok(())
    }

    fn next_time(&self) -> Timestamp {
        self.before.plus_microseconds(1)
    }

    async fn put_users(&mut self, batch: Arc<Vec<PlannedUser>>) -> Result<(), SqlalchemyError> {
        let mut attempt = 1;
        let (outcomes, now) = loop {
            let (batch, earlier) = (Arc::clone(&batch), Arc::clone(&self.earlier));
            let done = if self.options.dry_run {
                let work = async move |tx: &mut ReadTx<'_>| look_at_users(tx, &batch, &earlier).await;
                self.store.read("import_users", work).await
            } else {
                let work = async move |tx: &mut WriteTx<'_>| write_users(tx, &batch, &earlier).await;
                self.store.write("import_users", work).await
            };
            match done {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
                done => break done?,
            }
        };
        self.remember(now);
        for (planned, (is_new, reported)) in batch.iter().zip(outcomes) {
            if is_new {
                self.tally.tell_all(planned.reported.iter().cloned());
            }
            self.tally.tell_all(reported);
            self.tally.count("users", one(is_new));
        }
        self.tally.progress();
        Ok(())
    }

    fn remember(&mut self, now: Added) {
        if self.options.dry_run {
            Arc::make_mut(&mut self.earlier).absorb(now);
        }
    }

    async fn conversations(
        &mut self,
        database: &mut ForeignDatabase,
        layouts: &Layouts,
    ) -> Result<(), SqlalchemyError> {
        self.before = self.options.base_time;
        let (layout, users) = (layouts.get("conversations"), layouts.get("users"));
        let mut selection = Selection {
            table: &layout.table,
            columns: layout.columns(),
            joined: Vec::new(),
            without: None,
            order: Vec::new(),
            identified: Vec::new(),
        };
        let owner = if self.schema == Schema::Pakton { ("user_email", "email") } else { ("user_id", "id") };
        let of_users: Vec<&str> =
            [owner.1, "created_at"].into_iter().filter_map(|field| users.column(field)).collect();
        let owner_width = match (layout.column(owner.0), users.column(owner.1)) {
            (Some(of), Some(key)) => {
                let columns = of_users.clone();
                selection.joined.push(Joined { table: &users.table, columns, key, of: (0, of) });
                of_users.len()
            }
            _ => 0,
        };
        if self.schema == Schema::Pakton {
            selection.order = order(layout, 0, &["user_email", "thread_id"]);
        } else {
            selection.order = order(layout, 0, &["id"]);
            join_messages(&mut selection, layouts);
        }
        let of_messages = layout.table.columns.len() + owner_width;
        let mut rows = database.rows(&selection).await?;
        let mut open: Option<Open> = None;
        while let Some(piece) = rows.next().await? {
            for row in piece {
                let is_next = open.as_ref().is_none_or(|open| open.is_of_another(layout, &row, self.schema));
                if is_next {
                    self.close(open.take(), layouts, of_messages).await?;
                    open = Some(self.open(layout, &row, owner_width));
                }
                if let Some(open) = &mut open {
                    self.add(open, row, layouts, of_messages).await?;
                }
            }
            self.tally.progress();
        }
        self.close(open, layouts, of_messages).await?;
        self.flush().await?;
        Ok(())
    }

    /// Begins with a conversation.
    fn open(&mut self, layout: &Layout, row: &ForeignRow, owner_width: usize) -> Open {
        let values = part(row, 0, layout);
        let owner = &row[values.len()..values.len() + owner_width];
        let is_there = owner.first().is_some_and(|key| *key != ForeignValue::Null);
        let owner = match self.schema {
            Schema::Pakton if *layout.value(values, "user_email") != ForeignValue::Null => {
                OwnerKey::Addressed { is_there }
            }
            Schema::ChatApp if is_there => {
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
            given: 0,
            bytes: 0,
            messages: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of a conversation; the rows of one message come one after the other.
    async fn add(
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
    async fn close(
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
        open.place = self.flush().await?;
        open.given += i64::try_from(given).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Writes the pieces that wait; where the last of them is.
    async fn flush(&mut self) -> Result<Option<(UserId, ConversationId)>, SqlalchemyError> {
        let batch = Arc::new(std::mem::take(&mut self.pieces));
        (self.rows, self.bytes) = (0, 0);
        if batch.is_empty() {
            return Ok(None);
        }
        let mut attempt = 1;
        let (outcomes, now) = loop {
            let (batch, earlier) = (Arc::clone(&batch), Arc::clone(&self.earlier));
            let done = if self.options.dry_run {
                let work = async move |tx: &mut ReadTx<'_>| look_at_pieces(tx, &batch, &earlier).await;
                self.store.read("import_conversations", work).await
            } else {
                // Twins of a UUID are looked for when the database has found that there is one.
                let twins = if attempt == 1 { Twins::Unlikely } else { Twins::Possible };
                let work = async move |tx: &mut WriteTx<'_>| write_pieces(tx, &batch, &earlier, twins).await;
                self.store.write("import_conversations", work).await
            };
            match done {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
                done => break done?,
            }
        };
        self.remember(now);
        let mut place = None;
        for (piece, outcome) in batch.iter().zip(outcomes) {
            if outcome.conversation.added > 0 {
                self.tally.tell_all(piece.conversation.reported.iter().cloned());
            }
            self.tally.count("conversations", outcome.conversation);
            if self.schema == Schema::ChatApp {
                self.tally.count("messages", outcome.messages);
                self.tally.count("responses", outcome.responses);
            }
            self.tally.tell_all(outcome.reported);
            place = outcome.place;
        }
        self.tally.progress();
        Ok(place)
    }

    /// Messages without a conversation, and responses without a message. Whoever deleted the
    /// one meant the other as well, so they are not brought back.
    async fn orphans(
        &mut self,
        database: &mut ForeignDatabase,
        layouts: &Layouts,
    ) -> Result<(), SqlalchemyError> {
        let (conversations, messages) = (layouts.get("conversations"), layouts.get("messages"));
        let responses = layouts.get("responses");
        let of_messages = Joined {
            table: &conversations.table,
            columns: Vec::new(),
            key: known(conversations, "id"),
            of: (0, known(messages, "conversation_id")),
        };
        let selection = Selection {
            table: &messages.table,
            columns: vec![known(messages, "id"), known(messages, "conversation_id")],
            joined: vec![of_messages],
            without: Some(1),
            order: order(messages, 0, &["id"]),
            identified: Vec::new(),
        };
        self.orphans_of("messages", "conversation", database, &selection).await?;
        let of_responses = vec![
            Joined {
                table: &messages.table,
                columns: Vec::new(),
                key: known(messages, "id"),
                of: (0, known(responses, "message_id")),
            },
            Joined {
                table: &conversations.table,
                columns: Vec::new(),
                key: known(conversations, "id"),
                of: (1, known(messages, "conversation_id")),
            },
        ];
        let selection = Selection {
            table: &responses.table,
            columns: vec![known(responses, "id"), known(responses, "message_id")],
            joined: of_responses,
            without: Some(2),
            order: order(responses, 0, &["id"]),
            identified: Vec::new(),
        };
        self.orphans_of("responses", "message", database, &selection).await
    }

    async fn orphans_of(
        &mut self,
        table: &'static str,
        parent: &str,
        database: &mut ForeignDatabase,
        selection: &Selection<'_>,
    ) -> Result<(), SqlalchemyError> {
        let mut rows = database.rows(selection).await?;
        while let Some(piece) = rows.next().await? {
            for row in piece {
                self.tally.leave_out(Reported {
                    table,
                    key: Some(shown(&row[0])),
                    column: Some(selection.columns[1].to_owned()),
                    problem: format!("its {parent} {} is not there, or is left out", shown(&row[1])),
                    done: "left out: it was deleted with it".to_owned(),
                    left_out: true,
                });
            }
            self.tally.progress();
        }
        Ok(())
    }
}

/// A conversation whose rows are being read.
struct Open {
    key: String,
    conversation: Arc<PlannedConversation>,
    place: Option<(UserId, ConversationId)>,
    /// Messages in pieces that were cut off.
    given: i64,
    messages: Vec<PlannedMessage>,
    /// Bytes of their texts.
    bytes: usize,
    /// The rows of one message, one for each response.
    rows: Vec<ForeignRow>,
    /// The time of the message before.
    time: Timestamp,
}

impl Open {
    fn is_of_another(&self, layout: &Layout, row: &ForeignRow, schema: Schema) -> bool {
        // Every row of a thread is a thread of its own.
        schema == Schema::Pakton || self.key != shown(layout.value(part(row, 0, layout), "id"))
    }

    fn piece(&mut self) -> Piece {
        self.bytes = 0;
        Piece {
            conversation: Arc::clone(&self.conversation),
            first: self.given,
            messages: std::mem::take(&mut self.messages),
            place: self.place,
        }
    }
}

fn join_messages<'l>(selection: &mut Selection<'l>, layouts: &'l Layouts) {
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

fn order<'l>(layout: &'l Layout, place: usize, fields: &[&str]) -> Vec<(usize, &'l str)> {
    fields.iter().filter_map(|field| Some((place, layout.column(field)?))).collect()
}

/// The name here of a column without which the tables would not have been recognised.
fn known<'l>(layout: &'l Layout, field: &'static str) -> &'l str {
    layout.column(field).unwrap_or(field)
}

fn message_key<'r>(row: &'r ForeignRow, layouts: &Layouts, of_messages: usize) -> &'r ForeignValue {
    let messages = layouts.get("messages");
    messages.place("id").and_then(|place| row.get(of_messages + place)).unwrap_or(&ForeignValue::Null)
}

const fn one(is_new: bool) -> Rows {
    Rows { added: is_new as u64, unchanged: !is_new as u64, left_out: 0 }
}

type Users = (Vec<(bool, Vec<Reported>)>, Added);
type Pieces = (Vec<PieceOutcome>, Added);

fn unwritten(earlier: &Arc<Added>) -> Unwritten {
    Unwritten { earlier: Arc::clone(earlier), now: Added::default() }
}

async fn look_at_users(
    tx: &mut ReadTx<'_>,
    batch: &[PlannedUser],
    earlier: &Arc<Added>,
) -> Result<Users, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for planned in batch {
        let mut reported = Vec::new();
        let outcome = decide_user(tx, &mut unwritten, planned, &mut reported).await?;
        outcomes.push((matches!(outcome, UserOutcome::Add(_)), reported));
    }
    Ok((outcomes, unwritten.now))
}

async fn write_users(
    tx: &mut WriteTx<'_>,
    batch: &[PlannedUser],
    earlier: &Arc<Added>,
) -> Result<Users, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for planned in batch {
        let mut reported = Vec::new();
        let outcome = decide_user(tx, &mut unwritten, planned, &mut reported).await?;
        if let UserOutcome::Add(new) = &outcome {
            tx.users().create(new).await?;
        }
        outcomes.push((matches!(outcome, UserOutcome::Add(_)), reported));
    }
    Ok((outcomes, unwritten.now))
}

async fn look_at_pieces(
    tx: &mut ReadTx<'_>,
    batch: &[Piece],
    earlier: &Arc<Added>,
) -> Result<Pieces, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for piece in batch {
        outcomes.push(decide_piece(tx, &mut unwritten, piece, Twins::Possible).await?.0);
    }
    Ok((outcomes, unwritten.now))
}

async fn write_pieces(
    tx: &mut WriteTx<'_>,
    batch: &[Piece],
    earlier: &Arc<Added>,
    twins: Twins,
) -> Result<Pieces, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for piece in batch {
        let (outcome, changes) = decide_piece(tx, &mut unwritten, piece, twins).await?;
        apply(tx, outcome.place, changes).await?;
        outcomes.push(outcome);
    }
    Ok((outcomes, unwritten.now))
}
