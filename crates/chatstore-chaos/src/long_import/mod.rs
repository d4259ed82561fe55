//! `long-import`: one line of JSON lines with a very long conversation is imported beside writers of a server, killed, and
//! imported twice at once: the writers go on, memory stays bounded, and each row is stored once.

pub(crate) mod program;
mod rows;
pub(crate) mod writers;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::data::load;
use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::samples::rounded;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;
use serde_json::json;

use crate::crash::check::{Conversation, check, waits};
use crate::experiment::{Bounds, Common, Experiment, Recorder};

use program::Program;
use rows::imported_rows;
use writers::Writers;

/// What an importer may hold.
const MEMORY_KIB: u64 = 64 * 1_024;

/// The longest that a writer may wait, in milliseconds.
const WAIT_MS: f64 = 1_000.0;

/// Short lines before the long one, and after it.
const SHORT_LINES: usize = 50;

/// Import one very long conversation beside writers, kill imports, and run two at once
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages of the long conversation
    #[arg(long, default_value_t = 400_000)]
    turns: usize,
    /// How many imports are killed
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// How many write to the server meanwhile
    #[arg(long, default_value_t = 8)]
    writers: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let folder = self.common.databases.temporary_folder()?;
        let file = self.write_lines(folder.path())?;
        let mut violations = Vec::new();
        let server = installation.start().await?;
        let conversation = server.client().create_conversation().await?;
        let writers = Writers::start(self.writers, server.client(), &conversation);
        let target = installation.database_url();
        let (seconds, memory_kib) = self.import(target, &file, &mut violations).await?;
        let ledger = writers.finish().await;
        let client = server.client();
        let stored = Conversation {
            messages: client.read_back(&conversation).await?,
            message_count: client.message_count(&conversation).await?,
            id: conversation,
        };
        server.stop().await?;
        if imported_rows(target).await? != self.undisturbed_rows(&file).await? {
            violations.push("the imported rows differ from those of an undisturbed import".to_owned());
        }
        let tally = check(&ledger, &[stored]);
        violations.extend(tally.violations);
        if tally.refused + tally.unknown > 0 {
            violations.push(format!("writes that were not answered with 201: {:?}", tally.reasons));
        }
        let write_ms @ [_, _, longest] = waits(&ledger).summary();
        if self.bounds.apply() && longest > WAIT_MS {
            violations.push(format!("a writer waited {longest:.0} ms"));
        }
        if self.bounds.apply() && memory_kib > MEMORY_KIB {
            violations.push(format!("an importer held {memory_kib} KiB"));
        }
        let figures = json!({
            "rounds": self.kills,
            "seed": self.common.seed,
            "turns": self.turns,
            "writers": self.writers,
            "acknowledged": tally.acknowledged,
            "write_ms": write_ms,
            "importer_peak_kib": memory_kib,
            "two_at_once_seconds": rounded(seconds),
            "bounds": self.bounds.apply(),
        });
        recorder.record("long-import", figures, &violations);
        Ok(())
    }

    /// Kills imports at random moments, then lets two end; how long they took, and the maximum memory of one.
    async fn import(
        &self,
        target: &str,
        file: &Path,
        violations: &mut Vec<String>,
    ) -> Result<(f64, u64), Error> {
        let start = || Program::start(self.server.path()?, target, file);
        let mut random = Random::new(self.common.seed);
        let mut memory_kib = 0;
        for round in 1..=self.kills {
            // A few thousand messages are stored in a second.
            let spread_ms = self.turns / 4 / usize::try_from(self.kills)? + 100;
            let moment = Duration::from_millis(u64::try_from(50 + random.below(spread_ms))?);
            memory_kib = memory_kib.max(start()?.kill_after(moment).await?);
            progress::print(format_args!("import {round} was killed after {} ms", moment.as_millis()));
        }
        let mut seconds = 0.0_f64;
        for program in [start()?, start()?] {
            let ended = program.finish().await?;
            violations.extend(ended.failure);
            seconds = seconds.max(ended.elapsed.as_secs_f64());
            memory_kib = memory_kib.max(ended.peak_kib);
        }
        Ok((seconds, memory_kib))
    }

    /// The rows of an import that nothing disturbed.
    async fn undisturbed_rows(&self, file: &Path) -> Result<(u64, u64), Error> {
        let database =
            TemporaryDatabase::create(DatabaseKind::Sqlite, &self.common.databases, "undisturbed").await?;
        load::migrate(database.url()).await?;
        let ended = Program::start(self.server.path()?, database.url(), file)?.finish().await?;
        if let Some(failure) = ended.failure {
            return Err(failure.into());
        }
        let rows = imported_rows(database.url()).await?;
        database.remove().await?;
        Ok(rows)
    }

    fn write_lines(&self, folder: &Path) -> Result<PathBuf, Error> {
        let path = folder.join("long.jsonl");
        let mut file = BufWriter::new(File::create(&path)?);
        let text = chatstore_bench::data::content();
        let mut write_line = |id: &str, turns: usize| -> Result<(), Error> {
            write!(file, "{{\"id\": \"{id}\", \"turns\": [")?;
            for turn in 0..turns {
                let comma = if turn == 0 { "" } else { ", " };
                let content = json!(format!("{turn} of {id}: {text}"));
                write!(file, "{comma}{{\"role\": \"user\", \"content\": {content}}}")?;
            }
            Ok(writeln!(file, "]}}")?)
        };
        for number in 0..SHORT_LINES {
            write_line(&format!("before {number}"), 3)?;
        }
        write_line("long", self.turns)?;
        for number in 0..SHORT_LINES {
            write_line(&format!("after {number}"), 3)?;
        }
        file.flush()?;
        Ok(path)
    }
}
