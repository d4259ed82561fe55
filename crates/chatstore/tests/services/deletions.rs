//! What is large is gone when its deletion returns, and its rows follow.

use chatstore::operations::MarkedCounts;
use chatstore::{
    ConversationId, ErrorKind, IdempotencyKey, KeyRetention, MemberRole, MessageId, NewConversation,
    NewMessage, NewReply, NewUser, Store, UserId, UserName, Uuid,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    a_long_conversation_is_gone_when_its_deletion_returns,
    what_is_created_with_the_id_of_a_long_conversation_finishes_its_deletion,
    a_message_may_have_the_id_of_one_that_is_being_deleted,
    a_message_of_any_write_may_have_the_id_of_one_that_is_being_deleted,
    a_user_with_much_is_gone_when_the_erasure_returns,
);

/// More messages than are deleted at once.
const MANY: u128 = 1_100;

fn message(number: u128) -> NewMessage {
    NewMessage { id: Some(MessageId::from_uuid(Uuid::from_u128(number))), ..NewMessage::user("hello") }
}

/// A conversation with many messages, whose ids are 1 and so on.
async fn long_conversation(store: &Store, owner: UserId) -> ConversationId {
    let chat = store.as_user(owner);
    let id = chat.conversations().create(NewConversation::thread("long")).await.unwrap().id;
    let new: Vec<NewMessage> = (1..=MANY).map(message).collect();
    for some in new.chunks(200) {
        chat.messages().append_many(id, some.to_vec()).await.unwrap();
    }
    id
}

async fn a_long_conversation_is_gone_when_its_deletion_returns(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "owner").await;
    let id = long_conversation(&store, owner).await;
    let chat = store.as_user(owner);

    chat.conversations().delete(id).await.unwrap();

    assert_eq!(chat.conversations().get(id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(chat.conversations().get_by_thread("long").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.operations().counts().await.unwrap().messages, 0);
    assert!(chat.conversations().get_or_create_by_thread(NewConversation::thread("long")).await.unwrap().1);
    store.operations().finish_deletions().await.unwrap();
    assert_eq!(store.operations().being_deleted().await.unwrap(), MarkedCounts::default());
}

async fn what_is_created_with_the_id_of_a_long_conversation_finishes_its_deletion(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "owner").await;
    let id = long_conversation(&store, owner).await;
    let chat = store.as_user(owner);
    chat.conversations().delete(id).await.unwrap();

    let created = chat
        .conversations()
        .create(NewConversation { id: Some(id), ..NewConversation::titled("again") })
        .await;

    assert_eq!(created.unwrap().id, id);
    assert_eq!(chat.messages().append(id, message(1)).await.unwrap().seq, 1);
}

async fn a_message_may_have_the_id_of_one_that_is_being_deleted(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "owner").await;
    let id = long_conversation(&store, owner).await;
    let chat = store.as_user(owner);
    let other = chat.conversations().create(NewConversation::titled("other")).await.unwrap().id;
    chat.conversations().delete(id).await.unwrap();

    assert_eq!(chat.messages().append(other, message(MANY)).await.unwrap().seq, 1);
    let batch = vec![message(MANY - 1), message(MANY - 2)];
    assert_eq!(chat.messages().append_many(other, batch).await.unwrap().len(), 2);
}

async fn a_message_of_any_write_may_have_the_id_of_one_that_is_being_deleted(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "owner").await;
    let editor = user(&store, "editor").await;
    let chat = store.as_user(owner);
    for number in 1..=4 {
        let id = long_conversation(&store, owner).await;
        let other = chat.conversations().create(NewConversation::titled("other")).await.unwrap().id;
        chat.members().put(other, editor, MemberRole::Editor).await.unwrap();
        // Marked by the repository, so that nothing but the write itself deletes its rows.
        store.write("mark", async move |tx| tx.conversations().delete(owner, id).await).await.unwrap();
        let key = IdempotencyKey {
            key: number.to_string(),
            operation: "append".to_owned(),
            request_sha256: [0; 32],
            retention: KeyRetention::Day,
        };
        let taken = message(MANY);
        let seq = match number {
            1 => {
                let reply = NewReply {
                    message: NewMessage { id: taken.id, ..NewMessage::assistant("hi") },
                    ..NewReply::new("")
                };
                chat.messages().reply(other, reply).await.unwrap().message.seq
            }
            2 => chat.idempotent(key).append(other, vec![taken]).await.unwrap().value[0].seq,
            3 => chat.if_revision(1).messages().append(other, taken).await.unwrap().seq,
            _ => store.as_user(editor).messages().append(other, taken).await.unwrap().seq,
        };
        assert_eq!(seq, 1, "{number}");
        chat.conversations().delete(other).await.unwrap();
    }
}

async fn a_user_with_much_is_gone_when_the_erasure_returns(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "owner").await;
    long_conversation(&store, owner).await;

    store.users().erase(owner).await.unwrap();

    assert_eq!(store.users().get(owner).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_ne!(user(&store, "owner").await, owner);
    let named = NewUser { id: Some(owner), ..NewUser::named(UserName::new("again").unwrap()) };
    assert_eq!(store.users().create(named).await.unwrap().id, owner);
    assert_eq!(store.operations().counts().await.unwrap().conversations, 0);
}
