//! Closing a database: what was begun is finished, what comes later is refused.

use chatstore_model::{NewMessage, NewUser};
use chatstore_sql::{Database, DatabaseOptions, Direction, StoreError, Via, WriteTx};
use chatstore_testkit::{Backend, TestDatabase, conformance};
use futures_util::future::join_all;

use crate::fixtures::{arbitrary_owner, messages};

conformance!(
    closing_finishes_the_writes_under_way_and_refuses_further_ones,
    a_write_that_races_with_closing_is_stored_or_refused,
);

async fn closing_finishes_the_writes_under_way_and_refuses_further_ones(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = Database::open(DatabaseOptions::new(case.url.clone())).await.unwrap();
    let new = NewMessage::user("under way");
    let under_way =
        async move |tx: &mut WriteTx<'_>| tx.messages().append(Via::Owner(owner), conversation, &new).await;

    let (answer, ()) = tokio::join!(other.write("under way", under_way), other.close());

    let stored = messages(&case, owner, conversation).await;
    assert_eq!(stored, [answer.unwrap()]);
    let refused = other.write("late", async move |tx| tx.users().erase(owner).await).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let refused = other.read("late", async |tx| tx.users().count().await).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    other.close().await;
    assert_eq!(messages(&case, owner, conversation).await, stored);
}

async fn a_write_that_races_with_closing_is_stored_or_refused(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut stored = Vec::new();
    for _ in 0..5 {
        let other = Database::open(DatabaseOptions::new(case.url.clone())).await.unwrap();
        let writers = (0..40).map(|number| {
            let other = other.clone();
            tokio::spawn(async move {
                if number == 20 {
                    other.close().await;
                }
                let new = NewMessage::user("racing");
                let append = async move |tx: &mut WriteTx<'_>| {
                    tx.messages().append(Via::Owner(owner), conversation, &new).await
                };
                other.write("append", append).await
            })
        });
        for answer in join_all(writers).await {
            match answer.unwrap() {
                Ok(message) => stored.push(message),
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            }
        }
    }
    stored.sort_unstable_by_key(|message| message.seq);
    assert_eq!(messages(&case, owner, conversation).await, stored);
}

#[tokio::test]
async fn closing_a_file_leaves_nothing_beside_it() {
    for _ in 0..20 {
        let case = Backend::Sqlite.database().await;
        arbitrary_owner(&case).await;
        case.database.close().await;
        let file = std::path::PathBuf::from(case.url.strip_prefix("sqlite://").unwrap());
        let names: Vec<_> = std::fs::read_dir(file.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["case.db"]);
    }
}

#[tokio::test]
async fn a_database_in_memory_behaves_like_one_in_a_file() {
    let database = Database::open(DatabaseOptions::new("sqlite://:memory:")).await.unwrap();
    database.migrate(Direction::Upgrade).await.unwrap();
    assert_eq!((database.place(), database.size_bytes().await.unwrap()), ("memory", 0));
    let email = crate::fixtures::email("ada@example.org");
    let created = database.write("make", async move |tx| {
        tx.users().get_or_create_by_email(&NewUser::with_email(email.clone())).await
    });
    let (ada, _) = created.await.unwrap();
    let id = ada.id;
    let found = database.read("get", async move |tx| tx.users().get(id).await).await.unwrap();
    assert_eq!(found, Some(ada));
    database.close().await;
    let refused = database.read("late", async |tx| tx.users().count().await).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}
