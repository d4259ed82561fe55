//! The first users.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::commands::{Commands, fresh_key, login};
use crate::program::{Finished, finished};

const PASSWORD: &str = "correct horse battery";

conformance!(
    the_first_users_get_random_passwords_which_they_have_to_change,
    a_second_seeding_changes_nothing,
    concurrent_seeding_creates_each_user_once,
    a_password_from_the_environment_is_not_printed,
    an_invalid_password_in_the_environment_creates_no_user,
    an_existing_user_of_the_same_name_is_kept,
    a_renamed_seeded_user_is_recognized,
);

fn users(commands: &Commands) -> Value {
    commands.run(&["user", "list", "--json"]).json()
}

async fn the_first_users_get_random_passwords_which_they_have_to_change(case: TestDatabase) {
    let commands = Commands::on(case);
    let seeded = commands.run(&["seed"]);
    let lines: Vec<(&str, &str)> = seeded.data().lines().map(|line| line.split_once(' ').unwrap()).collect();
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["admin", "user2", "user3"]);
    let created = users(&commands);
    for (index, role) in ["admin", "user", "user"].into_iter().enumerate() {
        assert_eq!(created[index]["username"], names[index]);
        assert_eq!(
            (&created[index]["role"], &created[index]["must_change_password"]),
            (&json!(role), &json!(true))
        );
    }
    let server = commands.serve(&[]);
    for (name, password) in &lines {
        assert!(password.len() == 29 && !seeded.stderr.contains(password), "{seeded:?}");
        let (status, tokens) = login(&server, name, password).await;
        assert_eq!(status, 200, "{tokens}");
        assert_eq!(tokens["user"]["must_change_password"], true);
    }
    assert_eq!(login(&server, "admin", lines[1].1).await.0, 401, "each user has a different one");
}

async fn a_second_seeding_changes_nothing(case: TestDatabase) {
    let commands = Commands::on(case);
    let first = commands.run(&["seed", "--json"]).json();
    assert_eq!((&first[0]["username"], &first[0]["exists"]), (&json!("admin"), &json!(false)));
    assert!(first[2]["password"].is_string());
    let created = users(&commands);
    let second = commands.run_with(&[("CHATSTORE_SEED_PASSWORD_ADMIN", PASSWORD)], &["seed"]);
    assert_eq!(second.data(), "admin exists\nuser2 exists\nuser3 exists");
    let shown = commands.run(&["seed", "--json"]).json();
    assert_eq!(shown[1], json!({"username": "user2", "exists": true, "password": null}));
    assert_eq!(users(&commands), created);
    let server = commands.serve(&[]);
    assert_eq!(login(&server, "admin", PASSWORD).await.0, 401);
    assert_eq!(login(&server, "admin", first[0]["password"].as_str().unwrap()).await.0, 200);
}

async fn concurrent_seeding_creates_each_user_once(case: TestDatabase) {
    let commands = Commands::on(case);
    let running: Vec<_> = (0..4).map(|_| commands.begin(&["seed"])).collect();
    let ended: Vec<Finished> =
        running.into_iter().map(|child| finished(child.wait_with_output().unwrap())).collect();
    let told = ended.iter().flat_map(|ended| ended.data().lines());
    let (exist, created): (Vec<&str>, Vec<&str>) = told.partition(|line| line.ends_with(" exists"));
    assert_eq!((exist.len(), created.len()), (9, 3), "{ended:?}");
    assert_eq!(users(&commands).as_array().unwrap().len(), 3);
    let server = commands.serve(&[]);
    for line in created {
        let (name, password) = line.split_once(' ').unwrap();
        assert_eq!(login(&server, name, password).await.0, 200, "{name}");
    }
}

async fn a_password_from_the_environment_is_not_printed(case: TestDatabase) {
    let commands = Commands::on(case);
    let settings = [("CHATSTORE_SEED_PASSWORD_USER2", PASSWORD), ("CHATSTORE_SEED_PASSWORD_USER3", "")];
    let seeded = commands.run_with(&settings, &["seed"]);
    assert_eq!(seeded.data().lines().nth(1), Some("user2 from the environment"));
    assert!(!format!("{seeded:?}").contains(PASSWORD), "{seeded:?}");
    assert_ne!(seeded.data().lines().nth(2), Some("user3 from the environment"), "empty is absent");
    assert_eq!(users(&commands)[1]["must_change_password"], true);
    assert_eq!(login(&commands.serve(&[]), "user2", PASSWORD).await.0, 200);
}

async fn an_invalid_password_in_the_environment_creates_no_user(case: TestDatabase) {
    let commands = Commands::on(case);
    let seed = |variable: &str, password: &str| commands.run_with(&[(variable, password)], &["seed"]);
    let weak = seed("CHATSTORE_SEED_PASSWORD_USER3", "hunter2");
    weak.assert_failed(65, "CHATSTORE_SEED_PASSWORD_USER3: must have at least 12 characters");
    assert!(!weak.stderr.contains("hunter2"), "{weak:?}");
    seed("CHATSTORE_SEED_PASSWORD_ROOT", PASSWORD).assert_failed(
        78,
        "CHATSTORE_SEED_PASSWORD_ROOT in the environment is for none of admin, user2, user3",
    );
    assert_eq!(users(&commands), json!([]));
}

async fn an_existing_user_of_the_same_name_is_kept(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ADMIN", PASSWORD);
    let before = users(&commands)[0].clone();
    let seeded = commands.run(&["seed"]);
    assert_eq!(seeded.data().lines().next(), Some("admin exists"));
    assert_eq!(users(&commands)[0], before);
    assert_eq!(users(&commands).as_array().unwrap().len(), 3);
}

async fn a_renamed_seeded_user_is_recognized(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["seed"]).data();
    let admin: chatstore::UserId = users(&commands)[0]["id"].as_str().unwrap().parse().unwrap();
    let store = chatstore::Store::connect(&commands.case.url).await.unwrap();
    let name = chatstore::UserName::new("root").unwrap();
    let patch = chatstore::UserPatch { username: chatstore::Change::Set(name), ..Default::default() };
    store.users().update(admin, patch).await.unwrap();
    store.close().await;
    assert_eq!(commands.run(&["seed"]).data().lines().next(), Some("admin exists"));
    let key = fresh_key();
    let settings = [("CHATSTORE_ENV", "production"), ("CHATSTORE_TOKEN_KEY", key.as_str())];
    commands.refused(&settings).assert_failed(78, "`chatstore seed`: root, user2, user3");
}
