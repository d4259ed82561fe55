use std::time::Duration;

use chatstore::auth::Credential;
use chatstore::{ApiKeyScope, ErrorKind, UserId, UserPatch};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    a_key_speaks_for_its_user,
    a_revoked_key_is_refused_at_once,
    an_expired_key_is_refused_though_it_is_remembered,
    a_disabled_users_key_is_refused_at_once,
    an_erased_users_key_is_refused_at_once,
    a_key_with_one_character_changed_is_no_key,
    a_key_needs_a_user_for_whom_it_may_speak,
);

async fn a_key_speaks_for_its_user(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let made = store.keys().create(ada, ApiKeyScope::User, Some("laptop".to_owned()), None).await.unwrap();
    assert!(made.text.starts_with(&made.key.prefix));
    let principal = store.keys().verify(&made.text).await.unwrap().unwrap();
    let credential = Credential::Key { id: made.key.id, scope: ApiKeyScope::User };
    assert_eq!((principal.user_id, principal.credential), (ada, credential));
    let before = store.operations().statements();
    store.keys().verify(&made.text).await.unwrap().unwrap();
    assert!(
        store.operations().statements() - before <= 1,
        "a key is remembered; at most its first use is being written down"
    );
}

async fn a_revoked_key_is_refused_at_once(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let made = store.keys().create(ada, ApiKeyScope::User, None, None).await.unwrap();
    assert!(store.keys().verify(&made.text).await.unwrap().is_some());
    store.keys().revoke(ada, made.key.id).await.unwrap();
    assert_eq!(store.keys().verify(&made.text).await.unwrap(), None);
}

async fn an_expired_key_is_refused_though_it_is_remembered(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let end = store.now().plus(Duration::from_secs(60));
    let made = store.keys().create(ada, ApiKeyScope::User, None, Some(end)).await.unwrap();
    assert!(store.keys().verify(&made.text).await.unwrap().is_some());
    case.clock.advance(Duration::from_secs(60));
    assert_eq!(store.keys().verify(&made.text).await.unwrap(), None);
}

async fn a_disabled_users_key_is_refused_at_once(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let made = store.keys().create(ada, ApiKeyScope::User, None, None).await.unwrap();
    assert!(store.keys().verify(&made.text).await.unwrap().is_some());
    let disable = UserPatch { is_active: Some(false), ..UserPatch::default() };
    store.users().update(ada, disable).await.unwrap();
    assert_eq!(store.keys().verify(&made.text).await.unwrap(), None);
}

async fn an_erased_users_key_is_refused_at_once(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let made = store.keys().create(ada, ApiKeyScope::User, None, None).await.unwrap();
    assert!(store.keys().verify(&made.text).await.unwrap().is_some());
    store.users().erase(ada).await.unwrap();
    assert_eq!(store.keys().verify(&made.text).await.unwrap(), None);
}

async fn a_key_with_one_character_changed_is_no_key(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    let made = store.keys().create(ada, ApiKeyScope::User, None, None).await.unwrap();
    for index in 0..made.text.len() {
        let mut bytes = made.text.clone().into_bytes();
        bytes[index] = if bytes[index] == b'x' { b'y' } else { b'x' };
        let altered = String::from_utf8(bytes).unwrap();
        assert_eq!(store.keys().verify(&altered).await.unwrap(), None, "{altered}");
    }
}

async fn a_key_needs_a_user_for_whom_it_may_speak(case: TestDatabase) {
    let store = store(&case).await;
    let absent = UserId::from_uuid(uuid::Uuid::from_u128(5));
    let refused = store.keys().create(absent, ApiKeyScope::User, None, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let built_in = store.keys().create(UserId::ANONYMOUS, ApiKeyScope::User, None, None).await.unwrap_err();
    assert_eq!(built_in.kind(), ErrorKind::Conflict);
}
