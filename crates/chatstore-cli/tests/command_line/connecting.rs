//! What is said about a PostgreSQL server that cannot be connected to.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use chatstore_testkit::Backend;

use crate::commands::Commands;

/// The URL with one part of it replaced, which must be in it.
fn with(url: &str, part: &str, other: &str) -> String {
    assert!(url.contains(part), "{part}");
    url.replacen(part, other, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cause_of_a_failed_connection_has_its_own_hint_and_exit_code() {
    let commands = Commands::on(Backend::Postgres.database().await);
    let url = commands.case.url.clone();
    let (account, place) = url.split_once("://").unwrap().1.split_once('@').unwrap();
    let (user, password) = account.split_once(':').unwrap();
    let host = place.split('/').next().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let web_host = web.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in web.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]).unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    for (url, code, hint) in [
        (with(&url, host, &free.to_string()), 69, "is the server running"),
        (with(&url, host, "chatstore.invalid:5432"), 69, "check the name of the host"),
        (with(&url, host, &web_host.to_string()), 69, "does not answer like PostgreSQL"),
        (format!("{url}?sslmode=require"), 69, "switch TLS on at the server"),
        (with(&url, &format!(":{password}"), ""), 77, "asks for a password"),
        (with(&url, password, "wrong"), 77, "one is wrong"),
        (with(&url, user, "nobody"), 77, "no such role"),
    ] {
        let failed = commands.run_with(&[("DATABASE_URL", &url)], &["stats"]);
        assert_eq!(failed.code, code, "{hint}: {failed:?}");
        assert!(failed.stderr.contains("\nhint: "), "{failed:?}");
        assert!(failed.stderr.contains(hint), "{hint}: {failed:?}");
    }
}
