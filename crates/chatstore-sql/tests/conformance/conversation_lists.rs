//! Lists of conversations: complete and in order, whatever the page's size.

use std::collections::HashSet;
use std::time::Duration;

use chatstore_model::{
    ArchivedFilter, Change, Conversation, ConversationFilter, ConversationId, ConversationPatch,
    ConversationPosition, ConversationRole, ConversationSort, Limit, MemberRole, Membership, NewConversation,
    Order, Page, Timestamp, UserId,
};
use chatstore_sql::{ConversationList, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};
use uuid::Uuid;

use crate::fixtures::{arbitrary_conversation, arbitrary_owner, arbitrary_user, later, read, say, write};

conformance!(
    owned_conversations_with_equal_times_are_paged_without_a_gap,
    shared_conversations_with_equal_times_are_paged_without_a_gap,
    owned_and_shared_conversations_are_paged_together_without_a_gap,
    conversations_added_meanwhile_disturb_no_list_by_creation,
    a_conversation_written_to_moves_to_the_front_by_activity,
    an_offset_passes_over_the_first_rows,
    a_list_says_as_what_the_user_is_in_each_conversation,
    conversations_are_counted_by_membership,
    archived_conversations_are_listed_and_counted_when_asked_for,
    a_list_of_both_kinds_is_paged_in_order_with_an_offset,
    a_list_holds_nothing_of_strangers,
);

type Rows = Page<(Conversation, ConversationRole), ConversationPosition>;

async fn page(case: &TestDatabase, user: UserId, list: ConversationList) -> Rows {
    read(case, async move |tx| tx.conversations().page(user, &list).await).await
}

/// What is expected of a list: sort time, then id.
type Row = (Timestamp, Uuid);

/// 300 conversations in few groups of equal times, half of them shared with the reader when asked
/// for; activity does not follow creation.
async fn many(case: &TestDatabase, owned: usize, shared: usize) -> UserId {
    let user = arbitrary_user(case).await;
    let other = arbitrary_user(case).await;
    let clock = case.clock.clone();
    write(case, async move |tx| {
        let mut all = Vec::new();
        for number in 0..owned + shared {
            if number % 60 == 59 {
                clock.advance(Duration::from_micros(1));
            }
            let owner = if number % 2 == 0 && shared > 0 || owned == 0 { other } else { user };
            let conversation = tx.conversations().create(owner, &NewConversation::default()).await?;
            if owner == other {
                tx.members().put(owner, conversation.id, user, MemberRole::Viewer).await?;
            }
            all.push(conversation);
        }
        let patch = ConversationPatch { title: Change::Set("touched".to_owned()), ..Default::default() };
        for (number, conversation) in all.iter().enumerate() {
            if number % 100 == 0 {
                clock.advance(Duration::from_micros(1));
            }
            if number % 7 < 5 {
                tx.conversations().update(conversation.owner_id, conversation.id, &patch).await?;
            }
        }
        Ok(())
    })
    .await
    .unwrap();
    user
}

fn row(conversation: &Conversation, sort: ConversationSort) -> Row {
    let at = match sort {
        ConversationSort::Activity => conversation.updated_at,
        ConversationSort::Creation => conversation.created_at,
    };
    (at, conversation.id.uuid())
}

/// Pages through a list to its end.
async fn page_all(case: &TestDatabase, user: UserId, mut list: ConversationList) -> Vec<Row> {
    let mut all = Vec::new();
    loop {
        let page = page(case, user, list.clone()).await;
        assert!(page.items.len() == list.limit.rows() || page.next.is_none());
        all.extend(page.items.iter().map(|(conversation, _)| row(conversation, list.sort)));
        assert!(all.len() <= 1_000, "the list has no end");
        list.from = page.next;
        if list.from.is_none() {
            return all;
        }
    }
}

async fn assert_pages(case: &TestDatabase, user: UserId, membership: Membership) {
    for sort in [ConversationSort::Activity, ConversationSort::Creation] {
        let whole = ConversationList {
            filter: membership.into(),
            sort,
            limit: Limit::MAX,
            ..ConversationList::default()
        };
        let mut expected = page_all(case, user, whole.clone()).await;
        assert_eq!(expected.iter().map(|(_, id)| id).collect::<HashSet<_>>().len(), 300);
        let times: HashSet<Timestamp> = expected.iter().map(|(at, _)| *at).collect();
        assert!((4..12).contains(&times.len()), "{} different times", times.len());
        expected.sort_unstable();
        for order in [Order::Ascending, Order::Descending] {
            for limit in [1, 7, 50, 149, 150, 200] {
                let list = ConversationList { order, limit: Limit::new(limit).unwrap(), ..whole.clone() };
                let found = page_all(case, user, list).await;
                assert!(found == expected, "{membership:?} {sort:?} {order:?} {limit}: {found:?}");
            }
            expected.reverse();
        }
    }
}

async fn owned_conversations_with_equal_times_are_paged_without_a_gap(case: TestDatabase) {
    let user = many(&case, 300, 0).await;
    assert_pages(&case, user, Membership::Owned).await;
}

async fn shared_conversations_with_equal_times_are_paged_without_a_gap(case: TestDatabase) {
    let user = many(&case, 0, 300).await;
    assert_pages(&case, user, Membership::Shared).await;
}

async fn owned_and_shared_conversations_are_paged_together_without_a_gap(case: TestDatabase) {
    let user = many(&case, 150, 150).await;
    assert_pages(&case, user, Membership::All).await;
}

async fn share_another(case: &TestDatabase, user: UserId) {
    let (owner, shared) = arbitrary_owner(case).await;
    write(case, async move |tx| tx.members().put(owner, shared, user, MemberRole::Editor).await)
        .await
        .unwrap();
}

async fn conversations_added_meanwhile_disturb_no_list_by_creation(case: TestDatabase) {
    let user = many(&case, 150, 150).await;
    for membership in [Membership::Owned, Membership::Shared, Membership::All] {
        for order in [Order::Ascending, Order::Descending] {
            let limit = Limit::new(40).unwrap();
            let sort = ConversationSort::Creation;
            let mut list =
                ConversationList { filter: membership.into(), sort, order, limit, ..Default::default() };
            let before = page_all(&case, user, ConversationList { limit: Limit::MAX, ..list.clone() }).await;
            assert!(before.len() >= 150);
            let mut found = Vec::new();
            loop {
                let page = page(&case, user, list.clone()).await;
                found.extend(page.items.iter().map(|(conversation, _)| row(conversation, sort)));
                list.from = page.next;
                assert!(found.len() <= 1_000, "the list has no end");
                if list.from.is_none() {
                    break;
                }
                later(&case);
                arbitrary_conversation(&case, user).await;
                share_another(&case, user).await;
            }
            let seen: HashSet<Row> = found.iter().copied().collect();
            assert_eq!(seen.len(), found.len(), "{membership:?} {order:?}: none twice");
            assert!(before.iter().all(|row| seen.contains(row)), "{membership:?} {order:?}: none skipped");
        }
    }
}

async fn a_conversation_written_to_moves_to_the_front_by_activity(case: TestDatabase) {
    let user = arbitrary_user(&case).await;
    let mut ids: Vec<ConversationId> = Vec::new();
    for _ in 0..3 {
        later(&case);
        ids.push(arbitrary_conversation(&case, user).await);
    }
    later(&case);
    say(&case, user, ids[0], "hello").await;

    let listed = async |sort| {
        let list = ConversationList { sort, ..ConversationList::default() };
        let items = page(&case, user, list).await.items;
        items.into_iter().map(|(conversation, _)| conversation.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(ConversationSort::Activity).await, [ids[0], ids[2], ids[1]]);
    assert_eq!(listed(ConversationSort::Creation).await, [ids[2], ids[1], ids[0]]);
}

async fn an_offset_passes_over_the_first_rows(case: TestDatabase) {
    let user = many(&case, 150, 150).await;
    for membership in [Membership::Owned, Membership::Shared, Membership::All] {
        for sort in [ConversationSort::Activity, ConversationSort::Creation] {
            for order in [Order::Ascending, Order::Descending] {
                let whole = ConversationList {
                    filter: membership.into(),
                    sort,
                    order,
                    ..ConversationList::default()
                };
                let all = page_all(&case, user, whole.clone()).await;
                for offset in [0, 1, 149, 150, 200, 299, 300, 2_147_483_647] {
                    let list = ConversationList { offset, limit: Limit::new(20).unwrap(), ..whole.clone() };
                    let found = page(&case, user, list).await;
                    let rows: Vec<Row> =
                        found.items.iter().map(|(conversation, _)| row(conversation, sort)).collect();
                    let skipped = all.len().min(offset as usize);
                    let end = all.len().min(skipped + 20);
                    assert_eq!(rows, all[skipped..end], "{membership:?} {sort:?} {order:?} {offset}");
                    assert_eq!(found.next.is_some(), end < all.len());
                }
            }
        }
    }
}

async fn a_list_says_as_what_the_user_is_in_each_conversation(case: TestDatabase) {
    let (user, other) = (arbitrary_user(&case).await, arbitrary_user(&case).await);
    let own = arbitrary_conversation(&case, user).await;
    let edited = arbitrary_conversation(&case, other).await;
    let viewed = arbitrary_conversation(&case, other).await;
    write(&case, async move |tx: &mut WriteTx<'_>| {
        tx.members().put(other, edited, user, MemberRole::Editor).await?;
        tx.members().put(other, viewed, user, MemberRole::Viewer).await
    })
    .await
    .unwrap();

    let roles = async |membership: Membership| {
        let list = ConversationList { filter: membership.into(), ..ConversationList::default() };
        let items = page(&case, user, list).await.items;
        let mut roles: Vec<(ConversationId, ConversationRole)> =
            items.into_iter().map(|(conversation, role)| (conversation.id, role)).collect();
        roles.sort_unstable_by_key(|(id, _)| *id);
        roles
    };
    let mut expected = vec![
        (own, ConversationRole::Owner),
        (edited, ConversationRole::Editor),
        (viewed, ConversationRole::Viewer),
    ];
    expected.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(roles(Membership::All).await, expected);
    assert_eq!(roles(Membership::Owned).await, [(own, ConversationRole::Owner)]);
    expected.retain(|(id, _)| *id != own);
    assert_eq!(roles(Membership::Shared).await, expected);
}

async fn conversations_are_counted_by_membership(case: TestDatabase) {
    let user = many(&case, 4, 4).await;
    arbitrary_conversation(&case, user).await;
    for (membership, count) in [(Membership::Owned, 5), (Membership::Shared, 4), (Membership::All, 9)] {
        let counted =
            read(&case, async move |tx| tx.conversations().count(user, &membership.into()).await).await;
        assert_eq!(counted, count, "{membership:?}");
    }
}

/// Archives every third of a user's conversations, owned and shared; how many.
async fn archive_some(case: &TestDatabase, user: UserId) -> usize {
    let whole = ConversationList { sort: ConversationSort::Creation, ..ConversationList::default() };
    let mut all = Vec::new();
    let mut list = ConversationList { limit: Limit::MAX, ..whole.clone() };
    loop {
        let page = page(case, user, list.clone()).await;
        all.extend(page.items.into_iter().map(|(conversation, _)| conversation));
        list.from = page.next;
        if list.from.is_none() {
            break;
        }
    }
    let chosen: Vec<Conversation> = all.into_iter().step_by(3).collect();
    let count = chosen.len();
    later(case);
    write(case, async move |tx| {
        let patch = ConversationPatch { archived: Some(true), ..ConversationPatch::default() };
        for conversation in &chosen {
            tx.conversations().update(conversation.owner_id, conversation.id, &patch).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    count
}

async fn archived_conversations_are_listed_and_counted_when_asked_for(case: TestDatabase) {
    let user = many(&case, 30, 30).await;
    let total = archive_some(&case, user).await;
    for membership in [Membership::Owned, Membership::Shared, Membership::All] {
        let mut counts = Vec::new();
        for archived in ArchivedFilter::ALL {
            let filter = ConversationFilter { membership, archived, ..ConversationFilter::EVERYTHING };
            let list = ConversationList { filter: filter.clone(), limit: Limit::MAX, ..Default::default() };
            let of_count = filter.clone();
            let items = page(&case, user, list).await.items;
            let matches = |conversation: &Conversation| match archived {
                ArchivedFilter::Unarchived => conversation.archived_at.is_none(),
                ArchivedFilter::Archived => conversation.archived_at.is_some(),
                ArchivedFilter::All => true,
            };
            assert!(items.iter().all(|(conversation, _)| matches(conversation)), "{filter:?}");
            let counted = read(&case, async move |tx| tx.conversations().count(user, &of_count).await).await;
            assert_eq!(counted, i64::try_from(items.len()).unwrap(), "{filter:?}");
            counts.push(items.len());
        }
        assert_eq!(counts[0] + counts[1], counts[2], "{membership:?}");
        assert!(counts[0] > 0 && counts[1] > 0);
        if membership == Membership::All {
            assert_eq!((counts[1], counts[2]), (total, 60));
        }
    }
}

async fn a_list_of_both_kinds_is_paged_in_order_with_an_offset(case: TestDatabase) {
    let user = many(&case, 40, 40).await;
    archive_some(&case, user).await;
    for membership in [Membership::Owned, Membership::All] {
        for archived in [ArchivedFilter::Archived, ArchivedFilter::All] {
            let filter = ConversationFilter { membership, archived, ..ConversationFilter::EVERYTHING };
            for sort in [ConversationSort::Activity, ConversationSort::Creation] {
                let whole = ConversationList {
                    filter: filter.clone(),
                    sort,
                    order: Order::Ascending,
                    limit: Limit::MAX,
                    ..ConversationList::default()
                };
                let expected = page_all(&case, user, whole.clone()).await;
                let mut sorted = expected.clone();
                sorted.sort_unstable();
                assert_eq!(expected, sorted, "{filter:?} {sort:?}");
                let paged = ConversationList { limit: Limit::new(7).unwrap(), ..whole.clone() };
                assert_eq!(page_all(&case, user, paged).await, expected, "{filter:?} {sort:?}");
                let offset = ConversationList { offset: 5, ..whole.clone() };
                let found = page(&case, user, offset).await.items;
                let rows: Vec<Row> = found.iter().map(|(conversation, _)| row(conversation, sort)).collect();
                assert_eq!(rows, expected[5..], "{filter:?} {sort:?}");
            }
        }
    }
}

async fn a_list_holds_nothing_of_strangers(case: TestDatabase) {
    many(&case, 4, 4).await;
    let stranger = arbitrary_user(&case).await;
    for membership in [Membership::Owned, Membership::Shared, Membership::All] {
        for sort in [ConversationSort::Activity, ConversationSort::Creation] {
            for order in [Order::Ascending, Order::Descending] {
                let list = ConversationList {
                    filter: membership.into(),
                    sort,
                    order,
                    ..ConversationList::default()
                };
                assert_eq!(page(&case, stranger, list).await, Page { items: vec![], next: None });
            }
        }
        let every = ConversationFilter { membership, ..ConversationFilter::EVERYTHING };
        let count = read(&case, async move |tx| tx.conversations().count(stranger, &every).await).await;
        assert_eq!(count, 0);
    }
}
