//! What `/metrics` serves, and what the documentation, the dashboard and the alerts say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::Router;
use chatstore::{DatabaseKind, Store};
use chatstore_http::{Api, MetricDescription, MetricKind, ServeOptions, metric_descriptions};
use chatstore_testkit::{TestDatabase, conformance};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::Server;

conformance!(
    every_metric_is_served_with_the_labels_of_its_description,
    what_happens_is_counted_where_an_operator_looks_for_it,
);

/// One line of what is served.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    value: f64,
}

/// The names of the series of a metric.
pub(crate) fn series(description: &MetricDescription) -> Vec<String> {
    let name = description.name();
    match description.kind() {
        MetricKind::Histogram => ["bucket", "sum", "count"].map(|end| format!("{name}_{end}")).to_vec(),
        MetricKind::Counter | MetricKind::Gauge => vec![name],
    }
}

pub(crate) fn samples(text: &str) -> Vec<Sample> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut found = BTreeMap::new();
    for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
        let (label, value) = label.split_once("=\"").unwrap();
        found.insert(label.to_owned(), value.trim_end_matches('"').to_owned());
    }
    Sample { name: name.to_owned(), labels: found, value: value.parse().unwrap() }
}

/// The API with its metrics beside it.
fn with_metrics(store: Store) -> Router {
    let api = Api::new(store).registration(true).requests_a_minute(Some(1_000));
    api.router().nest("/operator", api.metrics_router())
}

async fn scrape(server: &Server) -> Vec<Sample> {
    let answer = server.anonymous("GET", "/operator/metrics").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    samples(&text)
}

/// Something of everything that is counted.
async fn traffic(server: &Server) {
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    server.post(&ada, &format!("{conversation}/messages"), r#"{"content": "a"}"#).await;
    let reply =
        r#"{"content": "b", "response": {"model_used": "m\"1", "tokens_prompt": 7, "tokens_completion": 3}}"#;
    server.post(&ada, &format!("{conversation}/replies"), reply).await;
    server.get(&ada, &format!("{conversation}/messages")).await;
    let absent = format!("{}/00000000-0000-7000-8000-000000000001", crate::support::CONVERSATIONS);
    assert_eq!(server.request(&ada, "GET", &absent).send().await.unwrap().status(), 404);
    let login = r#"{"username": "ada", "password": "not the password"}"#;
    let login =
        server.anonymous("POST", "/api/v1/auth/login").header("Content-Type", "application/json").body(login);
    assert_eq!(login.send().await.unwrap().status(), 401);
}

/// Whether this kind of database has a metric; none of the cases has a standby.
fn is_served(kind: DatabaseKind, name: &str) -> bool {
    let is_of_standbys =
        ["chatstore_standby", "chatstore_list_reads"].iter().any(|start| name.starts_with(start));
    !is_of_standbys && (kind == DatabaseKind::Sqlite || !name.starts_with("chatstore_sqlite_"))
}

async fn every_metric_is_served_with_the_labels_of_its_description(case: TestDatabase) {
    let server = Server::start_with(case, with_metrics).await;
    traffic(&server).await;
    let served = scrape(&server).await;
    for description in metric_descriptions() {
        let labels: BTreeSet<&str> = description.labels().iter().copied().collect();
        for name in series(description) {
            let is_expected = is_served(server.store.kind(), &name);
            let found: Vec<&Sample> = served.iter().filter(|sample| sample.name == name).collect();
            assert_eq!(!found.is_empty(), is_expected, "{name}");
            for sample in found {
                let shown = sample.labels.keys().map(String::as_str).filter(|label| *label != "le");
                assert_eq!(shown.collect::<BTreeSet<&str>>(), labels, "{name}");
            }
        }
    }
    let described: BTreeSet<String> = metric_descriptions().iter().flat_map(series).collect();
    for sample in &served {
        assert!(described.contains(&sample.name), "{} is not described", sample.name);
    }
}

async fn what_happens_is_counted_where_an_operator_looks_for_it(case: TestDatabase) {
    let server = Server::start_with(case, with_metrics).await;
    let before = scrape(&server).await;
    traffic(&server).await;
    let after = scrape(&server).await;
    let value = |samples: &[Sample], name: &str, labels: &[(&str, &str)]| {
        let has = |sample: &&Sample| {
            let is_so =
                |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|found| found == value);
            sample.name == name && labels.iter().all(is_so)
        };
        samples.iter().filter(has).map(|sample| sample.value).sum::<f64>()
    };
    let grown =
        |name: &str, labels: &[(&str, &str)]| value(&after, name, labels) - value(&before, name, labels);

    let route = "/api/v1/conversations/{id}/messages";
    let append = [("method", "POST"), ("route", route), ("status", "201")];
    assert_eq!(grown("chatstore_http_requests_total", &append), 1.0);
    let append = [("method", "POST"), ("route", route), ("status_class", "2xx")];
    assert_eq!(grown("chatstore_http_request_duration_seconds_count", &append), 1.0);
    assert_eq!(grown("chatstore_http_problems_total", &[("problem", "not-found")]), 1.0);
    assert_eq!(grown("chatstore_http_problems_total", &[("problem", "invalid-credentials")]), 1.0);
    assert!(grown("chatstore_http_permit_wait_seconds_count", &[]) >= 5.0);
    assert_eq!(value(&after, "chatstore_http_permits_busy", &[]), 0.0);

    assert_eq!(
        grown("chatstore_security_events_total", &[("event", "login_failed"), ("outcome", "refused")]),
        1.0
    );
    assert_eq!(
        grown("chatstore_limit_decisions_total", &[("limit", "logins_of_address"), ("decision", "granted")]),
        1.0
    );
    assert!(
        grown("chatstore_limit_decisions_total", &[("limit", "request"), ("decision", "granted")]) >= 5.0
    );
    let model = ("model", "m\\\"1");
    assert_eq!(grown("chatstore_model_replies_total", &[model, ("source", "model")]), 1.0);
    assert_eq!(grown("chatstore_model_tokens_total", &[model, ("kind", "prompt")]), 7.0);
    assert_eq!(grown("chatstore_model_tokens_total", &[model, ("kind", "completion")]), 3.0);

    let append = match server.store.kind() {
        DatabaseKind::Sqlite => [("statement", "messages.insert")],
        DatabaseKind::Postgres => [("statement", "messages.append_own")],
    };
    assert!(grown("chatstore_database_statements_total", &append) >= 1.0);
    assert_eq!(value(&after, "chatstore_database_statements_total", &[("statement", "other")]), 0.0);
    assert!(grown("chatstore_database_statement_seconds_total", &append) > 0.0);
    assert_eq!(grown("chatstore_database_statement_failures_total", &[]), 0.0);
    assert!(grown("chatstore_database_connection_wait_seconds_count", &[]) >= 2.0);
    if server.store.kind() == DatabaseKind::Sqlite {
        assert!(grown("chatstore_sqlite_group_writes_sum", &[]) >= 3.0);
        assert!(grown("chatstore_sqlite_group_duration_seconds_count", &[]) >= 3.0);
        assert!(value(&after, "chatstore_sqlite_wal_bytes", &[]) > 0.0);
    }
}

#[tokio::test]
async fn a_server_counts_its_connections_in_the_metrics_of_its_api() {
    let api = Api::new(Store::memory().await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options =
        ServeOptions { max_connections: 7, counts: api.connection_counts(), ..ServeOptions::default() };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { stopped.await.unwrap_or_default() };
    let router = Router::new().nest("/operator", api.metrics_router());
    let serving = tokio::spawn(chatstore_http::serve_with(listener, router, options, stopped));
    let client = reqwest::Client::builder().pool_max_idle_per_host(1).build().unwrap();
    let open = async || {
        let text =
            client.get(format!("http://{address}/operator/metrics")).send().await.unwrap().text().await;
        let served = samples(&text.unwrap());
        let value = |name: &str| served.iter().find(|sample| sample.name == name).unwrap().value;
        (value("chatstore_http_connections"), value("chatstore_http_connections_max"))
    };
    assert_eq!(open().await, (1.0, 7.0));
    let other = TcpStream::connect(address).await.unwrap();
    let until = async |count: f64| {
        while open().await.0 != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), until(2.0)).await.unwrap();
    drop(other);
    timeout(Duration::from_secs(10), until(1.0)).await.unwrap();
    drop(stop);
    serving.await.unwrap().unwrap();
}

#[test]
fn the_documentation_has_a_row_for_every_metric_and_for_nothing_else() {
    let document = include_str!("../../../../docs/operations.md");
    let (_, section) = document.split_once("\n## Metrics\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let documented: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let rows: Vec<String> = metric_descriptions().iter().map(row).collect();
    assert_eq!(documented.join("\n"), rows.join("\n"), "the table should be\n{}", rows.join("\n"));
}

fn row(description: &MetricDescription) -> String {
    let labels: Vec<String> = description.labels().iter().map(|label| format!("`{label}`")).collect();
    let (name, kind, help) = (description.name(), description.kind().as_str(), description.help());
    format!("| `{name}` | {kind} | {} | {help} |", labels.join(", ")).replace("|  |", "| |")
}
