//! Reads settings from their sources. Each source is read completely and checked for unknown names, then the
//! value of the strongest source is taken for each setting.

use std::fmt;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::env_file::{self, BYTE_ORDER_MARK};
use super::setting::{SETTINGS, Setting, nearest};
use crate::error::{CliError, code};
use crate::private_file::{Links, Others, Rules};

pub(crate) const FILE: &str = "chatstore.toml";
pub(crate) const ENV_FILE: &str = ".env";

/// Larger than any file of settings.
const MAX_BYTES: u64 = 1 << 20;

const ENV_FILE_RULES: Rules = Rules {
    what: "file",
    others: Others::GroupWrites,
    links: Links::Refused,
    max_bytes: MAX_BYTES,
    remedy: "look at what is in it first",
};

/// Orchestrators mount such a file as a link.
const FILE_RULES: Rules = Rules { links: Links::Own, ..ENV_FILE_RULES };

/// The default file: the meaning of every setting, and its default value.
pub(crate) const DEFAULT_FILE: &str = include_str!("../../chatstore.toml");

const PREFIX: &str = "CHATSTORE_";

/// The prefix of the variables with the passwords of the first users.
pub(crate) const SEED_PASSWORD: &str = "CHATSTORE_SEED_PASSWORD_";

/// Variables with our prefix that are not settings: input of single commands, and those of the project's tests
/// and benchmarks, which may be set where the program runs.
const FOREIGN_VARIABLES: [&str; 5] =
    ["CHATSTORE_IMPORT_URL", SEED_PASSWORD, "CHATSTORE_TEST_", "CHATSTORE_BENCH_", "CHATSTORE_DIALOGS"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Flag(&'static str),
    Environment,
    File {
        path: String,
        line: usize,
    },
    Default,
    /// Combined from the parts of a PostgreSQL server.
    Parts,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(formatter, "flag {flag}"),
            Self::Environment => formatter.write_str("environment"),
            Self::File { path, line } => write!(formatter, "{path}:{line}"),
            Self::Default => formatter.write_str("default"),
            Self::Parts => formatter.write_str("the POSTGRES_ settings"),
        }
    }
}

/// The value of a setting and its source. The value may be secret: not for logs.
#[derive(Clone)]
pub(crate) struct SettingValue {
    pub(crate) setting: &'static Setting,
    pub(crate) value: String,
    pub(crate) source: Source,
}

impl fmt::Debug for SettingValue {
    /// With secrets masked.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={} ({})", self.setting.variable, self.shown(), self.source)
    }
}

impl SettingValue {
    pub(crate) fn shown(&self) -> String {
        self.setting.shown(&self.value)
    }
}

/// The value in force of every setting that has one.
#[derive(Debug, Clone)]
pub(crate) struct Settings(Vec<SettingValue>);

impl Settings {
    /// Reads every source; `flags` come first.
    pub(crate) fn gather(flags: Vec<SettingValue>) -> Result<Self, CliError> {
        let folder = std::env::current_dir().map_err(|error| {
            CliError::new(code::CONFIGURATION, format!("cannot determine the working directory: {error}"))
        })?;
        let strongest_first =
            [flags, from_environment()?, from_env_file(&folder)?, from_file(&folder)?, defaults()?].concat();

        let mut settings = Vec::with_capacity(SETTINGS.len());
        for setting in SETTINGS.iter().copied() {
            settings.extend(
                strongest_first.iter().find(|found| found.setting.variable == setting.variable).cloned(),
            );
        }
        Ok(Self(settings))
    }

    pub(crate) fn get(&self, setting: &Setting) -> Option<&SettingValue> {
        self.0.iter().find(|found| found.setting.variable == setting.variable)
    }

    /// The value of a setting, unless it is the default.
    pub(crate) fn get_given(&self, setting: &Setting) -> Option<&SettingValue> {
        self.get(setting).filter(|found| found.source != Source::Default)
    }

    /// Removes a setting and returns it.
    pub(crate) fn take(&mut self, setting: &Setting) -> Option<SettingValue> {
        let position = self.0.iter().position(|found| found.setting.variable == setting.variable)?;
        Some(self.0.remove(position))
    }

    /// Replaces the value of a setting.
    pub(crate) fn replace(&mut self, new: SettingValue) {
        for found in &mut self.0 {
            if found.setting.variable == new.setting.variable {
                *found = new;
                return;
            }
        }
    }

    /// The value of a setting, parsed by `read`.
    pub(crate) fn parse<T>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, CliError> {
        self.parse_optional(setting, read)?.ok_or_else(|| {
            CliError::new(code::CONFIGURATION, format!("{} has no value", setting.variable))
                .hint("this build's default file lacks it")
        })
    }

    /// The same of a setting that may have no value.
    pub(crate) fn parse_optional<T>(
        &self,
        setting: &Setting,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, CliError> {
        let Some(found) = self.get(setting) else { return Ok(None) };
        read(&found.value).map(Some).ok_or_else(|| {
            let message = format!(
                "{} is {:?} ({}), but must be {}",
                setting.variable,
                found.shown(),
                found.source,
                setting.allowed
            );
            CliError::new(code::CONFIGURATION, message)
        })
    }
}

fn defaults() -> Result<Vec<SettingValue>, CliError> {
    from_toml(FILE, DEFAULT_FILE, |_| Source::Default)
}

fn from_environment() -> Result<Vec<SettingValue>, CliError> {
    let mut settings = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if is_address_of_a_service(name, &value.to_string_lossy()) {
            continue;
        }
        let Some(setting) = known_variable(name, "the environment")? else { continue };
        let value = value.into_string().map_err(|_| {
            CliError::new(
                code::CONFIGURATION,
                format!("{name} in the environment is not UTF-8, but must be {}", setting.allowed),
            )
        })?;
        settings.push(SettingValue { setting, value, source: Source::Environment });
    }
    settings.retain(|found| !found.value.is_empty());
    Ok(settings)
}

/// Kubernetes tells every container where each service is; of one called chatstore by names that begin like
/// our settings (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_address_of_a_service(name: &str, value: &str) -> bool {
    let is_part = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part));
    is_part || (name.ends_with("_PORT") && value.contains("://"))
}

/// The setting behind a variable; `None` for the variables of other programs.
fn known_variable(name: &str, place: &str) -> Result<Option<&'static Setting>, CliError> {
    let known = Setting::by_variable(name);
    if known.is_some() || !is_ours(name) {
        return Ok(known);
    }
    let names = SETTINGS.iter().map(|setting| setting.variable);
    Err(unknown(name, place, nearest(name, names), "`chatstore config default --env`"))
}

/// Whether a variable is a setting, or would be one if it were spelled correctly.
fn is_ours(name: &str) -> bool {
    let is_of_others = FOREIGN_VARIABLES.iter().any(|prefix| name.starts_with(prefix));
    Setting::by_variable(name).is_some() || (name.starts_with(PREFIX) && !is_of_others)
}

fn unknown(name: &str, place: &str, nearest: &str, listing: &str) -> CliError {
    CliError::new(code::CONFIGURATION, format!("{name} in {place} is not a setting of chatstore"))
        .hint(format!("did you mean {nearest}? {listing} prints all of them"))
}

/// Reads `.env` in the working directory; one further up may be another program's, or another user's.
fn from_env_file(folder: &Path) -> Result<Vec<SettingValue>, CliError> {
    let file = folder.join(ENV_FILE);
    // A Python environment, for example.
    if file.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(Vec::new());
    }
    match ENV_FILE_RULES.read(&file, None)? {
        Some(bytes) => parse_env_file(ENV_FILE, &bytes),
        None => Ok(Vec::new()),
    }
}

fn parse_env_file(file: &str, bytes: &[u8]) -> Result<Vec<SettingValue>, CliError> {
    let mut settings: Vec<SettingValue> = Vec::new();
    for found in env_file::assignments(file, bytes, is_ours)? {
        let place = format!("{file}:{}", found.line);
        let Some(setting) = known_variable(&found.name, &place)? else { continue };
        let source = Source::File { path: file.to_owned(), line: found.line };
        settings.push(SettingValue { setting, value: found.value, source });
    }
    settings.retain(|found| !found.value.is_empty());
    Ok(settings)
}

fn from_file(folder: &Path) -> Result<Vec<SettingValue>, CliError> {
    let Some(bytes) = FILE_RULES.read(&folder.join(FILE), None)? else { return Ok(Vec::new()) };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        CliError::new(code::CONFIGURATION, format!("cannot read {FILE}:{line}: it is not UTF-8"))
    })?;
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    from_toml(FILE, text, |line| Source::File { path: FILE.to_owned(), line })
}

/// Reads a file of settings; `source` says where a value on a line comes from.
fn from_toml(
    file: &str,
    text: &str,
    source: impl Fn(usize) -> Source,
) -> Result<Vec<SettingValue>, CliError> {
    let line_of = |position: usize| text[..position].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        // Without the line itself, which may contain a password.
        let line = error.span().map_or(1, |span| line_of(span.start));
        CliError::new(code::CONFIGURATION, format!("cannot read {file}:{line}: {}", error.message()))
    })?;

    let mut settings = Vec::new();
    for (name, value) in table.get_ref() {
        let line = line_of(name.span().start);
        let written = name.get_ref().as_ref();
        let Some(setting) = Setting::by_name_in_file(written) else {
            let names = SETTINGS.iter().map(|setting| setting.in_file);
            let place = format!("{file}:{line}");
            return Err(unknown(written, &place, nearest(written, names), "`chatstore config default`"));
        };
        let value = match value.get_ref() {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            other => {
                let message = format!(
                    "{written} is of type {} ({file}:{line}), but must be {}",
                    other.type_str(),
                    setting.allowed
                );
                return Err(CliError::new(code::CONFIGURATION, message));
            }
        };
        settings.push(SettingValue { setting, value, source: source(line) });
    }
    Ok(settings)
}

/// The default file as one for `.env`.
pub(crate) fn default_env_file() -> String {
    DEFAULT_FILE.lines().map(env_line).collect()
}

fn env_line(line: &str) -> String {
    let (comment, assignment) = line.strip_prefix("# ").map_or(("", line), |rest| ("# ", rest));
    let assigned = assignment
        .split_once(" = ")
        .and_then(|(name, value)| Some((Setting::by_name_in_file(name)?, value.trim_matches('"'))));
    match assigned {
        Some((setting, value)) => format!("{comment}{}={value}\n", setting.variable),
        None => format!("{line}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_documents_every_setting() {
        for setting in SETTINGS.iter().copied() {
            let documented = DEFAULT_FILE.lines().any(|line| {
                let line = line.strip_prefix("# ").unwrap_or(line);
                line.starts_with(&format!("{} = ", setting.in_file))
            });
            assert!(documented, "{} is not in the default file", setting.in_file);
        }
    }

    #[test]
    fn every_setting_is_in_the_documentation() {
        let document = include_str!("../../../../docs/configuration.md");
        for setting in SETTINGS.iter().copied() {
            let row = format!("| `{}` | `{}` | {} |", setting.variable, setting.in_file, setting.allowed);
            assert!(document.contains(&row), "docs/configuration.md lacks {row}");
        }
    }

    #[test]
    fn the_compose_file_passes_every_setting_on() {
        let compose = include_str!("../../../../docker-compose.yml");
        // The image sets the address, and the parts of the server and the key are given another way.
        let given_otherwise = ["CHATSTORE_BIND", "CHATSTORE_TOKEN_KEY_FILE"];
        for setting in SETTINGS.iter().filter(|setting| setting.variable.starts_with(PREFIX)) {
            let is_passed_on = compose.contains(&format!("      {}: ${{", setting.variable));
            assert!(
                is_passed_on || given_otherwise.contains(&setting.variable),
                "docker-compose.yml lacks {}",
                setting.variable
            );
        }
    }
}
