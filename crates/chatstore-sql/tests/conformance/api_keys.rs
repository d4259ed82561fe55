//! API keys: created, found by their hash, revoked, and noted as used.

use std::time::Duration;

use chatstore_model::{
    ApiKey, ApiKeyScope, KeyRights, Namespace, NewApiKey, Timestamp, UserId, UserPatch, UserRole,
};
use chatstore_sql::{FoundApiKey, NewSecret, StoreError};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{absent_user, arbitrary_user, arbitrary_uuid, failure, later, read, write};

conformance!(
    a_key_is_found_by_user_and_hash,
    a_key_says_whether_its_user_is_active,
    keys_are_listed_oldest_first,
    a_revoked_key_is_still_found_and_keeps_the_time_of_its_end,
    revoking_an_absent_key_is_not_found,
    the_time_of_the_last_use_never_moves_back,
    two_keys_of_one_user_cannot_have_one_hash,
    a_key_needs_a_user,
    a_key_keeps_what_it_may_do,
    two_secrets_of_a_key_are_good_until_the_end_of_the_former,
    a_rotation_by_the_former_secret_keeps_it_and_does_not_put_off_its_end,
    a_revoked_or_expired_key_is_not_rotated,
    becoming_an_administrator_revokes_all_keys,
    a_confirmation_is_forgotten_with_the_password,
);

fn new_key(hash: u8) -> NewApiKey {
    NewApiKey {
        scope: ApiKeyScope::User,
        name: Some("laptop".to_owned()),
        prefix: "cs_1111".to_owned(),
        key_hash: [hash; 32],
        expires_at: None,
        rights: chatstore_model::KeyRights::default(),
    }
}

async fn create(case: &TestDatabase, user: UserId, new: NewApiKey) -> Result<ApiKey, StoreError> {
    write(case, async move |tx| tx.api_keys().create(user, &new).await).await
}

async fn find_with_role(case: &TestDatabase, user: UserId, hash: u8) -> Option<(ApiKey, Option<UserRole>)> {
    let now = case.database.clock().now();
    let found = read(case, async move |tx| tx.api_keys().find(user, &[hash; 32], now).await).await;
    found.map(|FoundApiKey { key, role, .. }| (key, role))
}

/// Gives a key another secret, in a request that came with the secret of the hash `presented`.
async fn rotate(
    case: &TestDatabase,
    key: &ApiKey,
    hash: u8,
    presented: Option<u8>,
    seconds: u64,
) -> Result<ApiKey, StoreError> {
    let (user, id) = (key.user_id, key.id);
    let end = case.database.clock().now().plus(Duration::from_secs(seconds));
    write(case, async move |tx| {
        let presented = presented.map(|hash| [hash; 32]);
        let new = NewSecret {
            prefix: "cs_2222",
            key_hash: &[hash; 32],
            presented: presented.as_ref(),
            previous_expires_at: end,
        };
        tx.api_keys().rotate(user, id, new).await
    })
    .await
}

async fn is_good(case: &TestDatabase, user: UserId, hash: u8) -> bool {
    find_with_role(case, user, hash).await.is_some()
}

async fn touch(case: &TestDatabase, key: &ApiKey, at: Timestamp) {
    let (user, id) = (key.user_id, key.id);
    write(case, async move |tx| tx.api_keys().touch(user, id, at).await).await.unwrap();
}

async fn a_key_is_found_by_user_and_hash(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let now = later(&case);
    let expires_at = Some(now.plus_microseconds(7));
    for (hash, scope, name) in [(0, ApiKeyScope::Service, None), (255, ApiKeyScope::User, Some("laptop"))] {
        let name = name.map(str::to_owned);
        let new = NewApiKey { scope, name: name.clone(), expires_at, ..new_key(hash) };

        let created = create(&case, user, new).await.unwrap();

        let expected = ApiKey {
            user_id: user,
            id: created.id,
            scope,
            name,
            prefix: "cs_1111".to_owned(),
            created_at: now,
            last_used_at: None,
            expires_at,
            revoked_at: None,
            rights: KeyRights::default(),
            previous_expires_at: None,
        };
        assert_eq!(created, expected);
        assert_eq!(find_with_role(&case, user, hash).await, Some((expected, Some(UserRole::User))));
    }
    assert_eq!(find_with_role(&case, user, 1).await, None);
}

async fn a_key_says_whether_its_user_is_active(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    create(&case, user, new_key(1)).await.unwrap();
    for is_active in [false, true] {
        let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
        write(&case, async move |tx| tx.users().update(user, &patch).await).await.unwrap();
        assert_eq!(find_with_role(&case, user, 1).await.unwrap().1, is_active.then_some(UserRole::User));
    }
}

async fn keys_are_listed_oldest_first(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let other = arbitrary_user(&case).await;
    create(&case, other, new_key(1)).await.unwrap();
    let mut created = Vec::new();
    for hash in 1..9 {
        created.push(create(&case, user, new_key(hash)).await.unwrap());
        if hash % 3 == 0 {
            later(&case);
        }
    }
    created.sort_by_key(|key| (key.created_at, key.id));

    assert_eq!(read(&case, async move |tx| tx.api_keys().list(user).await).await, created);
}

async fn a_revoked_key_is_still_found_and_keeps_the_time_of_its_end(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let kept = create(&case, user, new_key(1)).await.unwrap();
    let created = create(&case, user, new_key(2)).await.unwrap();
    let end = later(&case);
    for _ in 0..2 {
        write(&case, async move |tx| tx.api_keys().revoke(user, created.id).await).await.unwrap();
        let found = find_with_role(&case, user, 2).await.unwrap().0;
        assert_eq!(found.revoked_at, Some(end));
        assert!(!found.is_valid_at(end));
        later(&case);
    }
    assert_eq!(find_with_role(&case, user, 1).await, Some((kept, Some(UserRole::User))));
}

async fn revoking_an_absent_key_is_not_found(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let id = chatstore_model::ApiKeyId::from_uuid(arbitrary_uuid(&case));

    let answer = write(&case, async move |tx| tx.api_keys().revoke(user, id).await).await;

    assert_eq!(failure(answer), "not found: api_key");
}

async fn the_time_of_the_last_use_never_moves_back(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let key = create(&case, user, new_key(1)).await.unwrap();
    let now = later(&case);
    for (at, expected) in [(5, 5), (7, 7), (6, 7), (7, 7), (-9, 7), (8, 8)] {
        touch(&case, &key, now.plus_microseconds(at)).await;
        let found = find_with_role(&case, user, 1).await.unwrap().0;
        assert_eq!(found.last_used_at, Some(now.plus_microseconds(expected)));
    }
}

async fn two_keys_of_one_user_cannot_have_one_hash(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    create(&case, user, new_key(1)).await.unwrap();

    assert_eq!(failure(create(&case, user, new_key(1)).await), "already exists: api_key.key");
    create(&case, other, new_key(1)).await.unwrap();
}

async fn a_key_needs_a_user(case: TestDatabase) {
    let absent = absent_user(&case);

    assert_eq!(failure(create(&case, absent, new_key(1)).await), "missing parent: api_key");
}

async fn a_key_keeps_what_it_may_do(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let rights = KeyRights {
        read_only: true,
        provision: Some(Namespace::new("shop").unwrap()),
        ..KeyRights::default()
    };
    let new = NewApiKey { scope: ApiKeyScope::Service, rights: rights.clone(), ..new_key(1) };

    let created = create(&case, user, new).await.unwrap();

    assert_eq!(created.rights, rights);
    assert_eq!(find_with_role(&case, user, 1).await.unwrap().0, created);
    assert_eq!(read(&case, async move |tx| tx.api_keys().list(user).await).await, [created]);
}

async fn two_secrets_of_a_key_are_good_until_the_end_of_the_former(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let key = create(&case, user, new_key(1)).await.unwrap();
    create(&case, user, new_key(9)).await.unwrap();

    let rotated = rotate(&case, &key, 2, Some(1), 60).await.unwrap();

    let end = case.database.clock().now().plus(Duration::from_secs(60));
    assert_eq!((rotated.id, rotated.prefix.as_str()), (key.id, "cs_2222"));
    assert_eq!(rotated.previous_expires_at, Some(end));
    assert!(is_good(&case, user, 1).await && is_good(&case, user, 2).await);
    case.clock.advance(Duration::from_secs(60));
    assert!(!is_good(&case, user, 1).await && is_good(&case, user, 2).await);
    rotate(&case, &key, 3, None, 60).await.unwrap();
    assert!(is_good(&case, user, 2).await && is_good(&case, user, 3).await, "the newest goes on");
    rotate(&case, &key, 4, Some(3), 0).await.unwrap();
    for (hash, expected) in [(1, false), (2, false), (3, false), (4, true), (9, true)] {
        assert_eq!(is_good(&case, user, hash).await, expected, "{hash}");
    }
}

async fn a_rotation_by_the_former_secret_keeps_it_and_does_not_put_off_its_end(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let key = create(&case, user, new_key(1)).await.unwrap();
    let lost = rotate(&case, &key, 2, Some(1), 60).await.unwrap();

    let again = rotate(&case, &key, 3, Some(1), 3_600).await.unwrap();

    assert_eq!(again.previous_expires_at, lost.previous_expires_at);
    for (hash, expected) in [(1, true), (2, false), (3, true)] {
        assert_eq!(is_good(&case, user, hash).await, expected, "{hash}");
    }
    case.clock.advance(Duration::from_secs(60));
    assert!(!is_good(&case, user, 1).await);
}

async fn a_revoked_or_expired_key_is_not_rotated(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let end = case.database.clock().now().plus(Duration::from_secs(1));
    let short = create(&case, user, NewApiKey { expires_at: Some(end), ..new_key(1) }).await.unwrap();
    let revoked = create(&case, user, new_key(2)).await.unwrap();
    let id = revoked.id;
    write(&case, async move |tx| tx.api_keys().revoke(user, id).await).await.unwrap();
    case.clock.advance(Duration::from_secs(1));

    for key in [&short, &revoked] {
        assert_eq!(failure(rotate(&case, key, 7, None, 60).await), "not found: api_key");
    }
}

async fn becoming_an_administrator_revokes_all_keys(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    for owner in [user, other] {
        create(&case, owner, new_key(1)).await.unwrap();
    }
    let update = async |role| {
        let patch = UserPatch { role, ..UserPatch::default() };
        write(&case, async move |tx| tx.users().update(user, &patch).await).await.unwrap();
    };
    let is_revoked =
        async |owner, hash| find_with_role(&case, owner, hash).await.unwrap().0.revoked_at.is_some();

    update(Some(UserRole::User)).await;
    assert!(!is_revoked(user, 1).await, "not by what the user was before");
    update(Some(UserRole::Admin)).await;
    assert!(is_revoked(user, 1).await && !is_revoked(other, 1).await);
    create(&case, user, new_key(2)).await.unwrap();
    update(Some(UserRole::Admin)).await;
    assert!(!is_revoked(user, 2).await, "an administrator's key was given to an administrator");
}

async fn a_confirmation_is_forgotten_with_the_password(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let key = create(&case, user, new_key(1)).await.unwrap().id;
    let confirmed_at =
        async || read(&case, async move |tx| tx.api_keys().confirmed_at(user, key).await).await;
    assert_eq!(confirmed_at().await, None);
    let now = later(&case);
    write(&case, async move |tx| tx.api_keys().confirm(user, key).await).await.unwrap();
    assert_eq!(confirmed_at().await, Some(now));
    let hash = chatstore_model::PasswordHash::known("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA").unwrap();
    write(&case, async move |tx| tx.passwords().set(user, &hash, false).await).await.unwrap();
    assert_eq!(confirmed_at().await, None);
}
