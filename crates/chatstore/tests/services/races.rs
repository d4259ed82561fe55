//! What several callers do to each other, and what is left by those who stop waiting.

use std::sync::Arc;
use std::time::Duration;

use chatstore::sql::Sql;
use chatstore::{Error, ErrorKind, NewConversation, NewMessage, PageRequest, Store, Via};
use chatstore_testkit::{Backend, TestDatabase, conformance};
use tokio::sync::Notify;

use crate::fixtures::{Group, group, store, user};

/// Long enough that no caller sees its answer at once.
const SLOW: Sql = Sql::only_postgres("test.slow", "select pg_sleep(0.3)");

conformance!(
    of_many_who_delete_the_last_message_one_does_and_the_others_find_it_gone,
    an_owner_deleting_and_an_erased_member_leave_the_count_right,
);

async fn of_many_who_delete_the_last_message_one_does_and_the_others_find_it_gone(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let trip = store.as_user(ada).conversations().create(NewConversation::titled("Trip")).await.unwrap();
    for _ in 0..10 {
        let message = store.as_user(ada).messages().append(trip.id, NewMessage::user("hello")).await.unwrap();
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.as_user(ada).messages().delete(trip.id, message.id).await })
            })
            .collect();
        let mut done = 0;
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(()) => done += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            }
        }
        assert_eq!(done, 1);
        let (trip, _) = store.as_user(ada).conversations().get(trip.id).await.unwrap();
        assert_eq!((trip.message_count, trip.last_message), (0, None));
    }
}

async fn an_owner_deleting_and_an_erased_member_leave_the_count_right(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, .. } = group(&store).await;
    let said =
        store.as_user(editor).messages().append(conversation.id, NewMessage::user("hello")).await.unwrap();
    let deleting = {
        let store = store.clone();
        tokio::spawn(async move { store.as_user(owner).messages().delete(conversation.id, said.id).await })
    };
    store.users().erase(editor).await.unwrap();
    match deleting.await.unwrap() {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
    let (left, _) = store.as_user(owner).conversations().get(conversation.id).await.unwrap();
    assert_eq!((left.message_count, left.last_message), (0, None));
}

/// PostgreSQL only: a closure can stop waiting for a statement only where statements are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_with_an_abandoned_statement_stores_nothing() {
    let case = Backend::Postgres.database().await;
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let answer = store
        .write("abandon", async move |tx| {
            tx.conversations().create(ada, &NewConversation::titled("kept?")).await?;
            let abandoned = tokio::time::timeout(Duration::ZERO, tx.query(&SLOW, &[], |_| Ok(()))).await;
            assert!(abandoned.is_err(), "the statement was answered at once");
            Ok::<_, Error>(())
        })
        .await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.operations().counts().await.unwrap().conversations, 0);
}

/// PostgreSQL only: with one connection, a statement that is left behind would hold up all others.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_stops_waiting_does_not_hold_up_the_next() {
    let case = Backend::Postgres.database().await;
    let other = store(&case).await;
    let store = Store::builder(case.url.as_str()).pool(1).connect().await.unwrap();
    let ada = user(&store, "ada").await;
    let trip = store.as_user(ada).conversations().create(NewConversation::titled("Trip")).await.unwrap();

    let (locked, unlock) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let locking = {
        let (locked, unlock) = (Arc::clone(&locked), Arc::clone(&unlock));
        tokio::spawn(async move {
            other
                .write("lock", async move |tx| {
                    tx.messages().append(Via::Owner(ada), trip.id, &NewMessage::user("first")).await?;
                    locked.notify_one();
                    unlock.notified().await;
                    Ok::<_, Error>(())
                })
                .await
        })
    };
    locked.notified().await;
    let before = store.operations().statements();
    let waiting = {
        let store = store.clone();
        tokio::spawn(
            async move { store.as_user(ada).messages().append(trip.id, NewMessage::user("never")).await },
        )
    };
    while store.operations().statements() == before {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let read = store.as_user(ada).messages().page(trip.id, PageRequest::newest(50));
    let page = tokio::time::timeout(Duration::from_secs(20), read).await.expect("the next caller is served");
    assert_eq!(page.unwrap().items.len(), 0);
    unlock.notify_one();
    locking.await.unwrap().unwrap();
}
