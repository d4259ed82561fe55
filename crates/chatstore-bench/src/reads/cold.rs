//! Making the system forget what it holds of a file.

use std::path::Path;
use std::process::{Command, Stdio};

use chatstore_bench::error::Error;

/// How far a file could be forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coldness {
    /// The page cache of the whole system was dropped.
    Dropped,
    /// The system was asked to drop what it holds of this file.
    Advised,
    /// Neither was possible.
    Warm,
}

impl Coldness {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "the page cache was dropped",
            Self::Advised => "the system was asked to forget the file",
            Self::Warm => "not possible here: these figures are warm too",
        }
    }
}

/// Drops the page cache, which only root may do; else asks the system to forget this one file.
pub(super) fn forget(path: &Path) -> Result<Coldness, Error> {
    if !Command::new("sync").status()?.success() {
        return Ok(Coldness::Warm);
    }
    if std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok(Coldness::Dropped);
    }
    let mut file = std::ffi::OsString::from("if=");
    file.push(path);
    let advised = Command::new("dd")
        .arg(file)
        .args(["iflag=nocache", "count=0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(if advised.success() { Coldness::Advised } else { Coldness::Warm })
}
