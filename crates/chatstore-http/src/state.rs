//! What handlers share.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use chatstore::auth::{LimitKey, Permission, Quota};
use chatstore::{DatabaseKind, Store, UserId};

use crate::admission::Admission;
use crate::answer::AnswerMemory;
use crate::budget::ByteBudget;
use crate::client::{ClientAddress, TrustedProxies};
use crate::description::text::DescriptionText;
use crate::error::Problem;
use crate::metrics::Metrics;
use crate::origins::AllowedOrigins;
use crate::pace::Pace;
use crate::rate_limit::RequestLimit;
use crate::repetitions::{Repetition, Repetitions};
use crate::shares::Shares;

/// The maximum size of a body with messages, in bytes, unless it is set.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The options of an API.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Whether requests without credentials may create and read anonymous conversations.
    pub(crate) takes_anonymous: bool,
    /// Whether clients may register.
    pub(crate) takes_registrations: bool,
    /// The proxies that are trusted to name the client's address.
    pub(crate) proxies: TrustedProxies,
    /// Requests of a user from an address in a minute; unlimited when there is none.
    pub(crate) requests_a_minute: Option<u32>,
    /// The origins whose pages may use the API.
    pub(crate) origins: AllowedOrigins,
    /// Whether neither the description nor its page is served.
    pub(crate) hides_description: bool,
    /// Whether `/` says what this is.
    pub(crate) has_front_page: bool,
    /// The maximum size of a body with messages, in bytes.
    pub(crate) max_body: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            takes_anonymous: false,
            takes_registrations: false,
            proxies: TrustedProxies::default(),
            requests_a_minute: None,
            origins: AllowedOrigins::default(),
            hides_description: false,
            has_front_page: false,
            max_body: MAX_BODY,
        }
    }
}

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    description: DescriptionText,
    policy: Policy,
    admission: Admission,
    shares: Shares,
    bodies: ByteBudget,
    answers: AnswerMemory,
    pace: Pace,
    metrics: Metrics,
    failures: Repetitions,
}

impl AppState {
    /// The state of a router over this store.
    pub(crate) fn new(store: Store, description: String, policy: Policy, metrics: Metrics) -> Self {
        let admission = Admission::default();
        let shares = Shares::new(store.kind() == DatabaseKind::Postgres);
        let largest_body = store.document_limit().max(policy.max_body);
        let (bodies, answers) = (ByteBudget::of_bodies(largest_body), AnswerMemory::default());
        let (pace, failures) = (Pace::default(), Repetitions::new(log_failures));
        let description = DescriptionText::new(description);
        let shared = Shared {
            store,
            description,
            policy,
            admission,
            shares,
            bodies,
            answers,
            pace,
            metrics,
            failures,
        };
        Self(Arc::new(shared))
    }

    /// The store, for what belongs to no user: health, keys, users, ids of requests.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The OpenAPI document.
    pub(crate) fn description(&self) -> &DescriptionText {
        &self.0.description
    }

    /// The options of the API.
    pub(crate) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Counts a request, of a user if one is known; its answer says how many are left.
    pub(crate) async fn count(&self, parts: &Parts, user: Option<UserId>) -> Result<(), Problem> {
        let Some(count) = self.0.policy.requests_a_minute else { return Ok(()) };
        let quota = Quota { count, period: Duration::from_secs(60) };
        let store = self.store();
        let key = LimitKey::request(user, ClientAddress::of(parts));
        let permission = store.limiter().take(&key, quota, store.now()).await;
        RequestLimit::note(&parts.extensions, quota, permission);
        match permission {
            Permission::Granted { .. } => Ok(()),
            Permission::Refused { retry_after } => Err(Problem::rate_limited(retry_after)),
        }
    }

    /// Which requests may run now.
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Which requests may change the same thing now.
    pub(crate) fn shares(&self) -> &Shares {
        &self.0.shares
    }

    /// At what pace clients are told that they ask too often.
    pub(crate) fn pace(&self) -> &Pace {
        &self.0.pace
    }

    /// Failures of requests and of the database, which come in floods.
    pub(crate) fn failures(&self) -> &Repetitions {
        &self.0.failures
    }

    /// What the bodies of requests may hold until these are done.
    pub(crate) fn bodies(&self) -> &ByteBudget {
        &self.0.bodies
    }

    /// What answers may hold until they are read.
    pub(crate) fn answers(&self) -> &AnswerMemory {
        &self.0.answers
    }

    /// The metrics.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

fn log_failures(kind: &str, repetition: Repetition) {
    match repetition {
        Repetition::Again { count, total } => tracing::error!(
            failure.kind = kind,
            failure.count = count,
            failure.total = total,
            "failed again in the last 10 s"
        ),
        Repetition::Over { total } => {
            tracing::info!(failure.kind = kind, failure.total = total, "has not failed for 10 s")
        }
    }
}
