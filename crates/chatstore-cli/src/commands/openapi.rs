//! `openapi`: the description of the HTTP API.

use std::process::ExitCode;

use super::print;
use crate::failure::{Failure, code};

pub(crate) fn run() -> Result<ExitCode, Failure> {
    let document = chatstore_http::openapi()
        .to_pretty_json()
        .map_err(|error| Failure::new(code::FAILED, format!("cannot write JSON: {error}")))?;
    print(document);
    Ok(ExitCode::SUCCESS)
}
