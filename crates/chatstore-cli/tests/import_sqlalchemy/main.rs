//! The databases of chat_app and PAKTON, created with SQLAlchemy as these applications do, and what `import
//! sqlalchemy` brings of them: every row or a word about it, once, beside whatever else goes on, and usable through
//! the API as it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod accounts;
mod arrival;
mod chat_app_walk;
mod frameworks;
mod interruption;
mod kills;
mod linked_walk;
mod mapped;
mod mapping;
mod old;
mod pakton_walk;
mod places;
#[path = "../command_line/program.rs"]
#[allow(dead_code, reason = "what the other tests of the binary need of it")]
mod program;
mod refusals;
mod repetition;
#[path = "../acceptance/server.rs"]
#[allow(dead_code, reason = "what the walks of the acceptance tests need of it")]
mod server;
#[path = "../acceptance/support.rs"]
#[allow(dead_code, reason = "what the walks of the acceptance tests need of it")]
mod support;
