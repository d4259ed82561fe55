//! A pooler in transaction mode: each transaction may run in another session of the server.

use std::time::Duration;

use chatstore_model::NewMessage;
use chatstore_sql::WriteTx;
use chatstore_testkit::server::{Pooler, StartupOptions};
use chatstore_testkit::{Backend, Proxy};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::fixtures::{
    GENEROUS, config, connect, conversation, count, open, port, say, say_in_transaction, through,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_every_statement_is_ones_own_and_every_answer_right() {
    let case = Backend::Postgres.database().await;
    let settings = config(&case.url);
    let password = std::str::from_utf8(settings.get_password().unwrap()).unwrap().to_owned();
    for options in [StartupOptions::Refused, StartupOptions::Ignored] {
        let user = settings.get_user().unwrap();
        let pooler = Pooler::start(port(&case.url), user, &password, 2, options).unwrap();
        let url = through(&case.url, pooler.port());
        let stores = [open(&url, 8).await, open(&url, 8).await];
        let talks = [conversation(&stores[0]).await, conversation(&stores[1]).await];

        let before = count(&case.database).await.unwrap();
        for (store, talk) in stores.iter().zip(talks) {
            let (owner, id) = talk;
            let batch: Vec<NewMessage> = (0..5).map(|number| NewMessage::user(number.to_string())).collect();
            let append =
                async move |tx: &mut WriteTx<'_>| tx.messages().append_many(owner, id, &[], &batch[..]).await;
            assert_eq!(store.write("batch", append).await.unwrap().len(), 5);
        }
        let work = stores.iter().zip(talks).flat_map(|(store, talk)| {
            (0..40).map(move |_| async move {
                let single = say(store, talk, "hello").await.unwrap();
                let whole = say_in_transaction(store, talk, "hello").await.unwrap();
                assert!(whole.seq > single.seq && count(store).await.unwrap() >= whole.seq);
            })
        });
        join_all(work).await;
        assert_eq!(count(&case.database).await.unwrap() - before, 2 * (5 + 80));
        for store in stores {
            store.close().await;
        }
    }
}

/// PgBouncer 1.18 exits when what it cancels is closed at the wrong moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_what_is_given_up_is_not_cancelled_and_the_pooler_goes_on() {
    let case = Backend::Postgres.database().await;
    let settings = config(&case.url);
    let (user, password) = (settings.get_user().unwrap(), settings.get_password().unwrap());
    let password = std::str::from_utf8(password).unwrap();
    let pooler = Pooler::start(port(&case.url), user, password, 8, StartupOptions::Refused).unwrap();
    let proxy = Proxy::start(pooler.port()).unwrap();
    let url = format!("{}?prepared_statements=off", through(&case.url, proxy.port()));
    let database = open(&url, 1).await;
    let talk = conversation(&database).await;
    let other = connect(&case).await;
    other.batch_execute("begin; select from conversations for update").await.unwrap();
    let before = proxy.accepted();
    for number in 1..=3 {
        let given_up = timeout(Duration::from_millis(200), say(&database, talk, "in vain")).await;
        assert!(given_up.is_err());
        let counted = timeout(GENEROUS, count(&database)).await;
        assert_eq!(counted.expect("another connection is used").unwrap(), 0);
        // A cancel request would be one more.
        assert_eq!(proxy.accepted(), before + number);
    }
    other.batch_execute("rollback").await.unwrap();
    say(&database, talk, "hello").await.unwrap();
}
