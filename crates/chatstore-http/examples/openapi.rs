//! Prints the description of the API, for `crates/chatstore-http/openapi.json`.

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let document = chatstore_http::openapi().to_pretty_json()?;
    Ok(writeln!(std::io::stdout(), "{document}")?)
}
