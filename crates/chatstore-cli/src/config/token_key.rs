//! Where the settings say that the keys of tokens are.

use std::path::PathBuf;

use chatstore::auth::TokenKeys;

use super::key::{TOKEN_KEY, TOKEN_KEY_FILE};
use super::settings::Settings;
use crate::failure::{Failure, code};

/// Where the keys of tokens are.
#[derive(Debug)]
pub(crate) enum TokenKeySetting {
    /// Nothing is said.
    Unset,
    Given(TokenKeys),
    File(PathBuf),
}

impl TokenKeySetting {
    pub(super) fn of(settings: &Settings) -> Result<Self, Failure> {
        match (settings.get(&TOKEN_KEY), settings.get(&TOKEN_KEY_FILE)) {
            (None, None) => Ok(Self::Unset),
            (None, Some(file)) => Ok(Self::File(PathBuf::from(&file.value))),
            (Some(key), None) => TokenKeys::parse(&key.value).map(Self::Given).map_err(|error| {
                let message = format!("{} ({}): {error}", key.key.variable, key.source);
                Failure::new(code::CONFIGURATION, message)
            }),
            (Some(key), Some(file)) => {
                let message = format!(
                    "both {} ({}) and {} ({}) are set",
                    key.key.variable, key.source, file.key.variable, file.source
                );
                Err(Failure::new(code::CONFIGURATION, message).hint("leave one of the two out"))
            }
        }
    }
}
