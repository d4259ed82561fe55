//! Arbitrary requests: most of them good, some beyond a limit, all of them nasty.

use chatstore_model::{
    ApiKeyScope, ArchivedFilter, CanonicalJson, Change, ConversationFilter, ConversationId,
    ConversationPatch, ConversationSort, DocumentFilter, DocumentId, DocumentPatch, JsonFilter, KeyRights,
    Limit, LogFilter, LogLevel, Membership, MessageId, MessageName, MessagePatch, MessageRange, MessageRole,
    NewApiKey, NewConversation, NewDocument, NewHead, NewIdempotencyRecord, NewLogEvent, NewMessage,
    NewModelResponse, NewReply, NewSession, Order, Parent, SessionId, Timestamp, VerbatimJson,
};
use chatstore_sql::{ConversationList, DocumentList, LogList};
use uuid::Uuid;

use crate::random::Random;

const TEXTS: &[&str] = &[
    "",
    " ",
    "hello",
    "HELLO",
    "Zoë",
    "e\u{301}",
    "知乎者也",
    "👩‍👩‍👧",
    "a'b\"c\\d",
    "%_$1?",
    "\u{feff}x",
    "\u{1}\u{7f}",
    "null",
    "\n\t",
    "\u{10ffff}",
];

const JSONS: &[&str] = &[
    "{}",
    r#"{"a": 1}"#,
    r#"{"b": [1.5, -0.0, 1e300, 5e-324, 9007199254740993], "": null}"#,
    r#"{"z": {"y": {"x": [[], {}, "\u0001"]}}, "知": "é", "é": true}"#,
    r#"{"n": [18446744073709551615, -9223372036854775808, 1e16, 1e19, 0.1]}"#,
];

const MODELS: &[&str] = &["large", "small", "知"];

pub fn text(random: &mut Random) -> String {
    match random.below(40) {
        0 => "a\0b".to_owned(),
        1 => "知".repeat(random.below(600)),
        2 => "😀".repeat(200),
        _ => random.pick(TEXTS).to_owned(),
    }
}

fn model(random: &mut Random) -> String {
    match random.below(30) {
        0 => String::new(),
        1 => "m".repeat(256),
        _ => random.pick(MODELS).to_owned(),
    }
}

fn json(random: &mut Random) -> CanonicalJson {
    match random.below(30) {
        0 => CanonicalJson::list(),
        1 => CanonicalJson::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(70_000))).unwrap(),
        _ => CanonicalJson::parse(random.pick(JSONS)).unwrap(),
    }
}

fn list(random: &mut Random) -> CanonicalJson {
    match random.below(20) {
        0 => CanonicalJson::object(),
        1 => CanonicalJson::parse("[1]").unwrap(),
        _ => CanonicalJson::parse(&format!("[{}]", random.pick(JSONS))).unwrap(),
    }
}

/// Spelled as no database would spell them.
fn parts(random: &mut Random) -> VerbatimJson {
    let text = match random.below(20) {
        0 => "{}".to_owned(),
        1 => "[1]".to_owned(),
        2 => r#"[{"text":"\u0000\ud800"}, {"n":1e400,"n":-0.0}]"#.to_owned(),
        _ => format!("[ {{\"z\":{} , \"a\":1.0}}]", random.pick(JSONS)),
    };
    VerbatimJson::parse(text).unwrap()
}

fn count(random: &mut Random) -> i64 {
    match random.below(25) {
        0 => -1,
        1 => 1 << 53,
        2 => (1 << 53) - 1,
        _ => random.between(0, 1_000),
    }
}

/// Few, so that many are equal, and both ends.
pub fn time(random: &mut Random) -> Timestamp {
    match random.below(8) {
        0 => Timestamp::MIN,
        1 => Timestamp::MAX,
        _ => Timestamp::from_microseconds(random.between(-2, 2) * 500_000).unwrap(),
    }
}

fn change<T>(random: &mut Random, make: impl FnOnce(&mut Random) -> T) -> Change<T> {
    match random.below(4) {
        0 => Change::Set(make(random)),
        1 => Change::Clear,
        _ => Change::Keep,
    }
}

pub fn limit(random: &mut Random) -> Limit {
    Limit::new(u16::try_from(random.pick(&[1, 2, 3, 7, 50, 200])).unwrap()).unwrap()
}

pub fn order(random: &mut Random) -> Order {
    random.pick(&[Order::Ascending, Order::Descending])
}

/// Few, so that they meet.
fn thread_id(random: &mut Random) -> String {
    match random.below(15) {
        0 => text(random),
        number => format!("thread {}", number % 4),
    }
}

pub fn thread(random: &mut Random) -> NewConversation {
    NewConversation { thread_id: random.maybe(95, thread_id), ..conversation(random) }
}

pub fn conversation(random: &mut Random) -> NewConversation {
    NewConversation {
        id: random.maybe(10, |random| ConversationId::from_uuid(uuid(random))),
        thread_id: random.maybe(30, thread_id),
        title: random.maybe(50, text),
        default_model: random.maybe(30, model),
        last_message: random.maybe(30, text),
        metadata: json(random),
        created_at: random.maybe(20, time),
        updated_at: random.maybe(20, time),
    }
}

/// Few, so that they are taken sooner or later.
fn uuid(random: &mut Random) -> Uuid {
    Uuid::from_u128(random.below(6) as u128)
}

pub fn conversation_patch(random: &mut Random) -> ConversationPatch {
    ConversationPatch {
        thread_id: change(random, thread_id),
        title: change(random, text),
        default_model: change(random, model),
        last_message: change(random, text),
        metadata: random.maybe(25, json),
        metadata_patch: random.maybe(15, json),
        archived: random.maybe(30, |random| random.percent(60)),
        head: random.maybe(8, head),
    }
}

/// Few, so that they are there.
fn seq(random: &mut Random) -> MessageName {
    MessageName::Seq(random.between(1, 6))
}

fn head(random: &mut Random) -> NewHead {
    match random.percent(50) {
        true => NewHead::Message(seq(random)),
        false => NewHead::Under(seq(random)),
    }
}

fn parent(random: &mut Random) -> Parent {
    match random.percent(15) {
        true => Parent::Root,
        false => Parent::Message(seq(random)),
    }
}

pub fn message(random: &mut Random) -> NewMessage {
    let role = if random.percent(60) { MessageRole::User } else { random.pick(&MessageRole::ALL) };
    let id = random.maybe(8, |random| MessageId::from_uuid(uuid(random)));
    // When both are taken, the databases may name different ones.
    let external_id = if id.is_none() { random.maybe(5, thread_id) } else { None };
    NewMessage {
        id,
        parts: random.maybe(20, parts),
        format: random.maybe(10, model),
        external_id,
        model: random.maybe(30, model),
        token_count: random.maybe(30, count),
        used_documents: if random.percent(20) { list(random) } else { CanonicalJson::list() },
        metadata: json(random),
        created_at: random.maybe(15, time),
        parent: random.maybe(10, parent),
        ..NewMessage::new(role, text(random))
    }
}

pub fn message_patch(random: &mut Random) -> MessagePatch {
    MessagePatch {
        content: random.maybe(50, text),
        parts: change(random, parts),
        format: change(random, model),
        model: change(random, model),
        token_count: change(random, count),
        used_documents: random.maybe(20, list),
        metadata: random.maybe(20, json),
    }
}

pub fn reply(random: &mut Random) -> NewReply {
    let role = if random.percent(95) { MessageRole::Assistant } else { MessageRole::User };
    let response = NewModelResponse {
        model_used: random.maybe(40, model),
        tokens_prompt: random.maybe(70, count),
        tokens_completion: random.maybe(70, count),
        tokens_total: random.maybe(20, |random| 1_000 + count(random)),
        tokens_cached: random.maybe(30, count),
        completion_time_ms: random.maybe(50, count),
        finish_reason: random.maybe(50, model),
        from_cache: random.percent(20),
    };
    NewReply { message: NewMessage { role, ..message(random) }, response }
}

pub fn range(random: &mut Random) -> MessageRange {
    MessageRange {
        after: random.pick(&[0, 0, 1, 3, 7, -5]),
        before: random.pick(&[i64::MAX, i64::MAX, 2, 5, 9]),
    }
}

pub fn conversation_filter(random: &mut Random) -> ConversationFilter {
    ConversationFilter {
        membership: random.pick(&Membership::ALL),
        archived: random.pick(&ArchivedFilter::ALL),
        ids: None,
        metadata_contains: random.percent(20).then(|| JsonFilter::new(any_json(random)).unwrap()),
        title_contains: random.percent(20).then(|| random.pick(&["t", "T", "é", "%", " "]).to_owned()),
        updated_since: random.percent(20).then(|| time(random)),
    }
}

pub fn conversation_list(random: &mut Random) -> ConversationList {
    ConversationList {
        filter: conversation_filter(random),
        sort: random.pick(&[ConversationSort::Activity, ConversationSort::Creation]),
        order: order(random),
        from: None,
        offset: u32::try_from(random.pick(&[0, 0, 0, 1, 5])).unwrap(),
        limit: limit(random),
    }
}

fn any_json(random: &mut Random) -> CanonicalJson {
    let text =
        random.pick(&["null", "1", "\"a\"", "[]", r#"[{"a": 1}, 1.5, "é"]"#, r#"{"a": 1, "b": [1, 2]}"#]);
    if random.percent(60) { CanonicalJson::parse(text).unwrap() } else { json(random) }
}

pub fn document(random: &mut Random) -> NewDocument {
    NewDocument {
        id: random.maybe(10, |random| DocumentId::from_uuid(Uuid::from_u128(random.below(3) as u128))),
        title: random.maybe(50, text),
        content: any_json(random),
        metadata: json(random),
        created_at: random.maybe(15, time),
        updated_at: None,
    }
}

pub fn document_patch(random: &mut Random) -> DocumentPatch {
    DocumentPatch {
        title: random.pick(&[Change::Keep, Change::Clear, Change::Set("t".to_owned())]),
        content: random.maybe(40, any_json),
        metadata: random.maybe(30, json),
    }
}

pub fn document_list(random: &mut Random) -> DocumentList {
    let filter = |random: &mut Random| {
        let text =
            random.pick(&["{}", "[]", "1", r#"{"a": 1.0}"#, r#"[{"a": 1}]"#, r#"{"b": [2]}"#, "\"é\""]);
        JsonFilter::parse(text).unwrap()
    };
    DocumentList {
        filter: DocumentFilter {
            title: random.maybe(20, text),
            contains: random.maybe(50, filter),
            metadata_contains: random.maybe(20, filter),
        },
        order: order(random),
        from: None,
        limit: limit(random),
    }
}

pub fn log_event(random: &mut Random) -> NewLogEvent {
    NewLogEvent {
        level: random.pick(&LogLevel::ALL),
        event: random.pick(&["a", "chat.opened", "A:b-1", "", "security.x"]).to_owned(),
        conversation_id: random
            .maybe(20, |random| ConversationId::from_uuid(Uuid::from_u128(random.below(3) as u128))),
        request_id: random.maybe(50, |random| random.pick(&["r-1", "r-2", "a b"]).to_owned()),
        data: json(random),
    }
}

pub fn log_list(random: &mut Random) -> LogList {
    LogList {
        filter: LogFilter {
            level: random.maybe(30, |random| random.pick(&LogLevel::ALL)),
            event: random.maybe(30, |random| random.pick(&["a", "chat.opened"]).to_owned()),
            from: random.maybe(20, time),
            to: random.maybe(20, time),
        },
        order: order(random),
        from: None,
        limit: limit(random),
    }
}

pub fn api_key(random: &mut Random) -> NewApiKey {
    NewApiKey {
        scope: random.pick(&[ApiKeyScope::User, ApiKeyScope::Service]),
        name: random.maybe(60, text),
        prefix: "cs_".to_owned(),
        key_hash: hash(random),
        expires_at: random.maybe(30, time),
        rights: KeyRights { read_only: random.percent(30), ..KeyRights::default() },
    }
}

/// Few, so that they meet.
pub fn hash(random: &mut Random) -> [u8; 32] {
    [u8::try_from(random.below(3)).unwrap() * 127; 32]
}

pub fn key(random: &mut Random) -> String {
    match random.below(15) {
        0 => text(random),
        number => format!("key-{}", number % 3),
    }
}

pub fn session(random: &mut Random) -> NewSession {
    let mut id =
        || Uuid::from_u128((random.below(usize::MAX) as u128) << 64 | random.below(usize::MAX) as u128);
    let (id, access_jti) = (id(), id());
    NewSession {
        id: SessionId::from_uuid(id),
        access_jti,
        user_agent: random.maybe(70, text),
        ip: random.maybe(70, |_| "2001:db8::1".to_owned()),
        expires_at: if random.percent(80) { Timestamp::MAX } else { time(random) },
    }
}

pub fn record(random: &mut Random) -> NewIdempotencyRecord {
    NewIdempotencyRecord {
        key: key(random),
        operation: "POST /api/v1/conversations".to_owned(),
        request_sha256: hash(random),
        status: 201,
        result: json(random),
        expires_at: if random.percent(80) { Timestamp::MAX } else { time(random) },
        conversation_id: None,
    }
}
