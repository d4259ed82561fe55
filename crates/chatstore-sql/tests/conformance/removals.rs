//! Several messages removed together: at once when they are few, else newest first in pieces.

use chatstore_model::{ConversationId, MessageRange, MessageSelection, NewMessage, UserId};
use chatstore_sql::{Database, DatabaseOptions, RemovedPiece, StoreError};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    absent_conversation, arbitrary_conversation, arbitrary_owner, conversation_row, failure, messages, say,
    write,
};

conformance!(
    few_messages_are_removed_at_once,
    many_messages_are_removed_newest_first_in_pieces_that_each_repair_the_conversation,
    large_messages_are_removed_in_pieces,
    a_selection_is_bounded_by_what_there_is_when_it_begins,
    only_the_selected_messages_of_this_conversation_are_removed,
    messages_of_an_absent_conversation_are_not_removed,
);

const FEW: u32 = 5;
const EVERYTHING: MessageSelection = MessageSelection::Range(MessageRange::ALL);

/// The same database for a process to which more than five rows are many.
async fn impatient(case: &TestDatabase) -> Database {
    let options = DatabaseOptions {
        clock: case.database.clock(),
        ids: case.database.ids(),
        rows_at_once: FEW,
        ..DatabaseOptions::new(case.url.clone())
    };
    Database::open(options).await.unwrap()
}

async fn conversation_of(case: &TestDatabase, count: usize) -> (UserId, ConversationId) {
    let (owner, id) = arbitrary_owner(case).await;
    let new: Vec<NewMessage> = (1..=count).map(|number| NewMessage::user(format!("no. {number}"))).collect();
    write(case, async move |tx| tx.messages().append_many(owner, id, &[], &new).await).await.unwrap();
    (owner, id)
}

async fn remove(
    database: &Database,
    owner: UserId,
    id: ConversationId,
    selection: MessageSelection,
    rows: i64,
) -> Result<RemovedPiece, StoreError> {
    let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        let selection = tx.messages().bounded_selection(owner, id, selection.clone()).await?;
        tx.messages().remove_piece(owner, id, &selection, rows).await
    };
    database.write("remove", work).await
}

async fn seqs(case: &TestDatabase, owner: UserId, id: ConversationId) -> Vec<i64> {
    messages(case, owner, id).await.into_iter().map(|message| message.seq).collect()
}

async fn few_messages_are_removed_at_once(case: TestDatabase) {
    let database = impatient(&case).await;
    let (owner, id) = conversation_of(&case, 5).await;
    let piece = remove(&database, owner, id, EVERYTHING, 1).await.unwrap();
    assert_eq!((piece.rows, piece.is_last), (5, true));
    let row = conversation_row(&case, owner, id).await;
    assert_eq!((row.message_count, row.last_message, row.last_seq), (0, None, 5));
    let again = remove(&database, owner, id, EVERYTHING, 1).await.unwrap();
    assert_eq!((again.rows, again.is_last), (0, true));
    assert_eq!(conversation_row(&case, owner, id).await.revision, row.revision);
}

async fn many_messages_are_removed_newest_first_in_pieces_that_each_repair_the_conversation(
    case: TestDatabase,
) {
    let database = impatient(&case).await;
    let (owner, id) = conversation_of(&case, 12).await;
    let mut revision = conversation_row(&case, owner, id).await.revision;
    for (left, is_last) in [(9, false), (6, false), (3, false), (0, true)] {
        let piece = remove(&database, owner, id, EVERYTHING, 3).await.unwrap();
        assert_eq!((piece.rows, piece.is_last), (3, is_last), "{left}");
        let row = conversation_row(&case, owner, id).await;
        assert_eq!(row.message_count, left);
        assert_eq!(seqs(&case, owner, id).await, (1..=left).collect::<Vec<_>>());
        assert_eq!(row.last_message, (left > 0).then(|| format!("no. {left}")));
        assert!(row.revision > revision);
        revision = row.revision;
    }
}

async fn large_messages_are_removed_in_pieces(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    for _ in 0..3 {
        say(&case, owner, id, &"x".repeat(3 * 1024 * 1024)).await;
    }
    let piece = remove(&case.database, owner, id, EVERYTHING, 50).await.unwrap();
    assert_eq!((piece.rows, piece.is_last), (2, false), "8 MiB at once");
    let piece = remove(&case.database, owner, id, EVERYTHING, 50).await.unwrap();
    assert_eq!((piece.rows, piece.is_last), (1, true));
}

async fn a_selection_is_bounded_by_what_there_is_when_it_begins(case: TestDatabase) {
    let (owner, id) = conversation_of(&case, 4).await;
    let range = |after, before| MessageSelection::Range(MessageRange { after, before });
    for (selection, bounded) in [
        (EVERYTHING, range(0, 5)),
        (range(1, 3), range(1, 3)),
        (MessageSelection::AllButNewest(0), range(0, 5)),
        (MessageSelection::AllButNewest(1), range(0, 4)),
        (MessageSelection::AllButNewest(4), range(0, 1)),
        (MessageSelection::AllButNewest(5), range(0, 0)),
    ] {
        let found =
            write(&case, async move |tx| tx.messages().bounded_selection(owner, id, selection.clone()).await)
                .await;
        assert_eq!(found.unwrap(), bounded);
    }
}

async fn only_the_selected_messages_of_this_conversation_are_removed(case: TestDatabase) {
    let (owner, id) = conversation_of(&case, 6).await;
    let other = arbitrary_conversation(&case, owner).await;
    let elsewhere = say(&case, owner, other, "elsewhere").await;
    let here = messages(&case, owner, id).await;
    let ids = MessageSelection::Ids(vec![here[1].id, elsewhere.id, here[5].id, here[1].id]);
    let piece = remove(&case.database, owner, id, ids, 50).await.unwrap();
    assert_eq!((piece.rows, piece.is_last), (2, true));
    assert_eq!(seqs(&case, owner, id).await, [1, 3, 4, 5]);
    assert_eq!(conversation_row(&case, owner, id).await.last_message.as_deref(), Some("no. 5"));
    assert_eq!(seqs(&case, owner, other).await, [1]);
    let range = MessageSelection::Range(MessageRange { after: 2, before: 5 });
    remove(&case.database, owner, id, range, 50).await.unwrap();
    assert_eq!(seqs(&case, owner, id).await, [1, 5]);
}

async fn messages_of_an_absent_conversation_are_not_removed(case: TestDatabase) {
    let (owner, id) = conversation_of(&case, 1).await;
    let (stranger, absent) = (arbitrary_owner(&case).await.0, absent_conversation(&case));
    for (user, conversation) in [(stranger, id), (owner, absent)] {
        let refused = remove(&case.database, user, conversation, EVERYTHING, 50).await;
        assert_eq!(failure(refused), "not found: conversation");
    }
    assert_eq!(seqs(&case, owner, id).await, [1]);
}
