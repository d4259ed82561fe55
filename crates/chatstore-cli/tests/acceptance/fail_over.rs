//! The commands of docs/operations.md that promote a standby, run as they are written there beside a client that writes.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chatstore_testkit::server::{PostgresServer, Settings, database_url, ensure_postgres_installed};
use chatstore_testkit::{free_port, shell_blocks};
use reqwest::Client;
use serde_json::{Value, json};

use crate::program::{chatstore, finish};
use crate::server::Server;
use crate::support::TOKEN_KEY;

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// After this time a test has failed that waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A PostgreSQL server in the role that it has at the moment.
#[derive(Clone)]
struct Place {
    url: String,
    data: PathBuf,
    port: u16,
}

/// Two servers, which the commands of the page start and stop.
struct Pair {
    original: PostgresServer,
    /// What the commands print; a server that was started would hold a pipe open.
    output: tempfile::TempDir,
    primary: Place,
    standby: Place,
}

impl Pair {
    fn start() -> Self {
        ensure_postgres_installed().unwrap();
        let original = PostgresServer::start(Settings { durable: true }).unwrap();
        original.psql("create database chatstore").unwrap();
        let primary = Place {
            url: database_url(&original.url(), "chatstore"),
            data: original.data_dir(),
            port: original.port(),
        };
        let port = free_port().unwrap();
        let standby = Place {
            url: primary.url.replace(&format!(":{}/", primary.port), &format!(":{port}/")),
            data: original.data_dir().with_file_name("standby"),
            port,
        };
        let pair = Self { original, output: tempfile::tempdir().unwrap(), primary, standby };
        // A copy would have the socket of the server in its data directory.
        pair.run("printf \"unix_socket_directories = ''\\n\" >> \"$PGDATA/postgresql.conf\"");
        let restart = format!(
            "pg_ctl restart --pgdata=\"$PGDATA\" --options='-p {}' --log=\"$PGDATA.log\" --wait",
            pair.primary.port
        );
        pair.run(&restart);
        pair
    }

    fn run(&self, block: &str) {
        let mut command = self.original.script(block);
        command.env("PRIMARY_URL", &self.primary.url).env("STANDBY_URL", &self.standby.url);
        command.env("PGDATA", &self.primary.data).env("STANDBY_PGDATA", &self.standby.data);
        command.env("STANDBY_PORT", self.standby.port.to_string());
        let path = self.output.path().join("output");
        let file = File::create(&path).unwrap();
        let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        let printed = std::fs::read_to_string(path).unwrap();
        assert!(status.success(), "{block}\n{status}: {printed}");
    }

    fn exchange(&mut self) {
        std::mem::swap(&mut self.primary, &mut self.standby);
    }

    /// The setting of the servers of chatstore for writes, and that for reads.
    fn urls(&self) -> (String, String) {
        let (primary, standby) = (self.primary.port, self.standby.port);
        let both = format!(":{primary},127.0.0.1:{standby}/");
        let writes = self.primary.url.replace(&format!(":{primary}/"), &both);
        let reads = format!("{},{}", self.primary.url, self.standby.url);
        (format!("{writes}?target_session_attrs=read-write"), reads)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // The original server is stopped by itself.
        for place in [&self.primary, &self.standby] {
            let stop = format!("pg_ctl stop --pgdata='{}' --mode=immediate || true", place.data.display());
            let _ = self.original.script(&stop).output();
        }
    }
}

/// Appends numbers through both servers in turn, each until it is acknowledged, and says how many are.
async fn append_until(
    origins: [String; 2],
    key: String,
    is_over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> usize {
    let client = Client::new();
    let mut servers = origins.iter().cycle();
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let (name, began) = (format!("append-{number}"), Instant::now());
        loop {
            assert!(began.elapsed() < PATIENCE, "{name} is never stored");
            let path = format!("{}/api/v1/threads/log/messages", servers.next().unwrap());
            let request = client.post(path).bearer_auth(&key).header("Idempotency-Key", &name);
            let answer = request.json(&json!({"content": number.to_string()})).send().await.unwrap();
            match answer.status().as_u16() {
                201 => break,
                // As the problem says: wait, or send it again with its key.
                503 => tokio::time::sleep(Duration::from_millis(50)).await,
                status => panic!("{name}: {status} {}", answer.text().await.unwrap()),
            }
        }
        number += 1;
        acknowledged.store(number, Ordering::Relaxed);
    }
    number
}

/// Waits until so many more appends are acknowledged.
async fn wait_for_appends(acknowledged: &AtomicUsize, more: usize) {
    let (target, began) = (acknowledged.load(Ordering::Relaxed) + more, Instant::now());
    while acknowledged.load(Ordering::Relaxed) < target {
        assert!(began.elapsed() < PATIENCE, "nothing is acknowledged any more");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_promote_a_standby_and_lose_nothing_acknowledged() {
    let blocks = shell_blocks(PAGE, "## Fail-over");
    let [create, synchronous, stop, promote, move_away] = blocks[..] else {
        panic!("{} blocks", blocks.len());
    };
    let mut pair = Pair::start();
    let folder = tempfile::tempdir().unwrap();
    let (writes, reads) = pair.urls();
    let command = |arguments: &[&str]| {
        finish(chatstore(folder.path()).env("DATABASE_URL", &writes).args(arguments)).data().to_owned()
    };
    command(&["migrate", "upgrade"]);
    command(&["user", "create", "--username", "ada"]);
    let key = command(&["key", "create", "--user", "ada"]);
    pair.run(create);
    pair.run(synchronous);
    let settings = [
        ("DATABASE_URL", writes.as_str()),
        ("DATABASE_READ_URL", reads.as_str()),
        ("CHATSTORE_TOKEN_KEY", TOKEN_KEY),
    ];
    let servers = [Server::start(folder.path(), &settings), Server::start(folder.path(), &settings)];
    let origins = servers.each_ref().map(|server| server.origin.clone());

    let (is_over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writing = append_until(origins.clone(), key.clone(), Arc::clone(&is_over), Arc::clone(&acknowledged));
    let writer = tokio::spawn(writing);
    wait_for_appends(&acknowledged, 20).await;
    tokio::task::block_in_place(|| {
        pair.run(stop);
        pair.run(promote);
    });
    wait_for_appends(&acknowledged, 20).await;
    tokio::task::block_in_place(|| {
        pair.run(move_away);
        pair.exchange();
        pair.run(create);
        pair.run(synchronous);
    });
    wait_for_appends(&acknowledged, 20).await;
    tokio::task::block_in_place(|| {
        pair.run(stop);
        pair.run(promote);
    });
    wait_for_appends(&acknowledged, 20).await;
    is_over.store(true, Ordering::Relaxed);
    let appended = writer.await.unwrap();

    let expected: Vec<String> = (0..appended).map(|number| number.to_string()).collect();
    for origin in origins {
        let mut stored = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("{origin}/api/v1/threads/log/messages?limit=200&after={after}");
            let page: Value =
                Client::new().get(path).bearer_auth(&key).send().await.unwrap().json().await.unwrap();
            let messages = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
            stored.extend(messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()));
            match messages.last() {
                Some(last) => after = last["seq"].as_i64().unwrap(),
                None => break,
            }
        }
        assert_eq!(stored, expected);
    }
}
