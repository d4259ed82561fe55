//! The store inside another application, as `examples/embed.rs` shows it, and what that relies on.

use chatstore::{NewConversation, NewMessage, NewReply, UserPatch};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::embed::{create_table, desk};
use crate::support::Server;

conformance!(
    the_example_writes_its_own_row_with_those_of_the_store_or_none,
    the_users_of_an_applications_own_login_have_their_own_rights_in_the_mounted_router,
    stored_objects_are_serialized_as_the_api_shows_them,
);

const TICKET: &str = r#"{"subject": "Printer", "text": "It prints nothing."}"#;

async fn help_desk(case: TestDatabase) -> Server {
    let server = Server::start_with(case, desk).await;
    create_table(&server.store).await.unwrap();
    server
}

impl Server {
    fn of(&self, email: &str, method: &str, target: &str) -> reqwest::RequestBuilder {
        self.anonymous(method, target).header("X-Forwarded-Email", email)
    }

    async fn json_of(&self, email: &str, target: &str) -> (u16, Value) {
        let answer = self.of(email, "GET", target).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn open_ticket(&self, email: &str, body: impl Into<String>) -> reqwest::Response {
        let request = self.of(email, "POST", "/tickets").header("Content-Type", "application/json");
        request.body(body.into()).send().await.unwrap()
    }
}

async fn the_example_writes_its_own_row_with_those_of_the_store_or_none(case: TestDatabase) {
    let server = help_desk(case).await;
    let opened = server.open_ticket("ada@example.org", TICKET).await;
    assert_eq!(opened.status(), 201);
    let opened: Value = opened.json().await.unwrap();
    let (_, tickets) = server.json_of("ada@example.org", "/tickets").await;
    let id = &opened["id"];
    assert_eq!(tickets, json!([{"conversation_id": id, "subject": "Printer", "state": "open"}]));
    assert_eq!(server.json_of("bob@example.org", "/tickets").await.1, json!([]));

    let too_long = json!({"subject": "x".repeat(513), "text": "It prints nothing."}).to_string();
    assert_eq!(server.open_ticket("ada@example.org", too_long).await.status(), 422);
    assert_eq!(server.store.operations().counts().await.unwrap().conversations, 1);
    assert_eq!(server.json_of("ada@example.org", "/tickets").await.1.as_array().unwrap().len(), 1);
}

async fn the_users_of_an_applications_own_login_have_their_own_rights_in_the_mounted_router(
    case: TestDatabase,
) {
    let server = help_desk(case).await;
    let opened: Value = server.open_ticket("ada@example.org", TICKET).await.json().await.unwrap();
    let messages = format!("/chat/api/v1/conversations/{}/messages", opened["short_id"].as_str().unwrap());
    let (status, page) = server.json_of("ada@example.org", &messages).await;
    assert_eq!((status, &page["data"][0]["content"]), (200, &json!("It prints nothing.")));
    assert_eq!(server.json_of("bob@example.org", &messages).await.0, 404);
    assert_eq!(server.anonymous("GET", &messages).send().await.unwrap().status(), 401);

    // The application's word counts, whatever else the request carries, and no header names another user.
    let with_key = server.of("ada@example.org", "GET", &messages).bearer_auth("of another system");
    assert_eq!(with_key.send().await.unwrap().status(), 200);
    let acting =
        server.of("bob@example.org", "GET", &messages).header("Chatstore-User", "email:ada@example.org");
    assert_eq!(acting.send().await.unwrap().status(), 403);
    assert_eq!(server.json_of("ada@example.org", "/chat/api/v1/users").await.0, 403);
    let large = json!({"content": "x".repeat(100_000)}).to_string();
    let large = server
        .of("ada@example.org", "POST", &messages)
        .header("Content-Type", "application/json")
        .body(large);
    assert_eq!(large.send().await.unwrap().status(), 201);

    let (_, me) = server.json_of("ada@example.org", "/chat/api/v1/users/me").await;
    assert_eq!(me["email"], "ada@example.org");
    let id = me["id"].as_str().unwrap().parse().unwrap();
    let disabled = UserPatch { is_active: Some(false), ..UserPatch::default() };
    server.store.users().update(id, disabled).await.unwrap();
    assert_eq!(server.json_of("ada@example.org", &messages).await.0, 401);
}

/// Asserts that a stored object is what the API shows, but for fields that depend on who asks.
fn assert_shown(stored: impl serde::Serialize, mut shown: Value, of_caller: &[&str]) {
    for field in of_caller {
        assert!(shown.as_object_mut().unwrap().remove(*field).is_some(), "{field}: {shown}");
    }
    assert_eq!(serde_json::to_value(stored).unwrap(), shown);
}

async fn stored_objects_are_serialized_as_the_api_shows_them(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let chat = server.store.as_user(ada.id);
    let trip = NewConversation {
        metadata: json!({"a": [1]}).try_into().unwrap(),
        ..NewConversation::titled("Trip")
    };
    let trip = chat.conversations().create(trip).await.unwrap();
    let message = chat.messages().append(trip.id, NewMessage::user("Where is it warm?")).await.unwrap();
    let reply = chat.messages().reply(trip.id, NewReply::new("In Seville.")).await.unwrap();
    let (trip, _role) = chat.conversations().get(trip.id).await.unwrap();
    let path = format!("/api/v1/conversations/{}", trip.id.short());

    assert_shown(&trip, server.get(&ada, &path).await, &["role"]);
    assert_shown(&message, server.get(&ada, &format!("{path}/messages/1")).await, &[]);
    assert_shown(&reply.message, server.get(&ada, &format!("{path}/messages/2")).await, &[]);
    assert_shown(&reply.response, server.get(&ada, &format!("{path}/messages/2/response")).await, &[]);
    assert_shown(&reply, server.get(&ada, &format!("{path}/messages/2?include=response")).await, &[]);
    let user = server.store.users().get(ada.id).await.unwrap();
    assert_shown(&user, server.get(&ada, "/api/v1/users/me").await, &[]);
    let members = server.get(&ada, &format!("{path}/members")).await;
    let page = chat.members().page(trip.id, None, chatstore::Limit::default()).await.unwrap();
    assert_shown(&page.items[0], members["data"][0].clone(), &[]);
}
