//! Reads on standbys, which replay what the primary writes, a little later.
//!
//! A read goes to a standby only if that has replayed what its reader wrote last: the standby is asked for its position by the
//! connection that reads, before the read. So neither a slow standby nor one that was restored from an older copy shows
//! less. Whatever goes wrong there is no error: the read runs again on the primary.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use chatstore_model::UserId;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Checked, PostgresDatabase, Written};
use crate::context::Context;
use crate::error::StoreError;
use crate::positions::Positions;
use crate::standby_reads::{StandbyReads, WalPosition};
use crate::tx::ReadTx;
use crate::url::PostgresTarget;

/// How often standbys and the primary are asked where they are, and how long they may take to answer.
const LOOK: Duration = Duration::from_millis(250);

/// A standby that is behind where the primary was so long ago is left.
const LAG: Duration = Duration::from_millis(500);

/// How long a read waits for a standby to replay what its reader wrote, and how often it looks.
const CATCH_UP: Duration = Duration::from_millis(50);
const CATCH_UP_LOOK: Duration = Duration::from_millis(5);

/// How long a read may take on a standby: a short one, and one whose time grows with what is stored.
const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(3);

/// The standbys of a database.
pub(crate) struct Standbys {
    all: Vec<Standby>,
    next: AtomicUsize,
    positions: Positions,
    /// Held while the primary is asked where it is, for all whose writes are anywhere until then.
    asking: Mutex<()>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    waited: AtomicU64,
    on_primary: AtomicU64,
    fallen_back: AtomicU64,
}

/// One standby.
struct Standby {
    server: PostgresTarget,
    pool: usize,
    context: Arc<Context>,
    random: fn(&mut [u8]),
    /// Empty until it answers for the first time.
    database: OnceLock<PostgresDatabase>,
    is_in_use: AtomicBool,
}

impl Standbys {
    /// Standbys that are connected to in the background, with a pool of this size for each.
    pub(crate) fn new(
        servers: Vec<PostgresTarget>,
        pool: usize,
        context: &Arc<Context>,
        random: fn(&mut [u8]),
    ) -> Self {
        let standby = |server| Standby {
            server,
            pool,
            context: Arc::clone(context),
            random,
            database: OnceLock::new(),
            is_in_use: AtomicBool::new(false),
        };
        Self {
            all: servers.into_iter().map(standby).collect(),
            next: AtomicUsize::new(0),
            positions: Positions::default(),
            asking: Mutex::new(()),
            counts: Counts::default(),
        }
    }

    pub(crate) const fn positions(&self) -> &Positions {
        &self.positions
    }

    /// From which position on everything is there that the user wrote; that of a write whose caller was not told is asked
    /// for now.
    pub(crate) async fn position_of(&self, user: UserId, primary: &PostgresDatabase) -> WalPosition {
        let position = self.positions.of(user);
        if position != WalPosition::UNKNOWN || self.in_use() == 0 {
            return position;
        }
        let asked = timeout(CATCH_UP, async {
            let turn = self.asking.lock().await;
            // The one before may have asked for this user too.
            match self.positions.of(user) {
                WalPosition::UNKNOWN => {
                    self.ask(primary, turn).await;
                    self.positions.of(user)
                }
                position => position,
            }
        });
        asked.await.unwrap_or(WalPosition::UNKNOWN)
    }

    /// Asks the primary where it is.
    async fn ask(&self, primary: &PostgresDatabase, _turn: MutexGuard<'_, ()>) -> Option<Written> {
        self.positions.ask();
        let written = primary.written().await.ok()?;
        self.positions.resolve(written.inserted);
        Some(written)
    }

    /// Runs `work` on a standby that has replayed everything before `position`. `None` when there is none, or when
    /// anything went wrong there: it has to run on the primary.
    pub(crate) async fn read<T, E, F>(&self, position: WalPosition, is_long: bool, work: &mut F) -> Option<T>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Some((standby, database)) = self.choose().filter(|_| position != WalPosition::UNKNOWN) else {
            self.counts.on_primary.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let limit = if is_long { LONG } else { SHORT };
        let reading = self.read_on(database, position, is_long, work);
        let outcome = timeout(limit, reading).await.unwrap_or(Checked::Failed);
        match outcome {
            Checked::Read(value) => {
                self.counts.answered.fetch_add(1, Ordering::Relaxed);
                return Some(value);
            }
            Checked::Behind => {}
            Checked::Refused => {
                self.counts.fallen_back.fetch_add(1, Ordering::Relaxed);
            }
            Checked::NoStandby => standby.leave("it takes writes"),
            Checked::Failed => {
                self.counts.fallen_back.fetch_add(1, Ordering::Relaxed);
                standby.leave("it did not answer");
            }
        }
        self.counts.on_primary.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Reads as soon as the standby has replayed enough, if that is soon.
    async fn read_on<T, E, F>(
        &self,
        database: &PostgresDatabase,
        position: WalPosition,
        is_long: bool,
        work: &mut F,
    ) -> Checked<T>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match database.read_behind(position, is_long, work).await {
            Checked::Behind => {}
            outcome => return outcome,
        }
        self.counts.waited.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        while began.elapsed() < CATCH_UP {
            sleep(CATCH_UP_LOOK).await;
            match database.replayed().await {
                Ok(Some(replayed)) if replayed >= position => {
                    return database.read_behind(position, is_long, work).await;
                }
                Ok(Some(_)) => {}
                Ok(None) => return Checked::NoStandby,
                Err(_) => return Checked::Failed,
            }
        }
        Checked::Behind
    }

    /// The next one that is in use, each in turn.
    fn choose(&self) -> Option<(&Standby, &PostgresDatabase)> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.all.len();
        let mut standbys = (0..count).map(|place| &self.all[first.wrapping_add(place) % count]);
        let standby = standbys.find(|standby| standby.is_in_use.load(Ordering::Relaxed))?;
        Some((standby, standby.database.get()?))
    }

    fn in_use(&self) -> usize {
        self.all.iter().filter(|standby| standby.is_in_use.load(Ordering::Relaxed)).count()
    }

    /// What reads have done so far.
    pub(crate) fn reads(&self) -> StandbyReads {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StandbyReads {
            in_use: self.in_use(),
            answered: count(&self.counts.answered),
            waited: count(&self.counts.waited),
            on_primary: count(&self.counts.on_primary),
            fallen_back: count(&self.counts.fallen_back),
        }
    }

    /// Looks after the standbys until the database is dropped.
    pub(crate) async fn watch(standbys: Weak<Self>, primary: Weak<PostgresDatabase>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut past = VecDeque::new();
        loop {
            ticks.tick().await;
            let (Some(standbys), Some(primary)) = (standbys.upgrade(), primary.upgrade()) else { return };
            let asked = timeout(LOOK, async { standbys.ask(&primary, standbys.asking.lock().await).await });
            if let Ok(Some(written)) = asked.await {
                past.push_back((Instant::now(), written.flushed));
            }
            while past.len() > 1 && past[1].0.elapsed() >= LAG {
                past.pop_front();
            }
            let least = past.front().filter(|(at, _)| at.elapsed() >= LAG).map(|(_, position)| *position);
            let looks = standbys.all.iter().map(|standby| standby.look(least));
            let replayed: Vec<Option<WalPosition>> = futures_util::future::join_all(looks).await;
            // One that is not in use has to catch up before it is.
            if let Some(passed) =
                replayed.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min())
            {
                standbys.positions.forget_until(passed);
            }
        }
    }

    pub(crate) async fn close(&self) {
        for database in self.all.iter().filter_map(|standby| standby.database.get()) {
            database.close().await;
        }
    }
}

impl Standby {
    /// Looks where it is, and uses it if it has replayed everything before `least`, once that is known.
    async fn look(&self, least: Option<WalPosition>) -> Option<WalPosition> {
        if self.database.get().is_none() {
            self.connect().await;
        }
        let database = self.database.get()?;
        let looked = timeout(LOOK, database.replayed()).await;
        match looked {
            Ok(Ok(Some(replayed))) if least.is_none_or(|least| replayed >= least) => {
                if least.is_some() && !self.is_in_use.swap(true, Ordering::Relaxed) {
                    tracing::info!(standby = self.server.place, "reads go to the standby");
                }
                Some(replayed)
            }
            Ok(Ok(Some(replayed))) => {
                self.leave("it lags");
                Some(replayed)
            }
            Ok(Ok(None)) => {
                self.leave("it takes writes");
                None
            }
            Ok(Err(_)) | Err(_) => {
                self.leave("it does not answer");
                None
            }
        }
    }

    async fn connect(&self) {
        let place = &self.server.place;
        let connecting =
            PostgresDatabase::connect(&self.server, self.pool, Arc::clone(&self.context), self.random);
        match timeout(LOOK, connecting).await {
            Ok(Ok(database)) => {
                let _ = self.database.set(database);
            }
            Ok(Err(error)) => {
                tracing::debug!(standby = place, error.cause = %error, "the standby cannot be reached")
            }
            Err(_) => tracing::debug!(standby = place, "the standby cannot be reached in time"),
        }
    }

    fn leave(&self, reason: &str) {
        if self.is_in_use.swap(false, Ordering::Relaxed) {
            tracing::warn!(standby = self.server.place, reason, "reads go elsewhere");
            if let Some(database) = self.database.get() {
                database.found_silent();
            }
        }
    }
}
