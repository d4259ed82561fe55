//! Tokens that are accepted, and what they say.

use chatstore::auth::VerifiedToken;
use chatstore::{IdentityName, UserRole};
use chatstore_oidc::{ProviderOptions, Providers};
use chatstore_testkit::provider::{SigningKey, TestProvider};
use serde_json::json;

use crate::support::{AUDIENCE, NOW, Scene, at};

#[tokio::test]
async fn a_token_of_each_algorithm_says_who_it_is_and_until_when() {
    for key in [SigningKey::rs256("a", 0), SigningKey::es256("a"), SigningKey::eddsa("a")] {
        let scene = Scene::with(key);
        let mut claims = scene.provider.claims("Ada|7", AUDIENCE, NOW - 10);
        claims["preferred_username"] = json!("ada");
        claims["name"] = json!("Ada Lovelace");
        claims["email"] = json!("root@example.org");
        let found = scene.verify_at(&scene.key.token(&claims), NOW).await.unwrap();

        let expected = VerifiedToken {
            identity: IdentityName { issuer: scene.provider.issuer(), subject: "Ada|7".to_owned() },
            issued_at: at(NOW - 10),
            expires_at: at(NOW - 10 + 300 + 30),
            role: Some(UserRole::User),
            preferred_username: Some("ada".to_owned()),
            full_name: Some("Ada Lovelace".to_owned()),
        };
        assert_eq!(found, Some(expected), "{}", scene.key.algorithm());
    }
}

#[tokio::test]
async fn what_providers_write_differently_is_accepted() {
    let scene = Scene::new();
    let claims = |change: serde_json::Value| {
        let mut claims = scene.provider.claims("7", AUDIENCE, NOW);
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        scene.key.token(&claims)
    };
    for change in [
        json!({ "aud": ["account", AUDIENCE] }),
        json!({ "aud": "other-name-of-chatstore" }),
        json!({ "nbf": NOW }),
        json!({ "iat": NOW as f64 + 0.25, "exp": NOW as f64 + 299.75 }),
        json!({ "typ": "Bearer", "azp": "web", "scope": "openid profile", "nonce": "n" }),
        json!({ "preferred_username": 7, "name": ["Ada"], "email_verified": "yes" }),
    ] {
        assert!(scene.is_accepted(&claims(change.clone())).await, "{change}");
    }
    let payload = scene.provider.claims("7", AUDIENCE, NOW).to_string();
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("application/at+jwt")),
        ("x5t", json!("thumbprint")),
        ("kid", json!(null)),
    ] {
        let mut header = scene.key.header();
        header[name] = value;
        assert!(scene.is_accepted(&scene.key.sign(&header.to_string(), &payload)).await, "{header}");
    }
}

#[tokio::test]
async fn groups_give_a_role() {
    let scene = Scene::new();
    for (groups, role) in [
        (json!(["staff", "chat-admins"]), UserRole::Admin),
        (json!(["staff"]), UserRole::User),
        (json!(null), UserRole::User),
    ] {
        let mut claims = scene.provider.claims("7", AUDIENCE, NOW);
        claims["groups"] = groups;
        let found = scene.verify_at(&scene.key.token(&claims), NOW).await.unwrap().unwrap();
        assert_eq!(found.role, Some(role), "{claims}");
    }
}

#[tokio::test]
async fn a_token_is_accepted_in_its_time_and_for_clocks_30_seconds_apart() {
    let scene = Scene::new();
    let mut claims = scene.provider.claims("7", AUDIENCE, NOW);
    for (seconds, is_accepted) in
        [(NOW - 31, false), (NOW - 30, true), (NOW, true), (NOW + 300 + 29, true), (NOW + 300 + 30, false)]
    {
        assert_eq!(scene.is_accepted_at(&scene.key.token(&claims), seconds).await, is_accepted, "{seconds}");
    }
    claims["nbf"] = json!(NOW + 100);
    for (seconds, is_accepted) in [(NOW + 69, false), (NOW + 70, true)] {
        assert_eq!(scene.is_accepted_at(&scene.key.token(&claims), seconds).await, is_accepted, "{seconds}");
    }
}

#[tokio::test]
async fn each_of_several_issuers_vouches_for_its_own_people_only() {
    let keys = [SigningKey::eddsa("a"), SigningKey::eddsa("a")];
    let providers: Vec<TestProvider> = keys.iter().map(|key| TestProvider::start(&[key]).unwrap()).collect();
    let options = ProviderOptions {
        issuers: providers.iter().map(|provider| provider.issuer().parse().unwrap()).collect(),
        audiences: vec![AUDIENCE.to_owned()],
        roles: "".parse().unwrap(),
    };
    let trusting = Providers::new(options).unwrap();
    for (signer, key) in keys.iter().enumerate() {
        for (named, provider) in providers.iter().enumerate() {
            let token = key.token(&provider.claims("7", AUDIENCE, NOW));
            let found = chatstore::auth::IdentityProvider::verify(&trusting, &token, at(NOW)).await.unwrap();
            let issuer = found.as_ref().map(|found| found.identity.issuer.clone());
            assert_eq!(issuer, (signer == named).then(|| provider.issuer()));
            assert_eq!(found.and_then(|found| found.role), None, "without rules no role is given");
        }
    }
}

#[test]
fn providers_need_an_issuer_and_an_audience() {
    let options = ProviderOptions {
        issuers: vec!["http://127.0.0.1:1".parse().unwrap()],
        audiences: vec!["chatstore".to_owned()],
        roles: "".parse().unwrap(),
    };
    assert!(Providers::new(options.clone()).is_ok());
    assert!(Providers::new(ProviderOptions { issuers: vec![], ..options.clone() }).is_err());
    assert!(Providers::new(ProviderOptions { audiences: vec![], ..options.clone() }).is_err());
    assert!(Providers::new(ProviderOptions { audiences: vec![String::new()], ..options }).is_err());
}
