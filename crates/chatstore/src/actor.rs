//! The store as one user sees it.

use chatstore_model::UserId;

use crate::service::{Conversations, Members, Messages, Usage};
use crate::store::Store;

/// The store as one user sees it. What is somebody else's is answered like what is absent.
#[derive(Debug, Clone, Copy)]
pub struct AsUser<'s> {
    pub(crate) store: &'s Store,
    pub(crate) user: UserId,
}

impl<'s> AsUser<'s> {
    /// Who.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// The user's conversations, owned and shared.
    #[must_use]
    pub const fn conversations(&self) -> Conversations<'s> {
        Conversations(*self)
    }

    /// Who is in them.
    #[must_use]
    pub const fn members(&self) -> Members<'s> {
        Members(*self)
    }

    /// Their messages.
    #[must_use]
    pub const fn messages(&self) -> Messages<'s> {
        Messages(*self)
    }

    /// What the user's own conversations used.
    #[must_use]
    pub const fn usage(&self) -> Usage<'s> {
        Usage(*self)
    }
}
