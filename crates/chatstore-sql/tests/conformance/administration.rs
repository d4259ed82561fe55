//! Who administers, and what an administrator's lists hold.

use std::time::Duration;

use chatstore_model::{
    ApiKeyScope, Day, Limit, NewApiKey, NewUser, Order, UsageGroup, UsageGrouping, User, UserFilter, UserId,
    UserPatch, UserRole,
};
use chatstore_sql::StoreError;
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join;

use crate::fixtures::{
    arbitrary_owner, arbitrary_user, create_user, failure, later, name, read, reply, reply_of, write,
};

conformance!(
    users_are_listed_by_role_and_by_whether_they_are_active,
    the_last_active_administrator_stays_one,
    two_administrators_cannot_leave_office_at_once,
    keys_that_were_revoked_are_in_no_page,
    usage_is_added_up_by_whatever_is_asked_for,
    usage_of_everybody_is_added_up_by_user,
    a_locked_conversation_waits_for_the_end_of_the_transaction,
);

async fn create(case: &TestDatabase, username: &str, role: UserRole, is_active: bool) -> UserId {
    later(case);
    let new = NewUser { role, is_active, ..NewUser::named(name(username)) };
    create_user(case, new).await.unwrap().id
}

async fn change(case: &TestDatabase, user: UserId, patch: UserPatch) -> Result<User, StoreError> {
    write(case, async move |tx| tx.users().update(user, &patch).await).await
}

async fn users_are_listed_by_role_and_by_whether_they_are_active(case: TestDatabase) {
    let boss = create(&case, "boss", UserRole::Admin, true).await;
    let former = create(&case, "former", UserRole::Admin, false).await;
    let ada = create(&case, "ada", UserRole::User, true).await;
    let gone = create(&case, "gone", UserRole::User, false).await;
    let expectations = [
        (None, None, vec![boss, former, ada, gone]),
        (Some(UserRole::Admin), None, vec![boss, former]),
        (Some(UserRole::User), Some(true), vec![ada]),
        (None, Some(false), vec![former, gone]),
    ];
    for (role, is_active, expected) in expectations {
        for order in [Order::Ascending, Order::Descending] {
            let filter = UserFilter { role, is_active };
            let mut found: Vec<UserId> = Vec::new();
            let mut from = None;
            loop {
                let limit = Limit::new(1).unwrap();
                let page =
                    read(&case, async move |tx| tx.users().page(filter, order, from, limit).await).await;
                found.extend(page.items.iter().map(|user| user.id));
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            if order == Order::Descending {
                found.reverse();
            }
            assert_eq!(found, expected, "{filter:?} {order:?}");
        }
    }
}

async fn the_last_active_administrator_stays_one(case: TestDatabase) {
    let boss = create(&case, "boss", UserRole::Admin, true).await;
    create(&case, "former", UserRole::Admin, false).await;
    let refusal = "refused: the last active administrator has to stay one";
    let demoted = UserPatch { role: Some(UserRole::User), ..UserPatch::default() };
    let disabled = UserPatch { is_active: Some(false), ..UserPatch::default() };
    for patch in [&demoted, &disabled] {
        assert_eq!(failure(change(&case, boss, patch.clone()).await), refusal);
    }
    let erased = write(&case, async move |tx| tx.users().erase(boss).await).await;
    assert_eq!(failure(erased), refusal);

    create(&case, "second", UserRole::Admin, true).await;
    assert_eq!(change(&case, boss, demoted).await.unwrap().role, UserRole::User);
}

async fn two_administrators_cannot_leave_office_at_once(case: TestDatabase) {
    let (boss, second) = (
        create(&case, "boss", UserRole::Admin, true).await,
        create(&case, "second", UserRole::Admin, true).await,
    );
    let leave = |user| {
        let patch = UserPatch { is_active: Some(false), ..UserPatch::default() };
        change(&case, user, patch)
    };
    let (first, other) = join(leave(boss), leave(second)).await;
    assert_eq!([first.is_ok(), other.is_ok()].iter().filter(|done| **done).count(), 1);
}

async fn keys_that_were_revoked_are_in_no_page(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let mut created = Vec::new();
    for number in 0..5 {
        later(&case);
        let new = NewApiKey {
            scope: ApiKeyScope::User,
            name: None,
            prefix: "cs_1".to_owned(),
            key_hash: [number; 32],
            expires_at: None,
            rights: chatstore_model::KeyRights::default(),
        };
        created.push(write(&case, async move |tx| tx.api_keys().create(user, &new).await).await.unwrap().id);
    }
    let revoked = created.remove(2);
    write(&case, async move |tx| tx.api_keys().revoke(user, revoked).await).await.unwrap();
    let limit = Limit::new(3).unwrap();
    let first = read(&case, async move |tx| tx.api_keys().page(user, None, limit).await).await;
    let from = first.next;
    let second = read(&case, async move |tx| tx.api_keys().page(user, from, limit).await).await;
    let found: Vec<_> = first.items.iter().chain(&second.items).map(|key| key.id).collect();
    assert_eq!((found, second.next), (created, None));
}

async fn grouped(
    case: &TestDatabase,
    owner: Option<UserId>,
    by_day: bool,
    by_model: bool,
    by_user: bool,
) -> Vec<UsageGroup> {
    let day: Day = "2026-03-01".parse().unwrap();
    let grouping = UsageGrouping { by_day, by_model, by_user };
    read(case, async move |tx| tx.usage().grouped(owner, day, day.plus_days(1), grouping).await).await
}

fn shown(groups: &[UsageGroup]) -> Vec<String> {
    let text = |group: &UsageGroup| {
        let day = group.day.map(|day| day.to_string()).unwrap_or_default();
        let model = group.model.clone().unwrap_or_default();
        format!("{day} {model} {} {}", group.requests, group.tokens_total)
    };
    groups.iter().map(text).collect()
}

async fn usage_is_added_up_by_whatever_is_asked_for(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for (instant, model) in [
        ("2026-02-28T23:59:59Z", "early"),
        ("2026-03-01T00:00:00Z", "large"),
        ("2026-03-01T23:59:59Z", "small"),
        ("2026-03-02T12:00:00Z", "large"),
        ("2026-03-03T00:00:00Z", "late"),
    ] {
        case.clock.set(instant.parse().unwrap());
        reply(&case, owner, conversation, reply_of(model, 1, 2)).await.unwrap();
    }
    let owner = Some(owner);
    let by = async |by_day, by_model| shown(&grouped(&case, owner, by_day, by_model, false).await);
    assert_eq!(
        by(true, true).await,
        ["2026-03-01 large 1 3", "2026-03-01 small 1 3", "2026-03-02 large 1 3"]
    );
    assert_eq!(by(true, false).await, ["2026-03-01  2 6", "2026-03-02  1 3"]);
    assert_eq!(by(false, true).await, [" large 2 6", " small 1 3"]);
    assert_eq!(by(false, false).await, ["  3 9"]);
}

async fn usage_of_everybody_is_added_up_by_user(case: TestDatabase) {
    let (ada, of_ada) = arbitrary_owner(&case).await;
    let (eve, of_eve) = arbitrary_owner(&case).await;
    case.clock.set("2026-03-01T12:00:00Z".parse().unwrap());
    reply(&case, ada, of_ada, reply_of("large", 1, 2)).await.unwrap();
    reply(&case, eve, of_eve, reply_of("large", 10, 20)).await.unwrap();
    let mut found: Vec<(Option<UserId>, i64)> = grouped(&case, None, false, false, true)
        .await
        .into_iter()
        .map(|group| (group.user_id, group.tokens_total))
        .collect();
    found.sort_by_key(|(_, tokens)| *tokens);
    assert_eq!(found, [(Some(ada), 3), (Some(eve), 30)]);
    let of_one = grouped(&case, Some(ada), false, false, true).await;
    assert_eq!(UsageGroup::sum(&of_one).tokens_total, 3);
}

async fn a_locked_conversation_waits_for_the_end_of_the_transaction(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let appends = (0..8).map(|_| {
        let database = case.database.clone();
        async move {
            let seen = database
                .write("append_if_unchanged", async move |tx| {
                    let revision = tx.conversations().lock(owner, conversation).await?;
                    let new = chatstore_model::NewMessage::user("hello");
                    tx.messages().append_many(owner, conversation, &[], std::slice::from_ref(&new)).await?;
                    Ok::<_, StoreError>(revision)
                })
                .await;
            seen.unwrap()
        }
    });
    let mut seen =
        tokio::time::timeout(Duration::from_secs(30), futures_util::future::join_all(appends)).await.unwrap();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 8, "no two saw the same revision: {seen:?}");
}
