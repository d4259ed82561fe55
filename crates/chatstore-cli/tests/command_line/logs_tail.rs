//! `logs tail --follow`: what happened, and then what happens, each event once.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::commands::{Commands, call, tokens};

const PASSWORD: &str = "correct horse battery";

/// After this time a test has failed that waits for a line.
const PATIENCE: Duration = Duration::from_secs(60);

conformance!(a_follower_prints_each_event_once_while_they_are_stored,);

/// A command that prints a line of JSON for each event; killed when the case ends.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(commands: &Commands) -> Self {
        let arguments = ["logs", "tail", "--follow", "--json", "-n", "2", "--event", "plan.step"];
        let mut child = commands.begin(&arguments);
        let printed = BufReader::new(child.stdout.take().expect("output is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in printed.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// The text of the event on the next line.
    fn next(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line is printed");
        let event: Value = serde_json::from_str(&line).expect("a line is JSON");
        event["data"]["text"].as_str().expect("the event has a text").to_owned()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn a_follower_prints_each_event_once_while_they_are_stored(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let server = commands.serve(&[]);
    let (access, _) = tokens(&server, "ada", PASSWORD).await;
    let post = async |event: &str, text: &str| {
        let event = json!({"event": event, "level": "info", "data": {"text": text}});
        let (status, answer) = call(&server, "POST", "logs", Some(&access), event).await;
        assert_eq!(status, 201, "{answer}");
    };
    for text in ["first", "second", "third"] {
        post("plan.step", text).await;
    }
    let follower = Follower::start(&commands);
    assert_eq!([follower.next(), follower.next()], ["second", "third"]);
    post("plan.failed", "of another name").await;
    post("plan.step", "fourth").await;
    assert_eq!(follower.next(), "fourth");
    post("plan.step", "fifth").await;
    assert_eq!(follower.next(), "fifth");
}
