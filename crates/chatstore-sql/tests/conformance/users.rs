//! Users: created, found, changed and listed.

use chatstore_model::{
    CanonicalJson, Change, Limit, NewUser, Order, User, UserFilter, UserId, UserPatch, UserPosition, UserRole,
};
use chatstore_sql::StoreError;
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;

use crate::fixtures::{
    absent_user, arbitrary_user, create_user, email, failure, invalid_fields, later, name, read, write,
};

conformance!(
    a_user_created_is_found_by_id_name_and_address,
    a_user_is_found_however_name_and_address_are_spelled,
    a_user_needs_a_name_or_an_address,
    get_or_create_by_email_makes_one_user_however_many_ask,
    get_or_create_by_email_keeps_the_address_as_first_typed,
    each_field_of_a_user_is_changed_alone,
    an_empty_change_of_a_user_changes_nothing,
    a_user_keeps_a_name_or_an_address,
    two_changes_at_once_cannot_take_both_name_and_address,
    changing_an_absent_user_is_not_found,
    users_are_paged_by_creation_in_both_directions,
    the_built_in_user_is_in_no_list_and_no_count,
    the_built_in_user_cannot_be_changed_or_erased,
);

async fn get(case: &TestDatabase, id: UserId) -> Option<User> {
    read(case, async move |tx| tx.users().get(id).await).await
}

async fn update(case: &TestDatabase, id: UserId, patch: UserPatch) -> Result<User, StoreError> {
    write(case, async move |tx| tx.users().update(id, &patch).await).await
}

fn ada() -> NewUser {
    NewUser {
        email: Some(email("Ada@Example.org")),
        is_email_verified: true,
        full_name: Some("Ada Lovelace".to_owned()),
        role: UserRole::Admin,
        is_active: false,
        metadata: CanonicalJson::parse(r#"{"team": "blue"}"#).unwrap(),
        ..NewUser::named(name("Ada"))
    }
}

async fn a_user_created_is_found_by_id_name_and_address(case: TestDatabase) {
    let now = case.database.clock().now();
    let created = create_user(&case, ada()).await.unwrap();

    let id = created.id;
    let expected = User {
        id,
        username: Some("Ada".to_owned()),
        email: Some("Ada@Example.org".to_owned()),
        full_name: Some("Ada Lovelace".to_owned()),
        role: UserRole::Admin,
        is_active: false,
        must_change_password: false,
        metadata: CanonicalJson::parse(r#"{"team": "blue"}"#).unwrap(),
        created_at: now,
        updated_at: now,
        email_verified_at: Some(now),
        external_namespace: None,
        external_id: None,
    };
    assert_eq!(created, expected);
    assert_eq!(get(&case, id).await.as_ref(), Some(&expected));
    let by_name = read(&case, async |tx| tx.users().find_by_username("Ada").await).await;
    assert_eq!(by_name.as_ref(), Some(&expected));
    let by_address = read(&case, async |tx| tx.users().find_by_email("Ada@Example.org").await).await;
    assert_eq!(by_address.as_ref(), Some(&expected));
    let absent = absent_user(&case);
    assert_eq!(get(&case, absent).await, None);
    assert_eq!(read(&case, async |tx| tx.users().find_by_username("grace").await).await, None);
    assert_eq!(read(&case, async |tx| tx.users().find_by_email("grace@example.org").await).await, None);
}

async fn a_user_is_found_however_name_and_address_are_spelled(case: TestDatabase) {
    let zoe = NewUser {
        username: Some(name("Zoë Straße")),
        ..NewUser::with_verified_email(email("Zoë.Straße@bücher.example"))
    };
    let zoe = create_user(&case, zoe).await.unwrap();

    for spelling in ["ZOË STRASSE", " zoe\u{308} straße\u{1f}", "ｚｏë strasse"] {
        let found = read(&case, async move |tx| tx.users().find_by_username(spelling).await).await;
        assert_eq!(found.as_ref(), Some(&zoe), "{spelling}");
    }
    for spelling in ["ZOE\u{308}.straße@BÜCHER.example", " zoë.straße@xn--bcher-kva.example\u{1f}"] {
        let found = read(&case, async move |tx| tx.users().find_by_email(spelling).await).await;
        assert_eq!(found.as_ref(), Some(&zoe), "{spelling}");
    }
    for another in ["zoë.strasse@bücher.example", "ｚoë.straße@bücher.example"] {
        assert_eq!(read(&case, async move |tx| tx.users().find_by_email(another).await).await, None);
    }
}

async fn a_user_needs_a_name_or_an_address(case: TestDatabase) {
    let neither = NewUser { username: None, ..NewUser::named(name("nobody")) };

    assert_eq!(invalid_fields(create_user(&case, neither).await), ["username"]);
}

async fn get_or_create_by_email_makes_one_user_however_many_ask(case: TestDatabase) {
    let askers = (0..16).map(|number| {
        let database = case.database.clone();
        tokio::spawn(async move {
            let spelling = if number % 2 == 0 { "ada@example.org" } else { "ADA@example.org" };
            let address = email(spelling);
            let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
                tx.users().get_or_create_by_email(&NewUser::with_email(address.clone())).await
            };
            database.write("ask", work).await.unwrap()
        })
    });
    let answers: Vec<(User, bool)> = join_all(askers).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
    assert!(answers.iter().all(|(user, _)| *user == answers[0].0), "{answers:?}");
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, 1);
}

async fn get_or_create_by_email_keeps_the_address_as_first_typed(case: TestDatabase) {
    let ask = async |spelling| {
        let address = email(spelling);
        write(&case, async move |tx| {
            tx.users().get_or_create_by_email(&NewUser::with_email(address.clone())).await
        })
        .await
        .unwrap()
    };
    let (created, is_new) = ask("Ada@Example.org").await;
    later(&case);
    let (found, is_new_again) = ask("ada@example.ORG").await;

    assert!(is_new && !is_new_again);
    assert_eq!(created.email.as_deref(), Some("Ada@Example.org"));
    assert_eq!(created.username, None);
    assert_eq!(found, created);
}

async fn each_field_of_a_user_is_changed_alone(case: TestDatabase) {
    let mut expected = create_user(&case, ada()).await.unwrap();
    let id = expected.id;
    let keep = UserPatch::default;
    let countess = CanonicalJson::parse(r#"{"title": "countess"}"#).unwrap();
    type Effect = fn(&mut User);
    let changes: [(UserPatch, Effect); 8] = [
        (UserPatch { username: Change::Set(name("Countess")), ..keep() }, |user| {
            user.username = Some("Countess".to_owned());
        }),
        (UserPatch { email: Change::Set(email("c@example.org")), ..keep() }, |user| {
            user.email = Some("c@example.org".to_owned());
            user.email_verified_at = None;
        }),
        (UserPatch { full_name: Change::Set("A. Lovelace".to_owned()), ..keep() }, |user| {
            user.full_name = Some("A. Lovelace".to_owned());
        }),
        (UserPatch { full_name: Change::Clear, ..keep() }, |user| user.full_name = None),
        (UserPatch { role: Some(UserRole::User), ..keep() }, |user| user.role = UserRole::User),
        (UserPatch { is_active: Some(true), ..keep() }, |user| user.is_active = true),
        (UserPatch { metadata: Some(countess), ..keep() }, |user| {
            user.metadata = CanonicalJson::parse(r#"{"title": "countess"}"#).unwrap();
        }),
        (UserPatch { email: Change::Clear, ..keep() }, |user| user.email = None),
    ];
    for (patch, effect) in changes {
        effect(&mut expected);
        expected.updated_at = later(&case);
        let description = format!("{patch:?}");
        assert_eq!(update(&case, id, patch).await.unwrap(), expected, "{description}");
        assert_eq!(get(&case, id).await.as_ref(), Some(&expected), "{description}");
    }
    let by_new_name = read(&case, async |tx| tx.users().find_by_username("countess").await).await;
    assert_eq!(by_new_name, Some(expected));
    assert_eq!(read(&case, async |tx| tx.users().find_by_username("Ada").await).await, None);
    assert_eq!(read(&case, async |tx| tx.users().find_by_claimed_email("c@example.org").await).await, None);
}

async fn an_empty_change_of_a_user_changes_nothing(case: TestDatabase) {
    let created = create_user(&case, ada()).await.unwrap();
    later(&case);

    assert_eq!(update(&case, created.id, UserPatch::default()).await.unwrap(), created);
    assert_eq!(get(&case, created.id).await, Some(created));
}

async fn a_user_keeps_a_name_or_an_address(case: TestDatabase) {
    let created = create_user(&case, ada()).await.unwrap();
    let no_name = UserPatch { username: Change::Clear, ..UserPatch::default() };
    let no_address = UserPatch { email: Change::Clear, ..UserPatch::default() };
    let neither = UserPatch { email: Change::Clear, ..no_name.clone() };

    let refused = "refused: a user must keep a username, an email or an external id";
    assert_eq!(failure(update(&case, created.id, neither).await), refused);
    let nameless = update(&case, created.id, no_name).await.unwrap();
    assert_eq!(nameless.username, None);
    assert_eq!(failure(update(&case, created.id, no_address).await), refused);
    assert_eq!(get(&case, created.id).await, Some(nameless));
}

/// Many rounds, because the two must meet between the look and the change to go wrong.
async fn two_changes_at_once_cannot_take_both_name_and_address(case: TestDatabase) {
    for round in 0..30 {
        let address = email(&format!("{round}@example.org"));
        let new = NewUser { email: Some(address), ..NewUser::named(name(&format!("user {round}"))) };
        let id = create_user(&case, new).await.unwrap().id;
        let no_name = UserPatch { username: Change::Clear, ..UserPatch::default() };
        let no_address = UserPatch { email: Change::Clear, ..UserPatch::default() };

        let answers: [Result<User, StoreError>; 2] =
            tokio::join!(update(&case, id, no_name), update(&case, id, no_address)).into();

        let failures: Vec<String> = answers.into_iter().filter(Result::is_err).map(failure).collect();
        assert_eq!(
            failures,
            ["refused: a user must keep a username, an email or an external id"],
            "round {round}"
        );
    }
}

async fn changing_an_absent_user_is_not_found(case: TestDatabase) {
    let absent = absent_user(&case);
    let patch = UserPatch { full_name: Change::Set("Nobody".to_owned()), ..UserPatch::default() };

    assert_eq!(failure(update(&case, absent, UserPatch::default()).await), "not found: user");
    assert_eq!(failure(update(&case, absent, patch).await), "not found: user");
}

async fn page_all(case: &TestDatabase, order: Order, limit: u16) -> Vec<UserId> {
    let limit = Limit::new(limit).unwrap();
    let mut all = Vec::new();
    let mut from: Option<UserPosition> = None;
    loop {
        let page =
            read(case, async move |tx| tx.users().page(UserFilter::default(), order, from, limit).await)
                .await;
        all.extend(page.items.iter().map(|user| user.id));
        assert!(all.len() <= 100, "the list has no end");
        assert!(page.items.len() == limit.rows() || page.next.is_none());
        from = page.next;
        if from.is_none() {
            return all;
        }
    }
}

async fn users_are_paged_by_creation_in_both_directions(case: TestDatabase) {
    let mut expected = Vec::new();
    for number in 0..23 {
        if number % 5 == 0 {
            later(&case);
        }
        expected.push((case.database.clock().now(), arbitrary_user(&case).await));
    }
    expected.sort_unstable();
    let mut expected: Vec<UserId> = expected.into_iter().map(|(_, id)| id).collect();

    for limit in [1, 4, 23, 24] {
        assert_eq!(page_all(&case, Order::Ascending, limit).await, expected, "limit {limit}");
    }
    expected.reverse();
    for limit in [1, 4, 23, 24] {
        assert_eq!(page_all(&case, Order::Descending, limit).await, expected, "limit {limit}");
    }
}

async fn the_built_in_user_is_in_no_list_and_no_count(case: TestDatabase) {
    let built_in = get(&case, UserId::ANONYMOUS).await.expect("the first revision creates it");
    assert_eq!(built_in.username.as_deref(), Some("anonymous"));
    assert_eq!(page_all(&case, Order::Ascending, 50).await, []);
    assert_eq!(page_all(&case, Order::Descending, 50).await, []);
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, 0);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.users, 0);

    let ada = arbitrary_user(&case).await;
    assert_eq!(page_all(&case, Order::Ascending, 50).await, [ada]);
    assert_eq!(page_all(&case, Order::Descending, 1).await, [ada]);
    assert_eq!(read(&case, async |tx| tx.users().count().await).await, 1);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.users, 1);
}

async fn the_built_in_user_cannot_be_changed_or_erased(case: TestDatabase) {
    let before = get(&case, UserId::ANONYMOUS).await;
    let patch = UserPatch { is_active: Some(false), ..UserPatch::default() };

    let changed = update(&case, UserId::ANONYMOUS, patch).await;
    assert_eq!(failure(changed), "refused: the built-in user cannot be changed");
    let erased = write(&case, async |tx| tx.users().erase(UserId::ANONYMOUS).await).await;
    assert_eq!(failure(erased), "refused: the built-in user cannot be erased");
    assert_eq!(get(&case, UserId::ANONYMOUS).await, before);
}
