//! Chatter's reads and writes on different servers.

use std::path::Path;
use std::time::{Duration, Instant};

use chatstore_testkit::free_port;
use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::program::{chatstore, finish};
use crate::server::Server;
use crate::support::TOKEN_KEY;

const PATIENCE: Duration = Duration::from_secs(30);

/// A number in the metrics of a server; 0 before it serves them.
async fn metric(port: u16, name: &str) -> f64 {
    let answer = Client::new().get(format!("http://127.0.0.1:{port}/metrics")).send().await;
    let Ok(answer) = answer else { return 0.0 };
    let text = answer.text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

fn command(folder: &Path, url: &str, arguments: &[&str]) -> String {
    finish(chatstore(folder).env("DATABASE_URL", url).args(arguments)).data().to_owned()
}

async fn body(request: RequestBuilder) -> (Option<String>, Value) {
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    let position = answer.headers().get("chatstore-position").map(|value| value.to_str().unwrap().to_owned());
    (position, answer.json().await.unwrap())
}

#[tokio::test]
async fn c8_lists_are_read_from_a_standby_and_show_everybody_their_own_writes() {
    ensure_postgres_installed().unwrap();
    let primary = PostgresServer::start(Settings { durable: false }).unwrap();
    let standby = primary.start_standby().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = primary.url();
    let upgraded = finish(chatstore(folder.path()).env("DATABASE_URL", &url).args(["migrate", "upgrade"]));
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    command(folder.path(), &url, &["user", "create", "--username", "ada"]);
    let key = command(folder.path(), &url, &["key", "create", "--user", "ada"]);
    let metrics = free_port().unwrap();
    let (metrics_bind, read_url) = (format!("127.0.0.1:{metrics}"), standby.url());
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("DATABASE_READ_URL", read_url.as_str()),
        ("CHATSTORE_METRICS_BIND", metrics_bind.as_str()),
        ("CHATSTORE_TOKEN_KEY", TOKEN_KEY),
    ];
    let server = Server::start(folder.path(), &settings);
    let (client, api) = (Client::new(), format!("{}/api/v1", server.origin));
    let began = Instant::now();
    while metric(metrics, "chatstore_standbys_in_use").await < 1.0 {
        assert!(began.elapsed() < PATIENCE, "the standby is never used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let messages = format!("{api}/threads/trip/messages");
    for number in 1..=50 {
        let append = client.post(&messages).bearer_auth(&key).json(&json!({"content": number.to_string()}));
        let (position, _) = body(append).await;
        let position = position.expect("a write says its position");
        let read = client.get(format!("{messages}?last=1")).bearer_auth(&key);
        assert_eq!(body(read).await.1["data"][0]["content"], number.to_string());
        let conversations = client.get(format!("{api}/conversations")).bearer_auth(&key);
        let (of_read, list) = body(conversations.header("Chatstore-Position", &position)).await;
        assert_eq!((of_read, &list["data"][0]["message_count"]), (None, &json!(number)));
    }
    let read = metric(metrics, "chatstore_list_reads_total{place=\"standby\"}").await;
    assert!(read >= 50.0, "{read} of 100 lists were read from the standby");
    let wrong = client.get(&messages).bearer_auth(&key).header("Chatstore-Position", "first").send().await;
    assert_eq!(wrong.unwrap().status(), 422);

    let urls = format!("{read_url},{url},postgresql://chatstore:x@127.0.0.1:1/chatstore");
    let all = [&settings[..], &[("DATABASE_READ_URL", &urls)]].concat();
    let checks = finish(chatstore(folder.path()).envs(all).args(["doctor", "--json"]));
    let checks: Vec<Value> = serde_json::from_str(&checks.stdout).unwrap();
    let standbys: Vec<&Value> = checks.iter().filter(|check| check["check"] == "standby").collect();
    let expected = [("ok", " bytes behind"), ("ok", " takes writes"), ("warning", "127.0.0.1:1/chatstore")];
    assert_eq!(standbys.len(), expected.len(), "{checks:?}");
    for (check, (status, found)) in standbys.into_iter().zip(expected) {
        assert_eq!(check["status"], status, "{check}");
        assert!(check["found"].as_str().unwrap().contains(found), "{check}");
    }
}
