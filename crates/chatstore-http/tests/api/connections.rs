//! The life of connections: how they idle, how they make room for each other, and how they end with the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use chatstore::Store;
use chatstore_http::{Api, ServeOptions, serve_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A server of its own, and what stops it.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn start(router: Router, options: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve_with(listener, router, options, async {
            stopped.await.unwrap_or_default();
        }));
        Self { address, stop, serving }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// A connection from another address of this machine.
    async fn connect_from(&self, address: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
        Client(socket.connect(self.address).await.unwrap())
    }

    async fn ended(serving: JoinHandle<std::io::Result<()>>) {
        timeout(LONGEST_WAIT, serving).await.unwrap().unwrap().unwrap();
    }
}

/// A connection without a protocol.
struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything until the server closes; the error when it resets instead.
    async fn rest(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        timeout(LONGEST_WAIT, self.0.read_to_string(&mut text)).await.unwrap()?;
        Ok(text)
    }

    /// An answer of which this is the end.
    async fn answer(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let read = timeout(LONGEST_WAIT, self.0.read(&mut byte)).await.unwrap().unwrap();
            assert_eq!(read, 1, "closed after {:?}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    async fn is_open(&mut self) -> bool {
        self.send(FINE).await;
        self.answer("fine").await.starts_with("HTTP/1.1 200")
    }
}

const FINE: &str = "GET /fine HTTP/1.1\r\nhost: x\r\n\r\n";
const HELD: &str = "GET /held HTTP/1.1\r\nhost: x\r\n\r\n";

/// `/fine` answers immediately; `/held` says that it was called and answers when it is released.
fn router() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (called, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (say, wait) = (Arc::clone(&called), Arc::clone(&release));
    let held = get(async move || {
        say.notify_one();
        wait.notified().await;
        "held"
    });
    (Router::new().route("/fine", get(async || "fine")).route("/held", held), called, release)
}

fn options(max_connections: usize) -> ServeOptions {
    ServeOptions { max_connections, ..ServeOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_sent_before_the_shutdown_is_answered_as_the_last_of_its_connection() {
    for _ in 0..20 {
        let server = Running::start(router().0, ServeOptions::default()).await;
        let mut clients = Vec::new();
        for _ in 0..16 {
            let mut client = server.connect().await;
            assert!(client.is_open().await);
            clients.push(client);
        }
        for client in &mut clients {
            client.send(FINE).await;
        }
        for _ in 0..16 {
            let mut client = server.connect().await;
            client.send(FINE).await;
            clients.push(client);
        }
        server.stop.send(()).unwrap();
        for client in &mut clients {
            let answer = client.rest().await.unwrap().to_lowercase();
            assert!(answer.starts_with("http/1.1 200") && answer.ends_with("fine"), "{answer}");
        }
        Running::ended(server.serving).await;
    }
}

#[tokio::test]
async fn a_request_in_progress_at_the_shutdown_is_answered_and_says_that_it_is_the_last() {
    let (router, called, release) = router();
    let server = Running::start(router, ServeOptions::default()).await;
    let (mut idle, mut held) = (server.connect().await, server.connect().await);
    assert!(idle.is_open().await);
    held.send(HELD).await;
    called.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(idle.rest().await.unwrap(), "", "an idle connection is closed");
    release.notify_one();
    let answer = held.rest().await.unwrap();
    assert!(answer.ends_with("held") && answer.contains("connection: close"), "{answer}");
    Running::ended(server.serving).await;
    assert!(TcpStream::connect(server.address).await.is_err(), "the server no longer listens");
}

#[tokio::test]
async fn a_stopping_server_says_that_it_is_not_ready() {
    let store = Store::memory().await.unwrap();
    let server = Running::start(chatstore_http::router(store), ServeOptions::default()).await;
    let mut client = server.connect().await;
    client.send("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.answer("}}}").await.starts_with("HTTP/1.1 200"));
    client.send("GET /readyz HTTP/1.1\r\nhost: x\r\n").await;
    let mut other = server.connect().await;
    server.stop.send(()).unwrap();
    // A request that has begun is waited for, longer than idle connections stay open.
    assert_eq!(other.rest().await.unwrap(), "");
    client.send("\r\n").await;
    let answer = client.rest().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"status\":\"stopping\""), "{answer}");
    Running::ended(server.serving).await;
}

#[tokio::test]
async fn the_longest_unused_connections_make_room_for_a_new_one_and_busy_ones_do_not() {
    let (router, called, release) = router();
    let server = Running::start(router, options(100)).await;
    let mut held = server.connect().await;
    held.send(HELD).await;
    called.notified().await;
    let mut idle = Vec::new();
    for _ in 0..99 {
        let mut client = server.connect().await;
        assert!(client.is_open().await);
        idle.push(client);
    }
    // The time of each phase is known to the millisecond.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (used_again, idle) = idle.split_at_mut(30);
    for client in &mut *used_again {
        assert!(client.is_open().await);
    }
    let mut new = server.connect().await;
    assert!(new.is_open().await);
    let (longest, shorter) = idle.split_at_mut(64);
    for client in longest {
        assert_eq!(client.rest().await.unwrap(), "", "the longest unused are closed");
    }
    for client in used_again.iter_mut().chain(shorter) {
        assert!(client.is_open().await);
    }
    release.notify_one();
    held.answer("held").await;
}

#[tokio::test]
async fn a_client_is_answered_once_when_every_connection_is_busy() {
    let (router, called, release) = router();
    let server = Running::start(router, options(4)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await;
        client.send(HELD).await;
        called.notified().await;
        held.push(client);
    }
    let mut other = server.connect().await;
    other.send(FINE).await;
    let answer = other.rest().await.unwrap();
    assert!(answer.ends_with("fine") && answer.contains("connection: close"), "{answer}");
    for client in &mut held {
        release.notify_one();
        client.answer("held").await;
        assert!(client.is_open().await);
    }
}

#[tokio::test]
async fn an_address_closes_its_own_connections_for_new_ones_and_none_of_others() {
    let options = ServeOptions { max_connections_per_address: 100, ..options(1_000) };
    let server = Running::start(router().0, options).await;
    let mut other = server.connect().await;
    assert!(other.is_open().await);
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut client = server.connect_from("127.0.0.2").await;
        assert!(client.is_open().await, "the newest is answered");
        idle.push(client);
    }
    for client in &mut idle[..100] {
        assert_eq!(client.rest().await.unwrap(), "", "the oldest are closed");
    }
    assert!(other.is_open().await);
}

#[tokio::test]
async fn an_address_whose_connections_are_all_in_use_gets_no_more_and_others_do() {
    let (router, called, release) = router();
    let options = ServeOptions { max_connections_per_address: 4, ..options(8) };
    let server = Running::start(router, options).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect_from("127.0.0.2").await;
        client.send(HELD).await;
        called.notified().await;
        held.push(client);
    }
    let mut refused = server.connect_from("127.0.0.2").await;
    assert!(!refused.rest().await.is_ok_and(|text| !text.is_empty()), "closed without an answer");
    let mut other = server.connect().await;
    assert!(other.is_open().await);
    release.notify_one();
    held[0].answer("held").await;
    assert!(server.connect_from("127.0.0.2").await.is_open().await, "one is unused now");
}

#[tokio::test]
async fn a_proxy_has_more_connections_than_a_client_may() {
    let trusted_proxies = "127.0.0.2".parse().unwrap();
    let options = ServeOptions { max_connections_per_address: 4, trusted_proxies, ..options(100) };
    let server = Running::start(router().0, options).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect_from("127.0.0.2").await;
        assert!(client.is_open().await);
        clients.push(client);
    }
    for client in &mut clients {
        assert!(client.is_open().await);
    }
}

#[tokio::test]
async fn the_address_with_the_most_connections_makes_room() {
    let server = Running::start(router().0, options(100)).await;
    let mut few = Vec::new();
    for _ in 0..10 {
        let mut client = server.connect().await;
        assert!(client.is_open().await);
        few.push(client);
    }
    let mut many = Vec::new();
    for number in 0..90 {
        if number == 64 {
            // The time of each phase is known to the millisecond.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut client = server.connect_from("127.0.0.2").await;
        assert!(client.is_open().await);
        many.push(client);
    }
    let mut new = server.connect_from("127.0.0.3").await;
    assert!(new.is_open().await);
    for client in &mut many[..64] {
        assert_eq!(
            client.rest().await.unwrap(),
            "",
            "the longest unused of the one with the most are closed"
        );
    }
    for client in few.iter_mut().chain(&mut many[64..]) {
        assert!(client.is_open().await);
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_a_body_makes_room() {
    let store = Store::memory().await.unwrap();
    let server = Running::start(chatstore_http::router(store), options(4)).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect_from("127.0.0.2").await;
        let head =
            "POST /api/v1/conversations HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9";
        client.send(&format!("{head}\r\n\r\n")).await;
        client.answer("Continue\r\n\r\n").await;
        silent.push(client);
    }
    let health = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut other = server.connect().await;
    other.send(health).await;
    assert!(!other.answer("\"ok\"}").await.contains("connection: close"));
    for client in &mut silent {
        assert_eq!(client.rest().await.unwrap(), "");
    }
    other.send(health).await;
    other.answer("\"ok\"}").await;
}

#[tokio::test]
async fn the_listener_for_the_operator_answers_for_health() {
    let api = Api::new(Store::memory().await.unwrap());
    let server = Running::start(api.metrics_router(), ServeOptions::default()).await;
    for (path, end) in [("/healthz", "\"ok\"}"), ("/readyz", "}}}")] {
        let mut client = server.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(client.answer(end).await.starts_with("HTTP/1.1 200"), "{path}");
    }
}

#[tokio::test]
async fn a_connection_may_idle_longer_than_the_head_of_a_request_may_take() {
    let server = Running::start(router().0, ServeOptions::default()).await;
    let (mut idle, mut begun) = (server.connect().await, server.connect().await);
    assert!(idle.is_open().await && begun.is_open().await);
    begun.send("GET /fine HTTP/1.1\r\n").await;
    let since = Instant::now();
    assert_eq!(begun.rest().await.unwrap(), "");
    assert!(since.elapsed() > Duration::from_secs(9), "{:?}", since.elapsed());
    assert!(idle.is_open().await);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let idle_time = Duration::from_millis(100);
    let server = Running::start(router().0, ServeOptions { idle_time, ..ServeOptions::default() }).await;
    let (mut new, mut used) = (server.connect().await, server.connect().await);
    assert!(used.is_open().await);
    assert_eq!((new.rest().await.unwrap(), used.rest().await.unwrap()), (String::new(), String::new()));
}
