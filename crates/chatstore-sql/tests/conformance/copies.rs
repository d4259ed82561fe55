//! Copies of conversations: made in pieces that no reader sees, and whole from their last step on.

use std::time::Duration;

use chatstore_model::{
    ArchivedFilter, CanonicalJson, Conversation, ConversationFilter, ConversationId, ConversationPatch,
    CopiedBranches, Day, MemberRole, Membership, Message, MessageName, MessagePatch, MessageRange,
    NewConversation, NewHead, NewMessage, NewModelResponse, NewReply, Parent, UserId, VerbatimJson,
};
use chatstore_sql::{
    ConversationList, CopiedMessages, CopyPlan, CopyProgress, Database, DatabaseOptions, Deletion, Marked,
    MarkedCounts, StoreError, Swept, Via,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    append, arbitrary_conversation, arbitrary_owner, arbitrary_user, arbitrary_uuid, conversation_row,
    failure, invalid_fields, later, messages, read, reply, say, write,
};

conformance!(
    a_path_is_copied_as_a_list_with_everything_that_its_messages_say,
    a_copy_of_all_branches_is_the_same_tree,
    a_copy_ends_with_the_message_that_is_named,
    an_empty_conversation_has_an_empty_copy,
    senders_stay_and_the_owners_of_both_sides_say_what_has_no_sender,
    responses_are_copied_and_no_usage_is_booked,
    a_copy_is_found_by_no_reader_before_it_is_whole,
    a_sweep_takes_no_copy_that_is_being_made,
    a_copy_that_is_left_alone_is_swept_after_ten_minutes,
    a_copy_that_is_given_up_is_swept_at_once,
    a_copy_with_a_taken_thread_id_is_refused_at_its_end,
    a_piece_shows_the_messages_as_they_are_then,
    the_erasure_of_a_sender_ends_a_copy_that_is_being_made,
    the_messages_of_a_sender_in_deletion_are_left_out,
    a_copy_of_a_deleted_source_is_refused,
    a_copy_of_a_deleted_owner_is_ended,
    a_piece_ends_with_a_mebibyte,
);

/// A copy that is being made.
#[derive(Clone)]
struct Making {
    plan: CopyPlan,
    owner: UserId,
    id: ConversationId,
    progress: CopyProgress,
}

async fn plan(
    case: &TestDatabase,
    source: (UserId, ConversationId),
    up_to: Option<MessageName>,
    branches: CopiedBranches,
) -> Result<CopyPlan, StoreError> {
    let (owner, id) = source;
    let work = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.copies().plan(owner, id, up_to.as_ref(), branches).await
    };
    case.database.read("plan", work).await
}

impl Making {
    async fn begin(case: &TestDatabase, owner: UserId, plan: CopyPlan) -> Self {
        let id = ConversationId::from_uuid(arbitrary_uuid(case));
        write(case, async move |tx| tx.copies().begin(owner, id).await).await.unwrap();
        Self { plan, owner, id, progress: CopyProgress::default() }
    }

    /// Copies about this many messages.
    async fn next(&mut self, case: &TestDatabase, limit: i64) -> Result<Option<CopiedMessages>, StoreError> {
        let Self { plan, owner, id, progress } = self.clone();
        let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.copies().next_piece(&plan, owner, id, &progress, limit).await
        };
        let piece = write(case, work).await?;
        if let Some(piece) = &piece {
            self.progress = piece.progress.clone();
        }
        Ok(piece)
    }

    async fn fill(&mut self, case: &TestDatabase, limit: i64) {
        while !self.next(case, limit).await.unwrap().expect("it is being made").is_last {}
    }

    async fn complete(
        &self,
        case: &TestDatabase,
        thread_id: Option<&'static str>,
    ) -> Result<Option<Conversation>, StoreError> {
        let Self { plan, owner, id, progress } = self.clone();
        let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.copies().complete(&plan, owner, id, &progress, thread_id).await
        };
        write(case, work).await
    }

    fn marked(&self) -> Marked {
        Marked::Conversation { owner: self.owner, id: self.id }
    }
}

/// A whole copy, in pieces of three messages.
async fn copy(case: &TestDatabase, owner: UserId, plan: CopyPlan) -> Conversation {
    let mut making = Making::begin(case, owner, plan).await;
    making.fill(case, 3).await;
    making.complete(case, None).await.unwrap().expect("it is being made")
}

async fn copy_head(case: &TestDatabase, owner: UserId, source: (UserId, ConversationId)) -> Conversation {
    copy(case, owner, plan(case, source, None, CopiedBranches::Head).await.unwrap()).await
}

async fn copy_all(case: &TestDatabase, owner: UserId, source: (UserId, ConversationId)) -> Conversation {
    copy(case, owner, plan(case, source, None, CopiedBranches::All).await.unwrap()).await
}

fn after(seq: i64, text: &str) -> NewMessage {
    NewMessage { parent: Some(Parent::Message(MessageName::Seq(seq))), ..NewMessage::user(text) }
}

/// A message with a parent.
async fn branch(case: &TestDatabase, owner: UserId, id: ConversationId, new: NewMessage) {
    let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        tx.messages().append(Via::Owner(owner), id, &new).await
    };
    write(case, work).await.unwrap();
}

async fn edit(case: &TestDatabase, owner: UserId, id: ConversationId, seq: i64, text: &'static str) {
    let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        let found = tx.messages().find_by_seq(Via::Owner(owner), id, seq).await?.expect("it is there");
        let patch = MessagePatch { content: Some(text.to_owned()), ..MessagePatch::default() };
        tx.messages().edit(owner, id, found.id, &patch).await
    };
    write(case, work).await.unwrap();
}

async fn remove(case: &TestDatabase, owner: UserId, id: ConversationId, seqs: &'static [i64]) {
    write(case, async move |tx| tx.messages().remove(owner, id, seqs).await).await.unwrap();
}

fn texts(messages: &[Message]) -> Vec<(i64, &str)> {
    messages.iter().map(|message| (message.seq, message.content.as_str())).collect()
}

/// A message without what is its own in a copy.
fn said(message: &Message, copy: (UserId, ConversationId)) -> Message {
    let (owner_id, conversation_id) = copy;
    let id = chatstore_model::MessageId::from_uuid(uuid::Uuid::nil());
    let sender_id = message.sender_id.map(|_| owner_id);
    Message { owner_id, conversation_id, sender_id, id, seq: 0, parent_seq: None, ..message.clone() }
}

/// 1 ← 2 ← 3, 2 ← 4 ← 5, 4 ← 6 with the head 5, and everything that a message may say in 4.
async fn tree(case: &TestDatabase) -> (UserId, ConversationId) {
    let owner = arbitrary_user(case).await;
    let new = NewConversation {
        thread_id: Some("source".to_owned()),
        default_model: Some("large".to_owned()),
        metadata: CanonicalJson::parse(r#"{"a": [1, 2.5]}"#).unwrap(),
        ..NewConversation::titled("Trip")
    };
    let id = write(case, async move |tx| tx.conversations().create(owner, &new).await).await.unwrap().id;
    say(case, owner, id, "one").await;
    later(case);
    reply(case, owner, id, NewReply::new("two")).await.unwrap();
    later(case);
    say(case, owner, id, "three").await;
    let full = NewMessage {
        parts: Some(VerbatimJson::parse(r#"[ {"type":"text", "n": 1.00, "n": 2e0} ]"#).unwrap()),
        format: Some("x/1".to_owned()),
        external_id: Some("four".to_owned()),
        model: Some("small".to_owned()),
        token_count: Some(7),
        used_documents: CanonicalJson::parse(r#"["d"]"#).unwrap(),
        metadata: CanonicalJson::parse(r#"{"k": {"z": 1, "a": null}}"#).unwrap(),
        ..after(2, "four ☕")
    };
    branch(case, owner, id, full).await;
    later(case);
    branch(case, owner, id, after(4, "five")).await;
    branch(case, owner, id, after(4, "six")).await;
    later(case);
    edit(case, owner, id, 1, "one, edited").await;
    let head = Some(NewHead::Message(MessageName::Seq(5)));
    let patch = ConversationPatch { head, ..ConversationPatch::default() };
    write(case, async move |tx| tx.conversations().update(owner, id, &patch).await).await.unwrap();
    (owner, id)
}

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

/// What any list, count and digest says.
async fn everything(case: &TestDatabase, owner: UserId) -> String {
    let mut lists = String::new();
    for membership in Membership::ALL {
        for archived in ArchivedFilter::ALL {
            let filter = ConversationFilter { membership, archived, ..ConversationFilter::EVERYTHING };
            let list = ConversationList { filter: filter.clone(), ..ConversationList::default() };
            let page = read(case, async move |tx| tx.conversations().page(owner, &list).await).await;
            let count = read(case, async move |tx| tx.conversations().count(owner, &filter).await).await;
            lists.push_str(&format!("{page:?} {count}\n"));
        }
    }
    let digests = read(case, async |tx| tx.statistics().digests().await).await;
    let counts = read(case, async |tx| tx.statistics().counts().await).await;
    format!("{lists}{digests:?}{counts:?}")
}

async fn a_copy_is_found_by_no_reader_before_it_is_whole(case: TestDatabase) {
    let source = tree(&case).await;
    let owner = source.0;
    let before = everything(&case, owner).await;
    let mut making =
        Making::begin(&case, owner, plan(&case, source, None, CopiedBranches::All).await.unwrap()).await;
    let id = making.id;
    let mut copied = Vec::new();
    for _ in 0..3 {
        let piece = making.next(&case, 2).await.unwrap().expect("it is being made");
        copied.extend(piece.ids.iter().map(|(_, new)| *new));
        let message = *copied.last().expect("some were copied");

        assert_eq!(everything(&case, owner).await, before);
        let by = Via::Owner(owner);
        assert_eq!(read(&case, async move |tx| tx.conversations().get(by, id).await).await, None);
        assert_eq!(read(&case, async move |tx| tx.conversations().access(owner, id).await).await, None);
        assert_eq!(read(&case, async move |tx| tx.messages().get(by, id, message).await).await, None);
        assert_eq!(read(&case, async move |tx| tx.messages().find_by_seq(by, id, 1).await).await, None);
        assert_eq!(
            read(&case, async move |tx| tx.messages().find_present(owner, &[message]).await).await,
            []
        );
        assert_eq!(read(&case, async move |tx| tx.responses().of_range(owner, id, 1, 99).await).await, []);
        assert_eq!(messages(&case, owner, id).await, []);
        let appended = append(&case, by, id, NewMessage::user("no")).await;
        assert_eq!(failure(appended), "not found: conversation");
        let deleted = write(&case, async move |tx| tx.conversations().delete(owner, id).await).await;
        assert_eq!(failure(deleted), "not found: conversation");
    }

    making.fill(&case, 2).await;
    assert_eq!(everything(&case, owner).await, before);
    let copy = making.complete(&case, Some("whole")).await.unwrap().expect("it is being made");
    assert_eq!((copy.id, copy.thread_id.as_deref(), copy.message_count), (id, Some("whole"), 6));
    assert_eq!(messages(&case, owner, id).await.len(), 6);
}

async fn a_sweep_takes_no_copy_that_is_being_made(case: TestDatabase) {
    let source = tree(&case).await;
    let mut making =
        Making::begin(&case, source.0, plan(&case, source, None, CopiedBranches::All).await.unwrap()).await;
    making.next(&case, 2).await.unwrap();

    assert_eq!(read(&case, async |tx| tx.deletions().list(10).await).await, []);
    assert_eq!(read(&case, async |tx| tx.deletions().count().await).await, MarkedCounts::default());
    assert_eq!(case.database.sweep(making.marked()).next().await.unwrap(), Swept::Busy);
    // Every piece gives it another ten minutes.
    for _ in 0..2 {
        case.clock.advance(Duration::from_secs(299));
        making.next(&case, 1).await.unwrap().expect("it is being made");
        assert_eq!(case.database.sweep(making.marked()).next().await.unwrap(), Swept::Busy);
    }

    making.fill(&case, 2).await;
    let copy = making.complete(&case, None).await.unwrap().expect("it is being made");
    assert_eq!(messages(&case, source.0, copy.id).await.len(), 6);
    assert_eq!(case.database.sweep(making.marked()).next().await.unwrap(), Swept::Gone, "nothing is marked");
    assert_eq!(messages(&case, source.0, copy.id).await.len(), 6);
}

async fn stored(case: &TestDatabase, marked: Marked) -> i64 {
    read(case, async move |tx| tx.deletions().messages_left(marked).await).await
}

async fn sweep(case: &TestDatabase, marked: Marked) {
    let mut sweep = case.database.sweep(marked);
    while sweep.next().await.unwrap() != Swept::Gone {}
    assert_eq!(stored(case, marked).await, 0);
    assert_eq!(read(case, async |tx| tx.deletions().list(10).await).await, []);
}

async fn a_copy_that_is_left_alone_is_swept_after_ten_minutes(case: TestDatabase) {
    let source = tree(&case).await;
    let before = everything(&case, source.0).await;
    let mut making =
        Making::begin(&case, source.0, plan(&case, source, None, CopiedBranches::Head).await.unwrap()).await;
    making.next(&case, 2).await.unwrap();

    // A server whose clock is five minutes late cannot go on with what another one sweeps.
    case.clock.advance(Duration::from_secs(300));
    assert!(making.next(&case, 2).await.unwrap().is_none());
    assert_eq!(making.complete(&case, None).await.unwrap(), None);
    assert_eq!(read(&case, async |tx| tx.deletions().list(10).await).await, []);
    case.clock.advance(Duration::from_secs(300));

    assert_eq!(read(&case, async |tx| tx.deletions().list(10).await).await, [making.marked()]);
    assert_eq!(
        read(&case, async |tx| tx.deletions().count().await).await,
        MarkedCounts { users: 0, conversations: 1 }
    );
    assert_eq!(stored(&case, making.marked()).await, 2);
    sweep(&case, making.marked()).await;
    assert_eq!(everything(&case, source.0).await, before);
}

async fn a_copy_that_is_given_up_is_swept_at_once(case: TestDatabase) {
    let source = tree(&case).await;
    let mut making =
        Making::begin(&case, source.0, plan(&case, source, None, CopiedBranches::Head).await.unwrap()).await;
    making.next(&case, 2).await.unwrap();
    let (owner, id) = (making.owner, making.id);

    assert!(write(&case, async move |tx| tx.copies().give_up(owner, id).await).await.unwrap());

    assert!(making.next(&case, 2).await.unwrap().is_none());
    assert_eq!(making.complete(&case, None).await.unwrap(), None);
    sweep(&case, making.marked()).await;
    let (owner, id) = source;
    assert!(!write(&case, async move |tx| tx.copies().give_up(owner, id).await).await.unwrap());
    assert_eq!(messages(&case, owner, id).await.len(), 6, "a conversation is no copy that is being made");
}

async fn a_copy_with_a_taken_thread_id_is_refused_at_its_end(case: TestDatabase) {
    let source = tree(&case).await;
    let mut making =
        Making::begin(&case, source.0, plan(&case, source, None, CopiedBranches::Head).await.unwrap()).await;
    making.fill(&case, 2).await;

    let refused = making.complete(&case, Some("source")).await;

    assert_eq!(failure(refused), "already exists: conversation.thread_id");
    assert!(making.complete(&case, Some("free")).await.unwrap().is_some());
}

async fn a_piece_shows_the_messages_as_they_are_then(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    for text in ["one", "two", "three", "four", "five"] {
        say(&case, owner, id, text).await;
    }
    let mut making =
        Making::begin(&case, owner, plan(&case, (owner, id), None, CopiedBranches::Head).await.unwrap())
            .await;
    making.next(&case, 2).await.unwrap();
    edit(&case, owner, id, 1, "one, too late").await;
    edit(&case, owner, id, 3, "three, in time").await;
    remove(&case, owner, id, &[2, 4]).await;
    say(&case, owner, id, "six").await;

    making.fill(&case, 2).await;

    let copy = making.complete(&case, None).await.unwrap().expect("it is being made");
    let copied = messages(&case, owner, copy.id).await;
    assert_eq!(texts(&copied), [(1, "one"), (2, "two"), (3, "three, in time"), (4, "five")]);
    assert_eq!((copy.message_count, copy.last_seq, copy.last_message.as_deref()), (4, 4, Some("five")));
    assert_eq!(making.progress.last_seq(), 5);

    // The head is that of the beginning, and when it is deleted the one that took its place.
    let source = tree(&case).await;
    let (owner, id) = source;
    let mut making =
        Making::begin(&case, owner, plan(&case, source, None, CopiedBranches::All).await.unwrap()).await;
    making.next(&case, 2).await.unwrap();
    remove(&case, owner, id, &[4, 5]).await;
    making.fill(&case, 2).await;
    let copy = making.complete(&case, None).await.unwrap().expect("it is being made");
    let shape: Vec<_> = messages(&case, owner, copy.id).await.iter().map(|m| (m.seq, m.parent_seq)).collect();
    assert_eq!(shape, [(1, None), (2, None), (3, None), (6, Some(2))]);
    assert_eq!((copy.head_seq, copy.message_count, copy.last_message.as_deref()), (Some(2), 4, Some("two")));
}

/// A conversation with messages of a member: 1, member's 2 and 3 after it, 4 after 3, and 5 after 1.
async fn shared(case: &TestDatabase) -> (UserId, ConversationId, UserId) {
    let (owner, id) = arbitrary_owner(case).await;
    let member = arbitrary_user(case).await;
    write(case, async move |tx| tx.members().put(owner, id, member, MemberRole::Editor).await).await.unwrap();
    say(case, owner, id, "one").await;
    for text in ["two", "three"] {
        append(case, Via::Member(member), id, NewMessage::user(text)).await.unwrap();
    }
    say(case, owner, id, "four").await;
    branch(case, owner, id, after(3, "five")).await;
    (owner, id, member)
}

/// The same database for a process to which more than one row is many.
async fn impatient(case: &TestDatabase) -> Database {
    let options = DatabaseOptions {
        clock: case.database.clock(),
        ids: case.database.ids(),
        rows_at_once: 1,
        ..DatabaseOptions::new(case.url.clone())
    };
    Database::open(options).await.unwrap()
}

async fn the_erasure_of_a_sender_ends_a_copy_that_is_being_made(case: TestDatabase) {
    let other = impatient(&case).await;
    for database in [&case.database, &other] {
        let (owner, id, member) = shared(&case).await;
        let plan = plan(&case, (owner, id), None, CopiedBranches::All).await.unwrap();
        let mut making = Making::begin(&case, owner, plan).await;
        making.next(&case, 3).await.unwrap();

        let erase = async move |tx: &mut chatstore_sql::WriteTx<'_>| tx.users().erase(member).await;
        if let Deletion::Marked(marked) = database.write("erase", erase).await.unwrap() {
            let mut sweep = database.sweep(marked);
            while sweep.next().await.unwrap() != Swept::Gone {}
        }

        assert!(making.next(&case, 3).await.unwrap().is_none());
        assert_eq!(making.complete(&case, None).await.unwrap(), None);
        sweep(&case, making.marked()).await;
    }
    other.close().await;
}

async fn the_messages_of_a_sender_in_deletion_are_left_out(case: TestDatabase) {
    let (owner, id, member) = shared(&case).await;
    let other = impatient(&case).await;
    let erase = async move |tx: &mut chatstore_sql::WriteTx<'_>| tx.users().erase(member).await;
    assert!(matches!(other.write("erase", erase).await, Ok::<_, StoreError>(Deletion::Marked(_))));

    let (tree, path) =
        (copy_all(&case, owner, (owner, id)).await, copy_head(&case, owner, (owner, id)).await);

    let shape: Vec<_> = messages(&case, owner, tree.id).await.iter().map(|m| (m.seq, m.parent_seq)).collect();
    assert_eq!(shape, [(1, None), (4, None), (5, Some(1))]);
    assert_eq!((tree.message_count, tree.head_seq, tree.last_seq), (3, Some(5), 5));
    assert_eq!(texts(&messages(&case, owner, path.id).await), [(1, "one"), (2, "five")]);
    assert_eq!((path.message_count, path.last_seq), (2, 2));
    other.close().await;
}

async fn a_copy_of_a_deleted_source_is_refused(case: TestDatabase) {
    let source = tree(&case).await;
    let (owner, id) = source;
    let mut making =
        Making::begin(&case, owner, plan(&case, source, None, CopiedBranches::Head).await.unwrap()).await;
    making.next(&case, 2).await.unwrap();
    write(&case, async move |tx| tx.conversations().delete(owner, id).await).await.unwrap();

    assert_eq!(failure(making.next(&case, 2).await), "not found: conversation");
    assert_eq!(failure(making.complete(&case, None).await), "not found: conversation");
    assert_eq!(failure(plan(&case, source, None, CopiedBranches::Head).await), "not found: conversation");
}

async fn a_copy_of_a_deleted_owner_is_ended(case: TestDatabase) {
    let source = tree(&case).await;
    let copier = arbitrary_user(&case).await;
    let mut making =
        Making::begin(&case, copier, plan(&case, source, None, CopiedBranches::Head).await.unwrap()).await;
    making.next(&case, 2).await.unwrap();
    let other = impatient(&case).await;
    let erase = async move |tx: &mut chatstore_sql::WriteTx<'_>| tx.users().erase(copier).await;
    let erased: Result<Deletion, StoreError> = other.write("erase", erase).await;
    let Deletion::Marked(marked) = erased.unwrap() else { panic!("it has more than one row") };

    assert!(making.next(&case, 2).await.unwrap().is_none());
    assert_eq!(making.complete(&case, None).await.unwrap(), None);
    sweep(&case, marked).await;
    assert_eq!(stored(&case, making.marked()).await, 0);
    let begun = write(&case, async move |tx| tx.copies().begin(copier, making.id).await).await;
    assert_eq!(failure(begun), "missing parent: conversation");
    other.close().await;
}

async fn a_piece_ends_with_a_mebibyte(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    for letter in ["a", "b", "c", "d", "e"] {
        say(&case, owner, id, &letter.repeat(600_000)).await;
    }
    let mut making =
        Making::begin(&case, owner, plan(&case, (owner, id), None, CopiedBranches::Head).await.unwrap())
            .await;
    let mut counts = Vec::new();
    loop {
        let piece = making.next(&case, 2_000).await.unwrap().expect("it is being made");
        counts.push(piece.ids.len());
        if piece.is_last {
            break;
        }
    }
    assert_eq!(counts, [2, 2, 1]);
    assert_eq!(making.complete(&case, None).await.unwrap().map(|copy| copy.message_count), Some(5));
}
