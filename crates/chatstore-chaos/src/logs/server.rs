//! A server that keeps events and offers them to itself at a given rate: this program again, with a hidden command.
//!
//! It listens to lines: `offer RATE` sets how many events a second are offered, `prune` deletes the old ones, anything else
//! asks for the counts. It answers each with a line of counts, and stops when its input ends.

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chatstore::operations::EventLogCounts;
use chatstore::{CanonicalJson, NewLogEvent, Store};
use chatstore_bench::error::Error;
use chatstore_testkit::TOKEN_KEY;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::processes::Process;

/// How old events are that are pruned.
pub(super) const OLD: Duration = Duration::from_secs(90 * 86_400);

/// How often events are offered, and how many times a second that is.
const TICK: Duration = Duration::from_millis(10);
const TICKS: u64 = 100;

/// Serve a database, and offer events
#[derive(Debug, clap::Args)]
pub(crate) struct LogsServer {
    /// The database's URL
    url: String,
    /// The name of the events
    event: String,
}

impl LogsServer {
    /// Says where it listens, then serves.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let builder = Store::builder(self.url).token_keys(chatstore::auth::TokenKeys::parse(TOKEN_KEY)?);
        let store = builder.event_log(true).connect().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { stopped.await.unwrap_or_default() };
        let serving =
            tokio::spawn(chatstore_http::serve(listener, chatstore_http::router(store.clone()), stopped));
        let offers = Arc::new(Offers::default());
        let offering = tokio::spawn(offer(store.clone(), self.event, Arc::clone(&offers)));
        let (listening, runtime) = (store.clone(), Handle::current());
        tokio::task::spawn_blocking(move || listen(&listening, &offers, &runtime)).await??;
        offering.abort();
        drop(stop);
        serving.await??;
        store.close().await;
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Offers {
    a_second: AtomicU64,
    made: AtomicU64,
}

async fn offer(store: Store, event: String, offers: Arc<Offers>) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        for _ in 0..offers.a_second.load(Ordering::Relaxed) / TICKS {
            let number = offers.made.fetch_add(1, Ordering::Relaxed);
            let data = CanonicalJson::new(json!({ "number": number, "outcome": "done" }))?;
            // What finds no room is counted.
            let _ = store.event_log().offer(None, NewLogEvent::new(event.as_str()).with_data(data))?;
        }
    }
}

fn listen(store: &Store, offers: &Offers, runtime: &Handle) -> Result<(), Error> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let Some(rate) = line.strip_prefix("offer ") {
            offers.a_second.store(rate.parse()?, Ordering::Relaxed);
        } else if line == "prune" {
            let before = store.now().minus(OLD);
            runtime.block_on(store.operations().prune_events(before, |_| {}))?;
        }
        let EventLogCounts { stored, dropped, waiting } = store.event_log().counts();
        println!("{} {stored} {dropped} {waiting}", offers.made.load(Ordering::Relaxed));
    }
    Ok(())
}

/// What the server said last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) offered: u64,
    pub(super) stored: u64,
    pub(super) dropped: u64,
    pub(super) waiting: u64,
}

/// A running server.
pub(super) struct Running {
    process: Process,
    pub(super) port: u16,
}

impl Running {
    /// Starts one that offers events of this name.
    pub(super) fn start(url: &str, event: &str) -> Result<Self, Error> {
        let mut process = Process::start(&["logs-server", url, event])?;
        match process.hear()?.parse() {
            Ok(port) => Ok(Self { process, port }),
            Err(_) => Err(format!("a server did not start: {:?}", process.failure()?).into()),
        }
    }

    /// Says a line, and hears the counts.
    pub(super) fn say(&mut self, line: &str) -> Result<Counts, Error> {
        self.process.say(line)?;
        let heard = self.process.hear()?;
        let numbers: Result<Vec<u64>, _> = heard.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok([offered, stored, dropped, waiting]) => {
                Ok(Counts { offered: *offered, stored: *stored, dropped: *dropped, waiting: *waiting })
            }
            _ => Err(format!("a server said {heard:?}").into()),
        }
    }

    pub(super) fn kill(self) -> Result<(), Error> {
        self.process.kill()?;
        Ok(())
    }

    pub(super) fn stop(self) -> Result<(), Error> {
        match self.process.failure()? {
            Some(failure) => Err(format!("a server failed: {failure}").into()),
            None => Ok(()),
        }
    }
}
