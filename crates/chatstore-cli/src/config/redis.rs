//! The settings of Redis.

use std::path::PathBuf;

use chatstore_redis::{KeyPrefix, RedisOptions};

use super::setting;
use super::settings::Settings;
use crate::error::CliError;

/// Where Redis is; `None` where there is none.
pub(super) fn options(settings: &Settings) -> Result<Option<RedisOptions>, CliError> {
    let options = settings.parse_optional(&setting::REDIS_URL, |url| RedisOptions::new(url).ok())?;
    let prefix: Option<KeyPrefix> =
        settings.parse_optional(&setting::REDIS_PREFIX, |text| text.parse().ok())?;
    let certificates: Option<PathBuf> =
        settings.parse_optional(&setting::REDIS_SSLROOTCERT, |text| Some(text.into()))?;
    Ok(options.map(|options| {
        let options = options.prefix(prefix.unwrap_or_default());
        match certificates {
            Some(file) => options.root_certificates(file),
            None => options,
        }
    }))
}
