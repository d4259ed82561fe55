//! Usage: booked by day and model on the owner, and kept whatever becomes of the conversation.

use chatstore_model::{Day, MessageId, NewModelResponse, NewReply, Timestamp, UsageRow, UserId, limits};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    arbitrary_conversation, arbitrary_owner, arbitrary_user, read, reply, reply_of, write,
};

conformance!(
    usage_is_added_up_by_day_and_model,
    sums_stay_at_the_largest_count_rather_than_fail,
    unknown_counts_are_booked_as_nothing,
    usage_is_listed_from_the_first_to_the_last_day_by_day_and_model,
    usage_is_booked_on_the_owner_alone,
    usage_survives_the_deletion_of_the_reply_and_the_conversation,
);

async fn between(case: &TestDatabase, owner: UserId, from: &str, to: &str) -> Vec<UsageRow> {
    let (from, to): (Day, Day) = (from.parse().unwrap(), to.parse().unwrap());
    read(case, async move |tx| tx.usage().between(owner, from, to).await).await
}

fn at(case: &TestDatabase, instant: &str) {
    case.clock.set(instant.parse::<Timestamp>().unwrap());
}

/// Once through the one statement for a known model, once through the steps for an unknown one:
/// `echo` is what the server answers with.
fn both_ways(response: &NewModelResponse) -> [NewReply; 2] {
    [Some("echo".to_owned()), None].map(|model_used| NewReply {
        response: NewModelResponse { model_used, ..response.clone() },
        ..NewReply::new("certainly")
    })
}

async fn usage_is_added_up_by_day_and_model(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    at(&case, "2026-03-01T23:59:59.999999Z");
    let response = NewModelResponse {
        tokens_prompt: Some(10),
        tokens_completion: Some(20),
        tokens_total: Some(35),
        tokens_cached: Some(4),
        completion_time_ms: Some(1_000),
        ..NewModelResponse::default()
    };
    let cached = NewModelResponse { from_cache: true, tokens_total: None, ..response.clone() };
    for response in [&response, &cached] {
        for new in both_ways(response) {
            reply(&case, owner, conversation, new).await.unwrap();
        }
    }
    at(&case, "2026-03-02T00:00:00Z");
    reply(&case, owner, conversation, reply_of("echo", 1, 2)).await.unwrap();
    reply(&case, owner, conversation, reply_of("large", 3, 4)).await.unwrap();

    let first = UsageRow {
        day: "2026-03-01".parse().unwrap(),
        model: "echo".to_owned(),
        requests: 4,
        cached_requests: 2,
        tokens_prompt: 40,
        tokens_completion: 80,
        tokens_total: 130,
        completion_time_ms_sum: 4_000,
        cost_micros: 0,
    };
    let next = UsageRow {
        day: "2026-03-02".parse().unwrap(),
        requests: 1,
        cached_requests: 0,
        tokens_prompt: 1,
        tokens_completion: 2,
        tokens_total: 3,
        completion_time_ms_sum: 0,
        ..first.clone()
    };
    let large = UsageRow {
        model: "large".to_owned(),
        tokens_prompt: 3,
        tokens_completion: 4,
        tokens_total: 7,
        ..next.clone()
    };
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-02").await, [first, next, large]);
}

async fn sums_stay_at_the_largest_count_rather_than_fail(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    let response = NewModelResponse {
        tokens_prompt: Some(limits::COUNT),
        tokens_completion: Some(limits::COUNT - 1),
        tokens_total: None,
        completion_time_ms: Some(limits::COUNT),
        ..NewModelResponse::default()
    };
    for new in both_ways(&response).into_iter().chain(both_ways(&response)) {
        reply(&case, owner, conversation, new).await.unwrap();
    }

    let booked = between(&case, owner, "2026-03-01", "2026-03-01").await;
    assert_eq!(booked[0].requests, 4);
    assert_eq!((booked[0].tokens_prompt, booked[0].tokens_completion), (limits::COUNT, limits::COUNT));
    assert_eq!(booked[0].completion_time_ms_sum, limits::COUNT);
}

async fn unknown_counts_are_booked_as_nothing(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    for new in both_ways(&NewModelResponse::default()) {
        reply(&case, owner, conversation, new).await.unwrap();
    }

    let expected = UsageRow {
        day: "2026-03-01".parse().unwrap(),
        model: "echo".to_owned(),
        requests: 2,
        cached_requests: 0,
        tokens_prompt: 0,
        tokens_completion: 0,
        tokens_total: 0,
        completion_time_ms_sum: 0,
        cost_micros: 0,
    };
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-01").await, [expected]);
}

async fn usage_is_listed_from_the_first_to_the_last_day_by_day_and_model(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    for day in ["2026-03-03", "1969-12-31", "2026-03-01", "2026-03-02"] {
        at(&case, &format!("{day}T12:00:00Z"));
        for model in ["b", "B", "a"] {
            reply(&case, owner, conversation, reply_of(model, 1, 1)).await.unwrap();
        }
    }

    let listed = async |from, to| {
        let rows = between(&case, owner, from, to).await;
        rows.iter().map(|row| format!("{} {}", row.day, row.model)).collect::<Vec<_>>()
    };
    let of = |day: &str| ["B", "a", "b"].map(|model| format!("{day} {model}"));
    assert_eq!(listed("2026-03-01", "2026-03-02").await, [of("2026-03-01"), of("2026-03-02")].concat());
    assert_eq!(listed("1969-12-31", "1969-12-31").await, of("1969-12-31"));
    assert_eq!(listed("2026-03-02", "2026-03-01").await, [] as [&str; 0]);
    assert_eq!(listed("0000-01-01", "9999-12-30").await.len(), 12);
}

async fn usage_is_booked_on_the_owner_alone(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let (other, others) = arbitrary_owner(&case).await;
    let idle = arbitrary_user(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap();
    reply(&case, other, others, reply_of("m", 5, 5)).await.unwrap();

    for (user, totals) in [(owner, vec![2]), (other, vec![10]), (idle, vec![])] {
        let rows = between(&case, user, "2026-03-01", "2026-03-01").await;
        assert_eq!(rows.iter().map(|row| row.tokens_total).collect::<Vec<_>>(), totals);
    }
}

async fn usage_survives_the_deletion_of_the_reply_and_the_conversation(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    let first: MessageId = reply(&case, owner, conversation, reply_of("m", 1, 1)).await.unwrap().message.id;
    reply(&case, owner, conversation, reply_of("m", 2, 2)).await.unwrap();
    let booked = between(&case, owner, "2026-03-01", "2026-03-01").await;
    assert_eq!(booked[0].tokens_total, 6);

    write(&case, async move |tx| tx.messages().delete(owner, conversation, first).await).await.unwrap();
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-01").await, booked);
    write(&case, async move |tx| tx.conversations().delete(owner, conversation).await).await.unwrap();
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-01").await, booked);

    let again = arbitrary_conversation(&case, owner).await;
    reply(&case, owner, again, reply_of("m", 3, 3)).await.unwrap();
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-01").await[0].tokens_total, 12);
    write(&case, async move |tx| tx.users().erase(owner).await).await.unwrap();
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-01").await, []);
}
