//! People, and the built-in user that owns anonymous conversations.

use std::fmt;

use crate::{Change, Email, Invalid, Json, Timestamp, UserId, UserName, Validator, limits};

/// What a user may do beyond his own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserRole {
    /// An administrator.
    Admin,
    /// Everybody else.
    User,
}

impl UserRole {
    /// The role as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }

    /// Reads the stored form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::User].into_iter().find(|role| role.as_str() == text)
    }
}

/// A user, without the password's hash.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name as typed.
    pub username: Option<String>,
    /// The e-mail address as typed.
    pub email: Option<String>,
    /// The person's name.
    pub full_name: Option<String>,
    /// What the user may do.
    pub role: UserRole,
    /// A disabled user is refused everywhere.
    pub is_active: bool,
    /// Whether the password must be changed before anything else.
    pub must_change_password: bool,
    /// The application's own data, an object.
    pub metadata: Json,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user was last changed.
    pub updated_at: Timestamp,
}

/// Which users a list holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only those with this role.
    pub role: Option<UserRole>,
    /// Only active, or only disabled ones.
    pub is_active: Option<bool>,
}

/// How a hash of a known form begins: PHC strings and what passlib, bcrypt, werkzeug and Django write.
const HASH_FORMS: [&str; 24] = [
    "$argon2id$",
    "$argon2i$",
    "$argon2d$",
    "$2a$",
    "$2b$",
    "$2y$",
    "$bcrypt-sha256$",
    "$pbkdf2-sha256$",
    "$pbkdf2-sha512$",
    "$pbkdf2$",
    "$scrypt$",
    "pbkdf2:",
    "scrypt:",
    "pbkdf2_sha256$",
    "argon2$argon2",
    "pbkdf2_sha1$",
    "bcrypt$",
    "bcrypt_sha256$",
    "scrypt$",
    "sha256$",
    "$pbkdf2-sha1$",
    "$5$",
    "$6$",
    "$scrypt-sha256$",
];

/// The hash of a password, in the form its maker gave it. Shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash of a known form: a PHC string, or what bcrypt, passlib, werkzeug or Django
    /// write, of at most 512 bytes. `None` for anything else, which may be a password itself.
    #[must_use]
    pub fn known(text: &str) -> Option<Self> {
        let is_known = HASH_FORMS.iter().any(|form| text.starts_with(form));
        let is_plain = text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_known && is_plain).then(|| Self(text.to_owned()))
    }

    /// The hash, to be stored or compared with.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(***)")
    }
}

/// A user to be made: at least one of name and e-mail address.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    /// The id, for imports that bring one; a new one is made when left out.
    pub id: Option<UserId>,
    /// The name.
    pub username: Option<UserName>,
    /// The e-mail address.
    pub email: Option<Email>,
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
    pub metadata: Json,
    /// The time, for imports that bring one; the store's clock when left out.
    pub created_at: Option<Timestamp>,
    /// When the user was last changed; when made, when left out.
    pub updated_at: Option<Timestamp>,
}

impl Default for NewUser {
    /// An active user without name and address, which no store takes.
    fn default() -> Self {
        Self {
            id: None,
            username: None,
            email: None,
            full_name: None,
            role: UserRole::User,
            is_active: true,
            must_change_password: false,
            password_hash: None,
            metadata: Json::object(),
            created_at: None,
            updated_at: None,
        }
    }
}

impl NewUser {
    /// An active user with this name.
    #[must_use]
    pub fn named(username: UserName) -> Self {
        Self { username: Some(username), ..Self::default() }
    }

    /// An active user with this e-mail address.
    #[must_use]
    pub fn with_email(email: Email) -> Self {
        Self { email: Some(email), ..Self::default() }
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        if self.username.is_none() && self.email.is_none() {
            validator.wrong("username", crate::FieldCode::Required, "a username or an email is needed");
        }
        if let Some(full_name) = &self.full_name {
            validator.text("full_name", full_name, limits::FULL_NAME);
        }
        validator.metadata(&self.metadata);
        validator.finish()
    }
}

/// Changes of a user; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserPatch {
    /// Another name; the last of name and address cannot be cleared.
    pub username: Change<UserName>,
    /// Another e-mail address.
    pub email: Change<Email>,
    /// Another person's name.
    pub full_name: Change<String>,
    /// Another role.
    pub role: Option<UserRole>,
    /// Disable or enable.
    pub is_active: Option<bool>,
    /// Demand another password, or no longer.
    pub must_change_password: Option<bool>,
    /// Replaces the metadata whole.
    pub metadata: Option<Json>,
}

impl UserPatch {
    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        if let Some(full_name) = self.full_name.value() {
            validator.text("full_name", full_name, limits::FULL_NAME);
        }
        if let Some(metadata) = &self.metadata {
            validator.metadata(metadata);
        }
        validator.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::PasswordHash;

    #[test]
    fn a_hash_has_a_known_form_and_shows_itself_to_nobody() {
        for text in [
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "$2b$12$KIXQJ5QxV0mE6Q",
            "$pbkdf2-sha256$100000$c2FsdA$aGFzaA",
            "pbkdf2:sha256:260000$salt$hash",
            "pbkdf2_sha256$260000$salt$hash",
        ] {
            let hash = PasswordHash::known(text).unwrap();
            assert_eq!(hash.expose(), text);
            assert_eq!(format!("{hash:?}"), "PasswordHash(***)");
        }
        for text in ["", "secret", "$2b$12$with blank", "5f4dcc3b5aa765d61d8327deb882cf99"] {
            assert_eq!(PasswordHash::known(text), None, "{text}");
        }
    }
}
