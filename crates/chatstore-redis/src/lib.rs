//! Redis beside the database of a store: limits and caches that several servers share, and changes of which each hears at once.
//!
//! [`Redis::limiter`] is a [`Limiter`](chatstore::auth::Limiter) whose counts all servers with the same Redis share.
//! [`Redis::cache`] is a [`SharedCache`](chatstore::shared_cache::SharedCache) of users, sessions and answers of models.
//! [`Redis::messenger`] is a [`Messenger`](chatstore::messenger::Messenger): a session that ends on one server ends on all.
//!
//! ```no_run
//! use chatstore::Store;
//! use chatstore_redis::{Redis, RedisOptions};
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let redis = Redis::start(RedisOptions::new("redis://localhost:6379/0")?);
//! let store = Store::builder("postgresql://localhost/chat")
//!     .limiter(redis.limiter())
//!     .messenger(redis.messenger())
//!     .shared_cache(redis.cache())
//!     .connect()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//! - **Redis is optional at any moment.** A command is waited for 20 ms. Without an answer the work goes on without
//!   Redis, and nothing waits for it again until it has answered a task in the background, which asks once a second.
//! - **Without Redis, each process keeps within the limits by itself.** It always counts what it granted, so that several
//!   servers never grant more than each its whole limit, whenever Redis goes and comes.
//! - **The times in Redis are those of the servers.** Where their clocks differ, limits are off by the difference.
//! - Redis 6 or newer, or what speaks its protocol (RESP3); a single server, no cluster. All that a process does goes over
//!   one connection.
//! - The crate knows keys and bytes, no users and no database.

mod cache;
mod connect;
mod keys;
mod limiter;
mod link;
mod messenger;
mod options;
mod redis;
mod revisions;

pub use keys::{InvalidPrefix, KeyPrefix};
pub use link::{RedisCounts, Unavailable};
pub use options::{InvalidRedisUrl, RedisOptions};
pub use redis::{Redis, RedisFailure};
