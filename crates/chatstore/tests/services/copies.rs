//! Copying a conversation: who may, what is left of a copy that fails, and once under a key.

use chatstore::operations::MarkedCounts;
use chatstore::{
    ConversationCopy, ConversationFilter, ConversationId, CopiedBranches, ErrorKind, Exported,
    IdempotencyKey, Invalid, KeyRetention, MessageName, NewConversation, NewMessage, NewReply, PageRequest,
    Store, UserId,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{group, store, user};

conformance!(
    each_who_may_read_a_conversation_copies_it_as_their_own,
    a_copy_that_is_refused_begins_nothing,
    of_concurrent_copies_with_one_thread_id_one_is_made_and_nothing_is_left_of_the_others,
    of_concurrent_copies_with_one_key_one_is_made_and_nothing_is_left_of_the_others,
    a_repetition_gets_the_copy_and_its_ids_when_the_source_is_gone,
    ids_of_more_than_ten_thousand_messages_are_refused_before_anything_is_copied,
    a_long_copy_is_exported_like_its_source,
);

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey {
        key: name.to_owned(),
        operation: "copy".to_owned(),
        request_sha256: [1; 32],
        retention: KeyRetention::Day,
    }
}

fn threaded(thread_id: &str) -> ConversationCopy {
    ConversationCopy { thread_id: Some(thread_id.to_owned()), ..ConversationCopy::default() }
}

/// A conversation of the user's with this many messages.
async fn talk(store: &Store, owner: UserId, count: usize) -> ConversationId {
    let chat = store.as_user(owner);
    let id = chat.conversations().create(NewConversation::titled("Trip")).await.unwrap().id;
    let new: Vec<NewMessage> = (1..=count).map(|number| NewMessage::user(format!("no. {number}"))).collect();
    for some in new.chunks(1_000) {
        chat.messages().append_many(id, some.to_vec()).await.unwrap();
    }
    id
}

async fn texts(store: &Store, user: UserId, id: ConversationId) -> Vec<String> {
    let page = store.as_user(user).messages().page(id, PageRequest::oldest(200)).await.unwrap();
    page.items.into_iter().map(|message| message.content).collect()
}

async fn conversations(store: &Store, user: UserId) -> i64 {
    store.as_user(user).conversations().count(ConversationFilter::EVERYTHING).await.unwrap()
}

/// Nothing is stored that no reader sees.
async fn nothing_is_hidden(store: &Store) {
    store.operations().finish_deletions().await.unwrap();
    assert_eq!(store.operations().being_deleted().await.unwrap(), MarkedCounts::default());
}

async fn each_who_may_read_a_conversation_copies_it_as_their_own(case: TestDatabase) {
    let store = store(&case).await;
    let people = group(&store).await;
    let id = people.conversation.id;
    store.as_user(people.owner).messages().append(id, NewMessage::user("of the owner")).await.unwrap();
    store.as_user(people.editor).messages().append(id, NewMessage::user("of the editor")).await.unwrap();
    for copier in [people.owner, people.editor, people.viewer] {
        let chat = store.as_user(copier);
        let copied = chat.conversations().copy(id, ConversationCopy::default(), false).await.unwrap();
        assert_eq!(copied.conversation.owner_id, copier);
        assert_eq!((copied.copied_from.conversation, copied.copied_from.seq), (id, 2));
        assert_eq!(copied.ids, []);
        let page = chat.messages().page(copied.conversation.id, PageRequest::oldest(10)).await.unwrap();
        let senders: Vec<_> = page.items.iter().map(|message| message.sender_id).collect();
        assert_eq!(senders, [Some(people.owner), Some(people.editor)]);
        let copy = copied.conversation.id;
        for other in [people.owner, people.editor, people.viewer, people.stranger] {
            let found = store.as_user(other).conversations().get(copy).await;
            assert_eq!(found.is_ok(), other == copier, "a copy has no members");
        }
    }
    let chat = store.as_user(people.stranger);
    let refused = chat.conversations().copy(id, ConversationCopy::default(), false).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    nothing_is_hidden(&store).await;
}

async fn a_copy_that_is_refused_begins_nothing(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let id = talk(&store, owner, 3).await;
    let chat = store.as_user(owner);
    chat.conversations().create(NewConversation::thread("taken")).await.unwrap();
    let before = store.operations().counts().await.unwrap();
    let written = store.operations().digests().await.unwrap();

    let refused = chat.conversations().copy(id, threaded("taken"), false).await.unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::AlreadyExists, Some("thread_id")));
    let fields = |error: chatstore::Error| -> Vec<String> {
        let Invalid(errors) = error.invalid().expect("a field is wrong").clone();
        errors.into_iter().map(|error| error.field).collect()
    };
    let up_to = Some(MessageName::Seq(9));
    for copy in [
        ConversationCopy { up_to: up_to.clone(), ..ConversationCopy::default() },
        ConversationCopy { up_to, branches: CopiedBranches::All, ..ConversationCopy::default() },
    ] {
        assert_eq!(fields(chat.conversations().copy(id, copy, false).await.unwrap_err()), ["up_to"]);
    }
    let long = threaded(&"x".repeat(256));
    assert_eq!(fields(chat.conversations().copy(id, long, false).await.unwrap_err()), ["thread_id"]);

    assert_eq!(store.operations().counts().await.unwrap(), before);
    assert_eq!(store.operations().digests().await.unwrap(), written);
    nothing_is_hidden(&store).await;
}

async fn of_concurrent_copies_with_one_thread_id_one_is_made_and_nothing_is_left_of_the_others(
    case: TestDatabase,
) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let id = talk(&store, owner, 120).await;
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store.as_user(owner).conversations().copy(id, threaded("one"), false).await
            })
        })
        .collect();
    let mut made = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => {
                assert_eq!((error.kind(), error.field()), (ErrorKind::AlreadyExists, Some("thread_id")));
            }
        }
    }
    assert_eq!((made, conversations(&store, owner).await), (1, 2));
    let copy = store.as_user(owner).conversations().get_by_thread("one").await.unwrap();
    assert_eq!(texts(&store, owner, copy.id).await, texts(&store, owner, id).await);
    nothing_is_hidden(&store).await;
}

async fn of_concurrent_copies_with_one_key_one_is_made_and_nothing_is_left_of_the_others(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let id = talk(&store, owner, 120).await;
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let once = store.as_user(owner).idempotent(key("one"));
                once.copy(id, threaded("copy"), true).await.unwrap()
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for attempt in attempts {
        outcomes.push(attempt.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.is_replayed).count(), 1);
    assert!(outcomes.iter().all(|outcome| outcome.value == outcomes[0].value), "{outcomes:?}");
    assert_eq!(outcomes[0].value.ids.len(), 120);
    assert_eq!(conversations(&store, owner).await, 2);
    nothing_is_hidden(&store).await;
}

async fn a_repetition_gets_the_copy_and_its_ids_when_the_source_is_gone(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let id = talk(&store, owner, 3).await;
    let chat = store.as_user(owner);
    let copy = async || chat.idempotent(key("one")).copy(id, ConversationCopy::default(), true).await;
    let first = copy().await.unwrap();
    let (old, new): (Vec<_>, Vec<_>) = first.value.ids.iter().copied().unzip();
    let ids = async |id: ConversationId| -> Vec<_> {
        let page = chat.messages().page(id, PageRequest::oldest(10)).await.unwrap();
        page.items.iter().map(|message| message.id).collect()
    };
    assert_eq!((ids(id).await, ids(first.value.conversation.id).await), (old, new));
    chat.conversations().delete(id).await.unwrap();

    let again = copy().await.unwrap();

    assert_eq!((again.is_replayed, again.value), (true, first.value.clone()));
    assert_eq!(conversations(&store, owner).await, 1);
    let other = IdempotencyKey { request_sha256: [2; 32], ..key("one") };
    let refused = chat.idempotent(other).copy(id, ConversationCopy::default(), true).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::KeyReused);
    chat.conversations().delete(first.value.conversation.id).await.unwrap();
    assert_eq!(copy().await.unwrap_err().kind(), ErrorKind::Conflict);
}

async fn ids_of_more_than_ten_thousand_messages_are_refused_before_anything_is_copied(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let id = talk(&store, owner, 10_001).await;
    let chat = store.as_user(owner);
    let all = ConversationCopy { branches: CopiedBranches::All, ..ConversationCopy::default() };
    for copy in [ConversationCopy::default(), all] {
        let refused = chat.conversations().copy(id, copy, true).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.to_string().contains("10000"), "{refused}");
    }
    assert_eq!(conversations(&store, owner).await, 1);
    nothing_is_hidden(&store).await;
}

async fn a_long_copy_is_exported_like_its_source(case: TestDatabase) {
    let store = store(&case).await;
    let owner = user(&store, "ada").await;
    let chat = store.as_user(owner);
    let id = talk(&store, owner, 2_500).await;
    chat.messages().reply(id, NewReply::new("at last")).await.unwrap();
    let usage = store.operations().digests().await.unwrap();
    let usage: Vec<_> = usage.into_iter().filter(|digest| digest.table == "usage_daily").collect();

    let copied = chat.conversations().copy(id, ConversationCopy::default(), false).await.unwrap();

    let mut export = chat.export();
    let (mut originals, mut copies) = (Vec::new(), Vec::new());
    while let Some(rows) = export.next().await.unwrap() {
        for row in rows {
            match row {
                Exported::Message(message) => {
                    let said = (message.seq, message.content, message.effective_model, message.created_at);
                    if message.conversation_id == id { originals.push(said) } else { copies.push(said) }
                }
                Exported::Response(response) => {
                    let said = (0, response.model_used.clone(), response.model_used, response.created_at);
                    if response.conversation_id == id { originals.push(said) } else { copies.push(said) }
                }
                _ => {}
            }
        }
    }
    assert_eq!((originals.len(), copied.conversation.message_count), (2_502, 2_501));
    assert!(originals == copies, "the copy is another one");
    let after = store.operations().digests().await.unwrap();
    let after: Vec<_> = after.into_iter().filter(|digest| digest.table == "usage_daily").collect();
    assert_eq!(after, usage, "usage is not booked");
}
