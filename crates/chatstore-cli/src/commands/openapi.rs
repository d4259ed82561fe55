//! `openapi`: the description of the HTTP API.

use std::process::ExitCode;

use super::print;
use crate::error::{CliError, code};

pub(crate) fn run() -> Result<ExitCode, CliError> {
    let document = chatstore_http::openapi()
        .to_pretty_json()
        .map_err(|error| CliError::new(code::FAILED, format!("cannot write JSON: {error}")))?;
    print(document);
    Ok(ExitCode::SUCCESS)
}
