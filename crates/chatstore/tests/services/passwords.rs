//! Passwords in their spellings, and hashes that stay.

use chatstore::auth::{LoginName, OwnKeys, Password, PasswordHash};
use chatstore::{ErrorKind, NewUser, Store, UserId, UserName};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    a_password_logs_in_composed_and_decomposed,
    a_password_in_another_spelling_is_the_present_one,
    a_hash_that_ignores_the_end_of_a_password_is_kept,
    a_hash_that_depends_on_the_whole_password_is_replaced,
);

const COMPOSED: &str = "caf\u{e9} au lait, s'il vous pla\u{ee}t";
const DECOMPOSED: &str = "cafe\u{301} au\u{a0}lait, s'il vous plai\u{302}t";

async fn logs_in(store: &Store, name: &str, password: &str) -> bool {
    match store.auth().login(LoginName::Username(name.to_owned()), Password::new(password)).await {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::InvalidCredentials => false,
        Err(error) => panic!("{error}"),
    }
}

async fn with_hash(store: &Store, name: &str, hash: &str) -> UserId {
    let password_hash = Some(PasswordHash::known(hash).unwrap());
    let new = NewUser { password_hash, ..NewUser::named(UserName::new(name).unwrap()) };
    store.users().create(new).await.unwrap().id
}

async fn stored(store: &Store, user: UserId) -> String {
    let found = store.read("stored", async move |tx| tx.passwords().get(user).await).await.unwrap();
    found.unwrap().1.unwrap().expose().to_owned()
}

async fn a_password_logs_in_composed_and_decomposed(case: TestDatabase) {
    let store = store(&case).await;
    for (name, typed) in [("ada", COMPOSED), ("bob", DECOMPOSED)] {
        let id = user(&store, name).await;
        store.auth().set_password(id, Password::new(typed), false).await.unwrap();
        let hash = stored(&store, id).await;
        assert!(logs_in(&store, name, COMPOSED).await && logs_in(&store, name, DECOMPOSED).await, "{name}");
        assert!(!logs_in(&store, name, "cafe au lait, s'il vous plait").await);
        assert_eq!(stored(&store, id).await, hash, "it is of the form that new ones are of");
    }
}

async fn a_password_in_another_spelling_is_the_present_one(case: TestDatabase) {
    let store = store(&case).await;
    let id = user(&store, "ada").await;
    store.auth().set_password(id, Password::new(COMPOSED), false).await.unwrap();

    let change = store
        .auth()
        .change_password(id, Password::new(COMPOSED), Password::new(DECOMPOSED), OwnKeys::Keep)
        .await;
    assert_eq!(change.unwrap_err().kind(), ErrorKind::Invalid);
    store
        .auth()
        .change_password(id, Password::new(DECOMPOSED), Password::new("staple of many horses"), OwnKeys::Keep)
        .await
        .unwrap();
}

/// By bcrypt 4.0.1 of Python, of a hundred times `x`: it looks at 72 bytes.
async fn a_hash_that_ignores_the_end_of_a_password_is_kept(case: TestDatabase) {
    const HASH: &str = "$2b$04$q5xhWqXa5nAQG9GZdoTHguyS1RZF/Kp4j/ZWGUY.YWeSCFcIAF6OW";
    let store = store(&case).await;
    let id = with_hash(&store, "ada", HASH).await;

    let wrong_tail = format!("{}and something else", "x".repeat(72));
    assert!(logs_in(&store, "ada", &wrong_tail).await, "as bcrypt does");
    assert_eq!(stored(&store, id).await, HASH, "what was typed is not the password from now on");
    assert!(logs_in(&store, "ada", &"x".repeat(100)).await);
    assert_eq!(stored(&store, id).await, HASH);
    assert_eq!(store.auth().wrap_legacy(|_| {}).await.unwrap(), 0);
    let new = Password::new("staple of many horses");
    store.auth().change_password(id, Password::new("x".repeat(100)), new, OwnKeys::Keep).await.unwrap();
    assert!(stored(&store, id).await.starts_with("$argon2id$"));
}

async fn a_hash_that_depends_on_the_whole_password_is_replaced(case: TestDatabase) {
    let store = store(&case).await;
    let id = with_hash(&store, "ada", "$2b$04$WZp1NwgxX4dSc6esSClo3um3ttD1b6SRCQOtKlqGF0dC8OCfCm8sO").await;

    assert!(logs_in(&store, "ada", "correct horse battery").await);
    assert!(stored(&store, id).await.starts_with("$argon2id$"));
}
