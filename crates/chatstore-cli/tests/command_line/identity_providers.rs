//! Identity providers, from the settings to the answers of a server.

use chatstore::{Clock as _, SystemClock};
use chatstore_testkit::provider::{Behavior, SigningKey, TestProvider};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::commands::{Commands, call, login};

conformance!(
    a_server_accepts_the_tokens_of_a_provider_and_creates_its_users,
    a_linked_user_is_let_in_and_an_unlinked_one_refused,
    a_server_starts_while_its_provider_is_away,
    doctor_says_whether_a_provider_answers,
    a_provider_has_to_prove_who_it_is,
);

const PASSWORD: &str = "correct horse battery";
const AUDIENCE: &str = "chatstore";

fn token(provider: &TestProvider, key: &SigningKey, subject: &str, others: Value) -> String {
    let now = SystemClock.now().as_microseconds() / 1_000_000;
    let mut claims = provider.claims(subject, AUDIENCE, now);
    claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    key.token(&claims)
}

async fn a_server_accepts_the_tokens_of_a_provider_and_creates_its_users(case: TestDatabase) {
    let key = SigningKey::rs256("a", 0);
    let provider = TestProvider::start(&[&key]).unwrap();
    let issuer = provider.issuer();
    let commands = Commands::on(case);
    commands.person("bob", PASSWORD);
    let server = commands.serve(&[
        ("CHATSTORE_OIDC_ISSUER", &issuer),
        ("CHATSTORE_OIDC_AUDIENCE", AUDIENCE),
        ("CHATSTORE_OIDC_CREATE_USERS", "on"),
        ("CHATSTORE_OIDC_ROLES", "admin:groups=chat-admins"),
        ("CHATSTORE_LOCAL_PASSWORDS", "off"),
    ]);
    let claims = json!({ "preferred_username": "ada", "groups": ["chat-admins"] });
    let token = token(&provider, &key, "7", claims);
    let (status, me) = call(&server, "GET", "users/me", Some(&token), Value::Null).await;
    assert_eq!((status, &me["username"], &me["role"]), (200, &json!("ada"), &json!("admin")));
    assert_eq!(call(&server, "GET", "users", Some(&token), Value::Null).await.0, 200);
    assert_eq!(login(&server, "bob", PASSWORD).await.0, 403);

    let shown = commands.run(&["user", "show", "ada", "--json"]).json();
    assert_eq!(shown["identities"][0]["issuer"], issuer);
    assert_eq!(shown["identities"][0]["subject"], "7");
    let shown = commands.run(&["user", "show", "ada"]);
    assert!(shown.data().contains(&format!("7 at {issuer}")), "{shown:?}");
    assert_eq!(server.stop(), Some(0));
}

async fn a_linked_user_is_let_in_and_an_unlinked_one_refused(case: TestDatabase) {
    let key = SigningKey::eddsa("a");
    let provider = TestProvider::start(&[&key]).unwrap();
    let issuer = provider.issuer();
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let server = commands.serve(&[("CHATSTORE_OIDC_ISSUER", &issuer), ("CHATSTORE_OIDC_AUDIENCE", AUDIENCE)]);
    let token = token(&provider, &key, "7", json!({ "preferred_username": "ada" }));
    let me = async || call(&server, "GET", "users/me", Some(&token), Value::Null).await.0;
    assert_eq!(me().await, 403);
    assert_eq!(login(&server, "ada", PASSWORD).await.0, 200, "passwords stay unless they are switched off");

    let link = ["user", "link", "ada", "--issuer", &issuer, "--subject", "7"];
    commands.run(&link).data();
    assert_eq!(me().await, 200);
    commands.run(&link).assert_failed(1, "identity with this subject already exists");
    let unlink = ["user", "unlink", "ada", "--issuer", &issuer, "--subject", "7"];
    commands.run(&unlink).data();
    commands.run(&unlink).assert_failed(1, "identity");
    assert_eq!(server.stop(), Some(0));
}

async fn a_server_starts_while_its_provider_is_away(case: TestDatabase) {
    let key = SigningKey::eddsa("a");
    let provider = TestProvider::start(&[&key]).unwrap();
    provider.behave(Behavior::Away);
    let issuer = provider.issuer();
    let commands = Commands::on(case);
    let server = commands.serve(&[("CHATSTORE_OIDC_ISSUER", &issuer), ("CHATSTORE_OIDC_AUDIENCE", AUDIENCE)]);
    let token = token(&provider, &key, "7", json!({}));
    assert_eq!(call(&server, "GET", "users/me", Some(&token), Value::Null).await.0, 503);
    assert_eq!(server.stop(), Some(0));
}

async fn doctor_says_whether_a_provider_answers(case: TestDatabase) {
    let keys = [SigningKey::rs256("a", 0), SigningKey::es256("b")];
    let provider = TestProvider::start(&[&keys[0], &keys[1]]).unwrap();
    let issuer = provider.issuer();
    let commands = Commands::on(case);
    let doctor = || {
        let settings = [
            ("CHATSTORE_OIDC_ISSUER", issuer.as_str()),
            ("CHATSTORE_OIDC_AUDIENCE", AUDIENCE),
            ("CHATSTORE_TOKEN_KEY", crate::commands::TOKEN_KEY),
        ];
        let finished = commands.run_with(&settings, &["doctor", "--json"]);
        let checks: Value = serde_json::from_str(&finished.stdout).unwrap();
        checks.as_array().unwrap().iter().find(|check| check["check"] == "identity").unwrap().clone()
    };
    let found = doctor();
    assert_eq!(
        (&found["status"], &found["found"]),
        (&json!("ok"), &json!(format!("{issuer} is reachable, keys: 2")))
    );
    provider.behave(Behavior::OtherIssuer);
    let found = doctor();
    assert_eq!(found["status"], "failed");
    assert!(found["found"].as_str().unwrap().contains("is the configuration of the issuer"), "{found}");
    assert!(found["todo"].as_str().unwrap().contains("CHATSTORE_OIDC_ISSUER"), "{found}");
}

async fn a_provider_has_to_prove_who_it_is(case: TestDatabase) {
    let key = SigningKey::rs256("a", 0);
    let (provider, authority) = TestProvider::start_tls(&[&key]).unwrap();
    let (_, other_authority) = TestProvider::start_tls(&[&key]).unwrap();
    let issuer = provider.issuer();
    let commands = Commands::on(case);
    let token = token(&provider, &key, "7", json!({}));
    for (trusted, status) in [(&other_authority, 503), (&authority, 200)] {
        let file = commands.folder.path().join("authority.pem");
        std::fs::write(&file, trusted).unwrap();
        let server = commands.serve(&[
            ("CHATSTORE_OIDC_ISSUER", &issuer),
            ("CHATSTORE_OIDC_AUDIENCE", AUDIENCE),
            ("CHATSTORE_OIDC_CREATE_USERS", "on"),
            ("SSL_CERT_FILE", file.to_str().unwrap()),
        ]);
        assert_eq!(call(&server, "GET", "users/me", Some(&token), Value::Null).await.0, status);
        assert_eq!(server.stop(), Some(0));
    }
}
