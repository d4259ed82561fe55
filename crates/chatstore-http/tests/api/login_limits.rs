//! How often a client may try to log in, and the answers during a burst of logins.

use std::net::Ipv4Addr;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use axum::Router;
use chatstore::auth::{ClientInfo, LoginName, Password};
use chatstore::{Store, UserPatch};
use chatstore_http::{Api, TrustedProxies};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;
use reqwest::RequestBuilder;
use serde_json::json;

use crate::login::{LOGIN, PASSWORD, login, member, post, status};
use crate::support::{CONVERSATIONS, Person, Server, answer, refusal, token_keys};

conformance!(
    too_many_failures_of_an_account_are_refused_for_a_while,
    failures_from_elsewhere_lock_nobody_out,
    failures_from_everywhere_make_an_account_slow_but_for_its_own_addresses,
    logins_of_an_address_are_counted_also_when_they_are_right,
    an_address_that_is_refused_is_refused_unread_and_uses_up_no_other_count,
    a_name_of_any_length_costs_no_more_than_a_short_one,
    too_many_failures_of_an_address_are_refused_for_a_while,
    requests_are_counted_by_user_and_address_when_enabled,
    an_answer_says_how_many_requests_are_left_and_until_when,
    only_a_trusted_proxy_says_where_a_login_comes_from,
    a_login_during_a_burst_is_told_to_retry,
);

/// A login from an address, as a trusted proxy reports it.
fn login_from(server: &Server, address: &str, name: &str, password: &str) -> RequestBuilder {
    let body = json!({"username": name, "password": password});
    post(server, LOGIN, &body).header("X-Forwarded-For", address)
}

async fn status_from(server: &Server, address: &str, name: &str, password: &str) -> u16 {
    answer(login_from(server, address, name, password)).await.status
}

/// A server behind a proxy over a store whose accounts may fail once from an address, addresses ten times.
async fn strict(case: TestDatabase) -> Server {
    let mut server = Server::start_with(case, behind_a_proxy).await;
    let builder = Store::builder(server.case.url.clone()).clock(server.case.clock.clone()).pool(4);
    let store = builder.token_keys(token_keys()).login_failures(Some(1)).connect().await.unwrap();
    server.serve_with(store, behind_a_proxy).await;
    server
}

async fn too_many_failures_of_an_account_are_refused_for_a_while(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = member(&server, "ada").await;
    let address = UserPatch {
        email: chatstore::Change::Set(chatstore::Email::new("ada@example.org").unwrap()),
        ..UserPatch::default()
    };
    server.store.users().update(ada.id, address).await.unwrap();
    member(&server, "bob").await;
    for _ in 0..20 {
        assert_eq!(login(&server, "ada", PASSWORD).await.status, 200, "successes are no failures");
    }
    for spelling in ["ada", "ADA", " ada ", "ada@example.org", "Ada@example.org"].iter().cycle().take(10) {
        assert_eq!(login(&server, spelling, "wrong password").await.status, 401);
    }
    for name in ["ada", "ADA", "ada@example.org"] {
        let refused = login(&server, name, PASSWORD).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"), "the right password too");
        assert_eq!(refused.body["type"], "urn:chatstore:problem:rate-limited");
    }
    assert_eq!(login(&server, "bob", PASSWORD).await.status, 200, "other users are not affected");
    for _ in 0..11 {
        login(&server, "nobody", "wrong password").await;
    }
    assert_eq!(
        login(&server, "nobody", PASSWORD).await.status,
        429,
        "the same for a user that does not exist"
    );
    server.case.clock.advance(Duration::from_secs(60));
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 200);
}

async fn failures_from_elsewhere_lock_nobody_out(case: TestDatabase) {
    let server = Server::start_with(case, behind_a_proxy).await;
    member(&server, "ada").await;
    for attacker in ["203.0.113.1", "203.0.113.2", "2001:db8:0:1::1"] {
        for _ in 0..10 {
            assert_eq!(status_from(&server, attacker, "ada", "wrong password").await, 401);
        }
        assert_eq!(status_from(&server, attacker, "ada", PASSWORD).await, 429);
    }
    assert_eq!(status_from(&server, "2001:db8:0:1::2", "ada", PASSWORD).await, 429, "of the same /64");
    for address in ["203.0.113.3", "2001:db8:0:2::1"] {
        assert_eq!(status_from(&server, address, "ada", PASSWORD).await, 200);
    }
}

async fn failures_from_everywhere_make_an_account_slow_but_for_its_own_addresses(case: TestDatabase) {
    let server = strict(case).await;
    member(&server, "ada").await;
    assert_eq!(status_from(&server, "2001:db8::1", "ada", PASSWORD).await, 200);
    for number in 0..10 {
        let attacker = format!("203.0.113.{number}");
        assert_eq!(status_from(&server, &attacker, "ada", "wrong password").await, 401);
        assert_eq!(status_from(&server, &attacker, "nobody", "wrong password").await, 401);
    }
    let slow = Duration::from_secs(2);
    for (address, name, expected, is_slow) in [
        ("198.51.100.1", "ada", 200, true),
        ("198.51.100.2", "nobody", 401, true),
        ("198.51.100.1", "ada", 200, false),
        ("2001:db8::2", "ada", 200, false),
    ] {
        let since = Instant::now();
        assert_eq!(status_from(&server, address, name, PASSWORD).await, expected, "{address} {name}");
        assert_eq!(since.elapsed() >= slow, is_slow, "{address} {name}: {:?}", since.elapsed());
    }
}

async fn logins_of_an_address_are_counted_also_when_they_are_right(case: TestDatabase) {
    let server = strict(case).await;
    member(&server, "ada").await;
    for number in 0..60 {
        assert_eq!(status_from(&server, "203.0.113.1", "ada", PASSWORD).await, 200, "{number}");
    }
    let refused = answer(login_from(&server, "203.0.113.1", "ada", PASSWORD)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
    assert_eq!(status_from(&server, "203.0.113.2", "ada", PASSWORD).await, 200, "others are not affected");
}

async fn an_address_that_is_refused_is_refused_unread_and_uses_up_no_other_count(case: TestDatabase) {
    let server = strict(case).await;
    let ada = member(&server, "ada").await;
    for number in 0..10 {
        let name = format!("somebody{number}");
        assert_eq!(status_from(&server, "203.0.113.1", &name, "wrong password").await, 401);
    }
    let unread = post(&server, LOGIN, &json!({})).header("X-Forwarded-For", "203.0.113.1");
    assert_eq!(answer(unread).await.status, 429);
    for _ in 0..3 {
        assert_eq!(status_from(&server, "203.0.113.1", "ada", "wrong password").await, 429);
    }
    assert_eq!(status_from(&server, "203.0.113.2", "ada", PASSWORD).await, 200);

    let id = ada.id.to_string();
    for _ in 0..2 {
        status_from(&server, "203.0.113.3", &id, "wrong password").await;
    }
    assert_eq!(status_from(&server, "203.0.113.3", &id, "wrong password").await, 429);
    let change = json!({"current_password": PASSWORD, "new_password": "staple of many horses"});
    let change = server.send(&ada, "POST", "/api/v1/auth/password", &change.to_string());
    assert_eq!(answer(change.header("X-Forwarded-For", "203.0.113.3")).await.status, 204, "another count");
}

async fn a_name_of_any_length_costs_no_more_than_a_short_one(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let blank = " ".repeat(251);
    assert_eq!(login(&server, &format!("{blank}ada"), PASSWORD).await.status, 200);
    let slow = "\u{1e9b}\u{323}\u{fdfa}".repeat(1_000);
    for name in [format!("{blank}ada "), slow] {
        for field in ["username", "email"] {
            let request = post(&server, LOGIN, &json!({field: name, "password": PASSWORD}));
            assert_eq!(refusal(request).await, (422, vec![(field.to_owned(), "too_long".to_owned())]));
        }
    }
    let large = post(&server, LOGIN, &json!({"username": "a".repeat(340_000), "password": PASSWORD}));
    assert_eq!(answer(large).await.status, 413);
}

async fn too_many_failures_of_an_address_are_refused_for_a_while(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    for number in 0..100 {
        let name = format!("somebody{number}");
        assert_eq!(login(&server, &name, "wrong password").await.status, 401, "{number}");
    }
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 429);
    server.case.clock.advance(Duration::from_secs(60));
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 200);
}

fn three_a_minute(store: Store) -> Router {
    Api::new(store).requests_a_minute(Some(3)).anonymous(true).router()
}

async fn requests_are_counted_by_user_and_address_when_enabled(case: TestDatabase) {
    let server = Server::start_with(case, three_a_minute).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    for person in [&ada, &bob] {
        for _ in 0..3 {
            assert_eq!(status(&server, person, "GET", CONVERSATIONS).await, 200);
        }
        let refused = answer(server.request(person, "GET", CONVERSATIONS)).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
    }
    let root = server.admin("root").await;
    let service = server.service(&root).await;
    for (name, expected) in [("name:ada", 429), ("name:eve", 404), ("name:cleo", 200)] {
        if expected == 200 {
            server.person("cleo").await;
        }
        let acted = answer(server.act(&service, name, "GET", CONVERSATIONS)).await;
        assert_eq!(acted.status, expected, "a service's request counts for the user: {name}");
    }
    for _ in 0..3 {
        assert_eq!(answer(server.anonymous("POST", CONVERSATIONS)).await.status, 201);
    }
    assert_eq!(
        answer(server.anonymous("POST", CONVERSATIONS)).await.status,
        429,
        "anonymous clients share a count"
    );
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 429, "also before they are authenticated");
    let wrong = Person { key: "wrong".to_owned(), ..ada.clone() };
    assert_eq!(status(&server, &wrong, "GET", CONVERSATIONS).await, 429, "or with invalid credentials");
    assert_eq!(answer(server.anonymous("GET", "/healthz")).await.status, 200);
    server.case.clock.advance(Duration::from_secs(60));
    assert_eq!(status(&server, &ada, "GET", CONVERSATIONS).await, 200);
}

async fn an_answer_says_how_many_requests_are_left_and_until_when(case: TestDatabase) {
    let server = Server::start_with(case, three_a_minute).await;
    let ada = server.person("ada").await;
    let headers = async || {
        let answer = answer(server.request(&ada, "GET", CONVERSATIONS)).await;
        (answer.status, answer.header("ratelimit").to_owned(), answer.header("ratelimit-policy").to_owned())
    };
    let policy = "\"requests\";q=3;w=60";
    assert_eq!(headers().await, (200, "\"requests\";r=2;t=60".to_owned(), policy.to_owned()));
    server.case.clock.advance(Duration::from_millis(20_500));
    assert_eq!(headers().await, (200, "\"requests\";r=1;t=40".to_owned(), policy.to_owned()));
    assert_eq!(headers().await, (200, "\"requests\";r=0;t=40".to_owned(), policy.to_owned()));
    assert_eq!(headers().await, (429, "\"requests\";r=0;t=40".to_owned(), policy.to_owned()));
    let health = answer(server.anonymous("GET", "/healthz")).await;
    assert_eq!((health.header("ratelimit"), health.header("ratelimit-policy")), ("", ""), "not counted");
}

fn behind_a_proxy(store: Store) -> Router {
    let proxies: TrustedProxies = "127.0.0.0/8".parse().unwrap();
    Api::new(store).trusted_proxies(proxies).router()
}

async fn only_a_trusted_proxy_says_where_a_login_comes_from(case: TestDatabase) {
    let server = Server::start_with(case, behind_a_proxy).await;
    let ada = member(&server, "ada").await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let request = post(&server, LOGIN, &body).header("X-Forwarded-For", "2001:db8::7");
    assert_eq!(answer(request.header("User-Agent", "tests/1")).await.status, 200);
    let sessions = server.get(&ada, "/api/v1/auth/sessions").await;
    let session = &sessions["data"][0];
    assert_eq!(
        (session["ip"].as_str(), session["user_agent"].as_str()),
        (Some("2001:db8::7"), Some("tests/1"))
    );

    let mut server = server;
    let store = server.store.clone();
    server.serve(store).await;
    server.case.clock.advance(Duration::from_secs(1));
    answer(post(&server, LOGIN, &body).header("X-Forwarded-For", "2001:db8::7")).await;
    let sessions = server.get(&ada, "/api/v1/auth/sessions").await;
    assert_eq!(sessions["data"][0]["ip"], "127.0.0.1");
}

async fn a_login_during_a_burst_is_told_to_retry(case: TestDatabase) {
    let mut server = Server::start(case).await;
    let ada = member(&server, "ada").await;
    let builder = Store::builder(server.case.url.clone()).token_keys(token_keys());
    server.serve(builder.login_failures(None).connect().await.unwrap()).await;
    let store = server.store.clone();
    let client = ClientInfo { address: Some(Ipv4Addr::LOCALHOST.into()), user_agent: None };
    let same = server.store.auth().from(client.clone());
    let burst = tokio::spawn(async move {
        let threads = available_parallelism().unwrap().get().saturating_sub(1).max(1);
        let log_in = |_| {
            let auth = store.auth().from(client.clone());
            auth.login(LoginName::Username("ada".to_owned()), Password::new(PASSWORD))
        };
        join_all((0..17 * threads).map(log_in)).await
    });
    let full = async {
        while same.takes_passwords() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), full).await.unwrap();
    let refused = login(&server, "ada", PASSWORD).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.body["type"], "urn:chatstore:problem:overloaded");
    let unread = answer(post(&server, LOGIN, &json!({}))).await;
    assert_eq!(unread.status, 503, "before the body is read");
    server.post(&ada, CONVERSATIONS, "{}").await;
    assert!(!burst.is_finished(), "others did not wait for the burst");
    assert!(burst.await.unwrap().iter().all(Result::is_ok), "every login with a permit succeeds");
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 200, "then there is capacity again");
}
