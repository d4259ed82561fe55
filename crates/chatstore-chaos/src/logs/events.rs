//! The events of the experiment, in the database.

use std::time::Duration;

use chatstore::{
    CanonicalJson, Limit, LogEvent, LogEventId, LogFilter, LogLevel, LogList, LogOwner, Order, UserId,
};
use chatstore_bench::error::Error;
use chatstore_sql::{Database, DatabaseOptions, ReadTx, StoreError, WriteTx};

use super::server::OLD;

/// Events of one transaction while they are loaded.
const BATCH: u64 = 2_000;

/// The numbers of the events of one name that are stored, in their order.
pub(super) async fn numbers(url: &str, event: &str) -> Result<Vec<u64>, Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let filter = LogFilter { event: Some(event.to_owned()), ..LogFilter::default() };
    let mut list = LogList { filter, order: Order::Ascending, from: None, limit: Limit::MAX };
    let mut numbers = Vec::new();
    loop {
        let asked = list.clone();
        let page = async move |tx: &mut ReadTx<'_>| tx.logs().page(LogOwner::Everyone, &asked).await;
        let page = database.read("numbers", page).await?;
        numbers.extend(page.items.iter().filter_map(|event| event.data.to_value()["number"].as_u64()));
        list.from = page.next;
        if list.from.is_none() {
            break;
        }
    }
    database.close().await;
    numbers.sort_unstable();
    Ok(numbers)
}

/// Loads events that are old enough to be pruned.
pub(super) async fn load_old(url: &str, count: u64) -> Result<(), Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let (clock, ids) = (database.clock(), database.ids());
    let first = clock.now().minus(OLD + Duration::from_secs(10 * 86_400));
    let data = CanonicalJson::parse(r#"{"outcome": "done"}"#)?;
    let mut loaded = 0;
    while loaded < count {
        let rows = BATCH.min(count - loaded);
        let event = |number: u64| {
            let at = first.plus(Duration::from_micros(100 * (loaded + number)));
            LogEvent {
                user_id: UserId::ANONYMOUS,
                id: LogEventId::at(at, ids.uuid(at)),
                at,
                level: LogLevel::Info,
                event: "old".to_owned(),
                conversation_id: None,
                request_id: Some(format!("request-{number}")),
                actor_id: None,
                key_id: None,
                acting_for_id: None,
                data: data.clone(),
            }
        };
        let events: Vec<LogEvent> = (0..rows).map(event).collect();
        let record = async move |tx: &mut WriteTx<'_>| tx.logs().record(events.as_slice()).await;
        let recorded: Result<(), StoreError> = database.write("load_old", record).await;
        recorded?;
        loaded += rows;
    }
    database.close().await;
    Ok(())
}

/// How many events there are.
pub(super) async fn count(url: &str) -> Result<i64, Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let counts = database.read("count", async |tx| tx.statistics().counts().await).await?;
    database.close().await;
    Ok(counts.logs)
}
