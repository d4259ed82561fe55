//! What every limiter does, run on each implementation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod two_servers;

use std::sync::Arc;
use std::time::Duration;

use chatstore::Timestamp;
use chatstore::auth::{ClientNetwork, LimitKey, Limiter, LocalLimiter, LoginAccount, Permission, Quota};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use two_servers::TwoServers;

/// Each case on each implementation, as a test of its own.
macro_rules! conformance {
    ($($case:ident),* $(,)?) => {
        mod memory {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(LocalLimiter::new()).await;
            })*
        }

        mod redis {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(TwoServers::start(stringify!($case)).await).await;
            })*
        }
    };
}

conformance!(
    a_place_is_free_again_when_its_period_is_over,
    what_is_given_back_can_be_taken_again,
    a_look_says_what_taking_would_and_takes_nothing,
    a_quota_of_none_refuses_everything,
    a_clock_that_was_set_back_locks_no_caller_out,
    each_key_has_its_own_count,
    of_eight_callers_who_want_the_last_place_one_gets_it,
    no_stretch_of_a_period_holds_more_than_the_count,
    a_grant_says_how_many_are_left_and_until_when,
);

const THREE_A_MINUTE: Quota = Quota { count: 3, period: Duration::from_secs(60) };

fn at(milliseconds: i64) -> Timestamp {
    microsecond(milliseconds * 1_000)
}

fn microsecond(microseconds: i64) -> Timestamp {
    Timestamp::from_microseconds(microseconds).unwrap()
}

fn of_name(name: &str) -> LimitKey {
    LimitKey::login(&LoginAccount::of(None, name))
}

fn refused(milliseconds: u64) -> Permission {
    Permission::Refused { retry_after: Duration::from_millis(milliseconds) }
}

fn granted(remaining: u32, milliseconds: u64) -> Permission {
    Permission::Granted { remaining, reset_after: Duration::from_millis(milliseconds) }
}

async fn a_grant_says_how_many_are_left_and_until_when(limiter: impl Limiter) {
    let key = LimitKey::request(None, None);
    assert_eq!(limiter.peek(&key, THREE_A_MINUTE, at(0)).await, granted(3, 60_000));
    assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(0)).await, granted(2, 60_000));
    assert_eq!(limiter.peek(&key, THREE_A_MINUTE, at(20_000)).await, granted(2, 40_000));
    assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(20_000)).await, granted(1, 40_000));
    assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(60_000)).await, granted(1, 20_000));
}

async fn a_place_is_free_again_when_its_period_is_over(limiter: impl Limiter) {
    let key = of_name("ada");
    for (milliseconds, permission) in [
        (0, granted(2, 60_000)),
        (10_000, granted(1, 50_000)),
        (59_000, granted(0, 1_000)),
        (59_000, refused(1_000)),
        (59_999, refused(1)),
        (60_000, granted(0, 10_000)),
        (60_000, refused(10_000)),
        (70_000, granted(0, 49_000)),
        (600_000, granted(2, 60_000)),
    ] {
        let given = limiter.take(&key, THREE_A_MINUTE, at(milliseconds)).await;
        assert_eq!(given, permission, "{milliseconds}");
    }
}

async fn what_is_given_back_can_be_taken_again(limiter: impl Limiter) {
    let key = LimitKey::failures_of(ClientNetwork::default());
    limiter.give_back(&key, THREE_A_MINUTE).await;
    for _ in 0..3 {
        assert!(limiter.take(&key, THREE_A_MINUTE, at(0)).await.is_granted());
    }
    limiter.give_back(&key, THREE_A_MINUTE).await;
    assert!(limiter.take(&key, THREE_A_MINUTE, at(0)).await.is_granted());
    assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(0)).await, refused(60_000));
}

async fn a_look_says_what_taking_would_and_takes_nothing(limiter: impl Limiter) {
    let key = of_name("ada");
    for place in 0..3 {
        for _ in 0..2 {
            assert!(limiter.peek(&key, THREE_A_MINUTE, at(place)).await.is_granted());
        }
        assert!(limiter.take(&key, THREE_A_MINUTE, at(place)).await.is_granted());
    }
    assert_eq!(limiter.peek(&key, THREE_A_MINUTE, at(2)).await, refused(59_998));
    assert!(limiter.peek(&key, THREE_A_MINUTE, at(60_000)).await.is_granted());
}

async fn a_quota_of_none_refuses_everything(limiter: impl Limiter) {
    let none = Quota { count: 0, period: Duration::from_secs(60) };
    assert_eq!(
        limiter.take(&LimitKey::failures_of(ClientNetwork::default()), none, at(0)).await,
        refused(60_000)
    );
}

async fn a_clock_that_was_set_back_locks_no_caller_out(limiter: impl Limiter) {
    let key = of_name("ada");
    for _ in 0..3 {
        assert!(limiter.take(&key, THREE_A_MINUTE, at(3_600_000)).await.is_granted());
    }
    assert_eq!(limiter.take(&key, THREE_A_MINUTE, at(3_590_000)).await, refused(70_000));
    assert!(limiter.take(&key, THREE_A_MINUTE, at(0)).await.is_granted());
}

async fn each_key_has_its_own_count(limiter: impl Limiter) {
    let keys = ["ada", "grace"].map(of_name);
    for key in &keys {
        for _ in 0..3 {
            assert!(limiter.take(key, THREE_A_MINUTE, at(0)).await.is_granted());
        }
    }
    for key in &keys {
        assert_eq!(limiter.take(key, THREE_A_MINUTE, at(0)).await, refused(60_000));
    }
}

async fn of_eight_callers_who_want_the_last_place_one_gets_it(limiter: impl Limiter) {
    let limiter = Arc::new(limiter);
    let quota = Quota { count: 1_000, period: Duration::from_secs(60) };
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move {
                let key = LimitKey::failures_of(ClientNetwork::default());
                let mut granted = 0;
                for moment in 0..1_000 {
                    let permission = limiter.take(&key, quota, microsecond(moment)).await;
                    granted += u32::from(permission.is_granted());
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for caller in callers {
        granted += caller.await.unwrap();
    }
    assert_eq!(granted, 1_000);
}

/// The times between the calls are random; some places are given back at once.
async fn no_stretch_of_a_period_holds_more_than_the_count(limiter: impl Limiter) {
    let gaps = prop::collection::vec((0_i64..3_000, prop::bool::weighted(0.1)), 1..400);
    let cases = (1_u32..80, gaps);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for number in 0..256 {
        let (count, gaps) = cases.new_tree(&mut runner).unwrap().current();
        let key = of_name(&number.to_string());
        check_stretches(&limiter, &key, count, &gaps).await;
    }
}

async fn check_stretches(limiter: &impl Limiter, key: &LimitKey, count: u32, gaps: &[(i64, bool)]) {
    /// What a limiter may round to: see the module.
    const EXACT: u32 = 32;
    let period = 64_000;
    let quota = Quota { count, period: Duration::from_millis(period) };
    let (mut now, mut granted) = (0, Vec::new());
    for (gap, is_given_back) in gaps {
        now += gap;
        let in_period = granted.iter().filter(|at| now - **at < period as i64).count();
        match limiter.take(key, quota, at(now)).await {
            Permission::Granted { .. } if *is_given_back => limiter.give_back(key, quota).await,
            Permission::Granted { .. } => {
                assert!(in_period < count as usize, "{count} {gaps:?}: {now}");
                granted.push(now);
            }
            Permission::Refused { retry_after } => {
                assert!(count > EXACT || in_period >= count as usize, "{count} {gaps:?}: {now}");
                assert!(retry_after > Duration::ZERO && retry_after <= quota.period * 2);
            }
        }
    }
}
