//! Pages of messages: complete and in order, whatever their size, also while messages come in.

use chatstore_model::{
    ConversationId, Limit, MemberRole, Message, MessageFilter, MessageRange, NewMessage, Order, UserId,
};
use chatstore_sql::Via;
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{arbitrary_owner, arbitrary_user, messages, read, say, write};

conformance!(
    three_hundred_messages_are_paged_without_a_gap_in_both_directions,
    messages_appended_meanwhile_disturb_no_page,
    a_range_excludes_both_of_its_ends,
    around_a_number_half_come_before_it_and_the_rest_from_it_on,
    around_goes_on_where_it_ended,
    deleted_messages_leave_no_hole_in_a_page,
);

/// A conversation of so many messages, all of one instant, and a member who may read it.
async fn talk(case: &TestDatabase, count: i64) -> (UserId, ConversationId, UserId) {
    let (owner, conversation) = arbitrary_owner(case).await;
    let member = arbitrary_user(case).await;
    write(case, async move |tx| {
        tx.members().put(owner, conversation, member, MemberRole::Viewer).await?;
        let new: Vec<NewMessage> = (0..count).map(|number| NewMessage::user(number.to_string())).collect();
        tx.messages().append_many(owner, conversation, &[], &new).await
    })
    .await
    .unwrap();
    (owner, conversation, member)
}

fn seqs(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.seq).collect()
}

async fn page_all(
    case: &TestDatabase,
    by: Via,
    conversation: ConversationId,
    order: Order,
    limit: Limit,
) -> Vec<Message> {
    let mut all = Vec::new();
    let mut range = MessageRange::ALL;
    loop {
        let page =
            read(case, async move |tx| tx.messages().page(by, conversation, range, order, limit).await).await;
        assert!(page.items.len() == limit.rows() || page.next.is_none());
        assert_eq!(page.next, page.next.and(page.items.last().map(|message| message.seq)));
        all.extend(page.items);
        assert!(all.len() <= 1_000, "the list has no end");
        match page.next {
            Some(seq) => range = range.beyond(seq, order),
            None => return all,
        }
    }
}

async fn three_hundred_messages_are_paged_without_a_gap_in_both_directions(case: TestDatabase) {
    let (owner, conversation, member) = talk(&case, 300).await;
    let mut expected = messages(&case, owner, conversation).await;
    assert_eq!(seqs(&expected), (1..=300).collect::<Vec<_>>());
    for order in [Order::Ascending, Order::Descending] {
        for by in [Via::Owner(owner), Via::Member(member)] {
            for limit in [1, 2, 7, 50, 99, 100, 150, 199, 200] {
                let limit = Limit::new(limit).unwrap();
                let found = page_all(&case, by, conversation, order, limit).await;
                assert!(found == expected, "{by:?} {order:?} {limit:?}: {:?}", seqs(&found));
            }
        }
        expected.reverse();
    }
}

async fn messages_appended_meanwhile_disturb_no_page(case: TestDatabase) {
    let (owner, conversation, member) = talk(&case, 100).await;
    let limit = Limit::new(9).unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let before = messages(&case, owner, conversation).await.len();
        let mut found = Vec::new();
        let mut range = MessageRange::ALL;
        loop {
            let by = if found.len() % 2 == 0 { Via::Owner(owner) } else { Via::Member(member) };
            let page =
                read(&case, async move |tx| tx.messages().page(by, conversation, range, order, limit).await)
                    .await;
            found.extend(seqs(&page.items));
            assert!(found.len() <= 1_000, "the list has no end");
            let Some(seq) = page.next else { break };
            range = range.beyond(seq, order);
            say(&case, owner, conversation, "meanwhile").await;
        }
        let mut sorted = found.clone();
        sorted.sort_unstable();
        let last = i64::try_from(sorted.len()).unwrap();
        assert_eq!(sorted, (1..=last).collect::<Vec<_>>(), "none skipped, none twice");
        assert!(found.len() >= before);
        match order {
            Order::Ascending => assert!(found.len() > before, "what came in meanwhile is met as well"),
            Order::Descending => assert_eq!(found.len(), before),
        }
    }
}

async fn a_range_excludes_both_of_its_ends(case: TestDatabase) {
    let (owner, conversation, member) = talk(&case, 10).await;
    let limit = Limit::default();
    for by in [Via::Owner(owner), Via::Member(member)] {
        for (after, before, expected) in [
            (0, i64::MAX, (1..=10).collect::<Vec<i64>>()),
            (3, 7, vec![4, 5, 6]),
            (3, 4, vec![]),
            (7, 3, vec![]),
            (9, i64::MAX, vec![10]),
            (10, i64::MAX, vec![]),
            (i64::MIN, 2, vec![1]),
            (0, 1, vec![]),
        ] {
            let range = MessageRange { after, before };
            let mut expected = expected;
            for order in [Order::Ascending, Order::Descending] {
                let page = read(&case, async move |tx| {
                    tx.messages().page(by, conversation, range, order, limit).await
                })
                .await;
                assert_eq!(seqs(&page.items), expected, "{range:?} {order:?}");
                expected.reverse();
            }
        }
    }
}

async fn around_a_number_half_come_before_it_and_the_rest_from_it_on(case: TestDatabase) {
    let (owner, conversation, member) = talk(&case, 20).await;
    for by in [Via::Owner(owner), Via::Member(member)] {
        for (seq, limit, expected) in [
            (10, 1, 10..=10),
            (10, 2, 9..=10),
            (10, 5, 8..=12),
            (10, 6, 7..=12),
            (1, 5, 1..=5),
            (2, 5, 1..=5),
            (0, 5, 1..=5),
            (20, 5, 16..=20),
            (19, 5, 16..=20),
            (21, 5, 16..=20),
            (i64::MAX, 5, 16..=20),
            (10, 20, 1..=20),
            (10, 200, 1..=20),
        ] {
            let limit = Limit::new(limit).unwrap();
            let page = read(&case, async move |tx| {
                tx.messages().around(by, conversation, seq, &MessageFilter::ALL, limit).await
            })
            .await;
            let last = *expected.end();
            assert_eq!(seqs(&page.items), expected.collect::<Vec<i64>>(), "around {seq}, {limit:?}");
            assert_eq!(page.next, (last < 20).then_some(last), "around {seq}, {limit:?}");
        }
    }
}

async fn around_goes_on_where_it_ended(case: TestDatabase) {
    let (owner, conversation, _) = talk(&case, 20).await;
    let by = Via::Owner(owner);
    let limit = Limit::new(5).unwrap();
    let page = read(&case, async move |tx| {
        tx.messages().around(by, conversation, 10, &MessageFilter::ALL, limit).await
    })
    .await;
    let after = MessageRange { after: page.next.unwrap(), before: i64::MAX };
    let before = MessageRange { after: 0, before: page.items[0].seq };

    let up = read(&case, async move |tx| {
        tx.messages().page(by, conversation, after, Order::Ascending, Limit::MAX).await
    });
    assert_eq!(seqs(&up.await.items), (13..=20).collect::<Vec<_>>());
    let down = read(&case, async move |tx| {
        tx.messages().page(by, conversation, before, Order::Descending, Limit::MAX).await
    });
    assert_eq!(seqs(&down.await.items), (1..=7).rev().collect::<Vec<_>>());
}

async fn deleted_messages_leave_no_hole_in_a_page(case: TestDatabase) {
    let (owner, conversation, _) = talk(&case, 20).await;
    let by = Via::Owner(owner);
    for message in messages(&case, owner, conversation).await {
        if (8..=13).contains(&message.seq) {
            write(&case, async move |tx| tx.messages().delete(owner, conversation, message.id).await)
                .await
                .unwrap();
        }
    }

    let found = page_all(&case, by, conversation, Order::Ascending, Limit::new(5).unwrap()).await;
    assert_eq!(seqs(&found), (1..=7).chain(14..=20).collect::<Vec<_>>());
    let limit = Limit::new(4).unwrap();
    let page = read(&case, async move |tx| {
        tx.messages().around(by, conversation, 10, &MessageFilter::ALL, limit).await
    })
    .await;
    assert_eq!(seqs(&page.items), [6, 7, 14, 15]);
}
