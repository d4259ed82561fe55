//! Two processes that share a Redis, asked by turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chatstore::Timestamp;
use chatstore::auth::{LimitKey, Limiter, LimiterFuture, Permission, Quota};
use chatstore_redis::{Redis, RedisOptions};
use chatstore_testkit::redis_url;

/// Two processes that share a Redis. Neither sees by itself more than half of what is taken, so what is exact here is
/// exact in Redis.
#[derive(Debug)]
pub(crate) struct TwoServers {
    servers: [Arc<dyn Limiter>; 2],
    turn: AtomicUsize,
}

impl TwoServers {
    pub(crate) async fn start(case: &str) -> Self {
        let server = || {
            let prefix = format!("{case}:{}:", std::process::id()).parse().unwrap();
            // No answer is given up: a busy machine would fall back to the counts of the process.
            let options = RedisOptions::new(&redis_url()).unwrap().timeout(Duration::from_secs(5));
            Redis::start(options.prefix(prefix))
        };
        let servers = [server(), server()];
        for server in &servers {
            assert!(server.ready(Duration::from_secs(5)).await, "the Redis of the tests answers");
        }
        let servers = servers.map(|server| server.limiter());
        Self { servers, turn: AtomicUsize::new(0) }
    }

    fn next(&self) -> &dyn Limiter {
        &*self.servers[(self.turn.fetch_add(1, Ordering::SeqCst) + 1) % 2]
    }

    fn last(&self) -> &dyn Limiter {
        &*self.servers[self.turn.load(Ordering::SeqCst) % 2]
    }
}

impl Limiter for TwoServers {
    fn peek<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        self.next().peek(key, quota, now)
    }

    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission> {
        self.next().take(key, quota, now)
    }

    /// A place is given back by the process that has taken it.
    fn give_back<'a>(&'a self, key: &'a LimitKey, quota: Quota) -> LimiterFuture<'a, ()> {
        self.last().give_back(key, quota)
    }
}
