use chatstore::{
    ErrorKind, IntoValid, NewConversation, NewMessage, NewReply, PageRequest, Store, StoreError, Via,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_memory_keeps_what_it_is_given() {
    let store = Store::memory().await.unwrap();
    let (ada, created) = store.users().get_or_create_by_email("ada@example.org").await.unwrap();
    assert!(created);
    let chat = store.as_user(ada.id);
    let trip = chat.conversations().create(NewConversation::titled("Trip")).await.unwrap();
    chat.messages().append(trip.id, NewMessage::user("hello")).await.unwrap();
    let page = chat.messages().page(trip.id, PageRequest::oldest(10)).await.unwrap();
    assert_eq!(page.items[0].content, "hello");
}

#[tokio::test]
async fn white_space_around_an_address_is_not_part_of_it() {
    let store = Store::memory().await.unwrap();
    let (ada, _) = store.users().get_or_create_by_email("\u{a0}Ada@example.org\t").await.unwrap();
    assert_eq!(ada.email.as_deref(), Some("Ada@example.org"));
    let (found, created) = store.users().get_or_create_by_email(" ada@example.org ").await.unwrap();
    assert_eq!((found.id, created), (ada.id, false));
    assert_eq!(store.users().find_by_email("ada@example.org\u{1f}").await.unwrap(), Some(ada));
}

#[tokio::test]
async fn a_request_is_checked_by_a_service_a_transaction_or_its_sender() {
    let store = Store::memory().await.unwrap();
    let (ada, _) = store.users().get_or_create_by_email("ada@example.org").await.unwrap();
    let chat = store.as_user(ada.id);
    let trip = chat.conversations().create(NewConversation::titled("Trip")).await.unwrap();
    let message = NewMessage::user("hello").into_valid().unwrap();
    chat.messages().append(trip.id, message).await.unwrap();

    let wrong = NewMessage { token_count: Some(-1), ..NewMessage::user("a\0") };
    let served = chat.messages().append(trip.id, wrong.clone()).await.unwrap_err();
    let written: StoreError = store
        .write("append", async move |tx| tx.messages().append(Via::Owner(ada.id), trip.id, &wrong).await)
        .await
        .unwrap_err();
    for error in [served, written.into()] {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let invalid = error.invalid().unwrap();
        let fields: Vec<&str> = invalid.0.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["content", "token_count"]);
    }
}

#[tokio::test]
async fn a_store_works_on_a_runtime_of_one_thread() {
    let store = Store::memory().await.unwrap();
    assert_eq!(store.operations().counts().await.unwrap().users, 0);
}

/// Handlers of axum must be `Send`, so whatever awaits the store must be, with either driver.
#[tokio::test]
async fn what_waits_for_the_store_can_move_between_threads() {
    fn sendable<T: Send>(future: T) -> T {
        future
    }
    let store = Store::memory().await.unwrap();
    let (ada, _) = store.users().get_or_create_by_email("ada@example.org").await.unwrap();
    let trip = sendable(store.as_user(ada.id).conversations().create(NewConversation::titled("Trip")))
        .await
        .unwrap();
    sendable(store.as_user(ada.id).messages().append(trip.id, NewMessage::user("hello"))).await.unwrap();
    sendable(store.as_user(ada.id).messages().append_many(trip.id, vec![NewMessage::user("a")]))
        .await
        .unwrap();
    sendable(store.as_user(ada.id).messages().reply(trip.id, NewReply::new("b"))).await.unwrap();
    drop(sendable(store.users().erase(ada.id)));
    let message = NewMessage::user("in a transaction");
    sendable(
        store.write("append", async move |tx| {
            tx.messages().append(Via::Owner(ada.id), trip.id, &message).await
        }),
    )
    .await
    .unwrap();
    sendable(store.read("get", async move |tx| tx.conversations().get(Via::Owner(ada.id), trip.id).await))
        .await
        .unwrap();
    tokio::spawn(async move { store.operations().digests().await }).await.unwrap().unwrap();
}
