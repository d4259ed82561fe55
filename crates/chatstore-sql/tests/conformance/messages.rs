//! Messages: appended with the next number, found by id and by number.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chatstore_model::{
    CanonicalJson, Change, Clock, ConversationId, ConversationPatch, Message, MessageId, MessageRole,
    NewMessage, Timestamp, UserId, VerbatimJson, preview,
};
use chatstore_sql::{Database, DatabaseOptions, StoreError, Via, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};
use uuid::Uuid;

use crate::fixtures::{
    absent_message, absent_user, append, arbitrary_conversation, arbitrary_owner, arbitrary_user,
    conversation_row, failure, later, messages, read, say, write,
};

conformance!(
    a_message_appended_is_found_by_id_and_by_number,
    every_role_is_kept_and_only_people_are_senders,
    order_is_that_of_appending_and_never_of_times,
    an_append_shows_in_the_head_of_the_conversation,
    a_preview_is_the_first_200_characters,
    a_message_keeps_the_id_and_the_time_it_brings,
    several_messages_are_appended_in_order_with_consecutive_numbers,
    several_messages_are_appended_all_or_none,
    there_is_one_sender_for_each_message_or_none_at_all,
    appending_no_messages_changes_nothing,
    the_time_of_the_last_message_is_that_of_the_newest,
    a_preview_set_by_the_application_stays_until_the_next_append,
    an_empty_message_is_shown_as_an_empty_preview,
    an_owners_conversations_are_numbered_apart,
);

async fn append_many(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    new: Vec<NewMessage>,
) -> Result<Vec<Message>, StoreError> {
    write(case, async move |tx| tx.messages().append_many(owner, conversation, &[], &new).await).await
}

fn full() -> NewMessage {
    NewMessage {
        parts: Some(VerbatimJson::parse(r#"[{"type": "text", "text": "hello"}]"#).unwrap()),
        format: Some("openai-agents/1".to_owned()),
        model: Some("large".to_owned()),
        token_count: Some(3),
        used_documents: CanonicalJson::parse(r#"["a", {"id": 7}]"#).unwrap(),
        metadata: CanonicalJson::parse(r#"{"mood": "good"}"#).unwrap(),
        ..NewMessage::user("hello")
    }
}

async fn a_message_appended_is_found_by_id_and_by_number(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let now = later(&case);

    let appended = append(&case, Via::Owner(owner), conversation, full()).await.unwrap();

    let id = appended.id;
    let expected = Message {
        effective_model: "large".to_owned(),
        owner_id: owner,
        conversation_id: conversation,
        seq: 1,
        id,
        sender_id: Some(owner),
        role: MessageRole::User,
        content: "hello".to_owned(),
        parts: full().parts,
        model: full().model,
        token_count: Some(3),
        used_documents: full().used_documents,
        metadata: full().metadata,
        created_at: now,
        edited_at: None,
        format: full().format,
        external_id: None,
        parent_seq: None,
    };
    assert_eq!(appended, expected);
    let by = Via::Owner(owner);
    let found = read(&case, async move |tx| tx.messages().get(by, conversation, id).await).await;
    assert_eq!(found, Some(expected.clone()));
    let found = read(&case, async move |tx| tx.messages().find_by_seq(by, conversation, 1).await).await;
    assert_eq!(found, Some(expected));
    let absent = absent_message(&case);
    assert_eq!(read(&case, async move |tx| tx.messages().get(by, conversation, absent).await).await, None);
    for seq in [i64::MIN, 0, 2, i64::MAX] {
        let found = read(&case, async move |tx| tx.messages().find_by_seq(by, conversation, seq).await);
        assert_eq!(found.await, None);
    }
}

async fn every_role_is_kept_and_only_people_are_senders(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let new = || MessageRole::ALL.map(|role| NewMessage::new(role, role.as_str()));
    for message in new() {
        append(&case, Via::Owner(owner), conversation, message).await.unwrap();
    }
    append_many(&case, owner, conversation, new().to_vec()).await.unwrap();

    let stored = messages(&case, owner, conversation).await;
    assert_eq!(stored.len(), 10);
    for (message, role) in stored.iter().zip(MessageRole::ALL.iter().cycle()) {
        assert_eq!((message.role, message.content.as_str()), (*role, role.as_str()));
        let sender = (*role == MessageRole::User).then_some(owner);
        assert_eq!(message.sender_id, sender, "{role:?}");
    }
}

async fn order_is_that_of_appending_and_never_of_times(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let now = case.database.clock().now();
    let mut appended = Vec::new();
    for offset in [5, 3, 9, -4, 0] {
        case.clock.set(now.plus_microseconds(offset));
        appended.push(say(&case, owner, conversation, &offset.to_string()).await);
    }
    let many: Vec<NewMessage> = [7, -8, 1]
        .map(|offset| NewMessage {
            created_at: Some(now.plus_microseconds(offset)),
            ..NewMessage::user(offset.to_string())
        })
        .to_vec();
    appended.extend(append_many(&case, owner, conversation, many).await.unwrap());

    assert_eq!(messages(&case, owner, conversation).await, appended);
    let seqs: Vec<i64> = appended.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7, 8]);
}

async fn an_append_shows_in_the_head_of_the_conversation(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut expected = conversation_row(&case, owner, conversation).await;
    for number in 1..=3 {
        let now = later(&case);
        let text = format!("message {number}");
        say(&case, owner, conversation, &text).await;
        expected.last_seq = number;
        expected.message_count = number;
        expected.last_message = Some(text);
        expected.last_message_at = Some(now);
        expected.updated_at = now;
        let found = conversation_row(&case, owner, conversation).await;
        assert!(found.revision > expected.revision);
        expected.revision = found.revision;
        assert_eq!(found, expected);
    }
    let now = later(&case);
    let many = ["four", "five"].map(NewMessage::user).to_vec();
    append_many(&case, owner, conversation, many).await.unwrap();
    let found = conversation_row(&case, owner, conversation).await;
    assert!(found.revision > expected.revision);
    assert_eq!((found.last_seq, found.message_count), (5, 5));
    assert_eq!(found.last_message.as_deref(), Some("five"));
    assert_eq!((found.last_message_at, found.updated_at), (Some(now), now));
}

/// Characters of one, two, three and four bytes, and one that consists of several scalar values.
async fn a_preview_is_the_first_200_characters(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for character in ["a", "é", "知", "😀", "👩‍👩‍👧", "e\u{301}"] {
        for length in [199, 200, 201, 500] {
            let text = character.repeat(length);
            let by_append = say(&case, owner, conversation, &text).await;
            let shown = conversation_row(&case, owner, conversation).await.last_message;
            assert_eq!(shown.as_deref(), Some(preview(&text)), "{length} of {character}");
            let one_more = vec![NewMessage::user(text.as_str()), NewMessage::user("x")];
            let more = append_many(&case, owner, conversation, one_more).await.unwrap();
            let last = more[1].id;
            write(&case, async move |tx| tx.messages().delete(owner, conversation, last).await)
                .await
                .unwrap();
            let repaired = conversation_row(&case, owner, conversation).await.last_message;
            assert_eq!(repaired.as_deref(), Some(preview(&text)), "{length} of {character}, repaired");
            assert_eq!(by_append.content, text);
        }
    }
}

async fn a_message_keeps_the_id_and_the_time_it_brings(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let id = MessageId::from_uuid(Uuid::from_u128(7));
    let at: Timestamp = "1999-12-31T23:59:59.999999Z".parse().unwrap();
    let new = NewMessage { id: Some(id), created_at: Some(at), ..NewMessage::user("old") };

    let appended = append(&case, Via::Owner(owner), conversation, new.clone()).await.unwrap();

    assert_eq!((appended.id, appended.created_at), (id, at));
    assert_eq!(messages(&case, owner, conversation).await, [appended]);
    let again = append(&case, Via::Owner(owner), conversation, new).await;
    assert_eq!(failure(again), "already exists: message.id");
    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!((after.last_seq, after.message_count), (1, 1), "a refused append takes no number");
}

async fn several_messages_are_appended_in_order_with_consecutive_numbers(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    say(&case, owner, conversation, "before").await;
    later(&case);
    let new: Vec<NewMessage> =
        (0..200).map(|number| NewMessage { token_count: Some(number), ..full() }).collect();

    let appended = append_many(&case, owner, conversation, new).await.unwrap();

    assert_eq!(appended.len(), 200);
    for (message, number) in appended.iter().zip(0..) {
        assert_eq!((message.seq, message.token_count), (number + 2, Some(number)));
    }
    assert_eq!(messages(&case, owner, conversation).await[1..], appended);
}

async fn several_messages_are_appended_all_or_none(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let first = say(&case, owner, conversation, "first").await;
    let before = conversation_row(&case, owner, conversation).await;
    let taken = NewMessage { id: Some(first.id), ..NewMessage::user("taken") };
    let too_long = NewMessage { model: Some("m".repeat(256)), ..NewMessage::user("too long") };
    let good = || NewMessage::user("good");

    let answer = append_many(&case, owner, conversation, vec![good(), taken, good()]).await;
    assert_eq!(failure(answer), "already exists: message.id");
    let answer = append_many(&case, owner, conversation, vec![good(), too_long]).await;
    assert!(failure(answer).starts_with("invalid: messages[1].model"));
    let absent = absent_user(&case);
    let answer = write(&case, async move |tx| {
        tx.messages().append_many(owner, conversation, &[None, Some(absent)], &[good(), good()]).await
    })
    .await;
    assert_eq!(failure(answer), "missing parent: message");

    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    assert_eq!(messages(&case, owner, conversation).await, [first]);
}

async fn there_is_one_sender_for_each_message_or_none_at_all(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for (senders, is_good) in [(0, true), (1, false), (2, true), (3, false)] {
        let answer = write(&case, async move |tx| {
            let new = ["one", "two"].map(NewMessage::user);
            tx.messages().append_many(owner, conversation, &vec![Some(owner); senders], &new).await
        })
        .await;
        let refused = "refused: there must be one sender for each message, or none at all";
        assert!(answer.is_ok() == is_good && (is_good || failure(answer) == refused), "{senders}");
    }
}

async fn appending_no_messages_changes_nothing(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    later(&case);

    assert_eq!(append_many(&case, owner, conversation, vec![]).await.unwrap(), []);
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
}

/// A clock that never says the same twice.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(self.0.fetch_add(1, Ordering::Relaxed)).unwrap()
    }
}

async fn the_time_of_the_last_message_is_that_of_the_newest(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let clock = Arc::new(Ticking(AtomicI64::new(later(&case).as_microseconds())));
    let ticking = Database::open(DatabaseOptions { clock, ..DatabaseOptions::new(case.url.clone()) });
    let ticking = ticking.await.unwrap();
    let many = ["one", "two", "three"].map(NewMessage::user);
    let append_many =
        async move |tx: &mut WriteTx<'_>| tx.messages().append_many(owner, conversation, &[], &many).await;
    let appended = ticking.write("append", append_many).await.unwrap();
    let newest = appended.last().map(|message| message.created_at);
    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!((after.last_message_at, Some(after.updated_at)), (newest, newest));

    let append = async move |tx: &mut WriteTx<'_>| {
        tx.messages().append(Via::Owner(owner), conversation, &full()).await
    };
    let appended = ticking.write("append", append).await.unwrap();
    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!(after.last_message_at, Some(appended.created_at));
    ticking.close().await;
}

async fn a_preview_set_by_the_application_stays_until_the_next_append(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let set = "x".repeat(4_000);
    let patch = ConversationPatch { last_message: Change::Set(set.clone()), ..ConversationPatch::default() };
    write(&case, async move |tx| tx.conversations().update(owner, conversation, &patch).await).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await.last_message, Some(set));

    say(&case, owner, conversation, "said").await;

    assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some("said"));
}

async fn an_empty_message_is_shown_as_an_empty_preview(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;

    let appended = say(&case, owner, conversation, "").await;

    assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some(""));
    assert_eq!(messages(&case, owner, conversation).await, [appended]);
}

async fn an_owners_conversations_are_numbered_apart(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let one = arbitrary_conversation(&case, owner).await;
    let other = arbitrary_conversation(&case, owner).await;
    for (conversation, seq) in [(one, 1), (other, 1), (one, 2), (one, 3), (other, 2)] {
        assert_eq!(say(&case, owner, conversation, "hello").await.seq, seq);
    }
}
