//! The program `chatstore`, for tests of other packages that start it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program beside another program that cargo built for a test, at `other`. Builds it where the tests run alone.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn server_program(other: &Path) -> PathBuf {
    let program = other.with_file_name("chatstore");
    if !program.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        let status = cargo.args(["build", "--locked", "-p", "chatstore-cli"]).status();
        assert!(status.is_ok_and(|status| status.success()), "chatstore-cli could not be built");
    }
    program
}
