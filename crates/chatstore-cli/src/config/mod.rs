//! The settings: flags win over the environment, then `.env`, `chatstore.toml` and the default file.
//!
//! To add a setting: its [`Setting`] in `setting.rs`, its lines in `chatstore.toml`, its field in [`Config`].
//! Tests compare `.env.example` and `docs/configuration.md` with these.

mod env_file;
mod identity_provider;
mod redis;
mod setting;
mod settings;
mod token_key;
mod url;

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use chatstore_http::{AllowedOrigins, TrustedProxies};
use chatstore_redis::RedisOptions;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::error::{CliError, code};
pub(crate) use identity_provider::IdentityProviderSettings;
use setting::Setting;
use settings::SettingValue;
pub(crate) use settings::{DEFAULT_FILE, SEED_PASSWORD, Settings, Source, default_env_file};
pub(crate) use token_key::TokenKeySetting;

/// Defaults of the parts of a server.
const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 5432;

/// The settings that every command takes as flags.
#[derive(Args)]
pub(crate) struct Flags {
    /// The database: sqlite://PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME [default:
    /// sqlite://chatstore.db]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// The model of a message if neither the message nor its conversation names one [default: echo]
    #[arg(long, global = true, value_name = "MODEL")]
    default_model: Option<String>,
}

/// For commands that need neither settings nor a database: the same flags, which are accepted, without effect, and not shown.
#[derive(Args)]
pub(crate) struct NoFlags {
    #[arg(id = "database_url", long = "database-url", hide = true)]
    _database_url: Option<String>,
    #[arg(id = "default_model", long = "default-model", hide = true)]
    _default_model: Option<String>,
}

/// The arguments of a command that needs neither settings nor a database.
#[derive(Debug, Args)]
pub(crate) struct Alone<A: Args + std::fmt::Debug> {
    #[command(flatten)]
    pub(crate) arguments: A,
    #[command(flatten)]
    _flags: NoFlags,
}

impl std::fmt::Debug for NoFlags {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NoFlags")
    }
}

impl std::fmt::Debug for Flags {
    /// Without the URL, which may hold a password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Flags").field("default_model", &self.default_model).finish_non_exhaustive()
    }
}

impl Flags {
    fn settings(&self) -> Vec<SettingValue> {
        let given = [
            (&setting::DATABASE_URL, "--database-url", &self.database_url),
            (&setting::DEFAULT_MODEL, "--default-model", &self.default_model),
        ];
        let mut settings = Vec::new();
        for (setting, flag, value) in given {
            settings.extend(value.clone().map(|value| SettingValue {
                setting,
                value,
                source: Source::Flag(flag),
            }));
        }
        settings
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// What commands that need the tables do about pending revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Migrate {
    Auto,
    Check,
    Off,
}

/// Whether the deployment is in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Environment {
    Development,
    Production,
}

/// Every setting, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// In the order of the table, with where each came from.
    pub(crate) settings: Settings,
    /// Settings of a PostgreSQL server that are ignored: because a URL is set, or because no user is, so that the database
    /// is a SQLite file.
    pub(crate) overruled: Vec<SettingValue>,
    /// `None` where there is none.
    pub(crate) redis: Option<RedisOptions>,
    pub(crate) pool: NonZeroU16,
    /// `None` where it depends on the kind of database.
    pub(crate) migrate: Option<Migrate>,
    pub(crate) bind: SocketAddr,
    /// Between two requests of a connection.
    pub(crate) idle_time: Duration,
    pub(crate) anonymous: bool,
    pub(crate) token_key: TokenKeySetting,
    pub(crate) open_registration: bool,
    pub(crate) identity_providers: IdentityProviderSettings,
    /// `None` for no limit.
    pub(crate) login_rate_limit: Option<u32>,
    /// `None` for no limit.
    pub(crate) rate_limit: Option<u32>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) allowed_origins: AllowedOrigins,
    /// Whether the description of the API is served.
    pub(crate) docs: bool,
    pub(crate) environment: Environment,
    /// `None` when it is off.
    pub(crate) metrics_bind: Option<SocketAddr>,
    pub(crate) default_model: String,
    /// Bytes.
    pub(crate) document_limit: usize,
    /// Bytes.
    pub(crate) max_body: usize,
    /// Whether security events and failures are kept in the database.
    pub(crate) log_store: bool,
    /// `None` for ever.
    pub(crate) log_retention: Option<Duration>,
    pub(crate) log: EnvFilter,
    pub(crate) log_format: LogFormat,
    /// How long a statement may take before the log of a server has a line of it; `None` for none.
    pub(crate) slow_statement: Option<Duration>,
    /// The URL of the server itself where the other one names a pooler.
    pub(crate) direct: Option<String>,
    /// URLs of standbys.
    pub(crate) standbys: Vec<String>,
    database: SettingValue,
}

impl Config {
    pub(crate) fn load(flags: &Flags) -> Result<Self, CliError> {
        let mut settings = Settings::gather(flags.settings())?;
        let overruled = settle_database(&mut settings)?;
        let database = settings.get(&setting::DATABASE_URL).cloned().ok_or_else(|| {
            CliError::new(code::CONFIGURATION, "DATABASE_URL has no value")
                .hint(format!("it must be {}", setting::DATABASE_URL.allowed))
        })?;
        Ok(Self {
            redis: redis::options(&settings)?,
            pool: settings.parse(&setting::POOL, |text| text.parse().ok())?,
            migrate: settings.parse_optional(&setting::MIGRATE, choice)?,
            bind: settings.parse(&setting::BIND, |text| text.parse().ok())?,
            idle_time: settings.parse(&setting::IDLE_SECONDS, idle_time)?,
            anonymous: settings.parse(&setting::ANONYMOUS, on_or_off)?,
            token_key: TokenKeySetting::of(&settings)?,
            identity_providers: IdentityProviderSettings::of(&settings)?,
            open_registration: settings.parse(&setting::OPEN_REGISTRATION, on_or_off)?,
            login_rate_limit: settings.parse(&setting::LOGIN_RATE_LIMIT, limit)?,
            rate_limit: settings.parse(&setting::RATE_LIMIT, limit)?,
            trusted_proxies: settings
                .parse_optional(&setting::TRUSTED_PROXIES, |text| text.parse().ok())?
                .unwrap_or_default(),
            allowed_origins: settings
                .parse_optional(&setting::ALLOWED_ORIGINS, |text| text.parse().ok())?
                .unwrap_or_default(),
            docs: settings.parse(&setting::DOCS, on_or_off)?,
            environment: settings.parse(&setting::ENV, choice)?,
            metrics_bind: settings.parse(&setting::METRICS_BIND, address_or_off)?,
            default_model: settings.parse(&setting::DEFAULT_MODEL, model)?,
            document_limit: settings.parse(&setting::DOCUMENT_LIMIT, document_limit)?,
            max_body: settings.parse(&setting::MAX_BODY, max_body)?,
            log_store: settings.parse(&setting::LOG_STORE, on_or_off)?,
            log_retention: settings.parse(&setting::LOG_RETENTION_DAYS, days)?,
            log: settings.parse(&setting::LOG, log_filter)?,
            log_format: settings.parse(&setting::LOG_FORMAT, choice)?,
            slow_statement: settings.parse(&setting::SLOW_STATEMENT_MS, slow_statement)?,
            direct: settings.get(&setting::DATABASE_DIRECT_URL).map(|url| url.value.clone()),
            standbys: settings
                .parse_optional(&setting::DATABASE_READ_URL, |text| Some(url::separate(text)))?
                .unwrap_or_default(),
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

    /// Whether a source other than the default file names the database.
    pub(crate) fn database_is_named(&self) -> bool {
        self.database.source != Source::Default
    }

    /// Settings of a PostgreSQL server that name none, so that the database is a SQLite file.
    pub(crate) fn half_an_address(&self) -> &[SettingValue] {
        if self.database_is_named() { &[] } else { &self.overruled }
    }

    /// Has only warnings logged, unless a source other than the default file says what is logged.
    pub(crate) fn log_warnings_by_default(&mut self) {
        if self.settings.get_given(&setting::LOG).is_none() {
            self.log = EnvFilter::new("warn");
        }
    }

    /// Every setting with its value and source; `None` for one that has no value.
    pub(crate) fn every_setting(&self) -> Vec<(&'static Setting, Option<(String, String)>)> {
        let shown = |setting: &'static Setting| {
            if let Some(found) = self.settings.get(setting) {
                return Some((found.shown(), found.source.to_string()));
            }
            let overruled = self.overruled.iter().find(|found| found.setting.variable == setting.variable)?;
            Some((overruled.shown(), format!("{}, ignored", overruled.source)))
        };
        setting::SETTINGS.iter().copied().map(|setting| (setting, shown(setting))).collect()
    }

    /// Whether a source other than the default file sets the address of metrics.
    pub(crate) fn metrics_bind_is_set(&self) -> bool {
        self.settings.get_given(&setting::METRICS_BIND).is_some()
    }
}

/// Keeps either the URL or the parts of a server; returns the overruled settings that were set explicitly. Parts without
/// a user name no server: other programs have such variables too.
fn settle_database(settings: &mut Settings) -> Result<Vec<SettingValue>, CliError> {
    let has_url = settings.get_given(&setting::DATABASE_URL).is_some();
    if !has_url && settings.get(&setting::POSTGRES_USER).is_some() {
        let value = server_url(settings)?;
        settings.replace(SettingValue { setting: &setting::DATABASE_URL, value, source: Source::Parts });
        return Ok(Vec::new());
    }
    let taken = setting::POSTGRES.into_iter().filter_map(|setting| settings.take(setting));
    Ok(taken.filter(|found| found.source != Source::Default).collect())
}

fn server_url(settings: &Settings) -> Result<String, CliError> {
    let text = |setting: &Setting| settings.get(setting).map(|found| found.value.as_str());
    let sslmode = settings.parse_optional(&setting::POSTGRES_SSLMODE, sslmode)?;
    let port =
        settings.parse_optional(&setting::POSTGRES_PORT, |text| text.parse().ok().map(NonZeroU16::get))?;
    let server = url::Server {
        user: text(&setting::POSTGRES_USER).unwrap_or_default(),
        password: text(&setting::POSTGRES_PASSWORD),
        database: text(&setting::POSTGRES_DB),
        host: text(&setting::POSTGRES_HOST).unwrap_or(DEFAULT_HOST),
        port: port.unwrap_or(DEFAULT_PORT),
        sslmode: sslmode.as_deref(),
        sslrootcert: text(&setting::POSTGRES_SSLROOTCERT),
    };
    Ok(server.url())
}

/// The values that libpq knows.
fn sslmode(text: &str) -> Option<String> {
    const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
    MODES.contains(&text).then(|| text.to_owned())
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A limit per minute; none for 0.
fn limit(text: &str) -> Option<Option<u32>> {
    let count: u32 = text.parse().ok()?;
    Some((count > 0).then_some(count))
}

fn idle_time(text: &str) -> Option<Duration> {
    let seconds: u64 = text.parse().ok()?;
    (1..=86_400).contains(&seconds).then(|| Duration::from_secs(seconds))
}

fn document_limit(text: &str) -> Option<usize> {
    text.parse().ok().filter(|bytes| (1024..=64 * 1024 * 1024).contains(bytes))
}

fn max_body(text: &str) -> Option<usize> {
    text.parse().ok().filter(|bytes| (1024 * 1024..=64 * 1024 * 1024).contains(bytes))
}

/// A time in milliseconds, an hour at most; none for 0.
fn slow_statement(text: &str) -> Option<Option<Duration>> {
    let milliseconds: u64 = text.parse().ok().filter(|milliseconds| *milliseconds <= 3_600_000)?;
    Some((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
}

/// A time in days; none for 0.
fn days(text: &str) -> Option<Option<Duration>> {
    let days: u64 = text.parse().ok().filter(|days| *days <= 36_500)?;
    Some((days > 0).then(|| Duration::from_secs(days * 86_400)))
}

/// One of the names that a setting has for its values.
fn choice<T: ValueEnum>(text: &str) -> Option<T> {
    T::from_str(text, false).ok()
}

fn address_or_off(text: &str) -> Option<Option<SocketAddr>> {
    if text == "off" { Some(None) } else { text.parse().ok().map(Some) }
}

fn model(text: &str) -> Option<String> {
    let length = text.chars().count();
    ((1..=255).contains(&length) && !text.contains('\0')).then(|| text.to_owned())
}

/// Also refuses a single word that is not a level: the filter would read it as a module of which everything is
/// logged and nothing else, so that a typo would silence the log.
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
