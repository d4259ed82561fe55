//! What clients do meanwhile: append, ask who they are, change themselves and look whether the change is seen.

use std::time::{Duration, Instant};

use chatstore::{ApiKeyScope, NewConversation, NewUser, Store, UserName, UserRole};
use chatstore_bench::error::Error;
use chatstore_bench::samples::Latencies;
use chatstore_bench::wire::{self, Connection};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Clients at a time.
const CLIENTS: usize = 4;

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(2);

/// A user who sends requests, and how an administrator looks the user up.
#[derive(Debug, Clone)]
pub(super) struct Person {
    name: String,
    key: String,
    admin: String,
    conversation: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) latencies: Latencies,
    pub(super) requests: usize,
    pub(super) violations: Vec<String>,
}

/// Creates the users, while no server runs.
pub(super) async fn people(database_url: &str) -> Result<Vec<Person>, Error> {
    let store = Store::connect(database_url).await?;
    let root = NewUser { role: UserRole::Admin, ..NewUser::named(UserName::new("root")?) };
    let root = store.users().create(root).await?.id;
    let admin = store.keys().create(root, ApiKeyScope::User, None, None).await?.text;
    let mut people = Vec::new();
    for number in 0..CLIENTS {
        let name = format!("client-{number}");
        let user = store.users().create(NewUser::named(UserName::new(&name)?)).await?.id;
        let key = store.keys().create(user, ApiKeyScope::User, None, None).await?.text;
        let conversation = store.as_user(user).conversations().create(NewConversation::default()).await?;
        let conversation = conversation.id.to_string();
        people.push(Person { name, key, admin: admin.clone(), conversation });
    }
    store.close().await;
    Ok(people)
}

/// Lets them send requests for so long.
pub(super) async fn run(port: u16, people: &[Person], span: Duration) -> Result<Found, Error> {
    let mut clients = JoinSet::new();
    for person in people {
        let person = person.clone();
        clients.spawn(async move { Client::open(port, person).await?.work(span).await });
    }
    let mut all = Found::default();
    while let Some(found) = clients.join_next().await {
        let found = found??;
        all.latencies.append(found.latencies);
        all.requests += found.requests;
        all.violations.extend(found.violations);
    }
    Ok(all)
}

struct Client {
    connection: Connection,
    person: Person,
    found: Found,
}

impl Client {
    async fn open(port: u16, person: Person) -> Result<Self, Error> {
        Ok(Self { connection: Connection::open(port).await?, person, found: Found::default() })
    }

    async fn work(mut self, span: Duration) -> Result<Found, Error> {
        let begun = Instant::now();
        let append = format!("/api/v1/conversations/{}/messages", self.person.conversation);
        let find = format!("/api/v1/users?username={}", self.person.name);
        let (key, admin) = (self.person.key.clone(), self.person.admin.clone());
        let mut number = 0;
        while begun.elapsed() < span {
            self.send(&wire::post(&append, &key, &json!({ "content": "hello" }).to_string())).await?;
            self.send(&wire::get("/api/v1/users/me", &key)).await?;
            number += 1;
            let full_name = format!("number {number}");
            let change = json!({ "full_name": full_name }).to_string();
            self.send(&wire::patch("/api/v1/users/me", &key, &change)).await?;
            for _ in 0..2 {
                let seen = self.send(&wire::get(&find, &admin)).await?;
                if seen["data"][0]["full_name"] != full_name {
                    self.found.violations.push(format!("{full_name:?} was written, then read {seen}"));
                }
            }
        }
        Ok(self.found)
    }

    /// The body of the answer, which has to be a success.
    async fn send(&mut self, request: &[u8]) -> Result<Value, Error> {
        tokio::time::sleep(PAUSE).await;
        let sent = Instant::now();
        let answer = self.connection.exchange(request).await?;
        self.found.latencies.push(sent.elapsed());
        self.found.requests += 1;
        let (status, body) = (answer.status(), String::from_utf8_lossy(answer.body()).into_owned());
        if !(200..300).contains(&status) {
            self.found.violations.push(format!("a request was answered with {status}: {body}"));
        }
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }
}
