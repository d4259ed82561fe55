use chatstore_model::{NewConversation, NewMessage, NewUser, UserName};
use chatstore_sql::By;
use chatstore_testkit::{TestDatabase, conformance};

conformance!(a_message_appended_is_read_back);

async fn a_message_appended_is_read_back(case: TestDatabase) {
    let ada = NewUser::named(UserName::new("ada").unwrap());
    let ada = case.database.write("user", async move |tx| tx.users().create(&ada).await).await.unwrap();
    let trip = NewConversation::titled("Trip");
    let trip = case
        .database
        .write("create", async move |tx| tx.conversations().create(ada.id, &trip).await)
        .await
        .unwrap();
    let hello = NewMessage::user("hello");
    let appended = case
        .database
        .write_single("append", async move |tx| {
            tx.messages().append(By::Owner(ada.id), trip.id, &hello).await
        })
        .await
        .unwrap();
    let id = appended.id;
    let read = case
        .database
        .read("get", async move |tx| tx.messages().get(By::Owner(ada.id), trip.id, id).await)
        .await
        .unwrap();
    assert_eq!(read, Some(appended));
}
