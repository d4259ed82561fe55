//! The settings of identity providers.

use chatstore_oidc::{Issuer, ProviderOptions, RoleRules};

use super::on_or_off;
use super::setting::{self, Setting};
use super::settings::Settings;
use crate::error::{CliError, code};

/// Whose tokens are accepted, and what becomes of those who show them.
#[derive(Debug)]
pub(crate) struct IdentityProviderSettings {
    /// `None` where no provider is trusted.
    pub(crate) providers: Option<ProviderOptions>,
    pub(crate) creates_users: bool,
    pub(crate) has_local_passwords: bool,
}

impl IdentityProviderSettings {
    pub(super) fn of(settings: &Settings) -> Result<Self, CliError> {
        let issuers = settings.parse_optional(&setting::OIDC_ISSUER, issuers)?;
        let audiences = settings.parse_optional(&setting::OIDC_AUDIENCE, names)?;
        let roles: RoleRules =
            settings.parse_optional(&setting::OIDC_ROLES, |text| text.parse().ok())?.unwrap_or_default();
        let providers = match (issuers, audiences) {
            (Some(issuers), Some(audiences)) => Some(ProviderOptions { issuers, audiences, roles }),
            (None, None) => None,
            (Some(_), None) => return Err(lacks(&setting::OIDC_ISSUER, &setting::OIDC_AUDIENCE)),
            (None, Some(_)) => return Err(lacks(&setting::OIDC_AUDIENCE, &setting::OIDC_ISSUER)),
        };
        Ok(Self {
            providers,
            creates_users: settings.parse(&setting::OIDC_CREATE_USERS, on_or_off)?,
            has_local_passwords: settings.parse(&setting::LOCAL_PASSWORDS, on_or_off)?,
        })
    }
}

fn lacks(given: &Setting, missing: &Setting) -> CliError {
    let message = format!("{} is set, but {} is not", given.variable, missing.variable);
    CliError::new(code::CONFIGURATION, message)
        .hint(format!("{} must be {}", missing.variable, missing.allowed))
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn issuers(text: &str) -> Option<Vec<Issuer>> {
    let issuers: Vec<Issuer> = parts(text).map(str::parse).collect::<Result<_, _>>().ok()?;
    (!issuers.is_empty()).then_some(issuers)
}

fn names(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = parts(text).map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}
