//! Programs from npm, in the versions of `xtask/clients/package-lock.json`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use chatstore_testkit::server::apt;

use crate::command::{self, Error};

const HINT: &str = "Node.js 20 or newer with npm is needed for the TypeScript clients: apt install npm, \
                    dnf install npm, brew install node";

/// Installs what `xtask/clients` names into `target/tools` unless it is there; returns the folder of the packages.
pub(super) fn ensure_installed() -> Result<PathBuf, Error> {
    let listed = command::root().join("xtask/clients");
    let lock = fs::read_to_string(listed.join("package-lock.json"))?;
    let folder = command::root().join("target/tools/clients-node");
    // Written last, so that an installation that was interrupted begins again, and one of other versions too.
    let complete = folder.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|installed| installed == lock) {
        return Ok(folder);
    }
    if !has_npm() {
        if !apt::can_install()? {
            return Err(HINT.into());
        }
        apt::install("Node.js with npm", "npm")?;
        if !has_npm() {
            return Err(HINT.into());
        }
    }
    eprintln!("installing the generators of xtask/clients from npm into {}", folder.display());
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(listed.join(file), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder);
    if !command::run(&mut npm)?.success() {
        return Err("the packages of xtask/clients could not be installed from npm".into());
    }
    fs::write(complete, lock)?;
    Ok(folder)
}

fn has_npm() -> bool {
    let mut npm = Command::new("npm");
    npm.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command::run(&mut npm).is_ok_and(|status| status.success())
}
