//! Reads their tables in order and hands the rows on, batch by batch.

mod open;
mod orphans;

use std::sync::Arc;

use chatstore_model::{ConversationId, Timestamp, UserId};
use chatstore_sql::{ForeignDatabase, ForeignValue, ReadTx, Selection, WriteTx};

use super::added::Added;
use super::layout::{Layout, Layouts, Schema};
use super::pieces::{Piece, Rows, Twins, look_at_pieces, write_pieces};
use super::plan::{PlannedUser, user};
use super::row::shown;
use super::tally::Tally;
use super::users::{look_at_users, write_users};
use super::{Event, Options, Report, Reported, Source, SqlalchemyError};
use chatstore::ErrorKind;
use chatstore::Store;
use open::{Open, join_messages, join_users};

/// Messages of a batch: 40 milliseconds on SQLite, reading included, at the 24,700 a second measured there.
const BATCH_ROWS: usize = 1_000;

/// Users looked at together, each with several statements.
const BATCH_USERS: usize = 200;

/// Bytes of texts that wait at most, so that large messages do not fill the memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// How often a batch is tried when another import of the same rows gets in between.
const ATTEMPTS: usize = 5;

pub(in crate::sqlalchemy) async fn run(
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

/// Where a conversation is, and the number of its last message.
type Ended = (Option<(UserId, ConversationId)>, i64);

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
        let mut twins = Repeated::of(layout, self.schema);
        while let Some(piece) = rows.next().await? {
            for piece in piece.chunks(BATCH_USERS) {
                let mut batch = Vec::with_capacity(piece.len());
                for values in piece {
                    if twins.is_repeated(values) {
                        self.tally.leave_out(twins.reported(layout, values));
                        continue;
                    }
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
        let layout = layouts.get("conversations");
        let mut selection = Selection {
            table: &layout.table,
            columns: layout.columns(),
            joined: Vec::new(),
            without: None,
            order: Vec::new(),
            identified: Vec::new(),
        };
        let mut owner_width = 0;
        if self.schema == Schema::Pakton {
            selection.order = order(layout, 0, &["user_email", "thread_id"]);
        } else {
            owner_width = join_users(&mut selection, layouts);
            selection.order = order(layout, 0, &["id"]);
            join_messages(&mut selection, layouts);
        }
        let of_messages = layout.table.columns.len() + owner_width;
        let mut rows = database.rows(&selection).await?;
        let mut open: Option<Open> = None;
        let mut twins = Repeated::of(layout, self.schema);
        while let Some(piece) = rows.next().await? {
            for row in piece {
                if self.schema == Schema::Pakton && twins.is_repeated(&row) {
                    self.tally.leave_out(twins.reported(layout, &row));
                    continue;
                }
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

    /// Writes the pieces that wait; where the last of them is, and the number of its last message.
    async fn flush(&mut self) -> Result<Ended, SqlalchemyError> {
        let batch = Arc::new(std::mem::take(&mut self.pieces));
        (self.rows, self.bytes) = (0, 0);
        if batch.is_empty() {
            return Ok((None, 0));
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
        let mut ended = (None, 0);
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
            ended = (outcome.place, outcome.last_seq);
        }
        self.tally.progress();
        Ok(ended)
    }
}

/// Finds rows with the key of the row before, which a table without a primary key may have.
struct Repeated {
    places: Vec<usize>,
    before: Vec<ForeignValue>,
}

impl Repeated {
    fn of(layout: &Layout, schema: Schema) -> Self {
        let fields: &[&str] = match (schema, layout.name) {
            (Schema::Pakton, "users") => &["email"],
            (Schema::Pakton, _) => &["user_email", "thread_id"],
            (Schema::ChatApp, _) => &["id"],
        };
        let places = fields.iter().filter_map(|field| layout.place(field)).collect();
        Self { places, before: Vec::new() }
    }

    fn is_repeated(&mut self, row: &[ForeignValue]) -> bool {
        let key: Vec<ForeignValue> = self.places.iter().map(|place| row[*place].clone()).collect();
        let is_repeated = key == self.before;
        self.before = key;
        is_repeated
    }

    fn reported(&self, layout: &Layout, row: &[ForeignValue]) -> Reported {
        let place = self.places.last().copied().unwrap_or_default();
        Reported {
            table: layout.name,
            key: Some(shown(&row[place])),
            column: Some(layout.table.columns[place].name.clone()),
            problem: "another row has the same key".to_owned(),
            done: "the first of them is taken, this one is left out".to_owned(),
            left_out: true,
        }
    }
}

fn order<'l>(layout: &'l Layout, place: usize, fields: &[&str]) -> Vec<(usize, &'l str)> {
    fields.iter().filter_map(|field| Some((place, layout.column(field)?))).collect()
}

/// The name here of a column without which the tables would not have been recognised.
fn known<'l>(layout: &'l Layout, field: &'static str) -> &'l str {
    layout.column(field).unwrap_or(field)
}

const fn one(is_new: bool) -> Rows {
    Rows { added: is_new as u64, unchanged: !is_new as u64, left_out: 0 }
}
