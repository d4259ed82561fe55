//! What is large is deleted in pieces: gone at once for every reader, row by row afterwards.

use chatstore_model::{
    ArchivedFilter, Change, ConversationFilter, ConversationId, ConversationPatch, Day, Limit, MemberRole,
    Membership, MessageRange, NewConversation, NewMessage, Order, UserId,
};
use chatstore_sql::{
    ConversationList, Database, DatabaseOptions, Deletion, Marked, MarkedCounts, PiecePosition, StoreError,
    Swept, TableDigest, Via,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    append, arbitrary_conversation, arbitrary_owner, arbitrary_user, conversation_row, create_conversation,
    failure, messages, read, reply, reply_of, say, write,
};

conformance!(
    a_conversation_of_a_thousand_messages_is_deleted_at_once,
    a_longer_conversation_is_gone_for_everybody_at_once,
    a_deleted_conversation_is_in_no_digest_and_no_count_before_its_rows_are_gone,
    the_thread_id_of_a_conversation_in_deletion_is_free,
    the_id_of_a_conversation_in_deletion_is_free_when_its_rows_are_gone,
    an_append_to_a_conversation_in_deletion_finds_none,
    a_sweep_deletes_every_row_and_leaves_others_alone,
    two_sweeps_of_one_conversation_end_well,
    a_deletion_is_continued_by_another_process,
    large_messages_are_not_deleted_at_once,
);

const FEW: u32 = 5;

/// The same database for a process to which more than five rows are many.
async fn impatient(case: &TestDatabase) -> TestDatabaseView {
    let options = DatabaseOptions {
        clock: case.database.clock(),
        ids: case.database.ids(),
        rows_at_once: FEW,
        ..DatabaseOptions::new(case.url.clone())
    };
    TestDatabaseView(Database::open(options).await.unwrap())
}

struct TestDatabaseView(Database);

impl TestDatabaseView {
    async fn delete(&self, owner: UserId, id: ConversationId) -> Result<Deletion, StoreError> {
        self.0.write("delete", async move |tx| tx.conversations().delete(owner, id).await).await
    }

    /// Deletes what is marked, to the last row.
    async fn finish(&self, marked: Marked) {
        let mut sweep = self.0.sweep(marked);
        while sweep.next().await.unwrap() != Swept::Gone {}
    }
}

/// Says something so many times, in one write.
async fn say_often(case: &TestDatabase, owner: UserId, conversation: ConversationId, count: usize) {
    let new: Vec<NewMessage> = (0..count).map(|number| NewMessage::user(format!("no. {number}"))).collect();
    for some in new.chunks(200) {
        let some = some.to_vec();
        write(case, async move |tx| tx.messages().append_many(owner, conversation, &[], &some).await)
            .await
            .unwrap();
    }
}

async fn digests(case: &TestDatabase) -> Vec<TableDigest> {
    read(case, async |tx| tx.statistics().digests().await).await
}

async fn rows(case: &TestDatabase) -> Vec<(&'static str, u64)> {
    digests(case).await.into_iter().map(|digest| (digest.table, digest.rows)).collect()
}

async fn marked(case: &TestDatabase) -> MarkedCounts {
    read(case, async |tx| tx.deletions().count().await).await
}

/// Messages that are stored, visible or not.
async fn left(case: &TestDatabase, marked: Marked) -> i64 {
    read(case, async move |tx| tx.deletions().messages_left(marked).await).await
}

async fn a_conversation_of_a_thousand_messages_is_deleted_at_once(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    say_often(&case, owner, id, 1_000).await;

    let deletion = write(&case, async move |tx| tx.conversations().delete(owner, id).await).await;

    assert_eq!(deletion.unwrap(), Deletion::Done);
    assert_eq!(left(&case, Marked::Conversation { owner, id }).await, 0);
    let longer = arbitrary_conversation(&case, owner).await;
    say_often(&case, owner, longer, 1_001).await;
    let deletion = write(&case, async move |tx| tx.conversations().delete(owner, longer).await).await;
    assert_eq!(deletion.unwrap(), Deletion::Marked(Marked::Conversation { owner, id: longer }));
}

async fn large_messages_are_not_deleted_at_once(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    for _ in 0..9 {
        say(&case, owner, id, &"x".repeat(1_000_000)).await;
    }

    let deletion = write(&case, async move |tx| tx.conversations().delete(owner, id).await).await;

    assert_eq!(deletion.unwrap(), Deletion::Marked(Marked::Conversation { owner, id }));
}

async fn a_longer_conversation_is_gone_for_everybody_at_once(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let member = arbitrary_user(&case).await;
    write(&case, async move |tx| tx.members().put(owner, id, member, MemberRole::Editor).await)
        .await
        .unwrap();
    say_often(&case, owner, id, 10).await;
    let said = append(&case, Via::Member(member), id, NewMessage::user("a guest's")).await.unwrap();
    let answer = reply(&case, owner, id, reply_of("m", 1, 1)).await.unwrap().message;
    let other = impatient(&case).await;

    assert!(matches!(other.delete(owner, id).await.unwrap(), Deletion::Marked(_)));

    for by in [Via::Owner(owner), Via::Member(member)] {
        assert_eq!(read(&case, async move |tx| tx.conversations().get(by, id).await).await, None);
        assert_eq!(read(&case, async move |tx| tx.conversations().access(by.user(), id).await).await, None);
        assert_eq!(read(&case, async move |tx| tx.messages().get(by, id, said.id).await).await, None);
        assert_eq!(read(&case, async move |tx| tx.messages().find_by_seq(by, id, 1).await).await, None);
        for order in [Order::Ascending, Order::Descending] {
            let page = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
                tx.messages().page(by, id, MessageRange::ALL, order, Limit::MAX).await
            };
            assert_eq!(read(&case, page).await.items, []);
        }
        for membership in Membership::ALL {
            for archived in ArchivedFilter::ALL {
                let filter = ConversationFilter { membership, archived, ..ConversationFilter::EVERYTHING };
                let list = ConversationList { filter: filter.clone(), ..ConversationList::default() };
                let page = read(&case, async move |tx| tx.conversations().page(by.user(), &list).await).await;
                assert_eq!(page.items, []);
                let count = read(&case, async move |tx| tx.conversations().count(by.user(), &filter).await);
                assert_eq!(count.await, 0);
            }
        }
    }
    let page = read(&case, async move |tx| tx.members().page(owner, id, None, Limit::MAX).await).await;
    assert_eq!(page.items, []);
    assert_eq!(read(&case, async move |tx| tx.responses().get(owner, answer.id).await).await, None);
    assert_eq!(read(&case, async move |tx| tx.responses().of_range(owner, id, 1, 99).await).await, []);
    assert_eq!(read(&case, async move |tx| tx.messages().find_present(owner, &[said.id]).await).await, []);
    let sent =
        read(&case, async move |tx| tx.messages().sent_elsewhere(member, None, Limit::MAX).await).await;
    assert_eq!(sent.items, []);
    let today = Day::of(case.database.clock().now());
    let usage = read(&case, async move |tx| tx.usage().between(owner, today, today).await).await;
    assert_eq!(usage.len(), 1, "usage stays");
    assert_eq!(marked(&case).await, MarkedCounts { users: 0, conversations: 1 });
}

async fn a_deleted_conversation_is_in_no_digest_and_no_count_before_its_rows_are_gone(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let member = arbitrary_user(&case).await;
    let kept = arbitrary_conversation(&case, owner).await;
    say(&case, owner, kept, "kept").await;
    write(&case, async move |tx| tx.members().put(owner, id, member, MemberRole::Editor).await)
        .await
        .unwrap();
    say_often(&case, owner, id, 10).await;
    reply(&case, owner, id, reply_of("m", 1, 1)).await.unwrap();
    let other = impatient(&case).await;

    let Deletion::Marked(conversation) = other.delete(owner, id).await.unwrap() else {
        panic!("it is small")
    };

    let (digests_before, counts_before) =
        (digests(&case).await, read(&case, async |tx| tx.statistics().counts().await).await);
    assert_eq!((counts_before.conversations, counts_before.messages, counts_before.responses), (1, 1, 0));
    assert_eq!((counts_before.members, counts_before.users), (0, 2));
    assert!(left(&case, conversation).await > 0);
    other.finish(conversation).await;
    assert_eq!(digests(&case).await, digests_before);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await, counts_before);
}

async fn the_thread_id_of_a_conversation_in_deletion_is_free(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let id = create_conversation(&case, owner, NewConversation::thread("t")).await.unwrap().id;
    say_often(&case, owner, id, 10).await;
    let other = impatient(&case).await;
    other.delete(owner, id).await.unwrap();

    let find =
        async move |tx: &mut chatstore_sql::ReadTx<'_>| tx.conversations().find_by_thread(owner, "t").await;
    assert_eq!(read(&case, find).await, None);
    let again = create_conversation(&case, owner, NewConversation::thread("t")).await.unwrap();

    assert_ne!(again.id, id);
    other.finish(Marked::Conversation { owner, id }).await;
    assert_eq!(conversation_row(&case, owner, again.id).await, again);
}

async fn the_id_of_a_conversation_in_deletion_is_free_when_its_rows_are_gone(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    say_often(&case, owner, id, 10).await;
    let other = impatient(&case).await;
    other.delete(owner, id).await.unwrap();
    let new = NewConversation { id: Some(id), ..NewConversation::thread("t") };

    let created = create_conversation(&case, owner, new.clone()).await;
    assert!(matches!(created, Err(StoreError::BeingDeleted(Marked::Conversation { .. }))), "{created:?}");
    let by_thread = new.clone();
    let created =
        write(&case, async move |tx| tx.conversations().get_or_create_by_thread(owner, &by_thread).await)
            .await;
    assert!(matches!(created, Err(StoreError::BeingDeleted(_))), "{created:?}");
    other.finish(Marked::Conversation { owner, id }).await;

    assert_eq!(create_conversation(&case, owner, new).await.unwrap().id, id);
    assert_eq!(messages(&case, owner, id).await, []);
}

async fn an_append_to_a_conversation_in_deletion_finds_none(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    say_often(&case, owner, id, 10).await;
    impatient(&case).await.delete(owner, id).await.unwrap();

    let refused = append(&case, Via::Owner(owner), id, NewMessage::user("late")).await;
    assert_eq!(failure(refused), "not found: conversation");
    assert_eq!(failure(reply(&case, owner, id, reply_of("m", 1, 1)).await), "not found: conversation");
    let many = write(&case, async move |tx| {
        tx.messages().append_many(owner, id, &[], &[NewMessage::user("late")]).await
    });
    assert_eq!(failure(many.await), "not found: conversation");
    let patch = ConversationPatch { title: Change::Set("late".to_owned()), ..ConversationPatch::default() };
    let updated = write(&case, async move |tx| tx.conversations().update(owner, id, &patch).await).await;
    assert_eq!(failure(updated), "not found: conversation");
    let user = arbitrary_user(&case).await;
    let put = write(&case, async move |tx| tx.members().put(owner, id, user, MemberRole::Viewer).await).await;
    assert_eq!(failure(put), "missing parent: member");
    let deleted = write(&case, async move |tx| tx.conversations().delete(owner, id).await).await;
    assert_eq!(failure(deleted), "not found: conversation");
    assert_eq!(left(&case, Marked::Conversation { owner, id }).await, 10);
}

async fn a_sweep_deletes_every_row_and_leaves_others_alone(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let (neighbour, stays) = arbitrary_owner(&case).await;
    let also = arbitrary_conversation(&case, owner).await;
    for (owner, conversation) in [(owner, also), (neighbour, stays)] {
        say_often(&case, owner, conversation, 3).await;
    }
    let before = rows(&case).await;
    say_often(&case, owner, id, 3_000).await;
    for _ in 0..8 {
        let member = arbitrary_user(&case).await;
        write(&case, async move |tx| tx.members().put(owner, id, member, MemberRole::Viewer).await)
            .await
            .unwrap();
    }
    let other = impatient(&case).await;
    let Deletion::Marked(conversation) = other.delete(owner, id).await.unwrap() else {
        panic!("it is small")
    };

    let mut sweep = other.0.sweep(conversation);
    let mut pieces = 0;
    while sweep.next().await.unwrap() != Swept::Gone {
        pieces += 1;
    }

    assert!(pieces > 1, "{pieces}");
    let mut expected = before;
    for (table, rows) in &mut expected {
        *rows = rows.wrapping_add_signed(match *table {
            "conversations" => -1,
            "users" => 8,
            _ => 0,
        });
    }
    assert_eq!(rows(&case).await, expected);
    assert_eq!(marked(&case).await, MarkedCounts::default());
    assert_eq!(messages(&case, owner, also).await.len(), 3);
}

async fn two_sweeps_of_one_conversation_end_well(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    say_often(&case, owner, id, 3_000).await;
    let (one, other) = (impatient(&case).await, impatient(&case).await);
    let Deletion::Marked(conversation) = one.delete(owner, id).await.unwrap() else { panic!("it is small") };

    tokio::join!(one.finish(conversation), other.finish(conversation));

    assert_eq!(left(&case, conversation).await, 0);
    assert_eq!(marked(&case).await, MarkedCounts::default());
}

async fn a_deletion_is_continued_by_another_process(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    say_often(&case, owner, id, 20).await;
    let first = impatient(&case).await;
    let Deletion::Marked(conversation) = first.delete(owner, id).await.unwrap() else {
        panic!("it is small")
    };
    let piece = first.0.write("piece", async move |tx| {
        tx.deletions().delete_piece(conversation, PiecePosition::START, 7).await
    });
    assert_eq!(piece.await.unwrap().unwrap().rows, 7);
    first.0.close().await;
    assert_eq!(left(&case, conversation).await, 13);

    let listed = read(&case, async |tx| tx.deletions().list(10).await).await;
    assert_eq!(listed, [conversation]);
    impatient(&case).await.finish(conversation).await;

    assert_eq!(read(&case, async |tx| tx.deletions().list(10).await).await, []);
    assert_eq!(left(&case, conversation).await, 0);
}
