//! What an embedding application does in a transaction of its own.

use chatstore::{NewConversation, NewMessage, StoreError, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    an_application_undoes_a_transaction_with_an_error_of_its_own,
    a_refusal_undoes_what_the_transaction_did_before,
);

#[derive(Debug)]
enum ShopError {
    SoldOut { left: i64 },
    Store(StoreError),
}

impl From<StoreError> for ShopError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn an_application_undoes_a_transaction_with_an_error_of_its_own(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let answer = store
        .write("order", async move |tx| {
            let order = tx.conversations().create(ada, &NewConversation::titled("Order")).await?;
            tx.messages().append(Via::Owner(ada), order.id, &NewMessage::user("two, please")).await?;
            if order.message_count == 0 { Err(ShopError::SoldOut { left: 1 }) } else { Ok(order) }
        })
        .await;
    assert!(matches!(answer, Err(ShopError::SoldOut { left: 1 })), "{answer:?}");
    assert_eq!(store.operations().counts().await.unwrap().conversations, 0);

    let thread = NewConversation::thread("order");
    store.as_user(ada).conversations().create(thread.clone()).await.unwrap();
    let answer: Result<(), ShopError> = store
        .write("order", async move |tx| {
            tx.conversations().create(ada, &NewConversation::titled("Order")).await?;
            tx.conversations().create(ada, &thread).await?;
            Ok(())
        })
        .await;
    let taken = matches!(answer, Err(ShopError::Store(StoreError::AlreadyExists { field: "thread_id", .. })));
    assert!(taken, "{answer:?}");
    assert_eq!(store.operations().counts().await.unwrap().conversations, 1);
}

async fn a_refusal_undoes_what_the_transaction_did_before(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let answer: chatstore::Result<()> = store
        .write("refused", async move |tx| {
            tx.conversations().create(ada, &NewConversation::titled("Order")).await?;
            Err(StoreError::NotFound { entity: "shop" }.into())
        })
        .await;
    assert_eq!(answer.unwrap_err().kind(), chatstore::ErrorKind::NotFound);
    assert_eq!(store.operations().counts().await.unwrap().conversations, 0);
}
