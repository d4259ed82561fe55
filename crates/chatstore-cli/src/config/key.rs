//! The settings there are. Whatever reads, checks or shows settings goes by this table; what they mean and
//! their defaults are in `chatstore.toml`, the default file.

/// A setting's names and rules.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name in the environment, in `.env` and in messages.
    pub(crate) variable: &'static str,
    /// Its name in `chatstore.toml`.
    pub(crate) in_file: &'static str,
    /// What its value must be.
    pub(crate) allowed: &'static str,
    /// How much of its value may be shown.
    pub(crate) secrecy: Secrecy,
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secrecy {
    Public,
    Secret,
    /// All but the password in it.
    Url,
}

/// `config show` has them in this order.
pub(crate) const KEYS: [&Key; 21] = [
    &DATABASE_URL,
    &POSTGRES_USER,
    &POSTGRES_PASSWORD,
    &POSTGRES_DB,
    &POSTGRES_HOST,
    &POSTGRES_PORT,
    &POOL,
    &MIGRATE,
    &BIND,
    &ANONYMOUS,
    &TOKEN_KEY,
    &TOKEN_KEY_FILE,
    &OPEN_REGISTRATION,
    &LOGIN_RATE_LIMIT,
    &RATE_LIMIT,
    &TRUSTED_PROXIES,
    &ENV,
    &METRICS_BIND,
    &DEFAULT_MODEL,
    &LOG,
    &LOG_FORMAT,
];

/// What a server's URL is made of where none is set.
pub(crate) const POSTGRES: [&Key; 5] =
    [&POSTGRES_USER, &POSTGRES_PASSWORD, &POSTGRES_DB, &POSTGRES_HOST, &POSTGRES_PORT];

pub(crate) const DATABASE_URL: Key = Key {
    variable: "DATABASE_URL",
    in_file: "database_url",
    allowed: "sqlite://PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME",
    secrecy: Secrecy::Url,
};
pub(crate) const POSTGRES_USER: Key = text("POSTGRES_USER", "postgres_user", Secrecy::Public);
pub(crate) const POSTGRES_PASSWORD: Key = text("POSTGRES_PASSWORD", "postgres_password", Secrecy::Secret);
pub(crate) const POSTGRES_DB: Key = text("POSTGRES_DB", "postgres_db", Secrecy::Public);
pub(crate) const POSTGRES_HOST: Key = text("POSTGRES_HOST", "postgres_host", Secrecy::Public);
pub(crate) const POSTGRES_PORT: Key =
    public("POSTGRES_PORT", "postgres_port", "a whole number from 1 to 65535");
pub(crate) const POOL: Key = public("CHATSTORE_POOL", "pool", "a whole number from 1 to 65535");
pub(crate) const MIGRATE: Key = public("CHATSTORE_MIGRATE", "migrate", "auto, check or off");
pub(crate) const BIND: Key = public("CHATSTORE_BIND", "bind", "an address and port, like 127.0.0.1:8080");
pub(crate) const ANONYMOUS: Key = public("CHATSTORE_ANONYMOUS", "anonymous", "on or off");
pub(crate) const TOKEN_KEY: Key = Key {
    variable: "CHATSTORE_TOKEN_KEY",
    in_file: "token_key",
    allowed: "one or two keys of 32 bytes in base 64, separated by a comma",
    secrecy: Secrecy::Secret,
};
pub(crate) const TOKEN_KEY_FILE: Key =
    public("CHATSTORE_TOKEN_KEY_FILE", "token_key_file", "the path of a file");
pub(crate) const OPEN_REGISTRATION: Key =
    public("CHATSTORE_OPEN_REGISTRATION", "open_registration", "on or off");
pub(crate) const LOGIN_RATE_LIMIT: Key =
    public("CHATSTORE_LOGIN_RATE_LIMIT", "login_rate_limit", "a whole number, or 0 for no limit");
pub(crate) const RATE_LIMIT: Key =
    public("CHATSTORE_RATE_LIMIT", "rate_limit", "a whole number, or 0 for no limit");
pub(crate) const TRUSTED_PROXIES: Key = public(
    "CHATSTORE_TRUSTED_PROXIES",
    "trusted_proxies",
    "addresses and networks separated by commas, like 10.0.0.0/8",
);
pub(crate) const ENV: Key = public("CHATSTORE_ENV", "env", "development or production");
pub(crate) const METRICS_BIND: Key =
    public("CHATSTORE_METRICS_BIND", "metrics_bind", "an address and port, like 127.0.0.1:9464, or off");
pub(crate) const DEFAULT_MODEL: Key =
    public("CHATSTORE_DEFAULT_MODEL", "default_model", "a name of at most 255 characters");
pub(crate) const LOG: Key = public(
    "CHATSTORE_LOG",
    "log",
    "error, warn, info, debug, trace or off, also for single parts, like info,chatstore_http=debug",
);
pub(crate) const LOG_FORMAT: Key = public("CHATSTORE_LOG_FORMAT", "log_format", "text or json");

const fn text(variable: &'static str, in_file: &'static str, secrecy: Secrecy) -> Key {
    Key { variable, in_file, allowed: "text", secrecy }
}

const fn public(variable: &'static str, in_file: &'static str, allowed: &'static str) -> Key {
    Key { variable, in_file, allowed, secrecy: Secrecy::Public }
}

impl Key {
    pub(crate) fn by_variable(name: &str) -> Option<&'static Self> {
        KEYS.into_iter().find(|key| key.variable == name)
    }

    pub(crate) fn by_name_in_file(name: &str) -> Option<&'static Self> {
        KEYS.into_iter().find(|key| key.in_file == name)
    }

    /// A value of this setting as it may be shown.
    pub(crate) fn shown(&self, value: &str) -> String {
        match self.secrecy {
            Secrecy::Public => value.to_owned(),
            Secrecy::Secret => super::url::MASK.to_owned(),
            Secrecy::Url => super::url::masked(value),
        }
    }
}

/// The name most like the one that was written.
pub(crate) fn nearest(written: &str, names: impl Iterator<Item = &'static str>) -> &'static str {
    names.min_by_key(|name| strsim::damerau_levenshtein(written, name)).unwrap_or_default()
}
