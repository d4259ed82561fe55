//! What the program goes by: flags over environment over `.env` over `chatstore.toml` over the default file.
//!
//! To add a setting: its [`Key`] in `key.rs`, its lines in `chatstore.toml`, its field in [`Config`].
//! `.env.example` and `docs/configuration.md` are held to these by tests.

mod key;
mod settings;
mod token_key;
mod url;

use std::net::SocketAddr;
use std::num::NonZeroU16;

use chatstore_http::TrustedProxies;
use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, code};
use key::Key;
use settings::Setting;
pub(crate) use settings::{DEFAULT_FILE, SEED_PASSWORD, Settings, Source, default_env_file};
pub(crate) use token_key::TokenKeySetting;

/// What the parts of a server are that are not set.
const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 5432;

/// The settings that every command takes as flags.
#[derive(Args)]
pub(crate) struct Flags {
    /// The database: sqlite://PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME [default:
    /// sqlite://chatstore.db]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// The model that answers when neither message nor conversation names one [default: echo]
    #[arg(long, global = true, value_name = "MODEL")]
    default_model: Option<String>,
}

impl std::fmt::Debug for Flags {
    /// Without the URL, which may hold a password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Flags").field("default_model", &self.default_model).finish_non_exhaustive()
    }
}

impl Flags {
    fn settings(&self) -> Vec<Setting> {
        let given = [
            (&key::DATABASE_URL, "--database-url", &self.database_url),
            (&key::DEFAULT_MODEL, "--default-model", &self.default_model),
        ];
        let mut settings = Vec::new();
        for (key, flag, value) in given {
            settings.extend(value.clone().map(|value| Setting { key, value, source: Source::Flag(flag) }));
        }
        settings
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// What is done about pending revisions by whatever needs the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migrate {
    Auto,
    Check,
    Off,
}

/// Whether it is for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    Development,
    Production,
}

/// Every setting, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// In the order of the table, with where each came from.
    pub(crate) settings: Settings,
    /// Settings of a PostgreSQL server that count for nothing, because a URL is set.
    pub(crate) overruled: Vec<Setting>,
    pub(crate) pool: NonZeroU16,
    /// `None` where it depends on the kind of database.
    pub(crate) migrate: Option<Migrate>,
    pub(crate) bind: SocketAddr,
    pub(crate) anonymous: bool,
    pub(crate) token_key: TokenKeySetting,
    pub(crate) open_registration: bool,
    /// `None` for any number.
    pub(crate) login_rate_limit: Option<u32>,
    /// `None` for any number.
    pub(crate) rate_limit: Option<u32>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) environment: Environment,
    /// `None` when it is off.
    pub(crate) metrics_bind: Option<SocketAddr>,
    pub(crate) default_model: String,
    pub(crate) log: EnvFilter,
    pub(crate) log_format: LogFormat,
    database: Setting,
}

impl Config {
    pub(crate) fn load(flags: &Flags) -> Result<Self, Failure> {
        let mut settings = Settings::gather(flags.settings())?;
        let overruled = settle_database(&mut settings)?;
        let database = settings.get(&key::DATABASE_URL).cloned().ok_or_else(|| {
            Failure::new(code::CONFIGURATION, "DATABASE_URL has no value")
                .hint(format!("it must be {}", key::DATABASE_URL.allowed))
        })?;
        Ok(Self {
            pool: settings.parse(&key::POOL, |text| text.parse().ok())?,
            migrate: match settings.get(&key::MIGRATE) {
                Some(_) => Some(settings.parse(&key::MIGRATE, migrate)?),
                None => None,
            },
            bind: settings.parse(&key::BIND, |text| text.parse().ok())?,
            anonymous: settings.parse(&key::ANONYMOUS, on_or_off)?,
            token_key: TokenKeySetting::of(&settings)?,
            open_registration: settings.parse(&key::OPEN_REGISTRATION, on_or_off)?,
            login_rate_limit: settings.parse(&key::LOGIN_RATE_LIMIT, limit)?,
            rate_limit: settings.parse(&key::RATE_LIMIT, limit)?,
            trusted_proxies: match settings.get(&key::TRUSTED_PROXIES) {
                Some(_) => settings.parse(&key::TRUSTED_PROXIES, |text| text.parse().ok())?,
                None => TrustedProxies::default(),
            },
            environment: settings.parse(&key::ENV, environment)?,
            metrics_bind: settings.parse(&key::METRICS_BIND, address_or_off)?,
            default_model: settings.parse(&key::DEFAULT_MODEL, model)?,
            log: settings.parse(&key::LOG, log_filter)?,
            log_format: settings.parse(&key::LOG_FORMAT, log_format)?,
            database,
            overruled,
            settings,
        })
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database.value
    }

    pub(crate) const fn database_source(&self) -> &Source {
        &self.database.source
    }

    /// Whether somebody named the database, rather than left it to the default file.
    pub(crate) fn database_is_named(&self) -> bool {
        self.database.source != Source::Default
    }

    /// Whether somebody asked for metrics or said where, rather than left it to the default file.
    pub(crate) fn metrics_bind_is_set(&self) -> bool {
        self.settings.get(&key::METRICS_BIND).is_some_and(|setting| setting.source != Source::Default)
    }
}

/// Leaves either the URL or the parts of a server in force; what lost, as far as somebody set it.
fn settle_database(settings: &mut Settings) -> Result<Vec<Setting>, Failure> {
    let is_set = |key: &Key, settings: &Settings| {
        settings.get(key).filter(|setting| setting.source != Source::Default).cloned()
    };
    if is_set(&key::DATABASE_URL, settings).is_none() {
        if settings.get(&key::POSTGRES_USER).is_some() {
            let value = server_url(settings)?;
            settings.replace(Setting { key: &key::DATABASE_URL, value, source: Source::Parts });
            return Ok(Vec::new());
        }
        if let Some(part) = key::POSTGRES.into_iter().find_map(|key| is_set(key, settings)) {
            let message = format!(
                "{} is set ({}), but neither POSTGRES_USER nor DATABASE_URL is",
                part.key.variable, part.source
            );
            return Err(Failure::new(code::CONFIGURATION, message)
                .hint("set POSTGRES_USER to use PostgreSQL, or DATABASE_URL to name a database"));
        }
    }
    let taken = key::POSTGRES.into_iter().filter_map(|key| settings.take(key));
    Ok(taken.filter(|setting| setting.source != Source::Default).collect())
}

fn server_url(settings: &Settings) -> Result<String, Failure> {
    let text = |key: &Key| settings.get(key).map(|setting| setting.value.as_str());
    let port = match settings.get(&key::POSTGRES_PORT) {
        Some(_) => settings.parse(&key::POSTGRES_PORT, |text| text.parse().ok().map(NonZeroU16::get))?,
        None => DEFAULT_PORT,
    };
    let server = url::Server {
        user: text(&key::POSTGRES_USER).unwrap_or_default(),
        password: text(&key::POSTGRES_PASSWORD),
        database: text(&key::POSTGRES_DB),
        host: text(&key::POSTGRES_HOST).unwrap_or(DEFAULT_HOST),
        port,
    };
    Ok(server.url())
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A number of a minute; none for 0.
fn limit(text: &str) -> Option<Option<u32>> {
    let count: u32 = text.parse().ok()?;
    Some((count > 0).then_some(count))
}

fn environment(text: &str) -> Option<Environment> {
    match text {
        "development" => Some(Environment::Development),
        "production" => Some(Environment::Production),
        _ => None,
    }
}

fn address_or_off(text: &str) -> Option<Option<SocketAddr>> {
    if text == "off" { Some(None) } else { text.parse().ok().map(Some) }
}

fn migrate(text: &str) -> Option<Migrate> {
    match text {
        "auto" => Some(Migrate::Auto),
        "check" => Some(Migrate::Check),
        "off" => Some(Migrate::Off),
        _ => None,
    }
}

fn model(text: &str) -> Option<String> {
    let length = text.chars().count();
    ((1..=255).contains(&length) && !text.contains('\0')).then(|| text.to_owned())
}

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// Refuses also a word alone that is no level: the filter's own reading of it, as a part of the program of which
/// everything is logged and nothing else, would silence the log for a slip of the pen.
fn log_filter(text: &str) -> Option<EnvFilter> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let is_clear = |directive: &str| {
        directive.contains(['=', '[']) || LEVELS.contains(&directive.to_ascii_lowercase().as_str())
    };
    if !text.split(',').all(|directive| is_clear(directive.trim())) {
        return None;
    }
    EnvFilter::try_new(text).ok()
}
