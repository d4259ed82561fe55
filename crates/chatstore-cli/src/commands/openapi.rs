//! `openapi`: the description of the HTTP API.

use super::print_json;
use crate::error::CliError;

pub(crate) fn run() -> Result<(), CliError> {
    print_json(&chatstore_http::openapi())
}
