use chatstore_testkit::{TestDatabase, conformance};

use crate::program::run;

conformance!(a_user_is_made_once_and_gets_a_key, a_name_that_breaks_a_rule_is_refused);

async fn a_user_is_made_once_and_gets_a_key(case: TestDatabase) {
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
    create(&["--username", "anonymous"]).assert_failed(65, "--username is reserved");
    create(&["--email", "nobody"]).assert_failed(65, "--email must have one @");
    assert_eq!(create(&[]).code, 2);
}
