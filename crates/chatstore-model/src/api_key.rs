//! API keys, of which only a hash is stored.

use crate::keyword::keywords;
use crate::{
    ApiKeyId, KeyRights, KeywordField, TextField, TextForm, Timestamp, UserId, Validate, Validator, limits,
};

/// The name of an API key.
pub const KEY_NAME: TextField =
    TextField::new("name").at_least(1).at_most(limits::KEY_NAME).about("What its owner calls it.");

/// When an API key expires.
pub const EXPIRES_AT: TextField<Timestamp> =
    TextField::new("expires_at").formed(TextForm::Time).about("When it ends; never when left out.");

/// For whom an API key speaks.
pub const KEY_SCOPE: KeywordField<ApiKeyScope> = KeywordField::new("scope").about(
    "`user` speaks for the user; `service` for every user that a request names, and belongs to an\nadministrator.",
);

keywords! {
    /// For whom a key speaks.
    pub enum ApiKeyScope {
        /// For its own user.
        User = "user",
        /// For every user of an application's backend.
        Service = "service",
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose key it is.
    pub user_id: UserId,
    /// The id.
    pub id: ApiKeyId,
    /// For whom it speaks.
    pub scope: ApiKeyScope,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The beginning of its text, by which people recognise it.
    pub prefix: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What it may do.
    pub rights: KeyRights,
    /// Until when the secret is good that it had before its last rotation.
    pub previous_expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is neither revoked nor expired at this instant.
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// An API key to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// For whom it speaks.
    pub scope: ApiKeyScope,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The beginning of its text.
    pub prefix: String,
    /// SHA-256 of its text.
    pub key_hash: [u8; 32],
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub rights: KeyRights,
}

impl Validate for NewApiKey {
    fn check(&self, validator: &mut Validator) {
        KEY_NAME.check(validator, self.name.as_deref());
        validator.no_nul("prefix", &self.prefix);
        self.rights.check(validator, self.scope == ApiKeyScope::Service);
    }
}
