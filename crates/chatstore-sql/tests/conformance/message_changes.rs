//! Messages edited and deleted, and what that does to the row of their conversation.

use chatstore_model::{
    CanonicalJson, Change, Conversation, ConversationId, ConversationPatch, Message, MessageId, MessagePatch,
    NewMessage, UserId, VerbatimJson, preview,
};
use chatstore_sql::{StoreError, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    SERVER_MODEL, absent_message, append, arbitrary_owner, conversation_row, failure, later, messages, read,
    reply, reply_of, say, write,
};

conformance!(
    each_field_of_a_message_is_changed_alone,
    content_that_was_the_text_of_the_parts_follows_them,
    an_empty_change_of_a_message_changes_nothing,
    editing_the_newest_message_changes_the_preview,
    editing_an_older_message_leaves_the_preview,
    deleting_the_newest_message_shows_the_one_before,
    deleting_an_older_message_leaves_the_preview,
    deleting_every_message_empties_the_preview_and_the_count,
    the_number_of_a_deleted_message_is_not_used_again,
    deleting_a_reply_deletes_its_response,
    a_preview_set_by_the_application_survives_changes_of_older_messages,
    a_preview_set_by_the_application_goes_when_the_newest_message_changes,
    changing_or_deleting_an_absent_message_is_not_found_and_changes_nothing,
);

async fn edit(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    id: MessageId,
    patch: MessagePatch,
) -> Result<Message, StoreError> {
    write(case, async move |tx| tx.messages().edit(owner, conversation, id, &patch).await).await
}

async fn delete(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    id: MessageId,
) -> Result<(), StoreError> {
    write(case, async move |tx| tx.messages().delete(owner, conversation, id).await).await
}

async fn set_preview(case: &TestDatabase, owner: UserId, conversation: ConversationId) {
    let patch =
        ConversationPatch { last_message: Change::Set("set".to_owned()), ..ConversationPatch::default() };
    write(case, async move |tx| tx.conversations().update(owner, conversation, &patch).await).await.unwrap();
}

fn content(text: &str) -> MessagePatch {
    MessagePatch { content: Some(text.to_owned()), ..MessagePatch::default() }
}

/// A conversation of three messages of different times.
async fn three(case: &TestDatabase) -> (UserId, ConversationId, [Message; 3]) {
    let (owner, conversation) = arbitrary_owner(case).await;
    let mut said = Vec::new();
    for text in ["one", "two", "three"] {
        later(case);
        said.push(say(case, owner, conversation, text).await);
    }
    later(case);
    (owner, conversation, said.try_into().unwrap())
}

/// The row, which must be as `expected` but for a higher revision.
async fn assert_row(case: &TestDatabase, expected: Conversation) {
    let found = conversation_row(case, expected.owner_id, expected.id).await;
    assert!(found.revision > expected.revision, "the revision rises");
    assert_eq!(found, Conversation { revision: found.revision, ..expected });
}

fn verbatim(text: &str) -> VerbatimJson {
    VerbatimJson::parse(text).unwrap()
}

async fn content_that_was_the_text_of_the_parts_follows_them(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let old = || verbatim(r#"[{"type":"text","text":"old"}]"#);
    let new = verbatim(r#"[{"type":"text","text":"new\u0000"}]"#);
    let patch = MessagePatch { parts: Change::Set(new), ..MessagePatch::default() };
    for (content, expected) in [("old", "new\u{fffd}"), ("a summary", "a summary")] {
        let said = NewMessage { parts: Some(old()), ..NewMessage::user(content) };
        let said = append(&case, Via::Owner(owner), conversation, said).await.unwrap();
        let edited = edit(&case, owner, conversation, said.id, patch.clone()).await.unwrap();
        assert_eq!(edited.content, expected);
        let row = conversation_row(&case, owner, conversation).await;
        assert_eq!(row.last_message.as_deref(), Some(expected));
        let both = MessagePatch {
            content: Some("given".to_owned()),
            parts: Change::Set(old()),
            ..MessagePatch::default()
        };
        let edited = edit(&case, owner, conversation, said.id, both).await.unwrap();
        assert_eq!(edited.content, "given");
    }
}

async fn each_field_of_a_message_is_changed_alone(case: TestDatabase) {
    let (owner, conversation, [mut expected, ..]) = three(&case).await;
    let keep = MessagePatch::default;
    let json = |text| CanonicalJson::parse(text).unwrap();
    type Effect = fn(&mut Message);
    let changes: [(MessagePatch, Effect); 11] = [
        (content(""), |message| message.content = String::new()),
        (MessagePatch { parts: Change::Set(verbatim(r#"[{"a": 1.0}]"#)), ..keep() }, |message| {
            message.parts = Some(verbatim(r#"[{"a": 1.0}]"#));
        }),
        (MessagePatch { format: Change::Set("adk/1".to_owned()), ..keep() }, |message| {
            message.format = Some("adk/1".to_owned());
        }),
        (MessagePatch { format: Change::Clear, ..keep() }, |message| message.format = None),
        (MessagePatch { parts: Change::Clear, ..keep() }, |message| message.parts = None),
        (MessagePatch { model: Change::Set("m".to_owned()), ..keep() }, |message| {
            message.model = Some("m".to_owned());
            message.effective_model = "m".to_owned();
        }),
        (MessagePatch { model: Change::Clear, ..keep() }, |message| {
            message.model = None;
            message.effective_model = SERVER_MODEL.to_owned();
        }),
        (MessagePatch { token_count: Change::Set(7), ..keep() }, |message| message.token_count = Some(7)),
        (MessagePatch { token_count: Change::Clear, ..keep() }, |message| message.token_count = None),
        (MessagePatch { used_documents: Some(json(r#"["a"]"#)), ..keep() }, |message| {
            message.used_documents = CanonicalJson::parse(r#"["a"]"#).unwrap();
        }),
        (MessagePatch { metadata: Some(json(r#"{"b": 2}"#)), ..keep() }, |message| {
            message.metadata = CanonicalJson::parse(r#"{"b": 2}"#).unwrap();
        }),
    ];
    for (patch, effect) in changes {
        effect(&mut expected);
        expected.edited_at = Some(later(&case));
        let description = format!("{patch:?}");
        let edited = edit(&case, owner, conversation, expected.id, patch).await.unwrap();
        assert_eq!(edited, expected, "{description}");
        assert_eq!(messages(&case, owner, conversation).await[0], expected, "{description}");
    }
}

async fn an_empty_change_of_a_message_changes_nothing(case: TestDatabase) {
    let (owner, conversation, [_, _, newest]) = three(&case).await;
    let before = conversation_row(&case, owner, conversation).await;

    let answer = edit(&case, owner, conversation, newest.id, MessagePatch::default()).await.unwrap();

    assert_eq!(answer, newest);
    assert_eq!(messages(&case, owner, conversation).await[2], newest);
    assert_eq!(conversation_row(&case, owner, conversation).await, before);
}

async fn editing_the_newest_message_changes_the_preview(case: TestDatabase) {
    let (owner, conversation, [_, _, newest]) = three(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let now = later(&case);
    let long = "知".repeat(300);

    edit(&case, owner, conversation, newest.id, content(&long)).await.unwrap();

    let last_message = Some(preview(&long).to_owned());
    assert_row(&case, Conversation { last_message, updated_at: now, ..before }).await;
}

async fn editing_an_older_message_leaves_the_preview(case: TestDatabase) {
    let (owner, conversation, [first, second, _]) = three(&case).await;
    for older in [first, second] {
        let before = conversation_row(&case, owner, conversation).await;
        let now = later(&case);
        edit(&case, owner, conversation, older.id, content("edited")).await.unwrap();
        assert_row(&case, Conversation { updated_at: now, ..before }).await;
    }
}

async fn deleting_the_newest_message_shows_the_one_before(case: TestDatabase) {
    let (owner, conversation, [first, second, newest]) = three(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let now = later(&case);

    delete(&case, owner, conversation, newest.id).await.unwrap();

    assert_eq!(messages(&case, owner, conversation).await, [first, second.clone()]);
    let last_message = Some("two".to_owned());
    let last_message_at = Some(second.created_at);
    let expected =
        Conversation { last_message, last_message_at, message_count: 2, updated_at: now, ..before };
    assert_row(&case, expected).await;
}

async fn deleting_an_older_message_leaves_the_preview(case: TestDatabase) {
    let (owner, conversation, [first, second, newest]) = three(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let now = later(&case);

    delete(&case, owner, conversation, second.id).await.unwrap();

    assert_eq!(messages(&case, owner, conversation).await, [first, newest]);
    assert_row(&case, Conversation { message_count: 2, updated_at: now, ..before }).await;
}

async fn deleting_every_message_empties_the_preview_and_the_count(case: TestDatabase) {
    let (owner, conversation, said) = three(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let now = later(&case);

    for message in said {
        delete(&case, owner, conversation, message.id).await.unwrap();
    }

    assert_eq!(messages(&case, owner, conversation).await, []);
    let (last_message, last_message_at) = (None, None);
    let expected =
        Conversation { last_message, last_message_at, message_count: 0, updated_at: now, ..before };
    assert_row(&case, expected).await;
}

async fn the_number_of_a_deleted_message_is_not_used_again(case: TestDatabase) {
    let (owner, conversation, said) = three(&case).await;
    delete(&case, owner, conversation, said[2].id).await.unwrap();
    assert_eq!(say(&case, owner, conversation, "four").await.seq, 4);
    for message in messages(&case, owner, conversation).await {
        delete(&case, owner, conversation, message.id).await.unwrap();
    }
    assert_eq!(say(&case, owner, conversation, "five").await.seq, 5);
    assert_eq!(conversation_row(&case, owner, conversation).await.message_count, 1);
}

async fn deleting_a_reply_deletes_its_response(case: TestDatabase) {
    let (owner, conversation, _) = three(&case).await;
    let gone = reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap().message.id;
    let kept = reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();

    delete(&case, owner, conversation, gone).await.unwrap();

    assert_eq!(read(&case, async move |tx| tx.responses().get(owner, gone).await).await, None);
    let id = kept.message.id;
    let found = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
    assert_eq!(found, Some(kept.response));
}

async fn a_preview_set_by_the_application_survives_changes_of_older_messages(case: TestDatabase) {
    let (owner, conversation, [first, second, _]) = three(&case).await;
    set_preview(&case, owner, conversation).await;

    edit(&case, owner, conversation, first.id, content("edited")).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some("set"));
    delete(&case, owner, conversation, second.id).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some("set"));
}

async fn a_preview_set_by_the_application_goes_when_the_newest_message_changes(case: TestDatabase) {
    let (owner, conversation, [_, _, newest]) = three(&case).await;
    set_preview(&case, owner, conversation).await;
    edit(&case, owner, conversation, newest.id, content("edited")).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some("edited"));
    set_preview(&case, owner, conversation).await;
    delete(&case, owner, conversation, newest.id).await.unwrap();
    assert_eq!(conversation_row(&case, owner, conversation).await.last_message.as_deref(), Some("two"));
}

async fn changing_or_deleting_an_absent_message_is_not_found_and_changes_nothing(case: TestDatabase) {
    let (owner, conversation, said) = three(&case).await;
    let before = conversation_row(&case, owner, conversation).await;
    let absent = absent_message(&case);

    let edited = edit(&case, owner, conversation, absent, content("edited")).await;
    assert_eq!(failure(edited), "not found: message");
    let unchanged = edit(&case, owner, conversation, absent, MessagePatch::default()).await;
    assert_eq!(failure(unchanged), "not found: message");
    assert_eq!(failure(delete(&case, owner, conversation, absent).await), "not found: message");

    assert_eq!(conversation_row(&case, owner, conversation).await, before);
    assert_eq!(messages(&case, owner, conversation).await, said);
    let by = Via::Owner(owner);
    assert_eq!(read(&case, async move |tx| tx.messages().get(by, conversation, absent).await).await, None);
}
