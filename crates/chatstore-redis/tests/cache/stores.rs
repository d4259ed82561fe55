//! Two processes with one database and one Redis.

use std::time::Duration;

use chatstore::auth::{LoginName, OwnKeys, Password, TokenKeys, Tokens};
use chatstore::{
    CanonicalJson, Change, ModelRequest, NewCachedResponse, NewUser, RequestHash, ResponseScope, Store,
    UserId, UserName, UserPatch, UserRole,
};
use chatstore_redis::Redis;
use chatstore_testkit::{Backend, TestDatabase, redis_url};
use serde_json::json;

use crate::redis;

const PASSWORD: &str = "correct horse battery";

async fn process(case: &TestDatabase, redis: &Redis) -> Store {
    let keys = TokenKeys::generate(|bytes| bytes.fill(7)).0;
    let builder = Store::builder(case.url.as_str()).token_keys(keys).shared_cache(redis.cache());
    builder.messenger(redis.messenger()).connect().await.unwrap()
}

async fn processes(case: &TestDatabase, name: &str) -> [Store; 2] {
    // Connected both before anything is remembered: a new process voids what there is.
    let both = [redis(name).await, redis(name).await];
    [process(case, &both[0]).await, process(case, &both[1]).await]
}

async fn member(store: &Store, name: &str) -> UserId {
    let id = store.users().create(NewUser::named(UserName::new(name).unwrap())).await.unwrap().id;
    store.auth().set_password(id, Password::new(PASSWORD), false).await.unwrap();
    id
}

async fn log_in(store: &Store, name: &str) -> Tokens {
    store.auth().login(LoginName::Username(name.to_owned()), Password::new(PASSWORD)).await.unwrap()
}

/// The keys of a case in Redis without its prefix, each with its time to live in milliseconds.
async fn keys(case: &str) -> Vec<(String, i64)> {
    let client = ::redis::Client::open(redis_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let prefix = format!("{case}:{}:", std::process::id());
    let names: Vec<String> =
        ::redis::cmd("keys").arg(format!("{prefix}*")).query_async(&mut connection).await.unwrap();
    let mut keys = Vec::new();
    for name in names {
        let lives: i64 = ::redis::cmd("pttl").arg(&name).query_async(&mut connection).await.unwrap();
        keys.push((name.trim_start_matches(&prefix).to_owned(), lives));
    }
    keys.retain(|(name, _)| !name.starts_with("revision"));
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_looked_up_by_one_process_for_all_and_no_longer_than_five_seconds() {
    let case = Backend::Sqlite.database().await;
    let name = "a_session_is_looked_up";
    let [here, there] = processes(&case, name).await;
    let ada = member(&here, "ada").await;
    let tokens = log_in(&here, "ada").await;
    assert!(here.authenticate(&tokens.access_token).await.unwrap().is_some());
    let before = there.operations().statements();
    assert!(there.authenticate(&tokens.access_token).await.unwrap().is_some());
    assert_eq!(there.operations().statements(), before, "the database is not asked");
    let keys = keys(name).await;
    let [(key, lives)] = keys.as_slice() else { panic!("{keys:?}") };
    assert!(key.starts_with(&format!("sess:{ada}:")), "{key}");
    assert!((1..=5_000).contains(lives), "{lives}");

    here.auth().logout(ada, tokens.session_id).await.unwrap();
    assert!(here.authenticate(&tokens.access_token).await.unwrap().is_none());
    let refused = async { while there.authenticate(&tokens.access_token).await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(3), refused).await.expect("it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_access_token_is_not_judged_by_what_is_known_of_the_former() {
    let case = Backend::Sqlite.database().await;
    let [here, there] = processes(&case, "a_new_access_token").await;
    member(&here, "ada").await;
    let tokens = log_in(&here, "ada").await;
    assert!(there.authenticate(&tokens.access_token).await.unwrap().is_some());
    let next = here.auth().refresh(&tokens.refresh_token).await.unwrap();
    for store in [&there, &here, &there] {
        assert!(store.authenticate(&next.access_token).await.unwrap().is_some());
    }
    let last = there.auth().refresh(&next.refresh_token).await.unwrap();
    assert!(here.authenticate(&last.access_token).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_found_by_name_is_remembered_and_every_change_is_seen_by_all() {
    let case = Backend::Sqlite.database().await;
    let name = "a_user_found_by_name";
    let [here, there] = processes(&case, name).await;
    let (ada, root) = (member(&here, "Ada").await, member(&here, "root").await);
    let promoted = UserPatch { role: Some(UserRole::Admin), ..UserPatch::default() };
    here.users().update(root, promoted.clone()).await.unwrap();
    let found = here.users().look_up("ada").await.unwrap().unwrap();
    assert_eq!(found.id, ada);
    let before = there.operations().statements();
    assert_eq!(there.users().look_up(" ADA ").await.unwrap().as_ref(), Some(&found));
    assert_eq!(there.operations().statements(), before, "the database is not asked");
    let known = keys(name).await;
    let [(owned, _), (key, lives)] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((owned.as_str(), key.as_str()), (format!("entries_of:{ada}").as_str(), "user:ada"));
    assert!((290_000..=300_000).contains(lives), "{lives}");

    let patch = UserPatch { full_name: Change::Set("Ada Lovelace".to_owned()), ..UserPatch::default() };
    here.users().update(ada, patch).await.unwrap();
    assert!(!keys(name).await.iter().any(|(key, _)| key == "user:ada"), "it is deleted");
    let changed = there.users().look_up("ada").await.unwrap().unwrap();
    assert_eq!(changed.full_name.as_deref(), Some("Ada Lovelace"));

    let renamed =
        UserPatch { username: Change::Set(UserName::new("lovelace").unwrap()), ..UserPatch::default() };
    there.users().update(ada, renamed).await.unwrap();
    assert_eq!(here.users().look_up("ada").await.unwrap(), None, "by the former name as well");

    assert!(here.users().look_up("lovelace").await.unwrap().is_some());
    here.users().update(ada, promoted).await.unwrap();
    assert_eq!(there.users().look_up("lovelace").await.unwrap().unwrap().role, UserRole::Admin);

    here.users().erase(ada).await.unwrap();
    assert_eq!(there.users().look_up("lovelace").await.unwrap(), None);
    let left = keys(name).await;
    assert!(
        left.iter().all(|(key, _)| !key.starts_with("user:") && !key.starts_with("entries_of:")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_model_is_seen_by_its_user_on_every_process_and_goes_with_the_user() {
    let case = Backend::Sqlite.database().await;
    let name = "an_answer_of_a_model";
    let [here, there] = processes(&case, name).await;
    let (ada, grace) = (member(&here, "ada").await, member(&here, "grace").await);
    let json = |value| CanonicalJson::new(value).unwrap();
    let hash = RequestHash::of(&ModelRequest {
        model: "echo".to_owned(),
        messages: json(json!([{ "role": "user", "content": "hi" }])),
        parameters: CanonicalJson::object(),
    });
    let (own, shared) = (ResponseScope::Own, ResponseScope::Shared);
    let (mine, others) = (json(json!({ "text": "for Ada" })), json(json!({ "text": "for all" })));
    for (scope, value) in [(own, &mine), (shared, &others)] {
        let new = NewCachedResponse::new(value.clone());
        let expires_at = here.as_user(ada).response_cache().put(&hash, scope, new).await.unwrap();
        assert!(expires_at.is_some());
    }
    let get = async |user, scope| {
        let found = there.as_user(user).response_cache().get(&hash, scope).await;
        found.map(|response| response.value)
    };
    assert_eq!(get(ada, own).await, Some(mine.clone()));
    assert_eq!(get(grace, own).await, None, "nobody reads another's");
    assert_eq!(get(grace, shared).await, Some(others));
    let lives: Vec<i64> = keys(name)
        .await
        .into_iter()
        .filter(|(key, _)| key.starts_with("ai_cache:"))
        .map(|(_, lives)| lives)
        .collect();
    assert!(
        lives.len() == 2 && lives.iter().all(|lives| (3_590_000..=3_600_000).contains(lives)),
        "{lives:?}"
    );

    here.auth().logout_all(ada, OwnKeys::Keep).await.unwrap();
    assert_eq!(get(ada, own).await, Some(mine), "changes of users do not concern it");
    here.users().erase(ada).await.unwrap();
    assert_eq!(get(ada, own).await, None);
    assert_eq!(keys(name).await.iter().filter(|(key, _)| key.starts_with("ai_cache:")).count(), 1);
    assert!(there.as_user(grace).response_cache().remove(&hash, shared).await);
    assert_eq!(get(grace, shared).await, None);
}
