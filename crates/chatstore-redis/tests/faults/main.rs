//! A Redis that is absent, killed, frozen or full.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::Duration;

use chatstore::Timestamp;
use chatstore::auth::{LimitKey, Limiter, Quota};
use chatstore_redis::{Redis, RedisOptions};
use chatstore_testkit::free_port;
use chatstore_testkit::server::RedisServer;

const THREE_A_MINUTE: Quota = Quota { count: 3, period: Duration::from_secs(60) };

/// How long something may take that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

async fn connect(port: u16) -> Redis {
    let options = RedisOptions::new(&format!("redis://127.0.0.1:{port}")).unwrap();
    let redis = Redis::start(options);
    redis.ready(PATIENCE).await;
    redis
}

async fn until(redis: &Redis, is_up: bool) {
    let changed = async {
        while redis.is_up() != is_up {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
}

/// How many places of three one gets, asking five times.
async fn granted(limiter: &dyn Limiter, key: &LimitKey) -> u32 {
    let now = Timestamp::from_microseconds(0).unwrap();
    let mut granted = 0;
    for _ in 0..5 {
        granted += u32::from(limiter.take(key, THREE_A_MINUTE, now).await.is_granted());
    }
    granted
}

fn key(user: u128) -> LimitKey {
    LimitKey::request(Some(chatstore::UserId::from_uuid(chatstore::Uuid::from_u128(user))), None)
}

fn signal(server: &RedisServer, name: &str) {
    let process = server.process_id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &process]).status().unwrap().success());
}

#[tokio::test]
async fn without_redis_a_process_keeps_within_the_limit_by_itself() {
    let redis = connect(free_port().unwrap()).await;
    assert!(!redis.is_up());
    assert_eq!(granted(&*redis.limiter(), &key(1)).await, 3);
}

#[tokio::test]
async fn a_redis_that_was_killed_and_forgot_everything_never_grants_more_than_the_limit() {
    let server = RedisServer::start().unwrap();
    let redis = connect(server.port()).await;
    let limiter = redis.limiter();
    assert_eq!(granted(&*limiter, &key(1)).await, 3);

    drop(server);
    assert_eq!(granted(&*limiter, &key(1)).await, 0);
    assert_eq!(granted(&*limiter, &key(2)).await, 3);
    until(&redis, false).await;

    let port = redis.place();
    let port = port.trim_start_matches("127.0.0.1:").trim_end_matches("/0").parse().unwrap();
    let _server = RedisServer::start_with(port, &[]).unwrap();
    until(&redis, true).await;
    for user in [1, 2] {
        assert_eq!(granted(&*limiter, &key(user)).await, 0, "{user}");
    }
    assert_eq!(granted(&*limiter, &key(3)).await, 3);
    assert!(redis.counts().losses > 0);
}

#[tokio::test]
async fn a_frozen_redis_is_given_up_and_used_again_when_it_goes_on() {
    let server = RedisServer::start().unwrap();
    let redis = connect(server.port()).await;
    let limiter = redis.limiter();
    assert!(redis.is_up());

    signal(&server, "-STOP");
    assert_eq!(granted(&*limiter, &key(1)).await, 3);
    until(&redis, false).await;
    let commands = redis.counts().commands;
    assert_eq!(granted(&*limiter, &key(2)).await, 3);
    assert_eq!(redis.counts().commands, commands, "nothing waits for it");

    signal(&server, "-CONT");
    until(&redis, true).await;
    let other = connect(server.port()).await;
    assert_eq!(granted(&*limiter, &key(3)).await, 3);
    assert_eq!(granted(&*other.limiter(), &key(3)).await, 0, "the count is shared again");
    assert_eq!(granted(&*limiter, &key(2)).await, 0);
    assert_eq!(granted(&*other.limiter(), &key(2)).await, 0, "what was granted meanwhile is told");
}

#[tokio::test]
async fn a_full_redis_leaves_the_counting_to_the_process() {
    let port = free_port().unwrap();
    let _server =
        RedisServer::start_with(port, &["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).unwrap();
    let redis = connect(port).await;
    assert_eq!(granted(&*redis.limiter(), &key(1)).await, 3);
    assert!(redis.is_up(), "it answers");
    assert!(redis.counts().errors > 0);
}
