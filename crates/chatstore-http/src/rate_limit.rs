//! What an answer says of the limit for which its request was counted.
//!
//! Structured fields of <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.

use std::sync::{Arc, OnceLock};

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use chatstore::auth::{Permission, Quota};

/// How many requests there may be in how long.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How many are left, and for how many seconds.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The name of the one policy.
const POLICY: &str = "requests";

/// How a request was counted, known only after its head was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestLimit(Arc<OnceLock<(Quota, Permission)>>);

impl RequestLimit {
    /// Notes how the request with these extensions was counted.
    pub(crate) fn note(extensions: &Extensions, quota: Quota, permission: Permission) {
        if let Some(Self(counted)) = extensions.get() {
            // A request is counted once.
            let _ = counted.set((quota, permission));
        }
    }

    /// Says so in the answer; nothing of a request that was not counted.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let Some((quota, permission)) = self.0.get() else { return };
        let (remaining, wait) = match permission {
            Permission::Granted { remaining, reset_after } => (*remaining, *reset_after),
            Permission::Refused { retry_after } => (0, *retry_after),
        };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let texts = [
            (RATE_LIMIT_POLICY, format!("\"{POLICY}\";q={};w={}", quota.count, quota.period.as_secs())),
            (RATE_LIMIT, format!("\"{POLICY}\";r={remaining};t={seconds}")),
        ];
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}
