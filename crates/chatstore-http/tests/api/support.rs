//! A server on a real socket, and exchanges with it as text.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use chatstore::auth::TokenKeys;
use chatstore::{ApiKeyScope, Builder, MemberRole, NewUser, Store, UserId, UserName, UserRole};
use chatstore_http::Api;
use chatstore_testkit::{SeededIds, TestDatabase};
use futures_util::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Request, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

pub(crate) const CONVERSATIONS: &str = "/api/v1/conversations";

/// A server over the case's database.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) case: TestDatabase,
    address: SocketAddr,
    client: Client,
    _shutdown: oneshot::Sender<()>,
}

/// A user with a key.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) key: String,
}

impl Server {
    pub(crate) async fn start(case: TestDatabase) -> Self {
        Self::start_with(case, open_to_registration).await
    }

    /// A server of another application that mounts the router.
    pub(crate) async fn start_with(case: TestDatabase, mount: fn(Store) -> Router) -> Self {
        let store = open(&case).await;
        let (address, shutdown) = listen(mount(store.clone())).await;
        Self { store, case, address, client: Client::new(), _shutdown: shutdown }
    }

    /// Continues with another store.
    pub(crate) async fn serve(&mut self, store: Store) {
        self.serve_with(store, chatstore_http::router).await;
    }

    /// Continues with another store and other routes.
    pub(crate) async fn serve_with(&mut self, store: Store, mount: fn(Store) -> Router) {
        (self.address, self._shutdown) = listen(mount(store.clone())).await;
        self.store = store;
    }

    /// Another server over the same database, to which requests go from now on; the first one answers until
    /// what is returned is dropped.
    pub(crate) async fn serve_beside(&mut self, store: Store) -> oneshot::Sender<()> {
        let (address, shutdown) = listen(chatstore_http::router(store.clone())).await;
        (self.address, self.store) = (address, store);
        std::mem::replace(&mut self._shutdown, shutdown)
    }

    /// Creates a user with a key.
    pub(crate) async fn person(&self, name: &str) -> Person {
        self.holder(name, UserRole::User).await
    }

    /// Creates an administrator with a key.
    pub(crate) async fn admin(&self, name: &str) -> Person {
        self.holder(name, UserRole::Admin).await
    }

    async fn holder(&self, name: &str, role: UserRole) -> Person {
        let new = NewUser { role, ..NewUser::named(UserName::new(name).unwrap()) };
        let user = self.store.users().create(new).await.unwrap();
        let key = self.store.keys().create(user.id, ApiKeyScope::User, None, None).await.unwrap();
        Person { id: user.id, key: key.text }
    }

    /// A service key of this administrator's.
    pub(crate) async fn service(&self, admin: &Person) -> Person {
        let key = self.store.keys().create(admin.id, ApiKeyScope::Service, None, None).await.unwrap();
        Person { id: admin.id, key: key.text }
    }

    /// A request of a service for a user.
    pub(crate) fn act(&self, service: &Person, whom: &str, method: &str, target: &str) -> RequestBuilder {
        self.request(service, method, target).header("Chatstore-User", whom)
    }

    /// Adds another user to a conversation.
    pub(crate) async fn share(&self, conversation: &str, owner: &Person, member: &Person, role: MemberRole) {
        let id = conversation.rsplit('/').next().unwrap().parse().unwrap();
        self.store.as_user(owner.id).members().put(id, member.id, role).await.unwrap();
    }

    /// A bare connection to the server.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A request without credentials.
    pub(crate) fn anonymous(&self, method: &str, target: &str) -> RequestBuilder {
        let url = format!("http://{}{target}", self.address);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, url).header("X-Request-Id", "r-1")
    }

    pub(crate) fn request(&self, person: &Person, method: &str, target: &str) -> RequestBuilder {
        self.anonymous(method, target).bearer_auth(&person.key)
    }

    /// A request with a JSON body, given as text.
    pub(crate) fn send(&self, person: &Person, method: &str, target: &str, body: &str) -> RequestBuilder {
        let request = self.request(person, method, target).header("Content-Type", "application/json");
        request.body(body.to_owned())
    }

    /// Posts a body that must be accepted, and returns the answer's body.
    pub(crate) async fn post(&self, person: &Person, target: &str, body: &str) -> Value {
        let answer = self.send(person, "POST", target, body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "POST {target} {body}");
        json(answer).await
    }

    /// Gets an object that must exist.
    pub(crate) async fn get(&self, person: &Person, target: &str) -> Value {
        let answer = self.request(person, "GET", target).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "GET {target}");
        json(answer).await
    }

    /// Returns when the first use of the person's key is written down, which no request waits for: from then on every
    /// statement of theirs is one of their requests'.
    pub(crate) async fn settle(&self, person: &Person) {
        loop {
            let keys = self.get(person, "/api/v1/auth/api-keys").await;
            if keys["data"].as_array().unwrap().iter().all(|key| !key["last_used_at"].is_null()) {
                return;
            }
        }
    }

    /// The path of a new conversation of this person.
    pub(crate) async fn conversation(&self, person: &Person) -> String {
        let conversation = self.post(person, "/api/v1/conversations", "{}").await;
        format!("/api/v1/conversations/{}", conversation["id"].as_str().unwrap())
    }
}

/// The default router, with registration open.
pub(crate) fn open_to_registration(store: Store) -> Router {
    Api::new(store).registration(true).router()
}

async fn listen(router: Router) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, stopped) = oneshot::channel();
    let stopped = async move { stopped.await.unwrap_or_default() };
    tokio::spawn(chatstore_http::serve(listener, router, stopped));
    (address, shutdown)
}

/// The case's database as a store whose keys and ids are the same in every run.
pub(crate) async fn open(case: &TestDatabase) -> Store {
    open_with(case, SeededIds::default()).await
}

/// What every server of a case signs with.
pub(crate) fn token_keys() -> TokenKeys {
    TokenKeys::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap()
}

/// The case's database as a store that draws other ids than another one over it.
pub(crate) async fn open_with(case: &TestDatabase, ids: SeededIds) -> Store {
    builder(case, ids).connect().await.unwrap()
}

/// The same, before it is opened.
pub(crate) fn builder(case: &TestDatabase, ids: SeededIds) -> Builder {
    let builder = Store::builder(case.url.clone()).clock(case.clock.clone()).pool(4);
    builder.ids(Arc::new(ids)).token_keys(token_keys())
}

/// Sends a request; the exchange as text, after a check of the headers that every answer has. Fields of
/// conversations and messages that are null are left out, so that the text shows what it is about.
pub(crate) async fn exchange(request: RequestBuilder) -> String {
    transcript(request, without_null_fields).await
}

/// The same with every field.
pub(crate) async fn whole_exchange(request: RequestBuilder) -> String {
    transcript(request, |value| value).await
}

fn without_null_fields(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_null_fields(item.take())),
        Value::Object(fields) => {
            if fields.contains_key("last_seq") || fields.contains_key("seq") {
                fields.retain(|_, field| !field.is_null());
            }
            fields.values_mut().for_each(|field| *field = without_null_fields(field.take()));
        }
        _ => {}
    }
    value
}

async fn transcript(request: RequestBuilder, shown: fn(Value) -> Value) -> String {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let mut text = format!("{} {}\n", request.method(), target(&request));
    if let Some(body) = request.body().and_then(|body| body.as_bytes()) {
        writeln!(text, "{}", String::from_utf8_lossy(body)).unwrap();
    }
    let answer = client.execute(request).await.unwrap();
    text.push('\n');
    text.push_str(&answer_text(answer, shown).await);
    text
}

fn target(request: &Request) -> String {
    let url = request.url();
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// Status, headers that differ from answer to answer, and body.
pub(crate) async fn answer_text(answer: Response, shown: fn(Value) -> Value) -> String {
    let headers = answer.headers().clone();
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-request-id"], "r-1");
    let mut text = format!("{}\n", answer.status());
    for name in [
        "content-type",
        "location",
        "etag",
        "allow",
        "www-authenticate",
        "retry-after",
        "idempotency-replayed",
    ] {
        if let Some(value) = headers.get(name) {
            writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
    }
    let body = answer.text().await.unwrap();
    if !body.is_empty() {
        let value = shown(serde_json::from_str(&body).unwrap());
        write!(text, "\n{}\n", serde_json::to_string_pretty(&value).unwrap()).unwrap();
    }
    text
}

/// Several exchanges, one after the other.
pub(crate) async fn exchanges(requests: impl IntoIterator<Item = RequestBuilder>) -> String {
    let mut text = String::new();
    for request in requests {
        text.push_str(&exchange(request).await);
        text.push_str("────\n");
    }
    text
}

pub(crate) async fn json(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// Status of an answer, and the field and code of each error in it.
pub(crate) async fn refusal(request: RequestBuilder) -> (u16, Vec<(String, String)>) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = json(answer).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    (status, errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect())
}

/// An answer taken apart; an empty body is null.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The text of a header; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The last part of a problem's URN, and the field and code of each error in it.
    fn problem(&self) -> String {
        let mut text = self.body["type"].as_str().unwrap().replace("urn:chatstore:problem:", " ");
        for error in self.body["errors"].as_array().unwrap_or(&Vec::new()) {
            let (field, code) = (error["field"].as_str().unwrap(), error["code"].as_str().unwrap());
            write!(text, " ({field}: {code})").unwrap();
        }
        text
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    Answer { status, headers, body }
}

/// The answers to concurrent requests.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = RequestBuilder>) -> Vec<Answer> {
    join_all(requests.into_iter().map(answer)).await
}

/// Exchanges, one after the other, in a line each: what was asked, the status, and of a problem its kind, fields
/// and codes.
pub(crate) async fn outlines(requests: impl IntoIterator<Item = RequestBuilder>) -> String {
    let mut text = String::new();
    for request in requests {
        let asked = outline(&request.try_clone().unwrap().build().unwrap());
        let answer = answer(request).await;
        let problem = if answer.status >= 400 { answer.problem() } else { String::new() };
        writeln!(text, "{asked} → {}{problem}", answer.status).unwrap();
    }
    text
}

fn outline(request: &Request) -> String {
    let mut text = format!("{} {}", request.method(), target(request));
    for name in ["chatstore-user", "if-match", "if-none-match", "idempotency-key"] {
        for value in request.headers().get_all(name) {
            write!(text, " [{name}: {}]", String::from_utf8_lossy(value.as_bytes())).unwrap();
        }
    }
    match request.body().and_then(|body| body.as_bytes()) {
        None | Some([]) => {}
        Some(body) => write!(text, " {}", String::from_utf8_lossy(body)).unwrap(),
    }
    if text.chars().count() > 180 { text.chars().take(180).chain(['…']).collect() } else { text }
}
