//! The settings of the token keys.

use std::path::PathBuf;

use chatstore::auth::TokenKeys;

use super::setting::{TOKEN_KEY, TOKEN_KEY_FILE};
use super::settings::Settings;
use crate::error::{CliError, code};

/// Where the token keys come from.
#[derive(Debug)]
pub(crate) enum TokenKeySetting {
    /// Not set.
    Unset,
    Given(TokenKeys),
    File(PathBuf),
}

impl TokenKeySetting {
    pub(super) fn of(settings: &Settings) -> Result<Self, CliError> {
        match (settings.get(&TOKEN_KEY), settings.get(&TOKEN_KEY_FILE)) {
            (None, None) => Ok(Self::Unset),
            (None, Some(file)) => Ok(Self::File(PathBuf::from(&file.value))),
            (Some(key), None) => TokenKeys::parse(&key.value).map(Self::Given).map_err(|error| {
                let message = format!("{} ({}): {error}", key.setting.variable, key.source);
                CliError::new(code::CONFIGURATION, message)
            }),
            (Some(key), Some(file)) => {
                let message = format!(
                    "both {} ({}) and {} ({}) are set",
                    key.setting.variable, key.source, file.setting.variable, file.source
                );
                Err(CliError::new(code::CONFIGURATION, message).hint("set only one of the two"))
            }
        }
    }
}
