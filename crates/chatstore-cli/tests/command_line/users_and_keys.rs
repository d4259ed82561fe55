use chatstore::{NewConversation, NewMessage, UserPatch};
use chatstore_testkit::{TestDatabase, conformance};

use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::commands::Commands;
use crate::program::{Finished, run};

conformance!(
    a_user_is_created_once_and_gets_a_key,
    a_name_that_breaks_a_rule_is_refused,
    users_are_listed_oldest_first,
    keys_are_listed_and_revoked,
    a_key_is_created_with_limits_and_shows_them,
    a_key_is_rotated_and_its_former_secret_ends,
    a_user_with_a_one_time_password_gets_no_key,
    only_administrators_own_service_keys,
    a_service_key_without_a_user_belongs_to_the_built_in_one,
    the_erasure_of_a_user_with_much_ends_when_the_last_row_is_gone,
);

async fn a_user_is_created_once_and_gets_a_key(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let url = case.url.as_str();
    let create = [
        "user",
        "create",
        "--username",
        "Ada",
        "--email",
        "ada@example.org",
        "--json",
        "--database-url",
        url,
    ];
    let user = run(folder.path(), &create).json();
    assert_eq!(user["username"], "Ada");
    run(folder.path(), &create).assert_failed(1, "user with this username already exists");

    let key = run(folder.path(), &["key", "create", "--user", "ADA@example.org", "--database-url", url]);
    let store = chatstore::Store::connect(url).await.unwrap();
    let principal = store.keys().verify(key.data()).await.unwrap().unwrap();
    assert_eq!(principal.user_id.to_string(), user["id"]);

    let soon = ["key", "create", "--user", "ada", "--expires-in", "90d", "--name", "laptop", "--json"];
    let shown = run(folder.path(), &[&soon[..], &["--database-url", url]].concat()).json();
    assert_eq!(shown["name"], "laptop");
    assert!(shown["expires_at"].is_string());
}

async fn a_name_that_breaks_a_rule_is_refused(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let create = |arguments: &[&str]| {
        run(folder.path(), &[&["user", "create", "--database-url", &case.url], arguments].concat())
    };
    create(&["--username", "al"]).assert_failed(65, "--username must have at least 3 characters");
    create(&["--username", "anonymous"]).assert_failed(1, "user with this username already exists");
    create(&["--email", "nobody"]).assert_failed(65, "--email must have one @");
    assert_eq!(create(&[]).code, 2);
    assert_eq!(create(&["--full-name", "Ada"]).code, 2, "neither a name nor an address");
}

/// A table with what differs from run to run replaced by its name.
fn steady(table: &Finished, rows: &Value) -> String {
    let mut text = table.transcript();
    for row in rows.as_array().unwrap() {
        for field in ["id", "prefix", "created_at"] {
            if let Some(value) = row[field].as_str() {
                text = text.replace(value, &format!("<{field}>"));
            }
        }
    }
    text
}

async fn users_are_listed_oldest_first(case: TestDatabase) {
    let commands = Commands::on(case);
    assert_eq!(commands.run(&["user", "list", "--json"]).data(), "[]");
    commands.run(&["user", "create", "--username", "Ada", "--role", "admin"]).data();
    commands.run(&["user", "create", "--username", "小明明", "--email", "ming@example.org"]).data();
    commands.run(&["user", "create", "--email", "bo@example.org"]).data();
    let users = commands.run(&["user", "list", "--json"]).json();
    assert_eq!(users.as_array().unwrap().len(), 3, "the built-in user is not listed");
    assert_eq!(users[1]["username"], "小明明");
    assert_eq!(users[0].get("password_hash"), None);
    allow_duplicates! { assert_snapshot!(steady(&commands.run(&["user", "list"]), &users), @r"
    exit code 0
    --- stdout
    ID                                    NAME  E-MAIL            ROLE   ACTIVE  CREATED
    <id>  Ada                     admin  yes     <created_at>
    <id>  小明明   ming@example.org  user   yes     <created_at>
    <id>        bo@example.org    user   yes     <created_at>
    --- stderr
    ") }
}

async fn keys_are_listed_and_revoked(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    commands.run(&["user", "create", "--username", "bob"]).data();
    let text = commands.run(&["key", "create", "--user", "ada", "--name", "two\nlines"]).data().to_owned();
    commands.run(&["key", "create", "--user", "bob", "--expires-in", "1d"]).data();
    let keys = commands.run(&["key", "list", "--json"]).json();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_eq!(keys[0].get("key"), None);
    let of_ada = commands.run(&["key", "list", "--user", "ADA", "--json"]).json();
    assert_eq!(of_ada.as_array().unwrap(), &keys.as_array().unwrap()[..1]);
    allow_duplicates! { assert_snapshot!(steady(&commands.run(&["key", "list", "--user", "ada"]), &keys), @r"
    exit code 0
    --- stdout
    ID                                    PREFIX                            SCOPE  USER  NAME        CREATED                      LAST USED  EXPIRES  LIMITS
    <id>  <prefix>  user   ada   two\nlines  <created_at>  never      never
    --- stderr
    ") }

    let id = keys[0]["id"].as_str().unwrap();
    let refused = commands.run(&["key", "revoke", id, "--user", "bob"]);
    refused.assert_failed(1, &format!("bob has no key {id}"));
    assert_eq!(commands.run(&["key", "revoke", id, "--user", "ada"]).data(), "");
    assert_eq!(commands.run(&["key", "list", "--user", "ada", "--json"]).data(), "[]");
    let store = chatstore::Store::connect(&commands.case.url).await.unwrap();
    assert!(store.keys().verify(&text).await.unwrap().is_none());
}

async fn a_key_is_created_with_limits_and_shows_them(case: TestDatabase) {
    let commands = Commands::on(case);
    let ada = commands.run(&["user", "create", "--username", "ada"]).data().to_owned();
    let limits =
        ["--read-only", "--routes", "usage,conversations", "--address", "10.1.2.3/8", "--address", "::1"];
    let own =
        commands.run(&[&["key", "create", "--user", "ada", "--json"], limits.as_slice()].concat()).json();
    assert_eq!(
        own["rights"],
        json!({
            "read_only": true, "routes": ["usage", "conversations"], "users": null, "namespace": null,
            "provision": null, "addresses": ["10.0.0.0/8", "::1/128"]
        })
    );
    let service = commands.run(&["key", "create", "--service", "--for-user", "ADA", "--json"]).json();
    assert_eq!(service["rights"]["users"], json!([ada]));
    let shop = ["key", "create", "--service", "--provision", "shop", "--namespace", "shop", "--json"];
    assert_eq!(commands.run(&shop).json()["rights"]["provision"], "shop");
    let listed = commands.run(&["key", "list"]);
    for shown in [
        "read-only; routes usage,conversations; from 10.0.0.0/8,::1/128",
        "for 1 users",
        "for users of shop; creates users of shop",
    ] {
        assert!(listed.data().contains(shown), "{shown}: {}", listed.data());
    }
    for wrong in [
        &["key", "create", "--user", "ada", "--routes", "secrets"] as &[&str],
        &["key", "create", "--user", "ada", "--address", "10.0.0.0/33"],
        &["key", "create", "--user", "ada", "--provision", "shop"],
        &["key", "create", "--service", "--provision", "a b"],
    ] {
        assert_eq!(commands.run(wrong).code, 2, "{wrong:?}");
    }
    let contrary = ["key", "create", "--service", "--provision", "shop", "--namespace", "forum"];
    assert_ne!(commands.run(&contrary).code, 0);
    assert_eq!(commands.run(&["key", "list", "--json"]).json().as_array().unwrap().len(), 3);
}

async fn a_key_is_rotated_and_its_former_secret_ends(case: TestDatabase) {
    let commands = Commands::on(case);
    let created = commands.run(&["key", "create", "--service", "--json"]).json();
    let (id, former) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    let rotate = |overlap: &str| {
        commands.run(&["key", "rotate", id, "--user", "anonymous", "--overlap", overlap, "--json"]).json()
    };
    let store = chatstore::Store::connect(&commands.case.url).await.unwrap();
    let is_good = async |text: &str| store.keys().verify(text).await.unwrap().is_some();
    let second = rotate("1h");
    assert!(second["previous_expires_at"].is_string() && second["id"] == id);
    let second = second["key"].as_str().unwrap();
    assert!(is_good(former).await && is_good(second).await);
    let last = rotate("0m");
    store.close().await;
    let store = chatstore::Store::connect(&commands.case.url).await.unwrap();
    let is_good = async |text: &str| store.keys().verify(text).await.unwrap().is_some();
    assert!(!is_good(former).await && !is_good(second).await);
    assert!(is_good(last["key"].as_str().unwrap()).await);
    commands
        .run(&["key", "rotate", "1111111111111111111112", "--user", "anonymous"])
        .assert_failed(1, "anonymous has no key");
    assert_eq!(commands.run(&["key", "rotate", id, "--user", "anonymous", "--overlap", "x"]).code, 2);
    assert_ne!(commands.run(&["key", "rotate", id, "--user", "anonymous", "--overlap", "8d"]).code, 0);
}

async fn a_user_with_a_one_time_password_gets_no_key(case: TestDatabase) {
    let commands = Commands::on(case);
    let ada = commands.run(&["user", "create", "--username", "ada"]).data().parse().unwrap();
    let store = chatstore::Store::connect(&commands.case.url).await.unwrap();
    let patch = UserPatch { must_change_password: Some(true), ..UserPatch::default() };
    store.users().update(ada, patch).await.unwrap();
    store.close().await;
    let refused = commands.run(&["key", "create", "--user", "ada"]);
    refused.assert_failed(1, "the user has to change the password before they get a key");
}

async fn only_administrators_own_service_keys(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada", "--role", "admin"]).data();
    commands.run(&["user", "create", "--username", "bob"]).data();
    let refused = commands.run(&["key", "create", "--service", "--user", "bob"]);
    refused.assert_failed(1, "bob is not an administrator, and only administrators can own a service key");
    let key = commands.run(&["key", "create", "--service", "--user", "ada", "--json"]).json();
    assert_eq!(key["scope"], "service");
    assert_eq!(commands.run(&["key", "create"]).code, 2, "a key without an owner is a service key");
}

async fn a_service_key_without_a_user_belongs_to_the_built_in_one(case: TestDatabase) {
    let commands = Commands::on(case);
    let key = commands.run(&["key", "create", "--service", "--name", "backend", "--json"]).json();
    assert_eq!(key["scope"], "service");
    assert_eq!(key["user_id"], "00000000-0000-0000-0000-000000000000");
    let listed = commands.run(&["key", "list", "--json"]).json();
    assert_eq!(listed[0]["id"], key["id"]);
    let id = key["id"].as_str().unwrap();
    commands.run(&["key", "revoke", id, "--user", "anonymous"]).data();
    assert_eq!(commands.run(&["key", "list", "--json"]).data(), "[]");
}

async fn the_erasure_of_a_user_with_much_ends_when_the_last_row_is_gone(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let on_it =
        |arguments: &[&str]| run(folder.path(), &[arguments, &["--database-url", &case.url]].concat());
    on_it(&["user", "create", "--username", "ada"]).data();
    let store = chatstore::Store::connect(case.url.as_str()).await.unwrap();
    let ada = store.users().find_by_username("ada").await.unwrap().unwrap().id;
    let chat = store.as_user(ada);
    let id = chat.conversations().create(NewConversation::titled("long")).await.unwrap().id;
    for _ in 0..6 {
        chat.messages().append_many(id, vec![NewMessage::user("hello"); 200]).await.unwrap();
    }
    store.write("mark", async move |tx| tx.conversations().delete(ada, id).await).await.unwrap();
    let marked = on_it(&["stats"]).data().to_owned();
    assert!(marked.contains("being deleted: 1 conversations, 0 users"), "{marked}");
    assert_eq!(on_it(&["stats", "--json"]).json()["messages"], 0);

    let erased = on_it(&["user", "delete", "ada", "--yes"]);

    assert_eq!(erased.code, 0, "{}", erased.stderr);
    assert!(erased.stderr.contains("ada is erased: the last row is gone"), "{}", erased.stderr);
    assert!(!on_it(&["stats"]).data().contains("being deleted"));
    on_it(&["user", "delete", "ada", "--yes"]).assert_failed(1, "there is no user");
}
