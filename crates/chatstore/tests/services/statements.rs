//! How many statements a request costs (the key being remembered): performance, T9.

use chatstore::{DatabaseKind, NewMessage, PageRequest};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{Group, group, store};

conformance!(
    a_page_costs_the_owner_one_statement_and_a_member_two,
    an_append_costs_the_owner_one_statement_and_a_member_two,
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
