//! What revisions do to the rows of the programs before them.

use chatstore_model::{
    CanonicalJson, ConversationId, Duplicates, MessageId, MessageRole, NewMessage, UserId, VerbatimJson,
};
use chatstore_sql::migrate::{MigrationEvent, Revision, Target};
use chatstore_sql::{ReadTx, Sql, TableDigest, Via, WriteTx, revisions};
use chatstore_testkit::{Backend, TestDatabase, conformance};

use crate::fixtures::{append, arbitrary_owner, arbitrary_uuid, messages, read, write};
use crate::migration_fixtures::migrator;

conformance!(
    a_program_that_knows_parts_as_json_is_refused_by_the_name_of_the_revision,
    an_older_program_can_read_what_is_left_of_parts_when_the_revision_is_undone,
);

/// The revision that keeps the text of parts, after those that the programs before it know.
fn older_and_newer() -> (Vec<Revision>, Revision) {
    let all = revisions().unwrap();
    let place = all.iter().position(|revision| revision.slug == "verbatim_parts_of_messages").unwrap();
    (all[..place].to_vec(), all[place].clone())
}

async fn downgrade(case: &TestDatabase) {
    let (_, newer) = older_and_newer();
    let parent = Target::from(newer.revises[0].as_str());
    case.database.migrations().unwrap().downgrade(parent, true, |_| {}).await.unwrap();
}

async fn upgrade(case: &TestDatabase, observe: impl FnMut(&MigrationEvent<'_>) + Send + 'static) {
    case.database.migrations().unwrap().upgrade(Target::Head, observe).await.unwrap();
}

async fn a_program_that_knows_parts_as_json_is_refused_by_the_name_of_the_revision(case: TestDatabase) {
    let (older, newer) = older_and_newer();
    let status = case.database.migrations_by(migrator(older)).status().await.unwrap();
    let refused = status.verify_for_service().unwrap_err().to_string();
    assert!(refused.contains(&newer.id), "{refused}");
    assert!(newer.breaking);
}

/// As the programs before wrote them.
const OLD: [&str; 4] = [
    r#"[{"b":1,"a":[1.5,"it's \"é\" \\"],"":null},{"text":"😀\n"}]"#,
    r#"[{"n":[1e+100,1e-07,1e-7,10000000000000000,-9223372036854775808,0.30000000000000004,1e+20]}]"#,
    "[]",
    r#"[{"aa":1,"b":2,"a":3}]"#,
];

/// More than are rewritten at once.
const MESSAGES: i64 = 150;

fn canonical(text: &str) -> CanonicalJson {
    CanonicalJson::parse_stored(text, Duplicates::Refused).unwrap()
}

/// The parts of the message with this number; every fifth has none.
fn old_parts(seq: i64) -> Option<CanonicalJson> {
    OLD.get(usize::try_from(seq % 5).unwrap()).map(|text| canonical(text))
}

async fn insert_old_rows(case: &TestDatabase) -> (UserId, ConversationId) {
    const MESSAGE: Sql = Sql::same(
        "old.message",
        "insert into messages (owner_id, conversation_id, seq, id, role, content, parts, used_documents, metadata, \
         created_at) values ($1, $2, $3, $4, $5, 'old', $6, '[]', '{}', $7)",
    );
    const RESPONSE: Sql = Sql::same(
        "old.response",
        "insert into responses (owner_id, message_id, conversation_id, model_used, from_cache, created_at) \
         values ($1, $2, $3, 'large', false, $4)",
    );
    const USER: Sql = Sql::same(
        "old.user",
        "insert into users (id, username, username_key, role, is_active, must_change_password, metadata, created_at, \
         updated_at) values ($1, 'old', 'old', 'user', true, false, '{}', $2, $2)",
    );
    const CONVERSATION: Sql = Sql::same(
        "old.conversation",
        "insert into conversations (owner_id, id, last_seq, message_count, revision, metadata, created_at, \
         updated_at) values ($1, $2, 150, 150, 1, '{}', $3, $3)",
    );
    let ids: Vec<MessageId> = (0..MESSAGES).map(|_| MessageId::from_uuid(arbitrary_uuid(case))).collect();
    let owner = UserId::from_uuid(arbitrary_uuid(case));
    let conversation = ConversationId::from_uuid(arbitrary_uuid(case));
    let insert = async move |tx: &mut WriteTx<'_>| {
        let now = tx.now();
        tx.execute(&USER, &[owner.into(), now.into()]).await?;
        tx.execute(&CONVERSATION, &[owner.into(), conversation.into(), now.into()]).await?;
        for (seq, id) in (1..).zip(&ids) {
            let parts = old_parts(seq);
            let role = if seq % 2 == 0 { "assistant" } else { "user" };
            let values = [
                owner.into(),
                conversation.into(),
                seq.into(),
                (*id).into(),
                role.into(),
                parts.as_ref().into(),
                now.into(),
            ];
            tx.execute(&MESSAGE, &values).await?;
            if seq % 4 == 0 {
                tx.execute(&RESPONSE, &[owner.into(), (*id).into(), conversation.into(), now.into()]).await?;
            }
        }
        Ok(())
    };
    write(case, insert).await.unwrap();
    (owner, conversation)
}

/// What the rows of an older program become.
async fn upgraded(case: &TestDatabase) -> Vec<TableDigest> {
    downgrade(case).await;
    let (owner, conversation) = insert_old_rows(case).await;
    upgrade(case, |_| {}).await;
    let stored = messages(case, owner, conversation).await;
    assert_eq!(stored.len(), 150);
    for message in &stored {
        let expected = old_parts(message.seq).map(|parts| parts.to_string());
        assert_eq!(message.parts.as_ref().map(VerbatimJson::to_string), expected, "{}", message.seq);
        let has_response = message.seq % 4 == 0;
        assert_eq!(message.model.as_deref(), has_response.then_some("large"), "{}", message.seq);
    }
    read(case, async |tx| tx.statistics().digests().await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_older_program_are_the_same_on_both_databases_after_an_upgrade() {
    let on_sqlite = upgraded(&Backend::Sqlite.database().await).await;
    assert_eq!(on_sqlite, upgraded(&Backend::Postgres.database().await).await);
}

async fn an_older_program_can_read_what_is_left_of_parts_when_the_revision_is_undone(case: TestDatabase) {
    const PARTS: Sql = Sql::same("old.parts", "select parts from messages order by seq");
    let (owner, conversation) = arbitrary_owner(&case).await;
    let kept = [
        r#"[{"zebra":1.0,"alpha":"\ud83d\ude00 it's"}]"#,
        r#"[{"n":[12345678901234567890123,1e30,-0.0],"code":"\\u0000 \\ud800"}]"#,
        "[ ]",
    ];
    let unreadable =
        [r#"[{"nul":"\u0000"}]"#, r#"[{"lone":"\uDFFF"}]"#, r#"[{"\ud800":1}]"#, "[{\"n\":-1e400}]"];
    for text in kept.into_iter().chain(unreadable).chain([r#"[{"a":1,"a":2}]"#]) {
        let new = NewMessage::of_parts(MessageRole::User, VerbatimJson::parse(text).unwrap());
        append(&case, Via::Owner(owner), conversation, new).await.unwrap();
    }

    downgrade(&case).await;

    let read_parts = async |tx: &mut ReadTx<'_>| tx.query(&PARTS, &[], |row| row.next()).await;
    let left: Vec<Option<CanonicalJson>> = read(&case, read_parts).await;
    let expected = kept.map(|text| Some(canonical(text)));
    assert_eq!(left[..3], expected);
    assert_eq!(left[3..7], [const { None }; 4]);
    assert_eq!(left.len(), 8, "of the last one only that it can be read is promised");
    upgrade(&case, |_| {}).await;
    assert_eq!(messages(&case, owner, conversation).await.len(), 8);
}
