//! How processes tell each other.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What a method of a [`Messenger`] returns.
pub type MessengerFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What a [`Messenger`] hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// What a process told, this one included.
    Text(&'a str),
    /// Something may have been told that was not heard.
    Interrupted,
}

/// Takes what is heard.
pub type Hear = Box<dyn Fn(Heard<'_>) + Send + Sync>;

/// Tells short texts to all processes that use the same database. PostgreSQL has one; the crate `chatstore-redis` has
/// another. What is told may get lost: everything that depends on it is looked up again within 5 seconds.
pub trait Messenger: Send + Sync + fmt::Debug + 'static {
    /// Tells a text. A failure is not the caller's: it is logged.
    fn publish<'a>(&'a self, text: &'a str) -> MessengerFuture<'a>;

    /// Hears what is told, until the future is dropped.
    fn listen(self: Arc<Self>, hear: Hear) -> MessengerFuture<'static>;
}
