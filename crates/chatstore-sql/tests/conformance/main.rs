//! The contract of the repositories, each case on both databases.

mod messages;
