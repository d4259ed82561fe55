//! Pages end by their bytes too, and go on without a gap.

use chatstore_model::{
    CanonicalJson, ConversationId, Limit, MemberRole, Message, MessageFilter, MessageRange, NewConversation,
    NewMessage, NewUser, Order, PAGE_BYTES, UserId, VerbatimJson,
};
use chatstore_sql::{ConversationList, Via};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{arbitrary_owner, arbitrary_user, name, read, write};

conformance!(
    a_page_ends_with_the_message_that_reaches_its_bytes,
    small_and_large_messages_are_paged_without_a_gap_in_both_directions,
    a_message_larger_than_a_page_is_a_page_of_its_own,
    json_counts_like_text,
    around_a_number_each_side_ends_with_half_of_the_bytes,
    what_was_sent_elsewhere_ends_by_its_bytes,
    lists_of_conversations_and_users_end_by_the_bytes_of_their_metadata,
    a_page_that_is_just_full_says_whether_more_follow,
);

const MILLION: usize = 1_000_000;

/// A conversation of messages of these sizes, and a member who may read it.
async fn talk(case: &TestDatabase, sizes: Vec<usize>) -> (UserId, ConversationId, UserId) {
    let (owner, conversation) = arbitrary_owner(case).await;
    let member = arbitrary_user(case).await;
    write(case, async move |tx| {
        tx.members().put(owner, conversation, member, MemberRole::Viewer).await?;
        for size in &sizes {
            let new = NewMessage::user("x".repeat(*size));
            tx.messages().append(Via::Owner(owner), conversation, &new).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    (owner, conversation, member)
}

fn seqs(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.seq).collect()
}

/// The numbers of each page of a conversation.
async fn pages(case: &TestDatabase, by: Via, conversation: ConversationId, order: Order) -> Vec<Vec<i64>> {
    let mut pages = Vec::new();
    let mut range = MessageRange::ALL;
    loop {
        let page =
            read(case, async move |tx| tx.messages().page(by, conversation, range, order, Limit::MAX).await)
                .await;
        pages.push(seqs(&page.items));
        assert!(pages.len() <= 100, "the list has no end");
        assert_eq!(page.next, page.next.and(page.items.last().map(|message| message.seq)));
        match page.next {
            Some(seq) => range = range.beyond(seq, order),
            None => return pages,
        }
    }
}

async fn a_page_ends_with_the_message_that_reaches_its_bytes(case: TestDatabase) {
    let (owner, conversation, member) = talk(&case, vec![MILLION; 7]).await;
    for by in [Via::Owner(owner), Via::Member(member)] {
        let ascending = pages(&case, by, conversation, Order::Ascending).await;
        assert_eq!(ascending, [vec![1, 2, 3], vec![4, 5, 6], vec![7]], "{by:?}");
        let descending = pages(&case, by, conversation, Order::Descending).await;
        assert_eq!(descending, [vec![7, 6, 5], vec![4, 3, 2], vec![1]], "{by:?}");
    }
}

async fn small_and_large_messages_are_paged_without_a_gap_in_both_directions(case: TestDatabase) {
    let sizes = (0..60).map(|number| [0, 300, 12_000, 9_000, 700_000, 40_000][number % 6]).collect();
    let (owner, conversation, _) = talk(&case, sizes).await;
    let by = Via::Owner(owner);
    let ascending = pages(&case, by, conversation, Order::Ascending).await;
    assert!(ascending.len() > 3, "{ascending:?}");
    assert_eq!(ascending.concat(), (1..=60).collect::<Vec<_>>());
    let mut descending = pages(&case, by, conversation, Order::Descending).await.concat();
    descending.reverse();
    assert_eq!(descending, (1..=60).collect::<Vec<_>>());
}

async fn a_message_larger_than_a_page_is_a_page_of_its_own(case: TestDatabase) {
    let (owner, conversation, _) = talk(&case, vec![PAGE_BYTES + 1, 5, PAGE_BYTES + 1]).await;
    let ascending = pages(&case, Via::Owner(owner), conversation, Order::Ascending).await;
    assert_eq!(ascending, [vec![1], vec![2, 3]]);
}

async fn json_counts_like_text(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    write(&case, async move |tx| {
        for _ in 0..5 {
            // Text that does not compress, as an image in a message does not.
            let mut state = 1_u64;
            let text: String = (0..MILLION)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    char::from(b'0' + u8::try_from(state >> 58).unwrap())
                })
                .collect();
            let text = text.replace('\\', "/");
            let parts = VerbatimJson::parse(format!(r#"[{{"image":"{text}"}}]"#)).unwrap();
            let new = NewMessage { parts: Some(parts), ..NewMessage::user("look") };
            tx.messages().append(Via::Owner(owner), conversation, &new).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let pages = pages(&case, Via::Owner(owner), conversation, Order::Ascending).await;
    assert!(pages.iter().all(|page| (1..=3).contains(&page.len())), "{pages:?}");
    assert_eq!(pages.concat(), [1, 2, 3, 4, 5]);
}

async fn around_a_number_each_side_ends_with_half_of_the_bytes(case: TestDatabase) {
    let (owner, conversation, _) = talk(&case, vec![MILLION / 2; 12]).await;
    let page = read(&case, async move |tx| {
        tx.messages().around(Via::Owner(owner), conversation, 7, &MessageFilter::ALL, Limit::MAX).await
    })
    .await;
    assert_eq!((seqs(&page.items), page.next), (vec![4, 5, 6, 7, 8, 9], Some(9)));
}

async fn what_was_sent_elsewhere_ends_by_its_bytes(case: TestDatabase) {
    let (owner, conversation, _) = talk(&case, Vec::new()).await;
    let editor = arbitrary_user(&case).await;
    write(&case, async move |tx| {
        tx.members().put(owner, conversation, editor, MemberRole::Editor).await?;
        for _ in 0..5 {
            let new = NewMessage::user("x".repeat(MILLION));
            tx.messages().append(Via::Member(editor), conversation, &new).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let first =
        read(&case, async move |tx| tx.messages().sent_elsewhere(editor, None, Limit::MAX).await).await;
    assert_eq!(seqs(&first.items), [1, 2, 3]);
    let from = first.next.expect("more follow");
    let second =
        read(&case, async move |tx| tx.messages().sent_elsewhere(editor, Some(&from), Limit::MAX).await)
            .await;
    assert_eq!((seqs(&second.items), second.next), (vec![4, 5], None));
}

async fn lists_of_conversations_and_users_end_by_the_bytes_of_their_metadata(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    let metadata = CanonicalJson::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(60_000))).unwrap();
    write(&case, async move |tx| {
        for number in 0..50 {
            let metadata = metadata.clone();
            let new = NewConversation { metadata: metadata.clone(), ..NewConversation::titled("Trip") };
            tx.conversations().create(owner, &new).await?;
            let user = NewUser { metadata, ..NewUser::named(name(&format!("user {number:02}"))) };
            tx.users().create(&user).await?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let list = ConversationList { limit: Limit::MAX, ..ConversationList::default() };
    let whole = list.clone();
    let first = read(&case, async move |tx| tx.conversations().page(owner, &whole).await).await;
    assert_eq!(first.items.len(), 35);
    let from = first.next.expect("more follow");
    let list = ConversationList { from: Some(from), ..list };
    let second = read(&case, async move |tx| tx.conversations().page(owner, &list).await).await;
    assert_eq!((second.items.len(), second.next), (15, None));

    let users = read(&case, async |tx| {
        tx.users().page(chatstore_model::UserFilter::default(), Order::Descending, None, Limit::MAX).await
    })
    .await;
    assert!((35..=36).contains(&users.items.len()) && users.next.is_some(), "{}", users.items.len());
}

async fn a_page_that_is_just_full_says_whether_more_follow(case: TestDatabase) {
    let (owner, conversation, _) = talk(&case, vec![PAGE_BYTES + 1]).await;
    assert_eq!(pages(&case, Via::Owner(owner), conversation, Order::Ascending).await, [vec![1]]);
    assert_eq!(pages(&case, Via::Owner(owner), conversation, Order::Descending).await, [vec![1]]);
}
