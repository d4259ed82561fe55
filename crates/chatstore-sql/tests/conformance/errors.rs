//! Errors: named by meaning, alike on both databases.

use chatstore_model::{
    Change, ConversationId, ConversationPatch, NewConversation, NewMessage, NewRefreshToken, NewReply,
    NewSession, NewUser, SessionId, UserPatch,
};
use chatstore_sql::{Database, DatabaseOptions, Sql, StoreError, Via};
use chatstore_testkit::{Backend, TestDatabase, conformance};
use tokio_postgres::NoTls;

use crate::fixtures::{
    absent_user, append, arbitrary_owner, arbitrary_user, create_conversation, create_user, email, failure,
    name, read, reply, reply_of, say, write,
};

conformance!(
    a_taken_name_or_address_of_a_user_is_named,
    a_taken_thread_or_id_of_a_conversation_is_named,
    a_taken_id_of_a_message_is_named_by_every_way_to_append,
    a_conversation_needs_an_owner,
    what_refers_to_something_absent_is_named,
    errors_say_whether_to_try_again,
);

async fn a_taken_name_or_address_of_a_user_is_named(case: TestDatabase) {
    create_user(&case, NewUser::named(name("Ada"))).await.unwrap();
    create_user(&case, NewUser::with_email(email("ada@example.org"))).await.unwrap();
    let other = arbitrary_user(&case).await;

    let with_name = NewUser::named(name("ADA"));
    let with_address = NewUser::with_email(email("ADA@example.org"));
    let with_both = NewUser { email: with_address.email.clone(), ..with_name.clone() };
    for (new, field) in [(with_name, "username"), (with_address, "email"), (with_both, "username")] {
        let expected = format!("already exists: user.{field}");
        let patch = UserPatch {
            username: new.username.clone().map_or(Change::Keep, Change::Set),
            email: new.email.clone().map_or(Change::Keep, Change::Set),
            ..UserPatch::default()
        };
        assert_eq!(failure(create_user(&case, new).await), expected);
        let changed = write(&case, async move |tx| tx.users().update(other, &patch).await).await;
        assert_eq!(failure(changed), expected);
    }
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, 3);
}

async fn a_taken_thread_or_id_of_a_conversation_is_named(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let id = ConversationId::from_uuid(uuid::Uuid::from_u128(7));
    let with_id = NewConversation { id: Some(id), ..NewConversation::default() };
    create_conversation(&case, owner, with_id.clone()).await.unwrap();
    create_conversation(&case, owner, NewConversation::thread("taken")).await.unwrap();
    let with_both = NewConversation { id: Some(id), ..NewConversation::thread("taken") };

    for (new, field) in [(with_id, "id"), (NewConversation::thread("taken"), "thread_id"), (with_both, "id")]
    {
        let answer = create_conversation(&case, owner, new).await;
        assert_eq!(failure(answer), format!("already exists: conversation.{field}"));
    }
    let other = NewConversation { id: Some(id), ..NewConversation::thread("free") };
    let created =
        write(&case, async move |tx| tx.conversations().get_or_create_by_thread(owner, &other).await).await;
    assert_eq!(failure(created), "already exists: conversation.id");
    let patch =
        ConversationPatch { thread_id: Change::Set("taken".to_owned()), ..ConversationPatch::default() };
    let changed = write(&case, async move |tx| tx.conversations().update(owner, id, &patch).await).await;
    assert_eq!(failure(changed), "already exists: conversation.thread_id");
}

async fn a_taken_id_of_a_message_is_named_by_every_way_to_append(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let taken = Some(say(&case, owner, conversation, "hello").await.id);
    let expected = "already exists: message.id";

    let again = NewMessage { id: taken, ..NewMessage::user("again") };
    let answer = append(&case, Via::Owner(owner), conversation, again.clone()).await;
    assert_eq!(failure(answer), expected);
    let answer = write(&case, async move |tx| {
        tx.messages().append_many(owner, conversation, &[], std::slice::from_ref(&again)).await
    });
    assert_eq!(failure(answer.await), expected);
    for mut new in [reply_of("m", 1, 1), NewReply::new("again")] {
        new.message.id = taken;
        assert_eq!(failure(reply(&case, owner, conversation, new).await), expected);
    }
}

async fn a_conversation_needs_an_owner(case: TestDatabase) {
    let absent = absent_user(&case);
    let new = NewConversation::thread("t");

    let expected = "missing parent: conversation";
    assert_eq!(failure(create_conversation(&case, absent, new.clone()).await), expected);
    let created =
        write(&case, async move |tx| tx.conversations().get_or_create_by_thread(absent, &new).await).await;
    assert_eq!(failure(created), expected);
}

async fn what_refers_to_something_absent_is_named(case: TestDatabase) {
    const USAGE: Sql = Sql::same(
        "usage.test",
        "insert into usage_daily (owner_id, day, model, requests, cached_requests, tokens_prompt, \
         tokens_completion, tokens_total, completion_time_ms_sum, cost_micros) \
         values ($1, $2, 'model', 0, 0, 0, 0, 0, 0, 0)",
    );
    const TOKEN: Sql = Sql::same(
        "refresh_tokens.test",
        "insert into refresh_tokens (user_id, id, session_id, counter, token_hash, created_at, expires_at) \
         values ($1, $1, $1, 0, $2, $3, $3)",
    );
    let (absent, now) = (absent_user(&case), case.database.clock().now());
    let new = NewSession {
        id: SessionId::from_uuid(absent.uuid()),
        access_jti: absent.uuid(),
        user_agent: None,
        ip: None,
        expires_at: now,
    };
    let token = NewRefreshToken { token_hash: [0; 32], expires_at: now };
    let session = write(&case, async move |tx| tx.sessions().begin(absent, &new, &token).await).await;
    assert_eq!(failure(session), "missing parent: session");
    let usage = write(&case, async move |tx| tx.execute(&USAGE, &[absent.into(), now.into()]).await).await;
    assert_eq!(failure(usage), "missing parent: usage");
    let token = write(&case, async move |tx| {
        tx.execute(&TOKEN, &[absent.into(), [0_u8; 32].as_slice().into(), now.into()]).await
    });
    assert_eq!(failure(token.await), "missing parent: refresh_token");
}

async fn errors_say_whether_to_try_again(case: TestDatabase) {
    let absent = absent_user(&case);
    let missing = create_conversation(&case, absent, NewConversation::default()).await.unwrap_err();
    assert!(!missing.is_retryable());
    case.database.close().await;
    let closed = create_user(&case, NewUser::named(name("Ada"))).await.unwrap_err();
    assert!(closed.is_retryable(), "{closed}");
}

/// A connection beside the store's.
async fn connect(case: &TestDatabase) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(case.server_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Makes a setting for every connection of the case's database that is opened from now on.
async fn set_for_database(client: &tokio_postgres::Client, setting: &str) {
    let name: String = client.query_one("select current_database()::text", &[]).await.unwrap().get(0);
    client.batch_execute(&format!("alter database {name} set {setting}")).await.unwrap();
}

#[tokio::test]
async fn a_database_that_takes_no_writes_says_so_on_postgres() {
    let case = Backend::Postgres.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    set_for_database(&connect(&case).await, "default_transaction_read_only = on").await;
    let read_only = Database::open(DatabaseOptions::new(case.server_url())).await.unwrap();

    let new = NewMessage::user("hello");
    let answer = read_only
        .write("append", async move |tx| tx.messages().append(Via::Owner(owner), conversation, &new).await);
    let answer = answer.await;
    assert!(matches!(answer, Err(StoreError::ReadOnly(_))), "{answer:?}");
    let count = read_only.read("count", async |tx| tx.users().count().await).await;
    assert_eq!(count.unwrap(), 1);
}

#[tokio::test]
async fn a_write_that_waits_too_long_for_a_lock_is_a_timeout_on_postgres() {
    let case = Backend::Postgres.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = connect(&case).await;
    set_for_database(&other, "lock_timeout = '20ms'").await;
    let impatient = Database::open(DatabaseOptions::new(case.server_url())).await.unwrap();
    other.batch_execute("begin; select from conversations for update").await.unwrap();

    let append = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("hello")).await
    };
    let answer = impatient.write("append", append).await;
    assert!(matches!(answer, Err(StoreError::Timeout(_))), "{answer:?}");
    other.batch_execute("rollback").await.unwrap();
    impatient.write("append", append).await.unwrap();
}

#[tokio::test]
async fn a_write_that_waits_too_long_for_another_process_is_a_timeout_on_sqlite() {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = rusqlite::Connection::open(case.url.strip_prefix("sqlite://").unwrap()).unwrap();
    other.execute_batch("begin immediate").unwrap();

    let answer = append(&case, Via::Owner(owner), conversation, NewMessage::user("hello")).await;
    assert!(matches!(answer, Err(StoreError::Timeout(_))), "{answer:?}");
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, 1, "reads go on");
    other.execute_batch("rollback").unwrap();
    assert_eq!(say(&case, owner, conversation, "the store goes on").await.seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_go_on_after_the_server_ended_every_connection() {
    let case = Backend::Postgres.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = connect(&case).await;
    for round in 1..=10 {
        let ended = other.query(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
            &[],
        );
        assert!(!ended.await.unwrap().is_empty());
        let count = case.database.read("count", async |tx| tx.users().count().await).await;
        assert_eq!(count.unwrap(), 1, "a read is repeated");
        assert_eq!(say(&case, owner, conversation, "hello").await.seq, round);
    }
}
