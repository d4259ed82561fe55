//! Packages of Debian and its relatives, which root may install.

use std::ffi::OsString;
use std::process::Command;

use super::error::{self, ServerError};

/// Whether this process may install packages: it is root's and the system has `apt-get`.
///
/// # Errors
/// [`ServerError::Run`] when not even the user can be asked for.
pub fn can_install() -> Result<bool, ServerError> {
    Ok(is_root()? && has_apt_get())
}

/// Installs a package, and announces on standard error that it does. `what` says to people what is missing.
///
/// # Errors
/// [`ServerError::Failed`] when `apt-get` fails.
pub fn install(what: &str, package: &str) -> Result<(), ServerError> {
    announce(what, package);
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", package])
}

#[expect(clippy::disallowed_methods, reason = "where programs are is for the environment to say")]
pub(super) fn path_variable() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn is_root() -> Result<bool, ServerError> {
    let output = error::run(Command::new("id").arg("-u"))?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn has_apt_get() -> bool {
    std::env::split_paths(&path_variable()).any(|directory| directory.join("apt-get").is_file())
}

#[expect(clippy::print_stderr, reason = "a change to the system is announced to the user")]
fn announce(what: &str, package: &str) {
    eprintln!(
        "{what} is missing: installing it with `apt-get update` and \
         `apt-get install -y --no-install-recommends {package}`"
    );
}

fn apt_get(arguments: &[&str]) -> Result<(), ServerError> {
    let mut command = Command::new("apt-get");
    // Another installation may be under way.
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    let output = error::run(&mut command)?;
    if output.status.success() { Ok(()) } else { Err(ServerError::failed(&command, &output, String::new())) }
}
