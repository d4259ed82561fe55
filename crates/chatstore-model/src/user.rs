//! People, and the built-in user that owns anonymous conversations.

use serde::Serialize;

use crate::field::METADATA;
use crate::keyword::keywords;
use crate::{
    CanonicalJson, Change, Email, ExternalId, FieldCode, FlagField, KeywordField, PasswordHash, TextField,
    TextForm, Timestamp, UserId, UserName, Validate, Validator, limits,
};

/// The name of a user.
pub const USERNAME: TextField<UserName> = TextField::new("username")
    .at_least(limits::USERNAME_MIN)
    .at_most(limits::USERNAME)
    .about(
        "Without control, zero-width and private-use characters; unique regardless of case, width and composition. \
         With `@` only if it is the user's own e-mail address.",
    );

/// The e-mail address of a user.
pub const EMAIL: TextField<Email> = TextField::new("email")
    .at_least(limits::EMAIL_MIN)
    .at_most(limits::EMAIL)
    .formed(TextForm::Address)
    .about("Unique regardless of case and composition, with its domain in any spelling of IDNA.");

/// Whether a user is known to have the e-mail address, which administrators and services say with it.
pub const EMAIL_VERIFIED: FlagField = FlagField {
    name: "email_verified",
    about: "Whether it is known that the user has the address in `email`, without which it cannot be given; true when \
            left out. A user is found and acted for by an address only if it is verified.",
};

/// A new password.
pub const PASSWORD: TextField = TextField::new("password")
    .at_least(limits::PASSWORD_MIN)
    .at_most(limits::PASSWORD)
    .formed(TextForm::Password)
    .about("A maximum of 1,024 bytes; not a common one.");

/// The full name of a person.
pub const FULL_NAME: TextField = TextField::new("full_name").at_most(limits::FULL_NAME);

/// The role of a user.
pub const USER_ROLE: KeywordField<UserRole> = KeywordField::new("role");

/// Whether a user may log in and act.
pub const IS_ACTIVE: FlagField = FlagField { name: "is_active", about: "" };

/// Whether a user must change the password before anything else.
pub const MUST_CHANGE_PASSWORD: FlagField = FlagField { name: "must_change_password", about: "" };

keywords! {
    /// What a user may do beyond their own data.
    pub enum UserRole {
        /// An administrator.
        Admin = "admin",
        /// Any other user.
        User = "user",
    }
}

/// A user, without the password's hash.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct User {
    /// The id.
    #[serde(flatten, serialize_with = "crate::id::with_short_id")]
    pub id: UserId,
    /// The name as typed.
    pub username: Option<String>,
    /// The e-mail address as typed.
    pub email: Option<String>,
    /// Since when the user is known to have the address; `None` when they only claim it, or have none.
    pub email_verified_at: Option<Timestamp>,
    /// The person's name.
    pub full_name: Option<String>,
    /// What the user may do.
    pub role: UserRole,
    /// Requests of a disabled user are rejected.
    pub is_active: bool,
    /// Whether the password must be changed before anything else.
    pub must_change_password: bool,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user was last changed.
    pub updated_at: Timestamp,
    /// The system that knows the user by an id of its own.
    pub external_namespace: Option<String>,
    /// That id.
    pub external_id: Option<String>,
}

/// Which users a list holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only those with this role.
    pub role: Option<UserRole>,
    /// Only active, or only disabled ones.
    pub is_active: Option<bool>,
}

/// A user to be created: at least one of name, e-mail address and external id.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    /// The id, for imports that bring one; a new one is drawn when left out.
    pub id: Option<UserId>,
    /// The name.
    pub username: Option<UserName>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// Whether it is known that the user has the address: from whoever administers users, or from a message sent to
    /// it. Never because the user says so.
    pub is_email_verified: bool,
    /// The person's name.
    pub full_name: Option<String>,
    /// What the user may do.
    pub role: UserRole,
    /// Whether the user may log in and act.
    pub is_active: bool,
    /// Whether the password must be changed before anything else.
    pub must_change_password: bool,
    /// The password's hash; without one the user cannot log in with a password.
    pub password_hash: Option<PasswordHash>,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// The time, for imports that bring one; the store's clock when left out.
    pub created_at: Option<Timestamp>,
    /// When the user was last changed; the time of creation when left out.
    pub updated_at: Option<Timestamp>,
    /// The id by which another system knows the user.
    pub external_id: Option<ExternalId>,
}

impl Default for NewUser {
    /// An active user without name and address, which no store takes.
    fn default() -> Self {
        Self {
            id: None,
            username: None,
            email: None,
            is_email_verified: false,
            full_name: None,
            role: UserRole::User,
            is_active: true,
            must_change_password: false,
            password_hash: None,
            metadata: CanonicalJson::object(),
            created_at: None,
            updated_at: None,
            external_id: None,
        }
    }
}

impl NewUser {
    /// An active user with this name.
    #[must_use]
    pub fn named(username: UserName) -> Self {
        Self { username: Some(username), ..Self::default() }
    }

    /// An active user who claims this e-mail address.
    #[must_use]
    pub fn with_email(email: Email) -> Self {
        Self { email: Some(email), ..Self::default() }
    }

    /// An active user who is known to have this e-mail address.
    #[must_use]
    pub fn with_verified_email(email: Email) -> Self {
        Self { is_email_verified: true, ..Self::with_email(email) }
    }

    /// An active user whom another system knows by this id.
    #[must_use]
    pub fn with_external_id(external_id: ExternalId) -> Self {
        Self { external_id: Some(external_id), ..Self::default() }
    }
}

impl Validate for NewUser {
    fn check(&self, validator: &mut Validator) {
        if self.username.is_none() && self.email.is_none() && self.external_id.is_none() {
            let message = "a username or an email is needed";
            validator.wrong(USERNAME.name, FieldCode::Required, message);
        }
        if self.is_email_verified && self.email.is_none() {
            validator.wrong(EMAIL_VERIFIED.name, FieldCode::NotAllowed, ONLY_WITH_EMAIL);
        }
        FULL_NAME.check(validator, self.full_name.as_deref());
        METADATA.check(validator, Some(&self.metadata));
    }
}

/// What is said of a name that may be the address of another user.
pub const ANOTHER_ADDRESS: &str = "may have an @ only if it is the user's own e-mail address";

const ONLY_WITH_EMAIL: &str = "must be given together with the address that it is about, as email";

/// Whether a user with this address may have this name: one that could be taken for an address has to be their own.
#[must_use]
pub fn is_own_name(username: &UserName, email: Option<&Email>) -> bool {
    !username.may_be_an_address() || email.is_some_and(|email| email.is_named_by(username))
}

/// Changes of a user; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserPatch {
    /// Another name; the last of name and address cannot be cleared.
    pub username: Change<UserName>,
    /// Another e-mail address.
    pub email: Change<Email>,
    /// Whether it is known that the user has the address in `email`, without which it cannot be given. When left out,
    /// another address is one that the user claims, and another spelling of the present one changes nothing.
    pub is_email_verified: Option<bool>,
    /// Another person's name.
    pub full_name: Change<String>,
    /// Another role.
    pub role: Option<UserRole>,
    /// Disable or enable.
    pub is_active: Option<bool>,
    /// Demand another password, or no longer.
    pub must_change_password: Option<bool>,
    /// Replaces the metadata whole.
    pub metadata: Option<CanonicalJson>,
}

impl Validate for UserPatch {
    fn check(&self, validator: &mut Validator) {
        if self.is_email_verified.is_some() && self.email.value().is_none() {
            validator.wrong(EMAIL_VERIFIED.name, FieldCode::NotAllowed, ONLY_WITH_EMAIL);
        }
        FULL_NAME.check(validator, self.full_name.as_deref());
        METADATA.check(validator, self.metadata.as_ref());
    }
}
