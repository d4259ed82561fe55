//! The user a server runs as.

use std::process::Command;

use super::error::{self, ServerError};

/// Numeric ids, because those are what the standard library switches to, without a helper program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Account {
    /// The current user, or for root, as whom PostgreSQL refuses to run, `postgres` or else `nobody`.
    pub(super) fn for_server() -> Result<Self, ServerError> {
        if let Some(current) = Self::look_up(None)?
            && current.user != 0
        {
            return Ok(current);
        }
        for name in ["postgres", "nobody"] {
            if let Some(account) = Self::look_up(Some(name))? {
                return Ok(account);
            }
        }
        Err(ServerError::NoAccount)
    }

    fn look_up(name: Option<&str>) -> Result<Option<Self>, ServerError> {
        let Some(user) = id("-u", name)? else { return Ok(None) };
        let Some(group) = id("-g", name)? else { return Ok(None) };
        Ok(Some(Self { user, group }))
    }
}

fn id(option: &str, name: Option<&str>) -> Result<Option<u32>, ServerError> {
    let output = error::run(Command::new("id").arg(option).args(name))?;
    if !output.status.success() {
        return Ok(None);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}
