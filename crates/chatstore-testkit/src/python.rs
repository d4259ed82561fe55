//! Python programs that tests need, because what they stand for is written in Python.

use std::path::Path;
use std::process::Command;

/// Where the Python is; `cargo xtask test` sets it.
const PYTHON: &str = "CHATSTORE_TEST_PYTHON";

/// What a script prints, run by a Python with SQLAlchemy and Alembic.
///
/// # Panics
/// When there is no such Python, or the script fails.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the test command passes the Python by environment")]
pub fn python(script: &Path, arguments: &[&str]) -> String {
    let Ok(python) = std::env::var(PYTHON) else {
        panic!("no Python with SQLAlchemy and Alembic: run `cargo xtask test`, or set {PYTHON}");
    };
    let mut command = Command::new(&python);
    command.arg(script).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap_or_else(|error| panic!("{python}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", script.display());
    String::from_utf8(output.stdout).expect("Python prints UTF-8")
}
