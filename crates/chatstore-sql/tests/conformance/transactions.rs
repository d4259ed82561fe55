//! Transactions: all or nothing, apart from each other, and done when they say so.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use chatstore_model::{
    Change, ConversationId, ConversationPatch, Limit, NewConversation, NewMessage, UserId,
};
use chatstore_sql::{Database, DatabaseKind, DatabaseOptions, ReadTx, StoreError, Via, WriteTx};
use chatstore_testkit::{Backend, TestDatabase, conformance};
use futures_util::future::join_all;
use tokio::sync::Barrier;

use crate::fixtures::{
    absent_user, append, arbitrary_conversation, arbitrary_owner, arbitrary_user, conversation_row, failure,
    messages, read, say, write,
};

conformance!(
    a_failing_step_undoes_the_whole_write,
    an_error_of_the_callers_own_undoes_the_write_and_comes_back,
    an_error_of_the_callers_own_leaves_the_writes_beside_it_alone,
    a_conflict_that_is_passed_over_fails_the_write,
    an_error_that_is_passed_over_undoes_the_write_all_the_same,
    a_panic_hurts_only_its_own_write,
    writes_that_fail_leave_those_beside_them_alone,
    a_write_sees_its_own_changes_and_no_other_does_before_the_end,
    a_write_in_one_statement_is_stored_and_fails_alone,
    transactions_and_their_futures_may_move_between_threads,
);

async fn a_failing_step_undoes_the_whole_write(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let absent = absent_user(&case);

    let answer = write(&case, async move |tx| {
        tx.conversations().create(owner, &NewConversation::titled("Second")).await?;
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        say_as(tx, owner, conversation, absent).await
    })
    .await;

    assert_eq!(failure(answer), "missing parent: message");
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    assert_eq!(messages(&case, owner, conversation).await, []);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.conversations, 1);
    let refused: Result<(), StoreError> = write(&case, async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        Err(StoreError::InvalidState("by the caller"))
    })
    .await;
    assert_eq!(failure(refused), "refused: by the caller");
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
}

/// A statement that the database refuses, when there is no such sender.
async fn say_as(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    sender: UserId,
) -> Result<(), StoreError> {
    tx.messages().append_many(owner, conversation, &[Some(sender)], &[NewMessage::user("hi")]).await.map(drop)
}

/// An error of an application, which the store knows nothing of.
#[derive(Debug, PartialEq)]
enum PlanError {
    TooMany(i64),
    Store(String),
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        Self::Store(crate::fixtures::shape(&error))
    }
}

async fn an_error_of_the_callers_own_undoes_the_write_and_comes_back(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let absent = absent_user(&case);

    let refused = case.database.write("refused", async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        let (found, _) = tx.conversations().get(Via::Owner(owner), conversation).await?.unwrap();
        if found.message_count > 0 { Err(PlanError::TooMany(found.message_count)) } else { Ok(()) }
    });
    assert_eq!(refused.await, Err(PlanError::TooMany(1)));
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    assert_eq!(messages(&case, owner, conversation).await, []);

    let failed = case.database.write("failed", async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        if say_as(tx, owner, conversation, absent).await.is_err() {
            return Err(PlanError::TooMany(0));
        }
        Ok(())
    });
    assert_eq!(failed.await, Err(PlanError::TooMany(0)), "the caller's word stands, whatever failed");
    let passed_over = case.database.write("passed over", async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        drop(say_as(tx, owner, conversation, absent).await);
        Ok::<_, PlanError>(())
    });
    assert_eq!(passed_over.await, Err(PlanError::Store("missing parent: message".to_owned())));
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
}

async fn an_error_of_the_callers_own_leaves_the_writes_beside_it_alone(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let writers = (0..48).map(|number| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let work = async move |tx: &mut WriteTx<'_>| {
                let new = NewMessage::user(number.to_string());
                let appended = tx.messages().append(Via::Owner(owner), conversation, &new).await?;
                if number % 2 == 0 { Err(PlanError::TooMany(number)) } else { Ok(appended) }
            };
            database.write("may be refused", work).await
        })
    });
    let mut stored = Vec::new();
    for (answer, number) in join_all(writers).await.into_iter().zip(0..) {
        match answer.unwrap() {
            Ok(appended) => stored.push(appended),
            Err(error) => assert_eq!((number % 2, error), (0, PlanError::TooMany(number))),
        }
    }
    stored.sort_unstable_by_key(|message| message.seq);
    assert_eq!(stored.len(), 24);
    assert_eq!(stored, messages(&case, owner, conversation).await);
}

/// The store sees a conflict in the transaction, not in what the work returns.
async fn a_conflict_that_is_passed_over_fails_the_write(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let record = chatstore_model::NewIdempotencyRecord {
        key: "key".to_owned(),
        operation: "POST /conversations".to_owned(),
        request_sha256: [7; 32],
        status: 201,
        result: chatstore_model::CanonicalJson::parse("{}").unwrap(),
        expires_at: case.database.clock().now().plus(Duration::from_secs(60)),
        conversation_id: None,
    };
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let answer = write(&case, async move |tx| {
        counted.fetch_add(1, Ordering::SeqCst);
        tx.conversations().create(owner, &NewConversation::titled("Trip")).await?;
        tx.idempotency_keys().record(owner, owner, &record).await?;
        let again = tx.idempotency_keys().record(owner, owner, &record).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        Ok(())
    })
    .await;

    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.conversations, 0);
    let expected = if case.database.kind() == DatabaseKind::Postgres { 8 } else { 1 };
    assert_eq!(runs.load(Ordering::SeqCst), expected, "on PostgreSQL a conflict may pass");
}

/// PostgreSQL gives up a transaction with the first failing statement in it, and answers its commit
/// as if all were well.
async fn an_error_that_is_passed_over_undoes_the_write_all_the_same(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let absent = absent_user(&case);

    let answer = write(&case, async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        assert!(say_as(tx, owner, conversation, absent).await.is_err());
        Ok(())
    })
    .await;

    assert_eq!(failure(answer), "missing parent: message");
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    let nothing_found = write(&case, async move |tx| {
        let deleted = tx.conversations().delete(absent, conversation).await;
        assert!(matches!(deleted, Err(StoreError::NotFound { .. })), "no statement failed here");
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await
    })
    .await;
    assert_eq!(messages(&case, owner, conversation).await, [nothing_found.unwrap()]);
}

async fn a_panic_hurts_only_its_own_write(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let writers = (0..24).map(|number| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let work = async move |tx: &mut WriteTx<'_>| {
                let new = NewMessage::user(number.to_string());
                let appended = tx.messages().append(Via::Owner(owner), conversation, &new).await?;
                assert!(number % 3 != 0, "planted in write {number}");
                Ok::<_, StoreError>(appended)
            };
            database.write("may panic", work).await
        })
    });
    let answers = join_all(writers).await;

    let stored = messages(&case, owner, conversation).await;
    assert_eq!(stored.len(), 16);
    assert_eq!(conversation_row(&case, owner, conversation).await.last_seq, 16);
    for (answer, number) in answers.into_iter().zip(0..) {
        match (answer, case.database.kind()) {
            (Ok(Ok(appended)), _) => {
                assert!(number % 3 != 0 && stored.contains(&appended), "{number}");
            }
            (Ok(Err(error)), DatabaseKind::Sqlite) => {
                assert_eq!(number % 3, 0);
                assert!(error.to_string().contains(&format!("planted in write {number}")), "{error}");
            }
            (Err(panic), DatabaseKind::Postgres) => assert!(number % 3 == 0 && panic.is_panic()),
            (other, _) => panic!("{number}: {other:?}"),
        }
    }
    say(&case, owner, conversation, "the store goes on").await;
}

async fn writes_that_fail_leave_those_beside_them_alone(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let writers = (0..100).map(|number| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let work = async move |tx: &mut WriteTx<'_>| {
                let new = NewMessage::user(number.to_string());
                let appended = tx.messages().append(Via::Owner(owner), conversation, &new).await?;
                if number % 2 == 0 { Err(StoreError::InvalidState("planted")) } else { Ok(appended) }
            };
            database.write("may fail", work).await
        })
    });
    let mut stored = Vec::new();
    for (answer, number) in join_all(writers).await.into_iter().zip(0..) {
        match answer.unwrap() {
            Ok(appended) => stored.push(appended),
            Err(error) => {
                assert_eq!((number % 2, crate::fixtures::shape(&error)), (0, "refused: planted".into()))
            }
        }
    }

    stored.sort_unstable_by_key(|message| message.seq);
    assert_eq!(stored.len(), 50);
    assert_eq!(stored, messages(&case, owner, conversation).await);
    assert_eq!(stored.last().unwrap().seq, 50, "what was undone took no number");
}

/// What another process reads: a write on SQLite waits for nothing, not even a read.
fn count_in_file(file: &std::path::Path) -> i64 {
    let other = rusqlite::Connection::open(file).unwrap();
    other.query_row("select sum(message_count) from conversations", (), |row| row.get(0)).unwrap()
}

async fn a_write_sees_its_own_changes_and_no_other_does_before_the_end(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let database = case.database.clone();
    let find = async move |tx: &mut ReadTx<'_>| tx.conversations().get(Via::Owner(owner), conversation).await;
    let counts = write(&case, async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        let own = tx.conversations().get(Via::Owner(owner), conversation).await?.unwrap().0;
        let seen_by_others = match database.file() {
            Some(file) => count_in_file(file),
            None => database.read("conversation", find).await?.unwrap().0.message_count,
        };
        Ok((own.message_count, seen_by_others))
    });
    assert_eq!(counts.await.unwrap(), (1, 0));
    assert_eq!(conversation_row(&case, owner, conversation).await.message_count, 1);
}

async fn a_write_in_one_statement_is_stored_and_fails_alone(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let said = append(&case, Via::Owner(owner), conversation, NewMessage::user("hello")).await.unwrap();

    let again = NewMessage { id: Some(said.id), ..NewMessage::user("again") };
    let answer = append(&case, Via::Owner(owner), conversation, again).await;

    assert_eq!(failure(answer), "already exists: message.id");
    assert_eq!(messages(&case, owner, conversation).await, [said]);
    assert_eq!(conversation_row(&case, owner, conversation).await.last_seq, 1);
}

fn is_send<T: Send>(value: T) -> T {
    value
}

async fn transactions_and_their_futures_may_move_between_threads(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let database = case.database.clone();
    let both = is_send(async move {
        let new = NewMessage::user("hello");
        let append = async move |tx: &mut WriteTx<'_>| {
            tx.messages().append(Via::Owner(owner), conversation, &new).await
        };
        let single = database.write_single("append", append).await?;
        let list = chatstore_sql::ConversationList::default();
        let page = async move |tx: &mut ReadTx<'_>| tx.conversations().page(owner, &list).await;
        let listed = is_send(database.read("page", page)).await?;
        let members = async move |tx: &mut WriteTx<'_>| {
            tx.members().page(owner, conversation, None, Limit::default()).await
        };
        let members = is_send(database.write("members", members)).await?;
        Ok::<_, StoreError>((single.seq, listed.items.len(), members.items.len()))
    });
    assert_eq!(tokio::spawn(both).await.unwrap().unwrap(), (1, 1, 1));
}

#[tokio::test]
async fn a_write_that_waits_for_something_else_is_refused_on_sqlite() {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;

    let answer = write(&case, async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await?;
        tokio::task::yield_now().await;
        Ok(())
    })
    .await;

    let message = answer.unwrap_err().to_string();
    assert!(message.contains("a write waited for something else than the database"), "{message}");
    assert_eq!(messages(&case, owner, conversation).await, []);
    say(&case, owner, conversation, "the store goes on").await;
}

#[tokio::test]
async fn a_queued_write_is_stored_on_sqlite_although_its_caller_is_gone() {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    {
        let new = NewMessage::user("first");
        let first = pin!(case.database.write("first", async move |tx| {
            tx.messages().append(Via::Owner(owner), conversation, &new).await
        }));
        let _ = first.poll(&mut Context::from_waker(Waker::noop()));
    }
    say(&case, owner, conversation, "second").await;

    let contents: Vec<String> =
        messages(&case, owner, conversation).await.into_iter().map(|message| message.content).collect();
    assert_eq!(contents, ["first", "second"]);
}

#[tokio::test]
async fn a_write_in_one_statement_refuses_a_second_change_on_postgres() {
    let case = Backend::Postgres.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let twice = async move |tx: &mut WriteTx<'_>| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("one")).await?;
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("two")).await
    };

    let message = case.database.write_single("twice", twice).await.unwrap_err().to_string();

    assert!(message.contains("a single write changed something twice"), "{message}");
    let many = async move |tx: &mut WriteTx<'_>| {
        let new = ["one", "two"].map(NewMessage::user);
        tx.messages().append_many(owner, conversation, &[], &new).await
    };
    let message = case.database.write_single("many", many).await.unwrap_err().to_string();
    assert!(message.contains("several changes need a transaction"), "{message}");
}

async fn rename(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    title: &str,
) -> Result<(), StoreError> {
    let patch = ConversationPatch { title: Change::Set(title.to_owned()), ..ConversationPatch::default() };
    tx.conversations().update(owner, conversation, &patch).await.map(|_| ())
}

#[tokio::test]
async fn a_statement_that_is_abandoned_undoes_the_write_on_postgres() {
    let case = Backend::Postgres.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;

    let answer = write(&case, async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("one")).await?;
        {
            let new = NewMessage::user("two");
            let mut messages = tx.messages();
            let abandoned = pin!(messages.append(Via::Owner(owner), conversation, &new));
            assert!(abandoned.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("three")).await
    })
    .await;

    assert_eq!(failure(answer), "refused: a statement was abandoned before it was answered");
    assert_eq!(messages(&case, owner, conversation).await, []);
    say(&case, owner, conversation, "the store goes on").await;
}

/// The pool has one connection: the next caller would get the one that still waits for its lock.
#[tokio::test]
async fn a_caller_who_stops_waiting_leaves_no_busy_connection_behind_on_postgres() {
    let case = Backend::Postgres.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let (other, connection) =
        tokio_postgres::connect(case.server_url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let options = DatabaseOptions { pool: 1, ..DatabaseOptions::new(case.url.clone()) };
    let narrow = Database::open(options).await.unwrap();
    other.batch_execute("begin; select from conversations for update").await.unwrap();

    let new = NewMessage::user("given up");
    let append =
        async move |tx: &mut WriteTx<'_>| tx.messages().append(Via::Owner(owner), conversation, &new).await;
    tokio::select! {
        biased;
        answer = narrow.write_single("append", append) => panic!("the conversation is locked: {answer:?}"),
        () = until_a_caller_waits_for_a_lock(&other) => {}
    }
    let count = narrow.read("count", async |tx| tx.users().count().await);
    let count = tokio::time::timeout(Duration::from_secs(20), count).await;
    assert_eq!(count.expect("although the conversation is still locked").unwrap(), 1);
    other.batch_execute("rollback").await.unwrap();
}

async fn until_a_caller_waits_for_a_lock(client: &tokio_postgres::Client) {
    let waiting = "select count(*) from pg_stat_activity \
        where datname = current_database() and wait_event_type = 'Lock'";
    while client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closure_runs_again_after_a_deadlock_on_postgres() {
    let case = Backend::Postgres.database().await;
    let owner = arbitrary_user(&case).await;
    let both = [arbitrary_conversation(&case, owner).await, arbitrary_conversation(&case, owner).await];
    let both_hold_one = Arc::new(Barrier::new(2));
    let runs = Arc::new(AtomicU32::new(0));
    let rename_both = |[first, second]: [ConversationId; 2], title: &'static str| {
        let (barrier, runs) = (Arc::clone(&both_hold_one), Arc::clone(&runs));
        let own_runs = AtomicU32::new(0);
        case.database.write("rename both", async move |tx| {
            runs.fetch_add(1, Ordering::SeqCst);
            rename(tx, owner, first, title).await?;
            if own_runs.fetch_add(1, Ordering::SeqCst) == 0 {
                barrier.wait().await;
            }
            rename(tx, owner, second, title).await
        })
    };

    let (one, other) = tokio::join!(rename_both(both, "one"), rename_both([both[1], both[0]], "other"));

    one.unwrap();
    other.unwrap();
    assert!(runs.load(Ordering::SeqCst) >= 3, "one of them ran again, and may have met the other again");
    let (first, second) =
        (conversation_row(&case, owner, both[0]).await, conversation_row(&case, owner, both[1]).await);
    assert_eq!((first.revision, second.revision), (3, 3));
    assert_eq!(first.title, second.title);
}
