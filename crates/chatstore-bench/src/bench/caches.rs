//! What it saves to remember answers: session checks and user look-ups over HTTP by the database, from memory and from
//! Redis; and what Redis costs appends and pages, which do not use it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::data::Scale;
use chatstore_bench::drive::drive;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::server::{Installation, Server};
use chatstore_bench::wire::{self, Connection};
use chatstore_bench::wire_caller::{Prepared, WireCaller};
use chatstore_sql::DatabaseKind;
use chatstore_testkit::server::RedisServer;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::http::{Requests, username};
use super::{Arguments, Findings, Pace};
use crate::report::{Figures, Finding, Series};

const EXPERIMENT: &str = "caches";

/// How many clients at a time.
const CLIENTS: [usize; 2] = [1, 16];

/// Users with a session each. One address registers 100 in a minute.
const SESSIONS: usize = 64;

const PASSWORD: &str = "correct horse battery";

/// The server on one database, with Redis and without.
pub(super) struct Caches {
    installation: Installation,
    kind: DatabaseKind,
    scale: Scale,
    pace: Pace,
}

/// Requests built beforehand.
struct Work {
    sessions: Arc<Vec<Vec<u8>>>,
    users: Arc<Vec<Prepared>>,
    /// Makes the server forget all sessions, and Redis those of a user who has none.
    forget: Vec<u8>,
    others: Requests,
}

/// The figures of one number of clients and one arrangement.
#[derive(Default)]
struct Measured {
    /// Each session is one that the server does not remember.
    unknown: Figures,
    remembered: Figures,
    users: Series,
    append: Series,
    page: Series,
}

impl Caches {
    pub(super) fn new(
        arguments: &Arguments,
        kind: DatabaseKind,
        pace: Pace,
        database_url: &str,
    ) -> Result<Self, Error> {
        let (binary, folder) = (arguments.server.path()?, arguments.databases.temporary_folder()?);
        let installation = Installation::over(binary, database_url, &username(0), folder)?;
        Ok(Self { installation, kind, scale: arguments.scale, pace })
    }

    pub(super) async fn measure(self) -> Findings {
        let redis = RedisServer::start()?;
        self.installation.write_settings("CHATSTORE_OPEN_REGISTRATION=on\n")?;
        let work = self.work().await?;
        let [mut without, mut with]: [[Measured; 2]; 2] = Default::default();
        for round in 1..=self.pace.rounds {
            progress::print(format_args!("caches {} round {round}", self.kind.as_str()));
            self.installation.write_settings("")?;
            self.round(&work, &mut without).await?;
            self.installation.write_settings(&format!("REDIS_URL={}\n", redis.url()))?;
            self.round(&work, &mut with).await?;
        }
        Ok(self.findings(&without, &with))
    }

    async fn work(&self) -> Result<Work, Error> {
        let admin = self.installation.create_admin("cache-admin")?;
        let server = self.installation.start().await?;
        let mut connection = Connection::open(server.port()).await?;
        let (mut sessions, mut users) = (Vec::new(), Vec::new());
        for number in 0..SESSIONS {
            let name = format!("cached-{number}");
            let body = json!({ "username": name, "password": PASSWORD }).to_string();
            let register = wire::post_anonymously("/api/v1/auth/register", &body);
            success(&mut connection, &register).await?;
            let login = wire::post_anonymously("/api/v1/auth/login", &body);
            let tokens = success(&mut connection, &login).await?;
            let access = tokens["access_token"].as_str().ok_or("a login without an access token")?;
            sessions.push(wire::get("/api/v1/users/me", access));
            users.push(Prepared::get(&format!("/api/v1/users?username={name}"), &admin));
        }
        let me = success(&mut connection, &wire::get("/api/v1/users/me", &admin)).await?;
        let id = me["id"].as_str().ok_or("a user without an id")?;
        let forget = wire::delete(&format!("/api/v1/admin/cache/sessions/{id}"), &admin);
        server.stop().await?;
        let others = Requests::build(&self.installation, self.scale)?;
        Ok(Work { sessions: Arc::new(sessions), users: Arc::new(users), forget, others })
    }

    async fn round(&self, work: &Work, measured: &mut [Measured; 2]) -> Result<(), Error> {
        let server = self.installation.start().await?;
        for (clients, measured) in CLIENTS.into_iter().zip(measured) {
            let load = async |requests| {
                let callers = WireCaller::many(clients, server.port(), 0, requests).await?;
                drive(self.pace.span(), callers).await
            };
            measured.append.push(load(&work.others.append).await?);
            measured.page.push(load(&work.others.page).await?);
            measured.users.push(load(&work.users).await?);
            let [unknown, remembered] = self.check_sessions(&server, clients, work).await?;
            measured.unknown.push(unknown);
            measured.remembered.push(remembered);
        }
        server.stop().await
    }

    /// Checks of sessions a second: of those that the server does not remember, and of the same again.
    async fn check_sessions(&self, server: &Server, clients: usize, work: &Work) -> Result<[f64; 2], Error> {
        let mut callers = Vec::new();
        for _ in 0..clients {
            callers.push(Connection::open(server.port()).await?);
        }
        let mut connection = Connection::open(server.port()).await?;
        let mut times = [Duration::ZERO; 2];
        let (mut sweeps, begun) = (0_u32, Instant::now());
        while sweeps == 0 || begun.elapsed() < self.pace.length {
            success(&mut connection, &work.forget).await?;
            for time in &mut times {
                let (back, took) = sweep(callers, &work.sessions).await?;
                callers = back;
                *time += took;
            }
            sweeps += 1;
        }
        let checks = f64::from(sweeps) * SESSIONS as f64;
        Ok(times.map(|time| checks / time.as_secs_f64()))
    }

    fn findings(&self, without: &[Measured; 2], with: &[Measured; 2]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (clients, (without, with)) in CLIENTS.into_iter().zip(without.iter().zip(with)) {
            let rate =
                |what: &str, figures: &Figures| Finding::rate(EXPERIMENT, self.kind, what, clients, figures);
            const DATABASE: &str = "the database";
            const WITHOUT: &str = "without Redis";
            findings.extend([
                rate("check a session, memory", &without.remembered).beside(DATABASE, &without.unknown),
                rate("check a session, Redis", &with.unknown).beside(DATABASE, &without.unknown),
                rate("check a session, memory before Redis", &with.remembered)
                    .beside(DATABASE, &without.unknown),
                rate("look up a user, Redis", &with.users.rates).beside(DATABASE, &without.users.rates),
                rate("append a message with Redis", &with.append.rates)
                    .beside(WITHOUT, &without.append.rates),
                rate("newest 50 messages with Redis", &with.page.rates).beside(WITHOUT, &without.page.rates),
            ]);
        }
        findings
    }
}

/// Sends each request once, all connections at the same time; how long that took.
async fn sweep(
    connections: Vec<Connection>,
    requests: &Arc<Vec<Vec<u8>>>,
) -> Result<(Vec<Connection>, Duration), Error> {
    let (count, begun) = (connections.len(), Instant::now());
    let mut tasks = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        let requests = Arc::clone(requests);
        tasks.spawn(async move {
            for request in requests.iter().skip(number).step_by(count) {
                let status = connection.exchange(request).await?.status();
                if status != 200 {
                    return Err(format!("a session check was answered with {status}").into());
                }
            }
            Ok::<_, Error>(connection)
        });
    }
    let mut back = Vec::with_capacity(count);
    while let Some(finished) = tasks.join_next().await {
        back.push(finished??);
    }
    Ok((back, begun.elapsed()))
}

/// The body of an answer that is a success.
async fn success(connection: &mut Connection, request: &[u8]) -> Result<Value, Error> {
    let answer = connection.exchange(request).await?;
    if !(200..300).contains(&answer.status()) {
        return Err(format!("a request was answered with {}", answer.status()).into());
    }
    if answer.body().is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(answer.body())?) }
}
