//! Lists of conversations that a filter compares, by thread id, and of all users.

use chatstore_model::{
    ArchivedFilter, CanonicalJson, Conversation, ConversationFilter, ConversationId, ConversationPatch,
    ConversationSort, JsonFilter, Limit, MemberRole, Membership, NewConversation, NewUser, Order,
    OwnedPosition, ThreadPosition, Timestamp, UserId, UserRole,
};
use chatstore_sql::{ConversationList, Deletion, Owners, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{arbitrary_user, create_conversation, create_user, later, name, read, say, write};

conformance!(
    a_filter_takes_and_counts_what_it_names_and_nothing_else,
    a_filtered_list_is_paged_in_order_without_a_gap,
    ids_name_conversations_that_the_user_can_reach_and_no_others,
    threads_that_begin_alike_are_paged_by_thread_id,
    threads_that_begin_alike_are_deleted_and_no_others,
    conversations_of_all_users_are_paged_by_owner_without_those_of_administrators,
);

/// Conversations of two users: some shared with `user`, some archived, in three colors and with titles.
struct World {
    user: UserId,
    all: Vec<(Conversation, Membership)>,
}

async fn world(case: &TestDatabase, count: usize) -> World {
    let (user, other) = (arbitrary_user(case).await, arbitrary_user(case).await);
    let mut all = Vec::new();
    for number in 0..count {
        later(case);
        let membership = if number % 3 == 1 { Membership::Shared } else { Membership::Owned };
        let owner = if membership == Membership::Owned { user } else { other };
        let color = ["red", "green", "blue"][number % 7 % 3];
        let metadata =
            format!(r#"{{"color": "{color}", "tags": ["t{}", "x"], "n": {}.0}}"#, number % 5, number % 2);
        let new = NewConversation {
            title: (number % 4 != 3).then(|| format!("Trip {number} TO Ärhus")),
            metadata: CanonicalJson::parse(&metadata).unwrap(),
            ..NewConversation::default()
        };
        let id = create_conversation(case, owner, new).await.unwrap().id;
        let is_archived = number % 4 == 2;
        let conversation = write(case, async move |tx| {
            if owner != user {
                tx.members().put(owner, id, user, MemberRole::Viewer).await?;
            }
            let patch = ConversationPatch { archived: Some(is_archived), ..ConversationPatch::default() };
            tx.conversations().update(owner, id, &patch).await
        });
        all.push((conversation.await.unwrap(), membership));
    }
    World { user, all }
}

fn json(text: &str) -> Option<JsonFilter> {
    Some(JsonFilter::parse(text).unwrap())
}

/// What a filter takes of a world, told in another way than by the repository.
fn expected(world: &World, filter: &ConversationFilter) -> Vec<ConversationId> {
    let takes = |(conversation, membership): &&(Conversation, Membership)| {
        let metadata = conversation.metadata.to_value();
        let has = |wanted: &JsonFilter| match wanted.value().as_str() {
            r#"{"color":"red"}"# => metadata["color"] == "red",
            r#"{"tags":["t2"]}"# => metadata["tags"][0] == "t2",
            r#"{"n":1}"# => metadata["n"] == 1,
            other => panic!("{other}"),
        };
        let title = conversation.title.as_deref().unwrap_or_default();
        let has_title = |part: &String| match part.as_str() {
            "trip 1" | "TRIP 1" => title.starts_with("Trip 1"),
            "to Ärhus" => !title.is_empty(),
            "to ärhus" | "%" => false,
            other => panic!("{other}"),
        };
        (filter.membership == Membership::All || filter.membership == *membership)
            && match filter.archived {
                ArchivedFilter::All => true,
                ArchivedFilter::Archived => conversation.archived_at.is_some(),
                ArchivedFilter::Unarchived => conversation.archived_at.is_none(),
            }
            && filter.metadata_contains.as_ref().is_none_or(has)
            && filter.title_contains.as_ref().is_none_or(has_title)
            && filter.updated_since.is_none_or(|since| conversation.updated_at >= since)
            && filter.ids.as_ref().is_none_or(|ids| ids.contains(&conversation.id))
    };
    world.all.iter().filter(takes).map(|(conversation, _)| conversation.id).collect()
}

/// Every combination of membership and archive with each of some conditions.
fn filters(world: &World) -> Vec<ConversationFilter> {
    let since = world.all[world.all.len() / 2].0.updated_at;
    let texts = ["trip 1", "TRIP 1", "to Ärhus", "to ärhus", "%"];
    let titled = texts.iter().map(|text| (None, Some((*text).to_owned()), None));
    let contained = [r#"{"color":"red"}"#, r#"{"tags":["t2"]}"#, r#"{"n":1}"#];
    let conditions = contained
        .iter()
        .map(|text| (json(text), None, None))
        .chain(titled)
        .chain([(None, None, Some(since)), (json(contained[0]), Some("trip 1".to_owned()), Some(since))]);
    let mut filters = Vec::new();
    for (metadata_contains, title_contains, updated_since) in conditions {
        for membership in [Membership::All, Membership::Owned, Membership::Shared] {
            for archived in [ArchivedFilter::Unarchived, ArchivedFilter::Archived, ArchivedFilter::All] {
                filters.push(ConversationFilter {
                    membership,
                    archived,
                    ids: None,
                    metadata_contains: metadata_contains.clone(),
                    title_contains: title_contains.clone(),
                    updated_since,
                });
            }
        }
    }
    filters
}

async fn all_pages(case: &TestDatabase, user: UserId, list: &ConversationList) -> Vec<ConversationId> {
    let (mut list, mut found) = (list.clone(), Vec::new());
    loop {
        let of_page = list.clone();
        let page = read(case, async move |tx| tx.conversations().page(user, &of_page).await).await;
        assert!(page.items.len() == list.limit.rows() || page.next.is_none(), "{list:?}");
        found.extend(page.items.into_iter().map(|(conversation, _)| conversation.id));
        assert!(found.len() < 1_000, "the list has no end");
        list.from = page.next;
        if list.from.is_none() {
            return found;
        }
    }
}

async fn a_filter_takes_and_counts_what_it_names_and_nothing_else(case: TestDatabase) {
    let world = world(&case, 40).await;
    for filter in filters(&world) {
        let expected = expected(&world, &filter);
        let list = ConversationList {
            filter: filter.clone(),
            sort: ConversationSort::Creation,
            order: Order::Ascending,
            limit: Limit::MAX,
            ..ConversationList::default()
        };
        assert_eq!(all_pages(&case, world.user, &list).await, expected, "{filter:?}");
        let (user, counted) = (world.user, filter.clone());
        let count = read(&case, async move |tx| tx.conversations().count(user, &counted).await).await;
        assert_eq!(count, i64::try_from(expected.len()).unwrap(), "{filter:?}");
    }
}

async fn a_filtered_list_is_paged_in_order_without_a_gap(case: TestDatabase) {
    let world = world(&case, 60).await;
    let filter = ConversationFilter {
        metadata_contains: json(r#"{"color":"red"}"#),
        ..ConversationFilter::EVERYTHING
    };
    let mut expected = expected(&world, &filter);
    assert!(expected.len() > 20);
    for order in [Order::Ascending, Order::Descending] {
        for sort in [ConversationSort::Activity, ConversationSort::Creation] {
            for limit in [1, 7, 20, 200] {
                let limit = Limit::new(limit).unwrap();
                let list =
                    ConversationList { filter: filter.clone(), sort, order, limit, from: None, offset: 0 };
                assert_eq!(
                    all_pages(&case, world.user, &list).await,
                    expected,
                    "{sort:?} {order:?} {limit:?}"
                );
            }
        }
        expected.reverse();
    }
}

async fn ids_name_conversations_that_the_user_can_reach_and_no_others(case: TestDatabase) {
    let world = world(&case, 20).await;
    let stranger = arbitrary_user(&case).await;
    let foreign = create_conversation(&case, stranger, NewConversation::titled("Trip 1")).await.unwrap().id;
    let ids = world.all.iter().step_by(2).map(|(conversation, _)| conversation.id).chain([foreign]);
    let ids: Vec<ConversationId> = ids.collect();
    for base in filters(&world).into_iter().step_by(4) {
        let filter = ConversationFilter { ids: Some(ids.clone()), ..base };
        let expected = expected(&world, &filter);
        for limit in [3, 200] {
            let list = ConversationList {
                filter: filter.clone(),
                sort: ConversationSort::Creation,
                order: Order::Ascending,
                limit: Limit::new(limit).unwrap(),
                ..ConversationList::default()
            };
            assert_eq!(all_pages(&case, world.user, &list).await, expected, "{filter:?}");
        }
        let user = world.user;
        let count = read(&case, async move |tx| tx.conversations().count(user, &filter).await).await;
        assert_eq!(count, i64::try_from(expected.len()).unwrap());
    }
}

async fn thread(case: &TestDatabase, owner: UserId, thread_id: &str) -> ConversationId {
    create_conversation(case, owner, NewConversation::thread(thread_id)).await.unwrap().id
}

async fn pages_of_threads(
    case: &TestDatabase,
    user: UserId,
    prefix: &'static str,
    filter: &ConversationFilter,
    limit: u16,
) -> Vec<String> {
    let (mut from, mut found): (Option<ThreadPosition>, Vec<String>) = (None, Vec::new());
    loop {
        let (filter, limit) = (filter.clone(), Limit::new(limit).unwrap());
        let of_page = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
            tx.conversations().page_of_threads(user, prefix, &filter, from.as_ref(), limit).await
        };
        let page = read(case, of_page).await;
        found.extend(page.items.into_iter().filter_map(|(conversation, _)| conversation.thread_id));
        from = page.next;
        if from.is_none() {
            return found;
        }
    }
}

async fn threads_that_begin_alike_are_paged_by_thread_id(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let inside = [
        "p|",
        "p| ",
        "p|1",
        "p|1 ",
        "p|10",
        "p|1|",
        "p|2",
        "p|A",
        "p|a",
        "p|ä",
        "p|知",
        "p|\u{10ffff}",
        "p|\u{1f6b2}",
    ];
    for thread_id in inside.iter().chain(&["p", "P|1", "p{", "o|9", "pp", "ä"]) {
        thread(&case, user, thread_id).await;
    }
    thread(&case, other, "p|other").await;
    create_conversation(&case, user, NewConversation::default()).await.unwrap();
    let mut expected: Vec<String> = inside.iter().map(|text| (*text).to_owned()).collect();
    expected.sort();
    let unarchived = ConversationFilter::default();
    for limit in [1, 2, 5, 200] {
        assert_eq!(pages_of_threads(&case, user, "p|", &unarchived, limit).await, expected, "{limit}");
    }
    let count = read(&case, async move |tx| {
        tx.conversations().count_of_threads(user, "p|", &ConversationFilter::default()).await
    });
    assert_eq!(count.await, i64::try_from(expected.len()).unwrap());
    assert_eq!(pages_of_threads(&case, user, "p|1", &unarchived, 2).await, ["p|1", "p|1 ", "p|10", "p|1|"]);
    let titled = ConversationFilter { title_contains: Some("x".to_owned()), ..unarchived };
    assert_eq!(pages_of_threads(&case, user, "p|", &titled, 2).await, Vec::<String>::new());
}

async fn threads_that_begin_alike_are_deleted_and_no_others(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    for number in 0..45 {
        let id = thread(&case, user, &format!("p|{number:02}")).await;
        say(&case, user, id, "hello").await;
    }
    let kept = [thread(&case, user, "p").await, thread(&case, user, "q|1").await];
    let (mut deleted, mut from, mut rounds) = (0, None, 0);
    loop {
        let behind: Option<ThreadPosition> = from.take();
        let work = async move |tx: &mut chatstore_sql::WriteTx<'_>| {
            tx.conversations().delete_some_threads(user, "p|", behind.as_ref()).await
        };
        let piece = write(&case, work).await.unwrap();
        assert_eq!(piece.deletion, Deletion::Done);
        (deleted, rounds) = (deleted + piece.count, rounds + 1);
        from = piece.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((deleted, rounds), (45, 3), "in pieces of 20");
    for id in kept {
        let found = read(&case, async move |tx| tx.conversations().get(Via::Owner(user), id).await).await;
        assert!(found.is_some());
    }
    let left = ConversationFilter::EVERYTHING;
    assert_eq!(read(&case, async move |tx| tx.conversations().count(user, &left).await).await, 2);
}

async fn conversations_of_all_users_are_paged_by_owner_without_those_of_administrators(case: TestDatabase) {
    let admin = NewUser { role: UserRole::Admin, ..NewUser::named(name("root")) };
    let admin = create_user(&case, admin).await.unwrap().id;
    let (ada, ben) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let mut ids = Vec::new();
    for (owner, thread_id) in
        [(admin, "a|1"), (ada, "a|1"), (ada, "b|1"), (ben, "a|2"), (ben, "a|3"), (UserId::ANONYMOUS, "a|4")]
    {
        ids.push((owner, thread(&case, owner, thread_id).await, thread_id));
    }
    for owners in [Owners::All, Owners::ButAdmins] {
        for prefix in [None, Some("a|"), Some("c")] {
            let mut expected: Vec<_> = ids
                .iter()
                .filter(|(owner, ..)| owners == Owners::All || *owner != admin)
                .filter(|(.., thread_id)| prefix.is_none_or(|prefix| thread_id.starts_with(prefix)))
                .map(|(owner, id, _)| (owner.uuid(), id.uuid()))
                .collect();
            expected.sort();
            for limit in [1, 2, 200] {
                let (mut from, mut found): (Option<OwnedPosition>, Vec<_>) = (None, Vec::new());
                loop {
                    let limit = Limit::new(limit).unwrap();
                    let of_page = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
                        let filter = ConversationFilter::EVERYTHING;
                        tx.conversations().page_of_all(owners, prefix, &filter, from, limit).await
                    };
                    let page = read(&case, of_page).await;
                    let places = page.items.iter().map(|(one, _)| (one.owner_id.uuid(), one.id.uuid()));
                    found.extend(places);
                    from = page.next;
                    if from.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{owners:?} {prefix:?} {limit}");
            }
            let count = read(&case, async move |tx| {
                tx.conversations().count_of_all(owners, prefix, &ConversationFilter::EVERYTHING).await
            });
            assert_eq!(count.await, i64::try_from(expected.len()).unwrap());
        }
    }
    let since = ConversationFilter { updated_since: Some(Timestamp::MAX), ..ConversationFilter::EVERYTHING };
    let of_none = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
        tx.conversations().count_of_all(Owners::All, None, &since).await
    };
    assert_eq!(read(&case, of_none).await, 0);
}
