//! Events: offered beside other work, and stored a little later.

use std::time::Duration;

use chatstore::auth::{Actor, LoginName, Password, TokenKeys};
use chatstore::sql::Sql;
use chatstore::{
    CanonicalJson, ErrorKind, FileLock, LogEvent, LogLevel, LogList, LogOwner, NewConversation, NewLogEvent,
    Order, Store, UserId,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{store, user};

conformance!(
    an_offered_event_is_stored_at_the_latest_when_the_store_is_closed,
    security_events_are_stored_with_who_caused_them,
    a_store_without_an_event_log_stores_no_events_but_those_of_applications,
    every_event_of_a_burst_is_stored_once,
    events_wait_for_a_database_that_fails,
    what_happened_to_an_erased_user_names_nobody,
    old_events_are_pruned_and_counted,
    events_about_nobody_are_not_those_of_a_user,
);

/// Another store over the case's database, which keeps events.
async fn keeping(case: &TestDatabase) -> Store {
    let builder = Store::builder(case.url.clone()).file_lock(FileLock::Share).clock(case.clock.clone());
    let (keys, _text) = TokenKeys::generate(|bytes| bytes.fill(7));
    builder.token_keys(keys).event_log(true).connect().await.unwrap()
}

async fn events(store: &Store, whose: LogOwner) -> Vec<LogEvent> {
    let mut list = LogList { order: Order::Ascending, ..LogList::default() };
    let mut found = Vec::new();
    loop {
        let page = store.event_log().page(whose, list.clone()).await.unwrap();
        found.extend(page.items);
        list.from = page.next;
        if list.from.is_none() {
            return found;
        }
    }
}

fn names(events: &[LogEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}

async fn an_offered_event_is_stored_at_the_latest_when_the_store_is_closed(case: TestDatabase) {
    let reader = store(&case).await;
    let ada = user(&reader, "ada").await;
    let keeping = keeping(&case).await;
    let data = CanonicalJson::parse(r#"{"client": "web"}"#).unwrap();
    let new = NewLogEvent::new("chat.opened").at_level(LogLevel::Warn).with_data(data.clone());
    assert!(keeping.event_log().offer(Some(ada), new).unwrap());
    assert!(keeping.event_log().offer(None, NewLogEvent::new("app.started")).unwrap());
    let wrong = keeping.event_log().offer(None, NewLogEvent::new("security.login_failed"));
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::Invalid);
    keeping.close().await;
    let counts = keeping.event_log().counts();
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (2, 0, 0));
    let [of_ada] = &events(&reader, LogOwner::User(ada)).await[..] else { panic!("one event") };
    assert_eq!((of_ada.level, &of_ada.data, of_ada.actor_id), (LogLevel::Warn, &data, None));
    assert_eq!(names(&events(&reader, LogOwner::User(UserId::ANONYMOUS)).await), ["app.started"]);
}

async fn security_events_are_stored_with_who_caused_them(case: TestDatabase) {
    let keeping = keeping(&case).await;
    let (ada, root) = (user(&keeping, "ada").await, user(&keeping, "root").await);
    let by_root = Actor { user_id: Some(root), credential: None, acting_for: None };
    let password = Password::new("correct horse battery");
    by_root
        .run_request("r-1".into(), async {
            keeping.auth().set_password(ada, password, false).await.unwrap();
        })
        .await;
    let name = LoginName::Username("ada".to_owned());
    keeping.auth().login(name, Password::new("wrong horse battery")).await.unwrap_err();
    keeping.close().await;

    let reader = store(&case).await;
    let mut found = events(&reader, LogOwner::User(ada)).await;
    found.sort_by(|one, other| one.event.cmp(&other.event));
    assert_eq!(names(&found), ["security.login_failed", "security.password_set", "security.user_created"]);
    assert_eq!(found[0].data.as_str(), r#"{"outcome":"refused"}"#);
    assert_eq!((found[1].actor_id, found[1].request_id.as_deref()), (Some(root), Some("r-1")));
    assert_eq!((found[2].actor_id, found[2].request_id.as_deref()), (None, None));
}

async fn a_store_without_an_event_log_stores_no_events_but_those_of_applications(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    assert!(!store.event_log().offer(Some(ada), NewLogEvent::new("one")).unwrap());
    let kept = store.as_user(ada).logs().append(NewLogEvent::new("two")).await.unwrap();
    assert_eq!(store.as_user(ada).logs().get(kept.id).await.unwrap(), kept);
    assert_eq!(events(&store, LogOwner::Everyone).await, [kept]);
    assert_eq!(store.event_log().counts(), chatstore::operations::EventLogCounts::default());
}

async fn every_event_of_a_burst_is_stored_once(case: TestDatabase) {
    let reader = store(&case).await;
    let keeping = keeping(&case).await;
    for number in 0..3_000 {
        assert!(keeping.event_log().offer(None, NewLogEvent::new(format!("e{number}"))).unwrap());
    }
    while keeping.event_log().counts().waiting > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut found: Vec<String> =
        names(&events(&reader, LogOwner::Everyone).await).into_iter().map(str::to_owned).collect();
    found.sort_by_key(|name| name[1..].parse::<u32>().unwrap());
    let expected: Vec<String> = (0..3_000).map(|number| format!("e{number}")).collect();
    assert_eq!(found, expected);
    keeping.close().await;
}

async fn events_wait_for_a_database_that_fails(case: TestDatabase) {
    const TAKE_AWAY: Sql = Sql::same("test.take_away", "alter table logs rename to taken_away");
    const GIVE_BACK: Sql = Sql::same("test.give_back", "alter table taken_away rename to logs");
    let reader = store(&case).await;
    let keeping = keeping(&case).await;
    let rename = async |sql: &'static Sql| {
        reader.write("rename", async move |tx| tx.execute(sql, &[]).await).await.unwrap();
    };
    rename(&TAKE_AWAY).await;
    let ada = user(&keeping, "ada").await;
    keeping.as_user(ada).conversations().create(NewConversation::titled("Trip")).await.unwrap();
    let counts = keeping.event_log().counts();
    assert_eq!((counts.stored, counts.dropped, counts.waiting), (0, 0, 1));
    rename(&GIVE_BACK).await;
    keeping.close().await;
    assert_eq!(names(&events(&reader, LogOwner::User(ada)).await), ["security.user_created"]);
}

async fn what_happened_to_an_erased_user_names_nobody(case: TestDatabase) {
    let reader = store(&case).await;
    let ada = user(&reader, "ada").await;
    let keeping = keeping(&case).await;
    assert!(keeping.event_log().offer(Some(ada), NewLogEvent::new("one")).unwrap());
    keeping.users().erase(ada).await.unwrap();
    keeping.close().await;
    let found = events(&reader, LogOwner::Everyone).await;
    let mut found_names = names(&found);
    found_names.sort_unstable();
    assert_eq!(found_names, ["one", "security.user_erased"]);
    for event in found {
        assert_eq!((event.user_id, event.data), (UserId::ANONYMOUS, CanonicalJson::object()));
    }
}

async fn old_events_are_pruned_and_counted(case: TestDatabase) {
    let store = store(&case).await;
    let ada = user(&store, "ada").await;
    for _ in 0..5 {
        store.as_user(ada).logs().append(NewLogEvent::new("old")).await.unwrap();
    }
    case.clock.advance(Duration::from_secs(60));
    store.as_user(ada).logs().append(NewLogEvent::new("new")).await.unwrap();
    let before = store.now();
    assert_eq!(store.operations().count_events(before).await.unwrap(), 5);
    let mut observed = Vec::new();
    assert_eq!(store.operations().prune_events(before, |count| observed.push(count)).await.unwrap(), 5);
    assert_eq!(observed.last(), Some(&5));
    assert_eq!(names(&events(&store, LogOwner::Everyone).await), ["new"]);
}

async fn events_about_nobody_are_not_those_of_a_user(case: TestDatabase) {
    let store = store(&case).await;
    let nobody = store.as_user(UserId::ANONYMOUS).logs();
    let kept = nobody.append(NewLogEvent::new("app.started")).await.unwrap();
    assert_eq!(nobody.get(kept.id).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(nobody.page(LogList::default()).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(events(&store, LogOwner::User(UserId::ANONYMOUS)).await, [kept]);
}
