//! Walks at every limit, over rows of one instant, while rows are added: none skipped and none twice.

use std::collections::HashSet;

use chatstore::{
    ConversationId, ConversationList, ConversationSort, Limit, MemberRole, Membership, NewConversation,
    NewMessage, Order, PageRequest, UserId,
};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;

use crate::support::{Person, Server};

conformance!(
    a_walk_over_conversations_at_any_limit_meets_each_once,
    a_walk_over_messages_at_any_limit_meets_each_once,
);

const ROWS: usize = 1000;
const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];

/// Creates this number of conversations, half of them others' that the person is a member of.
async fn make(server: &Server, person: &Person, other: &Person, count: usize) -> Vec<ConversationId> {
    let one = async |number: usize| {
        let owner = if number.is_multiple_of(2) { person } else { other };
        let chat = server.store.as_user(owner.id);
        let id = chat.conversations().create(NewConversation::default()).await.unwrap().id;
        if !number.is_multiple_of(2) {
            chat.members().put(id, person.id, MemberRole::Viewer).await.unwrap();
        }
        id
    };
    join_all((0..count).map(one)).await
}

async fn a_walk_over_conversations_at_any_limit_meets_each_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let there: HashSet<ConversationId> = make(&server, &ada, &eve, ROWS).await.into_iter().collect();
    for rows in 1..=200 {
        for order in ORDERS {
            let met = walk_conversations(&server, ada.id, order, Limit::new(rows).unwrap(), async || {
                make(&server, &ada, &eve, 2).await;
            });
            assert_met(met.await, &there, rows);
        }
    }
}

/// The ids on all pages; after the first something happens.
async fn walk_conversations(
    server: &Server,
    user: UserId,
    order: Order,
    limit: Limit,
    meanwhile: impl AsyncFn(),
) -> Vec<ConversationId> {
    let (mut met, mut from) = (Vec::new(), None);
    loop {
        let (membership, sort) = (Membership::All, ConversationSort::Creation);
        let list = ConversationList {
            filter: membership.into(),
            sort,
            order,
            from,
            limit,
            ..ConversationList::default()
        };
        let page = server.store.as_user(user).conversations().page(list).await.unwrap();
        if met.is_empty() {
            meanwhile().await;
        }
        met.extend(page.items.into_iter().map(|(conversation, _)| conversation.id));
        assert!(met.len() <= 2 * ROWS, "the walk has an end");
        match page.next {
            Some(next) => from = Some(next),
            None => return met,
        }
    }
}

async fn a_walk_over_messages_at_any_limit_meets_each_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = server.store.as_user(ada.id).messages();
    let id = server.conversation(&ada).await.rsplit('/').next().unwrap().parse().unwrap();
    let mut there = HashSet::new();
    for _ in 0..ROWS / 200 {
        let created = messages.append_many(id, vec![NewMessage::user("x"); 200]).await.unwrap();
        there.extend(created.into_iter().map(|message| message.seq));
    }
    for rows in 1..=200 {
        for order in ORDERS {
            let (mut met, mut from) = (Vec::new(), None);
            loop {
                let request = match order {
                    Order::Ascending => PageRequest::oldest(rows).after(from.unwrap_or(0)),
                    Order::Descending => PageRequest::newest(rows).before(from.unwrap_or(i64::MAX)),
                };
                let page = messages.page(id, request).await.unwrap();
                if met.is_empty() {
                    messages.append(id, NewMessage::user("later")).await.unwrap();
                }
                met.extend(page.items.into_iter().map(|message| message.seq));
                assert!(met.len() <= 2 * ROWS, "the walk has an end");
                match page.next {
                    Some(next) => from = Some(next),
                    None => break,
                }
            }
            let is_sorted = match order {
                Order::Ascending => met.is_sorted(),
                Order::Descending => met.iter().rev().is_sorted(),
            };
            assert!(is_sorted, "limit {rows}");
            assert_met(met, &there, rows);
        }
    }
}

fn assert_met<T: Copy + Eq + std::hash::Hash>(met: Vec<T>, there: &HashSet<T>, limit: u16) {
    let distinct: HashSet<T> = met.iter().copied().collect();
    assert_eq!(distinct.len(), met.len(), "none twice at limit {limit}");
    assert_eq!(there.difference(&distinct).count(), 0, "none skipped at limit {limit}");
}
