//! What the log says about statements that take long.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chatstore::{NewConversation, NewMessage, Store};
use tracing::Instrument as _;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines_of_statements(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let lines = String::from_utf8(bytes).unwrap();
        lines.lines().filter(|line| line.contains("chatstore::statements")).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A store of a file with a conversation, and one message in it that a request appends.
async fn append(threshold: Option<Duration>) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("chat.db").display());
    let store = Store::builder(url).slow_statement(threshold).connect().await.unwrap();
    store.migrate().await.unwrap();
    let (ada, _) = store.users().get_or_create_by_email("ada@example.org").await.unwrap();
    let chat = store.as_user(ada.id);
    let conversation = chat.conversations().create(NewConversation::titled("Trip")).await.unwrap();
    // Ten lines in a second are all; those of the preparations may be among them.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let message = NewMessage::user("a planted secret");
    let request = tracing::info_span!("request", request.id = "r-1");
    chat.messages().append(conversation.id, message).instrument(request).await.unwrap();
    store.close().await;
}

// One test, because the log is that of the whole process: writes have a thread of their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_above_the_threshold_is_logged_by_name_with_its_request_and_without_its_values() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    append(None).await;
    append(Some(Duration::from_secs(3_600))).await;
    assert_eq!(log.lines_of_statements(), Vec::<String>::new());

    append(Some(Duration::ZERO)).await;
    let lines = log.lines_of_statements();
    let append: Vec<&String> = lines.iter().filter(|line| line.contains("\"messages.insert\"")).collect();
    assert_eq!(append.len(), 1, "{lines:?}");
    for part in ["WARN", "request.id=\"r-1\"", "duration.ms=", "rows=1"] {
        assert!(append[0].contains(part), "{part}: {append:?}");
    }
    assert!(!lines.concat().contains("planted"), "{lines:?}");
}
