//! Members: added, changed, removed and listed, and what each may do.

use chatstore_model::{
    ConversationId, ConversationRole, Limit, Member, MemberPosition, MemberRole, NewConversation, NewMessage,
    Page, Timestamp, UserId,
};
use chatstore_sql::{Sql, StoreError, Via};
use chatstore_testkit::{TestDatabase, conformance};
use uuid::Uuid;

use crate::fixtures::{
    absent_user, append, arbitrary_owner, arbitrary_user, conversation_row, create_conversation, failure,
    join, later, messages, read, say, write,
};

conformance!(
    the_owner_comes_first_in_the_list_of_members,
    members_who_joined_at_once_are_paged_without_a_gap,
    putting_a_member_again_changes_the_role_only,
    the_owner_cannot_be_put_as_a_member,
    an_absent_user_cannot_be_a_member,
    removing_who_is_no_member_is_not_found,
    a_removed_member_has_no_access_any_more,
    adding_and_removing_members_leaves_the_conversation_as_it_is,
    a_viewer_reads_and_cannot_append,
    an_editor_appends_and_is_shown_as_the_sender,
    the_sender_is_stored_only_when_it_is_not_the_owner,
    members_put_at_once_are_added_once,
    a_user_with_another_conversation_of_this_id_cannot_become_a_member,
    of_two_conversations_with_one_id_the_one_joined_first_counts,
);

async fn put(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    user: UserId,
    role: MemberRole,
) -> Result<(Timestamp, bool), StoreError> {
    write(case, async move |tx| tx.members().put(owner, conversation, user, role).await).await
}

async fn remove(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    user: UserId,
) -> Result<(), StoreError> {
    write(case, async move |tx| tx.members().remove(owner, conversation, user).await).await
}

async fn page(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    from: Option<MemberPosition>,
    limit: u16,
) -> Page<Member, MemberPosition> {
    let limit = Limit::new(limit).unwrap();
    read(case, async move |tx| tx.members().page(owner, conversation, from, limit).await).await
}

async fn page_all(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    limit: u16,
) -> Vec<Member> {
    let mut all = Vec::new();
    let mut from = None;
    loop {
        let page = page(case, owner, conversation, from, limit).await;
        assert!(page.items.len() == usize::from(limit) || page.next.is_none());
        all.extend(page.items);
        assert!(all.len() <= 100, "the list has no end");
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}

async fn username(case: &TestDatabase, id: UserId) -> Option<String> {
    read(case, async move |tx| tx.users().get(id).await).await.unwrap().username
}

async fn the_owner_comes_first_in_the_list_of_members(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let created_at = case.database.clock().now();
    let mut expected = vec![Member {
        user_id: owner,
        username: username(&case, owner).await,
        role: ConversationRole::Owner,
        joined_at: created_at,
    }];
    assert_eq!(page_all(&case, owner, conversation, 1).await, expected);
    for role in [MemberRole::Viewer, MemberRole::Editor, MemberRole::Viewer] {
        let user = arbitrary_user(&case).await;
        let joined_at = later(&case);
        assert_eq!(put(&case, owner, conversation, user, role).await.unwrap(), (joined_at, true));
        let username = username(&case, user).await;
        expected.push(Member { user_id: user, username, role: role.into(), joined_at });
    }

    for limit in [1, 2, 4, 5] {
        assert_eq!(page_all(&case, owner, conversation, limit).await, expected, "limit {limit}");
    }
}

async fn members_who_joined_at_once_are_paged_without_a_gap(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut users = Vec::new();
    for _ in 0..20 {
        let user = arbitrary_user(&case).await;
        put(&case, owner, conversation, user, MemberRole::Editor).await.unwrap();
        users.push(user);
    }
    users.sort_unstable();
    users.insert(0, owner);

    for limit in [1, 3, 7, 20, 21] {
        let found = page_all(&case, owner, conversation, limit).await;
        let found: Vec<UserId> = found.into_iter().map(|member| member.user_id).collect();
        assert_eq!(found, users, "limit {limit}");
    }
}

async fn putting_a_member_again_changes_the_role_only(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let user = arbitrary_user(&case).await;
    let (joined_at, added) = put(&case, owner, conversation, user, MemberRole::Viewer).await.unwrap();
    assert!(added);
    later(&case);

    for role in [MemberRole::Editor, MemberRole::Editor, MemberRole::Viewer] {
        assert_eq!(put(&case, owner, conversation, user, role).await.unwrap(), (joined_at, false));
        let members = page_all(&case, owner, conversation, 50).await;
        assert_eq!(members.len(), 2);
        assert_eq!((members[1].role, members[1].joined_at), (role.into(), joined_at));
    }
}

async fn the_owner_cannot_be_put_as_a_member(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;

    let answer = put(&case, owner, conversation, owner, MemberRole::Viewer).await;

    assert_eq!(failure(answer), "refused: the owner is a member by owning the conversation");
    assert_eq!(failure(remove(&case, owner, conversation, owner).await), "not found: member");
}

async fn an_absent_user_cannot_be_a_member(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let absent = absent_user(&case);

    let answer = put(&case, owner, conversation, absent, MemberRole::Viewer).await;

    assert_eq!(failure(answer), "missing parent: member");
}

async fn removing_who_is_no_member_is_not_found(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let user = arbitrary_user(&case).await;
    assert_eq!(failure(remove(&case, owner, conversation, user).await), "not found: member");
    put(&case, owner, conversation, user, MemberRole::Viewer).await.unwrap();
    remove(&case, owner, conversation, user).await.unwrap();

    assert_eq!(failure(remove(&case, owner, conversation, user).await), "not found: member");
}

async fn a_removed_member_has_no_access_any_more(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let user = arbitrary_user(&case).await;
    put(&case, owner, conversation, user, MemberRole::Editor).await.unwrap();
    let by = Via::Member(user);
    let said = append(&case, by, conversation, NewMessage::user("hello")).await.unwrap();

    remove(&case, owner, conversation, user).await.unwrap();

    assert_eq!(read(&case, async move |tx| tx.conversations().get(by, conversation).await).await, None);
    assert_eq!(read(&case, async move |tx| tx.conversations().access(user, conversation).await).await, None);
    assert_eq!(read(&case, async move |tx| tx.messages().get(by, conversation, said.id).await).await, None);
    let appended = append(&case, by, conversation, NewMessage::user("again")).await;
    assert_eq!(failure(appended), "not found: conversation");
    assert_eq!(messages(&case, owner, conversation).await, [said], "what they said stays");
}

async fn adding_and_removing_members_leaves_the_conversation_as_it_is(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let user = arbitrary_user(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    later(&case);
    put(&case, owner, conversation, user, MemberRole::Editor).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    remove(&case, owner, conversation, user).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
}

async fn a_viewer_reads_and_cannot_append(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let viewer = arbitrary_user(&case).await;
    put(&case, owner, conversation, viewer, MemberRole::Viewer).await.unwrap();
    let said = say(&case, owner, conversation, "hello").await;
    let by = Via::Member(viewer);

    let found = read(&case, async move |tx| tx.messages().get(by, conversation, said.id).await).await;
    assert_eq!(found.as_ref(), Some(&said));
    let before = conversation_row(&case, owner, conversation).await;
    let answer = append(&case, by, conversation, NewMessage::user("me too")).await;
    assert_eq!(failure(answer), "not found: conversation");
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    assert_eq!(messages(&case, owner, conversation).await, [said]);
}

async fn an_editor_appends_and_is_shown_as_the_sender(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let editor = arbitrary_user(&case).await;
    put(&case, owner, conversation, editor, MemberRole::Editor).await.unwrap();
    let hello = say(&case, owner, conversation, "hello").await;

    let hi = append(&case, Via::Member(editor), conversation, NewMessage::user("hi")).await.unwrap();

    assert_eq!((hi.owner_id, hi.sender_id, hi.seq), (owner, Some(editor), 2));
    assert_eq!(hello.sender_id, Some(owner));
    assert_eq!(messages(&case, owner, conversation).await, [hello, hi]);
    let after = conversation_row(&case, owner, conversation).await;
    assert_eq!((after.last_message.as_deref(), after.message_count), (Some("hi"), 2));
}

async fn the_sender_is_stored_only_when_it_is_not_the_owner(case: TestDatabase) {
    const SENDERS: Sql = Sql::same("test.senders", "select sender_id from messages order by seq");
    let (owner, conversation) = arbitrary_owner(&case).await;
    let editor = arbitrary_user(&case).await;
    put(&case, owner, conversation, editor, MemberRole::Editor).await.unwrap();
    say(&case, owner, conversation, "hello").await;
    append(&case, Via::Member(editor), conversation, NewMessage::user("hi")).await.unwrap();
    append(&case, Via::Owner(owner), conversation, NewMessage::assistant("well")).await.unwrap();
    let many = ["one", "two", "three"].map(NewMessage::user);
    write(&case, async move |tx| {
        let senders = [Some(owner), Some(editor), None];
        tx.messages().append_many(owner, conversation, &senders, &many).await
    })
    .await
    .unwrap();

    let stored: Vec<Option<Uuid>> =
        read(&case, async |tx| tx.query(&SENDERS, &[], |row| row.next()).await).await;
    let editor_id = Some(editor.uuid());
    assert_eq!(stored, [None, editor_id, None, None, editor_id, None]);
    let shown: Vec<Option<UserId>> =
        messages(&case, owner, conversation).await.into_iter().map(|message| message.sender_id).collect();
    let (owner, editor) = (Some(owner), Some(editor));
    assert_eq!(shown, [owner, editor, None, owner, editor, owner]);
}

async fn members_put_at_once_are_added_once(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let user = arbitrary_user(&case).await;
    let writers = (0..16).map(|_| put(&case, owner, conversation, user, MemberRole::Editor));

    let answers = futures_util::future::join_all(writers).await;

    let added = answers.into_iter().filter(|answer| answer.as_ref().unwrap().1).count();
    assert_eq!(added, 1);
    assert_eq!(page_all(&case, owner, conversation, 50).await.len(), 2);
}

async fn with_id(case: &TestDatabase, owner: UserId, id: ConversationId) {
    let new = NewConversation { id: Some(id), ..NewConversation::titled("Same") };
    create_conversation(case, owner, new).await.unwrap();
}

async fn a_user_with_another_conversation_of_this_id_cannot_become_a_member(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let (other, user) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    with_id(&case, other, conversation).await;
    put(&case, owner, conversation, user, MemberRole::Editor).await.unwrap();

    let refused = "refused: the user has another conversation with this id";
    assert_eq!(failure(put(&case, other, conversation, user, MemberRole::Editor).await), refused);
    assert_eq!(failure(put(&case, owner, conversation, other, MemberRole::Viewer).await), refused);

    assert!(!put(&case, owner, conversation, user, MemberRole::Viewer).await.unwrap().1);
    remove(&case, owner, conversation, user).await.unwrap();
    assert!(put(&case, other, conversation, user, MemberRole::Editor).await.unwrap().1);
}

async fn of_two_conversations_with_one_id_the_one_joined_first_counts(case: TestDatabase) {
    let (one, conversation) = arbitrary_owner(&case).await;
    let (two, user) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    with_id(&case, two, conversation).await;
    let (first, second) = if one.uuid() > two.uuid() { (one, two) } else { (two, one) };
    for owner in [first, second] {
        join(&case, owner, conversation, user, MemberRole::Editor).await;
    }

    append(&case, Via::Member(user), conversation, NewMessage::user("hello")).await.unwrap();

    assert_eq!(messages(&case, first, conversation).await.len(), 1);
    let access = read(&case, async move |tx| tx.conversations().access(user, conversation).await).await;
    assert_eq!(access.unwrap().owner_id, first);
    let by = Via::Member(user);
    let (found, _) =
        read(&case, async move |tx| tx.conversations().get(by, conversation).await).await.unwrap();
    assert_eq!(found.owner_id, first);
    let range = chatstore_model::MessageRange::ALL;
    let order = chatstore_model::Order::Ascending;
    let seen =
        read(&case, async move |tx| tx.messages().page(by, conversation, range, order, Limit::MAX).await);
    assert_eq!(seen.await.items.len(), 1);
}
