//! Many at once: numbers without a gap, counts and sums that are right, previews of the newest.

use std::collections::HashSet;

use chatstore_model::{
    ConversationId, Day, MemberRole, Message, MessagePatch, NewMessage, NewReply, UserId, preview,
};
use chatstore_sql::{Database, StoreError, Via, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;

use crate::fixtures::{
    SERVER_MODEL, arbitrary_conversation, arbitrary_owner, arbitrary_user, conversation_row, messages, read,
    reply_of, say, shape, write,
};

conformance!(
    sixty_four_writers_on_eight_conversations_leave_no_gap,
    owner_and_editors_at_once_leave_no_gap,
    replies_at_once_are_summed_up_right,
    batches_and_single_messages_at_once_keep_batches_together,
    appends_edits_and_deletions_at_once_leave_the_head_right,
    of_two_who_delete_one_message_the_second_finds_it_gone,
    a_conversation_deleted_under_its_writers_leaves_nothing,
    a_member_erased_while_writing_leaves_nothing,
);

/// What must hold of every conversation after whatever happened.
async fn assert_consistent(case: &TestDatabase, owner: UserId, conversation: ConversationId) {
    let row = conversation_row(case, owner, conversation).await;
    let messages = messages(case, owner, conversation).await;
    assert_eq!(row.message_count, i64::try_from(messages.len()).unwrap());
    let newest = messages.last();
    assert!(row.last_seq >= newest.map_or(0, |message| message.seq));
    assert_eq!(row.last_message.as_deref(), newest.map(|message| preview(&message.content)));
    assert_eq!(row.last_message_at, newest.map(|message| message.created_at));
    let ids: HashSet<_> = messages.iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), messages.len());
}

async fn append(
    database: &Database,
    by: Via,
    conversation: ConversationId,
    text: String,
) -> Result<Message, StoreError> {
    let new = NewMessage::user(text);
    let work = async move |tx: &mut WriteTx<'_>| tx.messages().append(by, conversation, &new).await;
    database.write_single("append", work).await
}

async fn put(case: &TestDatabase, owner: UserId, conversation: ConversationId, user: UserId) {
    let put =
        write(case, async move |tx| tx.members().put(owner, conversation, user, MemberRole::Editor).await);
    put.await.unwrap();
}

fn seqs(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.seq).collect()
}

async fn sixty_four_writers_on_eight_conversations_leave_no_gap(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let mut conversations = Vec::new();
    for _ in 0..8 {
        conversations.push(arbitrary_conversation(&case, owner).await);
    }
    let writers = (0..64).map(|writer| {
        let (database, conversation) = (case.database.clone(), conversations[writer % 8]);
        tokio::spawn(async move {
            let mut appended = Vec::new();
            for number in 0..20 {
                let text = format!("{writer} {number}");
                appended.push(append(&database, Via::Owner(owner), conversation, text).await.unwrap());
            }
            appended
        })
    });
    let answers: Vec<Vec<Message>> = join_all(writers).await.into_iter().map(Result::unwrap).collect();

    let mut ids = HashSet::new();
    for (conversation, first_writer) in conversations.into_iter().zip(0..) {
        let stored = messages(&case, owner, conversation).await;
        assert_eq!(seqs(&stored), (1..=160).collect::<Vec<_>>());
        assert_consistent(&case, owner, conversation).await;
        for answer in answers.iter().skip(first_writer).step_by(8) {
            assert!(answer.is_sorted_by_key(|message| message.seq), "one writer's messages stay in order");
            assert!(answer.iter().all(|message| stored[(message.seq - 1) as usize] == *message));
        }
        ids.extend(stored.iter().map(|message| message.id));
    }
    assert_eq!(ids.len(), 1_280);
}

async fn owner_and_editors_at_once_leave_no_gap(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut writers = vec![Via::Owner(owner)];
    for _ in 0..7 {
        let editor = arbitrary_user(&case).await;
        put(&case, owner, conversation, editor).await;
        writers.push(Via::Member(editor));
    }
    let tasks = writers.into_iter().map(|by| {
        let database = case.database.clone();
        tokio::spawn(async move {
            for number in 0..20 {
                let message = append(&database, by, conversation, number.to_string()).await.unwrap();
                assert_eq!((message.owner_id, message.sender_id), (owner, Some(by.user())));
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(seqs(&messages(&case, owner, conversation).await), (1..=160).collect::<Vec<_>>());
    assert_consistent(&case, owner, conversation).await;
}

/// Half of them through the one statement for a known model, half through the steps for an unknown.
async fn replies_at_once_are_summed_up_right(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let conversations =
        [arbitrary_conversation(&case, owner).await, arbitrary_conversation(&case, owner).await];
    let tasks = (1..=64).map(|number: i64| {
        let (database, conversation) = (case.database.clone(), conversations[number as usize % 2]);
        tokio::spawn(async move {
            let mut new: NewReply = reply_of(SERVER_MODEL, number, 2 * number);
            if number % 4 < 2 {
                new.response.model_used = None;
            }
            new.response.from_cache = number % 8 == 0;
            let work =
                async move |tx: &mut WriteTx<'_>| tx.messages().record_reply(owner, conversation, &new).await;
            database.write("reply", work).await.unwrap()
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }

    let today = Day::of(case.database.clock().now());
    let usage = read(&case, async move |tx| tx.usage().between(owner, today, today).await).await;
    let sum = 64 * 65 / 2;
    assert_eq!(usage.len(), 1);
    assert_eq!((usage[0].requests, usage[0].cached_requests), (64, 8));
    assert_eq!((usage[0].tokens_prompt, usage[0].tokens_completion), (sum, 2 * sum));
    assert_eq!(usage[0].tokens_total, 3 * sum);
    for conversation in conversations {
        assert_eq!(seqs(&messages(&case, owner, conversation).await), (1..=32).collect::<Vec<_>>());
        assert_consistent(&case, owner, conversation).await;
    }
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.responses, 64);
}

async fn batches_and_single_messages_at_once_keep_batches_together(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let tasks = (0..32).map(|number: usize| {
        let database = case.database.clone();
        tokio::spawn(async move {
            if number.is_multiple_of(2) {
                append(&database, Via::Owner(owner), conversation, "alone".to_owned()).await.unwrap();
                return;
            }
            let new: Vec<NewMessage> =
                (0..number).map(|place| NewMessage::user(format!("{number} {place}"))).collect();
            let work = async move |tx: &mut WriteTx<'_>| {
                tx.messages().append_many(owner, conversation, &[], &new).await
            };
            let appended = database.write("batch", work).await.unwrap();
            let first = appended[0].seq;
            assert_eq!(seqs(&appended), (first..).take(number).collect::<Vec<_>>());
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let stored = messages(&case, owner, conversation).await;
    assert_eq!(seqs(&stored), (1..=16 + 256).collect::<Vec<_>>());
    assert_consistent(&case, owner, conversation).await;
}

async fn appends_edits_and_deletions_at_once_leave_the_head_right(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for number in 0..40 {
        say(&case, owner, conversation, &format!("before {number}")).await;
    }
    let before = messages(&case, owner, conversation).await;
    let tasks = before.into_iter().rev().map(|message| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let id = message.id;
            match message.seq % 3 {
                0 => append(&database, Via::Owner(owner), conversation, "new".to_owned()).await.map(|_| ()),
                1 => {
                    let content = Some(format!("edited {}", message.seq));
                    let patch = MessagePatch { content, ..MessagePatch::default() };
                    let work = async move |tx: &mut WriteTx<'_>| {
                        tx.messages().edit(owner, conversation, id, &patch).await.map(|_| ())
                    };
                    database.write("edit", work).await
                }
                _ => {
                    let work =
                        async move |tx: &mut WriteTx<'_>| tx.messages().delete(owner, conversation, id).await;
                    database.write("delete", work).await
                }
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap().unwrap();
    }
    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!((after.last_seq, after.message_count), (53, 40));
    assert_consistent(&case, owner, conversation).await;
}

/// Many rounds, because the two must meet between the look and the deletion to go wrong.
async fn of_two_who_delete_one_message_the_second_finds_it_gone(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for _ in 0..20 {
        let id = say(&case, owner, conversation, "hello").await.id;
        let delete = || write(&case, async move |tx| tx.messages().delete(owner, conversation, id).await);
        let answers: [Result<(), StoreError>; 2] = tokio::join!(delete(), delete()).into();
        let failures: Vec<String> =
            answers.iter().filter_map(|answer| answer.as_ref().err().map(shape)).collect();
        assert_eq!(failures, ["not found: message"]);
        assert_consistent(&case, owner, conversation).await;
    }
}

async fn a_conversation_deleted_under_its_writers_leaves_nothing(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let tasks = (0..24).map(|number| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let work = async move |tx: &mut WriteTx<'_>| match number {
                12 => tx.conversations().delete(owner, conversation).await.map(drop),
                _ => {
                    let new = reply_of("m", 1, 1);
                    tx.messages().record_reply(owner, conversation, &new).await.map(|_| ())
                }
            };
            database.write("reply or delete", work).await
        })
    });
    let mut stored = 0;
    for (answer, number) in join_all(tasks).await.into_iter().zip(0..) {
        match answer.unwrap() {
            Ok(()) => stored += i64::from(number != 12),
            Err(error) => {
                assert_eq!((number != 12, shape(&error).as_str()), (true, "not found: conversation"))
            }
        }
    }

    let counts = read(&case, async |tx| tx.statistics().counts().await).await;
    assert_eq!((counts.conversations, counts.messages, counts.responses), (0, 0, 0));
    let today = Day::of(case.database.clock().now());
    let usage = read(&case, async move |tx| tx.usage().between(owner, today, today).await).await;
    assert_eq!(usage.iter().map(|row| row.requests).sum::<i64>(), stored);
}

async fn a_member_erased_while_writing_leaves_nothing(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for _ in 0..5 {
        let member = arbitrary_user(&case).await;
        let mut conversations = Vec::new();
        for _ in 0..4 {
            let conversation = arbitrary_conversation(&case, owner).await;
            put(&case, owner, conversation, member).await;
            conversations.push(conversation);
        }
        let tasks = (0..32).map(|number| {
            let (database, conversation) = (case.database.clone(), conversations[number % 4]);
            tokio::spawn(async move {
                match number {
                    16 => {
                        database
                            .write("erase", async move |tx| tx.users().erase(member).await.map(drop))
                            .await
                    }
                    _ => {
                        let by = if number % 3 == 0 { Via::Owner(owner) } else { Via::Member(member) };
                        append(&database, by, conversation, number.to_string()).await.map(|_| ())
                    }
                }
            })
        });
        for (answer, number) in join_all(tasks).await.into_iter().zip(0..) {
            if let Err(error) = answer.unwrap() {
                let refused = ["not found: conversation", "missing parent: message"];
                assert!(
                    number % 3 != 0 && number != 16 && refused.contains(&shape(&error).as_str()),
                    "{error}"
                );
            }
        }
        assert_eq!(read(&case, async move |tx| tx.users().get(member).await).await, None);
        for conversation in conversations {
            let left = messages(&case, owner, conversation).await;
            assert!(left.iter().all(|message| message.sender_id == Some(owner)));
            assert_consistent(&case, owner, conversation).await;
        }
    }
}
