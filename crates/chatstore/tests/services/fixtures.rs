use std::sync::Arc;

use chatstore::auth::TokenKeys;
use chatstore::{Conversation, MemberRole, NewConversation, NewUser, Store, UserId, UserName};
use chatstore_testkit::{TestClock, TestDatabase};

/// The case's database as a store with the case's clock.
pub(crate) async fn store(case: &TestDatabase) -> Store {
    let clock = Arc::<TestClock>::clone(&case.clock);
    let builder = Store::builder(case.url.as_str()).clock(clock);
    builder.token_keys(TokenKeys::generate(|bytes| bytes.fill(7)).0).connect().await.unwrap()
}

pub(crate) async fn user(store: &Store, name: &str) -> UserId {
    store.users().create(NewUser::named(UserName::new(name).unwrap())).await.unwrap().id
}

/// A conversation with a user in every role, and one outside.
pub(crate) struct Group {
    pub(crate) conversation: Conversation,
    pub(crate) owner: UserId,
    pub(crate) editor: UserId,
    pub(crate) viewer: UserId,
    pub(crate) stranger: UserId,
}

pub(crate) async fn group(store: &Store) -> Group {
    let owner = user(store, "owner").await;
    let editor = user(store, "editor").await;
    let viewer = user(store, "viewer").await;
    let stranger = user(store, "stranger").await;
    let chat = store.as_user(owner);
    let conversation = chat.conversations().create(NewConversation::titled("Group")).await.unwrap();
    for (member, role) in [(editor, MemberRole::Editor), (viewer, MemberRole::Viewer)] {
        assert!(chat.members().put(conversation.id, member, role).await.unwrap().1);
    }
    Group { conversation, owner, editor, viewer, stranger }
}
