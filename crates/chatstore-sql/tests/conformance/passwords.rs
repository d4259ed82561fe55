//! The hashes of passwords: found by name, set, replaced.

use chatstore_model::{EndReason, NewRefreshToken, NewSession, NewUser, PasswordHash, SessionId, UserId};
use chatstore_sql::StoreError;
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{absent_user, arbitrary_uuid, create_user, email, later, name, read, write};

conformance!(
    a_hash_is_found_however_the_name_is_spelled,
    a_user_without_password_is_found_without_a_hash,
    setting_a_password_ends_all_sessions_and_says_whether_to_change_it,
    the_built_in_user_cannot_have_a_password,
    a_hash_is_replaced_only_while_it_is_the_present_one,
    hashes_are_paged_by_user,
);

fn hash(text: &str) -> PasswordHash {
    PasswordHash::known(&format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdA${text}")).unwrap()
}

async fn ada(case: &TestDatabase) -> UserId {
    let new = NewUser {
        email: Some(email("ada@example.org")),
        password_hash: Some(hash("first")),
        ..NewUser::named(name("Ada"))
    };
    create_user(case, new).await.unwrap().id
}

async fn stored(case: &TestDatabase, user: UserId) -> Option<PasswordHash> {
    read(case, async move |tx| tx.passwords().get(user).await).await.unwrap().1
}

async fn a_hash_is_found_however_the_name_is_spelled(case: TestDatabase) {
    let id = ada(&case).await;
    let found = read(&case, async |tx| {
        Ok([
            tx.passwords().find_by_username(" ADA ").await?,
            tx.passwords().find_by_email("Ada@Example.Org").await?.pop(),
            tx.passwords().find_by_username("ada@example.org").await?,
            tx.passwords().find_by_email("nobody@example.org").await?.pop(),
        ])
    })
    .await;
    let found = found.map(|found| found.map(|(user, hash)| (user.id, hash.unwrap())));
    assert_eq!(found, [Some((id, hash("first"))), Some((id, hash("first"))), None, None]);
    let locked = write(&case, async move |tx| tx.passwords().lock(id).await).await.unwrap().unwrap();
    assert_eq!((locked.0.id, locked.1), (id, Some(hash("first"))));
}

async fn a_user_without_password_is_found_without_a_hash(case: TestDatabase) {
    let user = create_user(&case, NewUser::named(name("Grace"))).await.unwrap();
    assert_eq!(stored(&case, user.id).await, None);
    assert_eq!(stored(&case, UserId::ANONYMOUS).await, None);
    let absent = absent_user(&case);
    assert_eq!(read(&case, async move |tx| tx.passwords().get(absent).await).await, None);
}

async fn setting_a_password_ends_all_sessions_and_says_whether_to_change_it(case: TestDatabase) {
    let id = ada(&case).await;
    let new = NewSession {
        id: SessionId::from_uuid(arbitrary_uuid(&case)),
        access_jti: arbitrary_uuid(&case),
        user_agent: None,
        ip: None,
        expires_at: chatstore_model::Timestamp::MAX,
    };
    let token = NewRefreshToken { token_hash: [1; 32], expires_at: new.expires_at };
    write(&case, async move |tx| tx.sessions().begin(id, &new, &token).await).await.unwrap();
    let now = later(&case);

    for must_change in [true, false] {
        write(&case, async move |tx| tx.passwords().set(id, &hash("second"), must_change).await)
            .await
            .unwrap();
        let user = read(&case, async move |tx| tx.users().get(id).await).await.unwrap();
        assert_eq!((user.must_change_password, user.updated_at), (must_change, now));
    }
    assert_eq!(stored(&case, id).await, Some(hash("second")));
    let [session] = read(&case, async move |tx| tx.sessions().list(id).await).await.try_into().unwrap();
    assert_eq!((session.revoked_at, session.revoke_reason), (Some(now), Some(EndReason::PasswordChanged)));
    let absent = absent_user(&case);
    let missing = write(&case, async move |tx| tx.passwords().set(absent, &hash("x"), false).await).await;
    assert!(matches!(missing, Err(StoreError::NotFound { entity: "user" })), "{missing:?}");
}

async fn the_built_in_user_cannot_have_a_password(case: TestDatabase) {
    let refused =
        write(&case, async |tx| tx.passwords().set(UserId::ANONYMOUS, &hash("x"), false).await).await;
    assert!(matches!(refused, Err(StoreError::InvalidState(_))), "{refused:?}");
    assert_eq!(stored(&case, UserId::ANONYMOUS).await, None);
}

async fn a_hash_is_replaced_only_while_it_is_the_present_one(case: TestDatabase) {
    let id = ada(&case).await;
    let before = read(&case, async move |tx| tx.users().get(id).await).await;
    later(&case);
    let replace = async |former: &'static str, new: &'static str| {
        let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.passwords().replace(id, &hash(former), &hash(new)).await
        };
        write(&case, work).await.unwrap()
    };
    assert!(replace("first", "second").await);
    assert!(!replace("first", "third").await);
    assert_eq!(stored(&case, id).await, Some(hash("second")));
    assert_eq!(read(&case, async move |tx| tx.users().get(id).await).await, before, "the user is as before");
}

async fn hashes_are_paged_by_user(case: TestDatabase) {
    let mut expected = Vec::new();
    for number in 0..5 {
        let password_hash = (number != 2).then(|| hash(&number.to_string()));
        let new = NewUser {
            password_hash: password_hash.clone(),
            ..NewUser::named(name(&format!("user{number}")))
        };
        let user = create_user(&case, new).await.unwrap();
        expected.extend(password_hash.map(|hash| (user.id, hash)));
    }
    expected.sort_by_key(|(id, _)| *id);
    let (mut paged, mut after) = (Vec::new(), UserId::ANONYMOUS);
    loop {
        let piece = read(&case, async move |tx| tx.passwords().page(after, 3).await).await;
        let Some((last, _)) = piece.last() else { break };
        after = *last;
        paged.extend(piece);
    }
    assert_eq!(paged, expected);
}
