//! chatstore.
