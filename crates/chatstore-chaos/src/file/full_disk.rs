//! A disk that becomes full: nothing acknowledged is lost, reads go on, and writes succeed again when there is room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::{Databases, ServerBinary};
use chatstore_bench::client::Answer;
use chatstore_bench::error::Error;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;
use serde_json::json;

use super::judge;
use super::writer::Sent;
use crate::experiment::Recorder;

/// Bytes of each message.
const MESSAGE_BYTES: usize = 200_000;

/// Messages that a full disk must have refused by then.
const MOST_MESSAGES: usize = 1_000;

/// Bytes that are freed.
const FILLER_BYTES: usize = 16 << 20;

/// How long writes may take to succeed again.
const RESUME_TIME: Duration = Duration::from_secs(10);

/// A file system in memory, unmounted when dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(folder: &Path) -> Result<Self, Error> {
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(folder).status()?;
        if !status.success() {
            return Err("a disk of 64 MiB cannot be mounted: the full disk needs root".into());
        }
        Ok(Self(folder.to_path_buf()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The folder's removal fails if this does, and says so.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

pub(super) async fn run(
    server: &ServerBinary,
    databases: &Databases,
    recorder: &mut Recorder,
) -> Result<(), Error> {
    let folder = databases.temporary_folder()?;
    let mount = Mount::new(folder.path())?;
    let small = Databases { folder: folder.path().to_path_buf(), ..databases.clone() };
    let run = async |installation: &Installation| fill(installation, &mount).await;
    let (figures, violations) = with_installation(server, DatabaseKind::Sqlite, &small, run).await?;
    drop(mount);
    recorder.record("full-disk", figures, &violations);
    Ok(())
}

async fn fill(installation: &Installation, mount: &Mount) -> Result<(serde_json::Value, Vec<String>), Error> {
    let filler = mount.0.join("filler");
    fs::write(&filler, vec![0; FILLER_BYTES])?;
    let server = installation.start().await?;
    let (client, mut violations) = (server.client(), Vec::new());
    let conversation = client.create_conversation().await?;
    let mut sent: Vec<Sent> = Vec::new();
    let mut refusals = 0;
    while refusals < 5 && sent.len() < MOST_MESSAGES {
        let content = format!("message {} {}", sent.len() + 1, "x".repeat(MESSAGE_BYTES));
        let sent_at = Instant::now();
        let answer = client.append(&conversation, &content).await;
        if let Answer::Refused(status) | Answer::Unknown(status) = &answer {
            refusals += 1;
            if !status.starts_with("507") && !status.starts_with("503") {
                violations.push(format!("a full disk was answered with {status}"));
            }
        }
        sent.push(Sent { content, sent_at, answer });
    }
    if refusals == 0 {
        violations.push("the disk did not become full".to_owned());
    }
    let stored = sent.iter().filter(|sent| sent.is_stored()).count();
    let read = client.read_back(&conversation).await?.len();
    if read < stored {
        violations.push(format!("{read} of {stored} messages can be read while the disk is full"));
    }
    fs::remove_file(&filler)?;
    let freed_at = Instant::now();
    loop {
        let content = format!("message {} when there is room", sent.len() + 1);
        let sent_at = Instant::now();
        let answer = client.append(&conversation, &content).await;
        sent.push(Sent { content, sent_at, answer });
        if sent.last().is_some_and(Sent::is_stored) {
            break;
        }
        if freed_at.elapsed() > RESUME_TIME {
            violations.push("writes do not succeed although there is room".to_owned());
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let resumed_after = freed_at.elapsed();
    server.kill()?;
    let file = installation.file().ok_or("the database is no file")?;
    violations.extend(judge::holds_everything(file, &sent)?);
    let figures = json!({
        "acknowledged": stored,
        "refused": refusals,
        "resumed_after_ms": u64::try_from(resumed_after.as_millis()).unwrap_or(u64::MAX),
    });
    Ok((figures, violations))
}
