//! The five systems that chatstore replaces, each walked through from outside: the real binary, set up with its
//! commands alone, over HTTP, on both databases. A test begins with the row of the contract that it shows;
//! `coverage.md` lists all rows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod across;
mod chat_app;
mod chatcore;
mod chatter;
mod coach_bot;
mod fail_over;
mod identity;
mod pakton;
#[path = "../command_line/program.rs"]
#[allow(dead_code, reason = "what the other tests of the binary need of it")]
mod program;
mod redis;
mod server;
mod standby;
mod support;
