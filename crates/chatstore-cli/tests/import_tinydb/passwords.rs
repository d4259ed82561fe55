//! Generated passwords, which nothing but the import tells.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::json;

use crate::file::{OldFile, report};
use crate::support::{Application, Caller};

conformance!(
    a_generated_password_is_in_a_private_file_before_its_user_is_stored,
    a_file_that_others_can_read_gets_no_password_and_nothing_is_stored,
    an_administrator_of_the_source_is_imported_as_an_ordinary_user_and_reported,
);

const FILE: &str = r#"{"users": {"1": {"username": "ada"}, "2": {"username": "grace"}}}"#;

async fn a_generated_password_is_in_a_private_file_before_its_user_is_stored(case: TestDatabase) {
    let old = OldFile::of_text(FILE);
    let path = old.path().with_file_name("chatstore-passwords.txt");
    old.import(&case.url, &["--dry-run"]);
    assert!(!path.exists());
    let imported = old.import(&case.url, &[]);
    assert!(imported.stderr.contains("chatstore-passwords.txt"), "{imported:?}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<(&str, &str)> = kept.lines().filter_map(|line| line.split_once('\t')).collect();
    assert_eq!(lines.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["ada", "grace"]);
    let told = report(&imported)["reported"].to_string();
    assert!(lines.iter().all(|(_, password)| told.contains(password)), "{told}");
    old.import(&case.url, &[]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), kept);

    let application = Application::start(case);
    let body = json!({"username": "grace", "password": lines[1].1});
    application.post(&Caller::default(), "/auth/login", body).await.data(200);
}

async fn a_file_that_others_can_read_gets_no_password_and_nothing_is_stored(case: TestDatabase) {
    let old = OldFile::of_text(FILE);
    let open = old.path().with_file_name("open.txt");
    std::fs::write(&open, "").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    symlink("/dev/full", old.path().with_file_name("link.txt")).unwrap();
    for file in ["open.txt", "link.txt", "/dev/full", "absent/passwords.txt"] {
        let refused = old.import(&case.url, &["--passwords", file]);
        assert_eq!(refused.code, 73, "{file}: {refused:?}");
        assert!(refused.stderr.contains("--passwords"), "{file}: {refused:?}");
    }
    assert_eq!(std::fs::read_to_string(open).unwrap(), "");
    let application = Application::start(case);
    let users = application.get(&application.service(), "/users").await.data(200);
    assert!(!users.to_string().contains("grace"), "{users}");
}

async fn an_administrator_of_the_source_is_imported_as_an_ordinary_user_and_reported(case: TestDatabase) {
    let old = OldFile::of_text(
        r#"{"users": {"1": {"username": "ada", "role": "Admin"}, "2": {"username": "grace", "is_admin": false}}}"#,
    );
    let imported = old.import(&case.url, &[]);
    assert_eq!(imported.code, 3, "{imported:?}");
    let report = report(&imported);
    let reported = report["reported"].as_array().unwrap();
    let admins: Vec<_> = reported
        .iter()
        .filter(|issue| issue["problem"].as_str().unwrap().contains("administrator"))
        .collect();
    assert_eq!(admins.len(), 1, "{report}");
    assert_eq!((&admins[0]["column"], &admins[0]["needs_review"]), (&json!("role"), &json!(true)));
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let me = application.get(&ada, "/users/me").await.data(200);
    assert_eq!((&me["role"], &me["metadata"]["source"]["role"]), (&json!("user"), &json!("Admin")));
}
