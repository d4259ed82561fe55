//! Runs operations for a while and measures how many there were and how long each took.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::error::Error;
use crate::samples::Latencies;

/// What an operation was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It changed nothing.
    Read,
    /// It stored something.
    Write,
}

/// One caller, who waits for each of its operations before it begins the next.
pub trait Caller: Send + 'static {
    /// Does one operation.
    fn run(&mut self) -> impl Future<Output = Result<Kind, Error>> + Send;

    /// Comes between two operations: operations that never wait would keep other callers from
    /// their turn.
    fn rest(&self) -> impl Future<Output = ()> + Send {
        tokio::task::coop::consume_budget()
    }
}

/// What a measurement found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How long each read took.
    pub reads: Latencies,
    /// How long each write took.
    pub writes: Latencies,
    length: Duration,
}

impl Outcome {
    /// Operations of both kinds a second.
    pub fn per_second(&self) -> f64 {
        self.reads_per_second() + self.writes_per_second()
    }

    /// Reads a second.
    pub fn reads_per_second(&self) -> f64 {
        rate(self.reads.count(), self.length)
    }

    /// Writes a second.
    pub fn writes_per_second(&self) -> f64 {
        rate(self.writes.count(), self.length)
    }

    /// How long each operation of either kind took.
    pub fn latencies(mut self) -> Latencies {
        self.reads.append(self.writes);
        self.reads
    }

    fn note(&mut self, kind: Kind, latency: Duration) {
        match kind {
            Kind::Read => self.reads.push(latency),
            Kind::Write => self.writes.push(latency),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of operations are far below 2^52")]
fn rate(count: usize, length: Duration) -> f64 {
    count as f64 / length.as_secs_f64()
}

/// How long a measurement takes.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    warm_up: Duration,
    length: Duration,
}

impl Span {
    /// Operations count only after a while in which connections are opened, statements prepared and
    /// caches filled.
    pub fn after_warming_up(length: Duration) -> Self {
        Self { warm_up: (length / 3).min(Duration::from_secs(1)), length }
    }

    /// Operations count from the first on.
    pub const fn from_cold(length: Duration) -> Self {
        Self { warm_up: Duration::ZERO, length }
    }

    fn begin(self) -> Window {
        let start = Instant::now() + self.warm_up;
        Window { start, end: start + self.length }
    }
}

/// The time in which operations count.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

impl Window {
    fn holds(&self, instant: Instant) -> bool {
        instant >= self.start && instant <= self.end
    }
}

/// Lets all callers work at the same time, as tasks of this runtime.
///
/// # Errors
/// The first failure of any caller; a measurement with failures in it would say nothing.
pub async fn drive<C: Caller>(span: Span, callers: Vec<C>) -> Result<Outcome, Error> {
    let window = span.begin();
    let mut tasks = JoinSet::new();
    for caller in callers {
        tasks.spawn(work_off(caller, window));
    }
    let mut outcome = Outcome { length: span.length, ..Outcome::default() };
    while let Some(finished) = tasks.join_next().await {
        let of_one = finished??;
        outcome.reads.append(of_one.reads);
        outcome.writes.append(of_one.writes);
    }
    Ok(outcome)
}

async fn work_off<C: Caller>(mut caller: C, window: Window) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    loop {
        let begun = Instant::now();
        if begun >= window.end {
            return Ok(outcome);
        }
        let kind = caller.run().await?;
        let finished = Instant::now();
        if window.holds(finished) {
            outcome.note(kind, finished - begun);
        }
        caller.rest().await;
    }
}

/// Repeats a blocking operation on a thread of its own: the bare driver without any runtime.
///
/// # Errors
/// The first failure of the operation.
pub async fn drive_blocking<W>(span: Span, kind: Kind, mut work: W) -> Result<Outcome, Error>
where
    W: FnMut() -> Result<(), Error> + Send + 'static,
{
    let repeat = move || {
        let window = span.begin();
        let mut outcome = Outcome { length: span.length, ..Outcome::default() };
        loop {
            let begun = Instant::now();
            if begun >= window.end {
                return Ok(outcome);
            }
            work()?;
            let finished = Instant::now();
            if window.holds(finished) {
                outcome.note(kind, finished - begun);
            }
        }
    };
    tokio::task::spawn_blocking(repeat).await?
}
