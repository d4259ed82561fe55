//! What a PostgreSQL server writes into its log: nothing of what users wrote, however the store is used.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test that cannot go on fails")]

use chatstore_model::{
    CanonicalJson, Change, ConversationPatch, Email, NewConversation, NewIdempotencyRecord, NewUser, UserId,
    UserName, UserPatch,
};
use chatstore_sql::{Database, DatabaseOptions, Direction, StoreError, WriteTx};
use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};

async fn write<T, F>(database: &Database, work: F) -> Result<T, StoreError>
where
    F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    database.write("test", work).await
}

fn record(database: &Database, key: &str) -> NewIdempotencyRecord {
    NewIdempotencyRecord {
        key: key.to_owned(),
        operation: "POST planted".to_owned(),
        request_sha256: [7; 32],
        status: 201,
        result: CanonicalJson::default(),
        expires_at: database.clock().now().plus(std::time::Duration::from_secs(60)),
        conversation_id: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_of_a_user_is_in_the_log_of_the_database_server() {
    ensure_postgres_installed().unwrap();
    let server = PostgresServer::start(Settings { durable: false }).unwrap();
    let database = Database::open(DatabaseOptions::new(server.url())).await.unwrap();
    database.migrate(Direction::Upgrade).await.unwrap();
    let named = |name: &str| NewUser::named(UserName::new(name).unwrap());
    let (first, second) = (named("planted first"), named("planted second"));
    let with_address = NewUser::with_email(Email::new("planted@example.org").unwrap());
    let mut owner = UserId::ANONYMOUS;
    for new in [&first, &second, &with_address] {
        let new = new.clone();
        owner = write(&database, async move |tx| Ok(tx.users().create(&new).await?.id)).await.unwrap();
    }

    let mut refused = Vec::new();
    for new in [&first, &with_address] {
        let new = new.clone();
        refused.push(write(&database, async move |tx| tx.users().create(&new).await.map(drop)).await);
    }
    for patch in [
        UserPatch { username: Change::Set(UserName::new("planted first").unwrap()), ..UserPatch::default() },
        UserPatch { email: Change::Clear, ..UserPatch::default() },
    ] {
        refused
            .push(write(&database, async move |tx| tx.users().update(owner, &patch).await.map(drop)).await);
    }
    let thread = NewConversation::thread("planted thread");
    let other = NewConversation::thread("planted other");
    let mut conversation = None;
    for new in [thread.clone(), other] {
        let created = write(&database, async move |tx| tx.conversations().create(owner, &new).await).await;
        conversation = Some(created.unwrap().id);
    }
    let conversation = conversation.unwrap();
    refused.push(
        write(&database, async move |tx| tx.conversations().create(owner, &thread).await.map(drop)).await,
    );
    let patch = ConversationPatch {
        thread_id: Change::Set("planted thread".to_owned()),
        ..ConversationPatch::default()
    };
    refused.push(
        write(&database, async move |tx| {
            tx.conversations().update(owner, conversation, &patch).await.map(drop)
        })
        .await,
    );
    for outcome in refused {
        assert!(
            matches!(outcome, Err(StoreError::AlreadyExists { .. } | StoreError::InvalidState(_))),
            "{outcome:?}"
        );
    }

    // Two of the same request at the same moment: the second waits for the first, and runs again.
    let new = record(&database, "planted-key");
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (database, new) = (database.clone(), new.clone());
        racing.spawn(async move {
            let once =
                async move |tx: &mut WriteTx<'_>| match tx.idempotency_keys().find(owner, &new.key).await? {
                    Some(_) => Ok(0),
                    None => tx.idempotency_keys().record(owner, owner, &new).await.map(|()| 1),
                };
            database.write("once", once).await.unwrap()
        });
    }
    assert_eq!(racing.join_all().await.into_iter().sum::<i32>(), 1);
    database.close().await;

    let log = std::fs::read_to_string(server.data_dir().parent().unwrap().join("server.log")).unwrap();
    assert!(log.contains("database system is ready"), "it is the log: {log}");
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("planted") || line.contains("ERROR")).collect();
    assert!(lines.is_empty(), "{lines:#?}");
}
