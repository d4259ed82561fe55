//! `import-lines`: JSON lines, or a TinyDB, with many conversations are imported next to a bare `COPY`, or a bare loop of
//! inserts, of the very rows: how fast, in how much memory, and that the rows are the same and a second import adds none.

mod bare;
mod source;

use std::path::PathBuf;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::data::load;
use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::rounded;
use chatstore_sql::DatabaseKind;
use serde_json::json;
use source::Format;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::import::digests;
use crate::long_import::program::{Ended, Program};

/// What an importer may hold.
const MEMORY_KIB: u64 = 150 * 1_024;

/// An import is to reach this part of a bare `COPY`, and of a bare loop of inserts on SQLite.
const OF_COPY: f64 = 0.25;
const OF_LOOP: f64 = 0.4;

/// Import many conversations from JSON lines, or a TinyDB, next to a bare copy of the same rows
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages of all conversations
    #[arg(long, default_value_t = 100_000)]
    messages: usize,
    /// What is imported
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// JSON lines whose conversations are repeated with new ids; synthetic ones otherwise
    #[arg(long, env = "CHATSTORE_DIALOGS", value_name = "FILE")]
    dialogs: Option<PathBuf>,
    /// How often everything is measured; the median is reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What was measured, in messages a second.
#[derive(Debug, Default)]
struct Rates {
    import: Vec<f64>,
    again: Vec<f64>,
    bare: Vec<f64>,
    /// None on SQLite.
    multi_row: Vec<f64>,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let folder = self.common.databases.temporary_folder()?;
        let file = folder.path().join("source");
        let messages = source::write(self.format, &file, self.messages, self.dialogs.as_deref())?;
        let source_bytes = std::fs::metadata(&file)?.len();
        let (mut rates, mut violations, mut memory_kib) = (Rates::default(), Vec::new(), 0);
        for round in 1..=self.rounds {
            let target = self.database(kind, "import").await?;
            let start = || match self.format {
                Format::Jsonl => Program::start(self.server.path()?, target.url(), &file),
                Format::Tinydb => Program::start_with(&["tinydb"], self.server.path()?, target.url(), &file),
            };
            let rate = |ended: &Ended| messages as f64 / ended.elapsed.as_secs_f64();
            let (first, expected) = (start()?.finish().await?, digests(target.url()).await?);
            let again = start()?.finish().await?;
            if digests(target.url()).await? != expected {
                violations.push(format!("round {round}: the second import changed rows"));
            }
            violations.extend([&first, &again].into_iter().filter_map(|ended| ended.failure.clone()));
            memory_kib = memory_kib.max(first.peak_kib).max(again.peak_kib);
            rates.import.push(rate(&first));
            rates.again.push(rate(&again));
            let copies = self.database(kind, "bare").await?;
            let seconds = bare::copy(&target, &copies).await?;
            rates.bare.push(messages as f64 / seconds);
            if digests(copies.url()).await? != expected {
                violations.push(format!("round {round}: the copied rows differ"));
            }
            copies.remove().await?;
            if kind == DatabaseKind::Postgres {
                let inserted = self.database(kind, "inserted").await?;
                rates.multi_row.push(messages as f64 / bare::multi_row(&target, &inserted).await?);
                inserted.remove().await?;
            }
            target.remove().await?;
            progress::print(format_args!(
                "{} round {round}: {:.0} messages a second",
                kind.as_str(),
                rate(&first)
            ));
        }
        let [import, again, bare] =
            [&mut rates.import, &mut rates.again, &mut rates.bare].map(|rates| median(rates));
        let least = if kind == DatabaseKind::Postgres { OF_COPY } else { OF_LOOP };
        if self.bounds.apply() && import / bare < least {
            violations.push(format!("an import reaches {:.2} of a bare copy", import / bare));
        }
        if self.bounds.apply() && memory_kib > MEMORY_KIB {
            violations.push(format!("an importer held {memory_kib} KiB"));
        }
        let mut figures = json!({
            "rounds": self.rounds,
            "format": self.format.name(),
            "source_bytes": source_bytes,
            "messages": messages,
            "messages_per_second": import.round(),
            "again_per_second": again.round(),
            "bare_per_second": bare.round(),
            "ratio": rounded(import / bare),
            "importer_peak_kib": memory_kib,
            "bounds": self.bounds.apply(),
        });
        if kind == DatabaseKind::Postgres {
            let multi_row = median(&mut rates.multi_row);
            figures["multi_row_per_second"] = multi_row.round().into();
            figures["ratio_to_multi_row"] = rounded(import / multi_row).into();
        }
        recorder.record("import-lines", figures, &violations);
        Ok(())
    }
}

impl Arguments {
    /// A migrated, empty database.
    async fn database(&self, kind: DatabaseKind, purpose: &str) -> Result<TemporaryDatabase, Error> {
        let database = TemporaryDatabase::create(kind, &self.common.databases, purpose).await?;
        load::migrate(database.url()).await?;
        Ok(database)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
