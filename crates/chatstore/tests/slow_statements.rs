//! What the log says about statements that take long.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on fails")]

mod log;

use std::time::Duration;

use chatstore::{NewConversation, NewMessage, Store};
use tracing::Instrument as _;

use log::Log;

/// The lines about statements, where one message was appended in a request to a file that was prepared before.
async fn append(log: &Log, threshold: Option<Duration>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("chat.db").display());
    let store = Store::builder(&url).slow_statement(None).connect().await.unwrap();
    store.migrate().await.unwrap();
    let (ada, _) = store.users().get_or_create_by_email("ada@example.org").await.unwrap();
    let chat = store.as_user(ada.id);
    let conversation = chat.conversations().create(NewConversation::titled("Trip")).await.unwrap();
    store.close().await;
    let store = Store::builder(&url).slow_statement(threshold).connect().await.unwrap();
    let message = NewMessage::user("a planted secret");
    let request = tracing::info_span!("request", request.id = "r-1");
    store.as_user(ada.id).messages().append(conversation.id, message).instrument(request).await.unwrap();
    store.close().await;
    log.take().into_iter().filter(|line| line.contains("chatstore::statements")).collect()
}

// One test, because the log is that of the whole process: writes have a thread of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_above_the_threshold_is_logged_by_name_with_its_request_and_without_its_values() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    assert_eq!(append(&log, None).await, Vec::<String>::new());
    assert_eq!(append(&log, Some(Duration::from_secs(3_600))).await, Vec::<String>::new());

    let lines = append(&log, Some(Duration::ZERO)).await;
    let append: Vec<&String> = lines.iter().filter(|line| line.contains("\"messages.insert\"")).collect();
    assert_eq!(append.len(), 1, "{lines:?}");
    for part in ["WARN", "request.id=\"r-1\"", "duration.ms=", "rows=1"] {
        assert!(append[0].contains(part), "{part}: {append:?}");
    }
    assert!(!lines.concat().contains("planted"), "{lines:?}");
}
