//! The store as one user sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chatstore_model::UserId;
use chatstore_sql::{ReadTx, StoreError, UserRead, UserWrite, WriteTx};

use crate::shown_position::ShownPosition;
use crate::store::Store;

/// The store as one user sees it. What belongs to others is answered like what is absent.
#[derive(Debug, Clone, Copy)]
pub struct AsUser<'s> {
    pub(crate) store: &'s Store,
    pub(crate) user: UserId,
    pub(crate) expected: Option<i64>,
    pub(crate) is_service: bool,
    pub(crate) is_vouched_for: bool,
    seen: Option<&'s SeenRevision>,
}

/// The revision of a conversation after calls that read or changed its messages, by which the next change can be made
/// conditional without a read in between.
///
/// ```
/// # use chatstore::{NewConversation, NewMessage, NewUser, SeenRevision, Store, UserName};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = Store::memory().await?;
/// # let ada = store.users().create(NewUser::named(UserName::new("ada")?)).await?;
/// # let trip = store.as_user(ada.id).conversations().create(NewConversation::titled("Trip")).await?;
/// let seen = SeenRevision::default();
/// let chat = store.as_user(ada.id).noting(&seen);
/// chat.messages().append(trip.id, NewMessage::user("Where is it warm in March?")).await?;
/// let revision = seen.get().ok_or("an append has one")?;
/// chat.if_revision(revision).messages().append(trip.id, NewMessage::user("And in April?")).await?;
/// assert_eq!(seen.get(), Some(revision + 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct SeenRevision(Arc<AtomicI64>);

/// Revisions begin with 1.
const NONE_SEEN: i64 = 0;

impl SeenRevision {
    /// The revision after the last call; `None` before the first. A call that failed leaves one that says nothing.
    #[must_use]
    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|revision| *revision != NONE_SEEN)
    }
}

/// A user and the revision that their write expects: what a transaction needs of [`AsUser`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) user: UserId,
    pub(crate) expected: Option<i64>,
    pub(crate) is_service: bool,
}

impl Store {
    /// The store as one user sees it: every call is checked for this user.
    #[must_use]
    pub const fn as_user(&self, user: UserId) -> AsUser<'_> {
        AsUser { store: self, user, expected: None, is_service: false, is_vouched_for: true, seen: None }
    }
}

impl<'s> AsUser<'s> {
    /// Who.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// The same, for an application that acts for the user: it may say when a message was created, as the owner of the
    /// conversation may.
    #[must_use]
    pub const fn for_service(mut self) -> Self {
        self.is_service = true;
        self
    }

    pub(crate) const fn writer(&self) -> Writer {
        Writer { user: self.user, expected: self.expected, is_service: self.is_service }
    }

    /// The same, for writes that take place only while their conversation or document is at this revision;
    /// otherwise they fail with [`ErrorKind::PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
    #[must_use]
    pub const fn if_revision(mut self, revision: i64) -> Self {
        self.expected = Some(revision);
        self
    }

    /// The same, where calls that read or change messages say the revision of the conversation.
    #[must_use]
    pub const fn noting(mut self, seen: &'s SeenRevision) -> Self {
        self.seen = Some(seen);
        self
    }

    /// As [`Store::read`], with the revision noted.
    pub(crate) async fn read<T, E, F>(self, name: &'static str, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let seen = self.noted();
        let noting = async move |tx: &mut ReadTx<'_>| {
            let done = work(tx).await;
            note(seen.as_deref(), tx.conversation_revision());
            done
        };
        self.store.read(name, noting).await
    }

    /// As [`read`](Self::read), for lists, which may come from a standby.
    pub(crate) async fn read_list<T, E, F>(self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.read_listed(name, false, work).await
    }

    /// As [`read_list`](Self::read_list), for work whose time grows with what is stored.
    pub(crate) async fn read_long_list<T, E, F>(self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.read_listed(name, true, work).await
    }

    async fn read_listed<T, E, F>(self, name: &'static str, is_long: bool, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let seen = self.noted();
        let noting = async move |tx: &mut ReadTx<'_>| {
            let done = work(tx).await;
            note(seen.as_deref(), tx.conversation_revision());
            done
        };
        let of = UserRead { user: self.user, least: ShownPosition::least(), is_long };
        self.store.database.read_for(name, of, noting).await
    }

    /// As [`Store::write`], with the revision noted.
    pub(crate) async fn write<T, E, F>(self, name: &'static str, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write_noted(name, false, work).await
    }

    /// As [`write`](Self::write), for work of a single statement where the database needs no more.
    pub(crate) async fn write_single<T, F>(self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.write_noted(name, true, work).await
    }

    async fn write_noted<T, E, F>(self, name: &'static str, is_single: bool, mut work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let seen = self.noted();
        let noting = async move |tx: &mut WriteTx<'_>| {
            let done = work(tx).await;
            note(seen.as_deref(), tx.conversation_revision());
            done
        };
        let is_position_told = ShownPosition::is_told();
        let of = UserWrite { user: self.user, is_single, is_position_told };
        let (done, position) = self.store.database.write_for(name, of, noting).await?;
        ShownPosition::note(position);
        Ok(done)
    }

    fn noted(self) -> Option<Arc<AtomicI64>> {
        self.seen.map(|SeenRevision(seen)| Arc::clone(seen))
    }

    /// The same for what a user says without the application's vouching for it: what a reply in another user's
    /// conversation says about its answer is stored, and is not booked as the owner's usage.
    #[must_use]
    pub const fn not_vouched_for(mut self) -> Self {
        self.is_vouched_for = false;
        self
    }
}

fn note(seen: Option<&AtomicI64>, revision: Option<i64>) {
    if let (Some(seen), Some(revision)) = (seen, revision) {
        seen.store(revision, Ordering::Relaxed);
    }
}
