//! What one address does to keep all others out.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chatstore_bench::error::Error;
use chatstore_bench::wire::{self, Connection};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::people::{ATTACKERS, PASSWORD, VICTIM, attacker, login};

/// Where everything here comes from.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The pause before a closed connection is opened again: of one that announced a body, of an idle one.
const SILENT_AGAIN: Duration = Duration::from_secs(1);
const IDLE_AGAIN: Duration = Duration::from_secs(10);

/// Between two of the worst logins, and between two wrong ones of the victim.
const WORST_EVERY: Duration = Duration::from_millis(50);
const VICTIM_EVERY: Duration = Duration::from_secs(6);

/// Idle connections that are opened at the same time.
const AT_ONCE: usize = 100;

/// How long one of them may take to open.
const OPENING: Duration = Duration::from_secs(10);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strength {
    pub(super) silent: usize,
    pub(super) idle: usize,
    pub(super) loops: usize,
}

/// The attack while it lasts.
pub(super) struct Attack {
    tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

/// What the server answered.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) let_in: AtomicUsize,
    pub(super) refused: AtomicUsize,
    pub(super) failed: AtomicUsize,
}

impl Attack {
    /// Begins, and returns when the idle connections are open.
    pub(super) async fn start(port: u16, strength: Strength) -> Result<Self, Error> {
        let (mut tasks, counts) = (JoinSet::new(), Arc::new(Counts::default()));
        let mut opened = 0;
        while opened < strength.idle {
            let count = AT_ONCE.min(strength.idle - opened);
            let mut opening = JoinSet::new();
            for _ in 0..count {
                opening.spawn(async move { timeout(OPENING, open(port)).await });
            }
            for stream in opening.join_all().await {
                let stream = stream.map_err(|_| "an idle connection could not be opened in time")??;
                tasks.spawn(async move { stay_idle(port, stream).await });
            }
            opened += count;
        }
        for number in 0..strength.silent {
            // One that is small enough to need no credentials, or one that is not.
            let announced = if number % 2 == 0 { 20_000 } else { 10_000 };
            tasks.spawn(async move { stay_silent(port, announced).await });
        }
        for number in 0..strength.loops {
            let (request, counts) = (login(&attacker(number % ATTACKERS), PASSWORD), Arc::clone(&counts));
            tasks.spawn(async move { repeat(port, &[request], Duration::ZERO, &counts).await });
        }
        let (worst, wrong) = (worst_logins(), [login(VICTIM, "another horse battery")]);
        let ignored = Arc::new(Counts::default());
        let counts_of_worst = Arc::clone(&ignored);
        tasks.spawn(async move { repeat(port, &worst, WORST_EVERY, &counts_of_worst).await });
        tasks.spawn(async move { repeat(port, &wrong, VICTIM_EVERY, &ignored).await });
        Ok(Self { tasks, counts })
    }

    /// Ends it; what became of the right logins.
    pub(super) async fn end(mut self) -> Arc<Counts> {
        self.tasks.shutdown().await;
        self.counts
    }
}

async fn open(port: u16) -> Result<TcpStream, Error> {
    Ok(Connection::open_from(ADDRESS, port).await?.into_stream())
}

/// Waits until the server closes a connection, again and again.
async fn stay_idle(port: u16, mut stream: TcpStream) {
    loop {
        until_closed(&mut stream).await;
        sleep(IDLE_AGAIN).await;
        if let Ok(Ok(again)) = timeout(OPENING, open(port)).await {
            stream = again;
        }
    }
}

/// Announces a body and sends none, again and again.
async fn stay_silent(port: u16, announced: usize) {
    let head = format!(
        "POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {announced}\r\n\r\n"
    );
    loop {
        if let Ok(Ok(mut connection)) = timeout(OPENING, Connection::open_from(ADDRESS, port)).await
            && connection.send(head.as_bytes()).await.is_ok()
        {
            until_closed(&mut connection.into_stream()).await;
        }
        sleep(SILENT_AGAIN).await;
    }
}

async fn until_closed(stream: &mut TcpStream) {
    let mut discarded = [0; 1_024];
    while stream.read(&mut discarded).await.is_ok_and(|count| count > 0) {}
}

/// Sends one request after the other.
async fn repeat(port: u16, requests: &[Vec<u8>], pause: Duration, counts: &Counts) {
    let mut connection = None;
    for request in requests.iter().cycle() {
        let count = match exchange(port, request, &mut connection).await {
            Ok(200) => &counts.let_in,
            Ok(_) => &counts.refused,
            Err(_) => {
                connection = None;
                // Else a server that closes connections would be asked without a pause.
                sleep(WORST_EVERY).await;
                &counts.failed
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        sleep(pause).await;
    }
}

async fn exchange(port: u16, request: &[u8], open: &mut Option<Connection>) -> Result<u16, Error> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(Connection::open_from(ADDRESS, port).await?),
    };
    Ok(connection.exchange(request).await?.status())
}

/// Logins that cost a server the most that does not look at their size first.
fn worst_logins() -> Vec<Vec<u8>> {
    let slow = |count: usize| "\u{1e9b}\u{323}\u{fdfa}".repeat(count);
    let unknown = |count: usize| {
        let fields: Vec<String> = (0..count).map(|number| format!("\"{number:x}\":0")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let bodies = [
        json!({ "username": slow(110_000), "password": PASSWORD }).to_string(),
        json!({ "username": slow(1_500), "password": PASSWORD }).to_string(),
        json!({ "username": slow(80), "password": slow(1_000) }).to_string(),
        unknown(125_000),
        unknown(1_500),
    ];
    bodies.iter().map(|body| wire::post_anonymously("/api/v1/auth/login", body)).collect()
}
