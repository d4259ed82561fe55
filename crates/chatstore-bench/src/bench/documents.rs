//! Documents: created, read by id, and found by what they contain.

use std::hint::black_box;
use std::path::Path;

use chatstore_bench::data::{Scale, content, documents};
use chatstore_bench::databases::{PostgresDatabase, SqliteOriginal};
use chatstore_bench::drive::{Caller, Kind, Outcome, drive, drive_blocking};
use chatstore_bench::drivers::{connect, statement};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_model::{
    CanonicalJson, DocumentFilter, DocumentId, JsonFilter, Limit, NewDocument, Order, Timestamp, UserId,
};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, DocumentList, ReadTx, Sql, Value, WriteTx};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use rusqlite::{Connection, params_from_iter};
use tokio_postgres::NoTls;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::{Findings, Pace};
use crate::report::{Figures, Finding, Series};

const EXPERIMENT: &str = "documents";

/// How many callers at a time.
const CALLERS: [usize; 2] = [1, 16];

/// Connections of the bare pool: the store's default.
const POOL: usize = 16;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Create,
    Read,
    Filter,
}

impl Work {
    const ALL: [Self; 3] = [Self::Create, Self::Read, Self::Filter];

    const fn what(self) -> &'static str {
        match self {
            Self::Create => "create a document",
            Self::Read => "read a document",
            Self::Filter => "find 1 of 100 documents",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Create => Kind::Write,
            Self::Read | Self::Filter => Kind::Read,
        }
    }

    const fn statement(self) -> &'static str {
        match self {
            Self::Create => "documents.create",
            Self::Read => "documents.get",
            Self::Filter => "documents.containing_descending",
        }
    }
}

/// What one operation is about: a document that exists, and a new one.
struct Task {
    owner: UserId,
    id: DocumentId,
    new_id: Uuid,
    new: CanonicalJson,
    filter: JsonFilter,
}

/// Chooses what operations are about.
#[derive(Debug)]
struct Choice {
    scale: Scale,
    random: Random,
    text: String,
}

impl Choice {
    fn new(scale: Scale, seed: usize) -> Self {
        Self { scale, random: Random::new(seed as u64), text: content() }
    }

    fn next(&mut self) -> Result<Task, Error> {
        let count = usize::try_from(documents::count(self.scale))?;
        let number = self.random.below(count);
        let (owner, id) = documents::document(self.scale, number as u64)?;
        let part = |_| u128::from(self.random.below(u32::MAX as usize) as u32);
        let new_id = [0, 1, 2, 3].map(part).into_iter().fold(0, |id, part| id << 32 | part);
        Ok(Task {
            owner,
            id,
            new_id: Uuid::from_u128(new_id),
            new: CanonicalJson::new(serde_json::json!({"kind": 1, "number": -1, "text": self.text}))?,
            filter: JsonFilter::parse(&format!("{{\"number\": {number}}}"))?,
        })
    }
}

/// Through the store.
struct StoreCaller {
    database: Database,
    work: Work,
    choice: Choice,
}

impl Caller for StoreCaller {
    async fn run(&mut self) -> Result<Kind, Error> {
        let Task { owner, id, new_id, new, filter } = self.choice.next()?;
        match self.work {
            Work::Create => {
                let new = NewDocument { id: Some(DocumentId::from_uuid(new_id)), ..NewDocument::new(new) };
                let create = async move |tx: &mut WriteTx<'_>| tx.documents().create(owner, &new).await;
                black_box(self.database.write_single("create", create).await?);
            }
            Work::Read => {
                let read = async move |tx: &mut ReadTx<'_>| tx.documents().get(owner, id).await;
                if black_box(self.database.read("read", read).await?).is_none() {
                    return Err("a document is not there".into());
                }
            }
            Work::Filter => {
                let filter = DocumentFilter { contains: Some(filter), ..DocumentFilter::default() };
                let list = DocumentList { filter, order: Order::Descending, ..DocumentList::default() };
                let find = async move |tx: &mut ReadTx<'_>| tx.documents().page(owner, &list).await;
                let found = black_box(self.database.read("filter", find).await?).items.len();
                expect_one(found)?;
            }
        }
        Ok(self.work.kind())
    }
}

fn expect_one(found: usize) -> Result<(), Error> {
    if found == 1 { Ok(()) } else { Err(format!("{found} documents were found where there is one").into()) }
}

static EMPTY: CanonicalJson = CanonicalJson::object();

/// The values of the store's statement that creates a document.
fn created(task: &Task) -> [Value<'_>; 8] {
    let now = Timestamp::MIN;
    [
        task.owner.into(),
        task.new_id.into(),
        Value::Null,
        (&EMPTY).into(),
        1_i64.into(),
        now.into(),
        now.into(),
        (&task.new).into(),
    ]
}

/// Through tokio-postgres.
struct PostgresCaller {
    pool: Pool,
    work: Work,
    text: &'static str,
    choice: Choice,
}

impl Caller for PostgresCaller {
    async fn run(&mut self) -> Result<Kind, Error> {
        let task = self.choice.next()?;
        let client = self.pool.get().await?;
        let found = match self.work {
            Work::Create => query(&client, self.text, &created(&task)).await?,
            Work::Read => query(&client, self.text, &[task.owner.into(), task.id.into()]).await?,
            Work::Filter => {
                let (last, limit): (Value<'_>, Value<'_>) =
                    (Uuid::max().into(), Limit::default().with_lookahead().into());
                let values: [(Value<'_>, Type); 7] = [
                    (task.owner.into(), Type::UUID),
                    (Timestamp::MAX.into(), Type::TIMESTAMPTZ),
                    (last, Type::UUID),
                    (task.filter.value().into(), Type::JSONB),
                    (Value::Null, Type::JSONB),
                    (limit, Type::INT8),
                    (2_097_152_i64.into(), Type::INT8),
                ];
                let values: Vec<(&(dyn ToSql + Sync), Type)> =
                    values.iter().map(|(value, kind)| (value as _, kind.clone())).collect();
                black_box(client.query_typed(self.text, &values).await?).len()
            }
        };
        expect_one(found)?;
        Ok(self.work.kind())
    }
}

async fn query(client: &deadpool_postgres::Client, text: &str, values: &[Value<'_>]) -> Result<usize, Error> {
    let prepared = client.prepare_cached(text).await?;
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
    Ok(black_box(client.query(&prepared, &values).await?).len())
}

pub(super) async fn on_postgres(scale: Scale, pace: Pace, postgres: &PostgresDatabase) -> Findings {
    let database = Database::open(DatabaseOptions::new(postgres.url())).await?;
    let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(postgres.url().parse()?, NoTls, settings);
    let pool = Pool::builder(manager).max_size(POOL).build()?;
    let mut findings = Vec::new();
    for work in Work::ALL {
        let text = statement(work.statement())?.postgres();
        for callers in CALLERS {
            let (mut ours, mut bare) = (Series::default(), Figures::default());
            for round in 1..=pace.rounds {
                progress::print(format_args!("{EXPERIMENT} postgres {} round {round}", work.what()));
                ours.push(drive(pace.span(), of_store(&database, work, scale, callers, round)).await?);
                let bare_callers = (0..callers).map(|number| PostgresCaller {
                    pool: pool.clone(),
                    work,
                    text,
                    choice: Choice::new(scale, seed(round, number) + 500),
                });
                bare.push(drive(pace.span(), bare_callers.collect()).await?.per_second());
            }
            let finding =
                Finding::rate(EXPERIMENT, DatabaseKind::Postgres, work.what(), callers, &ours.rates);
            findings.push(finding.beside("tokio-postgres", &bare).latencies(&ours));
        }
    }
    database.close().await;
    Ok(findings)
}

fn of_store(database: &Database, work: Work, scale: Scale, callers: usize, round: usize) -> Vec<StoreCaller> {
    let caller = |number| StoreCaller {
        database: database.clone(),
        work,
        choice: Choice::new(scale, seed(round, number)),
    };
    (0..callers).map(caller).collect()
}

/// Another one for each caller of each round.
const fn seed(round: usize, number: usize) -> usize {
    round * 1_000 + number
}

pub(super) async fn on_sqlite(scale: Scale, pace: Pace, original: &SqliteOriginal) -> Findings {
    let mut findings = Vec::new();
    for work in Work::ALL {
        let mut bare = Figures::default();
        let mut ours: [Series; 2] = Default::default();
        for round in 1..=pace.rounds {
            progress::print(format_args!("{EXPERIMENT} sqlite {} round {round}", work.what()));
            for (index, callers) in CALLERS.into_iter().enumerate() {
                let copy = original.copy()?;
                let database = Database::open(DatabaseOptions::new(copy.url())).await?;
                ours[index].push(drive(pace.span(), of_store(&database, work, scale, callers, round)).await?);
                database.close().await;
            }
            let copy = original.copy()?;
            bare.push(on_one_connection(copy.path(), scale, pace, work, round).await?.per_second());
        }
        for (callers, ours) in CALLERS.into_iter().zip(&ours) {
            let finding = Finding::rate(EXPERIMENT, DatabaseKind::Sqlite, work.what(), callers, &ours.rates);
            findings.push(finding.beside("rusqlite", &bare).latencies(ours));
        }
    }
    Ok(findings)
}

/// The simplest program there could be: one thread with one connection, and a commit for each write.
async fn on_one_connection(
    path: &Path,
    scale: Scale,
    pace: Pace,
    work: Work,
    round: usize,
) -> Result<Outcome, Error> {
    let (connection, mut choice) = (connect(path)?, Choice::new(scale, seed(round, 0) + 500));
    let (sql, get) = (statement(work.statement())?, statement(Work::Read.statement())?);
    drive_blocking(pace.span(), work.kind(), move || {
        let task = choice.next()?;
        let found = match work {
            Work::Create => rows(&connection, &sql, &created(&task))?,
            Work::Read => rows(&connection, &sql, &[task.owner.into(), task.id.into()])?,
            Work::Filter => filtered(&connection, &sql, &get, &task)?,
        };
        expect_one(found)
    })
    .await
}

fn rows(connection: &Connection, sql: &Sql, values: &[Value<'_>]) -> Result<usize, Error> {
    let mut select = connection.prepare_cached(sql.sqlite())?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        black_box(row.get_ref(0)?);
        count += 1;
    }
    Ok(count)
}

/// Compares the contents of the owner's documents, and reads those that match.
fn filtered(connection: &Connection, sql: &Sql, get: &Sql, task: &Task) -> Result<usize, Error> {
    let values: [Value<'_>; 5] =
        [false.into(), true.into(), task.owner.into(), Timestamp::MAX.into(), Uuid::max().into()];
    let matcher = task.filter.matcher();
    let mut select = connection.prepare_cached(sql.sqlite())?;
    let mut scanned = select.query(params_from_iter(&values))?;
    let mut found = 0;
    while let Some(row) = scanned.next()? {
        if matcher.is_contained_in(row.get_ref(3)?.as_str()?) {
            let id: Value<'_> = Uuid::from_slice(row.get_ref(1)?.as_blob()?)?.into();
            found += rows(connection, get, &[task.owner.into(), id])?;
        }
    }
    Ok(found)
}
