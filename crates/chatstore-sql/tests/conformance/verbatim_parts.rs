//! Parts of messages come back byte for byte, whatever JSON they are.

use chatstore_model::{
    Change, ConversationId, MessagePatch, MessageRole, NewMessage, NewReply, UserId, VerbatimJson, limits,
};
use chatstore_sql::{TableDigest, Via};
use chatstore_testkit::{Backend, TestDatabase, conformance};

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

/// A generator of JSON in every spelling.
struct Generator(u64);

impl Generator {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn blank(&mut self) -> &'static str {
        self.pick(&["", "", "", " ", "\n", "\t ", "\r\n"])
    }

    fn string(&mut self) -> String {
        const PIECES: [&str; 18] = [
            "a",
            "b",
            "type",
            "text",
            "é",
            "知",
            "😀",
            "\\u0000",
            "\\ud800",
            "\\uDFFF",
            "\\ud83d\\ude00",
            "\\n",
            "\\\\",
            "\\\"",
            "\\/",
            "'",
            "\u{2028}",
            "\u{7f}",
        ];
        let pieces: String = (0..self.below(5)).map(|_| self.pick(&PIECES)).collect();
        format!("\"{pieces}\"")
    }

    fn number(&mut self) -> String {
        match self.below(8) {
            0 => self.below(1_000).to_string(),
            1 => format!("-{}", self.below(9)),
            2 => format!("{}.0", self.below(100)),
            3 => format!("1{}", "0".repeat(self.below(40))),
            4 => format!("{}e{}", self.below(9), self.below(500)),
            5 => format!("-0.{}E-{}", self.below(1_000), self.below(400)),
            6 => format!("0.{}", "3".repeat(1 + self.below(30))),
            _ => self.pick(&["-0.0", "0", "1.0", "9007199254740993", "18446744073709551616"]).to_owned(),
        }
    }

    fn list(&mut self, depth: usize, item: fn(&mut Self, usize) -> String) -> String {
        let items: Vec<String> = (0..self.below(4)).map(|_| self.spaced(depth, item)).collect();
        format!("[{}{}]", self.blank(), items.join(","))
    }

    fn spaced(&mut self, depth: usize, item: fn(&mut Self, usize) -> String) -> String {
        format!("{}{}{}", self.blank(), item(self, depth), self.blank())
    }

    fn object(&mut self, depth: usize) -> String {
        let entry = |this: &mut Self, depth: usize| {
            format!("{}{}:{}", this.string(), this.blank(), this.spaced(depth + 1, Self::value))
        };
        let entries: Vec<String> = (0..self.below(4)).map(|_| entry(self, depth)).collect();
        format!("{{{}{}}}", self.blank(), entries.join(","))
    }

    fn value(&mut self, depth: usize) -> String {
        let kinds = if depth < 5 { 6 } else { 4 };
        match self.below(kinds) {
            0 => self.string(),
            1 | 2 => self.number(),
            3 => self.pick(&["null", "true", "false"]).to_owned(),
            4 => self.list(depth + 1, Self::value),
            _ => self.object(depth),
        }
    }

    fn parts(&mut self) -> String {
        self.list(0, Self::object)
    }
}

/// Stores generated parts, reads them back, and says what the tables are.
async fn stored(case: &TestDatabase) -> Vec<TableDigest> {
    let (owner, conversation) = arbitrary_owner(case).await;
    let mut generator = Generator(7);
    for _ in 0..GENERATED / BATCH {
        check_batch(case, owner, conversation, &mut generator).await;
    }
    read(case, async |tx| tx.statistics().digests().await).await
}

async fn check_batch(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    generator: &mut Generator,
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
        let mut generator = Generator(7);
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
