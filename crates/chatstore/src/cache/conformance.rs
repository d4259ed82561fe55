//! What every cache does, run on each implementation.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Cache, CacheKey, MemoryCache};

/// A thing of a case. It is remembered long enough for every case but the one that waits for it to be over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Thing(u32);

impl CacheKey for Thing {
    type Value = &'static str;
    const TTL: Duration = Duration::from_millis(500);
}

impl fmt::Display for Thing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "thing:{}", self.0)
    }
}

/// Each case on each implementation, as a test of its own.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod memory {
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                super::$case(MemoryCache::default()).await;
            })*
        }
    };
}

conformance!(
    what_was_loaded_is_not_loaded_again,
    that_there_is_nothing_is_not_remembered,
    an_error_is_not_remembered,
    each_key_has_its_own_value,
    what_is_forgotten_is_loaded_again,
    everything_can_be_forgotten_at_once,
    what_was_read_before_it_was_forgotten_is_not_remembered,
    what_was_read_before_everything_was_forgotten_is_not_remembered,
    a_value_is_loaded_again_when_its_time_is_over,
);

/// What the cache answers when the database would answer `value`.
async fn ask(cache: &impl Cache<Thing>, key: u32, value: Option<&'static str>) -> Option<&'static str> {
    let load = || ready(Ok::<_, Infallible>(value));
    let Ok(answer) = cache.get_or_load(&Thing(key), load).await;
    answer
}

async fn what_was_loaded_is_not_loaded_again(cache: impl Cache<Thing>) {
    let loads = AtomicU32::new(0);
    for _ in 0..3 {
        let load = async || {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Some("value"))
        };
        assert_eq!(cache.get_or_load(&Thing(1), load).await, Ok(Some("value")));
    }
    assert_eq!(loads.into_inner(), 1);
}

async fn that_there_is_nothing_is_not_remembered(cache: impl Cache<Thing>) {
    assert_eq!(ask(&cache, 1, None).await, None);
    assert_eq!(ask(&cache, 1, Some("value")).await, Some("value"));
}

async fn an_error_is_not_remembered(cache: impl Cache<Thing>) {
    let failed = cache.get_or_load(&Thing(1), || ready(Err("no database"))).await;
    assert_eq!(failed, Err("no database"));
    assert_eq!(ask(&cache, 1, Some("value")).await, Some("value"));
}

async fn each_key_has_its_own_value(cache: impl Cache<Thing>) {
    assert_eq!(ask(&cache, 1, Some("one")).await, Some("one"));
    assert_eq!(ask(&cache, 2, Some("two")).await, Some("two"));
    assert_eq!(ask(&cache, 1, None).await, Some("one"));
}

async fn what_is_forgotten_is_loaded_again(cache: impl Cache<Thing>) {
    ask(&cache, 1, Some("old")).await;
    ask(&cache, 2, Some("kept")).await;
    cache.forget(&Thing(1));
    assert_eq!(ask(&cache, 1, Some("new")).await, Some("new"));
    assert_eq!(ask(&cache, 2, None).await, Some("kept"));
}

async fn everything_can_be_forgotten_at_once(cache: impl Cache<Thing>) {
    ask(&cache, 1, Some("old")).await;
    ask(&cache, 2, Some("old")).await;
    cache.forget_all();
    assert_eq!(ask(&cache, 1, None).await, None);
    assert_eq!(ask(&cache, 2, Some("new")).await, Some("new"));
}

/// Lets something be forgotten after the database has answered and before the answer arrives.
async fn load_while<C: Cache<Thing>>(cache: &C, forget: impl FnOnce()) {
    let (read, forgotten) = (Notify::new(), Notify::new());
    let load = async || {
        read.notify_one();
        forgotten.notified().await;
        Ok::<_, Infallible>(Some("old"))
    };
    let change = async {
        read.notified().await;
        forget();
        forgotten.notify_one();
    };
    let (answer, ()) = tokio::join!(cache.get_or_load(&Thing(1), load), change);
    assert_eq!(answer, Ok(Some("old")), "it was true when it was asked for");
}

async fn what_was_read_before_it_was_forgotten_is_not_remembered(cache: impl Cache<Thing>) {
    load_while(&cache, || cache.forget(&Thing(1))).await;
    assert_eq!(ask(&cache, 1, Some("new")).await, Some("new"));
}

async fn what_was_read_before_everything_was_forgotten_is_not_remembered(cache: impl Cache<Thing>) {
    load_while(&cache, || cache.forget_all()).await;
    assert_eq!(ask(&cache, 1, None).await, None);
    assert_eq!(ask(&cache, 1, Some("new")).await, Some("new"));
    assert_eq!(ask(&cache, 1, None).await, Some("new"));
}

async fn a_value_is_loaded_again_when_its_time_is_over(cache: impl Cache<Thing>) {
    ask(&cache, 1, Some("old")).await;
    tokio::time::sleep(Thing::TTL + Duration::from_millis(100)).await;
    assert_eq!(ask(&cache, 1, Some("new")).await, Some("new"));
}
