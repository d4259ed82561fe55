//! Events: kept one by one and many at once, listed by time, without those who were erased, pruned when they are old.

use chatstore_model::{
    ApiKeyId, CanonicalJson, Limit, LogEvent, LogEventId, LogFilter, LogLevel, LogPosition, NewLogEvent,
    Order, Page, Timestamp, UserId,
};
use chatstore_sql::{
    Database, DatabaseOptions, Deletion, LogActor, LogList, LogOwner, Marked, StoreError, Swept, WriteTx,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    absent_conversation, absent_user, arbitrary_user, arbitrary_uuid, failure, invalid_fields, later, read,
    write,
};

conformance!(
    an_event_reads_back_as_it_was_kept,
    an_event_belongs_to_its_user_alone,
    no_event_is_kept_for_an_absent_user,
    events_are_recorded_once_however_often_they_are_sent,
    a_recorded_event_names_no_user_who_is_absent,
    events_are_listed_by_time_in_both_directions_without_a_gap,
    every_filter_takes_what_holds_all_of_its_conditions,
    a_page_of_large_events_ends_with_its_bytes,
    old_events_are_pruned_oldest_first,
    erasing_a_user_leaves_their_events_to_nobody_and_empty,
    many_events_are_released_in_pieces,
);

fn json(text: &str) -> CanonicalJson {
    CanonicalJson::parse(text).unwrap()
}

async fn append(case: &TestDatabase, user: UserId, actor: LogActor, new: NewLogEvent) -> LogEvent {
    let work = async move |tx: &mut WriteTx<'_>| tx.logs().append(user, actor, &new).await;
    case.database.write_single("append", work).await.unwrap()
}

async fn happen(case: &TestDatabase, user: UserId, name: &str) -> LogEvent {
    later(case);
    append(case, user, LogActor::default(), NewLogEvent::new(name)).await
}

async fn record(case: &TestDatabase, events: Vec<LogEvent>) {
    write(case, async move |tx| tx.logs().record(events.as_slice()).await).await.unwrap();
}

async fn get(case: &TestDatabase, user: UserId, id: LogEventId) -> Option<LogEvent> {
    read(case, async move |tx| tx.logs().get(user, id).await).await
}

async fn page(case: &TestDatabase, whose: LogOwner, list: LogList) -> Page<LogEvent, LogPosition> {
    read(case, async move |tx| tx.logs().page(whose, &list).await).await
}

/// Every event of a list, page by page.
async fn walk(case: &TestDatabase, whose: LogOwner, mut list: LogList) -> Vec<LogEvent> {
    let mut all = Vec::new();
    loop {
        let found = page(case, whose, list.clone()).await;
        assert!(found.items.len() <= list.limit.rows());
        all.extend(found.items);
        list.from = found.next;
        if list.from.is_none() {
            return all;
        }
    }
}

async fn all(case: &TestDatabase) -> Vec<LogEvent> {
    walk(case, LogOwner::Everyone, LogList { order: Order::Ascending, ..LogList::default() }).await
}

/// An event with every field.
fn event(case: &TestDatabase, user: UserId, actor: UserId, acting_for: UserId) -> LogEvent {
    let at = later(case);
    LogEvent {
        user_id: user,
        id: LogEventId::at(at, case.database.ids().uuid(at)),
        at,
        level: LogLevel::Warn,
        event: "security.member_added".to_owned(),
        conversation_id: Some(absent_conversation(case)),
        request_id: Some("r-1".to_owned()),
        actor_id: Some(actor),
        key_id: Some(ApiKeyId::from_uuid(arbitrary_uuid(case))),
        acting_for_id: Some(acting_for),
        data: json(r#"{"changed": ["role"]}"#),
    }
}

async fn an_event_reads_back_as_it_was_kept(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let actor = LogActor {
        id: Some(arbitrary_user(&case).await),
        key_id: Some(ApiKeyId::from_uuid(arbitrary_uuid(&case))),
        acting_for_id: Some(user),
    };
    let new = NewLogEvent {
        conversation_id: Some(absent_conversation(&case)),
        request_id: Some("r-1".to_owned()),
        ..NewLogEvent::new("chat:Opened-1").at_level(LogLevel::Error).with_data(json(r#"{"a": [1, null]}"#))
    };
    let at = later(&case);
    let kept = append(&case, user, actor, new.clone()).await;
    let NewLogEvent { level, event, conversation_id, request_id, data } = new;
    let LogActor { id: actor_id, key_id, acting_for_id } = actor;
    let expected = LogEvent {
        user_id: user,
        id: kept.id,
        at,
        level,
        event,
        conversation_id,
        request_id,
        actor_id,
        key_id,
        acting_for_id,
        data,
    };
    assert_eq!(kept, expected);
    assert_eq!(get(&case, user, kept.id).await, Some(kept));

    let wrong = NewLogEvent { request_id: Some("a b".to_owned()), ..NewLogEvent::new("") };
    let refused = write(&case, async move |tx| tx.logs().append(user, actor, &wrong).await).await;
    assert_eq!(invalid_fields(refused), ["event", "request_id"]);
}

async fn an_event_belongs_to_its_user_alone(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let kept = happen(&case, user, "one").await;
    assert_eq!(get(&case, other, kept.id).await, None);
    assert_eq!(walk(&case, LogOwner::User(other), LogList::default()).await, []);
    assert_eq!(walk(&case, LogOwner::User(user), LogList::default()).await, [kept]);
}

async fn no_event_is_kept_for_an_absent_user(case: TestDatabase) {
    let absent = absent_user(&case);
    let new = NewLogEvent::new("one");
    let append =
        write(&case, async move |tx| tx.logs().append(absent, LogActor::default(), &new).await).await;
    assert_eq!(failure(append), "missing parent: event");
    assert_eq!(all(&case).await, []);
}

async fn events_are_recorded_once_however_often_they_are_sent(case: TestDatabase) {
    let (user, actor) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let about_nobody =
        LogEvent { actor_id: None, key_id: None, ..event(&case, UserId::ANONYMOUS, user, user) };
    let events = vec![event(&case, user, actor, user), event(&case, actor, actor, actor), about_nobody];
    record(&case, events.clone()).await;
    record(&case, events.clone()).await;
    assert_eq!(all(&case).await, [events[2].clone(), events[0].clone(), events[1].clone()]);
    assert_eq!(read(&case, async |tx| tx.statistics().counts().await).await.logs, 3);
}

async fn a_recorded_event_names_no_user_who_is_absent(case: TestDatabase) {
    let (user, absent) = (arbitrary_user(&case).await, absent_user(&case));
    let events = [
        event(&case, absent, user, user),
        event(&case, user, absent, user),
        event(&case, user, user, absent),
    ];
    record(&case, events.to_vec()).await;
    let [about, by, acting_for] = events;
    let empty = |event: LogEvent| LogEvent { request_id: None, data: CanonicalJson::object(), ..event };
    assert_eq!(
        all(&case).await,
        [
            empty(LogEvent { user_id: UserId::ANONYMOUS, ..about }),
            empty(LogEvent { actor_id: None, key_id: None, ..by }),
            empty(LogEvent { acting_for_id: None, ..acting_for }),
        ]
    );
}

async fn events_are_listed_by_time_in_both_directions_without_a_gap(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let mut expected = Vec::new();
    for number in 0..23_i64 {
        // Some in one microsecond, whose order is that of their ids.
        if number % 3 == 0 {
            later(&case);
        }
        let owner = if number % 2 == 0 { user } else { other };
        expected.push(append(&case, owner, LogActor::default(), NewLogEvent::new("one")).await);
    }
    expected.sort_by_key(|event| event.id);
    assert!(expected.is_sorted_by_key(|event| event.at));
    for (whose, expected) in [
        (LogOwner::Everyone, expected.clone()),
        (LogOwner::User(user), expected.iter().filter(|event| event.user_id == user).cloned().collect()),
    ] {
        for rows in [1, 2, 7, 200] {
            let limit = Limit::new(rows).unwrap();
            let list = |order| LogList { order, limit, ..LogList::default() };
            assert_eq!(walk(&case, whose, list(Order::Ascending)).await, expected, "limit {rows}");
            let mut found = walk(&case, whose, list(Order::Descending)).await;
            found.reverse();
            assert_eq!(found, expected, "limit {rows}");
        }
    }
}

async fn every_filter_takes_what_holds_all_of_its_conditions(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let mut events = Vec::new();
    for number in 0..48_usize {
        later(&case);
        let owner = [user, other][number % 2];
        let new =
            NewLogEvent::new(["first", "second", "third"][number % 3]).at_level(LogLevel::ALL[number / 12]);
        events.push(append(&case, owner, LogActor::default(), new).await);
    }
    let times: [Option<Timestamp>; 3] = [None, Some(events[11].at), Some(events[40].at)];
    for whose in [LogOwner::Everyone, LogOwner::User(user)] {
        for level in LogLevel::ALL.map(Some).into_iter().chain([None]) {
            for name in [None, Some("second"), Some("fourth")] {
                for (from, to) in times.into_iter().flat_map(|from| times.map(|to| (from, to))) {
                    let filter = LogFilter { level, event: name.map(str::to_owned), from, to };
                    let expected = events.iter().filter(|event| {
                        (whose == LogOwner::Everyone || event.user_id == user)
                            && level.is_none_or(|level| event.level == level)
                            && name.is_none_or(|name| event.event == name)
                            && from.is_none_or(|from| event.at >= from)
                            && to.is_none_or(|to| event.at < to)
                    });
                    let expected: Vec<LogEvent> = expected.cloned().collect();
                    let limit = Limit::new(5).unwrap();
                    for order in Order::ALL {
                        let list = LogList { filter: filter.clone(), order, from: None, limit };
                        let mut found = walk(&case, whose, list).await;
                        if order == Order::Descending {
                            found.reverse();
                        }
                        assert_eq!(found, expected, "{whose:?} {filter:?} {order:?}");
                    }
                }
            }
        }
    }
}

async fn a_page_of_large_events_ends_with_its_bytes(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let data = json(&format!(r#"{{"text": "{}"}}"#, "x".repeat(16_000)));
    let mut events = Vec::new();
    for _ in 0..200 {
        events.push(LogEvent { data: data.clone(), ..event(&case, user, user, user) });
    }
    record(&case, events).await;
    for whose in [LogOwner::Everyone, LogOwner::User(user)] {
        let list = LogList { limit: Limit::MAX, ..LogList::default() };
        let first = page(&case, whose, list.clone()).await;
        assert!((100..150).contains(&first.items.len()), "{} of 16 kB each", first.items.len());
        assert_eq!(walk(&case, whose, list).await.len(), 200);
    }
}

async fn old_events_are_pruned_oldest_first(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let mut kept = Vec::new();
    for number in 0..10 {
        let owner = if number % 2 == 0 { user } else { UserId::ANONYMOUS };
        kept.push(happen(&case, owner, "one").await);
    }
    let before = kept[7].at;
    let prune =
        async |limit| write(&case, async move |tx| tx.logs().prune(before, limit).await).await.unwrap();
    assert_eq!(prune(3).await, 3);
    assert_eq!(all(&case).await, kept[3..]);
    assert_eq!(prune(100).await, 4);
    assert_eq!(all(&case).await, kept[7..]);
    assert_eq!(prune(100).await, 0);
}

/// Events that name a user in each way, beside one that does not.
async fn events_of(case: &TestDatabase, erased: UserId, other: UserId) -> [LogEvent; 5] {
    let events = [
        event(case, erased, erased, erased),
        event(case, erased, other, other),
        event(case, other, erased, other),
        event(case, other, other, erased),
        event(case, other, other, other),
    ];
    record(case, events.to_vec()).await;
    events
}

fn released([own, about, by, acting_for, others]: [LogEvent; 5]) -> [LogEvent; 5] {
    let empty = |event: LogEvent| LogEvent { request_id: None, data: CanonicalJson::object(), ..event };
    let nobodys = |event: LogEvent| LogEvent { user_id: UserId::ANONYMOUS, ..empty(event) };
    [
        nobodys(LogEvent { actor_id: None, key_id: None, acting_for_id: None, ..own }),
        nobodys(about),
        empty(LogEvent { actor_id: None, key_id: None, ..by }),
        empty(LogEvent { acting_for_id: None, ..acting_for }),
        others,
    ]
}

async fn erasing_a_user_leaves_their_events_to_nobody_and_empty(case: TestDatabase) {
    let (erased, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let events = events_of(&case, erased, other).await;
    let erase = write(&case, async move |tx| tx.users().erase(erased).await).await;
    assert_eq!(erase.unwrap(), Deletion::Done);
    assert_eq!(all(&case).await, released(events));
}

async fn many_events_are_released_in_pieces(case: TestDatabase) {
    let (erased, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let mut events = Vec::new();
    for _ in 0..7 {
        events.push(events_of(&case, erased, other).await);
    }
    let options = DatabaseOptions {
        clock: case.database.clock(),
        ids: case.database.ids(),
        rows_at_once: 5,
        ..DatabaseOptions::new(case.url.clone())
    };
    let impatient = Database::open(options).await.unwrap();
    let erase: Result<Deletion, StoreError> =
        impatient.write("erase", async move |tx| tx.users().erase(erased).await).await;
    assert_eq!(erase.unwrap(), Deletion::Marked(Marked::User(erased)));
    let untouched: Vec<LogEvent> = events.iter().map(|[.., others]| others.clone()).collect();
    assert_eq!(all(&case).await, untouched, "what names the user is not read before it is released");
    assert_eq!(walk(&case, LogOwner::User(erased), LogList::default()).await, []);
    assert_eq!(get(&case, erased, events[0][0].id).await, None);

    let mut sweep = impatient.sweep(Marked::User(erased));
    while sweep.next().await.unwrap() != Swept::Gone {}
    let expected: Vec<LogEvent> = events.into_iter().flat_map(released).collect();
    assert_eq!(all(&case).await, expected);
    impatient.close().await;
}
