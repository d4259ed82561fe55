//! Erasing a user leaves nothing of theirs in the database.

use chatstore::auth::{ClientInfo, LoginName, Password};
use chatstore::sql::Sql;
use chatstore::{
    ApiKeyScope, CanonicalJson, Change, ConversationPatch, Email, IdempotencyKey, IdentityName, KeyRetention,
    MemberRole, MessagePatch, NewConversation, NewDocument, NewLogEvent, NewMessage, NewModelResponse,
    NewReply, NewUser, Store, UserId, UserName, UserPatch, VerbatimJson, Via,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(erasing_leaves_no_trace_of_planted_strings);

/// Strings that are planted.
const PLANTED: usize = 25;

/// A text that is nowhere else.
fn planted(number: usize) -> String {
    format!("planted{number:02}strange")
}

fn json(number: usize) -> CanonicalJson {
    CanonicalJson::parse(&format!(r#"{{"{}": "{}"}}"#, planted(number), planted(number))).unwrap()
}

async fn person(store: &Store) -> UserId {
    let new = NewUser {
        email: Some(Email::new(format!("{}@example.org", planted(1))).unwrap()),
        full_name: Some(planted(2)),
        metadata: json(3),
        ..NewUser::named(UserName::new(planted(0)).unwrap())
    };
    let password = Password::new("correct horse battery");
    let id = store.users().create_with_password(new, password.clone()).await.unwrap().id;
    let patch = UserPatch { full_name: Change::Set(planted(4)), ..UserPatch::default() };
    store.users().update(id, patch).await.unwrap();
    let origin = ClientInfo { address: Some([192, 0, 2, 7].into()), user_agent: Some(planted(5)) };
    store.auth().from(origin).login(LoginName::Username(planted(0)), password).await.unwrap();
    store.keys().create(id, ApiKeyScope::User, Some(planted(6)), None).await.unwrap();
    let identity = IdentityName { issuer: "https://id.example.org".to_owned(), subject: planted(2) };
    store.users().link(id, identity).await.unwrap();
    id
}

async fn plant(store: &Store) -> UserId {
    let id = person(store).await;
    let chat = store.as_user(id);
    let new = NewConversation {
        thread_id: Some(planted(7)),
        default_model: Some(planted(8)),
        metadata: json(9),
        ..NewConversation::titled(planted(10))
    };
    let trip = chat.conversations().create(new).await.unwrap().id;
    let message = NewMessage {
        parts: Some(VerbatimJson::parse(format!(r#"[{{"text": "{}"}}]"#, planted(11))).unwrap()),
        metadata: json(12),
        ..NewMessage::user(format!("{} {}", planted(13), "知".repeat(6_000)))
    };
    let first = chat.messages().append(trip, message).await.unwrap();
    let edit = MessagePatch { content: Some(planted(14)), ..MessagePatch::default() };
    chat.messages().edit(trip, first.id, edit).await.unwrap();
    let response = NewModelResponse {
        model_used: Some(planted(15)),
        finish_reason: Some(planted(16)),
        tokens_total: Some(7),
        ..NewModelResponse::default()
    };
    chat.messages().reply(trip, NewReply { response, ..NewReply::new(planted(17)) }).await.unwrap();
    let manual = NewDocument {
        title: Some(planted(20)),
        content: json(21),
        metadata: json(22),
        ..NewDocument::default()
    };
    chat.documents().create(manual).await.unwrap();
    let event = NewLogEvent { request_id: Some(planted(23)), data: json(24), ..NewLogEvent::new("one") };
    chat.logs().append(event).await.unwrap();
    let key = IdempotencyKey {
        key: planted(18),
        operation: "POST".to_owned(),
        request_sha256: [0; 32],
        retention: KeyRetention::Day,
    };
    chat.idempotent(key).append(trip, vec![NewMessage::user("once")]).await.unwrap();
    let gone = chat.conversations().create(NewConversation::titled(planted(10))).await.unwrap().id;
    let patch = ConversationPatch { last_message: Change::Set(planted(19)), ..ConversationPatch::default() };
    chat.conversations().update(gone, patch).await.unwrap();
    chat.conversations().delete(gone).await.unwrap();
    id
}

async fn erasing_leaves_no_trace_of_planted_strings(case: TestDatabase) {
    let store = store(&case).await;
    let id = plant(&store).await;
    let owner = user(&store, "owner").await;
    let shared =
        store.as_user(owner).conversations().create(NewConversation::titled("Shared")).await.unwrap().id;
    store.as_user(owner).members().put(shared, id, MemberRole::Editor).await.unwrap();
    store.as_user(owner).messages().append(shared, NewMessage::user("stays")).await.unwrap();
    store.as_user(id).messages().append(shared, NewMessage::user(planted(13))).await.unwrap();
    let before = found(&case, &store).await;
    // Two were replaced or deleted before: of them, too, nothing may be left.
    assert!((0..PLANTED).all(|number| [2, 19].contains(&number) || before[number]), "{before:?}");

    store.users().erase(id).await.unwrap();

    let head = store.read("head", async move |tx| tx.conversations().get(Via::Owner(owner), shared).await);
    let (head, _) = head.await.unwrap().unwrap();
    assert_eq!((head.message_count, head.last_message.as_deref()), (1, Some("stays")));
    store.close().await;
    let reopened = crate::fixtures::store(&case).await;
    assert_eq!(found(&case, &reopened).await, [false; PLANTED]);
}

/// Which of the strings are there: in the bytes of SQLite's files, in the rows of PostgreSQL's tables.
async fn found(case: &TestDatabase, store: &Store) -> [bool; PLANTED] {
    let mut found = [false; PLANTED];
    match case.url.strip_prefix("sqlite://") {
        Some(file) => {
            case.database.close().await;
            let mut bytes = std::fs::read(file).unwrap();
            bytes.extend(std::fs::read(format!("{file}-wal")).unwrap_or_default());
            for (number, is_there) in found.iter_mut().enumerate() {
                let text = planted(number);
                *is_there = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            }
        }
        None => {
            let rows = store.read("rows", async |tx| tx.query(&ROWS, &[], |row| row.next::<String>()).await);
            let rows = rows.await.unwrap().join("\n");
            for (number, is_there) in found.iter_mut().enumerate() {
                *is_there = rows.contains(&planted(number));
            }
        }
    }
    found
}

/// Every row of every table, as text.
const ROWS: Sql = Sql::same(
    "test.rows",
    "select t::text from users t union all select t::text from conversations t \
     union all select t::text from conversation_members t union all select t::text from messages t \
     union all select t::text from responses t union all select t::text from usage_daily t \
     union all select t::text from documents t union all select t::text from api_keys t \
     union all select t::text from sessions t union all select t::text from refresh_tokens t \
     union all select t::text from idempotency_keys t union all select t::text from identities t \
     union all select t::text from logs t",
);
