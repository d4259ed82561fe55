//! Logins and refreshes as a client sends them.

use chatstore_bench::error::Error;
use chatstore_bench::wire::{self, Answer, Connection};
use serde_json::{Value, json};

use super::place::PASSWORD;

/// What every access token permits.
const ME: &str = "/api/v1/users/me";

/// What a login or a refresh gave.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(super) refresh: String,
}

/// The bytes of a login.
pub(super) fn login_request(field: &str, name: &str, password: &str) -> Vec<u8> {
    wire::post_anonymously("/api/v1/auth/login", &json!({ field: name, "password": password }).to_string())
}

/// The bytes of a refresh.
pub(super) fn refresh_request(token: &str) -> Vec<u8> {
    wire::post_anonymously("/api/v1/auth/refresh", &json!({ "refresh_token": token }).to_string())
}

/// The bytes of a request that an access token lets in.
pub(super) fn me_request(access: &str) -> Vec<u8> {
    wire::get(ME, access)
}

/// The bytes of a logout.
pub(super) fn logout_request(access: &str) -> Vec<u8> {
    wire::post("/api/v1/auth/logout", access, "")
}

/// Logs in.
pub(crate) async fn login(port: u16, name: &str) -> Result<Tokens, Error> {
    let mut connection = Connection::open(port).await?;
    let answer = connection.exchange(&login_request("username", name, PASSWORD)).await?;
    Ok(read_tokens(&answer)?.map_err(|status| format!("a login was answered with {status}"))?)
}

/// The tokens of an answer, or its status.
pub(super) fn read_tokens(answer: &Answer<'_>) -> Result<Result<Tokens, u16>, Error> {
    if answer.status() != 200 {
        return Ok(Err(answer.status()));
    }
    let body: Value = serde_json::from_slice(answer.body())?;
    let text = |name: &str| body[name].as_str().map(str::to_owned).ok_or("an answer without its tokens");
    Ok(Ok(Tokens { access: text("access_token")?, refresh: text("refresh_token")? }))
}
