//! What the log of a server says about who did what, and what it never says.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::commands::{Commands, call, login, tokens};

const PASSWORD: &str = "correct horse battery";

conformance!(
    an_event_names_who_did_it_with_which_key_for_whom,
    a_log_line_has_the_pattern_of_the_route_and_not_the_path,
);

/// The lines of the log about an event.
fn lines<'l>(said: &'l str, event: &str) -> Vec<&'l str> {
    said.lines().filter(|line| line.contains(&format!("event=\"{event}\""))).collect()
}

async fn an_event_names_who_did_it_with_which_key_for_whom(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    commands.person("bob", PASSWORD);
    let service = commands.run(&["key", "create", "--service", "--name", "backend", "--json"]).json();
    let (key, key_id) = (service["key"].as_str().unwrap(), service["id"].as_str().unwrap());
    let server = commands.serve(&[]);
    let user_of = |tokens: &Value| tokens["user"]["id"].as_str().unwrap().to_owned();
    let (_, ada) = login(&server, "ada", PASSWORD).await;
    let (_, bob) = login(&server, "bob", PASSWORD).await;
    let (ada, bob) = (user_of(&ada), user_of(&bob));

    let (status, created) = call(&server, "POST", "users", Some(key), json!({"username": "carol"})).await;
    assert_eq!(status, 201, "{created}");
    let carol = created["id"].as_str().unwrap();
    let acting = async |method: &str, path: &str, body: Value| {
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), format!("{}/api/v1/{path}", server.origin))
            .bearer_auth(key)
            .header("Chatstore-User", &ada);
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        answer.json::<Value>().await.unwrap_or_default()
    };
    let conversation = acting("POST", "conversations", json!({})).await["id"].as_str().unwrap().to_owned();
    acting("PUT", &format!("conversations/{conversation}/members/{bob}"), json!({"role": "viewer"})).await;
    let (access, _) = tokens(&server, "bob", PASSWORD).await;
    assert_eq!(call(&server, "POST", "auth/logout-all", Some(&access), Value::Null).await.0, 204);

    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0));
    let service = "00000000-0000-0000-0000-000000000000";
    for (event, parts) in [
        ("user_created", vec![format!(" user.id={carol}"), format!("actor.user.id={service}")]),
        ("user_created", vec![format!("actor.key.id={key_id}")]),
        ("member_added", vec![format!(" user.id={bob}"), format!("conversation.id={conversation}")]),
        ("member_added", vec![format!("actor.key.id={key_id}"), format!("actor.acting_for={ada}")]),
        ("logged_out_everywhere", vec![format!(" user.id={bob}"), format!("actor.user.id={bob}")]),
        ("logged_out_everywhere", vec!["actor.session.id=".to_owned(), "outcome=\"done\"".to_owned()]),
    ] {
        let found = lines(&said, event);
        assert_eq!(found.len(), 1, "{event}: {said}");
        for part in parts {
            assert!(found[0].contains(&part), "{event}: {part}: {}", found[0]);
        }
    }
    assert!(!said.contains("carol") && !said.contains(key), "{said}");
}

async fn a_log_line_has_the_pattern_of_the_route_and_not_the_path(case: TestDatabase) {
    let commands = Commands::on(case);
    let service = commands.run(&["key", "create", "--service", "--json"]).json();
    let key = service["key"].as_str().unwrap();
    let server = commands.serve(&[("CHATSTORE_LOG", "info,chatstore_http=debug,chatstore=debug")]);
    for (method, path) in [
        ("PUT", "users/by-email/planted%40example.org"),
        ("GET", "threads/planted-thread"),
        ("GET", "planted/unknown?planted=1"),
        ("POST", "conversations/planted/messages"),
    ] {
        call(&server, method, path, Some(key), json!({"planted": "planted"})).await;
    }
    let url = format!("{}/planted", server.origin);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 404);
    let (_, said) = server.stop_and_tell();
    assert!(said.contains("request.route=\"/api/v1/users/by-email/{email}\""), "{said}");
    assert!(said.contains("request.route=\"none\""), "{said}");
    assert!(!said.contains("planted"), "{said}");
}
