//! Usage: booked by day and model on the owner, and kept whatever becomes of the conversation.

use std::ops::Range;

use chatstore_model::{
    Day, HeadRule, MessageId, NewModelResponse, NewReply, Timestamp, UsageGroup, UsageGrouping, UsageRow,
    UserId, limits,
};
use chatstore_sql::{Sql, StoreError, WriteTx};
use chatstore_testkit::{TestDatabase, conformance};

use crate::fixtures::{
    arbitrary_conversation, arbitrary_owner, arbitrary_user, read, reply, reply_of, write,
};

conformance!(
    usage_is_added_up_by_day_and_model,
    sums_stay_at_the_largest_count_rather_than_fail,
    what_many_models_used_is_added_up_to_the_largest_count,
    beyond_200_models_of_a_day_usage_is_booked_under_one_name,
    a_reply_that_is_not_booked_is_stored_whole,
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

const PUT: Sql = Sql::same(
    "test.usage",
    "insert into usage_daily (owner_id, day, model, requests, cached_requests, tokens_prompt, tokens_completion, \
     tokens_total, completion_time_ms_sum, cost_micros) values ($1, $2, $3, $4, $4, $4, $4, $4, $4, $4)",
);

/// Usage of models with these numbers, all of whose counts are this one.
async fn put(case: &TestDatabase, owner: UserId, day: &str, models: Range<usize>, count: i64) {
    let day: Day = day.parse().unwrap();
    let work = async move |tx: &mut WriteTx<'_>| {
        for number in models.clone() {
            let model = format!("model-{number}");
            tx.execute(&PUT, &[owner.into(), day.start().into(), (&model).into(), count.into()]).await?;
        }
        Ok::<_, StoreError>(())
    };
    write(case, work).await.unwrap();
}

async fn sums_stay_at_the_largest_count_rather_than_fail(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    put(&case, owner, "2026-03-01", 0..1, limits::COUNT - 1).await;
    let response = NewModelResponse {
        model_used: Some("model-0".to_owned()),
        tokens_prompt: Some(limits::TOKENS),
        tokens_completion: Some(limits::TOKENS),
        completion_time_ms: Some(limits::COUNT),
        from_cache: true,
        ..NewModelResponse::default()
    };
    for _ in 0..2 {
        reply(&case, owner, conversation, NewReply { response: response.clone(), ..NewReply::new("a") })
            .await
            .unwrap();
    }

    let booked = between(&case, owner, "2026-03-01", "2026-03-01").await;
    let booked = &booked[0];
    let sums = [
        booked.requests,
        booked.cached_requests,
        booked.tokens_prompt,
        booked.tokens_completion,
        booked.tokens_total,
        booked.completion_time_ms_sum,
    ];
    assert_eq!(sums, [limits::COUNT; 6]);
}

async fn what_many_models_used_is_added_up_to_the_largest_count(case: TestDatabase) {
    let owner = arbitrary_user(&case).await;
    put(&case, owner, "2026-03-01", 0..1_030, limits::COUNT).await;
    put(&case, owner, "2026-03-02", 0..2, limits::COUNT / 2).await;
    for whose in [Some(owner), None] {
        for (grouping, expected) in [
            (UsageGrouping::default(), vec![limits::COUNT]),
            (
                UsageGrouping { by_day: true, ..UsageGrouping::default() },
                vec![limits::COUNT, limits::COUNT - 1],
            ),
        ] {
            let (from, to) = ("2026-03-01".parse().unwrap(), "2026-03-02".parse().unwrap());
            let groups =
                read(&case, async move |tx| tx.usage().grouped(whose, from, to, grouping).await).await;
            let sums = |group: &UsageGroup| {
                [
                    group.requests,
                    group.cached_requests,
                    group.tokens_prompt,
                    group.tokens_completion,
                    group.tokens_total,
                    group.completion_time_ms_sum,
                    group.cost_micros,
                ]
            };
            let found: Vec<_> = groups.iter().map(sums).collect();
            assert_eq!(found, expected.iter().map(|sum| [*sum; 7]).collect::<Vec<_>>(), "{grouping:?}");
            assert_eq!(UsageGroup::sum(&groups).tokens_total, limits::COUNT);
        }
    }
}

async fn beyond_200_models_of_a_day_usage_is_booked_under_one_name(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    let other = arbitrary_user(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    put(&case, owner, "2026-03-01", 0..199, 1).await;
    put(&case, owner, "2026-02-28", 0..200, 1).await;
    put(&case, other, "2026-03-01", 0..200, 1).await;
    for model in ["the last", "one more", "the last", "another", "model-7"] {
        let reply = reply(&case, owner, conversation, reply_of(model, 10, 0)).await.unwrap();
        assert_eq!(reply.response.model_used, model, "the response keeps its name");
    }

    let booked = between(&case, owner, "2026-03-01", "2026-03-01").await;
    let of = |model: &str| {
        booked.iter().find(|row| row.model == model).map(|row| (row.requests, row.tokens_prompt))
    };
    assert_eq!(booked.len(), 201);
    assert_eq!(of("the last"), Some((2, 20)));
    assert_eq!(of("(others)"), Some((2, 20)));
    assert_eq!(of("model-7"), Some((2, 11)));
}

async fn a_reply_that_is_not_booked_is_stored_whole(case: TestDatabase) {
    let (owner, conversation) = arbitrary_owner(&case).await;
    at(&case, "2026-03-01T12:00:00Z");
    let new = reply_of("large", 3, 4);
    let reply = write(&case, async move |tx| {
        tx.messages().record_unbooked_reply(owner, conversation, &new, Some(HeadRule::Follows)).await
    });
    let reply = reply.await.unwrap();
    assert_eq!((reply.message.seq, reply.response.tokens_total), (1, Some(7)));
    let id = reply.message.id;
    let stored = read(&case, async move |tx| tx.responses().get(owner, id).await).await;
    assert_eq!(stored, Some(reply.response));
    assert_eq!(between(&case, owner, "2026-03-01", "2026-03-01").await, []);
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
