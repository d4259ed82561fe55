//! `reads`: where SQLite's reads should run.
//!
//! Four of five operations read the newest 50 messages of a conversation, over bare connections in
//! different arrangements; the fifth appends a message through the store's own writer. A task that
//! sleeps a millisecond at a time tells how much an arrangement holds up everything else.

mod arrangement;
mod cold;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::data::{Scale, Targets, load};
use chatstore_bench::databases::SqliteOriginal;
use chatstore_bench::drive::{Caller, Kind, Span, drive};
use chatstore_bench::error::Error;
use chatstore_bench::machine;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::samples::{Latencies, median};
use chatstore_bench::table::{self, Column};
use chatstore_model::Limit;
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::bench::Writer;
use crate::kinds::WriteKind;
use crate::report;

use arrangement::{ARRANGEMENTS, Arrangement, Reading};

/// How many callers at a time.
const CALLERS: [usize; 3] = [1, 16, 64];

/// One of this many operations writes.
const WRITE_EVERY: usize = 5;

/// Compare places where SQLite's reads could run
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each single measurement takes
    #[arg(long, default_value_t = 3.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    /// How often each measurement is repeated; the medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How much data is loaded first
    #[arg(long, value_enum, default_value = "full")]
    scale: Scale,
    /// Where the file is created: on a real disk
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Whether the file is in memory when a measurement begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    Cold,
    Warm,
}

/// One combination, and what was measured of it in each round.
struct Series {
    memory: Memory,
    callers: usize,
    arrangement: Arrangement,
    rounds: Vec<Measured>,
}

/// What one measurement found; times in milliseconds.
#[derive(Debug)]
struct Measured {
    reads: f64,
    writes: f64,
    read: [f64; 2],
    write: [f64; 2],
    timer: f64,
}

impl Arguments {
    /// Runs the experiment and prints what it found.
    pub(crate) async fn run(self) -> Result<(), Error> {
        progress::print(format_args!("loading the data ({})", self.scale.as_str()));
        let statements = load::statements(DatabaseKind::Sqlite, self.scale).to_vec();
        let folder = tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(&self.folder)?;
        let original = SqliteOriginal::fill(folder, statements).await?;
        let targets = Arc::new(Targets::of(self.scale)?);
        let mut all = combinations();
        let mut coldness = None;
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("round {round}"));
            for series in &mut all {
                let copy = original.copy()?;
                let database = Database::open(DatabaseOptions::new(copy.url())).await?;
                let reading = (series.arrangement.open)(copy.path())?;
                if series.memory == Memory::Cold {
                    coldness = Some(cold::forget(copy.path())?);
                }
                let callers = Mixed::many(series.callers, &database, &reading, &targets);
                let measured = measure(self.span(series.memory), callers).await;
                database.close().await;
                series.rounds.push(measured?);
            }
        }
        print(&all);
        if let Some(coldness) = coldness {
            println!("cold: {}", coldness.as_str());
        }
        if let Some(path) = &self.json {
            let report = json!({
                "machine": machine::facts(),
                "sqlite": rusqlite::version(),
                "settings": { "scale": self.scale.as_str(), "seconds": self.seconds, "rounds": self.rounds },
                "cold": coldness.map(cold::Coldness::as_str),
                "measured": all.iter().map(Series::to_json).collect::<Vec<_>>(),
            });
            report::write_json(path, &report)?;
        }
        Ok(())
    }

    fn span(&self, memory: Memory) -> Span {
        let length = Duration::from_secs_f64(self.seconds);
        match memory {
            Memory::Cold => Span::from_cold(length),
            Memory::Warm => Span::after_warming_up(length),
        }
    }
}

fn combinations() -> Vec<Series> {
    let mut all = Vec::new();
    for memory in [Memory::Cold, Memory::Warm] {
        for callers in CALLERS {
            for arrangement in ARRANGEMENTS {
                all.push(Series { memory, callers, arrangement, rounds: Vec::new() });
            }
        }
    }
    all
}

/// Reads most of the time, and writes now and then.
struct Mixed {
    reading: Reading,
    writer: Writer,
    targets: Arc<Targets>,
    random: Random,
}

impl Mixed {
    fn many(count: usize, database: &Database, reading: &Reading, targets: &Arc<Targets>) -> Vec<Self> {
        let writers = Writer::many(count, database, WriteKind::Append, targets);
        let caller = |(number, writer)| Self {
            reading: reading.clone(),
            writer,
            targets: Arc::clone(targets),
            random: Random::new(number),
        };
        (1_000..).zip(writers).map(caller).collect()
    }
}

impl Caller for Mixed {
    async fn run(&mut self) -> Result<Kind, Error> {
        if self.random.below(WRITE_EVERY) == 0 {
            return self.writer.run().await;
        }
        let (owner, conversation) = self.targets.long[self.random.below(self.targets.long.len())];
        self.reading.page(owner, conversation, Limit::default()).await?;
        Ok(Kind::Read)
    }

    /// A server's task waits for its client at this point.
    fn rest(&self) -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }
}

async fn measure(span: Span, callers: Vec<Mixed>) -> Result<Measured, Error> {
    let (stop, stopped) = watch::channel(());
    let timer = tokio::spawn(watch_timer(stopped));
    let outcome = drive(span, callers).await;
    drop(stop);
    let mut timer = timer.await?;
    let mut outcome = outcome?;
    Ok(Measured {
        reads: outcome.reads_per_second(),
        writes: outcome.writes_per_second(),
        read: [outcome.reads.percentile(50), outcome.reads.percentile(99)],
        write: [outcome.writes.percentile(50), outcome.writes.percentile(99)],
        timer: timer.percentile(99),
    })
}

/// How long a sleep of a millisecond takes, again and again until told to stop.
async fn watch_timer(stopped: watch::Receiver<()>) -> Latencies {
    let mut slept = Latencies::default();
    while stopped.has_changed().is_ok() {
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(1)).await;
        slept.push(begun.elapsed());
    }
    slept
}

impl Series {
    fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        let figures: Vec<f64> = self.rounds.iter().map(figure).collect();
        median(&figures)
    }

    const fn memory(&self) -> &'static str {
        match self.memory {
            Memory::Cold => "cold",
            Memory::Warm => "warm",
        }
    }

    fn cells(&self) -> Vec<String> {
        let pair = |figures: fn(&Measured) -> [f64; 2]| {
            let of = |index: usize| self.median(|measured| figures(measured)[index]);
            format!("{:.2} / {:.2}", of(0), of(1))
        };
        vec![
            self.memory().to_owned(),
            self.callers.to_string(),
            self.arrangement.name.to_owned(),
            format!("{:.0}", self.median(|measured| measured.reads)),
            format!("{:.0}", self.median(|measured| measured.writes)),
            pair(|measured| measured.read),
            pair(|measured| measured.write),
            format!("{:.2}", self.median(|measured| measured.timer)),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "memory": self.memory(),
            "callers": self.callers,
            "arrangement": self.arrangement.name,
            "reads_per_second": self.median(|measured| measured.reads),
            "writes_per_second": self.median(|measured| measured.writes),
            "read_p50_ms": self.median(|measured| measured.read[0]),
            "read_p99_ms": self.median(|measured| measured.read[1]),
            "write_p50_ms": self.median(|measured| measured.write[0]),
            "write_p99_ms": self.median(|measured| measured.write[1]),
            "timer_p99_ms": self.median(|measured| measured.timer),
        })
    }
}

const COLUMNS: [Column; 8] = [
    Column::Words(""),
    Column::Numbers("callers"),
    Column::Words("reads run"),
    Column::Numbers("reads/s"),
    Column::Numbers("writes/s"),
    Column::Numbers("read p50 / p99 ms"),
    Column::Numbers("write p50 / p99 ms"),
    Column::Numbers("timer of 1 ms, p99 ms"),
];

fn print(all: &[Series]) {
    let rows: Vec<Vec<String>> = all.iter().map(Series::cells).collect();
    table::print(&COLUMNS, &rows);
}
