//! The identity providers that the settings name.

use std::sync::Arc;

use chatstore::Builder;
use chatstore_oidc::{ProviderOptions, Providers, ProvidersError};

use crate::config::Config;
use crate::error::{CliError, code};

/// The providers; `None` where no one is trusted.
pub(crate) fn providers(config: &Config) -> Result<Option<Providers>, CliError> {
    let options = config.identity_providers.providers.clone();
    Ok(options.map(|options: ProviderOptions| Providers::new(options)).transpose()?)
}

/// A store that accepts their tokens.
pub(crate) fn accept_tokens(builder: Builder, config: &Config, providers: Option<&Providers>) -> Builder {
    let settings = &config.identity_providers;
    let builder = builder.create_users(settings.creates_users).local_passwords(settings.has_local_passwords);
    match providers {
        Some(providers) => builder.identity_provider(Arc::new(providers.clone())),
        None => builder,
    }
}

impl From<ProvidersError> for CliError {
    fn from(error: ProvidersError) -> Self {
        Self::new(code::CONFIGURATION, error.to_string())
    }
}
