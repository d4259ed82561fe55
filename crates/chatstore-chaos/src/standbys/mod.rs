//! `standbys`: users never read less than their own last write, and never see an error, whatever a standby does.
//!
//! Users append to conversations of their own and read the newest messages after each append, through two stores that tell each
//! other positions, as two servers behind a balancer do. Meanwhile their standby applies late, pauses, hangs, dies and is
//! promoted. Then pages and appends are measured with a standby and without.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chatstore::{
    ConversationId, NewConversation, NewMessage, NewUser, PageRequest, ShownPosition, Store, UserId, UserName,
};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_sql::DatabaseKind;
use chatstore_testkit::server::{PostgresServer, Settings};
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use crate::experiment::{Bounds, Common, Experiment, Recorder};

/// How long a standby may take to be left, and to be used again, and a little for this program.
const LEFT: Duration = Duration::from_millis(1_250);
const USED: Duration = Duration::from_secs(5);

/// The same where only what is read counts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Let a standby fail in every way beside users who read what they wrote
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Reads of one's own writes
    #[arg(long, default_value_t = 100_000)]
    reads: usize,
    /// Users who write and read at the same time
    #[arg(long, default_value_t = 16)]
    users: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What happens to the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Late,
    Paused,
    Frozen,
    Dead,
    Promoted,
}

impl Fault {
    const ALL: [Self; 6] = [Self::None, Self::Late, Self::Paused, Self::Frozen, Self::Dead, Self::Promoted];

    fn begin(self, standby: &PostgresServer) -> Result<(), Error> {
        match self {
            Self::None => {}
            Self::Late => {
                standby.psql("alter system set recovery_min_apply_delay = '2s'")?;
                standby.psql("select pg_reload_conf()")?;
            }
            Self::Paused => drop(standby.psql("select pg_wal_replay_pause()")?),
            Self::Frozen => standby.freeze()?,
            Self::Dead => standby.crash()?,
            Self::Promoted => drop(standby.psql("select pg_promote()")?),
        }
        Ok(())
    }

    fn end(self, standby: &PostgresServer) -> Result<(), Error> {
        match self {
            Self::None | Self::Promoted => {}
            Self::Late => {
                standby.psql("alter system reset recovery_min_apply_delay")?;
                standby.psql("select pg_reload_conf()")?;
            }
            Self::Paused => drop(standby.psql("select pg_wal_replay_resume()")?),
            Self::Frozen => standby.thaw()?,
            Self::Dead => standby.revive()?,
        }
        Ok(())
    }
}

/// A user with a conversation.
#[derive(Debug, Clone, Copy)]
struct Writer {
    user: UserId,
    conversation: ConversationId,
}

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicUsize,
    stale: AtomicUsize,
    errors: AtomicUsize,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        if recorder.kind == DatabaseKind::Sqlite {
            return Ok(());
        }
        let primary = Arc::new(spawn_blocking(|| PostgresServer::start(Settings { durable: true })).await??);
        let copied = Arc::clone(&primary);
        let standby = Arc::new(spawn_blocking(move || copied.start_standby()).await??);
        let connect =
            async || Store::builder(primary.url()).pool(self.users).standbys([standby.url()]).connect().await;
        let (store, other) = (connect().await?, connect().await?);
        store.migrate().await?;
        let writers = writers(&store, self.users).await?;
        let mut violations = Vec::new();
        let [left_within, used_within] = if self.bounds.apply() { [LEFT, USED] } else { [PATIENCE; 2] };
        wait_for(&store, 1, used_within).await.ok_or("the standby is never used")?;
        let ratios = self.measure(&primary, &store, &writers).await?;
        let counts = Arc::new(Counts::default());
        let mut phases = Vec::new();
        for fault in Fault::ALL {
            progress::print(format_args!("standbys {fault:?}"));
            let before = store.standby_reads().unwrap_or_default();
            let target = counts.reads.load(Ordering::Relaxed) + self.reads / Fault::ALL.len();
            let mut users = JoinSet::new();
            for writer in writers.clone() {
                let (stores, counts) = ([store.clone(), other.clone()], Arc::clone(&counts));
                users.spawn(async move { Box::pin(write_and_read(stores, writer, &counts, target)).await });
            }
            let failing = Arc::clone(&standby);
            spawn_blocking(move || fault.begin(&failing).map_err(|error| error.to_string())).await??;
            let left = if fault == Fault::None { None } else { wait_for(&store, 0, left_within).await };
            if fault != Fault::None && left.is_none() {
                violations.push(format!("{fault:?}: the standby is not left within {left_within:?}"));
            }
            users.join_all().await;
            let mending = Arc::clone(&standby);
            spawn_blocking(move || fault.end(&mending).map_err(|error| error.to_string())).await??;
            let used = if fault == Fault::Promoted { None } else { wait_for(&store, 1, used_within).await };
            if fault != Fault::Promoted && used.is_none() {
                violations.push(format!("{fault:?}: the standby is not used again within {used_within:?}"));
            }
            let after = store.standby_reads().unwrap_or_default();
            phases.push(json!({
                "fault": format!("{fault:?}"),
                "left_ms": left.map(|left| left.as_millis()),
                "used_again_ms": used.map(|used| used.as_millis()),
                "on_standby": after.answered - before.answered,
                "on_primary": after.on_primary - before.on_primary,
                "waited": after.waited - before.waited,
                "fallen_back": after.fallen_back - before.fallen_back,
            }));
        }
        let [reads, stale, errors] =
            [&counts.reads, &counts.stale, &counts.errors].map(|count| count.load(Ordering::Relaxed));
        if stale > 0 {
            violations.push(format!("{stale} of {reads} reads showed less than the reader had written"));
        }
        if errors > 0 {
            violations.push(format!("{errors} calls failed"));
        }
        let figures = json!({
            "reads": reads, "stale": stale, "errors": errors, "users": self.users, "phases": phases,
            "ratios_with_to_without": ratios,
        });
        recorder.record("standbys", figures, &violations);
        store.close().await;
        other.close().await;
        Ok(())
    }
}

impl Arguments {
    /// Pages and appends a second with the standby, as a ratio to those of a store without.
    async fn measure(
        &self,
        primary: &PostgresServer,
        with: &Store,
        writers: &[Writer],
    ) -> Result<serde_json::Value, Error> {
        let without = Store::builder(primary.url()).pool(self.users).connect().await?;
        for store in [with, &without] {
            rate(store, writers, Duration::from_secs(1), Kind::Append).await;
        }
        let mut rates = [[0.0; 2]; 2];
        for _ in 0..3 {
            for (place, store) in [with, &without].into_iter().enumerate() {
                for (kind, rates) in [Kind::Append, Kind::Page].into_iter().zip(&mut rates) {
                    let time = Duration::from_secs(self.seconds) / 3;
                    rates[place] += rate(store, writers, time, kind).await / 3.0;
                }
            }
        }
        without.close().await;
        let [[append_with, append_without], [page_with, page_without]] = rates;
        Ok(json!({
            "appends": append_with / append_without, "appends_a_second": append_with,
            "pages": page_with / page_without, "pages_a_second": page_with,
        }))
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Append,
    Page,
}

/// How often a second all writers together do this.
async fn rate(store: &Store, writers: &[Writer], time: Duration, kind: Kind) -> f64 {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for writer in writers.iter().copied() {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0_u32;
            let messages = store.as_user(writer.user).messages();
            while began.elapsed() < time {
                let is_done = match kind {
                    Kind::Append => {
                        messages.append(writer.conversation, NewMessage::user("measured")).await.is_ok()
                    }
                    Kind::Page => messages.page(writer.conversation, PageRequest::newest(50)).await.is_ok(),
                };
                done += u32::from(is_done);
            }
            done
        });
    }
    let done: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(done) / began.elapsed().as_secs_f64()
}

async fn writers(store: &Store, count: usize) -> Result<Vec<Writer>, Error> {
    let mut writers = Vec::with_capacity(count);
    for number in 0..count {
        let name = UserName::new(format!("user{number}"))?;
        let user = store.users().create(NewUser::named(name)).await?.id;
        let conversation = store.as_user(user).conversations().create(NewConversation::default()).await?.id;
        writers.push(Writer { user, conversation });
    }
    Ok(writers)
}

/// Appends and reads, in turn through the same store and through the other one, until there are so many reads.
async fn write_and_read(stores: [Store; 2], writer: Writer, counts: &Counts, target: usize) {
    for number in 0_usize.. {
        if counts.reads.fetch_add(1, Ordering::Relaxed) >= target {
            counts.reads.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let [first, second] = &stores;
        let reader = if number.is_multiple_of(2) { first } else { second };
        let append = first.as_user(writer.user).messages().append(writer.conversation, NewMessage::user("x"));
        let (appended, position) = ShownPosition::run(None, append).await;
        let newest = PageRequest::newest(1);
        let page = reader.as_user(writer.user).messages().page(writer.conversation, newest);
        let (page, _) = ShownPosition::run(position, page).await;
        match (appended, page) {
            (Ok(appended), Ok(page)) => {
                let seen = page.items.first().map_or(0, |message| message.seq);
                counts.stale.fetch_add(usize::from(seen < appended.seq), Ordering::Relaxed);
            }
            _ => drop(counts.errors.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// How long it takes until so many standbys are in use; `None` when it takes too long.
async fn wait_for(store: &Store, in_use: usize, most: Duration) -> Option<Duration> {
    let began = Instant::now();
    while store.standby_reads().is_none_or(|reads| reads.in_use != in_use) {
        if began.elapsed() > most {
            return None;
        }
        sleep(Duration::from_millis(10)).await;
    }
    Some(began.elapsed())
}
