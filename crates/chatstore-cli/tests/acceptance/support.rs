//! An application's view of chatstore: commands, keys, requests and answers.

use std::collections::BTreeSet;

use chatstore_testkit::TestDatabase;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::program::{Finished, chatstore, finish};
use crate::server::Server;

/// What tokens are signed with, which PostgreSQL has to be told.
pub const TOKEN_KEY: &str = "bdb+t4ym4+/NJrOjT4PNQ4F0IbwK0X5Mks/IttktZng=";

/// A server over the database of a case, in an empty folder.
pub struct Application {
    // Dropped before its database.
    server: Option<Server>,
    pub case: TestDatabase,
    pub folder: tempfile::TempDir,
    client: Client,
}

/// The caller: the holder of a key, or an anonymous client.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    pub id: String,
    pub key: Option<String>,
    pub acting_for: Option<String>,
}

impl Caller {
    /// The same key, acting for a user.
    pub fn acting_for(&self, user: &str) -> Self {
        Self { acting_for: Some(user.to_owned()), ..self.clone() }
    }
}

impl Application {
    /// Starts a server that is told nothing but what it needs.
    pub fn start(case: TestDatabase) -> Self {
        Self::start_with(case, &[])
    }

    /// Starts a server with further settings.
    pub fn start_with(case: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut application = Self { server: None, case, folder, client: Client::new() };
        application.serve(settings);
        application
    }

    /// Starts a server on the case's database.
    pub fn another_server(&self, settings: &[(&str, &str)]) -> Server {
        let own = [("DATABASE_URL", self.case.url.as_str()), ("CHATSTORE_METRICS_BIND", "off")];
        let direct: Vec<_> =
            self.case.direct_url.iter().map(|url| ("DATABASE_DIRECT_URL", url.as_str())).collect();
        let key: &[_] = if self.is_sqlite() { &[] } else { &[("CHATSTORE_TOKEN_KEY", TOKEN_KEY)] };
        Server::start(self.folder.path(), &[&own, key, &direct, settings].concat())
    }

    /// Goes on with a new server.
    pub fn serve(&mut self, settings: &[(&str, &str)]) {
        let server = self.another_server(settings);
        self.serve_on(server);
    }

    /// Goes on with this server.
    pub fn serve_on(&mut self, server: Server) {
        // The old connections lead to the old server.
        self.client = Client::new();
        self.server = Some(server);
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a server runs")
    }

    /// Takes the server away, to stop it.
    pub fn take_server(&mut self) -> Server {
        self.server.take().expect("a server runs")
    }

    /// Stops the server as an operator does.
    pub fn stop(&mut self) {
        let server = self.take_server();
        server.terminate();
        assert_eq!(server.wait(), Some(0));
    }

    /// Runs a command on the same database, beside the server.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let direct = self.case.direct_url.iter().map(|url| ("DATABASE_DIRECT_URL", url));
        let mut command = chatstore(self.folder.path());
        finish(command.env("DATABASE_URL", &self.case.url).envs(direct).args(arguments))
    }

    pub fn is_sqlite(&self) -> bool {
        self.case.url.starts_with("sqlite")
    }

    /// Creates a user with their own key.
    pub fn person(&self, name: &str) -> Caller {
        self.person_with(name, &[])
    }

    pub fn person_with(&self, name: &str, more: &[&str]) -> Caller {
        let create = [&["user", "create", "--username", name], more].concat();
        let id = self.run(&create).data().to_owned();
        let key = self.run(&["key", "create", "--user", name]).data().to_owned();
        Caller { id, key: Some(key), acting_for: None }
    }

    /// Creates the service key of an application's backend.
    pub fn service(&self) -> Caller {
        let key = self.run(&["key", "create", "--service", "--name", "backend"]).data().to_owned();
        Caller { key: Some(key), ..Caller::default() }
    }

    /// A request; `path` is below `/api/v1`, or whole when it begins with that.
    pub fn request(&self, caller: &Caller, method: &str, path: &str) -> RequestBuilder {
        let prefix = if path.starts_with("/api/v1") { "" } else { "/api/v1" };
        self.request_to(caller, method, &format!("{prefix}{path}"))
    }

    /// A request to a path that is below nothing.
    pub fn request_to(&self, caller: &Caller, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.server().origin));
        if let Some(key) = &caller.key {
            request = request.bearer_auth(key);
        }
        if let Some(user) = &caller.acting_for {
            request = request.header("Chatstore-User", user);
        }
        request.header("X-Request-Id", "walk")
    }

    pub async fn call(&self, caller: &Caller, method: &str, path: &str, body: Value) -> Answer {
        Answer::to(self.request(caller, method, path).json(&body)).await
    }

    pub async fn get(&self, caller: &Caller, path: &str) -> Answer {
        Answer::to(self.request(caller, "GET", path)).await
    }

    pub async fn delete(&self, caller: &Caller, path: &str) -> Answer {
        Answer::to(self.request(caller, "DELETE", path)).await
    }

    pub async fn post(&self, caller: &Caller, path: &str, body: Value) -> Answer {
        self.call(caller, "POST", path, body).await
    }

    pub async fn put(&self, caller: &Caller, path: &str, body: Value) -> Answer {
        self.call(caller, "PUT", path, body).await
    }

    pub async fn patch(&self, caller: &Caller, path: &str, body: Value) -> Answer {
        self.call(caller, "PATCH", path, body).await
    }

    /// Creates a conversation; its path.
    pub async fn conversation(&self, caller: &Caller, body: Value) -> String {
        let conversation = self.post(caller, "/conversations", body).await.data(201);
        format!("/conversations/{}", text(&conversation["id"]))
    }

    /// Appends a message to a conversation; the message.
    pub async fn say(&self, caller: &Caller, conversation: &str, content: &str) -> Value {
        let body = serde_json::json!({ "content": content });
        self.post(caller, &format!("{conversation}/messages"), body).await.data(201)
    }
}

/// What a request was answered with.
#[derive(Debug)]
pub struct Answer {
    #[expect(dead_code, reason = "part of the message of a failure")]
    asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn to(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let asked = format!("{} {}", request.method(), request.url());
        let answer = client.execute(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { asked, status, headers, body: answer.text().await.unwrap() }
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_str(&self.body).expect("the answer is JSON")
    }

    /// Fails the case unless this is done and there is nothing to say.
    #[track_caller]
    pub fn done(&self) {
        assert_eq!((self.status, self.body.as_str()), (204, ""), "{self:?}");
    }

    /// The document of a refusal, which has the same form whatever was refused.
    #[track_caller]
    pub fn refused(&self, status: u16, slug: &str) -> Value {
        let document = self.data(status);
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(document["type"], format!("urn:chatstore:problem:{slug}"), "{self:?}");
        assert_eq!(document["status"], status, "{self:?}");
        assert_eq!(document["request_id"], "walk", "{self:?}");
        assert!(document["title"].is_string() && document["detail"].is_string(), "{self:?}");
        document
    }

    /// Fails the case unless exactly these fields were refused, for these reasons.
    #[track_caller]
    pub fn invalid(&self, expected: &[(&str, &str)]) {
        let document = self.refused(422, "validation");
        let errors: BTreeSet<(&str, &str)> = document["errors"]
            .as_array()
            .expect("a list of errors")
            .iter()
            .map(|error| (text(&error["field"]), text(&error["code"])))
            .collect();
        assert_eq!(errors, expected.iter().copied().collect(), "{self:?}");
    }
}

/// A text that must be one.
#[track_caller]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// A path with parameters.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let parameters = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    format!("{path}?{}", parameters.collect::<Vec<_>>().join("&"))
}

/// One field of each row of a list.
#[track_caller]
pub fn column(list: &Value, field: &str) -> Vec<Value> {
    let rows = list["data"].as_array().unwrap_or_else(|| panic!("{list} is no list"));
    rows.iter().map(|row| row[field].clone()).collect()
}

/// Fails the case unless this is a UUID as text.
#[track_caller]
pub fn assert_uuid(value: &Value) {
    let id: uuid::Uuid = text(value).parse().unwrap_or_else(|_| panic!("{value} is no UUID"));
    assert_eq!(id.to_string(), text(value));
}

/// The names of an object's fields.
#[track_caller]
pub fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value} is no object")).keys().map(String::as_str).collect()
}
