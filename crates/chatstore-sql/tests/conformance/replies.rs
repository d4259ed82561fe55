//! Replies: message, response and usage stored as one, and which model is said to have answered.

use chatstore_model::{
    CanonicalJson, Change, ConversationId, ConversationPatch, Day, Message, MessageRole, ModelResponse,
    NewMessage, NewModelResponse, NewReply, Reply, UserId, VerbatimJson,
};
use chatstore_sql::{StoreError, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    SERVER_MODEL, absent_message, append, arbitrary_conversation, arbitrary_owner, arbitrary_user,
    conversation_row, failure, invalid_fields, later, messages, read, reply, reply_of, say, write,
};

conformance!(
    a_reply_is_stored_with_its_message_and_response,
    the_nearest_choice_of_a_model_answers,
    a_model_of_another_conversation_does_not_count,
    the_total_is_the_sum_unless_it_is_given,
    a_reply_has_the_role_assistant,
    a_refused_reply_leaves_nothing,
    a_response_is_found_by_its_owner_only,
    a_message_without_a_response_has_none,
);

/// A response with everything in it, whose model is known only when asked for.
fn full(model_used: Option<&str>) -> NewReply {
    let message = NewMessage {
        parts: Some(VerbatimJson::parse(r#"[{"type": "text"}]"#).unwrap()),
        format: Some("ai-sdk/v6".to_owned()),
        token_count: Some(20),
        used_documents: CanonicalJson::parse(r#"["a"]"#).unwrap(),
        metadata: CanonicalJson::parse(r#"{"mood": "good"}"#).unwrap(),
        ..NewMessage::assistant("certainly")
    };
    let response = NewModelResponse {
        model_used: model_used.map(str::to_owned),
        tokens_prompt: Some(10),
        tokens_completion: Some(20),
        tokens_total: Some(35),
        tokens_cached: Some(4),
        completion_time_ms: Some(1_234),
        finish_reason: Some("stop".to_owned()),
        from_cache: true,
    };
    NewReply { message, response }
}

async fn a_reply_is_stored_with_its_message_and_response(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    say(&case, owner, conversation, "please").await;
    for (model_used, seq) in [(Some("large"), 2), (None, 3)] {
        let now = later(&case);
        let before = conversation_row(&case, owner, conversation).await;

        let stored = reply(&case, owner, conversation, full(model_used)).await.unwrap();

        let id = stored.message.id;
        let message = Message {
            owner_id: owner,
            conversation_id: conversation,
            seq,
            id,
            sender_id: None,
            role: MessageRole::Assistant,
            content: "certainly".to_owned(),
            parts: full(None).message.parts,
            model: Some(model_used.unwrap_or(SERVER_MODEL).to_owned()),
            effective_model: model_used.unwrap_or(SERVER_MODEL).to_owned(),
            token_count: Some(20),
            used_documents: full(None).message.used_documents,
            metadata: full(None).message.metadata,
            created_at: now,
            edited_at: None,
            format: full(None).message.format,
            external_id: None,
            parent_seq: None,
        };
        let response = ModelResponse {
            message_id: id,
            conversation_id: conversation,
            model_used: model_used.unwrap_or(SERVER_MODEL).to_owned(),
            tokens_prompt: Some(10),
            tokens_completion: Some(20),
            tokens_total: Some(35),
            tokens_cached: Some(4),
            completion_time_ms: Some(1_234),
            finish_reason: Some("stop".to_owned()),
            from_cache: true,
            created_at: now,
        };
        assert_eq!(stored, Reply { message: message.clone(), response: response.clone() });
        assert_eq!(messages(&case, owner, conversation).await.pop(), Some(message));
        let found = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
        assert_eq!(found, Some(response));
        let after = conversation_row(&case, owner, conversation).await;
        assert_eq!((after.last_seq, after.message_count), (seq, seq));
        assert_eq!(after.last_message.as_deref(), Some("certainly"));
        assert_eq!((after.last_message_at, after.updated_at), (Some(now), now));
        assert!(after.revision > before.revision);
    }
}

/// What could decide which model answers.
#[derive(Debug, Clone, Copy)]
struct Choices {
    given: Option<&'static str>,
    of_the_reply: Option<&'static str>,
    of_the_newest_person: Option<&'static str>,
    of_the_conversation: Option<&'static str>,
}

impl Choices {
    fn all() -> impl Iterator<Item = Self> {
        let pick = |number: u32, bit: u32, model| (number >> bit & 1 == 1).then_some(model);
        (0..16).map(move |number| Self {
            given: pick(number, 0, "given"),
            of_the_reply: pick(number, 1, "of the reply"),
            of_the_newest_person: pick(number, 2, "of the newest person"),
            of_the_conversation: pick(number, 3, "of the conversation"),
        })
    }

    fn expected(self) -> &'static str {
        self.given
            .or(self.of_the_reply)
            .or(self.of_the_newest_person)
            .or(self.of_the_conversation)
            .unwrap_or(SERVER_MODEL)
    }
}

async fn the_nearest_choice_of_a_model_answers(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    for choices in Choices::all() {
        let conversation = arbitrary_conversation(&case, owner).await;
        if let Some(model) = choices.of_the_conversation {
            let default_model = Change::Set(model.to_owned());
            let patch = ConversationPatch { default_model, ..ConversationPatch::default() };
            write(&case, async move |tx| tx.conversations().update(owner, conversation, &patch).await)
                .await
                .unwrap();
        }
        let with_model =
            |message, model: Option<&str>| NewMessage { model: model.map(str::to_owned), ..message };
        for message in [
            with_model(NewMessage::user("older"), Some("of an older person")),
            with_model(NewMessage::user("newest"), choices.of_the_newest_person),
            with_model(NewMessage::assistant("newer"), Some("of a model")),
            with_model(NewMessage::new(MessageRole::Tool, "newer"), Some("of a tool")),
        ] {
            append(&case, Via::Owner(owner), conversation, message).await.unwrap();
        }
        let mut new = full(choices.given);
        new.message.model = choices.of_the_reply.map(str::to_owned);

        let stored = reply(&case, owner, conversation, new).await.unwrap();

        assert_eq!(stored.response.model_used, choices.expected(), "{choices:?}");
        assert_eq!(stored.message.model.as_deref(), choices.of_the_reply.or(Some(choices.expected())));
        assert_eq!(Some(&stored.message.effective_model), stored.message.model.as_ref());
        let id = stored.message.id;
        let found = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
        assert_eq!(found, Some(stored.response), "{choices:?}");
    }
    let today = Day::of(case.database.clock().now());
    let usage = read(&case, async move |tx| tx.usage().between(owner, today, today).await).await;
    let booked: Vec<(&str, i64)> = usage.iter().map(|row| (row.model.as_str(), row.requests)).collect();
    let expected = [
        (SERVER_MODEL, 1),
        ("given", 8),
        ("of the conversation", 1),
        ("of the newest person", 2),
        ("of the reply", 4),
    ];
    assert_eq!(booked, expected);
}

async fn a_model_of_another_conversation_does_not_count(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = arbitrary_conversation(&case, owner).await;
    let elsewhere = NewMessage { model: Some("elsewhere".to_owned()), ..NewMessage::user("there") };
    append(&case, Via::Owner(owner), other, elsewhere).await.unwrap();

    let stored = reply(&case, owner, conversation, NewReply::new("here")).await.unwrap();

    assert_eq!(stored.response.model_used, SERVER_MODEL);
}

async fn the_total_is_the_sum_unless_it_is_given(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for (prompt, completion, total, expected) in [
        (Some(10), Some(5), None, Some(15)),
        (Some(10), Some(5), Some(15), Some(15)),
        (Some(10), Some(5), Some(99), Some(99)),
        (Some(10), None, None, None),
        (None, Some(5), None, None),
        (None, None, None, None),
        (None, None, Some(7), Some(7)),
        (Some(0), Some(0), None, Some(0)),
    ] {
        for model_used in [Some("m".to_owned()), None] {
            let response = NewModelResponse {
                model_used,
                tokens_prompt: prompt,
                tokens_completion: completion,
                tokens_total: total,
                ..NewModelResponse::default()
            };
            let new = NewReply { response, ..NewReply::new("certainly") };
            let stored = reply(&case, owner, conversation, new).await.unwrap();
            assert_eq!(stored.response.tokens_total, expected, "{prompt:?} {completion:?} {total:?}");
            let id = stored.message.id;
            let found = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
            assert_eq!(found, Some(stored.response));
        }
    }
    for model_used in [Some("m".to_owned()), None] {
        let mut below = reply_of("m", 10, 5);
        below.response = NewModelResponse { model_used, tokens_total: Some(14), ..below.response };
        let refused = reply(&case, owner, conversation, below).await;
        assert_eq!(invalid_fields(refused), ["response.tokens_total"]);
    }
}

async fn a_reply_has_the_role_assistant(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for role in MessageRole::ALL {
        let mut new = reply_of("m", 1, 1);
        new.message.role = role;
        let answer = reply(&case, owner, conversation, new).await;
        match role {
            MessageRole::Assistant => assert_eq!(answer.unwrap().message.role, role),
            _ => assert_eq!(invalid_fields(answer), ["role"]),
        }
    }
}

async fn whole(case: &TestDatabase, owner: UserId, conversation: ConversationId) -> String {
    let row = conversation_row(case, owner, conversation).await;
    let today = Day::of(case.database.clock().now());
    let usage = read(case, async move |tx| tx.usage().between(owner, today, today).await).await;
    let counts = read(case, async |tx| tx.statistics().counts().await).await;
    format!("{row:?} {usage:?} {counts:?}")
}

async fn a_refused_reply_leaves_nothing(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let taken = say(&case, owner, conversation, "hello").await.id;
    let before = whole(&case, owner, conversation).await;
    for model_used in [Some("m"), None] {
        let mut new = full(model_used);
        new.message.id = Some(taken);
        let answer: Result<Reply, StoreError> = reply(&case, owner, conversation, new).await;
        assert_eq!(failure(answer), "already exists: message.id");
        assert_eq!(whole(&case, owner, conversation).await, before);
    }
}

async fn a_response_is_found_by_its_owner_only(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let stranger = arbitrary_user(&case).await;
    let stored = reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    let id = stored.message.id;

    assert_eq!(read(&case, async move |tx| tx.responses().get(stranger, id).await).await, None);
    let found = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
    assert_eq!(found, Some(stored.response));
}

async fn a_message_without_a_response_has_none(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let by = Via::Owner(owner);
    let said = append(&case, by, conversation, NewMessage::assistant("hello")).await.unwrap().id;
    reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    for id in [said, absent_message(&case)] {
        assert_eq!(read(&case, async move |tx| tx.responses().get(owner, id).await).await, None);
    }
}
