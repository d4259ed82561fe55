use std::process::Command;

use crate::program::{Server, run};

#[test]
fn the_printed_calls_work_as_they_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["demo", "--bind", "127.0.0.1:0"]);
    let calls: Vec<&String> = server.stdout.iter().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(calls.len(), 3, "{:?}", server.stdout);
    let answers: Vec<serde_json::Value> = calls
        .iter()
        .map(|call| {
            let output = Command::new("sh").args(["-c", call]).output().expect("a shell with curl");
            assert!(output.status.success(), "{call}: {output:?}");
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{call}: {error}: {output:?}"))
        })
        .collect();
    assert_eq!(answers[0]["data"].as_array().unwrap().len(), 5);
    assert_eq!(answers[1]["data"][0]["seq"], 1);
    assert_eq!(answers[2]["content"], "Thank you!");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_second_demo_adds_nothing_and_replaces_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), &["demo", "--no-serve"]);
    let second = run(folder.path(), &["demo", "--no-serve"]);
    assert!(first.stderr.contains("(41 conversations new)"), "{first:?}");
    assert!(second.stderr.contains("(0 conversations new)"), "{second:?}");
    assert_ne!(first.data().lines().next(), second.data().lines().next());
    let stats =
        run(folder.path(), &["stats", "--json", "--database-url", "sqlite://chatstore-demo.db"]).json();
    assert_eq!(stats["conversations"], 41);
    assert_eq!(stats["messages"], 320);
}

#[test]
fn a_demo_whose_address_is_taken_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(folder.path(), &["demo", "--bind", &address]).assert_failed(75, "cannot listen on");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is created");
}
