//! Who may be taken for whom by an address or a name.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::login::{LOGIN, PASSWORD, confirm, login, member, post};
use crate::support::{Answer, CONVERSATIONS, Person, Server, answer, refusal};

conformance!(
    a_claimed_address_opens_no_account,
    a_registered_address_opens_no_account_and_still_logs_in,
    an_address_is_claimed_once,
    an_address_that_a_user_changes_is_claimed_again,
    administrators_and_services_verify_addresses,
    a_list_finds_verified_and_claimed_addresses_apart,
    both_users_of_an_address_log_in,
    a_name_that_is_the_address_of_another_user_is_a_conflict,
    no_name_keeps_another_user_from_logging_in,
    look_alike_addresses_are_two_accounts,
);

const USERS: &str = "/api/v1/users";
const ME: &str = "/api/v1/users/me";
const OTHER: &str = "staple of many horses";

async fn register(server: &Server, body: Value) -> Answer {
    answer(post(server, "/api/v1/auth/register", &body)).await
}

async fn put_by_email(server: &Server, service: &Person, email: &str) -> Answer {
    answer(server.send(service, "PUT", &format!("{USERS}/by-email/{email}"), "{}")).await
}

async fn log_in(server: &Server, body: Value) -> Answer {
    answer(post(server, LOGIN, &body)).await
}

async fn service(server: &Server) -> Person {
    let root = server.admin("root").await;
    server.service(&root).await
}

/// The status of a request for the user with an address.
async fn acting_status(server: &Server, service: &Person, email: &str) -> u16 {
    answer(server.act(service, &format!("email:{email}"), "GET", CONVERSATIONS)).await.status
}

async fn a_claimed_address_opens_no_account(case: TestDatabase) {
    let server = Server::start(case).await;
    let (service, eve) = (service(&server).await, member(&server, "eve").await);
    assert_eq!(confirm(&server, &eve, PASSWORD).await.status, 204);
    let claimed = answer(server.send(&eve, "PATCH", ME, r#"{"email": "ceo@example.org"}"#)).await;
    assert_eq!((claimed.status, &claimed.body["email_verified_at"]), (200, &Value::Null));
    assert_eq!(acting_status(&server, &service, "ceo@example.org").await, 404);

    let ceo = put_by_email(&server, &service, "ceo%40example.org").await;

    assert_eq!(ceo.status, 201);
    assert_ne!(ceo.body["id"], json!(eve.id));
    assert!(ceo.body["email_verified_at"].is_string(), "{}", ceo.body);
    let whom = "email:CEO@example.org";
    let created = server.send(&service, "POST", CONVERSATIONS, "{}").header("Chatstore-User", whom);
    let created = answer(created).await;
    assert_eq!(created.body["owner_id"], ceo.body["id"]);
    let conversation = format!("{CONVERSATIONS}/{}", created.body["id"].as_str().unwrap());
    assert_eq!(answer(server.request(&eve, "GET", &conversation)).await.status, 404);
    assert_eq!(server.get(&eve, CONVERSATIONS).await["data"], json!([]));
    assert_eq!(put_by_email(&server, &service, "ceo%40example.org").await.body, ceo.body);
}

async fn a_registered_address_opens_no_account_and_still_logs_in(case: TestDatabase) {
    let server = Server::start(case).await;
    let service = service(&server).await;
    let registered = register(&server, json!({"email": "ceo@example.org", "password": PASSWORD})).await;
    assert_eq!((registered.status, &registered.body["email_verified_at"]), (201, &Value::Null));
    let refused = json!({"email": "x@example.org", "password": PASSWORD, "email_verified": true});
    assert_eq!(register(&server, refused).await.status, 422, "nobody verifies their own address");

    assert_eq!(acting_status(&server, &service, "ceo@example.org").await, 404);
    let ceo = put_by_email(&server, &service, "CEO@example.org").await;
    assert_eq!(ceo.status, 201);
    assert_ne!(ceo.body["id"], registered.body["id"]);
    let eve = log_in(&server, json!({"email": "ceo@example.org", "password": PASSWORD})).await;
    assert_eq!((eve.status, &eve.body["user"]["id"]), (200, &registered.body["id"]));
}

async fn an_address_is_claimed_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    server.post(&root, USERS, r#"{"email": "bob@example.org"}"#).await;
    let claim = json!({"email": "bob@example.org", "password": PASSWORD});
    assert_eq!(register(&server, claim).await.status, 201, "beside the user who has it");

    let again = json!({"username": "eve", "email": "BOB@example.org", "password": PASSWORD});
    let refused = refusal(post(&server, "/api/v1/auth/register", &again)).await;
    assert_eq!(refused, (409, vec![("email".to_owned(), "not_allowed".to_owned())]));
    let eve = server.person("eve").await;
    let refused = refusal(server.send(&eve, "PATCH", ME, r#"{"email": "bob@example.org"}"#)).await;
    assert_eq!(refused, (409, vec![("email".to_owned(), "not_allowed".to_owned())]));
    let second = server.send(&root, "POST", USERS, r#"{"email": "bob@example.org"}"#);
    assert_eq!(answer(second).await.status, 409, "one user has it");
}

async fn an_address_that_a_user_changes_is_claimed_again(case: TestDatabase) {
    let server = Server::start(case).await;
    let service = service(&server).await;
    let bob = put_by_email(&server, &service, "bob@example.org").await.body;
    let act = async |body: &'static str| {
        let request =
            server.send(&service, "PATCH", ME, body).header("Chatstore-User", bob["id"].as_str().unwrap());
        answer(request).await.body
    };
    assert_eq!(act(r#"{"email": "BOB@example.org"}"#).await["email_verified_at"], bob["email_verified_at"]);
    assert_eq!(act(r#"{"full_name": "Bob"}"#).await["email_verified_at"], bob["email_verified_at"]);
    assert_eq!(act(r#"{"email": "ceo@example.org"}"#).await["email_verified_at"], Value::Null);
    assert_eq!(acting_status(&server, &service, "ceo@example.org").await, 404);
    assert_eq!(acting_status(&server, &service, "bob@example.org").await, 404);
}

async fn administrators_and_services_verify_addresses(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let service = server.service(&root).await;
    for (number, by) in [&root, &service].into_iter().enumerate() {
        let address = format!("eve{number}@example.org");
        let eve = register(&server, json!({"email": address, "password": PASSWORD})).await.body;
        let path = format!("{USERS}/{}", eve["id"].as_str().unwrap());
        let alone = refusal(server.send(by, "PATCH", &path, r#"{"email_verified": true}"#)).await;
        assert_eq!(alone, (422, vec![("email_verified".to_owned(), "not_allowed".to_owned())]));

        let body = json!({"email": address, "email_verified": true}).to_string();
        let verified = answer(server.send(by, "PATCH", &path, &body)).await;
        assert!(
            verified.status == 200 && verified.body["email_verified_at"].is_string(),
            "{}",
            verified.body
        );
        assert_eq!(acting_status(&server, &service, &address).await, 200);
        let doubted = json!({"email": address, "email_verified": false}).to_string();
        let doubted = answer(server.send(by, "PATCH", &path, &doubted)).await.body;
        assert_eq!(doubted["email_verified_at"], Value::Null);
        let said = answer(server.send(by, "PATCH", &path, &json!({"email": address}).to_string())).await.body;
        assert!(said["email_verified_at"].is_string(), "an address that they set is verified");
        let unverified = format!(r#"{{"email": "new{number}@example.org", "email_verified": false}}"#);
        assert_eq!(server.post(by, USERS, &unverified).await["email_verified_at"], Value::Null);
    }
}

async fn a_list_finds_verified_and_claimed_addresses_apart(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let claimed = register(&server, json!({"email": "bob@example.org", "password": PASSWORD})).await.body;
    let found = async |query: &str| {
        let page = server.get(&root, &format!("{USERS}?{query}")).await;
        page["data"].as_array().unwrap().iter().map(|user| user["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("email=bob@example.org").await, [Value::Null; 0]);
    assert_eq!(found("claimed_email=BOB@example.org").await, [claimed["id"].clone()]);
    let verified = server.post(&root, USERS, r#"{"email": "bob@example.org"}"#).await;
    assert_eq!(found("email=bob@example.org").await, [verified["id"].clone()]);
    assert_eq!(found("claimed_email=bob@example.org").await, [claimed["id"].clone()]);
    assert_eq!(found("email=bob@example.org&claimed_email=bob@example.org").await, [Value::Null; 0]);
}

async fn both_users_of_an_address_log_in(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let claim = json!({"email": "bob@example.org", "password": PASSWORD});
    let claiming = register(&server, claim).await.body;
    let having = json!({"email": "bob@example.org", "password": OTHER}).to_string();
    let having = server.post(&root, USERS, &having).await;
    for field in ["email", "username"] {
        for (password, user) in [(PASSWORD, &claiming), (OTHER, &having)] {
            let found = log_in(&server, json!({field: "Bob@example.org", "password": password})).await;
            assert_eq!((found.status, &found.body["user"]["id"]), (200, &user["id"]), "{field}");
        }
        let wrong = log_in(&server, json!({field: "bob@example.org", "password": "a wrong password"})).await;
        assert_eq!(wrong.status, 401);
    }
}

async fn a_name_that_is_the_address_of_another_user_is_a_conflict(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    server.post(&root, USERS, r#"{"username": "bob", "email": "bob@example.org"}"#).await;
    let own = r#"{"username": "ann@example.org", "email": "ann@example.org"}"#;
    server.post(&root, USERS, own).await;
    let eve = server.person("eve").await;
    let (not_own, taken) = ((422, "username"), (409, "username"));
    for (request, (status, field)) in [
        (server.send(&root, "POST", USERS, r#"{"username": "bob@example.org"}"#), taken),
        (server.send(&root, "POST", USERS, r#"{"username": "bob＠example.org"}"#), taken),
        (server.send(&eve, "PATCH", ME, r#"{"username": "BOB@example.org"}"#), taken),
        (server.send(&root, "POST", USERS, r#"{"username": "nobody@example.org"}"#), not_own),
        (server.send(&eve, "PATCH", ME, r#"{"username": "nobody＠example.org"}"#), not_own),
        (
            server.send(&eve, "PATCH", ME, r#"{"username": "bob@example.org", "email": "bob@example.org"}"#),
            taken,
        ),
        (server.send(&eve, "PATCH", ME, r#"{"email": "ann@example.org"}"#), (409, "email")),
        (
            post(
                &server,
                "/api/v1/auth/register",
                &json!({"username": "bob@example.org", "email": "bob@example.org", "password": PASSWORD}),
            ),
            taken,
        ),
    ] {
        let refused = refusal(request).await;
        assert_eq!(refused, (status, vec![(field.to_owned(), "not_allowed".to_owned())]));
    }
}

async fn no_name_keeps_another_user_from_logging_in(case: TestDatabase) {
    let server = Server::start(case).await;
    let (service, root) = (service(&server).await, server.admin("other root").await);
    let claim = json!({"username": "bob@example.org", "email": "bob@example.org", "password": PASSWORD});
    let eve = register(&server, claim).await;
    assert_eq!(eve.status, 201);
    let having = json!({"username": "bob", "email": "bob@example.org", "password": OTHER}).to_string();
    let bob = server.post(&root, USERS, &having).await;

    assert_eq!(login(&server, "bob@example.org", OTHER).await.body["user"]["id"], bob["id"]);
    assert_eq!(login(&server, "bob@example.org", PASSWORD).await.body["user"]["id"], eve.body["id"]);
    assert_eq!(put_by_email(&server, &service, "bob@example.org").await.body["id"], bob["id"]);
}

async fn look_alike_addresses_are_two_accounts(case: TestDatabase) {
    let server = Server::start(case).await;
    let service = service(&server).await;
    let mut ids = Vec::new();
    for email in ["x@straße.example", "x@strasse.example", "straße@example.org", "strasse@example.org"] {
        let put = put_by_email(&server, &service, &email.replace('ß', "%C3%9F")).await;
        assert_eq!(put.status, 201, "{email}");
        ids.push(put.body["id"].clone());
    }
    let punycode = put_by_email(&server, &service, "X@xn--strae-oqa.example").await;
    assert_eq!((punycode.status, &punycode.body["id"]), (200, &ids[0]));
}
