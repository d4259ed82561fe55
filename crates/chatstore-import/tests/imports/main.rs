//! What imports promise to programs that embed them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod interruption;
mod lines;
mod own_source;
mod owners;
mod pieces;
mod verbatim;
