//! Conversations: created, found, changed and deleted.

use chatstore_model::{
    Access, CanonicalJson, Change, Conversation, ConversationId, ConversationPatch, ConversationRole, Limit,
    MemberRole, MessageRange, NewConversation, NewMessage, Order, UserId,
};
use chatstore_sql::{StoreError, Via, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;

use crate::fixtures::{
    absent_conversation, append, arbitrary_conversation, arbitrary_owner, arbitrary_user, arbitrary_uuid,
    conversation_row, create_conversation, failure, join, later, messages, read, reply, reply_of, say, write,
};

conformance!(
    a_conversation_created_is_found_by_id_and_thread,
    a_conversation_keeps_the_id_and_the_time_it_brings,
    two_owners_may_use_one_thread_id,
    get_or_create_by_thread_makes_one_however_many_ask,
    get_or_create_by_thread_leaves_the_existing_one_untouched,
    get_or_create_by_thread_needs_a_thread_id,
    each_field_of_a_conversation_is_changed_alone,
    archiving_again_keeps_the_time_and_unarchiving_clears_it,
    an_empty_change_of_a_conversation_changes_nothing,
    a_change_never_moves_the_activity_back,
    changing_or_deleting_an_absent_conversation_is_not_found,
    deleting_a_conversation_removes_what_is_in_it,
    access_says_whose_conversation_it_is_and_as_what,
    ones_own_conversation_comes_before_a_shared_one_of_the_same_id,
    of_two_shared_conversations_of_one_id_every_operation_takes_the_same,
);

async fn update(
    case: &TestDatabase,
    owner: UserId,
    id: ConversationId,
    patch: ConversationPatch,
) -> Result<Conversation, StoreError> {
    write(case, async move |tx| tx.conversations().update(owner, id, &patch).await).await
}

async fn put(case: &TestDatabase, owner: UserId, id: ConversationId, user: UserId, role: MemberRole) {
    write(case, async move |tx| tx.members().put(owner, id, user, role).await).await.unwrap();
}

async fn get(case: &TestDatabase, by: Via, id: ConversationId) -> Option<(Conversation, ConversationRole)> {
    read(case, async move |tx| tx.conversations().get(by, id).await).await
}

fn full() -> NewConversation {
    NewConversation {
        thread_id: Some("thread/1 ü".to_owned()),
        title: Some("Trip".to_owned()),
        default_model: Some("large".to_owned()),
        last_message: Some("x".repeat(4_000)),
        metadata: CanonicalJson::parse(r#"{"tags": ["a", "b"]}"#).unwrap(),
        ..NewConversation::default()
    }
}

async fn a_conversation_created_is_found_by_id_and_thread(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let now = later(&case);
    let created = create_conversation(&case, owner, full()).await.unwrap();

    let id = created.id;
    let expected = Conversation {
        owner_id: owner,
        id,
        thread_id: full().thread_id,
        title: full().title,
        default_model: full().default_model,
        last_seq: 0,
        message_count: 0,
        last_message: full().last_message,
        last_message_at: None,
        revision: 1,
        metadata: full().metadata,
        created_at: now,
        updated_at: now,
        archived_at: None,
        head_seq: None,
    };
    assert_eq!(created, expected);
    assert_eq!(get(&case, Via::Owner(owner), id).await, Some((expected.clone(), ConversationRole::Owner)));
    let by_thread =
        read(&case, async move |tx| tx.conversations().find_by_thread(owner, "thread/1 ü").await).await;
    assert_eq!(by_thread, Some(expected));
    let other = read(&case, async move |tx| tx.conversations().find_by_thread(owner, "thread/1").await).await;
    assert_eq!(other, None);
    assert_eq!(get(&case, Via::Owner(owner), absent_conversation(&case)).await, None);
}

async fn a_conversation_keeps_the_id_and_the_time_it_brings(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let id = ConversationId::from_uuid(uuid::Uuid::from_u128(7));
    let at = "1999-12-31T23:59:59.999999Z".parse().unwrap();
    let new = NewConversation { id: Some(id), created_at: Some(at), ..NewConversation::default() };

    let created = create_conversation(&case, owner, new).await.unwrap();

    assert_eq!((created.id, created.created_at, created.updated_at), (id, at, at));
    assert_eq!(conversation_row(&case, owner, id).await, created);
}

async fn two_owners_may_use_one_thread_id(case: TestDatabase) {
    let (ada, grace) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let hers = create_conversation(&case, ada, NewConversation::thread("1")).await.unwrap();
    let others = create_conversation(&case, grace, NewConversation::thread("1")).await.unwrap();

    let found = read(&case, async move |tx| tx.conversations().find_by_thread(ada, "1").await).await;
    assert_eq!(found, Some(hers));
    let found = read(&case, async move |tx| tx.conversations().find_by_thread(grace, "1").await).await;
    assert_eq!(found, Some(others));
}

async fn get_or_create_by_thread_makes_one_however_many_ask(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let askers = (0..16).map(|number| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let new = NewConversation { title: Some(number.to_string()), ..NewConversation::thread("one") };
            let work = async move |tx: &mut WriteTx<'_>| {
                tx.conversations().get_or_create_by_thread(owner, &new).await
            };
            database.write("ask", work).await.unwrap()
        })
    });
    let answers: Vec<(Conversation, bool)> = join_all(askers).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
    assert!(answers.iter().all(|(conversation, _)| *conversation == answers[0].0), "{answers:?}");
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.conversations, 1);
}

async fn get_or_create_by_thread_leaves_the_existing_one_untouched(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let ask = async |new: NewConversation| {
        let work =
            async move |tx: &mut WriteTx<'_>| tx.conversations().get_or_create_by_thread(owner, &new).await;
        write(&case, work).await.unwrap()
    };
    let (created, is_new) = ask(full()).await;
    later(&case);
    let other = NewConversation { title: Some("Other".to_owned()), ..full() };
    let (found, is_new_again) = ask(other).await;

    assert!(is_new && !is_new_again);
    assert_eq!(created.title.as_deref(), Some("Trip"));
    assert_eq!(found, created);
}

async fn get_or_create_by_thread_needs_a_thread_id(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let new = NewConversation::titled("Trip");

    let answer =
        write(&case, async move |tx| tx.conversations().get_or_create_by_thread(owner, &new).await).await;

    let refused = "refused: a conversation is found or created by its thread_id, which is missing";
    assert_eq!(failure(answer), refused);
}

async fn each_field_of_a_conversation_is_changed_alone(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let mut expected = create_conversation(&case, owner, full()).await.unwrap();
    let id = expected.id;
    let keep = ConversationPatch::default;
    let set = |text: &str| Change::Set(text.to_owned());
    type Effect = fn(&mut Conversation);
    let json = |text: &str| Some(CanonicalJson::parse(text).unwrap());
    let changes: [(ConversationPatch, Effect); 13] = [
        (ConversationPatch { thread_id: set("2"), ..keep() }, |row| row.thread_id = Some("2".to_owned())),
        (ConversationPatch { thread_id: Change::Clear, ..keep() }, |row| row.thread_id = None),
        (ConversationPatch { title: set(""), ..keep() }, |row| row.title = Some(String::new())),
        (ConversationPatch { title: Change::Clear, ..keep() }, |row| row.title = None),
        (ConversationPatch { default_model: set("m"), ..keep() }, |row| {
            row.default_model = Some("m".to_owned());
        }),
        (ConversationPatch { default_model: Change::Clear, ..keep() }, |row| row.default_model = None),
        (ConversationPatch { last_message: set("set"), ..keep() }, |row| {
            row.last_message = Some("set".to_owned());
        }),
        (ConversationPatch { last_message: Change::Clear, ..keep() }, |row| row.last_message = None),
        (ConversationPatch { metadata: Some(CanonicalJson::object()), ..keep() }, |row| {
            row.metadata = CanonicalJson::object();
        }),
        (ConversationPatch { metadata_patch: json(r#"{"a": {"b": 1, "c": null}}"#), ..keep() }, |row| {
            row.metadata = CanonicalJson::parse(r#"{"a": {"b": 1}}"#).unwrap();
        }),
        (ConversationPatch { metadata_patch: json(r#"{"a": {"b": null}, "d": 2}"#), ..keep() }, |row| {
            row.metadata = CanonicalJson::parse(r#"{"a": {}, "d": 2}"#).unwrap();
        }),
        (ConversationPatch { archived: Some(true), ..keep() }, |row| row.archived_at = Some(row.updated_at)),
        (ConversationPatch { archived: Some(false), ..keep() }, |row| row.archived_at = None),
    ];
    for (patch, effect) in changes {
        expected.revision += 1;
        expected.updated_at = later(&case);
        effect(&mut expected);
        let description = format!("{patch:?}");
        assert_eq!(update(&case, owner, id, patch).await.unwrap(), expected, "{description}");
        assert_eq!(conversation_row(&case, owner, id).await, expected, "{description}");
    }
}

async fn archiving_again_keeps_the_time_and_unarchiving_clears_it(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let archived = |archived| ConversationPatch { archived: Some(archived), ..ConversationPatch::default() };
    let at = later(&case);
    assert_eq!(update(&case, owner, id, archived(true)).await.unwrap().archived_at, Some(at));
    later(&case);
    assert_eq!(update(&case, owner, id, archived(true)).await.unwrap().archived_at, Some(at));
    say(&case, owner, id, "still archived").await;
    assert_eq!(conversation_row(&case, owner, id).await.archived_at, Some(at));
    assert_eq!(update(&case, owner, id, archived(false)).await.unwrap().archived_at, None);
    let again = later(&case);
    assert_eq!(update(&case, owner, id, archived(true)).await.unwrap().archived_at, Some(again));
}

async fn an_empty_change_of_a_conversation_changes_nothing(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let created = create_conversation(&case, owner, full()).await.unwrap();
    later(&case);

    assert_eq!(update(&case, owner, created.id, ConversationPatch::default()).await.unwrap(), created);
    assert_eq!(conversation_row(&case, owner, created.id).await, created);
}

async fn a_change_never_moves_the_activity_back(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let early = case.database.clock().now();
    let late = later(&case);
    let said = say(&case, owner, id, "late").await;
    case.clock.set(early);

    let patch = ConversationPatch { title: Change::Set("Early".to_owned()), ..ConversationPatch::default() };
    assert_eq!(update(&case, owner, id, patch).await.unwrap().updated_at, late);
    let early_message = say(&case, owner, id, "early").await;
    assert_eq!(early_message.created_at, early);
    let after = conversation_row(&case, owner, id).await;
    assert_eq!((after.updated_at, after.last_message_at), (late, Some(early)));
    write(&case, async move |tx| tx.messages().delete(owner, id, said.id).await).await.unwrap();
    assert_eq!(conversation_row(&case, owner, id).await.updated_at, late);
}

async fn changing_or_deleting_an_absent_conversation_is_not_found(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let absent = absent_conversation(&case);
    let patch = ConversationPatch { title: Change::Clear, ..ConversationPatch::default() };

    assert_eq!(failure(update(&case, owner, absent, patch).await), "not found: conversation");
    let empty = ConversationPatch::default();
    assert_eq!(failure(update(&case, owner, absent, empty).await), "not found: conversation");
    let deleted = write(&case, async move |tx| tx.conversations().delete(owner, absent).await).await;
    assert_eq!(failure(deleted), "not found: conversation");
}

async fn deleting_a_conversation_removes_what_is_in_it(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let other = arbitrary_conversation(&case, owner).await;
    let member = arbitrary_user(&case).await;
    for conversation in [id, other] {
        put(&case, owner, conversation, member, MemberRole::Editor).await;
        say(&case, owner, conversation, "hello").await;
        append(&case, Via::Member(member), conversation, NewMessage::user("hi")).await.unwrap();
        reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    }
    let kept = (conversation_row(&case, owner, other).await, messages(&case, owner, other).await);

    write(&case, async move |tx| tx.conversations().delete(owner, id).await).await.unwrap();

    assert_eq!(get(&case, Via::Owner(owner), id).await, None);
    assert_eq!(get(&case, Via::Member(member), id).await, None);
    let counts = read(&case, async |tx| tx.statistics().counts().await).await;
    let left = (counts.conversations, counts.messages, counts.responses, counts.members);
    assert_eq!(left, (1, 3, 1, 1));
    assert_eq!((conversation_row(&case, owner, other).await, messages(&case, owner, other).await), kept);
}

async fn access_says_whose_conversation_it_is_and_as_what(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let (editor, viewer) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let stranger = arbitrary_user(&case).await;
    put(&case, owner, id, editor, MemberRole::Editor).await;
    put(&case, owner, id, viewer, MemberRole::Viewer).await;

    let access = async |user| read(&case, async move |tx| tx.conversations().access(user, id).await).await;
    for (user, role) in [
        (owner, ConversationRole::Owner),
        (editor, ConversationRole::Editor),
        (viewer, ConversationRole::Viewer),
    ] {
        assert_eq!(access(user).await, Some(Access { owner_id: owner, role }));
    }
    assert_eq!(access(stranger).await, None);
    let whole = conversation_row(&case, owner, id).await;
    assert_eq!(get(&case, Via::Member(editor), id).await, Some((whole.clone(), ConversationRole::Editor)));
    assert_eq!(get(&case, Via::Member(viewer), id).await, Some((whole, ConversationRole::Viewer)));
    assert_eq!(get(&case, Via::Member(owner), id).await, None, "the owner is no member by a row");
}

/// An imported id may be in use by several owners.
async fn shared_id(case: &TestDatabase, owners: &[UserId]) -> ConversationId {
    let id = ConversationId::from_uuid(arbitrary_uuid(case));
    for owner in owners {
        let new = NewConversation { id: Some(id), ..NewConversation::titled(owner.to_string()) };
        create_conversation(case, *owner, new).await.unwrap();
    }
    id
}

async fn ones_own_conversation_comes_before_a_shared_one_of_the_same_id(case: TestDatabase) {
    let (first, second) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let id = shared_id(&case, &[first, second]).await;
    join(&case, first, id, second, MemberRole::Editor).await;
    join(&case, second, id, first, MemberRole::Viewer).await;

    say(&case, first, id, "of the first").await;

    for user in [first, second] {
        let access = read(&case, async move |tx| tx.conversations().access(user, id).await).await;
        assert_eq!(access, Some(Access { owner_id: user, role: ConversationRole::Owner }));
        let pages = read(&case, async move |tx| {
            let (range, order) = (MessageRange::ALL, Order::Ascending);
            let own = tx.messages().page(Via::Owner(user), id, range, order, Limit::MAX).await?;
            let shared = tx.messages().page(Via::Member(user), id, range, order, Limit::MAX).await?;
            Ok((own.items.len(), shared.items.len()))
        });
        let own = usize::from(user == first);
        assert_eq!(pages.await, (own, 0), "an empty one of their own hides the other's");
    }
}

async fn of_two_shared_conversations_of_one_id_every_operation_takes_the_same(case: TestDatabase) {
    let mut owners = [arbitrary_user(&case).await, arbitrary_user(&case).await];
    owners.sort_unstable();
    let [first, second] = owners;
    let id = shared_id(&case, &owners).await;
    let member = arbitrary_user(&case).await;
    join(&case, first, id, member, MemberRole::Viewer).await;
    join(&case, second, id, member, MemberRole::Editor).await;

    let access = read(&case, async move |tx| tx.conversations().access(member, id).await).await.unwrap();
    let found = get(&case, Via::Member(member), id).await.unwrap();
    assert_eq!((found.0.owner_id, found.1), (access.owner_id, access.role));
    let appended = append(&case, Via::Member(member), id, NewMessage::user("hello")).await;
    match access.role {
        ConversationRole::Editor => assert_eq!(appended.unwrap().owner_id, access.owner_id),
        _ => assert_eq!(failure(appended), "not found: conversation"),
    }
}
