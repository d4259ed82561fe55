//! Erasing a user with much: gone at once for every reader, row by row afterwards.

use chatstore_model::{
    ApiKeyScope, CanonicalJson, ConversationFilter, ConversationId, Day, EndReason, IdentityName, Limit,
    MemberRole, Membership, MessageRange, NewApiKey, NewConversation, NewIdempotencyRecord, NewMessage,
    NewRefreshToken, NewSession, NewUser, Order, SessionId, UsageGrouping, UserFilter, UserId, UserRole,
};
use chatstore_sql::{
    ConversationList, Database, DatabaseOptions, Deletion, Marked, MarkedCounts, StoreError, Swept, Via,
    WriteTx,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    append, arbitrary_conversation, arbitrary_owner, arbitrary_user, arbitrary_uuid, conversation_row,
    create_conversation, create_user, email, failure, later, messages, name, read, reply, reply_of, say,
    write,
};

conformance!(
    a_user_with_much_is_gone_for_everybody_at_once,
    keys_and_sessions_of_a_user_in_deletion_are_of_no_use,
    names_and_addresses_of_a_user_in_deletion_are_free,
    identities_of_a_user_in_deletion_are_free,
    the_id_of_a_user_in_deletion_is_free_when_the_rows_are_gone,
    few_messages_sent_elsewhere_are_deleted_with_the_mark,
    many_messages_sent_elsewhere_are_read_by_nobody_and_follow_in_pieces,
    a_sweep_deletes_everything_of_the_user_and_nothing_of_others,
    the_last_administrator_is_not_one_who_is_being_deleted,
    nothing_is_stored_for_a_user_in_deletion,
);

const FEW: u32 = 5;

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

/// Marks a user for whom everything is too much.
async fn mark(database: &Database, user: UserId) {
    let erase = database.write("erase", async move |tx| tx.users().erase(user).await);
    assert_eq!(erase.await.unwrap(), Deletion::Marked(Marked::User(user)));
}

async fn finish(database: &Database, user: UserId) {
    let mut sweep = database.sweep(Marked::User(user));
    while sweep.next().await.unwrap() != Swept::Gone {}
}

async fn rows(case: &TestDatabase) -> Vec<(&'static str, u64)> {
    let digests = read(case, async |tx| tx.statistics().digests().await).await;
    digests.into_iter().map(|digest| (digest.table, digest.rows)).collect()
}

async fn join(case: &TestDatabase, owner: UserId, conversation: ConversationId, user: UserId) {
    let put =
        write(case, async move |tx| tx.members().put(owner, conversation, user, MemberRole::Editor).await);
    put.await.unwrap();
}

async fn say_often(case: &TestDatabase, by: Via, conversation: ConversationId, count: usize) {
    for number in 0..count {
        append(case, by, conversation, NewMessage::user(number.to_string())).await.unwrap();
    }
}

/// A user with a row in every table: more than a few messages, a member, a membership, keys, sessions and usage.
async fn user_with_much(case: &TestDatabase) -> (UserId, ConversationId) {
    let (owner, conversation) = arbitrary_owner(case).await;
    let (host, place) = arbitrary_owner(case).await;
    join(case, owner, conversation, host).await;
    join(case, host, place, owner).await;
    say_often(case, Via::Owner(owner), conversation, 10).await;
    append(case, Via::Member(host), conversation, NewMessage::user("a guest's")).await.unwrap();
    reply(case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    let (key, record) = (new_key(), new_record(case));
    let session = new_session(case);
    write(case, async move |tx| {
        tx.api_keys().create(owner, &key).await?;
        tx.sessions().begin(owner, &session, &new_token(&session)).await?;
        tx.idempotency_keys().record(owner, owner, &record).await?;
        tx.idempotency_keys().record(host, owner, &record).await
    })
    .await
    .unwrap();
    (owner, conversation)
}

fn new_key() -> NewApiKey {
    NewApiKey {
        scope: ApiKeyScope::User,
        name: None,
        prefix: "cs_".to_owned(),
        key_hash: [1; 32],
        expires_at: None,
        rights: chatstore_model::KeyRights::default(),
    }
}

fn new_session(case: &TestDatabase) -> NewSession {
    NewSession {
        id: SessionId::from_uuid(arbitrary_uuid(case)),
        access_jti: arbitrary_uuid(case),
        user_agent: None,
        ip: None,
        expires_at: later(case).plus_microseconds(3_600_000_000),
    }
}

fn new_token(session: &NewSession) -> NewRefreshToken {
    NewRefreshToken { token_hash: [7; 32], expires_at: session.expires_at }
}

fn new_record(case: &TestDatabase) -> NewIdempotencyRecord {
    NewIdempotencyRecord {
        key: "once".to_owned(),
        operation: "POST".to_owned(),
        request_sha256: [2; 32],
        status: 201,
        result: CanonicalJson::object(),
        expires_at: later(case).plus_microseconds(3_600_000_000),
        conversation_id: None,
    }
}

async fn a_user_with_much_is_gone_for_everybody_at_once(case: TestDatabase) {
    let (owner, conversation) = user_with_much(&case).await;
    let member = arbitrary_user(&case).await;
    join(&case, owner, conversation, member).await;
    let all_users = read(&case, async |tx| tx.users().count().await).await;
    let other = impatient(&case).await;

    mark(&other, owner).await;

    assert_eq!(read(&case, async move |tx| tx.users().get(owner).await).await, None);
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, all_users - 1);
    let page = async |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.users().page(UserFilter::default(), Order::Ascending, None, Limit::MAX).await
    };
    assert!(read(&case, page).await.items.iter().all(|user| user.id != owner));
    assert_eq!(read(&case, async move |tx| tx.passwords().get(owner).await).await, None);
    for by in [Via::Owner(owner), Via::Member(member)] {
        assert_eq!(read(&case, async move |tx| tx.conversations().get(by, conversation).await).await, None);
        let access = read(&case, async move |tx| tx.conversations().access(by.user(), conversation).await);
        assert_eq!(access.await, None);
        assert_eq!(
            read(&case, async move |tx| tx.messages().find_by_seq(by, conversation, 1).await).await,
            None
        );
        let page = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
            tx.messages().page(by, conversation, MessageRange::ALL, Order::Ascending, Limit::MAX).await
        };
        assert_eq!(read(&case, page).await.items, []);
        for membership in Membership::ALL {
            let filter = ConversationFilter { membership, ..ConversationFilter::default() };
            let list = ConversationList { filter, ..ConversationList::default() };
            let page = read(&case, async move |tx| tx.conversations().page(by.user(), &list).await).await;
            assert_eq!(page.items, [], "{membership:?}");
        }
        let refused = append(&case, by, conversation, NewMessage::user("late")).await;
        assert_eq!(failure(refused), "not found: conversation");
    }
    let today = Day::of(case.database.clock().now());
    assert_eq!(read(&case, async move |tx| tx.usage().between(owner, today, today).await).await, []);
    let grouping = UsageGrouping { by_day: false, by_model: false, by_user: true };
    let usage = read(&case, async move |tx| tx.usage().grouped(None, today, today, grouping).await).await;
    assert_eq!(usage, []);
    assert_eq!(read(&case, async move |tx| tx.idempotency_keys().list(owner).await).await, []);
    assert_eq!(
        read(&case, async |tx| tx.deletions().count().await).await,
        MarkedCounts { users: 1, conversations: 0 }
    );
}

async fn keys_and_sessions_of_a_user_in_deletion_are_of_no_use(case: TestDatabase) {
    let (owner, _) = user_with_much(&case).await;
    let session = read(&case, async move |tx| tx.sessions().list(owner).await).await.remove(0);
    let key = read(&case, async move |tx| tx.api_keys().list(owner).await).await.remove(0);
    mark(&impatient(&case).await, owner).await;

    assert_eq!(
        read(&case, async move |tx| tx
            .api_keys()
            .find(owner, &[1; 32], chatstore_model::Timestamp::MIN)
            .await)
        .await,
        None
    );
    assert_eq!(read(&case, async move |tx| tx.api_keys().list(owner).await).await, []);
    assert_eq!(
        read(&case, async move |tx| tx.api_keys().page(owner, None, Limit::MAX).await).await.items,
        []
    );
    assert_eq!(read(&case, async move |tx| tx.sessions().state(owner, session.id).await).await, None);
    assert_eq!(read(&case, async move |tx| tx.sessions().list(owner).await).await, []);
    assert_eq!(read(&case, async move |tx| tx.refresh_tokens().list(owner).await).await, []);
    let end = write(&case, async move |tx| tx.sessions().end(owner, session.id, EndReason::Logout).await);
    assert_eq!(failure(end.await), "not found: session");
    let revoke = write(&case, async move |tx| tx.api_keys().revoke(owner, key.id).await);
    assert_eq!(failure(revoke.await), "not found: api_key");
}

async fn names_and_addresses_of_a_user_in_deletion_are_free(case: TestDatabase) {
    let new =
        NewUser { username: Some(name("ada")), ..NewUser::with_verified_email(email("ada@example.org")) };
    let former = create_user(&case, new.clone()).await.unwrap().id;
    let conversation = arbitrary_conversation(&case, former).await;
    say_often(&case, Via::Owner(former), conversation, 10).await;
    let other = impatient(&case).await;
    mark(&other, former).await;

    assert_eq!(read(&case, async |tx| tx.users().find_by_username("ada").await).await, None);
    assert_eq!(read(&case, async |tx| tx.users().find_by_email("ada@example.org").await).await, None);
    let present = create_user(&case, new).await.unwrap();

    finish(&other, former).await;
    assert_eq!(read(&case, async |tx| tx.users().find_by_username("ada").await).await, Some(present));
}

async fn identities_of_a_user_in_deletion_are_free(case: TestDatabase) {
    let (former, _) = user_with_much(&case).await;
    let other = arbitrary_user(&case).await;
    let identity = || IdentityName { issuer: "https://id.example.org".to_owned(), subject: "7".to_owned() };
    let link = async |user: UserId| {
        let name = identity();
        write(&case, async move |tx| tx.identities().link(user, &name).await).await
    };
    link(former).await.unwrap();
    mark(&impatient(&case).await, former).await;

    let found = read(&case, async move |tx| tx.identities().state(&identity()).await);
    assert_eq!(found.await, None);
    assert_eq!(read(&case, async move |tx| tx.identities().list(former).await).await, []);
    assert_eq!(failure(link(former).await), "missing parent: identity");
    link(other).await.unwrap();
}

async fn the_id_of_a_user_in_deletion_is_free_when_the_rows_are_gone(case: TestDatabase) {
    let (owner, _) = user_with_much(&case).await;
    let other = impatient(&case).await;
    mark(&other, owner).await;
    let new = NewUser { id: Some(owner), ..NewUser::with_email(email("ada@example.org")) };

    let created = create_user(&case, new.clone()).await;
    assert!(matches!(created, Err(StoreError::BeingDeleted(Marked::User(id))) if id == owner), "{created:?}");
    let by_email = new.clone();
    let created = write(&case, async move |tx| tx.users().get_or_create_by_email(&by_email).await).await;
    assert!(matches!(created, Err(StoreError::BeingDeleted(_))), "{created:?}");
    finish(&other, owner).await;

    assert_eq!(create_user(&case, new).await.unwrap().id, owner);
}

async fn few_messages_sent_elsewhere_are_deleted_with_the_mark(case: TestDatabase) {
    let (guest, _) = user_with_much(&case).await;
    let (host, place) = arbitrary_owner(&case).await;
    join(&case, host, place, guest).await;
    let first = say(&case, host, place, "first").await;
    append(&case, Via::Member(guest), place, NewMessage::user("a guest's")).await.unwrap();

    mark(&impatient(&case).await, guest).await;

    let row = conversation_row(&case, host, place).await;
    assert_eq!((row.message_count, row.last_seq, row.last_message.as_deref()), (1, 2, Some("first")));
    assert_eq!(messages(&case, host, place).await, [first]);
}

async fn many_messages_sent_elsewhere_are_read_by_nobody_and_follow_in_pieces(case: TestDatabase) {
    let (host, place) = arbitrary_owner(&case).await;
    let guest = arbitrary_user(&case).await;
    join(&case, host, place, guest).await;
    let first = say(&case, host, place, "first").await;
    say_often(&case, Via::Member(guest), place, 20).await;
    let other = impatient(&case).await;

    mark(&other, guest).await;

    assert_eq!(messages(&case, host, place).await, std::slice::from_ref(&first));
    let by_seq = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.messages().find_by_seq(Via::Owner(host), place, 2).await
    };
    assert_eq!(read(&case, by_seq).await, None);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.messages, 1);
    let members = read(&case, async move |tx| tx.members().page(host, place, None, Limit::MAX).await).await;
    assert_eq!(members.items.len(), 1, "the owner alone");
    finish(&other, guest).await;
    let row = conversation_row(&case, host, place).await;
    assert_eq!((row.message_count, row.last_seq, row.last_message.as_deref()), (1, 21, Some("first")));
    assert_eq!(messages(&case, host, place).await, [first]);
}

async fn a_sweep_deletes_everything_of_the_user_and_nothing_of_others(case: TestDatabase) {
    let (stays, kept) = arbitrary_owner(&case).await;
    say(&case, stays, kept, "kept").await;
    let before = rows(&case).await;
    let (owner, conversation) = user_with_much(&case).await;
    for _ in 0..30 {
        let id = create_conversation(&case, owner, NewConversation::titled("more")).await.unwrap().id;
        say_often(&case, Via::Owner(owner), id, 2).await;
    }
    join(&case, owner, conversation, stays).await;
    let other = impatient(&case).await;
    mark(&other, owner).await;

    finish(&other, owner).await;

    let mut expected = before;
    for (table, rows) in &mut expected {
        // The host of the user, and the host's conversation.
        *rows += u64::from(matches!(*table, "users" | "conversations"));
    }
    assert_eq!(rows(&case).await, expected);
    assert_eq!(read(&case, async |tx| tx.deletions().count().await).await, MarkedCounts::default());
    assert_eq!(messages(&case, stays, kept).await.len(), 1);
}

async fn the_last_administrator_is_not_one_who_is_being_deleted(case: TestDatabase) {
    let admin = |text: &str| NewUser { role: UserRole::Admin, ..NewUser::named(name(text)) };
    let first = create_user(&case, admin("first")).await.unwrap().id;
    let second = create_user(&case, admin("second")).await.unwrap().id;
    let conversation = arbitrary_conversation(&case, first).await;
    say_often(&case, Via::Owner(first), conversation, 10).await;
    mark(&impatient(&case).await, first).await;

    let erased = write(&case, async move |tx| tx.users().erase(second).await).await;

    assert_eq!(failure(erased), "refused: the last active administrator has to stay one");
}

async fn nothing_is_stored_for_a_user_in_deletion(case: TestDatabase) {
    let (owner, _) = user_with_much(&case).await;
    let (host, place) = arbitrary_owner(&case).await;
    mark(&impatient(&case).await, owner).await;

    let created = create_conversation(&case, owner, NewConversation::titled("late")).await;
    assert_eq!(failure(created), "missing parent: conversation");
    let by_thread = async move |tx: &mut WriteTx<'_>| {
        tx.conversations().get_or_create_by_thread(owner, &NewConversation::thread("late")).await
    };
    assert_eq!(failure(write(&case, by_thread).await), "missing parent: conversation");
    let put = write(&case, async move |tx| tx.members().put(host, place, owner, MemberRole::Viewer).await);
    assert_eq!(failure(put.await), "missing parent: member");
    let erased = write(&case, async move |tx| tx.users().erase(owner).await);
    assert_eq!(failure(erased.await), "not found: user");
}
