//! `import`: bringing along a database of chat_app: how fast and in how much memory, and that a
//! killed import ends in the same rows when it is run again.

mod bare;
mod program;
mod source;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::data::load;
use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::samples::rounded;
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, TableDigest};
use serde_json::{Value, json};

use crate::experiment::{Common, Experiment, Recorder};

use program::Program;
use source::Source;

/// An import is to reach this part of what a bare loop of inserts does.
const RATIO: f64 = 0.25;

/// The last quarter of an import may take so much more memory than the second.
const FLAT: f64 = 1.2;

/// Import a database, kill imports, and measure one of a million messages
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerBinary,
    /// Messages of the import that is measured; 0 leaves it out
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// How many imports are killed and run again
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Messages of an import that is killed
    #[arg(long, default_value_t = 20_000)]
    kill_messages: u64,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let mut figures = json!({ "rounds": self.kills });
        let violations = self.kill(recorder.kind).await?;
        if self.messages > 0 {
            self.measure(recorder.kind, &mut figures).await?;
        }
        recorder.record("import", figures, &violations);
        Ok(())
    }
}

impl Arguments {
    /// Kills imports at random moments; what differed after the second run.
    async fn kill(&self, kind: DatabaseKind) -> Result<Vec<String>, Error> {
        let mut violations = Vec::new();
        if self.kills == 0 {
            return Ok(violations);
        }
        let source = Source::create(kind, self.kill_messages, &self.common.databases).await?;
        let target = self.target(kind).await?;
        let whole = self.program(&source, &target)?.finish().await?;
        let expected = digests(target.url()).await?;
        let longest = whole.elapsed;
        target.remove().await?;
        let mut random = Random::new(self.common.seed);
        for round in 1..=self.kills {
            let target = self.target(kind).await?;
            let moment = longest.mul_f64(random.below(10_000) as f64 / 10_000.0);
            let finished_first = self.program(&source, &target)?.kill_after(moment).await?;
            let again = self.program(&source, &target)?.finish().await?;
            if digests(target.url()).await? != expected {
                violations.push(format!("round {round}: killed after {moment:?}, the rows differ"));
            }
            let rows = source.rows();
            if again.read != rows {
                violations.push(format!("round {round}: {} rows were read, not {rows}", again.read));
            }
            progress::print(format_args!(
                "{} round {round}: killed after {} ms{}, {} rows added by the second run",
                kind.as_str(),
                moment.as_millis(),
                if finished_first { " (it had ended)" } else { "" },
                again.added
            ));
            target.remove().await?;
        }
        source.remove().await?;
        Ok(violations)
    }

    /// Imports many messages beside a bare loop.
    async fn measure(&self, kind: DatabaseKind, figures: &mut Value) -> Result<(), Error> {
        progress::print(format_args!("{}: making {} messages", kind.as_str(), self.messages));
        let source = Source::create(kind, self.messages, &self.common.databases).await?;
        let target = self.target(kind).await?;
        let bare = bare::messages_per_second(kind, target.url(), target.file(), self.messages).await?;
        target.remove().await?;
        progress::print(format_args!("{}: a bare loop does {bare:.0} messages a second", kind.as_str()));
        let target = self.target(kind).await?;
        let first = self.program(&source, &target)?.finish().await?;
        let again = self.program(&source, &target)?.finish().await?;
        if again.added != 0 || first.added != source.rows() {
            return Err(format!("{} and then {} rows were added", first.added, again.added).into());
        }
        let rate = self.messages as f64 / first.elapsed.as_secs_f64();
        let quarters = first.resident_by_quarter();
        figures["messages"] = self.messages.into();
        figures["seconds"] = rounded(first.elapsed.as_secs_f64()).into();
        figures["messages_per_second"] = rate.round().into();
        figures["bare_per_second"] = bare.round().into();
        figures["ratio"] = rounded(rate / bare).into();
        figures["ratio_met"] = (rate / bare >= RATIO).into();
        figures["resident_kib_by_quarter"] = json!(quarters);
        figures["resident_flat"] =
            json!(quarters.len() == 4 && quarters[3] as f64 <= quarters[1] as f64 * FLAT);
        figures["again_seconds"] = rounded(again.elapsed.as_secs_f64()).into();
        target.remove().await?;
        source.remove().await
    }

    /// A migrated, empty database.
    async fn target(&self, kind: DatabaseKind) -> Result<TemporaryDatabase, Error> {
        let target = TemporaryDatabase::create(kind, &self.common.databases, "import").await?;
        load::migrate(target.url()).await?;
        Ok(target)
    }

    fn program(&self, source: &Source, target: &TemporaryDatabase) -> Result<Program, Error> {
        Program::start(self.server.path()?, target.folder(), target.url(), source.url())
    }
}

/// The digest of each table of a database.
pub(crate) async fn digests(url: &str) -> Result<Vec<TableDigest>, Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    // Rows that were only copied are in no statistics yet.
    database.analyze().await;
    let digests = database.read("digests", async |tx| tx.statistics().digests().await).await;
    database.close().await;
    Ok(digests?)
}
