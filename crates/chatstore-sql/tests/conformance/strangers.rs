//! What belongs to another user answers exactly like what does not exist, for every operation.

use chatstore_model::{
    Change, ConversationId, ConversationPatch, Limit, MemberRole, MessageFilter, MessageId, MessagePatch,
    MessageRange, NewMessage, NewReply, Order, UserId,
};
use chatstore_sql::Via;
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    absent_conversation, absent_message, absent_user, append, arbitrary_owner, arbitrary_user,
    conversation_row, later, messages, read, reply, reply_of, say, shape, write,
};

conformance!(
    anothers_conversation_answers_like_an_absent_one,
    anothers_message_answers_like_an_absent_one,
    a_message_of_another_conversation_of_ones_own_is_not_found,
    an_api_key_of_another_user_answers_like_an_absent_one,
);

/// What a user is told about a conversation and a message in it, by everything that can be asked
/// for or done.
async fn answers(
    case: &TestDatabase,
    user: UserId,
    conversation: ConversationId,
    message: MessageId,
) -> Vec<String> {
    let mut answers = lookups(case, user, conversation, message).await;
    answers.extend(changes(case, user, conversation, message).await);
    answers
}

async fn lookups(
    case: &TestDatabase,
    user: UserId,
    conversation: ConversationId,
    message: MessageId,
) -> Vec<String> {
    read(case, async move |tx| {
        let mut answers = Vec::new();
        for by in [Via::Owner(user), Via::Member(user)] {
            let limit = Limit::default();
            answers.push(format!("{:?}", tx.conversations().get(by, conversation).await?));
            for order in [Order::Ascending, Order::Descending] {
                let page = tx.messages().page(by, conversation, MessageRange::ALL, order, limit).await?;
                answers.push(format!("{page:?}"));
            }
            answers.push(format!(
                "{:?}",
                tx.messages().around(by, conversation, 1, &MessageFilter::ALL, limit).await?
            ));
            answers.push(format!("{:?}", tx.messages().get(by, conversation, message).await?));
            answers.push(format!("{:?}", tx.messages().find_by_seq(by, conversation, 1).await?));
        }
        answers.push(format!("{:?}", tx.conversations().access(user, conversation).await?));
        answers.push(format!("{:?}", tx.responses().get(user, message).await?));
        answers.push(format!("{:?}", tx.members().page(user, conversation, None, Limit::MAX).await?));
        answers.push(format!("{:?}", tx.conversations().find_by_thread(user, "thread").await?));
        Ok(answers)
    })
    .await
}

async fn changes(
    case: &TestDatabase,
    user: UserId,
    conversation: ConversationId,
    message: MessageId,
) -> Vec<String> {
    let other = arbitrary_user(case).await;
    let title = ConversationPatch { title: Change::Set("Mine".to_owned()), ..Default::default() };
    let content = MessagePatch { content: Some("mine".to_owned()), ..MessagePatch::default() };
    let hello = || NewMessage::user("hello");
    let (one, two) = (vec![hello()], vec![hello(), hello()]);
    let failed = |name: &str, error| format!("{name}: {}", shape(&error));
    vec![
        failed(
            "update",
            write(case, async move |tx| tx.conversations().update(user, conversation, &title).await)
                .await
                .unwrap_err(),
        ),
        failed(
            "empty update",
            write(case, async move |tx| {
                tx.conversations().update(user, conversation, &ConversationPatch::default()).await
            })
            .await
            .unwrap_err(),
        ),
        failed(
            "delete",
            write(case, async move |tx| tx.conversations().delete(user, conversation).await)
                .await
                .unwrap_err(),
        ),
        failed("append as owner", append(case, Via::Owner(user), conversation, hello()).await.unwrap_err()),
        failed("append as member", append(case, Via::Member(user), conversation, hello()).await.unwrap_err()),
        failed(
            "append one",
            write(case, async move |tx| tx.messages().append_many(user, conversation, &[], &one).await)
                .await
                .unwrap_err(),
        ),
        failed(
            "append two",
            write(case, async move |tx| tx.messages().append_many(user, conversation, &[], &two).await)
                .await
                .unwrap_err(),
        ),
        failed("reply", reply(case, user, conversation, reply_of("m", 1, 1)).await.unwrap_err()),
        failed(
            "reply of the default",
            write(case, async move |tx| {
                tx.messages().record_reply(user, conversation, &NewReply::new("hi")).await
            })
            .await
            .unwrap_err(),
        ),
        failed(
            "edit",
            write(case, async move |tx| tx.messages().edit(user, conversation, message, &content).await)
                .await
                .unwrap_err(),
        ),
        failed(
            "empty edit",
            write(case, async move |tx| {
                tx.messages().edit(user, conversation, message, &MessagePatch::default()).await
            })
            .await
            .unwrap_err(),
        ),
        failed(
            "delete message",
            write(case, async move |tx| tx.messages().delete(user, conversation, message).await)
                .await
                .unwrap_err(),
        ),
        failed(
            "put member",
            write(case, async move |tx| {
                tx.members().put(user, conversation, other, MemberRole::Editor).await
            })
            .await
            .unwrap_err(),
        ),
        failed(
            "remove member",
            write(case, async move |tx| tx.members().remove(user, conversation, other).await)
                .await
                .unwrap_err(),
        ),
    ]
}

async fn anothers_conversation_answers_like_an_absent_one(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let message = say(&case, owner, conversation, "secret").await.id;
    reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    let before =
        (conversation_row(&case, owner, conversation).await, messages(&case, owner, conversation).await);
    let stranger = arbitrary_user(&case).await;
    later(&case);

    let anothers = answers(&case, stranger, conversation, message).await;

    let absent = answers(&case, stranger, absent_conversation(&case), absent_message(&case)).await;
    assert_eq!(anothers, absent);
    let stranger = answers(&case, absent_user(&case), conversation, message).await;
    assert_eq!(stranger, absent, "as a user who does not exist");
    assert!(anothers.iter().all(|answer| !answer.contains("unexpected")), "{anothers:?}");
    let after =
        (conversation_row(&case, owner, conversation).await, messages(&case, owner, conversation).await);
    assert_eq!(after, before);
}

async fn anothers_message_answers_like_an_absent_one(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let message = say(&case, owner, conversation, "secret").await.id;
    let (stranger, own) = arbitrary_owner(&case).await;

    let told = async |message| {
        let content = MessagePatch { content: Some("mine".to_owned()), ..MessagePatch::default() };
        let by = Via::Owner(stranger);
        let found = read(&case, async move |tx| tx.messages().get(by, own, message).await).await;
        let edit = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.messages().edit(stranger, own, message, &content).await
        };
        let edited = write(&case, edit).await.unwrap_err();
        let deleted = write(&case, async move |tx| tx.messages().delete(stranger, own, message).await);
        format!("{found:?}, {}, {}", shape(&edited), shape(&deleted.await.unwrap_err()))
    };
    assert_eq!(told(message).await, told(absent_message(&case)).await);
    assert_eq!(told(message).await, "None, not found: message, not found: message");
    assert_eq!(conversation_row(&case, owner, conversation).await.message_count, 1);
}

async fn a_message_of_another_conversation_of_ones_own_is_not_found(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = crate::fixtures::arbitrary_conversation(&case, owner).await;
    let said = say(&case, owner, conversation, "here").await;
    let before = conversation_row(&case, owner, other).await;
    later(&case);

    let by = Via::Owner(owner);
    assert_eq!(read(&case, async move |tx| tx.messages().get(by, other, said.id).await).await, None);
    let patch = MessagePatch { content: Some("there".to_owned()), ..MessagePatch::default() };
    let edited = write(&case, async move |tx| tx.messages().edit(owner, other, said.id, &patch).await).await;
    assert_eq!(shape(&edited.unwrap_err()), "not found: message");
    let deleted = write(&case, async move |tx| tx.messages().delete(owner, other, said.id).await).await;
    assert_eq!(shape(&deleted.unwrap_err()), "not found: message");
    assert_eq!(conversation_row(&case, owner, other).await, before, "a failed change is no change");
    assert_eq!(messages(&case, owner, conversation).await, [said]);
}

async fn an_api_key_of_another_user_answers_like_an_absent_one(case: TestDatabase) {
    let (ada, grace) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let new = chatstore_model::NewApiKey {
        scope: chatstore_model::ApiKeyScope::User,
        name: None,
        prefix: "cs_".to_owned(),
        key_hash: [7; 32],
        expires_at: None,
        rights: chatstore_model::KeyRights::default(),
    };
    let key = write(&case, async move |tx| tx.api_keys().create(ada, &new).await).await.unwrap();

    assert_eq!(
        read(&case, async move |tx| tx
            .api_keys()
            .find(grace, &[7; 32], chatstore_model::Timestamp::MIN)
            .await)
        .await,
        None
    );
    assert_eq!(read(&case, async move |tx| tx.api_keys().list(grace).await).await, []);
    let revoked = write(&case, async move |tx| tx.api_keys().revoke(grace, key.id).await).await;
    assert_eq!(shape(&revoked.unwrap_err()), "not found: api_key");
    let now = case.database.clock().now();
    write(&case, async move |tx| tx.api_keys().touch(grace, key.id, now).await).await.unwrap();
    assert_eq!(read(&case, async move |tx| tx.api_keys().list(ada).await).await, [key]);
}
