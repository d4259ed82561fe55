//! Addresses that one user has and another claims, and names that are addresses.

use chatstore_model::{Change, NewUser, User, UserId, UserPatch};
use chatstore_sql::{StoreError, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{create_user, email, failure, invalid_fields, later, name, read, write};

conformance!(
    an_address_has_one_user_who_has_it_and_one_who_claims_it,
    a_claimed_address_finds_nobody_who_is_acted_for,
    get_or_create_by_email_leaves_a_claim_alone_and_creates_a_user,
    another_address_is_claimed_again_and_another_spelling_is_not,
    an_address_is_verified_only_together_with_itself,
    a_name_with_an_at_sign_is_the_address_of_its_user,
    a_name_that_is_the_address_goes_with_it,
    a_name_is_not_the_verified_address_of_another_user,
    an_address_is_not_the_name_of_another_user,
    a_claim_and_its_name_do_not_keep_the_owner_out,
    of_two_users_who_claim_an_address_at_once_one_has_it,
    a_name_and_an_address_changed_at_once_still_fit,
);

const ADDRESS: &str = "bob@example.org";

fn claiming(address: &str) -> NewUser {
    NewUser::with_email(email(address))
}

fn having(address: &str) -> NewUser {
    NewUser::with_verified_email(email(address))
}

fn with_name(new: NewUser, text: &str) -> NewUser {
    NewUser { username: Some(name(text)), ..new }
}

fn to_address(text: &str) -> UserPatch {
    UserPatch { email: Change::Set(email(text)), ..UserPatch::default() }
}

async fn update(case: &TestDatabase, id: UserId, patch: UserPatch) -> Result<User, StoreError> {
    write(case, async move |tx| tx.users().update(id, &patch).await).await
}

async fn found(case: &TestDatabase, address: &'static str) -> [Option<UserId>; 2] {
    let found = read(case, async move |tx| {
        Ok([tx.users().find_by_email(address).await?, tx.users().find_by_claimed_email(address).await?])
    });
    found.await.map(|user| user.map(|user| user.id))
}

async fn an_address_has_one_user_who_has_it_and_one_who_claims_it(case: TestDatabase) {
    let bob = create_user(&case, having(ADDRESS)).await.unwrap();
    let other = create_user(&case, claiming("BOB@example.org")).await.unwrap();
    let third = create_user(&case, NewUser::named(name("third"))).await.unwrap();

    assert_eq!(found(&case, ADDRESS).await, [Some(bob.id), Some(other.id)]);
    for new in [having("Bob@Example.org"), claiming(ADDRESS)] {
        assert_eq!(failure(create_user(&case, new).await), "already exists: user.email");
    }
    for is_email_verified in [Some(true), Some(false), None] {
        let patch = UserPatch { is_email_verified, ..to_address(ADDRESS) };
        assert_eq!(failure(update(&case, third.id, patch).await), "already exists: user.email");
    }
    let verify = UserPatch { is_email_verified: Some(true), ..to_address(ADDRESS) };
    assert_eq!(failure(update(&case, other.id, verify).await), "already exists: user.email");
    let of_address = read(&case, async |tx| tx.passwords().find_by_email(ADDRESS).await).await;
    let of_address: Vec<UserId> = of_address.into_iter().map(|(user, _)| user.id).collect();
    assert_eq!(of_address, [bob.id, other.id], "the verified one is tried first");
}

async fn a_claimed_address_finds_nobody_who_is_acted_for(case: TestDatabase) {
    let eve = create_user(&case, with_name(claiming("ceo@example.org"), "eve")).await.unwrap();

    assert_eq!(found(&case, "ceo@example.org").await, [None, Some(eve.id)]);
    assert_eq!(eve.email_verified_at, None);
}

async fn get_or_create_by_email_leaves_a_claim_alone_and_creates_a_user(case: TestDatabase) {
    let eve = create_user(&case, with_name(claiming("ceo@example.org"), "eve")).await.unwrap();
    let now = later(&case);
    let ask = async || {
        let work = async |tx: &mut WriteTx<'_>| {
            tx.users().get_or_create_by_email(&claiming("CEO@example.org")).await
        };
        write(&case, work).await.unwrap()
    };
    let (ceo, is_new) = ask().await;

    assert!(is_new && ceo.id != eve.id);
    assert_eq!(ceo.email_verified_at, Some(now));
    assert_eq!(ask().await, (ceo.clone(), false));
    assert_eq!(found(&case, "ceo@example.org").await, [Some(ceo.id), Some(eve.id)]);
}

async fn another_address_is_claimed_again_and_another_spelling_is_not(case: TestDatabase) {
    let bob = create_user(&case, having(ADDRESS)).await.unwrap();
    let verified_at = bob.email_verified_at;
    later(&case);

    let respelled = update(&case, bob.id, to_address("Bob@EXAMPLE.org")).await.unwrap();
    assert_eq!(
        (respelled.email.as_deref(), respelled.email_verified_at),
        (Some("Bob@EXAMPLE.org"), verified_at)
    );
    let named = UserPatch { full_name: Change::Set("Bob".to_owned()), ..UserPatch::default() };
    assert_eq!(update(&case, bob.id, named).await.unwrap().email_verified_at, verified_at);
    let moved = update(&case, bob.id, to_address("bob@elsewhere.example")).await.unwrap();
    assert_eq!(moved.email_verified_at, None);
    let back = update(&case, bob.id, to_address(ADDRESS)).await.unwrap();
    assert_eq!(back.email_verified_at, None, "what was verified once is no longer");
    let now = later(&case);
    let verify = UserPatch { is_email_verified: Some(true), ..to_address(ADDRESS) };
    assert_eq!(update(&case, bob.id, verify.clone()).await.unwrap().email_verified_at, Some(now));
    later(&case);
    assert_eq!(
        update(&case, bob.id, verify).await.unwrap().email_verified_at,
        Some(now),
        "since when it was"
    );
    let doubt = UserPatch { is_email_verified: Some(false), ..to_address(ADDRESS) };
    assert_eq!(update(&case, bob.id, doubt).await.unwrap().email_verified_at, None);
}

async fn an_address_is_verified_only_together_with_itself(case: TestDatabase) {
    let bob = create_user(&case, with_name(claiming(ADDRESS), "bob")).await.unwrap();

    for email in [Change::Keep, Change::Clear] {
        let patch = UserPatch { email, is_email_verified: Some(true), ..UserPatch::default() };
        assert_eq!(invalid_fields(update(&case, bob.id, patch).await), ["email_verified"]);
    }
    let without = NewUser { is_email_verified: true, ..NewUser::named(name("other")) };
    assert_eq!(invalid_fields(create_user(&case, without).await), ["email_verified"]);
}

async fn a_name_with_an_at_sign_is_the_address_of_its_user(case: TestDatabase) {
    for wrong in [
        NewUser::named(name(ADDRESS)),
        NewUser::named(name("bob＠example.org")),
        NewUser::named(name("@bob")),
        with_name(claiming("eve@example.org"), ADDRESS),
        with_name(having("eve@example.org"), ADDRESS),
    ] {
        assert_eq!(invalid_fields(create_user(&case, wrong).await), ["username"]);
    }
    let eve = create_user(&case, with_name(claiming("eve@example.org"), "eve")).await.unwrap();
    for wrong in [ADDRESS, "bob＠example.org"] {
        let patch = UserPatch { username: Change::Set(name(wrong)), ..UserPatch::default() };
        assert_eq!(invalid_fields(update(&case, eve.id, patch).await), ["username"]);
    }
    let own = UserPatch { username: Change::Set(name("EVE@example.org")), ..UserPatch::default() };
    assert_eq!(update(&case, eve.id, own).await.unwrap().username.as_deref(), Some("EVE@example.org"));
    create_user(&case, with_name(having(ADDRESS), "Bob@Example.org")).await.unwrap();
}

async fn a_name_that_is_the_address_goes_with_it(case: TestDatabase) {
    let bob = create_user(&case, with_name(having(ADDRESS), ADDRESS)).await.unwrap();
    let refused = "refused: the user name is the address so far: change or clear it in the same request";

    assert_eq!(failure(update(&case, bob.id, to_address("b@elsewhere.example")).await), refused);
    let without = UserPatch { email: Change::Clear, ..UserPatch::default() };
    assert_eq!(failure(update(&case, bob.id, without).await), refused);
    let both =
        UserPatch { username: Change::Set(name("b@elsewhere.example")), ..to_address("b@elsewhere.example") };
    let moved = update(&case, bob.id, both).await.unwrap();
    assert_eq!(moved.username, moved.email);
    let cleared = UserPatch { username: Change::Clear, ..to_address(ADDRESS) };
    assert_eq!(update(&case, bob.id, cleared).await.unwrap().username, None);
}

async fn a_name_is_not_the_verified_address_of_another_user(case: TestDatabase) {
    create_user(&case, having(ADDRESS)).await.unwrap();
    create_user(&case, having("x@strasse.example")).await.unwrap();
    let eve = create_user(&case, with_name(claiming(ADDRESS), "eve")).await.unwrap();

    let named = UserPatch { username: Change::Set(name(ADDRESS)), ..UserPatch::default() };
    assert_eq!(failure(update(&case, eve.id, named).await), "already exists: user.username");
    let twin = with_name(claiming("x@straße.example"), "x@straße.example");
    assert_eq!(failure(create_user(&case, twin).await), "already exists: user.username");
}

async fn an_address_is_not_the_name_of_another_user(case: TestDatabase) {
    let bob = create_user(&case, with_name(having(ADDRESS), ADDRESS)).await.unwrap();
    let eve = create_user(&case, NewUser::named(name("eve"))).await.unwrap();

    assert_eq!(failure(create_user(&case, claiming(ADDRESS)).await), "already exists: user.email");
    assert_eq!(failure(update(&case, eve.id, to_address(ADDRESS)).await), "already exists: user.email");
    assert_eq!(found(&case, ADDRESS).await, [Some(bob.id), None]);
}

async fn a_claim_and_its_name_do_not_keep_the_owner_out(case: TestDatabase) {
    let eve = create_user(&case, with_name(claiming(ADDRESS), ADDRESS)).await.unwrap();

    let bob = create_user(&case, having(ADDRESS)).await.unwrap();

    assert_eq!(found(&case, ADDRESS).await, [Some(bob.id), Some(eve.id)]);
}

/// Many rounds, because the two must meet between the look and the change to go wrong.
async fn of_two_users_who_claim_an_address_at_once_one_has_it(case: TestDatabase) {
    for round in 0..20 {
        let address = format!("{round}@example.org");
        let named = with_name(claiming(&address), &address);
        let eve = create_user(&case, NewUser::named(name(&format!("eve {round}")))).await.unwrap();

        let answers = tokio::join!(
            create_user(&case, named.clone()),
            create_user(&case, claiming(&address)),
            update(&case, eve.id, to_address(&address)),
            create_user(&case, having(&address)),
        );

        let claims = [answers.0, answers.1, answers.2];
        let won = claims.iter().filter(|answer| answer.is_ok()).count();
        assert!(won <= 1, "round {round}: {claims:?}");
        let bob = answers.3.expect("no claim keeps the owner out");
        let address = email(&address);
        let holders =
            read(&case, async move |tx| tx.passwords().find_by_email(address.as_typed()).await).await;
        assert_eq!(holders.len(), 1 + won, "round {round}: {holders:?}");
        assert_eq!(holders[0].0.id, bob.id);
    }
}

async fn a_name_and_an_address_changed_at_once_still_fit(case: TestDatabase) {
    for round in 0..20 {
        let address = format!("{round}@example.org");
        let new = with_name(claiming(&address), &format!("bob {round}"));
        let id = create_user(&case, new).await.unwrap().id;
        let as_name = UserPatch { username: Change::Set(name(&address)), ..UserPatch::default() };

        let answers: [Result<User, StoreError>; 2] = tokio::join!(
            update(&case, id, as_name),
            update(&case, id, to_address(&format!("{round}@elsewhere.example"))),
        )
        .into();

        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}: {answers:?}");
        let user = read(&case, async move |tx| tx.users().get(id).await).await.unwrap();
        let is_named_by_it = user.username == user.email;
        assert!(is_named_by_it || user.username == Some(format!("bob {round}")), "round {round}: {user:?}");
    }
}
