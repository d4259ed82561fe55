//! The persistence backend of chat and AI-assistant applications: users, conversations, messages,
//! model responses and their usage, documents, in one SQLite file or in PostgreSQL.
//!
//! ```
//! use chatstore::{NewConversation, NewMessage, NewReply, PageRequest, Store};
//!
//! # #[tokio::main(flavor = "multi_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(&folder)?;
//! let store = Store::connect("sqlite://chat.db").await?;
//! store.migrate().await?;
//!
//! let (ada, _created) = store.users().get_or_create_by_email("ada@example.org").await?;
//! let chat = store.as_user(ada.id); // every call below is checked for this user
//!
//! let trip = chat.conversations().create(NewConversation::titled("Trip")).await?;
//! chat.messages().append(trip.id, NewMessage::user("Where is it warm in March?")).await?;
//! chat.messages().reply(trip.id, NewReply::new("In Seville: 21 °C on most days.")).await?;
//!
//! let page = chat.messages().page(trip.id, PageRequest::newest(50)).await?;
//! assert_eq!(page.items[0].seq, 2);
//!
//! // Several steps in one transaction: it commits on Ok and may run again after a conflict.
//! let trip = store
//!     .write("two_steps", async move |tx| {
//!         let owner = chatstore::Via::Owner(ada.id);
//!         tx.messages().append(owner, trip.id, &NewMessage::user("And in April?")).await?;
//!         tx.conversations().get(owner, trip.id).await
//!     })
//!     .await?;
//! assert_eq!(trip.map(|(trip, _role)| trip.message_count), Some(3));
//! # store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A tour
//!
//! 1. **Open.** [`Store::connect`] takes a URL, [`Store::builder`] everything else; [`Store::migrate`] creates or upgrades the
//!    tables. A process owns its SQLite file: another one that opens it is told so ([`Builder::file_lock`]).
//! 2. **Users.** [`Store::users`] creates and finds them. An application with accounts of its own gives each of its users
//!    one here, by address or by [its own id](Users::get_or_create_by_external_id), and keeps its own login.
//! 3. **Conversations.** [`Store::as_user`] is the store as one user sees it: every call checks owner and membership, and
//!    what is another's is [`ErrorKind::NotFound`]. [`AsUser::conversations`], [`messages`](AsUser::messages),
//!    [`members`](AsUser::members), [`documents`](AsUser::documents), [`usage`](AsUser::usage). Objects that are read are
//!    serialized (`serde`) as the HTTP API shows them.
//! 4. **Transactions.** [`Store::write`] takes a closure that does several steps, all or none, with the repositories of the
//!    transaction ([`Tx`]), and [your own statements](sql) on your own tables in the same database. Create these after
//!    [`Store::migrate`], with names that begin with your application's; `chatstore migrate drift` names them and passes
//!    over them.
//! 5. **HTTP.** The crate `chatstore-http` is the API as an axum router, to mount beside your own routes;
//!    its `ActingUser` says whom your own login let in. Its `examples/embed.rs` is a whole application.
//! 6. **Housekeeping.** Call [`Store::maintain`] now and then, as a server does every 15 minutes, and [`Store::close`] in the
//!    end.
//! 7. **Tests** open `sqlite://:memory:` ([`Store::memory`]).
//!
//! Beside the root there are five modules, for what fewer programs need: [`auth`] says who a request comes from (passwords,
//! sessions, keys, identity providers), [`sql`] is for own statements, [`operations`] for backups, counts, digests and
//! migrations, [`messenger`] how several processes hear of changes, and [`shared_cache`] what they remember together.
//!
//! # What to know
//! - **An answer means stored.** On SQLite a write is answered after its commit is on disk; many
//!   writes share one commit. On PostgreSQL an append is one statement.
//! - **There is no begin and commit.** A transaction left open would hold SQLite's only writer.
//!   [`Store::write`] takes a closure instead; it runs on the writing thread and must wait for
//!   nothing but the transaction.
//! - **Blocking programs** use it with one line:
//!   `tokio::runtime::Runtime::new()?.block_on(store.as_user(id).messages().append(…))`.
//! - **Another SQLite in the same program**: leave ours out with
//!   `default-features = false, features = ["postgres"]`.
//! - **A transaction of one's own** ends with the call of a repository, or else names its error
//!   (`Ok::<_, Error>(value)`); [`Store::write`] shows how to undo one for a reason of one's own.
//!
//! # Security events
//! Logins, keys, sessions, changes of users and members are logged as events of `tracing` with the target
//! `chatstore::security`, once each: what happened, how it ended, to whom, and who caused it
//! ([`auth::Actor`]), by ids alone. With [`Builder::event_log`] they are stored as well, where [`AsUser::logs`] and
//! [`Store::event_log`] find them.

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

mod actor;
mod api_key;
mod builder;
mod cache;
mod changes;
mod cursor;
mod error;
mod event_queue;
mod export;
mod identity;
mod identity_provider;
mod limit;
mod measures;
mod page_request;
mod password;
mod principal;
mod security_event;
mod service;
pub mod shared_cache;
mod shown_position;
mod store;
mod sweeper;
mod token;
mod user_reference;
mod user_scope;

pub use builder::Builder;
pub use chatstore_model::*;
pub use chatstore_sql::{
    Cause, ConnectError, ConversationList, DatabaseKind, DocumentList, Family, FileLock, FoundDocuments,
    InvalidWalPosition, LogList, LogOwner, Owners, ReadTx, ServerFailure, StandbyReads, StoreError, Tx,
    UnsupportedEncoding, Via, WalPosition, WriteTx,
};
pub use cursor::{Cursor, InvalidCursor};
pub use error::{Error, ErrorKind, Result};
pub use export::{Export, Exported};
pub use page_request::PageRequest;
pub use service::{
    AllConversations, AppendedBatch, Conversations, CopiedConversation, CopiedFrom, Destination, Documents,
    EventLog, IdempotencyKey, Idempotent, KeyRetention, Keys, Logs, Members, MessageStream, Messages, NewKey,
    Outcome, ReferencedDocuments, ReplacedMessages, ReplacedSuffix, RequestHash, ResponseCache, SessionCache,
    Unnamed, Usage, UserCache, Users,
};
pub use shown_position::ShownPosition;
pub use store::Store;
pub use user_scope::{AsUser, SeenRevision};
/// The type behind every id.
pub use uuid::Uuid;

/// Who a request comes from: passwords, tokens and keys, and how often something may be tried.
pub mod auth {
    pub use chatstore_model::PasswordHash;

    pub use crate::actor::Actor;
    pub use crate::identity_provider::{
        IdentityFuture, IdentityProvider, ProviderUnavailable, VerifiedToken,
    };
    pub use crate::limit::{
        ClientNetwork, LimitKey, LimitKind, Limiter, LimiterFuture, LocalLimiter, LoginAccount, Permission,
        Quota,
    };
    pub use crate::password::Password;
    pub use crate::principal::{ActingUser, Credential, Principal};
    pub use crate::service::{
        Auth, ClientInfo, KeyOptions, LoginName, MAX_ROTATION_OVERLAP, OwnKeys, ROTATION_OVERLAP, Tokens,
    };
    pub use crate::token::{InvalidTokenKey, TokenKeys};
    pub use crate::user_reference::{InvalidUserReference, UserReference};
}

/// How several processes with one database hear of each other's changes.
pub mod messenger {
    pub use crate::changes::{Hear, Heard, Messenger, MessengerFuture};
}

/// For those who operate a store: [`Store::operations`](crate::Store::operations) and
/// [`Store::migrations`](crate::Store::migrations), and what they return.
pub mod operations {
    #[cfg(all(feature = "sqlite", unix))]
    pub use chatstore_sql::{Backup, BackupError, BackupProgress, restore_backup, verify_backup};
    pub use chatstore_sql::{
        ConnectionMeasures, Counts, DatabaseMeasures, Deletion, Distribution, Histogram, Marked,
        MarkedCounts, MigrationError, MigrationSummary, Migrations, Revision, SqliteMeasures,
        StatementMeasures, TableDigest,
    };

    pub use crate::event_queue::EventLogCounts;
    pub use crate::measures::{LimitMeasures, ModelMeasures, StoreMeasures};
    pub use crate::service::{Maintained, Operations, SEED_USERS, Seeded};
}

/// An application's own statements inside a transaction, [`Tx::query`](crate::Tx::query) and
/// [`WriteTx::execute`](crate::Tx::execute). Unstable: the schema may change in any release.
pub mod sql {
    pub use chatstore_sql::{Bytes, FromColumn, Row, Sql, Value};
}
