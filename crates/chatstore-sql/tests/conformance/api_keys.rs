//! API keys: created, found by their hash, revoked, and noted as used.

use chatstore_model::{ApiKey, ApiKeyScope, NewApiKey, Timestamp, UserId, UserPatch, UserRole};
use chatstore_sql::StoreError;
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
);

fn new_key(hash: u8) -> NewApiKey {
    NewApiKey {
        scope: ApiKeyScope::User,
        name: Some("laptop".to_owned()),
        prefix: "cs_1111".to_owned(),
        key_hash: [hash; 32],
        expires_at: None,
    }
}

async fn create(case: &TestDatabase, user: UserId, new: NewApiKey) -> Result<ApiKey, StoreError> {
    write(case, async move |tx| tx.api_keys().create(user, &new).await).await
}

async fn find(case: &TestDatabase, user: UserId, hash: u8) -> Option<(ApiKey, Option<UserRole>)> {
    read(case, async move |tx| tx.api_keys().find(user, &[hash; 32]).await).await
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
        };
        assert_eq!(created, expected);
        assert_eq!(find(&case, user, hash).await, Some((expected, Some(UserRole::User))));
    }
    assert_eq!(find(&case, user, 1).await, None);
}

async fn a_key_says_whether_its_user_is_active(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    create(&case, user, new_key(1)).await.unwrap();
    for is_active in [false, true] {
        let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
        write(&case, async move |tx| tx.users().update(user, &patch).await).await.unwrap();
        assert_eq!(find(&case, user, 1).await.unwrap().1, is_active.then_some(UserRole::User));
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
        let found = find(&case, user, 2).await.unwrap().0;
        assert_eq!(found.revoked_at, Some(end));
        assert!(!found.is_valid_at(end));
        later(&case);
    }
    assert_eq!(find(&case, user, 1).await, Some((kept, Some(UserRole::User))));
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
        let found = find(&case, user, 1).await.unwrap().0;
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
