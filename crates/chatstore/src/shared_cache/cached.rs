//! What is remembered, and until when.

use chatstore_model::Timestamp;

/// A value that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached<T> {
    /// The value.
    pub value: T,
    /// When it is no longer found, unless it is lost earlier.
    pub expires_at: Timestamp,
}
