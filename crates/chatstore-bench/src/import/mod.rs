//! `import`: bringing along a database of chat_app: how fast and in how much memory, and that a
//! killed import ends in the same rows when it is run again.

mod bare;
mod program;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, TableDigest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data::load;
use crate::places::{PostgresPlace, url};
use crate::random::Random;
use crate::{Backends, Failure, Postgres, ServerBinary};
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
    /// The databases to import from and into
    #[arg(long, value_enum, default_value = "both")]
    backend: Backends,
    /// Messages of the import that is measured; 0 leaves it out
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// How many imports are killed and run again
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Messages of an import that is killed
    #[arg(long, default_value_t = 20_000)]
    kill_messages: u64,
    /// What the moments of the kills follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where SQLite's files are made: on a real disk
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    #[command(flatten)]
    postgres: Postgres,
}

impl Arguments {
    /// Runs the experiment; true when every promise was kept.
    pub(crate) async fn run(self) -> Result<bool, Failure> {
        let mut kept = true;
        for kind in self.backend.kinds() {
            let mut line = json!({ "experiment": "import", "backend": kind.as_str(), "rounds": self.kills });
            let violations = self.kill(kind).await?;
            if self.messages > 0 {
                self.measure(kind, &mut line).await?;
            }
            kept &= crate::verdict::print(line, &violations);
        }
        Ok(kept)
    }

    /// Kills imports at random moments; what differed after the second run.
    async fn kill(&self, kind: DatabaseKind) -> Result<Vec<String>, Failure> {
        let mut violations = Vec::new();
        if self.kills == 0 {
            return Ok(violations);
        }
        let source = Source::make(kind, self.kill_messages, &self.folder, &self.postgres).await?;
        let target = self.target(kind).await?;
        let whole = self.program(&source, &target)?.finish().await?;
        let expected = digests(target.url()).await?;
        let longest = whole.elapsed;
        target.remove().await?;
        let mut random = Random::new(self.seed);
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
            crate::say(&format!(
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
    async fn measure(&self, kind: DatabaseKind, line: &mut Value) -> Result<(), Failure> {
        crate::say(&format!("{}: making {} messages", kind.as_str(), self.messages));
        let source = Source::make(kind, self.messages, &self.folder, &self.postgres).await?;
        let target = self.target(kind).await?;
        let bare = bare::messages_per_second(kind, target.url(), target.file(), self.messages).await?;
        target.remove().await?;
        crate::say(&format!("{}: a bare loop does {bare:.0} messages a second", kind.as_str()));
        let target = self.target(kind).await?;
        let first = self.program(&source, &target)?.finish().await?;
        let again = self.program(&source, &target)?.finish().await?;
        if again.added != 0 || first.added != source.rows() {
            return Err(format!("{} and then {} rows were added", first.added, again.added).into());
        }
        let rate = self.messages as f64 / first.elapsed.as_secs_f64();
        let quarters = first.resident_by_quarter();
        line["messages"] = self.messages.into();
        line["seconds"] = rounded(first.elapsed).into();
        line["messages_per_second"] = rate.round().into();
        line["bare_per_second"] = bare.round().into();
        line["ratio"] = ((rate / bare * 100.0).round() / 100.0).into();
        line["ratio_met"] = (rate / bare >= RATIO).into();
        line["resident_kib_by_quarter"] = json!(quarters);
        line["resident_flat"] = json!(quarters.len() == 4 && quarters[3] as f64 <= quarters[1] as f64 * FLAT);
        line["again_seconds"] = rounded(again.elapsed).into();
        target.remove().await?;
        source.remove().await
    }

    async fn target(&self, kind: DatabaseKind) -> Result<Target, Failure> {
        let folder = tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(&self.folder)?;
        let place = match kind {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(PostgresPlace::create(self.postgres.url()?, "import").await?),
        };
        let file = folder.path().join("target.db");
        let url = place.as_ref().map_or_else(|| url(&file), |place| place.url().to_owned());
        load::migrate(&url).await?;
        Ok(Target { url, file, place, folder })
    }

    fn program(&self, source: &Source, target: &Target) -> Result<Program, Failure> {
        Program::start(self.server.path()?, target.folder.path(), target.url(), source.url())
    }
}

/// A migrated, empty database.
#[derive(Debug)]
struct Target {
    url: String,
    file: PathBuf,
    place: Option<PostgresPlace>,
    folder: TempDir,
}

impl Target {
    fn url(&self) -> &str {
        &self.url
    }

    fn file(&self) -> &std::path::Path {
        &self.file
    }

    async fn remove(self) -> Result<(), Failure> {
        match self.place {
            Some(place) => place.remove().await,
            None => Ok(self.folder.close()?),
        }
    }
}

async fn digests(url: &str) -> Result<Vec<TableDigest>, Failure> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let digests = database.read("digests", async |tx| tx.statistics().digests().await).await;
    database.close().await;
    Ok(digests?)
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}
