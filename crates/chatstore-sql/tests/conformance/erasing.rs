//! Erasing a user: nothing of the user stays, and what others own is repaired.

use chatstore_model::{
    ApiKeyScope, CanonicalJson, Change, ConversationId, ConversationPatch, Day, MemberRole, NewApiKey,
    NewConversation, NewIdempotencyRecord, NewMessage, NewUser, UserId, preview,
};
use chatstore_sql::{StoreError, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    absent_user, append, arbitrary_conversation, arbitrary_owner, arbitrary_user, conversation_row,
    create_conversation, email, failure, later, messages, read, reply, reply_of, say, write,
};

conformance!(
    erasing_a_user_removes_everything_the_user_owns,
    erasing_a_member_removes_their_messages_and_repairs_the_conversation,
    erasing_a_member_who_wrote_every_message_empties_the_conversation,
    erasing_a_member_leaves_a_preview_that_the_application_set,
    erasing_a_member_never_moves_the_activity_back,
    erasing_an_absent_user_is_not_found,
    an_erased_name_and_address_can_be_taken_again,
);

async fn erase(case: &TestDatabase, user: UserId) -> Result<(), StoreError> {
    write(case, async move |tx| tx.users().erase(user).await.map(drop)).await
}

async fn editor(case: &TestDatabase, owner: UserId, conversation: ConversationId) -> UserId {
    let user = arbitrary_user(case).await;
    join(case, owner, conversation, user).await;
    user
}

async fn join(case: &TestDatabase, owner: UserId, conversation: ConversationId, user: UserId) {
    let put =
        write(case, async move |tx| tx.members().put(owner, conversation, user, MemberRole::Editor).await);
    put.await.unwrap();
}

async fn table_rows(case: &TestDatabase) -> Vec<(&'static str, u64)> {
    let digests = read(case, async |tx| tx.statistics().digests().await).await;
    digests.into_iter().map(|digest| (digest.table, digest.rows)).collect()
}

async fn erasing_a_user_removes_everything_the_user_owns(case: TestDatabase) {
    let empty = table_rows(&case).await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = editor(&case, owner, conversation).await;
    let others = arbitrary_conversation(&case, other).await;
    join(&case, other, others, owner).await;
    say(&case, owner, conversation, "mine").await;
    append(&case, Via::Member(other), conversation, NewMessage::user("a guest's")).await.unwrap();
    reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    let key = NewApiKey {
        scope: ApiKeyScope::User,
        name: None,
        prefix: "cs_".to_owned(),
        key_hash: [1; 32],
        expires_at: None,
        rights: chatstore_model::KeyRights::default(),
    };
    let record = NewIdempotencyRecord {
        key: "once".to_owned(),
        operation: "POST".to_owned(),
        request_sha256: [2; 32],
        status: 201,
        result: CanonicalJson::object(),
        expires_at: later(&case).plus_microseconds(1),
        conversation_id: None,
    };
    write(&case, async move |tx| {
        tx.api_keys().create(owner, &key).await?;
        tx.idempotency_keys().record(owner, owner, &record).await?;
        tx.idempotency_keys().record(other, owner, &record).await
    })
    .await
    .unwrap();

    erase(&case, owner).await.unwrap();

    assert_eq!(read(&case, async move |tx| tx.users().get(owner).await).await, None);
    let today = Day::of(case.database.clock().now());
    let usage = read(&case, async move |tx| tx.usage().between(owner, today, today).await).await;
    assert_eq!(usage, []);
    let mut left = empty;
    for (table, rows) in &mut left {
        *rows += u64::from(matches!(*table, "users" | "conversations"));
    }
    assert_eq!(table_rows(&case).await, left, "the other user and their conversation stay, nothing else");
}

async fn erasing_a_member_removes_their_messages_and_repairs_the_conversation(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let member = editor(&case, owner, conversation).await;
    let long = "知".repeat(250);
    say(&case, owner, conversation, "first").await;
    append(&case, Via::Member(member), conversation, NewMessage::user("second")).await.unwrap();
    let third = say(&case, owner, conversation, &long).await;
    later(&case);
    append(&case, Via::Member(member), conversation, NewMessage::user("fourth")).await.unwrap();
    let before = conversation_row(&case, owner, conversation).await;
    assert_eq!((before.message_count, before.last_seq), (4, 4));

    erase(&case, member).await.unwrap();

    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!((after.message_count, after.last_seq), (2, 4));
    assert_eq!(after.last_message.as_deref(), Some(preview(&long)));
    assert_eq!(after.last_message_at, Some(third.created_at));
    assert!(after.revision > before.revision);
    let seqs: Vec<i64> =
        messages(&case, owner, conversation).await.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [1, 3]);
    let fifth = say(&case, owner, conversation, "fifth").await;
    assert_eq!(fifth.seq, 5);
}

async fn erasing_a_member_who_wrote_every_message_empties_the_conversation(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let member = editor(&case, owner, conversation).await;
    for text in ["one", "two"] {
        append(&case, Via::Member(member), conversation, NewMessage::user(text)).await.unwrap();
    }

    erase(&case, member).await.unwrap();

    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!((after.message_count, after.last_seq), (0, 2));
    assert_eq!((after.last_message, after.last_message_at), (None, None));
}

async fn erasing_a_member_leaves_a_preview_that_the_application_set(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let member = editor(&case, owner, conversation).await;
    append(&case, Via::Member(member), conversation, NewMessage::user("a guest's")).await.unwrap();
    say(&case, owner, conversation, "newest").await;
    let patch =
        ConversationPatch { last_message: Change::Set("set".to_owned()), ..ConversationPatch::default() };
    write(&case, async move |tx| tx.conversations().update(owner, conversation, &patch).await).await.unwrap();

    erase(&case, member).await.unwrap();

    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!(after.message_count, 1);
    assert_eq!(after.last_message.as_deref(), Some("set"));
}

async fn erasing_a_member_never_moves_the_activity_back(case: TestDatabase) {
    let now = case.database.clock().now();
    let (owner, conversation) = arbitrary_owner(&case).await;
    let member = editor(&case, owner, conversation).await;
    later(&case);
    append(&case, Via::Member(member), conversation, NewMessage::user("a guest's")).await.unwrap();
    let before = conversation_row(&case, owner, conversation).await;
    case.clock.set(now);

    erase(&case, member).await.unwrap();

    assert_eq!(conversation_row(&case, owner, conversation).await.updated_at, before.updated_at);
}

async fn erasing_an_absent_user_is_not_found(case: TestDatabase) {
    let absent = absent_user(&case);

    assert_eq!(failure(erase(&case, absent).await), "not found: user");
}

async fn an_erased_name_and_address_can_be_taken_again(case: TestDatabase) {
    let ask = async || {
        let address = email("ada@example.org");
        write(&case, async move |tx| {
            tx.users().get_or_create_by_email(&NewUser::with_email(address.clone())).await
        })
        .await
        .unwrap()
    };
    let (first, _) = ask().await;
    create_conversation(&case, first.id, NewConversation::thread("t")).await.unwrap();

    erase(&case, first.id).await.unwrap();

    let (second, created) = ask().await;
    assert!(created);
    assert_ne!(second.id, first.id);
    let id = second.id;
    assert_eq!(read(&case, async move |tx| tx.conversations().find_by_thread(id, "t").await).await, None);
}
