//! What a server logs while its database is down.

use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::commands::{TOKEN_KEY, call};
use crate::program::{Server, chatstore, finish};

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_is_logged_once_and_then_counted() {
    ensure_postgres_installed().unwrap();
    let database = PostgresServer::start(Settings { durable: false }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = chatstore(folder.path());
        command.env("DATABASE_URL", database.url()).args(arguments);
        command
    };
    finish(&mut command(&["migrate", "upgrade"])).data();
    finish(&mut command(&["user", "create", "--username", "ada"])).data();
    let key = finish(&mut command(&["key", "create", "--user", "ada"])).data().to_owned();
    let mut serve = command(&["serve", "--bind", "127.0.0.1:0"]);
    serve.env("CHATSTORE_TOKEN_KEY", TOKEN_KEY).env("CHATSTORE_METRICS_BIND", "off");
    let mut server = Server::start_command(&mut serve);
    assert_eq!(call(&server, "GET", "users/me", Some(&key), Value::Null).await.0, 200);
    database.stop().unwrap();
    let url = format!("{}/api/v1/users/me", server.origin);
    for _ in 0..10 {
        let mut requests = JoinSet::new();
        for _ in 0..20 {
            let request = reqwest::Client::new().get(&url).bearer_auth(&key);
            requests.spawn(async move { request.send().await.unwrap().status().as_u16() });
        }
        assert_eq!(requests.join_all().await, [503; 20]);
    }
    let counted = server.wait_for("failed again in the last 10 s");
    assert!(counted.contains("failure.kind=\"unavailable\""), "{counted}");
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0), "{said}");
    let of_requests: Vec<&str> = said.lines().filter(|line| line.contains("request failed")).collect();
    // The first may have been sent over a connection that was still thought to be open.
    assert!((1..=2).contains(&of_requests.len()), "{of_requests:?}");
}
