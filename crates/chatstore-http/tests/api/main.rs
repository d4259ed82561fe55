//! The HTTP contract over a real socket, each case on both databases.

mod conversations;
mod support;
