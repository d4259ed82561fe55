//! Identities: who a user is for an identity provider.

use crate::{TextField, Timestamp, UserId, UserRole, Validate, Validator, limits};

/// The identity provider that vouches for a user: its URL, as its tokens have it.
pub const ISSUER: TextField = TextField::new("issuer").at_least(1).at_most(limits::ISSUER);

/// What the identity provider calls a user.
pub const SUBJECT: TextField = TextField::new("subject").at_least(1).at_most(limits::SUBJECT);

/// A name that an identity provider has for somebody. Nothing else names a user there: what else a token says of a
/// person may be changed, or given to another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityName {
    /// The provider.
    pub issuer: String,
    /// The person, by an id that the provider gives to no other one; case matters.
    pub subject: String,
}

impl Validate for IdentityName {
    fn check(&self, validator: &mut Validator) {
        ISSUER.check(validator, Some(&self.issuer));
        SUBJECT.check(validator, Some(&self.subject));
    }
}

/// That a user is the person whom an identity provider calls so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user_id: UserId,
    /// The provider.
    pub issuer: String,
    /// The person.
    pub subject: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When the newest token was issued that was seen; none was while there is no time.
    pub token_issued_at: Option<Timestamp>,
    /// Tokens issued before this instant are refused.
    pub revoked_before: Option<Timestamp>,
}

/// What decides whether a token of an identity provider is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityState {
    /// The user.
    pub user_id: UserId,
    /// When the newest token was issued that was seen.
    pub token_issued_at: Option<Timestamp>,
    /// Tokens issued before this instant are refused.
    pub revoked_before: Option<Timestamp>,
    /// The user's role while the user is active.
    pub role: Option<UserRole>,
}

impl IdentityState {
    /// Whether a token that was issued at this instant is accepted.
    #[must_use]
    pub fn accepts(&self, issued_at: Timestamp) -> bool {
        self.role.is_some() && self.revoked_before.is_none_or(|before| issued_at >= before)
    }
}
