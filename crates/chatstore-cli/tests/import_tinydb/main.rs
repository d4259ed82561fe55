//! Files that TinyDB has written, and what `import tinydb` brings of them: every row or a word about it, once, and usable
//! through the API as it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod chatcore_walk;
mod file;
#[path = "../import_sqlalchemy/kills.rs"]
mod kills;
mod passwords;
#[path = "../command_line/program.rs"]
#[allow(dead_code, reason = "what the other tests of the binary need of it")]
mod program;
mod repetition;
mod report;
#[path = "../acceptance/server.rs"]
#[allow(dead_code, reason = "what the walks of the acceptance tests need of it")]
mod server;
#[path = "../acceptance/support.rs"]
#[allow(dead_code, reason = "what the walks of the acceptance tests need of it")]
mod support;
