//! Processes that tell each other through Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use chatstore::messenger::Heard;
use chatstore_redis::{Redis, RedisOptions};
use chatstore_testkit::free_port;
use chatstore_testkit::server::RedisServer;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long something may take that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

fn process(port: u16, prefix: &str) -> Redis {
    let options = RedisOptions::new(&format!("redis://127.0.0.1:{port}")).unwrap();
    Redis::start(options.prefix(prefix.parse().unwrap()).timeout(Duration::from_secs(5)))
}

/// What a process hears: texts, and empty ones for interruptions.
fn heard(redis: &Redis) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    let hear = move |heard: Heard<'_>| {
        let text = match heard {
            Heard::Text(text) => text.to_owned(),
            Heard::Interrupted => String::new(),
        };
        let _ = sender.send(text);
    };
    tokio::spawn(redis.messenger().listen(Box::new(hear)));
    receiver
}

/// Waits until a text is heard, passing over others.
async fn hears(receiver: &mut UnboundedReceiver<String>, text: &str) {
    let heard = async { while receiver.recv().await.expect("it listens") != text {} };
    tokio::time::timeout(PATIENCE, heard).await.expect(text);
}

#[tokio::test]
async fn what_one_process_tells_is_heard_by_all_with_the_same_prefix() {
    let server = RedisServer::start().unwrap();
    let [one, two, other] = ["a:", "a:", "b:"].map(|prefix| process(server.port(), prefix));
    let [mut by_one, mut by_two, mut by_other] = [&one, &two, &other].map(heard);
    for redis in [&one, &two, &other] {
        assert!(redis.ready(PATIENCE).await);
    }
    one.messenger().publish("session 1 2").await;
    for receiver in [&mut by_one, &mut by_two] {
        hears(receiver, "session 1 2").await;
    }
    other.messenger().publish("callers").await;
    loop {
        let text = by_other.recv().await.unwrap();
        if text == "callers" {
            break;
        }
        assert_eq!(text, "", "what others tell is not heard");
    }
}

#[tokio::test]
async fn a_process_that_just_began_waits_for_its_connection_to_tell_something() {
    let server = RedisServer::start().unwrap();
    let listener = process(server.port(), "");
    let mut by_listener = heard(&listener);
    assert!(listener.ready(PATIENCE).await);
    process(server.port(), "").messenger().publish("callers").await;
    hears(&mut by_listener, "callers").await;
}

#[tokio::test]
async fn a_redis_that_comes_back_is_heard_again_and_what_was_missed_is_said() {
    let port = free_port().unwrap();
    let server = RedisServer::start_with(port, &[]).unwrap();
    let [one, two] = ["", ""].map(|prefix| process(port, prefix));
    let mut by_two = heard(&two);
    for redis in [&one, &two] {
        assert!(redis.ready(PATIENCE).await);
    }
    one.messenger().publish("before").await;
    hears(&mut by_two, "before").await;
    drop(server);
    one.messenger().publish("lost").await;
    let _server = RedisServer::start_with(port, &[]).unwrap();
    hears(&mut by_two, "").await;
    let told = async {
        loop {
            one.messenger().publish("after").await;
            if let Ok(text) = tokio::time::timeout(Duration::from_millis(100), by_two.recv()).await
                && text.as_deref() == Some("after")
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("it hears again");
}
