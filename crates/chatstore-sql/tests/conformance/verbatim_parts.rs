//! Parts of messages come back byte for byte, whatever JSON they are.

use chatstore_model::{
    Change, ConversationId, MessagePatch, MessageRole, NewMessage, NewReply, UserId, VerbatimJson, limits,
};
use chatstore_sql::{TableDigest, Via};
use chatstore_testkit::{Backend, JsonGenerator, TestDatabase, conformance};

use crate::fixtures::{append, arbitrary_owner, messages, read, reply, write};

conformance!(odd_parts_come_back_byte_for_byte_on_every_way, parts_of_five_megabytes_come_back_byte_for_byte,);

const GENERATED: usize = 10_000;
const BATCH: usize = 500;

/// What a database that understands JSON would change or refuse.
const ODD: [&str; 12] = [
    "[]",
    "[ ]",
    "[ {\t} ,\n{ } ]",
    r#"[{"zebra":1.0,"alpha":2,"zebra":-0.0}]"#,
    r#"[{"n":[1e30,1E+30,0.1e-7,-0,12345678901234567890123,1e400,1.10,100000000000000000000000000000000]}]"#,
    r#"[{"nul":"a\u0000b","\u0000":1}]"#,
    r#"[{"lone":"\ud800","other":"\uDFFFx","pair":"\ud83d\ude00","raw":"😀"}]"#,
    r#"[{"escapes":"\/\b\f\n\r\t\"\\\u002f\u00e9é","quotes":"it's \"$parts$\" -- ; \\u0000"}]"#,
    r#"[{"":{"":{"":[[[[]]]]}}}, {"a" : null , "b":true,"c":false}]"#,
    "[{\"separators\":\"\u{2028}\u{2029}\u{feff}\u{fffe}\u{7f}\u{80}\"}]",
    r#"[{"type":"text","text":"hello"}]"#,
    r#"[{"same":1},{"same":1},{"same":1}]"#,
];

fn json(text: impl Into<String>) -> VerbatimJson {
    VerbatimJson::parse(text).unwrap()
}

fn with_parts(parts: VerbatimJson) -> NewMessage {
    NewMessage::of_parts(MessageRole::Assistant, parts)
}

async fn odd_parts_come_back_byte_for_byte_on_every_way(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let mut expected = Vec::new();
    for text in ODD {
        let appended = append(&case, Via::Owner(owner), conversation, with_parts(json(text))).await.unwrap();
        assert_eq!(appended.parts.as_ref().map(VerbatimJson::as_str), Some(text));
        let new = NewReply { message: with_parts(json(text)), ..NewReply::new("") };
        let replied = reply(&case, owner, conversation, new).await.unwrap();
        let batch = vec![with_parts(json(text)), NewMessage::user("bare")];
        let many =
            write(&case, async move |tx| tx.messages().append_many(owner, conversation, &[], &batch).await);
        many.await.unwrap();
        let patch = MessagePatch { parts: Change::Set(json(text)), ..MessagePatch::default() };
        let id = replied.message.id;
        let edited = write(&case, async move |tx| tx.messages().edit(owner, conversation, id, &patch).await);
        assert_eq!(edited.await.unwrap().parts, Some(json(text)));
        expected.extend([Some(text), Some(text), Some(text), None]);
    }
    let stored = messages(&case, owner, conversation).await;
    let parts: Vec<Option<&str>> =
        stored.iter().map(|message| message.parts.as_ref().map(VerbatimJson::as_str)).collect();
    assert_eq!(parts, expected);
}

async fn parts_of_five_megabytes_come_back_byte_for_byte(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let image = format!(r#"[{{"image": "data:image/png;base64,{}"}}]"#, "iVBORw0KGgo".repeat(1 << 19));
    assert!((5 << 20..limits::PARTS_BYTES).contains(&image.len()), "{}", image.len());
    append(&case, Via::Owner(owner), conversation, with_parts(json(&*image))).await.unwrap();
    let stored = messages(&case, owner, conversation).await;
    assert!(stored[0].parts.as_ref().is_some_and(|parts| parts.as_str() == image));
}

/// Stores generated parts, reads them back, and says what the tables are.
async fn stored(case: &TestDatabase) -> Vec<TableDigest> {
    let (owner, conversation) = arbitrary_owner(case).await;
    let mut generator = JsonGenerator::seeded(7);
    for _ in 0..GENERATED / BATCH {
        check_batch(case, owner, conversation, &mut generator).await;
    }
    read(case, async |tx| tx.statistics().digests().await).await
}

async fn check_batch(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    generator: &mut JsonGenerator,
) {
    let texts: Vec<String> = (0..BATCH).map(|_| generator.parts()).collect();
    let new: Vec<NewMessage> = texts.iter().map(|text| with_parts(json(text.as_str()))).collect();
    let appended =
        write(case, async move |tx| tx.messages().append_many(owner, conversation, &[], &new).await).await;
    for (message, text) in appended.unwrap().iter().zip(&texts) {
        assert_eq!(message.parts.as_ref().map(VerbatimJson::as_str), Some(text.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_generated_parts_come_back_byte_for_byte_and_are_equal_on_both_databases() {
    let (sqlite, postgres) = (Backend::Sqlite.database().await, Backend::Postgres.database().await);
    let digests = stored(&sqlite).await;
    assert_eq!(digests, stored(&postgres).await);
    let count = digests.iter().find(|digest| digest.table == "messages").map(|digest| digest.rows);
    assert_eq!(count, Some(GENERATED as u64));
    for case in [&sqlite, &postgres] {
        let (owner, conversation) = first_conversation(case).await;
        let mut generator = JsonGenerator::seeded(7);
        for message in messages(case, owner, conversation).await {
            let text = generator.parts();
            assert_eq!(message.parts.map(|parts| parts.to_string()), Some(text));
        }
    }
}

async fn first_conversation(case: &TestDatabase) -> (UserId, ConversationId) {
    use chatstore_sql::Sql;
    const FIRST: Sql = Sql::same("test.first_conversation", "select owner_id, id from conversations");
    let find = async |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.query(&FIRST, &[], |row| Ok((row.next()?, row.next()?))).await
    };
    read(case, find).await[0]
}
