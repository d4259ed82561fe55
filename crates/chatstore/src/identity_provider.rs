//! Tokens that others issue, and who vouches for them.

use std::fmt;
use std::pin::Pin;

use chatstore_model::{IdentityName, Timestamp, UserRole};

/// What a valid token of an identity provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whose it is. Nothing else that the token says names a user.
    pub identity: IdentityName,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it is accepted.
    pub expires_at: Timestamp,
    /// The role that the provider gives to the user; `None` where roles are not the provider's to give.
    pub role: Option<UserRole>,
    /// How the user would like to be called, which decides about nothing but the name of a new user.
    pub preferred_username: Option<String>,
    /// The person's name.
    pub full_name: Option<String>,
}

/// Whether a token is valid cannot be told now, because its provider does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys of the identity provider cannot be fetched now")]
pub struct ProviderUnavailable;

/// What an [`IdentityProvider`] returns.
pub type IdentityFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Option<VerifiedToken>, ProviderUnavailable>> + Send + 'a>>;

/// Verifies tokens that were issued elsewhere. The crate `chatstore-oidc` has one for OpenID Connect.
pub trait IdentityProvider: Send + Sync + fmt::Debug + 'static {
    /// What a token says; `None` for a text that is none of its tokens, or not valid at this instant.
    fn verify<'a>(&'a self, token: &'a str, now: Timestamp) -> IdentityFuture<'a>;
}
