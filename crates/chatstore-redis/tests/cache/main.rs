//! What every shared cache does, run on each implementation: two processes that share it, which for memory are one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod stores;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chatstore::shared_cache::{CacheFamily, CacheSlot, LocalCache, SharedCache, Ticket};
use chatstore::{UserId, Uuid};
use chatstore_redis::{Redis, RedisOptions};
use chatstore_testkit::redis_url;

/// The caches of two processes.
pub(crate) type Pair = [Arc<dyn SharedCache>; 2];

/// Each case on each implementation, as a test of its own.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod memory {
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                let cache: Arc<dyn SharedCache> = Arc::new(LocalCache::default());
                super::$case([Arc::clone(&cache), cache]).await;
            })*
        }

        mod redis {
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                super::$case(in_redis().await).await;
            })*
        }
    };
}

conformance!(
    what_one_process_writes_the_other_finds_until_its_time_is_over,
    each_slot_has_its_own_entry,
    what_is_removed_is_found_by_none,
    all_entries_of_a_scope_are_removed_together,
    what_was_read_before_a_removal_is_not_written_after_it,
    what_was_read_before_everything_was_removed_is_not_written_after_it,
    removing_everything_of_the_database_leaves_the_answers_of_models,
    what_belongs_to_a_user_is_removed_with_the_user,
);

pub(crate) async fn redis(case: &str) -> Redis {
    let prefix = format!("{case}:{}:", std::process::id()).parse().unwrap();
    let options = RedisOptions::new(&redis_url()).unwrap().timeout(Duration::from_secs(5)).prefix(prefix);
    let redis = Redis::start(options);
    assert!(redis.ready(Duration::from_secs(5)).await, "the Redis of the tests answers");
    redis
}

async fn in_redis() -> Pair {
    // The second process voids what was written before it connected.
    let number = CASES.fetch_add(1, Ordering::Relaxed).to_string();
    [redis(&number).await, redis(&number).await].map(|redis| redis.cache())
}

/// Each case has keys of its own.
static CASES: AtomicU32 = AtomicU32::new(0);

const MINUTE: Duration = Duration::from_secs(60);

fn slot(family: CacheFamily, key: &str, scope: &str) -> CacheSlot {
    CacheSlot { family, key: key.to_owned(), scope: scope.to_owned(), owner: None }
}

fn of_database(key: &str) -> CacheSlot {
    slot(CacheFamily::Database, key, key)
}

async fn ticket(cache: &Arc<dyn SharedCache>, slot: &CacheSlot) -> Ticket {
    cache.get(slot).await.unwrap().ticket
}

async fn write(cache: &Arc<dyn SharedCache>, slot: &CacheSlot, value: &str) {
    let ticket = ticket(cache, slot).await;
    assert!(cache.put(slot, value, MINUTE, &ticket).await.unwrap(), "{slot:?}");
}

async fn read(cache: &Arc<dyn SharedCache>, slot: &CacheSlot) -> Option<String> {
    cache.get(slot).await.unwrap().found.map(|entry| entry.value)
}

async fn what_one_process_writes_the_other_finds_until_its_time_is_over([one, two]: Pair) {
    let slot = of_database("user:ada");
    let ticket = ticket(&one, &slot).await;
    assert!(one.put(&slot, r#"{"a":[1,"é"]}"#, Duration::from_millis(300), &ticket).await.unwrap());
    let entry = two.get(&slot).await.unwrap().found.unwrap();
    assert_eq!(entry.value, r#"{"a":[1,"é"]}"#);
    assert!(entry.expires_in <= Duration::from_millis(300), "{entry:?}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    for cache in [&one, &two] {
        assert_eq!(read(cache, &slot).await, None);
    }
    assert!(
        !one.put(&slot, "1", Duration::ZERO, &ticket).await.unwrap(),
        "what is over already is not written"
    );
}

async fn each_slot_has_its_own_entry([one, two]: Pair) {
    write(&one, &of_database("a"), "1").await;
    write(&two, &of_database("b"), "2").await;
    write(&one, &of_database("b"), "3").await;
    assert_eq!(read(&two, &of_database("a")).await.as_deref(), Some("1"));
    assert_eq!(read(&two, &of_database("b")).await.as_deref(), Some("3"));
    assert_eq!(read(&two, &of_database("c")).await, None);
}

async fn what_is_removed_is_found_by_none([one, two]: Pair) {
    for slot in [of_database("a"), slot(CacheFamily::Responses, "ai", "ai")] {
        assert!(!one.remove(&slot).await.unwrap());
        write(&one, &slot, "1").await;
        assert!(two.remove(&slot).await.unwrap());
        for cache in [&one, &two] {
            assert_eq!(read(cache, &slot).await, None);
        }
        write(&one, &slot, "2").await;
        assert_eq!(read(&two, &slot).await.as_deref(), Some("2"));
    }
}

async fn all_entries_of_a_scope_are_removed_together([one, two]: Pair) {
    let of = |key, scope| slot(CacheFamily::Database, key, scope);
    for (key, scope) in [("s:1:a", "s:1"), ("s:1:b", "s:1"), ("s:2:a", "s:2")] {
        write(&one, &of(key, scope), "1").await;
    }
    two.remove(&of("s:1:c", "s:1")).await.unwrap();
    assert_eq!(read(&one, &of("s:1:a", "s:1")).await, None);
    assert_eq!(read(&two, &of("s:1:b", "s:1")).await, None);
    assert_eq!(read(&two, &of("s:2:a", "s:2")).await.as_deref(), Some("1"));
}

async fn what_was_read_before_a_removal_is_not_written_after_it([one, two]: Pair) {
    let slot = of_database("a");
    let before = ticket(&one, &slot).await;
    two.remove(&slot).await.unwrap();
    assert!(!one.put(&slot, "1", MINUTE, &before).await.unwrap());
    assert_eq!(read(&two, &slot).await, None);
}

async fn what_was_read_before_everything_was_removed_is_not_written_after_it([one, two]: Pair) {
    let slot = of_database("a");
    write(&one, &slot, "1").await;
    let before = ticket(&one, &slot).await;
    two.remove_all().await.unwrap();
    assert_eq!(read(&one, &slot).await, None);
    assert!(!one.put(&slot, "1", MINUTE, &before).await.unwrap());
    assert_eq!(read(&two, &slot).await, None);
}

async fn removing_everything_of_the_database_leaves_the_answers_of_models([one, two]: Pair) {
    let answer = slot(CacheFamily::Responses, "ai", "ai");
    write(&one, &answer, "1").await;
    two.remove_all().await.unwrap();
    assert_eq!(read(&one, &answer).await.as_deref(), Some("1"));
}

async fn what_belongs_to_a_user_is_removed_with_the_user([one, two]: Pair) {
    let [ada, grace] = [1, 2].map(|number| UserId::from_uuid(Uuid::from_u128(number)));
    let of = |key, owner| CacheSlot { owner: Some(owner), ..slot(CacheFamily::Responses, key, key) };
    for slot in [of("a", ada), of("b", ada), of("c", grace)] {
        write(&one, &slot, "1").await;
    }
    two.remove_of(ada).await.unwrap();
    assert_eq!(read(&one, &of("a", ada)).await, None);
    assert_eq!(read(&two, &of("b", ada)).await, None);
    assert_eq!(read(&two, &of("c", grace)).await.as_deref(), Some("1"));
}
