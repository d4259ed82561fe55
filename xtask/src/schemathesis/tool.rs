//! The program schemathesis, in a virtual environment of its own.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, Failure};

/// The version whose checks the description was written against.
const VERSION: &str = "4.32.5";

/// Installs it once into `target/tools`; returns the program.
pub(super) fn ensure_installed() -> Result<PathBuf, Failure> {
    let folder = command::root().join("target/tools").join(format!("schemathesis-{VERSION}"));
    let program = folder.join("bin/schemathesis");
    if program.is_file() {
        return Ok(program);
    }
    eprintln!("installing schemathesis {VERSION} from PyPI into {}", folder.display());
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(&folder);
    let made = command::run(&mut python).is_ok_and(|status| status.success());
    if !made {
        let hint = "Python 3.10 or newer with its module venv is needed: apt install python3-venv, \
                    dnf install python3, brew install python";
        return Err(hint.into());
    }
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.arg(format!("schemathesis=={VERSION}"));
    if !command::run(&mut pip)?.success() {
        return Err("schemathesis could not be installed from PyPI".into());
    }
    Ok(program)
}
