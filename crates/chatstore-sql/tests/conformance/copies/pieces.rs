//! Copies are made in pieces that no reader sees, and are whole from their last step on.

use std::time::Duration;

use chatstore_model::{
    ArchivedFilter, ConversationFilter, ConversationId, CopiedBranches, MemberRole, Membership, NewMessage,
    UserId,
};
use chatstore_sql::{
    ConversationList, Database, DatabaseOptions, Deletion, Marked, MarkedCounts, StoreError, Swept, Via,
};
use chatstore_testkit::{TestDatabase, conformance};

use super::{Making, after, branch, copy_all, copy_head, edit, plan, remove, texts, tree};
use crate::fixtures::{append, arbitrary_owner, arbitrary_user, failure, messages, read, say, write};

conformance!(
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
