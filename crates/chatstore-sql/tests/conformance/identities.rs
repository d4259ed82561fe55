//! Identities: users found by the names that identity providers have for them.

use chatstore_model::{
    Identity, IdentityName, IdentityState, NewUser, Timestamp, UserId, UserPatch, UserRole,
};
use chatstore_sql::{Deletion, StoreError};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{absent_user, arbitrary_user, email, failure, later, name, read, write};

conformance!(
    an_identity_is_found_by_issuer_and_subject,
    an_identity_says_whether_its_user_is_active,
    an_identity_is_of_one_user,
    an_identity_needs_a_user_and_a_name_that_can_be_stored,
    a_user_of_an_identity_is_created_once_and_with_a_free_name,
    of_users_created_at_once_for_one_identity_there_is_one,
    only_a_newer_token_is_noted_and_changes_the_role,
    ending_all_sessions_refuses_the_tokens_before,
    an_unlinked_identity_and_that_of_an_erased_user_are_gone,
);

fn identity(subject: &str) -> IdentityName {
    IdentityName { issuer: "https://id.example.org".to_owned(), subject: subject.to_owned() }
}

async fn link(case: &TestDatabase, user: UserId, name: IdentityName) -> Result<(), StoreError> {
    write(case, async move |tx| tx.identities().link(user, &name).await).await
}

async fn state(case: &TestDatabase, name: IdentityName) -> Option<IdentityState> {
    read(case, async move |tx| tx.identities().state(&name).await).await
}

async fn list(case: &TestDatabase, user: UserId) -> Vec<Identity> {
    read(case, async move |tx| tx.identities().list(user).await).await
}

async fn note(case: &TestDatabase, user: UserId, at: Timestamp, role: Option<UserRole>) -> bool {
    let name = identity("7");
    write(case, async move |tx| tx.identities().note_token(user, &name, at, role).await).await.unwrap()
}

async fn an_identity_is_found_by_issuer_and_subject(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let now = later(&case);
    link(&case, user, identity("Ada")).await.unwrap();

    let role = Some(UserRole::User);
    let expected = IdentityState { user_id: user, token_issued_at: None, revoked_before: None, role };
    assert_eq!(state(&case, identity("Ada")).await, Some(expected));
    let stored = Identity {
        user_id: user,
        issuer: "https://id.example.org".to_owned(),
        subject: "Ada".to_owned(),
        created_at: now,
        token_issued_at: None,
        revoked_before: None,
    };
    assert_eq!(list(&case, user).await, [stored]);
    for subject in ["ada", "Ada ", "Ad", "%"] {
        assert_eq!(state(&case, identity(subject)).await, None, "{subject}");
    }
    let elsewhere = IdentityName { issuer: "https://id.example.org/".to_owned(), ..identity("Ada") };
    assert_eq!(state(&case, elsewhere).await, None);
}

async fn an_identity_says_whether_its_user_is_active(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    link(&case, user, identity("7")).await.unwrap();
    for is_active in [false, true] {
        let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
        write(&case, async move |tx| tx.users().update(user, &patch).await).await.unwrap();
        let found = state(&case, identity("7")).await.unwrap();
        assert_eq!(found.role, is_active.then_some(UserRole::User));
    }
}

async fn an_identity_is_of_one_user(case: TestDatabase) {
    let (one, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    link(&case, one, identity("7")).await.unwrap();
    for user in [one, other] {
        assert_eq!(failure(link(&case, user, identity("7")).await), "already exists: identity.subject");
    }
    link(&case, one, identity("8")).await.unwrap();
    assert_eq!(list(&case, one).await.len(), 2);
    assert_eq!(list(&case, other).await, []);
}

async fn an_identity_needs_a_user_and_a_name_that_can_be_stored(case: TestDatabase) {
    let absent = absent_user(&case);
    assert_eq!(failure(link(&case, absent, identity("7")).await), "missing parent: identity");
    let user = arbitrary_user(&case).await;
    for subject in ["", "a\0b", &"a".repeat(256)] {
        let refused = link(&case, user, identity(subject)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Invalid(_)), "{subject:?}: {refused}");
    }
}

async fn get_or_create(case: &TestDatabase, preferred: &str, otherwise: &str) -> (IdentityState, bool) {
    let of_name = |text: &str| NewUser::named(name(text));
    let (preferred, otherwise) = (of_name(preferred), of_name(otherwise));
    write(case, async move |tx| {
        tx.identities().get_or_create_user(&identity("7"), &preferred, &otherwise).await
    })
    .await
    .unwrap()
}

async fn a_user_of_an_identity_is_created_once_and_with_a_free_name(case: TestDatabase) {
    let taken = NewUser::named(name("taken"));
    write(&case, async move |tx| tx.users().create(&taken).await).await.unwrap();
    let (first, is_new) = get_or_create(&case, "taken", "free").await;
    assert!(is_new);
    assert_eq!(get_or_create(&case, "another", "yet another").await, (first, false));
    let user = read(&case, async move |tx| tx.users().get(first.user_id).await).await.unwrap();
    assert_eq!(user.username.as_deref(), Some("free"));
    let count = read(&case, async |tx| tx.users().count().await).await;
    assert_eq!(count, 2);
}

async fn of_users_created_at_once_for_one_identity_there_is_one(case: TestDatabase) {
    let attempts: Vec<_> = (0..16)
        .map(|number| {
            let database = case.database.clone();
            tokio::spawn(async move {
                let preferred = NewUser::named(name(&format!("user {number}")));
                let otherwise = NewUser::named(name(&format!("other {number}")));
                database
                    .write("create", async move |tx| {
                        tx.identities().get_or_create_user(&identity("7"), &preferred, &otherwise).await
                    })
                    .await
            })
        })
        .collect();
    let mut created = 0;
    let mut users = Vec::new();
    for attempt in attempts {
        let (state, is_new): (IdentityState, bool) = attempt.await.unwrap().unwrap();
        created += usize::from(is_new);
        users.push(state.user_id);
    }
    users.dedup();
    assert_eq!((created, users.len()), (1, 1));
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, 1);
}

async fn only_a_newer_token_is_noted_and_changes_the_role(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    link(&case, user, identity("7")).await.unwrap();
    let first = later(&case);
    let second = first.plus_microseconds(1_000_000);
    assert!(!note(&case, user, first, None).await);
    assert!(note(&case, user, second, Some(UserRole::Admin)).await);
    for at in [first, second] {
        assert!(!note(&case, user, at, Some(UserRole::User)).await);
    }
    let found = state(&case, identity("7")).await.unwrap();
    assert_eq!((found.role, found.token_issued_at), (Some(UserRole::Admin), Some(second)));
    let third = second.plus_microseconds(1_000_000);
    // The provider decides, also about the last administrator: another token can give the role back.
    assert!(note(&case, user, third, Some(UserRole::User)).await);
    assert_eq!(state(&case, identity("7")).await.unwrap().role, Some(UserRole::User));
}

async fn ending_all_sessions_refuses_the_tokens_before(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    link(&case, user, identity("7")).await.unwrap();
    link(&case, other, identity("8")).await.unwrap();
    let now = later(&case);
    let reason = chatstore_model::EndReason::LogoutAll;
    write(&case, async move |tx| tx.sessions().end_all(user, reason).await).await.unwrap();
    let found = state(&case, identity("7")).await.unwrap();
    assert_eq!(found.revoked_before, Some(now));
    assert!(found.accepts(now) && !found.accepts(now.plus_microseconds(-1)));
    assert_eq!(state(&case, identity("8")).await.unwrap().revoked_before, None);
}

async fn an_unlinked_identity_and_that_of_an_erased_user_are_gone(case: TestDatabase) {
    let unlink = async |user: UserId| {
        write(&case, async move |tx| tx.identities().unlink(user, &identity("7")).await).await
    };
    let (one, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    link(&case, one, identity("7")).await.unwrap();
    assert_eq!(failure(unlink(other).await), "not found: identity");
    unlink(one).await.unwrap();
    assert_eq!(failure(unlink(one).await), "not found: identity");
    link(&case, other, identity("7")).await.unwrap();
    let patch =
        UserPatch { email: chatstore_model::Change::Set(email("other@example.org")), ..UserPatch::default() };
    write(&case, async move |tx| tx.users().update(other, &patch).await).await.unwrap();
    let erased = write(&case, async move |tx| tx.users().erase(other).await).await.unwrap();
    assert_eq!(erased, Deletion::Done);
    assert_eq!(state(&case, identity("7")).await, None);
}
