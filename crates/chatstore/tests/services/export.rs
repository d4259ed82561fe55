//! Everything that a user has, and nothing else.

use chatstore::auth::{LoginName, Password};
use chatstore::{
    ApiKeyScope, CanonicalJson, ConversationPatch, Export, Exported, IdempotencyKey, IdentityName,
    KeyRetention, NewConversation, NewDocument, NewLogEvent, NewMessage, NewModelResponse, NewReply, Store,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{group, store, user};

conformance!(
    an_export_has_every_row_of_the_user_and_parents_before_children,
    an_export_has_what_a_user_sent_into_others_conversations,
    every_exported_message_says_its_effective_model,
    an_export_of_an_absent_user_is_not_found,
    an_export_covers_every_table_that_names_a_user,
);

async fn all(mut export: Export) -> Vec<Exported> {
    let mut rows = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        rows.extend(piece);
    }
    rows
}

/// The rows in short: a letter for each, with the number of a message.
fn outline(rows: &[Exported]) -> String {
    let word = |row: &Exported| match row {
        Exported::User(_) => "user".to_owned(),
        Exported::Identity(_) => "identity".to_owned(),
        Exported::ApiKey(_) => "key".to_owned(),
        Exported::Session(_) => "session".to_owned(),
        Exported::RefreshToken(token) => format!("token:{}", token.counter),
        Exported::IdempotencyKey(_) => "idempotency".to_owned(),
        Exported::Usage(row) => format!("usage:{}", row.requests),
        Exported::Document(document) => format!("document:{}", document.content),
        Exported::Log(event) => format!("log:{}", event.event),
        Exported::Conversation(head) => format!("conversation:{}", head.message_count),
        Exported::Member(_, member) => format!("member:{}", member.role.as_str()),
        Exported::Message(message) => format!("message:{}", message.seq),
        Exported::Response(_) => "response".to_owned(),
        Exported::Membership(_, member) => format!("membership:{}", member.role.as_str()),
    };
    rows.iter().map(word).collect::<Vec<_>>().join(" ")
}

async fn reply(store: &Store, user: chatstore::UserId, conversation: chatstore::ConversationId) {
    let response = NewModelResponse { tokens_total: Some(3), ..NewModelResponse::default() };
    let reply = NewReply { response, ..NewReply::new("answer") };
    store.as_user(user).messages().reply(conversation, reply).await.unwrap();
}

async fn an_export_has_every_row_of_the_user_and_parents_before_children(case: TestDatabase) {
    let store = store(&case).await;
    let people = group(&store).await;
    let (owner, id) = (people.owner, people.conversation.id);
    store.keys().create(owner, ApiKeyScope::User, None, None).await.unwrap();
    let (name, password) = (LoginName::Username("owner".to_owned()), Password::new("correct horse battery"));
    store.auth().set_password(owner, password.clone(), false).await.unwrap();
    let tokens = store.auth().login(name, password).await.unwrap();
    store.auth().refresh(&tokens.refresh_token).await.unwrap();
    let chat = store.as_user(owner);
    chat.messages().append(id, NewMessage::user("question")).await.unwrap();
    reply(&store, owner, id).await;
    case.clock.advance(std::time::Duration::from_secs(1));
    for number in 0..201 {
        let content = CanonicalJson::parse(&number.to_string()).unwrap();
        chat.documents().create(NewDocument::new(content)).await.unwrap();
        case.clock.advance(std::time::Duration::from_secs(1));
    }
    for name in ["first", "second"] {
        chat.logs().append(NewLogEvent::new(name)).await.unwrap();
        case.clock.advance(std::time::Duration::from_secs(1));
    }
    store.as_user(people.editor).logs().append(NewLogEvent::new("of-another")).await.unwrap();
    let long = chat.conversations().create(NewConversation::titled("Long")).await.unwrap();
    let batch = vec![NewMessage::user("one of many"); 200];
    chat.messages().append_many(long.id, batch).await.unwrap();
    reply(&store, owner, long.id).await;
    let archived = ConversationPatch { archived: Some(true), ..ConversationPatch::default() };
    chat.conversations().update(long.id, archived).await.unwrap();
    store.as_user(people.stranger).conversations().create(NewConversation::titled("Other")).await.unwrap();

    let rows = all(chat.export()).await;

    let many: Vec<String> = (1..=200).map(|seq| format!("message:{seq}")).collect();
    let documents: Vec<String> = (0..201).map(|number| format!("document:{number}")).collect();
    let expected = format!(
        "user key session token:0 token:1 usage:2 {} log:first log:second conversation:2 member:editor member:viewer message:1 message:2 response \
         conversation:201 {} message:201 response",
        documents.join(" "),
        many.join(" ")
    );
    // The two joined at the same instant, so the order of their ids decides.
    let found = outline(&rows).replace("member:viewer member:editor", "member:editor member:viewer");
    assert_eq!(found, expected);
}

async fn an_export_has_what_a_user_sent_into_others_conversations(case: TestDatabase) {
    let store = store(&case).await;
    let people = group(&store).await;
    let id = people.conversation.id;
    store.as_user(people.owner).messages().append(id, NewMessage::user("mine")).await.unwrap();
    for _ in 0..2 {
        store.as_user(people.editor).messages().append(id, NewMessage::user("theirs")).await.unwrap();
    }
    let of_editor = all(store.as_user(people.editor).export()).await;
    assert_eq!(outline(&of_editor), "user membership:editor message:2 message:3");
    let of_viewer = all(store.as_user(people.viewer).export()).await;
    assert_eq!(outline(&of_viewer), "user membership:viewer");
}

async fn every_exported_message_says_its_effective_model(case: TestDatabase) {
    let store = store(&case).await;
    let people = group(&store).await;
    let id = people.conversation.id;
    let patch = ConversationPatch {
        default_model: chatstore::Change::Set("usual".to_owned()),
        ..ConversationPatch::default()
    };
    let chat = store.as_user(people.editor);
    chat.messages().append(id, NewMessage::user("before there is a default")).await.unwrap();
    let of_editor = models(all(chat.export()).await);
    assert_eq!(of_editor, ["echo"]);
    store.as_user(people.owner).conversations().update(id, patch).await.unwrap();
    let own = NewMessage { model: Some("own".to_owned()), ..NewMessage::user("with a model") };
    chat.messages().append(id, own).await.unwrap();
    reply(&store, people.owner, id).await;

    assert_eq!(models(all(chat.export()).await), ["usual", "own"]);
    assert_eq!(models(all(store.as_user(people.owner).export()).await), ["usual", "own", "own"]);
}

fn models(rows: Vec<Exported>) -> Vec<String> {
    let model = |row| match row {
        Exported::Message(message) => Some(message.effective_model),
        _ => None,
    };
    rows.into_iter().filter_map(model).collect()
}

async fn an_export_of_an_absent_user_is_not_found(case: TestDatabase) {
    let store = store(&case).await;
    let gone = user(&store, "gone").await;
    store.users().erase(gone).await.unwrap();
    let error = store.as_user(gone).export().next().await.unwrap_err();
    assert_eq!(error.kind(), chatstore::ErrorKind::NotFound);
}

/// Each table that names a user has its rows in the export of a user who has one in each.
async fn an_export_covers_every_table_that_names_a_user(case: TestDatabase) {
    let store = store(&case).await;
    let people = group(&store).await;
    let (owner, id) = (people.owner, people.conversation.id);
    store.keys().create(owner, ApiKeyScope::User, None, None).await.unwrap();
    store.auth().set_password(owner, Password::new("correct horse battery"), false).await.unwrap();
    let name = LoginName::Username("owner".to_owned());
    store.auth().login(name, Password::new("correct horse battery")).await.unwrap();
    let key = IdempotencyKey {
        key: "once".to_owned(),
        operation: "POST".to_owned(),
        request_sha256: [0; 32],
        retention: KeyRetention::Day,
    };
    store.as_user(owner).documents().create(NewDocument::default()).await.unwrap();
    store.as_user(owner).logs().append(NewLogEvent::new("one")).await.unwrap();
    store.as_user(owner).idempotent(key).append(id, vec![NewMessage::user("question")]).await.unwrap();
    reply(&store, owner, id).await;
    let identity = IdentityName { issuer: "https://id.example.org".to_owned(), subject: "owner".to_owned() };
    store.users().link(owner, identity).await.unwrap();

    let found: Vec<String> = all(store.as_user(owner).export())
        .await
        .iter()
        .map(|row| {
            let shown = format!("{row:?}");
            shown.split_once('(').unwrap().0.to_owned()
        })
        .collect();
    let of_table = |table: &str| match table {
        "users" => "User",
        "conversations" => "Conversation",
        "conversation_members" => "Member",
        "messages" => "Message",
        "responses" => "Response",
        "usage_daily" => "Usage",
        "documents" => "Document",
        "api_keys" => "ApiKey",
        "logs" => "Log",
        "identities" => "Identity",
        "sessions" => "Session",
        "refresh_tokens" => "RefreshToken",
        "idempotency_keys" => "IdempotencyKey",
        other => panic!("the export leaves out {other}"),
    };
    let schema = chatstore_sql::schema::declared();
    for table in &schema.tables {
        let names_a_user = table.name == "users"
            || table.foreign_keys.iter().any(|key| key.parent == "users" || key.columns[0] == "owner_id")
            || table.columns.iter().any(|column| ["owner_id", "user_id"].contains(&column.name.as_str()));
        assert!(names_a_user, "{}: whose rows are these?", table.name);
        let kind = of_table(&table.name);
        assert!(found.iter().any(|row| row == kind), "{}: no {kind} in {found:?}", table.name);
    }
}
