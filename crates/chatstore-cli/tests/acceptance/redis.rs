//! chatcore's Redis, looked into with `redis-cli`: what is in it, for how long, and that nothing needs it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use chatstore_testkit::server::{RedisServer, ensure_redis_installed};
use chatstore_testkit::{Backend, TestDatabase, conformance, free_port};
use futures_util::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{Answer, Application, Caller, text};

conformance!(
    k11_redis_holds_users_sessions_limits_and_responses_each_for_its_time,
    k11_every_key_begins_with_the_prefix,
    k11_without_redis_everything_goes_on,
    k11_a_server_that_has_no_redis_caches_responses_by_itself,
    k12_the_example_of_an_env_file_starts_a_server_and_readyz_names_both_services,
);

const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(30);
const SECOND: i64 = 1_000;

fn redis_cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output();
    let output = output.expect("redis-cli is installed with the server");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every key of a Redis, and how many milliseconds it lives; -1 for one that stays.
fn keys(port: u16) -> BTreeMap<String, i64> {
    let listed = redis_cli(port, &["--scan"]);
    let with_time = listed.lines().map(|key| {
        let lives = redis_cli(port, &["pttl", key]).trim().parse().unwrap();
        (key.to_owned(), lives)
    });
    // -2: it has expired since it was listed.
    with_time.filter(|(_, lives)| *lives != -2).collect()
}

/// How many milliseconds a key lives at most; -1 for one that stays. Every other key is a defect.
fn longest(key: &str) -> i64 {
    let (family, rest) = key.split_once(':').unwrap_or((key, ""));
    match family {
        "user" => 300 * SECOND,
        "sess" => 5 * SECOND,
        // A period of a minute, and what it is rounded by.
        "rate" | "login" | "confirm" => 2 * 60 * SECOND,
        "ai_cache" | "entries_of" => 3_600 * SECOND,
        "revision" if ["", "ai_cache"].contains(&rest) => -1,
        "revision" => 600 * SECOND,
        _ => panic!("{key} is documented nowhere"),
    }
}

fn assert_known(keys: &BTreeMap<String, i64>) {
    for (key, lives) in keys {
        match longest(key) {
            -1 => assert_eq!(*lives, -1, "{key}"),
            most => assert!((1..=most).contains(lives), "{key}: {lives}"),
        }
    }
}

/// An administrator, and Ada in a session.
struct People {
    root: Caller,
    ada: Caller,
}

async fn logged_in(application: &Application, name: &str) -> Answer {
    let body = json!({"username": name, "password": PASSWORD});
    application.post(&Caller::default(), "/auth/login", body).await
}

impl People {
    async fn of(application: &Application) -> Self {
        let root = application.person_with("root", &["--role", "admin"]);
        application.post(&root, "/users", json!({"username": "ada", "password": PASSWORD})).await.data(201);
        let tokens = logged_in(application, "ada").await.data(200);
        let id = text(&tokens["user"]["id"]).to_owned();
        let key = Some(text(&tokens["access_token"]).to_owned());
        Self { root, ada: Caller { id, key, acting_for: None } }
    }

    /// Has everything remembered that can be.
    async fn use_everything(&self, application: &Application) {
        application.get(&self.root, "/users?username=Ada").await.data(200);
        application.put(&self.ada, "/ai-cache/one", json!({"value": "Seville"})).await.data(200);
        assert_eq!(application.get(&self.ada, "/users/me").await.data(200)["username"], "ada");
    }
}

/// A server with this Redis, from when it uses it.
async fn with_redis(case: TestDatabase, redis: &RedisServer, prefix: &str) -> Application {
    let settings = [
        ("REDIS_URL", redis.url()),
        ("CHATSTORE_REDIS_PREFIX", prefix.to_owned()),
        ("CHATSTORE_RATE_LIMIT", "10000".to_owned()),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let application = Application::start_with(case, &settings);
    until_redis_is(&application, "ready").await;
    application
}

async fn until_redis_is(application: &Application, status: &str) {
    let began = Instant::now();
    loop {
        let ready = Answer::to(application.request_to(&Caller::default(), "GET", "/readyz")).await.data(200);
        if ready["dependencies"]["redis"]["status"] == status {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{ready}");
    }
}

/// Repeats what is done until Redis says so: a server on a busy machine gives an answer up after 20 ms and goes on.
async fn until(what: &str, step: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !step().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
    }
}

async fn k11_redis_holds_users_sessions_limits_and_responses_each_for_its_time(case: TestDatabase) {
    let redis = RedisServer::start().unwrap();
    let port = redis.port();
    let application = with_redis(case, &redis, "").await;
    let people = People::of(&application).await;
    let (root, ada) = (&people.root, &people.ada);
    let families = [
        "user:ada".to_owned(),
        format!("sess:{}:", ada.id),
        format!("rate:{}:127.0.0.1", ada.id),
        "ai_cache:".to_owned(),
    ];
    until("everything is remembered", async || {
        people.use_everything(&application).await;
        let found = keys(port);
        assert_known(&found);
        families.iter().all(|family| found.keys().any(|key| key.starts_with(family)))
    })
    .await;
    let found = keys(port);
    let lives = |family: &str| *found.iter().find(|(key, _)| key.starts_with(family)).unwrap().1;
    assert!((270 * SECOND..=300 * SECOND).contains(&lives("user:ada")));
    assert!((3_570 * SECOND..=3_600 * SECOND).contains(&lives("ai_cache:")));
    let user = redis_cli(port, &["get", "user:ada"]);
    assert!(user.contains(&ada.id) && !user.contains("argon2"), "{user}");

    let look_up = async || application.get(root, "/users?username=ada").await.data(200);
    let is_cached = |key: &str| keys(port).keys().any(|found| found.starts_with(key));
    until("an administrator sees who is remembered", async || {
        look_up().await;
        let cached = application.get(root, "/admin/cache/users/ADA").await;
        cached.status == 200 && cached.data(200)["user"]["id"] == ada.id
    })
    .await;
    until("an administrator forgets a user", async || {
        application.delete(root, "/admin/cache/users/ada").await.done();
        !is_cached("user:ada")
    })
    .await;
    until("an administrator forgets a session", async || {
        application.get(ada, "/users/me").await.data(200);
        let session = format!("sess:{}:", ada.id);
        let Some(key) = keys(port).into_keys().find(|key| key.starts_with(&session)) else { return false };
        let jti = key.rsplit(':').next().unwrap();
        application.delete(root, &format!("/admin/cache/sessions/{}/{jti}", ada.id)).await.done();
        !is_cached(&key)
    })
    .await;
    until("a user removes a response", async || {
        application.put(ada, "/ai-cache/one", json!({"value": "Seville"})).await.data(200);
        application.delete(ada, "/ai-cache/one").await.status == 204 && !is_cached("ai_cache:")
    })
    .await;
    let path = format!("/users/{}", ada.id);
    until("a change deletes what is remembered", async || {
        look_up().await;
        let was_cached = is_cached("user:ada");
        application.patch(root, &path, json!({"full_name": "Ada Lovelace"})).await.data(200);
        assert_eq!(look_up().await["data"][0]["full_name"], "Ada Lovelace");
        application.patch(root, &path, json!({"full_name": "Ada"})).await.data(200);
        was_cached && !is_cached("user:ada")
    })
    .await;
    until("a response is cached for the time that is said", async || {
        application.put(ada, "/ai-cache/two", json!({"value": 1, "ttl_seconds": 60})).await.data(200);
        let found = keys(port).into_iter().find(|(key, _)| key.starts_with("ai_cache:"));
        found.is_some_and(|(_, lives)| (1..=60 * SECOND).contains(&lives))
    })
    .await;
}

async fn k11_every_key_begins_with_the_prefix(case: TestDatabase) {
    let redis = RedisServer::start().unwrap();
    let application = with_redis(case, &redis, "chat:eu/1:").await;
    let people = People::of(&application).await;
    until("a user is remembered", async || {
        people.use_everything(&application).await;
        keys(redis.port()).contains_key("chat:eu/1:user:ada")
    })
    .await;
    let found = keys(redis.port());
    let own = found.iter().map(|(key, lives)| {
        let own = key.strip_prefix("chat:eu/1:").unwrap_or_else(|| panic!("{key} has no prefix"));
        (own.to_owned(), *lives)
    });
    let own: BTreeMap<String, i64> = own.collect();
    assert_known(&own);
    assert!(own.contains_key("user:ada"), "{own:?}");
}

async fn k11_without_redis_everything_goes_on(case: TestDatabase) {
    let port = free_port().unwrap();
    let redis = RedisServer::start_with(port, &[]).unwrap();
    let application = with_redis(case, &redis, "").await;
    let people = People::of(&application).await;
    people.use_everything(&application).await;
    let (root, ada) = (&people.root, &people.ada);
    drop(redis);
    until_redis_is(&application, "unavailable").await;
    logged_in(&application, "ada").await.data(200);
    assert_eq!(application.get(ada, "/users/me").await.data(200)["username"], "ada");
    application.get(root, "/users?username=ada").await.data(200);
    let put = application.put(ada, "/ai-cache/one", json!({"value": "Granada"})).await.data(200);
    assert_eq!(put, json!({"hash": "one", "scope": "own", "stored": false, "expires_at": null}));
    application.get(ada, "/ai-cache/one").await.refused(404, "not-found");
    application.delete(ada, "/ai-cache/one").await.done();
    assert_eq!(application.get(root, "/admin/cache").await.data(200)["is_up"], false);
    application.get(root, "/admin/cache/users/ada").await.refused(404, "not-found");
    application.delete(root, "/admin/cache/users/ada").await.done();
    application.delete(root, &format!("/admin/cache/sessions/{}", ada.id)).await.done();

    let redis = RedisServer::start_with(port, &[]).unwrap();
    until_redis_is(&application, "ready").await;
    let began = Instant::now();
    while application.put(ada, "/ai-cache/one", json!({"value": "Cadiz"})).await.data(200)["stored"] != true {
        assert!(began.elapsed() < PATIENCE, "nothing is cached again");
    }
    until("it is found again", async || {
        let found = application.get(ada, "/ai-cache/one").await;
        found.status == 200 && found.data(200)["value"] == "Cadiz"
    })
    .await;
    application.get(root, "/users?username=ada").await.data(200);
    assert_known(&keys(redis.port()));
    assert!(application.get(root, "/admin/cache").await.data(200)["losses"].as_u64() >= Some(1));
}

async fn k11_a_server_that_has_no_redis_caches_responses_by_itself(case: TestDatabase) {
    let application = Application::start(case);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let request = json!({"model": "echo", "messages": [{"role": "user", "content": "hi"}]});
    let hash = application.post(&ada, "/ai-cache/hash", request).await.data(200);
    let path = format!("/ai-cache/{}", text(&hash["hash"]));
    application.get(&ada, &path).await.refused(404, "not-found");
    application.put(&ada, &path, json!({"value": {"content": "Hello!"}})).await.data(200);
    assert_eq!(application.get(&ada, &path).await.data(200)["value"], json!({"content": "Hello!"}));
    application.get(&ben, &path).await.refused(404, "not-found");
    let conversation = application.conversation(&ada, json!({})).await;
    let reply = json!({"content": "Hello!", "response": {"model_used": "echo", "from_cache": true}});
    application.post(&ada, &format!("{conversation}/replies"), reply).await.data(201);
    let usage = application.get(&ada, "/usage").await.data(200);
    assert_eq!((&usage["total"]["requests"], &usage["total"]["cached_requests"]), (&json!(1), &json!(1)));
    application.delete(&ada, &path).await.done();
    application.get(&ada, &path).await.refused(404, "not-found");
    let ready = Answer::to(application.request_to(&Caller::default(), "GET", "/readyz")).await.data(200);
    assert_eq!(ready["dependencies"]["redis"], Value::Null);
}

async fn k12_the_example_of_an_env_file_starts_a_server_and_readyz_names_both_services(case: TestDatabase) {
    let redis = RedisServer::start().unwrap();
    let mut application = Application::start(case);
    application.stop();
    let example = include_str!("../../../../.env.example")
        .replace("# REDIS_URL=redis://localhost:6379/0", &format!("REDIS_URL={}", redis.url()));
    std::fs::write(application.folder.path().join(".env"), example).unwrap();
    application.serve(&[]);
    until_redis_is(&application, "ready").await;
    let ready = Answer::to(application.request_to(&Caller::default(), "GET", "/readyz")).await.data(200);
    assert_eq!(ready["dependencies"]["database"]["status"], "ready");
    let shown = application.run(&["config", "show", "--json"]).json();
    assert!(text(&shown["REDIS_URL"]["source"]).starts_with(".env"), "{shown}");
    let stats = application.run(&["stats", "--json"]).json();
    assert_eq!(stats["redis"], json!({"place": format!("127.0.0.1:{}/0", redis.port()), "is_up": true}));
    drop(redis);
    assert_eq!(application.run(&["stats", "--json"]).json()["redis"]["is_up"], false);
}

#[test]
fn k12_the_compose_file_has_postgresql_and_redis_with_health_checks() {
    let file = include_str!("../../../../docker-compose.yml");
    let service = |name: &str| {
        let (_, rest) = file.split_once(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("no {name}"));
        let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        lines.collect::<Vec<_>>().join("\n")
    };
    for (name, image, check) in [("postgres", "postgres:", "pg_isready"), ("redis", "redis:", "redis-cli")] {
        let service = service(name);
        assert!(service.contains(&format!("image: {image}")), "{service}");
        let (_, health) = service.split_once("healthcheck:").unwrap_or_else(|| panic!("no check of {name}"));
        assert!(health.contains(check), "{health}");
    }
    let server = service("chatstore");
    assert!(server.contains("REDIS_URL: ${REDIS_URL:-redis://redis:6379/0}"), "{server}");
    assert!(server.contains("condition: service_healthy"), "{server}");
    assert!(service("migrate").contains("condition: service_healthy"));
}

const LIMIT: usize = 1_000;
const CLIENTS: usize = 64;

/// How many of so many requests of 64 clients two servers accept; every other one has to be refused for the limit.
async fn accepted(
    origins: &[String; 2],
    key: &str,
    requests: usize,
    on_the_way: impl AsyncFn(usize),
) -> usize {
    let client = Client::new();
    let one = async |number: usize| {
        on_the_way(number).await;
        let url = format!("{}/api/v1/users/me", origins[number % 2]);
        match client.get(url).bearer_auth(key).send().await.unwrap().status().as_u16() {
            200 => 1,
            429 => 0,
            other => panic!("{other}"),
        }
    };
    let clients = (0..CLIENTS).map(async |client| {
        let mut accepted = 0;
        for number in (client..requests).step_by(CLIENTS) {
            accepted += one(number).await;
        }
        accepted
    });
    join_all(clients).await.into_iter().sum()
}

/// How many commands Redis did not answer in time.
async fn errors(origins: &[String; 2], root: &str) -> u64 {
    let mut errors = 0;
    for origin in origins {
        let request = Client::new().get(format!("{origin}/api/v1/admin/cache")).bearer_auth(root);
        let status: Value = request.send().await.unwrap().json().await.unwrap();
        errors += status["errors"].as_u64().unwrap();
    }
    errors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k11_two_servers_keep_within_one_limit_together_and_within_twice_that_without_redis() {
    ensure_redis_installed().unwrap();
    let redis = RedisServer::start().unwrap();
    let limit = LIMIT.to_string();
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("CHATSTORE_RATE_LIMIT", limit.as_str())];
    let application = Application::start_with(Backend::Postgres.database().await, &settings);
    let second = application.another_server(&settings);
    let origins = [application.server().origin.clone(), second.origin.clone()];
    until_redis_is(&application, "ready").await;
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|name| application.person(name).key.unwrap());
    let root = application.person_with("root", &["--role", "admin"]).key.unwrap();
    let began = Instant::now();
    let together = accepted(&origins, &ada, 3 * LIMIT, async |_| {}).await;
    // What is older than a minute counts no more.
    assert!(began.elapsed() < Duration::from_secs(60), "this machine is too slow for the test");
    // On a busy machine Redis is not always answered in time; then each server counts by itself.
    let is_exact = errors(&origins, &root).await == 0;
    let most = if is_exact { LIMIT + LIMIT / 100 } else { 2 * LIMIT };
    assert!((LIMIT - LIMIT / 100..=most).contains(&together), "{together}, exactly: {is_exact}");

    let redis = std::sync::Mutex::new(Some(redis));
    let kill = async |number: usize| {
        if number == LIMIT / 2 {
            drop(redis.lock().unwrap().take());
        }
    };
    let began = Instant::now();
    let killed = accepted(&origins, &ben, 3 * LIMIT, kill).await;
    let without = accepted(&origins, &eve, 3 * LIMIT, async |_| {}).await;
    assert!(began.elapsed() < Duration::from_secs(60), "this machine is too slow for the test");
    for accepted in [killed, without] {
        assert!((LIMIT..=2 * LIMIT).contains(&accepted), "{accepted}");
    }
}
