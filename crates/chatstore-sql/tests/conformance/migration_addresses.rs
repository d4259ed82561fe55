//! The revision that tells verified addresses from claimed ones, on the rows of an earlier version.

use std::sync::{Arc, Mutex};

use chatstore_model::UserId;
use chatstore_sql::migrate::{DatabaseErrorKind, MigrationEvent, Target};
use chatstore_sql::{MigrationError, Sql, WriteTx, revisions};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{arbitrary_uuid, read};
use crate::migration_fixtures::{lines, schema};

conformance!(
    an_upgrade_verifies_the_addresses_of_users_without_a_password,
    an_upgrade_gives_every_address_its_present_key,
    an_upgrade_stops_before_two_users_have_one_key,
);

const KEYS: Sql = Sql::same(
    "test.keys",
    "select email || ' ' || email_key || case when email_verified_at is null then '' else ' verified' end \
     from users where email is not null order by 1",
);

/// Takes the revision back, whatever came after it.
async fn go_back(case: &TestDatabase) -> Target {
    let all = revisions().unwrap();
    let revision = all.iter().find(|revision| revision.slug == "verified_addresses").unwrap();
    let before = Target::Revision(revision.revises[0].clone());
    case.database.migrations().unwrap().downgrade(before, true, |_| {}).await.unwrap();
    Target::Revision(revision.id.clone())
}

async fn insert(case: &TestDatabase, email: &'static str, key: &'static str, has_password: bool) -> UserId {
    const USER: Sql = Sql::same(
        "old.user",
        "insert into users (id, email, email_key, password_hash, role, is_active, must_change_password, metadata, \
         created_at, updated_at) values ($1, $2, $3, $4, 'user', true, false, '{}', $5, $5)",
    );
    let id = arbitrary_uuid(case);
    let insert = async move |tx: &mut WriteTx<'_>| {
        let now = tx.now();
        let hash = has_password.then_some("$2b$12$abc");
        tx.execute(&USER, &[id.into(), email.into(), key.into(), hash.into(), now.into()]).await
    };
    case.database.write("old_rows", insert).await.unwrap();
    UserId::from_uuid(id)
}

/// Applies the revision; what it noted.
async fn upgrade(case: &TestDatabase, target: Target) -> Result<Vec<String>, MigrationError> {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&noted);
    let observe = move |event: &MigrationEvent<'_>| {
        if let MigrationEvent::Note { text, .. } = event {
            noting.lock().unwrap().push((*text).to_owned());
        }
    };
    case.database.migrations().unwrap().upgrade(target, observe).await?;
    let noted = noted.lock().unwrap().clone();
    Ok(noted)
}

async fn an_upgrade_verifies_the_addresses_of_users_without_a_password(case: TestDatabase) {
    let revision = go_back(&case).await;
    let known = insert(&case, "Ada@example.org", "ada@example.org", false).await;
    insert(&case, "bob@example.org", "bob@example.org", true).await;
    insert(&case, "eve@example.org", "eve@example.org", true).await;

    let noted = upgrade(&case, revision).await.unwrap();

    assert_eq!(
        noted,
        [
            "addresses of users without a password, which are verified now: 1; of users with one, which stay claimed \
             until they are verified: 2; addresses that are compared in another form: 0"
        ]
    );
    upgrade(&case, Target::Heads).await.unwrap();
    let user = read(&case, async |tx| tx.users().find_by_email("ada@example.org").await).await.unwrap();
    assert_eq!((user.id, user.email_verified_at), (known, Some(user.updated_at)));
    assert_eq!(read(&case, async |tx| tx.users().find_by_email("bob@example.org").await).await, None);
}

async fn an_upgrade_gives_every_address_its_present_key(case: TestDatabase) {
    let revision = go_back(&case).await;
    for (email, key) in [
        ("plain@example.org", "plain@example.org"),
        ("x@straße.example", "x@strasse.example"),
        ("O'Neil\\@bücher.example", "o'neil\\@bücher.example"),
        // Its key becomes free for the one before only when it has got its own.
        ("ａ@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@bücher.example", "a@bücher.example"),
    ] {
        insert(&case, email, key, true).await;
    }

    upgrade(&case, revision).await.unwrap();

    assert_eq!(
        lines(&case.database, KEYS).await,
        [
            "O'Neil\\@bücher.example o'neil\\@xn--bcher-kva.example",
            "a@bücher.example a@xn--bcher-kva.example",
            "plain@example.org plain@example.org",
            "x@straße.example x@xn--strae-oqa.example",
            "ａ@xn--bcher-kva.example ａ@xn--bcher-kva.example",
        ]
    );
}

async fn an_upgrade_stops_before_two_users_have_one_key(case: TestDatabase) {
    let revision = go_back(&case).await;
    let ids = [
        insert(&case, "x@straße.example", "x@strasse.example", true).await,
        insert(&case, "x@xn--strae-oqa.example", "x@xn--strae-oqa.example", true).await,
    ];
    let one_claims_what_the_other_has = [
        insert(&case, "y@straße.example", "y@strasse.example", true).await,
        insert(&case, "y@xn--strae-oqa.example", "y@xn--strae-oqa.example", false).await,
    ];
    let before = schema(&case.database).await;

    let error = upgrade(&case, revision.clone()).await.unwrap_err();

    let MigrationError::Database { cause, .. } = &error else { panic!("{error}") };
    assert_eq!(cause.kind, DatabaseErrorKind::UnsuitableRows);
    for id in ids {
        assert!(error.to_string().contains(&id.to_string()), "{error}");
    }
    for id in one_claims_what_the_other_has {
        assert!(!error.to_string().contains(&id.to_string()), "{error}");
    }
    assert_eq!(schema(&case.database).await, before);
    const CLEAR: Sql = Sql::same(
        "test.clear",
        "update users set email = 'x@elsewhere.example', email_key = 'x@elsewhere.example' where email = $1",
    );
    let clear = async |tx: &mut WriteTx<'_>| tx.execute(&CLEAR, &["x@straße.example".into()]).await;
    case.database.write("clear", clear).await.unwrap();
    upgrade(&case, revision).await.unwrap();
    assert_eq!(
        lines(&case.database, KEYS).await,
        [
            "x@elsewhere.example x@elsewhere.example",
            "x@xn--strae-oqa.example x@xn--strae-oqa.example",
            "y@straße.example y@xn--strae-oqa.example",
            "y@xn--strae-oqa.example y@xn--strae-oqa.example verified",
        ]
    );
}
