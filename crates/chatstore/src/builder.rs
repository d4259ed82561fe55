//! How a store is opened.

use std::sync::Arc;
use std::time::Duration;

use chatstore_model::{Clock, IdSource};
use chatstore_sql::{ConnectError, Database, DatabaseKind, DatabaseOptions, FileLock};

use crate::cache::Callers;
use crate::changes::{Messenger, Others, PostgresMessenger};
use crate::event_queue::EventQueue;
use crate::identity::Identity;
use crate::identity_provider::IdentityProvider;
use crate::limit::Limiter;
use crate::measures::Measures;
use crate::security_event::SecurityEvent;
use crate::shared_cache::{LocalCache, SharedCache};
use crate::store::Store;
use crate::token::TokenKeys;

/// Maximum bytes of a document's content when nothing is said, and the largest such maximum.
const DOCUMENT_LIMIT: usize = 1024 * 1024;
const MAX_DOCUMENT_LIMIT: usize = 64 * DOCUMENT_LIMIT;

/// Settings of a store that is about to be opened.
#[derive(Debug, Clone)]
pub struct Builder {
    options: DatabaseOptions,
    identity: Identity,
    document_limit: usize,
    keeps_events: bool,
    messenger: Option<Arc<dyn Messenger>>,
    listens: bool,
    shared: Option<Arc<dyn SharedCache>>,
}

impl Store {
    /// Opens a database with other settings than the usual ones.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> Builder {
        let options = DatabaseOptions { file_lock: FileLock::Own, ..DatabaseOptions::new(url) };
        Builder {
            options,
            identity: Identity::default(),
            document_limit: DOCUMENT_LIMIT,
            keeps_events: false,
            messenger: None,
            listens: true,
            shared: None,
        }
    }
}

impl Builder {
    /// Maximum connections to PostgreSQL; 16 by default. SQLite does not look at it.
    #[must_use]
    pub fn pool(mut self, connections: usize) -> Self {
        self.options.pool = connections;
        self
    }

    /// Whether this process owns a SQLite file: another one that wants to is refused then, with
    /// [`ConnectError::InUse`]. It does when nothing is said, because caches, limits and background work expect it.
    /// [`FileLock::Share`] is for programs that do something beside the owner.
    #[must_use]
    pub fn file_lock(mut self, lock: FileLock) -> Self {
        self.options.file_lock = lock;
        self
    }

    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self
    }

    /// Another source of ids than the machine's randomness. API keys are drawn from it too.
    #[must_use]
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.options.ids = ids;
        self
    }

    /// The model that answers when nothing else says which; `echo` when nothing is said.
    #[must_use]
    pub fn default_model(mut self, model: impl Into<Arc<str>>) -> Self {
        self.options.default_model = model.into();
        self
    }

    /// How long a statement may take before the log has a warning of it, with its name and the number of its rows: ten
    /// lines in a second at most. None when nothing is said.
    #[must_use]
    pub fn slow_statement(mut self, threshold: Option<Duration>) -> Self {
        self.options.slow_statement = threshold;
        self
    }

    /// What tokens are signed with; without it no user can log in. Processes that share a database share the keys.
    #[must_use]
    pub fn token_keys(mut self, keys: TokenKeys) -> Self {
        self.identity.keys = Some(keys);
        self
    }

    /// How many logins of one account may fail in a minute, and ten times as many from one address; 10 when
    /// nothing is said, `None` for any number.
    #[must_use]
    pub fn login_failures(mut self, failures: Option<u32>) -> Self {
        self.identity.failures = failures;
        self
    }

    /// The URL of the PostgreSQL server itself where the store's own is that of a pooler in transaction mode, to hear what
    /// other processes change. [`Store::migrate`] needs a store that was opened with it.
    #[must_use]
    pub fn direct(mut self, url: Option<String>) -> Self {
        self.options.direct_url = url;
        self
    }

    /// URLs of PostgreSQL servers that replay what is written to the store's own: lists, counts, usage and exports of users are
    /// read there. None when nothing is said.
    ///
    /// No user is shown less than what they wrote last in this process, or in another one that said its position
    /// ([`ShownPosition`](crate::ShownPosition)). A standby is used while it is one, answers, and is not half a second behind;
    /// whatever goes wrong there is no error, but is read from the store's own server. They need not answer when the store is
    /// opened.
    #[must_use]
    pub fn standbys(mut self, urls: impl IntoIterator<Item = String>) -> Self {
        self.options.standby_urls = urls.into_iter().collect();
        self
    }

    /// Maximum bytes of a document's content as JSON; 1 MiB when nothing is said, and never more than 64 MiB.
    #[must_use]
    pub fn document_limit(mut self, bytes: usize) -> Self {
        self.document_limit = bytes.min(MAX_DOCUMENT_LIMIT);
        self
    }

    /// Whether security events, and those that the application [offers](crate::EventLog::offer), are stored; not when
    /// nothing is said. They are written in batches beside other work, which never waits for them.
    #[must_use]
    pub fn event_log(mut self, is_on: bool) -> Self {
        self.keeps_events = is_on;
        self
    }

    /// Whose tokens are accepted beside those of logins; nobody's when nothing is said.
    #[must_use]
    pub fn identity_provider(mut self, provider: Arc<dyn IdentityProvider>) -> Self {
        self.identity.provider = Some(provider);
        self
    }

    /// Whether the first token of a person whom no user is creates one; not when nothing is said: anyone may be able to
    /// sign up with the provider.
    #[must_use]
    pub fn create_users(mut self, is_on: bool) -> Self {
        self.identity.creates_users = is_on;
        self
    }

    /// Whether users register, log in and refresh their sessions with passwords; they do when nothing is said.
    #[must_use]
    pub fn local_passwords(mut self, is_on: bool) -> Self {
        self.identity.has_local_passwords = is_on;
        self
    }

    /// Another place where failures and requests are counted than this process.
    #[must_use]
    pub fn limiter(mut self, limiter: Arc<dyn Limiter>) -> Self {
        self.identity.limiter = limiter;
        self
    }

    /// Another way to tell other processes of a session that ended, a key that was revoked, a user who was changed, than
    /// PostgreSQL's own `notify`. On SQLite, nobody is told when nothing is said.
    #[must_use]
    pub fn messenger(mut self, messenger: Arc<dyn Messenger>) -> Self {
        self.messenger = Some(messenger);
        self
    }

    /// What several processes remember together: users by name for five minutes, sessions for a few seconds, answers of
    /// models. When nothing is said, users and sessions are not, and answers only by this process.
    #[must_use]
    pub fn shared_cache(mut self, cache: Arc<dyn SharedCache>) -> Self {
        self.shared = Some(cache);
        self
    }

    /// Whether this process hears at once of such changes by others, for which PostgreSQL needs a connection beside those
    /// of the pool; it does when nothing is said. Without, it notices them within 5 seconds.
    #[must_use]
    pub const fn listen(mut self, is_on: bool) -> Self {
        self.listens = is_on;
        self
    }

    /// Opens the database.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(self) -> std::result::Result<Store, ConnectError> {
        let database = Database::open(self.options).await?;
        let callers = Callers::default();
        let measures = Measures::new(SecurityEvent::expected());
        let limiter = measures.count_limits(self.identity.limiter);
        let messenger = self.messenger.or_else(|| match database.kind() {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(Arc::new(PostgresMessenger(database.clone()))),
        });
        Ok(Store {
            others: Others::new(messenger, self.listens, &callers),
            is_shared: self.shared.is_some(),
            shared: self.shared.unwrap_or_else(|| Arc::new(LocalCache::default())),
            database,
            callers,
            identity: Identity { limiter, ..self.identity },
            sweeper: Arc::default(),
            events: EventQueue::new(self.keeps_events),
            document_limit: self.document_limit,
            measures: Arc::new(measures),
        })
    }
}
