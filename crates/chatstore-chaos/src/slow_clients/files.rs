//! How many files a process may have open: a connection is one.

use chatstore_bench::error::Error;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process and of those it starts.
///
/// # Errors
/// When the system does not allow that many.
pub(crate) fn allow(files: u64) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= files) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(files), maximum: limit.maximum };
    if limit.maximum.is_some_and(|maximum| maximum < files) || setrlimit(Resource::Nofile, raised).is_err() {
        let allowed = limit.maximum.map_or_else(|| "fewer".to_owned(), |maximum| maximum.to_string());
        return Err(format!(
            "{files} open files are needed and the system allows {allowed}: raise the hard limit \
             (ulimit -Hn {files}, as root), or take fewer connections by --half-open and --slow-bodies"
        )
        .into());
    }
    Ok(())
}
