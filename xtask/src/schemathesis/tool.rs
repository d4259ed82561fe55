//! The program schemathesis, in a virtual environment of its own.

use std::path::PathBuf;

use crate::command::Error;
use crate::python;

/// The version whose checks the description was written against.
const VERSION: &str = "4.32.5";

/// Installs it once into `target/tools`; returns the program.
pub(super) fn ensure_installed() -> Result<PathBuf, Error> {
    let packages = [format!("schemathesis=={VERSION}")];
    let programs = python::ensure_environment(&format!("schemathesis-{VERSION}"), &packages)?;
    Ok(programs.join("schemathesis"))
}
