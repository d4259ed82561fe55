//! When a provider is asked for its keys, for how long they are used, and what it cannot do to the server.

use std::time::{Duration, Instant};

use chatstore::auth::{IdentityProvider as _, ProviderUnavailable};
use chatstore_testkit::provider::{Behavior, SigningKey};

use crate::support::{AUDIENCE, NOW, Scene, at};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

impl Scene {
    /// A token of another key that the provider may or may not publish, valid from this second on.
    fn token_of(&self, key: &SigningKey, seconds: i64) -> String {
        key.token(&self.provider.claims("7", AUDIENCE, seconds))
    }
}

#[tokio::test]
async fn keys_are_fetched_at_the_first_token_and_then_used() {
    let scene = Scene::new();
    assert_eq!(scene.provider.fetches(), 0);
    for _ in 0..100 {
        assert!(scene.is_accepted(&scene.token()).await);
    }
    assert_eq!(scene.provider.fetches(), 1);
}

#[tokio::test]
async fn a_token_of_a_new_key_is_accepted_at_once_and_one_of_a_removed_key_no_more() {
    let scene = Scene::new();
    assert!(scene.is_accepted(&scene.token()).await);
    let second = SigningKey::es256("second");
    let later = NOW + 2 * MINUTE;
    scene.provider.publish(&[&second]);

    assert!(scene.is_accepted_at(&scene.token_of(&second, later), later).await);
    assert!(!scene.is_accepted_at(&scene.token_of(&scene.key, later), later).await);
    assert_eq!(scene.provider.fetches(), 2);
}

#[tokio::test]
async fn a_removed_key_is_refused_after_ten_minutes_without_a_new_one() {
    let scene = Scene::new();
    assert!(scene.is_accepted(&scene.token()).await);
    scene.provider.publish(&[&SigningKey::eddsa("second")]);
    let later = NOW + 10 * MINUTE;
    let token = scene.token_of(&scene.key, later);
    // The request that finds the keys old is still answered with them, and others until they are fetched.
    assert!(scene.is_accepted_at(&token, later).await);
    let deadline = Instant::now() + Duration::from_secs(30);
    while scene.is_accepted_at(&token, later).await {
        assert!(Instant::now() < deadline, "the keys are not fetched");
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.provider.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_unknown_keys_asks_the_provider_once_a_minute() {
    let scene = Scene::new();
    assert!(scene.is_accepted(&scene.token()).await);
    let unknown: Vec<SigningKey> = (0..16).map(|number| SigningKey::eddsa(&number.to_string())).collect();
    for minute in 1..=3 {
        let seconds = NOW + minute * MINUTE;
        let mut storm = Vec::new();
        for number in 0..1_000 {
            let token = scene.token_of(&unknown[number % unknown.len()], seconds);
            let providers = scene.providers.clone();
            storm.push(tokio::spawn(async move { providers.verify(&token, at(seconds)).await }));
        }
        for request in storm {
            // Refused, or told to try again because so many wait.
            assert!(matches!(request.await.unwrap(), Ok(None) | Err(ProviderUnavailable)));
        }
        assert_eq!(scene.provider.fetches(), 1 + usize::try_from(minute).unwrap());
        assert!(scene.is_accepted_at(&scene.token_of(&scene.key, seconds), seconds).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_tokens_at_once_one_fetches_and_all_that_wait_are_accepted() {
    let scene = Scene::new();
    let requests: Vec<_> = (0..32)
        .map(|_| {
            let (providers, token) = (scene.providers.clone(), scene.token());
            tokio::spawn(async move { providers.verify(&token, at(NOW)).await })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap().unwrap().is_some());
    }
    assert_eq!(scene.provider.fetches(), 1);
}

#[tokio::test]
async fn keys_are_used_for_a_day_while_the_provider_is_away() {
    let scene = Scene::new();
    assert!(scene.is_accepted(&scene.token()).await);
    scene.provider.behave(Behavior::Away);
    for seconds in [NOW + 11 * MINUTE, NOW + 12 * 60 * MINUTE, NOW + DAY - 1] {
        assert!(scene.is_accepted_at(&scene.token_of(&scene.key, seconds), seconds).await, "{seconds}");
    }
    let (too_late, back) = (NOW + DAY + MINUTE, NOW + DAY + 2 * MINUTE);
    let token = scene.token_of(&scene.key, too_late);
    assert_eq!(scene.verify_at(&token, too_late).await, Err(ProviderUnavailable));
    scene.provider.behave(Behavior::Well);
    assert!(scene.is_accepted_at(&token, back).await);
}

#[tokio::test]
async fn without_keys_a_token_is_to_be_tried_again_and_the_provider_is_asked_every_ten_seconds() {
    let scene = Scene::new();
    scene.provider.behave(Behavior::Failing);
    for seconds in NOW..NOW + 30 {
        let found = scene.verify_at(&scene.token_of(&scene.key, seconds), seconds).await;
        assert_eq!(found, Err(ProviderUnavailable));
    }
    assert_eq!(scene.provider.fetches(), 3);
    scene.provider.behave(Behavior::Well);
    assert!(scene.is_accepted_at(&scene.token_of(&scene.key, NOW + 30), NOW + 30).await);
}

#[tokio::test]
async fn a_key_that_the_provider_cannot_be_asked_about_is_to_be_tried_again() {
    let scene = Scene::new();
    assert!(scene.is_accepted(&scene.token()).await);
    scene.provider.behave(Behavior::Away);
    let unknown = SigningKey::eddsa("unknown");
    let later = NOW + 2 * MINUTE;
    let found = scene.verify_at(&scene.token_of(&unknown, later), later).await;
    assert_eq!(found, Err(ProviderUnavailable));
    assert!(scene.is_accepted_at(&scene.token_of(&scene.key, later), later).await);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_keep_the_provider_from_being_asked() {
    let scene = Scene::new();
    scene.provider.behave(Behavior::Failing);
    assert_eq!(scene.verify_at(&scene.token(), NOW).await, Err(ProviderUnavailable));
    scene.provider.behave(Behavior::Well);
    let before = NOW - DAY;
    assert!(scene.is_accepted_at(&scene.token_of(&scene.key, before), before).await);
}

/// Of everything a provider may do wrong, the error says what, within bounds of time and memory.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_provider_answers_the_error_says_what_is_wrong() {
    let scene = Scene::new();
    let configuration = format!("{}/.well-known/openid-configuration", scene.provider.issuer());
    let keys = format!("{}/keys", scene.provider.issuer());
    for (behavior, expected) in [
        (Behavior::Away, format!("{configuration} cannot be reached: ")),
        (Behavior::Silent, format!("{configuration} did not answer within 5 s")),
        (Behavior::Huge, format!("{keys} answered with more than 256 KiB")),
        (
            Behavior::Redirecting,
            format!("{configuration} answered with status 302, but must answer with 200"),
        ),
        (Behavior::Failing, format!("{configuration} answered with status 500, but must answer with 200")),
        (
            Behavior::Garbled,
            format!(
                "{configuration} answered with something else than a configuration with issuer and jwks_uri"
            ),
        ),
        (
            Behavior::OtherIssuer,
            format!("{configuration} is the configuration of the issuer \"https://id.example.org\"; "),
        ),
        (
            Behavior::UnsafeKeys,
            format!("{configuration} names \"http://id.example.org/keys\" for the keys, which must begin"),
        ),
        (Behavior::WithoutKeys, format!("{keys} has no key for RS256, ES256 or EdDSA")),
    ] {
        scene.provider.behave(behavior);
        let begun = Instant::now();
        let probes = scene.providers.probe().await;
        let error = probes[0].keys.clone().unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{behavior:?}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{behavior:?}");
        assert!(!scene.is_accepted_or_unavailable().await, "{behavior:?}");
    }
    scene.provider.behave(Behavior::Well);
    assert_eq!(scene.providers.probe().await[0].keys, Ok(1));
}

impl Scene {
    async fn is_accepted_or_unavailable(&self) -> bool {
        self.verify_at(&self.token(), NOW).await.is_ok_and(|found| found.is_some())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_would_wait_for_a_silent_provider_most_are_told_to_try_again_at_once() {
    let scene = Scene::new();
    scene.provider.behave(Behavior::Silent);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (providers, token) = (scene.providers.clone(), scene.token());
        requests.spawn(async move { providers.verify(&token, at(NOW)).await });
    }
    // Nobody waits for the provider but those who may.
    for _ in 0..200 - 32 {
        assert_eq!(requests.join_next().await.unwrap().unwrap(), Err(ProviderUnavailable));
        assert!(scene.provider.fetches() <= 1);
    }
    while let Some(request) = requests.join_next().await {
        assert_eq!(request.unwrap(), Err(ProviderUnavailable));
    }
    assert_eq!(scene.provider.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_does_not_end_the_fetch_for_the_others() {
    let scene = Scene::new();
    let (providers, token) = (scene.providers.clone(), scene.token());
    let first = tokio::spawn(async move { providers.verify(&token, at(NOW)).await });
    let deadline = Instant::now() + Duration::from_secs(30);
    while scene.provider.fetches() == 0 {
        assert!(Instant::now() < deadline, "the provider is not asked");
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(scene.is_accepted(&scene.token()).await);
    assert_eq!(scene.provider.fetches(), 1);
}
