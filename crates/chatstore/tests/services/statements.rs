//! How many statements a request costs (the key being remembered): performance, T9.

use chatstore::{Branch, DatabaseKind, MessageRange, NewMessage, Order, PageRequest};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{Group, group, store};

conformance!(
    a_page_costs_the_owner_one_statement_and_a_member_two,
    an_append_costs_the_owner_one_statement_and_a_member_two,
    a_stream_costs_a_statement_a_piece_and_one_more_for_its_end,
);

async fn a_page_costs_the_owner_one_statement_and_a_member_two(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, viewer, .. } = group(&store).await;
    store.as_user(owner).messages().append(conversation.id, NewMessage::user("hello")).await.unwrap();
    for (user, expected) in [(owner, 1), (viewer, 2)] {
        let before = store.operations().statements();
        store.as_user(user).messages().page(conversation.id, PageRequest::newest(50)).await.unwrap();
        assert_eq!(store.operations().statements() - before, expected);
    }
}

/// SQLite changes one table per statement: an append is two of them, in one job of the writer, and
/// a member's fruitless attempt as the owner ends after the first.
async fn an_append_costs_the_owner_one_statement_and_a_member_two(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, editor, .. } = group(&store).await;
    let expected = match store.kind() {
        DatabaseKind::Postgres => [(owner, 1), (editor, 2)],
        DatabaseKind::Sqlite => [(owner, 2), (editor, 3)],
    };
    for (user, expected) in expected {
        let before = store.operations().statements();
        store.as_user(user).messages().append(conversation.id, NewMessage::user("hello")).await.unwrap();
        assert_eq!(store.operations().statements() - before, expected);
    }
}

/// Where an ascending stream ends is asked for when it has more than one piece. A member's fruitless attempt as the owner is
/// one statement of each.
async fn a_stream_costs_a_statement_a_piece_and_one_more_for_its_end(case: TestDatabase) {
    let store = store(&case).await;
    let Group { conversation, owner, viewer, .. } = group(&store).await;
    for (count, order, expected) in
        [(150, Order::Ascending, [1, 2]), (300, Order::Ascending, [4, 8]), (0, Order::Descending, [3, 6])]
    {
        if count > 0 {
            let new = vec![NewMessage::user("hello"); count];
            store.as_user(owner).messages().append_many(conversation.id, new).await.unwrap();
        }
        for (user, expected) in [(owner, expected[0]), (viewer, expected[1])] {
            let before = store.operations().statements();
            let messages = store.as_user(user).messages();
            let mut stream =
                messages.stream(conversation.id, Branch::Head, MessageRange::ALL, order).await.unwrap();
            while stream.next().await.unwrap().is_some() {}
            assert_eq!(store.operations().statements() - before, expected, "{order:?}");
        }
    }
}
