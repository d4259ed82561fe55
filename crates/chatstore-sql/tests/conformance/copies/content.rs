//! What a copy has of its source.

use chatstore_model::{
    Conversation, ConversationId, CopiedBranches, Day, MemberRole, Message, MessageName, MessageRange,
    NewMessage, NewModelResponse, NewReply, UserId, VerbatimJson,
};
use chatstore_sql::Via;
use chatstore_testkit::{TestDatabase, conformance};

use super::{after, branch, copy, copy_all, copy_head, plan, remove, said, texts, tree};
use crate::fixtures::{
    append, arbitrary_conversation, arbitrary_owner, arbitrary_user, conversation_row, invalid_fields, later,
    messages, read, reply, say, write,
};

conformance!(
    a_path_is_copied_as_a_list_with_everything_that_its_messages_say,
    a_copy_of_all_branches_is_the_same_tree,
    a_copy_ends_with_the_message_that_is_named,
    an_empty_conversation_has_an_empty_copy,
    senders_stay_and_the_owners_of_both_sides_say_what_has_no_sender,
    responses_are_copied_and_no_usage_is_booked,
);

async fn a_path_is_copied_as_a_list_with_everything_that_its_messages_say(case: TestDatabase) {
    let source = tree(&case).await;
    let (owner, id) = source;
    let before = conversation_row(&case, owner, id).await;
    let path: Vec<Message> =
        messages(&case, owner, id).await.into_iter().filter(|one| [1, 2, 4, 5].contains(&one.seq)).collect();
    let now = later(&case);

    let copy = copy_head(&case, owner, source).await;

    let expected = Conversation {
        id: copy.id,
        thread_id: None,
        last_seq: 4,
        message_count: 4,
        head_seq: None,
        revision: 1,
        created_at: now,
        updated_at: now,
        ..before.clone()
    };
    assert_eq!(copy, expected);
    assert_eq!((copy.last_message.as_deref(), copy.title.as_deref()), (Some("five"), Some("Trip")));
    let copied = messages(&case, owner, copy.id).await;
    let seqs: Vec<(i64, Option<i64>)> = copied.iter().map(|one| (one.seq, one.parent_seq)).collect();
    assert_eq!(seqs, [(1, None), (2, None), (3, None), (4, None)]);
    for (copied, original) in copied.iter().zip(&path) {
        let place = (owner, copy.id);
        assert_eq!(said(copied, place), said(original, place));
        assert_eq!(
            copied.parts.as_ref().map(VerbatimJson::as_str),
            original.parts.as_ref().map(VerbatimJson::as_str)
        );
        assert_ne!(copied.id, original.id);
    }
    assert_eq!(conversation_row(&case, owner, id).await, before, "the source stays as it is");
}

async fn a_copy_of_all_branches_is_the_same_tree(case: TestDatabase) {
    let source = tree(&case).await;
    let (owner, id) = source;
    remove(&case, owner, id, &[3]).await;
    branch(&case, owner, id, after(6, "seven")).await;
    remove(&case, owner, id, &[7]).await;
    let before = conversation_row(&case, owner, id).await;

    let copy = copy_all(&case, owner, source).await;

    assert_eq!((copy.last_seq, copy.message_count, copy.head_seq), (7, 5, before.head_seq));
    assert_eq!(copy.last_message, before.last_message);
    let (originals, copied) = (messages(&case, owner, id).await, messages(&case, owner, copy.id).await);
    let shape = |messages: &[Message]| -> Vec<(i64, Option<i64>, String)> {
        messages.iter().map(|one| (one.seq, one.parent_seq, one.content.clone())).collect()
    };
    assert_eq!(shape(&copied), shape(&originals));
    let path = async |id: ConversationId| {
        let start = chatstore_sql::PathStart { leaf: 5, near: None };
        let filter = MessageRange::ALL.into();
        let (order, limit) = (chatstore_model::Order::Ascending, chatstore_model::Limit::MAX);
        let work = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
            tx.messages().page_of_path(owner, id, start, &filter, order, limit).await
        };
        let page = read(&case, work).await.expect("the head is there");
        page.items.into_iter().map(|one| one.content).collect::<Vec<_>>()
    };
    assert_eq!(path(copy.id).await, path(id).await);
    let next = say_next(&case, owner, copy.id).await;
    assert_eq!((next.seq, next.parent_seq), (8, before.head_seq));
}

async fn say_next(case: &TestDatabase, owner: UserId, id: ConversationId) -> Message {
    let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        tx.messages().append_in_steps(Via::Owner(owner), id, &NewMessage::user("next")).await
    };
    write(case, work).await.unwrap()
}

async fn a_copy_ends_with_the_message_that_is_named(case: TestDatabase) {
    let source = tree(&case).await;
    let (owner, id) = source;
    let three = messages(&case, owner, id).await[2].id;
    for (name, expected) in [
        (MessageName::Seq(6), vec!["one, edited", "two", "four ☕", "six"]),
        (MessageName::Id(three), vec!["one, edited", "two", "three"]),
        (MessageName::External("four".to_owned()), vec!["one, edited", "two", "four ☕"]),
    ] {
        let plan = plan(&case, source, Some(name), CopiedBranches::Head).await.unwrap();
        let copy = copy(&case, owner, plan).await;
        let copied = messages(&case, owner, copy.id).await;
        assert_eq!(copied.iter().map(|one| one.content.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(copy.last_message.as_deref(), expected.last().copied());
    }
    let linear = (owner, arbitrary_conversation(&case, owner).await);
    for text in ["a", "b", "c"] {
        say(&case, owner, linear.1, text).await;
    }
    let plan_of_two = plan(&case, linear, Some(MessageName::Seq(2)), CopiedBranches::Head).await.unwrap();
    let copy = copy(&case, owner, plan_of_two).await;
    assert_eq!(texts(&messages(&case, owner, copy.id).await), [(1, "a"), (2, "b")]);
    for absent in [MessageName::Seq(9), MessageName::External("none".to_owned()), MessageName::Id(three)] {
        let refused = plan(&case, linear, Some(absent), CopiedBranches::Head).await;
        assert_eq!(invalid_fields(refused), ["up_to"]);
    }
}

async fn an_empty_conversation_has_an_empty_copy(case: TestDatabase) {
    let source = arbitrary_owner(&case).await;
    for copy in [copy_head(&case, source.0, source).await, copy_all(&case, source.0, source).await] {
        assert_eq!((copy.message_count, copy.last_seq, copy.head_seq, copy.last_message), (0, 0, None, None));
    }
}

async fn senders_stay_and_the_owners_of_both_sides_say_what_has_no_sender(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let (copier, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    for member in [copier, other] {
        write(&case, async move |tx| tx.members().put(owner, id, member, MemberRole::Editor).await)
            .await
            .unwrap();
    }
    say(&case, owner, id, "of the owner").await;
    append(&case, Via::Member(copier), id, NewMessage::user("of the copier")).await.unwrap();
    append(&case, Via::Member(other), id, NewMessage::user("of another")).await.unwrap();
    append(&case, Via::Owner(owner), id, NewMessage::assistant("of a model")).await.unwrap();
    let senders = [Some(owner), Some(copier), Some(other), None];
    for copier in [owner, copier] {
        for copy in [copy_head(&case, copier, (owner, id)).await, copy_all(&case, copier, (owner, id)).await]
        {
            let copied = messages(&case, copier, copy.id).await;
            assert_eq!(copied.iter().map(|one| one.sender_id).collect::<Vec<_>>(), senders);
            let members = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
                tx.members().page(copier, copy.id, None, chatstore_model::Limit::MAX).await
            };
            assert_eq!(read(&case, members).await.items.len(), 1, "members are not copied");
        }
    }
    // What is stored without a sender goes with its owner alone.
    let copy = copy_head(&case, copier, (owner, id)).await;
    write(&case, async move |tx| tx.users().erase(owner).await).await.unwrap();
    assert_eq!(
        texts(&messages(&case, copier, copy.id).await),
        [(2, "of the copier"), (3, "of another"), (4, "of a model")]
    );
}

async fn responses_are_copied_and_no_usage_is_booked(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    say(&case, owner, id, "please").await;
    let response = NewModelResponse {
        model_used: Some("large".to_owned()),
        tokens_prompt: Some(10),
        tokens_completion: Some(20),
        tokens_total: None,
        tokens_cached: Some(4),
        completion_time_ms: Some(1_234),
        finish_reason: Some("stop".to_owned()),
        from_cache: true,
    };
    let answer = reply(&case, owner, id, NewReply { response, ..NewReply::new("yes") }).await.unwrap();
    let day = Day::of(answer.response.created_at);
    let usage =
        async |owner: UserId| read(&case, async move |tx| tx.usage().between(owner, day, day).await).await;
    let before = usage(owner).await;
    let copier = arbitrary_user(&case).await;

    for copier in [owner, copier] {
        let copy = copy_head(&case, copier, (owner, id)).await;
        let copied = messages(&case, copier, copy.id).await;
        let id = copied[1].id;
        let found = read(&case, async move |tx| tx.responses().get(copier, id).await).await;
        let mut expected = answer.response.clone();
        (expected.message_id, expected.conversation_id) = (id, copy.id);
        assert_eq!(found, Some(expected));
        let first = copied[0].id;
        assert_eq!(read(&case, async move |tx| tx.responses().get(copier, first).await).await, None);
    }

    assert_eq!(usage(owner).await, before);
    assert_eq!(usage(copier).await, []);
}
