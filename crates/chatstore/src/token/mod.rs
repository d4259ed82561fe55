//! Access and refresh tokens: their texts and what makes them genuine. Which sessions they belong to is the
//! database's.
//!
//! An access token is a JWT (RFC 9068, with the advice of RFC 8725). Both directions are ours alone, and so
//! the code is short: of a JWT's header there is one text for each key, and what has another header is
//! refused unread. A library for JWTs would install one cryptography for the whole program, which is not for
//! a part of it to decide.

mod access;
#[cfg(test)]
mod forged;
mod keys;
mod refresh;

pub(crate) use access::AccessClaims;
pub use keys::{InvalidTokenKey, TokenKeys};
pub(crate) use refresh::RefreshText;
