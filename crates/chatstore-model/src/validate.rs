//! Limits of requests, reported field by field.

use crate::CanonicalJson;
use crate::keyword::keywords;

/// The limits of the contract. Texts are counted in Unicode scalar values.
pub mod limits {
    /// Characters of a conversation's title.
    pub const TITLE: usize = 512;
    /// Characters of an application's own conversation id.
    pub const THREAD_ID: usize = 255;
    /// Characters of a model's name.
    pub const MODEL: usize = 255;
    /// Characters of a preview set by the application.
    pub const LAST_MESSAGE: usize = 4_000;
    /// Characters of a user's name.
    pub const USERNAME: usize = 64;
    /// The minimum number of characters of a user's name.
    pub const USERNAME_MIN: usize = 3;
    /// Characters of an e-mail address.
    pub const EMAIL: usize = 254;
    /// The minimum number of characters of an e-mail address.
    pub const EMAIL_MIN: usize = 3;
    /// Characters of a password: 1,024 bytes, since a character of UTF-8 has a maximum of four.
    pub const PASSWORD: usize = 256;
    /// The minimum number of characters of a password.
    pub const PASSWORD_MIN: usize = 12;
    /// Characters of a person's full name.
    pub const FULL_NAME: usize = 255;
    /// Characters of an API key's name.
    pub const KEY_NAME: usize = 100;
    /// Characters of an identity provider's URL.
    pub const ISSUER: usize = 255;
    /// Characters of the name that an identity provider has for a person (OpenID Connect Core 1.0, section 2).
    pub const SUBJECT: usize = 255;
    /// Users that one API key may act for, when they are named one by one.
    pub const KEY_USERS: usize = 100;
    /// Addresses and networks that one API key may be used from.
    pub const KEY_ADDRESSES: usize = 32;
    /// Characters of the name of a system that brings ids of its own.
    pub const NAMESPACE: usize = 64;
    /// Characters of the id of a user in another system.
    pub const EXTERNAL_USER_ID: usize = 255;
    /// Characters of what a client calls itself.
    pub const USER_AGENT: usize = 512;
    /// Bytes of metadata as canonical JSON.
    pub const METADATA_BYTES: usize = 64 * 1024;
    /// Lists and objects inside each other: what is deeper could not be read back.
    pub const JSON_DEPTH: usize = 127;
    /// Values of a filter by JSON, those inside of others included.
    pub const FILTER_VALUES: usize = 256;
    /// Documents named by one message.
    pub const USED_DOCUMENTS: usize = 256;
    /// Messages appended by one request.
    pub const BATCH: usize = 1_000;
    /// Documents created by one request.
    pub const DOCUMENT_BATCH: usize = 200;
    /// Characters of the name of an event in the log.
    pub const LOG_EVENT: usize = 100;
    /// Characters of the id of a request.
    pub const REQUEST_ID: usize = 128;
    /// Bytes of what an event in the log says, as canonical JSON.
    pub const LOG_DATA_BYTES: usize = 16 * 1024;
    /// Bytes of the parts of a message: those of the largest request that a server can be set to take.
    pub const PARTS_BYTES: usize = 64 * 1024 * 1024;
    /// Bytes of a cached response as canonical JSON.
    pub const CACHED_RESPONSE_BYTES: usize = 256 * 1024;
    /// Seconds that a response is cached.
    pub const CACHED_SECONDS: i64 = 24 * 60 * 60;
    /// Characters of the name of a format of parts.
    pub const FORMAT: usize = 64;
    /// Characters of an application's own id of a message.
    pub const EXTERNAL_ID: usize = 255;
    /// The largest count: every JSON reader can hold it exactly.
    pub const COUNT: i64 = (1 << 53) - 1;
    /// Tokens of each kind that one response may report: more than any model takes, and so few that a sum of a million
    /// responses is still exact.
    pub const TOKENS: i64 = 1 << 31;
    /// Models that one owner's usage of a day is kept apart by.
    pub const MODELS_A_DAY: usize = 200;
}

keywords! {
    /// What is wrong with a field, for programs.
    pub enum FieldCode {
        /// It must be given.
        Required = "required",
        /// It is not part of the request.
        UnknownField = "unknown_field",
        /// It has another JSON type than it must have.
        WrongType = "wrong_type",
        /// Too few characters or items.
        TooShort = "too_short",
        /// Too many characters, items or bytes.
        TooLong = "too_long",
        /// A number outside its range.
        OutOfRange = "out_of_range",
        /// It does not have the form it must have.
        InvalidFormat = "invalid_format",
        /// It holds U+0000.
        NulCharacter = "nul_character",
        /// This value may not be used here.
        NotAllowed = "not_allowed",
    }
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Its path, like `messages[3].content`.
    pub field: String,
    /// What is wrong, for programs.
    pub code: FieldCode,
    /// What is wrong and what is right, for people.
    pub message: String,
}

/// A request that breaks rules: every field that does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.0))]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    /// One wrong field.
    #[must_use]
    pub fn field(field: impl Into<String>, code: FieldCode, message: impl Into<String>) -> Self {
        Self(vec![FieldError { field: field.into(), code, message: message.into() }])
    }
}

fn summary(errors: &[FieldError]) -> String {
    let parts: Vec<String> =
        errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
    parts.join("; ")
}

/// A request with limits.
pub trait Validate {
    /// Notes every field that breaks a limit.
    fn check(&self, validator: &mut Validator);
}

impl<T: Validate> Validate for &T {
    fn check(&self, validator: &mut Validator) {
        T::check(self, validator);
    }
}

/// A request and what comes with it, which is judged elsewhere.
impl<T: Validate, Rest> Validate for (T, Rest) {
    fn check(&self, validator: &mut Validator) {
        self.0.check(validator);
    }
}

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct Validator {
    prefix: String,
    errors: Vec<FieldError>,
}

impl Validator {
    /// Notes a wrong field.
    pub fn wrong(&mut self, field: &str, code: FieldCode, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("{}{field}", self.prefix),
            code,
            message: message.into(),
        });
    }

    /// A text without NUL, bounded only by the request's size.
    pub fn no_nul(&mut self, field: &str, text: &str) {
        if text.contains('\0') {
            self.wrong(field, FieldCode::NulCharacter, "must not contain the NUL character (U+0000)");
        }
    }

    /// JSON without NUL characters and not too deep.
    pub fn json(&mut self, field: &str, json: &CanonicalJson) {
        if json.has_nul() {
            self.wrong(field, FieldCode::NulCharacter, "must not contain the NUL character (U+0000)");
        }
        self.depth(field, json.depth());
    }

    /// JSON in which this many lists and objects lie inside each other.
    pub(crate) fn depth(&mut self, field: &str, depth: usize) {
        if depth > limits::JSON_DEPTH {
            let message =
                format!("must have at most {} lists and objects inside each other", limits::JSON_DEPTH);
            self.wrong(field, FieldCode::TooLong, message);
        }
    }

    /// Checks a part of the request, whose fields are named `name.field`.
    pub fn check_below(&mut self, name: &str, part: &impl Validate) {
        let mut below = Self { prefix: format!("{}{name}.", self.prefix), errors: Vec::new() };
        part.check(&mut below);
        self.errors.append(&mut below.errors);
    }

    /// The verdict.
    ///
    /// # Errors
    /// [`Invalid`] with every wrong field, in the order they were noted.
    pub fn finish(self) -> Result<(), Invalid> {
        if self.errors.is_empty() { Ok(()) } else { Err(Invalid(self.errors)) }
    }
}

/// What a change does to a field that may be empty: leave it out, clear it or set it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Make it null.
    Clear,
    /// Give it this value.
    Set(T),
}

impl<T> Change<T> {
    /// The new value, when there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// The new value as what it stands for, like the `str` of a `String`.
    pub fn as_deref(&self) -> Option<&T::Target>
    where
        T: std::ops::Deref,
    {
        self.value().map(std::ops::Deref::deref)
    }

    /// Whether the field is left as it is.
    #[must_use]
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}
