//! Users who come with tokens of an identity provider.

use std::sync::Arc;
use std::time::Duration;

use chatstore::{Builder, IdentityName, NewUser, Store, UserId, UserName, UserPatch};
use chatstore_oidc::{ProviderOptions, Providers};
use chatstore_testkit::provider::{Behavior, SigningKey, TestProvider};
use chatstore_testkit::{SeededIds, TestDatabase, conformance};
use serde_json::{Value, json};

use crate::login::{PASSWORD, confirmed};
use crate::support::{Person, Server, builder, open_to_registration};

conformance!(
    the_first_request_creates_the_user_where_that_is_switched_on,
    a_token_that_is_not_valid_is_refused_like_any_other,
    an_unknown_person_is_told_so_and_let_in_once_linked,
    a_role_that_was_lost_at_the_provider_is_lost_here_with_the_next_token,
    without_the_providers_keys_a_request_is_to_be_tried_again,
    a_token_of_a_provider_has_no_session_here_to_log_out_of,
    logging_out_everywhere_refuses_the_tokens_that_were_issued_before,
    with_passwords_switched_off_the_routes_that_take_one_say_so,
    requests_with_tokens_of_a_provider_are_counted_by_user,
    requests_of_unknown_persons_are_counted_by_address,
    an_export_says_who_the_user_is_for_the_provider,
    an_erased_user_is_gone_with_the_identity,
);

const AUDIENCE: &str = "chatstore";

/// A provider, its key, and a server that trusts it.
pub(crate) struct Provided {
    pub(crate) server: Server,
    provider: TestProvider,
    key: SigningKey,
}

impl Provided {
    pub(crate) async fn new(case: TestDatabase, build: impl FnOnce(Builder) -> Builder) -> Self {
        let key = SigningKey::es256("a");
        let provider = TestProvider::start(&[&key]).unwrap();
        let options = ProviderOptions {
            issuers: vec![provider.issuer().parse().unwrap()],
            audiences: vec![AUDIENCE.to_owned()],
            roles: "admin:groups=chat-admins".parse().unwrap(),
        };
        let providers = Providers::new(options).unwrap();
        let mut server = Server::start(case).await;
        let builder = builder(&server.case, SeededIds::new(2)).identity_provider(Arc::new(providers));
        let store = build(builder).connect().await.unwrap();
        server.serve_with(store, open_to_registration).await;
        Self { server, provider, key }
    }

    fn now(&self) -> i64 {
        self.server.store.now().as_microseconds() / 1_000_000
    }

    fn claims(&self, subject: &str) -> Value {
        self.provider.claims(subject, AUDIENCE, self.now())
    }

    /// A person with a token that is issued now.
    pub(crate) fn person(&self, subject: &str) -> Person {
        self.with_claims(&self.claims(subject))
    }

    fn with_claims(&self, claims: &Value) -> Person {
        Person { id: UserId::ANONYMOUS, key: self.key.token(claims) }
    }

    /// Lets a person be this user.
    pub(crate) async fn link(&self, user: UserId, subject: &str) {
        let name = IdentityName { issuer: self.provider.issuer(), subject: subject.to_owned() };
        self.server.store.users().link(user, name).await.unwrap();
    }

    async fn answer(&self, person: &Person, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let request = self.server.send(person, method, target, &body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn me(&self, person: &Person) -> (u16, Value) {
        let answer = self.server.request(person, "GET", "/api/v1/users/me").send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    fn later(&self) {
        self.server.case.clock.advance(Duration::from_secs(1));
    }
}

fn creating(builder: Builder) -> Builder {
    builder.create_users(true)
}

fn unchanged(builder: Builder) -> Builder {
    builder
}

async fn ada(store: &Store) -> UserId {
    let new = NewUser::named(UserName::new("ada").unwrap());
    let password = chatstore::auth::Password::new(PASSWORD);
    store.users().create_with_password(new, password).await.unwrap().id
}

async fn the_first_request_creates_the_user_where_that_is_switched_on(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    let mut claims = provided.claims("7");
    claims["preferred_username"] = json!("ada");
    claims["name"] = json!("Ada Lovelace");
    claims["email"] = json!("ada@example.org");
    let person = provided.with_claims(&claims);

    let (status, me) = provided.me(&person).await;
    assert_eq!(status, 200, "{me}");
    assert_eq!(
        (&me["username"], &me["full_name"], &me["email"], &me["role"]),
        (&json!("ada"), &json!("Ada Lovelace"), &json!(null), &json!("user"))
    );
    let path = provided.server.conversation(&person).await;
    assert_eq!(provided.me(&person).await.1["id"], me["id"]);
    assert!(provided.server.get(&person, &path).await["id"].is_string());
}

async fn a_token_that_is_not_valid_is_refused_like_any_other(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    let mut other_audience = provided.claims("7");
    other_audience["aud"] = json!("account");
    let expired = provided.provider.claims("7", AUDIENCE, provided.now() - 3_600);
    let mut other_issuer = provided.claims("7");
    other_issuer["iss"] = json!("https://id.example.org");
    for claims in [other_audience, expired, other_issuer] {
        let (status, problem) = provided.me(&provided.with_claims(&claims)).await;
        assert_eq!(
            (status, &problem["type"]),
            (401, &json!("urn:chatstore:problem:unauthenticated")),
            "{claims}"
        );
    }
    let stranger = Person { id: UserId::ANONYMOUS, key: SigningKey::es256("a").token(&provided.claims("7")) };
    assert_eq!(provided.me(&stranger).await.0, 401);
}

async fn an_unknown_person_is_told_so_and_let_in_once_linked(case: TestDatabase) {
    let provided = Provided::new(case, unchanged).await;
    let id = ada(&provided.server.store).await;
    let person = provided.person("7");
    let (status, problem) = provided.me(&person).await;
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("an administrator can link it"), "{problem}");
    // What such a token is sent beside does not depend on it.
    let login = json!({ "username": "ada", "password": PASSWORD });
    assert_eq!(provided.answer(&person, "POST", "/api/v1/auth/login", &login).await.0, 200);

    provided.link(id, "7").await;
    let (status, me) = provided.me(&person).await;
    assert_eq!((status, &me["username"]), (200, &json!("ada")));
}

async fn a_role_that_was_lost_at_the_provider_is_lost_here_with_the_next_token(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    let users = |person: Person| {
        let request = provided.server.request(&person, "GET", "/api/v1/users");
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let mut claims = provided.claims("7");
    claims["groups"] = json!(["chat-admins"]);
    let admin = provided.with_claims(&claims);
    assert_eq!(users(admin.clone()).await, 200);
    provided.later();
    assert_eq!(users(provided.person("7")).await, 403);
    assert_eq!(users(admin).await, 403);
}

async fn without_the_providers_keys_a_request_is_to_be_tried_again(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    provided.provider.behave(Behavior::Failing);
    let answer =
        provided.server.request(&provided.person("7"), "GET", "/api/v1/users/me").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let problem: Value = answer.json().await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().starts_with("the keys of the identity provider"),
        "{problem}"
    );
}

async fn a_token_of_a_provider_has_no_session_here_to_log_out_of(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    let person = provided.person("7");
    let (status, problem) = provided.answer(&person, "POST", "/api/v1/auth/logout", &json!({})).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("log out there"), "{problem}");
    let sessions = provided.server.get(&person, "/api/v1/auth/sessions").await;
    assert_eq!(sessions["data"], json!([]));
    let key = provided.server.post(&person, "/api/v1/auth/api-keys", "{}").await;
    let by_key = Person { key: key["key"].as_str().unwrap().to_owned(), ..person };
    assert_eq!(provided.me(&by_key).await.0, 200);
}

async fn logging_out_everywhere_refuses_the_tokens_that_were_issued_before(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    let person = provided.person("7");
    assert_eq!(provided.me(&person).await.0, 200);
    provided.later();
    assert_eq!(provided.answer(&person, "POST", "/api/v1/auth/logout-all", &json!({})).await.0, 204);
    assert_eq!(provided.me(&person).await.0, 401);
    provided.later();
    assert_eq!(provided.me(&provided.person("7")).await.0, 200);
}

async fn with_passwords_switched_off_the_routes_that_take_one_say_so(case: TestDatabase) {
    let provided = Provided::new(case, |builder| creating(builder).local_passwords(false)).await;
    ada(&provided.server.store).await;
    let login = json!({ "username": "ada", "password": PASSWORD });
    let nobody = Person { id: UserId::ANONYMOUS, key: String::new() };
    let person = provided.person("7");
    let change = json!({ "current_password": PASSWORD, "new_password": "staple of many horses" });
    for (person, route, body) in [
        (&nobody, "login", &login),
        (&nobody, "refresh", &json!({ "refresh_token": "cr_x" })),
        (&nobody, "register", &json!({ "username": "bob", "password": PASSWORD })),
        (&person, "password", &change),
    ] {
        let target = format!("/api/v1/auth/{route}");
        let (status, problem) = provided.answer(person, "POST", &target, body).await;
        assert_eq!(
            (status, &problem["type"]),
            (403, &json!("urn:chatstore:problem:passwords-off")),
            "{route}"
        );
    }
    assert_eq!(provided.me(&person).await.0, 200);
}

async fn requests_with_tokens_of_a_provider_are_counted_by_user(case: TestDatabase) {
    let mut provided = Provided::new(case, creating).await;
    let store = provided.server.store.clone();
    let mount = |store| chatstore_http::Api::new(store).requests_a_minute(Some(2)).router();
    provided.server.serve_with(store, mount).await;
    let mut statuses = Vec::new();
    for subject in ["7", "7", "7", "8"] {
        provided.server.case.clock.advance(Duration::from_millis(1));
        statuses.push(provided.me(&provided.person(subject)).await.0);
    }
    assert_eq!(statuses, [200, 200, 429, 200]);
}

async fn requests_of_unknown_persons_are_counted_by_address(case: TestDatabase) {
    let mut provided = Provided::new(case, unchanged).await;
    let store = provided.server.store.clone();
    let mount = |store| chatstore_http::Api::new(store).requests_a_minute(Some(2)).router();
    provided.server.serve_with(store, mount).await;
    let mut statuses = Vec::new();
    for subject in ["7", "8", "9"] {
        statuses.push(provided.me(&provided.person(subject)).await.0);
    }
    assert_eq!(statuses, [403, 403, 429]);
}

async fn an_export_says_who_the_user_is_for_the_provider(case: TestDatabase) {
    let provided = Provided::new(case, creating).await;
    let person = provided.person("Ada|7");
    let answer = provided.server.request(&person, "GET", "/api/v1/users/me/export").send().await.unwrap();
    let text = answer.text().await.unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let identity = lines.find(|line| line["type"] == "identity").unwrap();
    assert_eq!(
        (&identity["issuer"], &identity["subject"]),
        (&json!(provided.provider.issuer()), &json!("Ada|7"))
    );
    assert!(identity["token_issued_at"].is_string());
}

async fn an_erased_user_is_gone_with_the_identity(case: TestDatabase) {
    let provided = Provided::new(case, unchanged).await;
    let id = ada(&provided.server.store).await;
    provided.link(id, "7").await;
    let person = provided.person("7");
    let disable = |is_active| {
        let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
        provided.server.store.users().update(id, patch)
    };
    disable(false).await.unwrap();
    assert_eq!(provided.me(&person).await.0, 401);
    disable(true).await.unwrap();
    provided.later();
    let session = confirmed(&provided.server, &Person { id, key: String::new() }, "ada").await;
    let person = provided.person("7");
    for (person, status) in [(&person, 403), (&session, 204)] {
        let erased = provided.server.request(person, "DELETE", "/api/v1/users/me").send().await.unwrap();
        assert_eq!(erased.status().as_u16(), status);
    }
    assert_eq!(provided.me(&person).await.0, 403);
}
