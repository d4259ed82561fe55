//! The table of settings, used to read, check and show them; their meaning and their defaults are in
//! `chatstore.toml`, the default file.

/// A setting's names and rules.
#[derive(Debug)]
pub(crate) struct Setting {
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
    /// All but the password in it, or in each of several.
    Url,
}

/// In the order of `config show`.
pub(crate) const SETTINGS: &[&Setting] = &[
    &DATABASE_URL,
    &DATABASE_READ_URL,
    &DATABASE_DIRECT_URL,
    &POSTGRES_USER,
    &POSTGRES_PASSWORD,
    &POSTGRES_DB,
    &POSTGRES_HOST,
    &POSTGRES_PORT,
    &POSTGRES_SSLMODE,
    &POSTGRES_SSLROOTCERT,
    &REDIS_URL,
    &REDIS_PREFIX,
    &REDIS_SSLROOTCERT,
    &POOL,
    &MIGRATE,
    &BIND,
    &IDLE_SECONDS,
    &ANONYMOUS,
    &TOKEN_KEY,
    &TOKEN_KEY_FILE,
    &OPEN_REGISTRATION,
    &LOCAL_PASSWORDS,
    &OIDC_ISSUER,
    &OIDC_AUDIENCE,
    &OIDC_CREATE_USERS,
    &OIDC_ROLES,
    &LOGIN_RATE_LIMIT,
    &RATE_LIMIT,
    &TRUSTED_PROXIES,
    &ALLOWED_ORIGINS,
    &DOCS,
    &ENV,
    &METRICS_BIND,
    &DEFAULT_MODEL,
    &DOCUMENT_LIMIT,
    &MAX_BODY,
    &LOG_STORE,
    &LOG_RETENTION_DAYS,
    &LOG,
    &LOG_FORMAT,
    &SLOW_STATEMENT_MS,
];

/// The parts of a server's URL, for use without one.
pub(crate) const POSTGRES: [&Setting; 7] = [
    &POSTGRES_USER,
    &POSTGRES_PASSWORD,
    &POSTGRES_DB,
    &POSTGRES_HOST,
    &POSTGRES_PORT,
    &POSTGRES_SSLMODE,
    &POSTGRES_SSLROOTCERT,
];

pub(crate) const DATABASE_URL: Setting = Setting {
    variable: "DATABASE_URL",
    in_file: "database_url",
    allowed: "sqlite://PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME",
    secrecy: Secrecy::Url,
};
pub(crate) const DATABASE_READ_URL: Setting = Setting {
    variable: "DATABASE_READ_URL",
    in_file: "database_read_url",
    allowed: "URLs of standbys separated by commas, like postgresql://USER:PASSWORD@HOST:PORT/NAME",
    secrecy: Secrecy::Url,
};
pub(crate) const DATABASE_DIRECT_URL: Setting = Setting {
    variable: "DATABASE_DIRECT_URL",
    in_file: "database_direct_url",
    allowed: "postgresql://USER:PASSWORD@HOST:PORT/NAME, of the server itself where DATABASE_URL names a pooler",
    secrecy: Secrecy::Url,
};
pub(crate) const POSTGRES_USER: Setting = text("POSTGRES_USER", "postgres_user", Secrecy::Public);
pub(crate) const POSTGRES_PASSWORD: Setting = text("POSTGRES_PASSWORD", "postgres_password", Secrecy::Secret);
pub(crate) const POSTGRES_DB: Setting = text("POSTGRES_DB", "postgres_db", Secrecy::Public);
pub(crate) const POSTGRES_HOST: Setting = text("POSTGRES_HOST", "postgres_host", Secrecy::Public);
pub(crate) const POSTGRES_PORT: Setting =
    public("POSTGRES_PORT", "postgres_port", "a whole number from 1 to 65535");
pub(crate) const POSTGRES_SSLMODE: Setting = public(
    "POSTGRES_SSLMODE",
    "postgres_sslmode",
    "disable, allow, prefer, require, verify-ca or verify-full",
);
pub(crate) const POSTGRES_SSLROOTCERT: Setting =
    public("POSTGRES_SSLROOTCERT", "postgres_sslrootcert", "the path of a file, or system");
pub(crate) const REDIS_URL: Setting = Setting {
    variable: "REDIS_URL",
    in_file: "redis_url",
    allowed: "redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS, without parameters",
    secrecy: Secrecy::Url,
};
pub(crate) const REDIS_PREFIX: Setting = public(
    "CHATSTORE_REDIS_PREFIX",
    "redis_prefix",
    "at most 64 characters, letters, digits and any of - _ . : /",
);
pub(crate) const REDIS_SSLROOTCERT: Setting =
    public("CHATSTORE_REDIS_SSLROOTCERT", "redis_sslrootcert", "the path of a file");
pub(crate) const POOL: Setting = public("CHATSTORE_POOL", "pool", "a whole number from 1 to 65535");
pub(crate) const MIGRATE: Setting = public("CHATSTORE_MIGRATE", "migrate", "auto, check or off");
pub(crate) const BIND: Setting = public("CHATSTORE_BIND", "bind", "an address and port, like 127.0.0.1:8080");
pub(crate) const IDLE_SECONDS: Setting =
    public("CHATSTORE_IDLE_SECONDS", "idle_seconds", "a whole number from 1 to 86400");
pub(crate) const ANONYMOUS: Setting = public("CHATSTORE_ANONYMOUS", "anonymous", "on or off");
pub(crate) const TOKEN_KEY: Setting = Setting {
    variable: "CHATSTORE_TOKEN_KEY",
    in_file: "token_key",
    allowed: "one or two keys of 32 bytes in base 64, separated by a comma",
    secrecy: Secrecy::Secret,
};
pub(crate) const TOKEN_KEY_FILE: Setting =
    public("CHATSTORE_TOKEN_KEY_FILE", "token_key_file", "the path of a file");
pub(crate) const OPEN_REGISTRATION: Setting =
    public("CHATSTORE_OPEN_REGISTRATION", "open_registration", "on or off");
pub(crate) const LOCAL_PASSWORDS: Setting =
    public("CHATSTORE_LOCAL_PASSWORDS", "local_passwords", "on or off");
pub(crate) const OIDC_ISSUER: Setting = public(
    "CHATSTORE_OIDC_ISSUER",
    "oidc_issuer",
    "URLs separated by commas, like https://id.example.org/realms/staff",
);
pub(crate) const OIDC_AUDIENCE: Setting =
    public("CHATSTORE_OIDC_AUDIENCE", "oidc_audience", "names separated by commas");
pub(crate) const OIDC_CREATE_USERS: Setting =
    public("CHATSTORE_OIDC_CREATE_USERS", "oidc_create_users", "on or off");
pub(crate) const OIDC_ROLES: Setting = public(
    "CHATSTORE_OIDC_ROLES",
    "oidc_roles",
    "rules separated by semicolons, like admin:groups=chat-admins",
);
pub(crate) const LOGIN_RATE_LIMIT: Setting =
    public("CHATSTORE_LOGIN_RATE_LIMIT", "login_rate_limit", "a whole number, or 0 for no limit");
pub(crate) const RATE_LIMIT: Setting =
    public("CHATSTORE_RATE_LIMIT", "rate_limit", "a whole number, or 0 for no limit");
pub(crate) const TRUSTED_PROXIES: Setting = public(
    "CHATSTORE_TRUSTED_PROXIES",
    "trusted_proxies",
    "addresses and networks separated by commas, like 10.0.0.0/8",
);
pub(crate) const ALLOWED_ORIGINS: Setting = public(
    "CHATSTORE_ALLOWED_ORIGINS",
    "allowed_origins",
    "origins separated by commas, like https://chat.example.org",
);
pub(crate) const DOCS: Setting = public("CHATSTORE_DOCS", "docs", "on or off");
pub(crate) const ENV: Setting = public("CHATSTORE_ENV", "env", "development or production");
pub(crate) const METRICS_BIND: Setting =
    public("CHATSTORE_METRICS_BIND", "metrics_bind", "an address and port, like 127.0.0.1:9464, or off");
pub(crate) const DEFAULT_MODEL: Setting =
    public("CHATSTORE_DEFAULT_MODEL", "default_model", "a name with a maximum of 255 characters");
pub(crate) const DOCUMENT_LIMIT: Setting =
    public("CHATSTORE_DOCUMENT_LIMIT", "document_limit", "a whole number of bytes from 1024 to 67108864");
pub(crate) const MAX_BODY: Setting =
    public("CHATSTORE_MAX_BODY", "max_body", "a whole number of bytes from 1048576 to 67108864");
pub(crate) const LOG_STORE: Setting = public("CHATSTORE_LOG_STORE", "log_store", "on or off");
pub(crate) const LOG_RETENTION_DAYS: Setting = public(
    "CHATSTORE_LOG_RETENTION_DAYS",
    "log_retention_days",
    "a whole number of days up to 36500, or 0 for ever",
);
pub(crate) const LOG: Setting = public(
    "CHATSTORE_LOG",
    "log",
    "error, warn, info, debug, trace or off, also per module, like info,chatstore_http=debug",
);
pub(crate) const LOG_FORMAT: Setting = public("CHATSTORE_LOG_FORMAT", "log_format", "text or json");
pub(crate) const SLOW_STATEMENT_MS: Setting = public(
    "CHATSTORE_SLOW_STATEMENT_MS",
    "slow_statement_ms",
    "a whole number of milliseconds up to 3600000, or 0 for none",
);

const fn text(variable: &'static str, in_file: &'static str, secrecy: Secrecy) -> Setting {
    Setting { variable, in_file, allowed: "text", secrecy }
}

const fn public(variable: &'static str, in_file: &'static str, allowed: &'static str) -> Setting {
    Setting { variable, in_file, allowed, secrecy: Secrecy::Public }
}

impl Setting {
    pub(crate) fn by_variable(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().copied().find(|setting| setting.variable == name)
    }

    pub(crate) fn by_name_in_file(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().copied().find(|setting| setting.in_file == name)
    }

    /// A value of this setting as it may be shown.
    pub(crate) fn shown(&self, value: &str) -> String {
        match self.secrecy {
            Secrecy::Public => value.to_owned(),
            Secrecy::Secret => super::url::MASK.to_owned(),
            Secrecy::Url => {
                let urls: Vec<String> =
                    super::url::separate(value).iter().map(|url| super::url::masked(url)).collect();
                urls.join(",")
            }
        }
    }
}

/// The known name that is most similar to the given one.
pub(crate) fn nearest(written: &str, names: impl Iterator<Item = &'static str>) -> &'static str {
    names.min_by_key(|name| strsim::damerau_levenshtein(written, name)).unwrap_or_default()
}
