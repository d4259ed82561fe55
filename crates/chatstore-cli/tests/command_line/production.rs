//! What production forbids, and secrets that must never be shown.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::commands::{Commands, OTHER_TOKEN_KEY, TOKEN_KEY, call, fresh_key, login, refresh, tokens};

const PASSWORD: &str = "correct horse battery";

/// A word repeated.
const WEAK: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=";

const PRODUCTION: (&str, &str) = ("CHATSTORE_ENV", "production");

conformance!(
    production_refuses_seeded_passwords_until_each_is_changed,
    production_refuses_a_weak_token_key,
    production_names_everything_that_is_switched_off_in_one_warning,
    doctor_reports_seeded_passwords_and_weak_keys,
    no_secret_is_in_logs_arguments_or_settings,
);

async fn production_refuses_seeded_passwords_until_each_is_changed(case: TestDatabase) {
    let commands = Commands::on(case);
    let key = fresh_key();
    let settings = [PRODUCTION, ("CHATSTORE_TOKEN_KEY", key.as_str())];
    assert_eq!(commands.serve(&settings).stop(), Some(0), "nobody was seeded");
    let seeded = commands.run(&["seed"]);
    let refused = commands.refused(&settings);
    refused.assert_failed(78, "still have the password of `chatstore seed`: admin, user2, user3");
    assert!(refused.stderr.contains("chatstore user set-password NAME"), "{refused:?}");

    let server = commands.serve(&[]);
    let random = seeded.data().lines().next().unwrap().split_once(' ').unwrap().1;
    let (access, _) = tokens(&server, "admin", random).await;
    let change = json!({"current_password": random, "new_password": PASSWORD});
    assert_eq!(call(&server, "POST", "auth/password", Some(&access), change).await.0, 204);
    assert_eq!(server.stop(), Some(0));
    let set = ["user", "set-password", "user2", "--password-stdin"];
    commands.run_with_input(PASSWORD, &set).data();
    commands.refused(&settings).assert_failed(78, "still have the password of `chatstore seed`: user3\n");
    let set = ["user", "set-password", "user3", "--password-stdin"];
    commands.run_with_input(PASSWORD, &set).data();
    assert_eq!(commands.serve(&settings).stop(), Some(0));
}

async fn production_refuses_a_weak_token_key(case: TestDatabase) {
    let commands = Commands::on(case);
    let weak = ("CHATSTORE_TOKEN_KEY", WEAK);
    assert_eq!(commands.serve(&[weak]).stop(), Some(0));
    let ascending = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    // Each of them is in the sources of this program.
    for key in [WEAK, ascending, TOKEN_KEY, OTHER_TOKEN_KEY, &format!("{},{TOKEN_KEY}", fresh_key())] {
        let refused = commands.refused(&[PRODUCTION, ("CHATSTORE_TOKEN_KEY", key)]);
        refused.assert_failed(78, "CHATSTORE_ENV is production, and a token key is not random");
        assert!(!refused.stderr.contains(key), "{refused:?}");
    }
}

async fn production_names_everything_that_is_switched_off_in_one_warning(case: TestDatabase) {
    let commands = Commands::on(case);
    let key = fresh_key();
    let off = [
        ("CHATSTORE_LOGIN_RATE_LIMIT", "0"),
        ("CHATSTORE_RATE_LIMIT", "0"),
        ("CHATSTORE_TRUSTED_PROXIES", "0.0.0.0/0"),
        ("CHATSTORE_ANONYMOUS", "on"),
        ("CHATSTORE_OPEN_REGISTRATION", "on"),
        ("CHATSTORE_MIGRATE", "off"),
    ];
    let settings = [PRODUCTION, ("CHATSTORE_TOKEN_KEY", &key)];
    let (code, said) = commands.serve(&[&settings[..], &off].concat()).stop_and_tell();
    assert_eq!(code, Some(0));
    let warnings: Vec<&str> = said.lines().filter(|line| line.contains("with less protection")).collect();
    assert_eq!(warnings.len(), 1, "{said}");
    for (name, _) in off {
        assert!(warnings[0].contains(name), "{name}: {said}");
    }
    let limited = ("CHATSTORE_RATE_LIMIT", "1000");
    let (_, said) = commands.serve(&[&settings[..], &[limited]].concat()).stop_and_tell();
    assert!(!said.contains("with less protection"), "{said}");
    assert!(commands.serve(&off).stop_and_tell().1.lines().all(|line| !line.contains("less protection")));
}

#[test]
fn production_refuses_a_distant_database_that_is_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let key = fresh_key();
    // An address of documentation, where nothing answers (RFC 5737).
    let serve = |parameters: &str| {
        let url = format!("postgresql://ada:secret@192.0.2.1:5432/chat?connect_timeout=1&{parameters}");
        let mut command = crate::program::chatstore(folder.path());
        command.envs([PRODUCTION, ("CHATSTORE_TOKEN_KEY", &key), ("DATABASE_URL", &url)]).arg("serve");
        crate::program::finish(&mut command)
    };
    for parameters in ["", "sslmode=prefer", "sslmode=require", "sslmode=verify-ca"] {
        let refused = serve(parameters);
        refused.assert_failed(78, "which does not verify the server");
        assert!(
            refused.stderr.contains("sslmode=verify-full") && !refused.stderr.contains("secret"),
            "{refused:?}"
        );
    }
}

async fn doctor_reports_seeded_passwords_and_weak_keys(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["seed"]).data();
    let checks = |settings: &[(&str, &str)]| -> Vec<Value> {
        let finished = commands.run_with(settings, &["doctor", "--json"]);
        let checks: Vec<Value> = serde_json::from_str(&finished.stdout).unwrap();
        ["token key", "seeded passwords"]
            .map(|name| checks.iter().find(|check| check["check"] == name).unwrap().clone())
            .into()
    };
    let weak = ("CHATSTORE_TOKEN_KEY", WEAK);
    let found = checks(&[weak]);
    assert_eq!((&found[0]["status"], &found[1]["status"]), (&json!("warning"), &json!("warning")));
    assert_eq!(found[1]["found"], "unchanged: admin, user2, user3");
    let found = checks(&[weak, PRODUCTION]);
    assert_eq!((&found[0]["status"], &found[1]["status"]), (&json!("failed"), &json!("failed")));
    let found = checks(&[]);
    let is_sqlite = commands.case.url.starts_with("sqlite");
    assert_eq!(found[0]["status"], if is_sqlite { "ok" } else { "failed" });
}

async fn no_secret_is_in_logs_arguments_or_settings(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let settings = [("CHATSTORE_TOKEN_KEY", TOKEN_KEY), ("CHATSTORE_LOG", "trace")];
    let server = commands.serve(&settings);
    let (access, refresh_token) = tokens(&server, "ada", PASSWORD).await;
    let wrong = "a password of another user";
    assert_eq!(login(&server, "ada", wrong).await.0, 401);
    assert_eq!(refresh(&server, &refresh_token).await, 200);
    let new = "one that was never shown";
    let change = json!({"current_password": PASSWORD, "new_password": new});
    assert_eq!(call(&server, "POST", "auth/password", Some(&access), change).await.0, 204);
    let arguments = server.arguments();
    let (code, said) = server.stop_and_tell();
    assert_eq!(code, Some(0));
    assert!(said.contains("login_succeeded"), "{said}");
    let shown = commands.run_with(&settings, &["config", "show"]);
    let as_json = commands.run_with(&settings, &["config", "show", "--json"]);
    assert_eq!(as_json.json()["CHATSTORE_TOKEN_KEY"], json!({"value": "***", "source": "environment"}));
    for secret in [TOKEN_KEY, PASSWORD, wrong, new, &access, &refresh_token] {
        for text in [&said, &arguments, &shown.stdout, &as_json.stdout] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
