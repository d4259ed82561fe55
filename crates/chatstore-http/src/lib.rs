//! The HTTP API of chatstore.
