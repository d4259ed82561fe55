//! The persistence backend of chat and AI-assistant applications: users, conversations, messages,
//! model responses and their usage, in one SQLite file or in PostgreSQL.
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
//!         let owner = chatstore::By::Owner(ada.id);
//!         tx.messages().append(owner, trip.id, &NewMessage::user("And in April?")).await?;
//!         Ok(tx.conversations().get(owner, trip.id).await?)
//!     })
//!     .await?;
//! assert_eq!(trip.map(|(trip, _role)| trip.message_count), Some(3));
//! # store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//! - **An answer means stored.** On SQLite a write is answered after its commit is on disk; many
//!   writes share one commit. On PostgreSQL an append is one statement.
//! - **There is no begin and commit.** A transaction left open would hold SQLite's only writer.
//!   [`Store::write`] takes a closure instead; it runs on the writing thread and must wait for
//!   nothing but the transaction.
//! - **Blocking programs** use it with one line:
//!   `tokio::runtime::Runtime::new()?.block_on(store.as_user(id).messages().append(…))`.
//! - **Tests** open `sqlite://:memory:` ([`Store::memory`]).
//! - **Another SQLite in the same program**: leave ours out with
//!   `default-features = false, features = ["postgres"]`.
//!
//! Inside a transaction [`Tx::query`] runs a query of one's own; it is unstable, because the
//! schema may change in any release.

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

mod actor;
mod cursor;
mod error;
mod export;
pub mod import;
mod key;
mod limit;
mod page_request;
mod password;
mod principal;
mod recent;
mod security_event;
mod seed;
mod service;
mod store;
mod token;
mod user_reference;

pub use actor::AsUser;
pub use chatstore_model::{
    Access, ApiKey, ApiKeyId, ApiKeyPosition, ApiKeyScope, Change, Clock, Conversation, ConversationId,
    ConversationPatch, ConversationPosition, ConversationRole, ConversationSort, Day, Email, EndReason,
    FieldCode, FieldError, IdSource, IdempotencyRecord, Invalid, InvalidId, InvalidJson, InvalidName,
    InvalidTimestamp, Json, Limit, Member, MemberPosition, MemberRole, Membership, Message, MessageId,
    MessagePatch, MessageRange, MessageRole, NewApiKey, NewConversation, NewIdempotencyRecord, NewMessage,
    NewReply, NewResponse, NewUser, Order, Page, PasswordHash, RefreshToken, RefreshTokenId, Reply, Response,
    Session, SessionId, SessionPosition, SystemClock, Timestamp, UsageGroup, UsageGrouping, UsageRow, User,
    UserFilter, UserId, UserName, UserPatch, UserPosition, UserRole, Validator, effective_model, limits,
};
pub use chatstore_model::{
    CountField, Duplicates, FlagField, FromText, IntoValid, JsonField, JsonReader, JsonShape, Keyword,
    KeywordField, ListField, TextField, TextForm, UsageDimension, Valid, Validate, fields,
};
pub use chatstore_sql::{
    By, Bytes, Cause, ConnectError, ConversationList, Counts, DatabaseKind, ForeignError, FromColumn,
    MigrationError, Migrations, ReadTx, Revision, Row, Sql, Status, StoreError, TableDigest, Tx, Value,
    WriteTx,
};
pub use chatstore_sql::{migrate, new_revision_id, revisions, schema, snapshot};
pub use cursor::{Cursor, InvalidCursor};
pub use error::{Error, ErrorKind, Result};
pub use export::{Export, Exported};
pub use limit::{LimitKey, Limiter, LimiterFuture, LocalLimiter, Permission, Quota};
pub use page_request::PageRequest;
pub use password::Password;
pub use principal::{Credential, Principal};
pub use seed::{SEED_USERS, Seeded};
pub use service::{
    Acting, Auth, Conversations, Keys, LoginName, Members, Messages, NewKey, Once, OnceKey, Origin, Outcome,
    Tokens, Usage, Users,
};
pub use store::{Builder, Store};
pub use token::{InvalidTokenKey, TokenKeys};
pub use user_reference::{InvalidUserReference, UserReference};
/// The type behind every id.
pub use uuid::Uuid;
