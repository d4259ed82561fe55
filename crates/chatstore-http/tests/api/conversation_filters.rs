//! Which conversations a list, its count and a deletion are about.

use chatstore::{ApiKeyScope, KeyRights, MemberRole, NewConversation, UserId};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::key_rights::limited;
use crate::support::{CONVERSATIONS, Person, Server, answer};

conformance!(
    lists_and_counts_take_the_same_filters,
    a_cursor_is_bound_to_the_filters_of_its_list,
    parameters_that_exclude_each_other_are_refused_by_name,
    threads_that_begin_alike_are_deleted_by_one_request,
    the_conversations_of_all_users_are_for_administrators_and_for_services_that_name_none,
);

const COUNT: &str = "/api/v1/conversations/count";

async fn create(server: &Server, person: &Person, body: Value) -> String {
    let created = server.post(person, CONVERSATIONS, &body.to_string()).await;
    created["id"].as_str().unwrap().to_owned()
}

/// The thread ids of a list, or the titles of conversations without one.
fn names(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().unwrap().iter();
    items.map(|one| one["thread_id"].as_str().or(one["title"].as_str()).unwrap()).collect()
}

async fn lists_and_counts_take_the_same_filters(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, ben) = (server.person("ada").await, server.person("ben").await);
    create(&server, &ada, json!({"thread_id": "p|1", "title": "Trip to Rome", "metadata": {"channel": "web", "tags": ["a", "b"]}})).await;
    let second =
        create(&server, &ada, json!({"thread_id": "p|2", "title": "Rent", "metadata": {"channel": "app"}}))
            .await;
    create(&server, &ada, json!({"thread_id": "q|1", "title": "ROME again", "metadata": {"tags": ["b"]}}))
        .await;
    let shared = create(&server, &ben, json!({"title": "Rome of Ben", "metadata": {"channel": "web"}})).await;
    server.share(&shared, &ben, &ada, MemberRole::Viewer).await;
    for (query, expected) in [
        ("thread_prefix=p%7C", vec!["p|1", "p|2"]),
        ("thread_prefix=p%7C&membership=owned", vec!["p|1", "p|2"]),
        ("thread_prefix=x", vec![]),
        ("q=rome", vec!["Rome of Ben", "p|1", "q|1"]),
        ("q=rome&membership=shared", vec!["Rome of Ben"]),
        ("q=%25", vec![]),
        ("metadata_contains=%7B%22tags%22:%5B%22b%22%5D%7D", vec!["p|1", "q|1"]),
        ("metadata_contains=%7B%22channel%22:%22web%22%7D", vec!["Rome of Ben", "p|1"]),
        ("metadata_contains=%7B%22channel%22:%22web%22%7D&thread_prefix=p", vec!["p|1"]),
        ("updated_since=2026-03-01T12:00:00Z&q=rent", vec!["p|2"]),
        ("updated_since=2026-03-01T12:00:00.000001Z", vec![]),
        (&format!("ids={second},{shared},{}", ada.id), vec!["Rome of Ben", "p|2"]),
        (&format!("ids={second},{shared}&q=rent"), vec!["p|2"]),
    ] {
        let list = server.get(&ada, &format!("{CONVERSATIONS}?{query}")).await;
        let mut found = names(&list);
        if !query.starts_with("thread_prefix") {
            found.sort_unstable();
        }
        assert_eq!(found, expected, "{query}");
        let count = server.get(&ada, &format!("{COUNT}?{query}")).await;
        assert_eq!(count["count"], expected.len(), "{query}");
    }
}

async fn a_cursor_is_bound_to_the_filters_of_its_list(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for number in 0..3 {
        create(&server, &ada, json!({"thread_id": format!("p|{number}"), "title": "Trip"})).await;
    }
    let queries = [
        "limit=1",
        "limit=1&q=trip",
        "limit=1&q=tri",
        "limit=1&thread_prefix=p",
        "limit=1&thread_prefix=p%7C",
    ];
    for query in queries {
        let first = server.get(&ada, &format!("{CONVERSATIONS}?{query}")).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        for other in queries {
            let target = format!("{CONVERSATIONS}?{other}&cursor={cursor}");
            let status = answer(server.request(&ada, "GET", &target)).await.status;
            assert_eq!(status, if other == query { 200 } else { 422 }, "{query} {other}");
        }
    }
}

async fn parameters_that_exclude_each_other_are_refused_by_name(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for (query, field) in [
        ("thread_prefix=", "thread_prefix"),
        ("thread_prefix=p&membership=shared", "membership"),
        ("thread_prefix=p&sort=created_at", "sort"),
        ("thread_prefix=p&order=asc", "order"),
        ("thread_prefix=p&offset=1", "offset"),
        ("thread_prefix=p&ids=1BwtYBRpDkXPJhkEf5jY6d", "ids"),
        ("q=&limit=1", "q"),
        ("q=a&offset=1", "offset"),
        ("metadata_contains=%7B", "metadata_contains"),
        ("updated_since=yesterday", "updated_since"),
        ("ids=1", "ids"),
        ("owner=any&membership=owned", "membership"),
        ("owner=any&sort=created_at", "sort"),
        ("owner=ada", "owner"),
    ] {
        let refused = answer(server.request(&ada, "GET", &format!("{CONVERSATIONS}?{query}"))).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &json!(field)), "{query}");
    }
    for query in ["", "?thread_prefix=", "?thread_prefix=p&q=x"] {
        let refused = answer(server.request(&ada, "DELETE", &format!("{CONVERSATIONS}{query}"))).await;
        assert_eq!(refused.status, 422, "{query}");
    }
}

async fn threads_that_begin_alike_are_deleted_by_one_request(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, ben) = (server.person("ada").await, server.person("ben").await);
    for number in 0..30 {
        server
            .store
            .as_user(ada.id)
            .conversations()
            .create(NewConversation::thread(format!("p|{number}")))
            .await
            .unwrap();
    }
    // Too long to be deleted at once.
    let long = "/api/v1/threads/p%7Clong/messages";
    let batch = json!({"messages": vec![json!({"content": "hello"}); 1_000]}).to_string();
    for _ in 0..2 {
        assert_eq!(answer(server.send(&ada, "POST", long, &batch)).await.status, 201);
    }
    create(&server, &ada, json!({"thread_id": "p"})).await;
    create(&server, &ben, json!({"thread_id": "p|1"})).await;
    let target = format!("{CONVERSATIONS}?thread_prefix=p%7C");
    let deleted = answer(server.request(&ada, "DELETE", &target)).await;
    assert_eq!((deleted.status, &deleted.body), (200, &json!({"deleted": 31})));
    let deleted = answer(server.request(&ada, "DELETE", &target)).await;
    assert_eq!((deleted.status, &deleted.body), (200, &json!({"deleted": 0})));
    assert_eq!(server.get(&ada, COUNT).await["count"], 1);
    assert_eq!(server.get(&ben, COUNT).await["count"], 1);
    assert_eq!(answer(server.request(&ada, "GET", long)).await.status, 404);
}

async fn the_conversations_of_all_users_are_for_administrators_and_for_services_that_name_none(
    case: TestDatabase,
) {
    let server = Server::start(case).await;
    let (root, ada, ben) =
        (server.admin("root").await, server.person("ada").await, server.person("ben").await);
    let service = server.service(&root).await;
    let rights = KeyRights { users: vec![ada.id], ..KeyRights::default() };
    let few = limited(&server, UserId::ANONYMOUS, ApiKeyScope::Service, rights).await;
    create(&server, &root, json!({"thread_id": "p|root"})).await;
    create(&server, &ada, json!({"thread_id": "p|ada"})).await;
    create(&server, &ben, json!({"thread_id": "q|ben"})).await;
    let any = format!("{CONVERSATIONS}?owner=any");
    for (who, query, expected) in [
        (&root, "", vec!["p|ada", "p|root", "q|ben"]),
        (&service, "", vec!["p|ada", "q|ben"]),
        (&service, "&thread_prefix=p", vec!["p|ada"]),
        (&root, "&thread_prefix=p", vec!["p|ada", "p|root"]),
    ] {
        let list = server.get(who, &format!("{any}{query}")).await;
        let mut found = names(&list);
        found.sort_unstable();
        assert_eq!(found, expected, "{query}");
        assert!(list["data"][0]["role"].is_null());
        let count = server.get(who, &format!("{COUNT}?owner=any{query}")).await;
        assert_eq!(count["count"], expected.len());
    }
    let first = server.get(&service, &format!("{any}&limit=1")).await;
    let second = format!("{any}&limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(server.get(&service, &second).await["data"].as_array().unwrap().len(), 1);
    for target in [any.clone(), format!("{COUNT}?owner=any")] {
        assert_eq!(answer(server.request(&ada, "GET", &target)).await.status, 403);
        assert_eq!(answer(server.act(&service, "name:ada", "GET", &target)).await.status, 403);
        assert_eq!(answer(server.request(&few, "GET", &target)).await.status, 403);
    }
    let unnamed = answer(server.request(&service, "GET", CONVERSATIONS)).await;
    assert_eq!((unnamed.status, &unnamed.body["errors"][0]["field"]), (422, &json!("Chatstore-User")));
}
