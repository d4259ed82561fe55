//! Requests beyond the limits are refused, field by field, before anything is stored.

use std::collections::BTreeMap;

use chatstore_model::{
    ApiKeyScope, CanonicalJson, Change, ConversationPatch, FieldCode, MessagePatch, NewApiKey,
    NewConversation, NewIdempotencyRecord, NewMessage, NewModelResponse, NewReply, NewUser, Timestamp,
    UserPatch, VerbatimJson, limits,
};
use chatstore_sql::{StoreError, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    append, arbitrary_owner, arbitrary_user, conversation_row, create_conversation, create_user,
    invalid_fields, messages, name, read, reply, say, write,
};

conformance!(
    a_user_beyond_a_limit_is_refused,
    a_conversation_at_every_limit_is_stored,
    a_conversation_beyond_a_limit_is_refused,
    a_message_at_every_limit_is_stored,
    json_too_deep_to_be_read_back_is_refused,
    a_message_beyond_a_limit_is_refused,
    a_reply_at_every_limit_is_stored,
    a_reply_beyond_a_limit_is_refused,
    an_api_key_beyond_a_limit_is_refused,
    an_idempotency_key_beyond_a_limit_is_refused,
    the_nul_character_is_refused_in_every_text,
    the_nul_character_is_refused_in_every_look_up,
);

/// Metadata of exactly so many bytes.
fn metadata(bytes: usize) -> CanonicalJson {
    let json = CanonicalJson::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8))).unwrap();
    assert_eq!(json.to_string().len(), bytes);
    json
}

fn documents(count: usize) -> CanonicalJson {
    CanonicalJson::parse(&format!("[{}]", vec!["\"d\""; count].join(","))).unwrap()
}

async fn a_user_beyond_a_limit_is_refused(case: TestDatabase) {
    let new = NewUser {
        full_name: Some("知".repeat(256)),
        metadata: metadata(65_537),
        ..NewUser::named(name("Ada"))
    };
    assert_eq!(invalid_fields(create_user(&case, new).await), ["full_name", "metadata"]);
    let fits = NewUser {
        full_name: Some("知".repeat(255)),
        metadata: metadata(65_536),
        ..NewUser::named(name("Ada"))
    };
    let ada = create_user(&case, fits).await.unwrap();
    let patch = UserPatch {
        full_name: Change::Set("知".repeat(256)),
        metadata: Some(CanonicalJson::list()),
        ..UserPatch::default()
    };
    let id = ada.id;
    let changed = write(&case, async move |tx| tx.users().update(id, &patch).await).await;
    assert_eq!(invalid_fields(changed), ["full_name", "metadata"]);
    assert_eq!(read(&case, async move |tx| tx.users().get(id).await).await, Some(ada));
}

async fn a_conversation_at_every_limit_is_stored(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let new = NewConversation {
        thread_id: Some("😀".repeat(255)),
        title: Some("😀".repeat(512)),
        default_model: Some("😀".repeat(255)),
        last_message: Some("😀".repeat(4_000)),
        metadata: metadata(65_536),
        ..NewConversation::default()
    };

    let created = create_conversation(&case, owner, new).await.unwrap();

    assert_eq!(conversation_row(&case, owner, created.id).await, created);
}

async fn a_conversation_beyond_a_limit_is_refused(case: TestDatabase) {
    let (owner, id) = arbitrary_owner(&case).await;
    let before = conversation_row(&case, owner, id).await;
    let over = |length: usize| "😀".repeat(length + 1);
    let every = ["thread_id", "title", "default_model", "last_message", "metadata"];
    let new = NewConversation {
        thread_id: Some(over(255)),
        title: Some(over(512)),
        default_model: Some(over(255)),
        last_message: Some(over(4_000)),
        metadata: metadata(65_537),
        ..NewConversation::default()
    };
    assert_eq!(invalid_fields(create_conversation(&case, owner, new.clone()).await), every);
    let found_or_made =
        write(&case, async move |tx| tx.conversations().get_or_create_by_thread(owner, &new).await).await;
    assert_eq!(invalid_fields(found_or_made), every);
    let patch = ConversationPatch {
        thread_id: Change::Set(over(255)),
        title: Change::Set(over(512)),
        default_model: Change::Set(over(255)),
        last_message: Change::Set(over(4_000)),
        metadata: Some(CanonicalJson::list()),
        ..ConversationPatch::default()
    };
    let changed = write(&case, async move |tx| tx.conversations().update(owner, id, &patch).await).await;
    assert_eq!(invalid_fields(changed), every);
    for thread_id in ["", "a\u{7}b", "a\u{85}b"] {
        let answer = create_conversation(&case, owner, NewConversation::thread(thread_id)).await;
        assert_eq!(invalid_fields(answer), ["thread_id"], "{thread_id:?}");
    }
    let unnamed = NewConversation { default_model: Some(String::new()), ..NewConversation::default() };
    assert_eq!(invalid_fields(create_conversation(&case, owner, unnamed).await), ["default_model"]);
    assert_eq!(conversation_row(&case, owner, id).await, before);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.conversations, 1);
}

async fn a_message_at_every_limit_is_stored(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let new = NewMessage {
        parts: Some(VerbatimJson::parse(format!("[{}]", vec!["{}"; 1_000].join(","))).unwrap()),
        format: Some("😀".repeat(64)),
        external_id: Some("😀".repeat(255)),
        model: Some("😀".repeat(255)),
        token_count: Some(limits::COUNT),
        used_documents: documents(256),
        metadata: metadata(65_536),
        ..NewMessage::user("😀".repeat(250_000))
    };

    let appended = append(&case, Via::Owner(owner), conversation, new).await.unwrap();

    assert_eq!(messages(&case, owner, conversation).await, [appended]);
}

async fn json_too_deep_to_be_read_back_is_refused(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let deep = |levels: usize| {
        let mut value = CanonicalJson::object().to_value();
        for _ in 1..levels {
            let mut outer = CanonicalJson::parse(r#"{"a": 0}"#).unwrap().to_value();
            outer["a"] = value;
            value = outer;
        }
        CanonicalJson::new(value).unwrap()
    };
    let with = |levels| NewMessage { metadata: deep(levels), ..NewMessage::user("deep") };

    let refused = append(&case, Via::Owner(owner), conversation, with(128)).await;
    assert_eq!(invalid_fields(refused), ["metadata"]);
    let appended = append(&case, Via::Owner(owner), conversation, with(127)).await.unwrap();
    assert_eq!(messages(&case, owner, conversation).await, [appended]);
}

async fn a_message_beyond_a_limit_is_refused(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let said = say(&case, owner, conversation, "hello").await;
    let before = conversation_row(&case, owner, conversation).await;
    let every = ["model", "parts", "token_count", "used_documents", "metadata", "format"];
    for token_count in [-1, limits::COUNT + 1] {
        let new = NewMessage {
            parts: Some(VerbatimJson::parse(r#"[{}, "text"]"#).unwrap()),
            model: Some("m".repeat(256)),
            token_count: Some(token_count),
            used_documents: documents(257),
            metadata: metadata(65_537),
            format: Some("f".repeat(65)),
            ..NewMessage::user("hello")
        };
        let appended = append(&case, Via::Owner(owner), conversation, new.clone()).await;
        assert_eq!(invalid_fields(appended), every);
        let many = [NewMessage::user("good"), new];
        let appended =
            write(&case, async move |tx| tx.messages().append_many(owner, conversation, &[], &many).await);
        assert_eq!(invalid_fields(appended.await), every.map(|field| format!("messages[1].{field}")));
        let patch = MessagePatch {
            content: None,
            parts: Change::Set(VerbatimJson::parse("{}").unwrap()),
            model: Change::Set(String::new()),
            token_count: Change::Set(token_count),
            used_documents: Some(CanonicalJson::object()),
            metadata: Some(CanonicalJson::list()),
            format: Change::Set(String::new()),
        };
        let edited =
            write(&case, async move |tx| tx.messages().edit(owner, conversation, said.id, &patch).await);
        assert_eq!(invalid_fields(edited.await), every);
    }
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
}

/// Once through the one statement for a known model, once through the steps for an unknown one.
fn both_ways(response: &NewModelResponse) -> [NewReply; 2] {
    [Some("m".to_owned()), None].map(|model_used| NewReply {
        response: NewModelResponse { model_used, ..response.clone() },
        ..NewReply::new("certainly")
    })
}

async fn a_reply_at_every_limit_is_stored(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let response = NewModelResponse {
        tokens_prompt: Some(0),
        tokens_completion: Some(limits::TOKENS),
        tokens_total: Some(limits::TOKENS),
        tokens_cached: Some(limits::TOKENS),
        completion_time_ms: Some(limits::COUNT),
        finish_reason: Some("😀".repeat(255)),
        ..NewModelResponse::default()
    };
    for new in both_ways(&response) {
        let stored = reply(&case, owner, conversation, new).await.unwrap();
        let id = stored.message.id;
        let found = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
        assert_eq!(found, Some(stored.response));
    }
}

async fn a_reply_beyond_a_limit_is_refused(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for [tokens, milliseconds] in [[-1; 2], [limits::TOKENS + 1, limits::COUNT + 1]] {
        let response = NewModelResponse {
            tokens_prompt: Some(tokens),
            tokens_cached: Some(tokens),
            completion_time_ms: Some(milliseconds),
            finish_reason: Some("f".repeat(256)),
            ..NewModelResponse::default()
        };
        let mut every = ["finish_reason", "tokens_prompt", "tokens_cached", "completion_time_ms"]
            .map(|field| format!("response.{field}"))
            .to_vec();
        for new in both_ways(&response) {
            assert_eq!(invalid_fields(reply(&case, owner, conversation, new).await), every);
        }
        let mut wrong_model = NewReply { response, ..NewReply::new("certainly") };
        wrong_model.response.model_used = Some("m".repeat(256));
        every.insert(0, "response.model_used".to_owned());
        assert_eq!(invalid_fields(reply(&case, owner, conversation, wrong_model).await), every);
    }
    assert_eq!(messages(&case, owner, conversation).await, []);
}

fn api_key() -> NewApiKey {
    NewApiKey {
        scope: ApiKeyScope::User,
        name: Some("laptop".to_owned()),
        prefix: "cs_".to_owned(),
        key_hash: [1; 32],
        expires_at: None,
        rights: chatstore_model::KeyRights::default(),
    }
}

async fn create_key(case: &TestDatabase, new: NewApiKey) -> Result<chatstore_model::ApiKey, StoreError> {
    let user = arbitrary_user(case).await;
    write(case, async move |tx| tx.api_keys().create(user, &new).await).await
}

async fn an_api_key_beyond_a_limit_is_refused(case: TestDatabase) {
    for name in [String::new(), "知".repeat(101)] {
        let new = NewApiKey { name: Some(name), ..api_key() };
        assert_eq!(invalid_fields(create_key(&case, new).await), ["name"]);
    }
    for name in [None, Some("知".repeat(100))] {
        let created = create_key(&case, NewApiKey { name: name.clone(), ..api_key() }).await.unwrap();
        assert_eq!(created.name, name);
    }
}

fn record(key: &str) -> NewIdempotencyRecord {
    NewIdempotencyRecord {
        key: key.to_owned(),
        operation: "POST".to_owned(),
        request_sha256: [0; 32],
        status: 201,
        result: CanonicalJson::object(),
        expires_at: Timestamp::MAX,
        conversation_id: None,
    }
}

async fn put_record(case: &TestDatabase, new: NewIdempotencyRecord) -> Result<(), StoreError> {
    let user = arbitrary_user(case).await;
    write(case, async move |tx| tx.idempotency_keys().record(user, user, &new).await).await
}

async fn an_idempotency_key_beyond_a_limit_is_refused(case: TestDatabase) {
    for key in ["", "with blank", "tab\t", "ümlaut", &"k".repeat(256)] {
        assert_eq!(invalid_fields(put_record(&case, record(key)).await), ["key"], "{key}");
    }
    for key in ["!", "~", &"k".repeat(255)] {
        put_record(&case, record(key)).await.unwrap();
    }
}

fn assert_nul<T: std::fmt::Debug>(result: Result<T, StoreError>, field: &str) {
    let Err(StoreError::Invalid(invalid)) = result else { panic!("{field}: {result:?}") };
    assert_eq!(invalid.0[0].field, field);
    assert_eq!(invalid.0[0].code, FieldCode::NulCharacter, "{field}");
}

/// JSON as a request may bring it, from its TOML form: only validation refuses NUL there.
fn unchecked(value: &str) -> CanonicalJson {
    let mut table: BTreeMap<String, CanonicalJson> = toml::from_str(&format!("json = {value}")).unwrap();
    table.remove("json").unwrap()
}

async fn the_nul_character_is_refused_in_every_text(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let nul = || "a\0b".to_owned();
    let user = NewUser { full_name: Some(nul()), ..NewUser::named(name("Ada")) };
    assert_nul(create_user(&case, user).await, "full_name");
    let user = NewUser { metadata: unchecked(r#"{"\u0000" = 1}"#), ..NewUser::named(name("Ada")) };
    assert_nul(create_user(&case, user).await, "metadata");
    let blank = NewConversation::default;
    for (new, field) in [
        (NewConversation { thread_id: Some(nul()), ..blank() }, "thread_id"),
        (NewConversation { title: Some(nul()), ..blank() }, "title"),
        (NewConversation { default_model: Some(nul()), ..blank() }, "default_model"),
        (NewConversation { last_message: Some(nul()), ..blank() }, "last_message"),
        (NewConversation { metadata: unchecked(r#"{"a" = ["\u0000"]}"#), ..blank() }, "metadata"),
    ] {
        assert_nul(create_conversation(&case, owner, new).await, field);
    }
    let hello = || NewMessage::user("hello");
    for (new, field) in [
        (NewMessage::user(nul()), "content"),
        (NewMessage { model: Some(nul()), ..hello() }, "model"),
        (NewMessage { format: Some(nul()), ..hello() }, "format"),
        (NewMessage { external_id: Some(nul()), ..hello() }, "external_id"),
        (NewMessage { used_documents: unchecked(r#"["\u0000"]"#), ..hello() }, "used_documents"),
        (NewMessage { metadata: unchecked(r#"{"a" = "\u0000"}"#), ..hello() }, "metadata"),
    ] {
        assert_nul(append(&case, Via::Owner(owner), conversation, new).await, field);
    }
    let said = say(&case, owner, conversation, "hello").await;
    let patch = MessagePatch { content: Some(nul()), ..MessagePatch::default() };
    let edited = write(&case, async move |tx| tx.messages().edit(owner, conversation, said.id, &patch).await);
    assert_nul(edited.await, "content");
    let response = NewModelResponse { model_used: Some(nul()), ..NewModelResponse::default() };
    let new = NewReply { response, ..NewReply::new("hi") };
    assert_nul(reply(&case, owner, conversation, new).await, "response.model_used");
    assert_nul(create_key(&case, NewApiKey { name: Some(nul()), ..api_key() }).await, "name");
    assert_nul(create_key(&case, NewApiKey { prefix: nul(), ..api_key() }).await, "prefix");
    let operation = NewIdempotencyRecord { operation: nul(), ..record("key") };
    assert_nul(put_record(&case, operation).await, "operation");
    let result = NewIdempotencyRecord { result: unchecked(r#"["\u0000"]"#), ..record("key") };
    assert_nul(put_record(&case, result).await, "result");
    assert_eq!(messages(&case, owner, conversation).await.len(), 1);
    let works = NewReply::new("hi");
    write(&case, async move |tx| tx.messages().record_reply(owner, conversation, &works).await)
        .await
        .unwrap();
}

async fn the_nul_character_is_refused_in_every_look_up(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let database = &case.database;
    let found = database.read("find", async |tx| tx.users().find_by_username("a\0b").await).await;
    assert_nul(found, "username");
    let found = database.read("find", async |tx| tx.users().find_by_email("a\0@b").await).await;
    assert_nul(found, "email");
    let find = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.conversations().find_by_thread(owner, "a\0b").await
    };
    assert_nul(database.read("find", find).await, "thread_id");
    let find =
        async move |tx: &mut chatstore_sql::ReadTx<'_>| tx.idempotency_keys().find(owner, "a\0b").await;
    assert_nul(database.read("find", find).await, "key");
}
