//! What the tests and benchmarks of chatstore share.
//!
//! [`server`] starts private servers (PostgreSQL, PgBouncer, Redis), and [`Program`] runs the program `chatstore`. They use nothing
//! but the standard library and need no feature, so that `cargo xtask` can use them without building the store.
//! [`Backend`] (feature `cases`) gives each test case a database of its own, copied from a migrated template, and
//! [`python`] runs a script. `provider` (feature `identity-provider`) is an identity provider.
//!
//! Nothing here may end up in a program that users run: only `dev-dependencies`, `xtask` and the benchmarks name
//! this crate.

#[cfg(feature = "cases")]
#[allow(clippy::expect_used, clippy::print_stderr, reason = "a test case that cannot run fails at once")]
mod cases;
mod documentation;
mod json_text;
mod program;
#[cfg(feature = "identity-provider")]
#[allow(clippy::expect_used, reason = "a test case that cannot run fails at once")]
pub mod provider;
mod proxy;
#[cfg(feature = "cases")]
#[allow(clippy::expect_used, reason = "a test case that cannot run fails at once")]
mod python;
pub mod server;

#[cfg(feature = "cases")]
pub use cases::{
    Backend, ExternalDatabase, POSTGRES_URL, REDIS_URL, SeededIds, TestClock, TestDatabase, redis_url,
};
pub use documentation::shell_blocks;
pub use json_text::JsonGenerator;
pub use program::{Program, TOKEN_KEY, free_port, server_program};
pub use proxy::Proxy;
#[cfg(feature = "cases")]
pub use python::python;
