//! W1 and R1 over the real server, with an API key: this process drives it, beside the least that the same server
//! can be asked (`GET /healthz`) and, on PostgreSQL, beside `pgbench` running the same append.

use std::sync::Arc;

use chatstore_bench::data::{Scale, content, conversation_id};
use chatstore_bench::drive::{Outcome, drive};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::server::{Installation, Server};
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::{NEWEST, Prepared, WireCaller};
use chatstore_sql::DatabaseKind;
use serde_json::{Value, json};

use super::{Arguments, Findings, Pace};
use crate::bare::pgbench::Pgbench;
use crate::bare::script::Script;
use crate::kinds::WriteKind;
use crate::report::{Figures, Finding, Series};

/// How many clients at a time.
const CLIENTS: [usize; 3] = [1, 16, 64];

/// Users with a key each, so that the server does not see one user alone.
const USERS: u64 = 50;

/// The server on one database.
pub(super) struct OverHttp<'b> {
    installation: Installation,
    kind: DatabaseKind,
    scale: Scale,
    pace: Pace,
    pgbench: Option<&'b Pgbench>,
}

/// Requests built beforehand.
pub(super) struct Requests {
    pub(super) append: Arc<Vec<Prepared>>,
    pub(super) page: Arc<Vec<Prepared>>,
    health: Arc<Vec<Prepared>>,
}

impl Requests {
    /// Those of the first users of the data, who get a key each.
    pub(super) fn build(installation: &Installation, scale: Scale) -> Result<Self, Error> {
        let mut keys = Vec::new();
        for user in 0..USERS.min(scale.users()) {
            keys.push(installation.create_key(&username(user))?);
        }
        let body = json!({ "content": content() }).to_string();
        let (mut append, mut page) = (Vec::new(), Vec::new());
        for number in 0..scale.conversations() {
            let Some(key) = keys.get(usize::try_from(number % scale.users())?) else { continue };
            let conversation = conversation_id(number)?.to_string();
            append.push(Prepared::append(&conversation, key, &body));
            if scale.is_long(number) {
                page.push(Prepared::newest(&conversation, key));
            }
        }
        let health = vec![Prepared::health()];
        Ok(Self { append: Arc::new(append), page: Arc::new(page), health: Arc::new(health) })
    }
}

/// The figures of one number of clients.
#[derive(Default)]
struct Measured {
    append: Series,
    page: Series,
    health: Figures,
    pgbench: Figures,
}

impl<'b> OverHttp<'b> {
    pub(super) fn new(
        arguments: &Arguments,
        kind: DatabaseKind,
        pace: Pace,
        database_url: &str,
        pgbench: Option<&'b Pgbench>,
    ) -> Result<Self, Error> {
        let (binary, folder) = (arguments.server.path()?, arguments.databases.temporary_folder()?);
        let installation = Installation::over(binary, database_url, &username(0), folder)?;
        Ok(Self { installation, kind, scale: arguments.scale, pace, pgbench })
    }

    pub(super) async fn measure(self) -> Findings {
        let requests = Requests::build(&self.installation, self.scale)?;
        let script = Script::of(WriteKind::Append, self.scale)?;
        let server = self.installation.start().await?;
        check_page(&server, &requests).await?;
        let mut measured: [Measured; 3] = Default::default();
        for round in 1..=self.pace.rounds {
            progress::print(format_args!("http {} round {round}", self.kind.as_str()));
            for (clients, measured) in CLIENTS.into_iter().zip(&mut measured) {
                let load = |requests| self.load(&server, clients, requests);
                measured.health.push(load(&requests.health).await?.per_second());
                measured.append.push(load(&requests.append).await?);
                measured.page.push(load(&requests.page).await?);
                if let Some(pgbench) = self.pgbench {
                    measured.pgbench.push(pgbench.run(&script, clients, self.pace.length).await?);
                }
            }
        }
        server.stop().await?;
        Ok(self.findings(&measured))
    }

    async fn load(
        &self,
        server: &Server,
        clients: usize,
        requests: &Arc<Vec<Prepared>>,
    ) -> Result<Outcome, Error> {
        let callers = WireCaller::many(clients, server.port(), 0, requests).await?;
        drive(self.pace.span(), callers).await
    }

    fn findings(&self, measured: &[Measured; 3]) -> Vec<Finding> {
        const HEALTH: &str = "GET /healthz";
        let mut findings = Vec::new();
        for (clients, measured) in CLIENTS.into_iter().zip(measured) {
            let finding = |what: &str, series: &Series| {
                Finding::rate("http", self.kind, what, clients, &series.rates).latencies(series)
            };
            findings.push(finding("append a message", &measured.append).beside(HEALTH, &measured.health));
            if self.pgbench.is_some() {
                findings
                    .push(finding("append a message", &measured.append).beside("pgbench", &measured.pgbench));
            }
            findings.push(finding("newest 50 messages", &measured.page).beside(HEALTH, &measured.health));
        }
        findings
    }
}

pub(super) fn username(number: u64) -> String {
    format!("user-{number}")
}

/// Checks that a page is what the figures say it is.
async fn check_page(server: &Server, requests: &Requests) -> Result<(), Error> {
    let mut connection = Connection::open(server.port()).await?;
    let answer = connection.exchange(requests.page.first().ok_or("no long conversation")?.bytes()).await?;
    let page: Value = serde_json::from_slice(answer.body())?;
    match page["data"].as_array() {
        Some(messages) if messages.len() == NEWEST => Ok(()),
        _ => Err(format!("a page is not one of {NEWEST} messages: {} {page}", answer.status()).into()),
    }
}
