//! The store as one user sees it.

use chatstore_model::UserId;

use crate::store::Store;

/// The store as one user sees it. What belongs to others is answered like what is absent.
#[derive(Debug, Clone, Copy)]
pub struct AsUser<'s> {
    pub(crate) store: &'s Store,
    pub(crate) user: UserId,
    pub(crate) expected: Option<i64>,
    pub(crate) is_service: bool,
    pub(crate) is_vouched_for: bool,
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
        AsUser { store: self, user, expected: None, is_service: false, is_vouched_for: true }
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

    /// The same for what a user says without the application's vouching for it: what a reply in another user's
    /// conversation says about its answer is stored, and is not booked as the owner's usage.
    #[must_use]
    pub const fn not_vouched_for(mut self) -> Self {
        self.is_vouched_for = false;
        self
    }
}
