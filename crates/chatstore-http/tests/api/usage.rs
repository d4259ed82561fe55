//! Sums of usage.

use std::time::Duration;

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::support::{Person, Server, answer, exchange, outlines, refusal};

conformance!(
    usage_is_summed_by_day_and_model,
    usage_is_grouped_as_requested,
    usage_covers_the_last_thirty_days_by_default,
    a_reply_is_charged_to_the_owner,
    an_editor_books_on_the_owner_only_through_the_application,
    a_reply_reports_a_bounded_number_of_tokens,
    administrators_and_services_see_the_usage_of_others,
    every_wrong_parameter_of_a_usage_request_is_named,
    usage_outlives_its_conversation,
);

const USAGE: &str = "/api/v1/usage";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Records a reply of this model with this number of prompt tokens, and twice as many completion tokens.
async fn reply(server: &Server, person: &Person, conversation: &str, model: &str, tokens: u32) {
    let body = json!({"content": "a", "response": {
        "model_used": model, "tokens_prompt": tokens, "tokens_completion": 2 * tokens,
        "completion_time_ms": 100, "from_cache": tokens == 1,
    }});
    server.post(person, &format!("{conversation}/replies"), &body.to_string()).await;
}

/// Ada used a-1 and b-1 on 2026-03-01 and a-1 on 2026-03-02; eve used a-1 on 2026-03-02, which is today.
async fn two_days(server: &Server) -> (Person, Person) {
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let (of_ada, of_eve) = (server.conversation(&ada).await, server.conversation(&eve).await);
    reply(server, &ada, &of_ada, "b-1", 1).await;
    reply(server, &ada, &of_ada, "a-1", 10).await;
    reply(server, &ada, &of_ada, "a-1", 100).await;
    server.case.clock.advance(DAY);
    reply(server, &ada, &of_ada, "a-1", 1000).await;
    reply(server, &eve, &of_eve, "a-1", 10_000).await;
    (ada, eve)
}

async fn usage_is_summed_by_day_and_model(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, _eve) = two_days(&server).await;
    let text = exchange(server.request(&ada, "GET", USAGE)).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/usage

    200 OK
    content-type: application/json

    {
      "data": [
        {
          "cached_requests": 0,
          "completion_time_ms_sum": 200,
          "cost_micros": 0,
          "day": "2026-03-01",
          "model": "a-1",
          "requests": 2,
          "tokens_completion": 220,
          "tokens_prompt": 110,
          "tokens_total": 330
        },
        {
          "cached_requests": 1,
          "completion_time_ms_sum": 100,
          "cost_micros": 0,
          "day": "2026-03-01",
          "model": "b-1",
          "requests": 1,
          "tokens_completion": 2,
          "tokens_prompt": 1,
          "tokens_total": 3
        },
        {
          "cached_requests": 0,
          "completion_time_ms_sum": 100,
          "cost_micros": 0,
          "day": "2026-03-02",
          "model": "a-1",
          "requests": 1,
          "tokens_completion": 2000,
          "tokens_prompt": 1000,
          "tokens_total": 3000
        }
      ],
      "total": {
        "cached_requests": 1,
        "completion_time_ms_sum": 400,
        "cost_micros": 0,
        "requests": 4,
        "tokens_completion": 2222,
        "tokens_prompt": 1111,
        "tokens_total": 3333
      }
    }
    "#) }
}

/// Each row's groups and prompt tokens, and the prompt tokens of all.
fn brief(usage: &Value) -> String {
    let mut text = String::new();
    for row in usage["data"].as_array().unwrap() {
        for name in ["day", "model", "user_id"] {
            let part = row.get(name).map(|part| format!("{} ", part.as_str().unwrap()));
            text.push_str(&part.unwrap_or_default());
        }
        text.push_str(&format!("{}; ", row["tokens_prompt"]));
    }
    format!("{text}total {}", usage["total"]["tokens_prompt"])
}

async fn usage_is_grouped_as_requested(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let (ada, eve) = two_days(&server).await;
    let (ada_id, eve_id) = (ada.id.to_string(), eve.id.to_string());
    let mut text = String::new();
    for group_by in ["day", "model", "day,model", "model,day"] {
        let used = server.get(&ada, &format!("{USAGE}?group_by={group_by}")).await;
        text += &format!("ada {group_by}: {}\n", brief(&used));
    }
    for query in [
        "scope=all",
        "scope=all&group_by=user",
        "scope=all&group_by=user,day",
        "scope=all&group_by=model,user",
        "scope=all&group_by=day,model,user",
        "scope=all&group_by=day&from=2026-03-02",
        "group_by=user",
        &format!("user_id={ada_id}&group_by=user,model"),
        &format!("user_id={eve_id}"),
        "user_id=00000000-0000-7000-8000-000000000001",
    ] {
        let used = server.get(&root, &format!("{USAGE}?{query}")).await;
        text += &format!("root {query}: {}\n", brief(&used));
    }
    let text = text.replace(&ada_id, "<ada>").replace(&eve_id, "<eve>");
    // Rows of one day and model are in the order of the users' ids.
    allow_duplicates! { assert_snapshot!(text, @"
    ada day: 2026-03-01 111; 2026-03-02 1000; total 1111
    ada model: a-1 1110; b-1 1; total 1111
    ada day,model: 2026-03-01 a-1 110; 2026-03-01 b-1 1; 2026-03-02 a-1 1000; total 1111
    ada model,day: 2026-03-01 a-1 110; 2026-03-01 b-1 1; 2026-03-02 a-1 1000; total 1111
    root scope=all: 2026-03-01 a-1 110; 2026-03-01 b-1 1; 2026-03-02 a-1 11000; total 11111
    root scope=all&group_by=user: <eve> 10000; <ada> 1111; total 11111
    root scope=all&group_by=user,day: 2026-03-01 <ada> 111; 2026-03-02 <eve> 10000; 2026-03-02 <ada> 1000; total 11111
    root scope=all&group_by=model,user: a-1 <eve> 10000; a-1 <ada> 1110; b-1 <ada> 1; total 11111
    root scope=all&group_by=day,model,user: 2026-03-01 a-1 <ada> 110; 2026-03-01 b-1 <ada> 1; 2026-03-02 a-1 <eve> 10000; 2026-03-02 a-1 <ada> 1000; total 11111
    root scope=all&group_by=day&from=2026-03-02: 2026-03-02 11000; total 11000
    root group_by=user: total 0
    root user_id=<ada>&group_by=user,model: a-1 <ada> 1110; b-1 <ada> 1; total 1111
    root user_id=<eve>: 2026-03-02 a-1 10000; total 10000
    root user_id=00000000-0000-7000-8000-000000000001: total 0
    ") }
}

async fn usage_covers_the_last_thirty_days_by_default(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    reply(&server, &ada, &conversation, "a-1", 10).await;
    server.case.clock.advance(DAY);
    reply(&server, &ada, &conversation, "a-1", 100).await;
    server.case.clock.advance(DAY * 29);
    reply(&server, &ada, &conversation, "a-1", 1000).await;
    let mut text = String::new();
    for query in [
        "",
        "from=2026-03-01",
        "to=2026-03-30",
        "to=2026-03-31",
        "from=2026-03-01&to=2026-03-01",
        "from=2026-03-02&to=2026-03-30",
        "from=2026-04-01",
        "to=2026-02-28",
        "from=1970-01-01&to=2100-12-31",
    ] {
        let used = server.get(&ada, &format!("{USAGE}?group_by=day&{query}")).await;
        text += &format!("{query}: {}\n", brief(&used));
    }
    allow_duplicates! { assert_snapshot!(text, @"
    : 2026-03-02 100; 2026-03-31 1000; total 1100
    from=2026-03-01: 2026-03-01 10; 2026-03-02 100; 2026-03-31 1000; total 1110
    to=2026-03-30: 2026-03-01 10; 2026-03-02 100; total 110
    to=2026-03-31: 2026-03-02 100; 2026-03-31 1000; total 1100
    from=2026-03-01&to=2026-03-01: 2026-03-01 10; total 10
    from=2026-03-02&to=2026-03-30: 2026-03-02 100; total 100
    from=2026-04-01: total 0
    to=2026-02-28: total 0
    from=1970-01-01&to=2100-12-31: 2026-03-01 10; 2026-03-02 100; 2026-03-31 1000; total 1110
    ") }
}

async fn a_reply_is_charged_to_the_owner(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    reply(&server, &ada, &conversation, "a-1", 10).await;
    assert_eq!(brief(&server.get(&ada, USAGE).await), "2026-03-01 a-1 10; total 10");
    assert_eq!(brief(&server.get(&eve, USAGE).await), "total 0");
    server.post(&ada, &format!("{conversation}/messages"), r#"{"role": "assistant", "content": "a"}"#).await;
    assert_eq!(server.get(&ada, USAGE).await["total"]["requests"], 1, "a message is not a reply");
}

async fn an_editor_books_on_the_owner_only_through_the_application(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let root = server.admin("root").await;
    let service = server.service(&root).await;
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    let replies = format!("{conversation}/replies");
    let claimed = |tokens: u32| {
        json!({"content": "a", "response": {"model_used": "a-1", "tokens_prompt": tokens}}).to_string()
    };
    let by_eve = server.post(&eve, &replies, &claimed(7)).await;
    assert_eq!(by_eve["response"]["tokens_prompt"], 7, "the response says what was sent");
    let once = server.send(&eve, "POST", &replies, &claimed(7)).header("Idempotency-Key", "k");
    assert_eq!(answer(once).await.status, 201);
    let conditional = server.send(&eve, "POST", &replies, &claimed(7)).header("If-Match", "*");
    assert_eq!(answer(conditional).await.status, 201);
    let revision = answer(server.request(&eve, "GET", &conversation)).await.header("etag").to_owned();
    let conditional = server.send(&eve, "POST", &replies, &claimed(7)).header("If-Match", revision);
    assert_eq!(answer(conditional).await.status, 201);
    for person in [&ada, &eve] {
        assert_eq!(brief(&server.get(person, USAGE).await), "total 0");
    }
    let acted = server.act(&service, "name:eve", "POST", &replies).header("Content-Type", "application/json");
    assert_eq!(answer(acted.body(claimed(5))).await.status, 201);
    assert_eq!(brief(&server.get(&ada, USAGE).await), "2026-03-01 a-1 5; total 5");
}

async fn a_reply_reports_a_bounded_number_of_tokens(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let replies = format!("{}/replies", server.conversation(&ada).await);
    let send = |field: &str, count: u64| {
        let body = json!({"content": "a", "response": {"model_used": "a-1", field: count}});
        server.send(&ada, "POST", &replies, &body.to_string())
    };
    for field in ["tokens_prompt", "tokens_completion", "tokens_total", "tokens_cached"] {
        let expected = vec![(format!("response.{field}"), "out_of_range".to_owned())];
        for count in [(1 << 31) + 1, (1 << 53) - 1] {
            assert_eq!(refusal(send(field, count)).await, (422, expected.clone()), "{field} {count}");
        }
        assert_eq!(answer(send(field, 1 << 31)).await.status, 201, "{field}");
    }
}

async fn administrators_and_services_see_the_usage_of_others(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let (ada, service) = (server.person("ada").await, server.service(&root).await);
    let own = ada.id.to_string();
    let text = outlines([
        server.request(&ada, "GET", &format!("{USAGE}?scope=all")),
        server.request(&ada, "GET", &format!("{USAGE}?user_id={own}")),
        server.request(&ada, "GET", &format!("{USAGE}?group_by=user")),
        server.request(&ada, "GET", &format!("{USAGE}?group_by=day,user,model")),
        server.act(&service, "name:ada", "GET", &format!("{USAGE}?scope=all")),
        server.request(&service, "GET", &format!("{USAGE}?scope=all")),
        server.request(&service, "GET", &format!("{USAGE}?scope=all&group_by=user")),
        server.request(&service, "GET", &format!("{USAGE}?user_id={own}")),
        server.request(&service, "GET", USAGE),
        server.request(&service, "GET", &format!("{USAGE}?group_by=user")),
        server.request(&root, "GET", &format!("{USAGE}?scope=all&user_id={own}")),
        server.request(&root, "GET", &format!("{USAGE}?user_id={own}")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text.replace(&own, "<ada>"), @"
    GET /api/v1/usage?scope=all → 403 forbidden
    GET /api/v1/usage?user_id=<ada> → 403 forbidden
    GET /api/v1/usage?group_by=user → 403 forbidden
    GET /api/v1/usage?group_by=day,user,model → 403 forbidden
    GET /api/v1/usage?scope=all [chatstore-user: name:ada] → 403 forbidden
    GET /api/v1/usage?scope=all → 200
    GET /api/v1/usage?scope=all&group_by=user → 200
    GET /api/v1/usage?user_id=<ada> → 200
    GET /api/v1/usage → 422 validation (Chatstore-User: required)
    GET /api/v1/usage?group_by=user → 422 validation (Chatstore-User: required)
    GET /api/v1/usage?scope=all&user_id=<ada> → 422 validation (scope: not_allowed)
    GET /api/v1/usage?user_id=<ada> → 200
    ") }
}

async fn every_wrong_parameter_of_a_usage_request_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let ask = |query: &str| server.request(&root, "GET", &format!("{USAGE}?{query}"));
    let text = outlines([
        ask("group_by="),
        ask("group_by=week"),
        ask("group_by=day,"),
        ask("group_by=day,day"),
        ask("group_by=day,%20model"),
        ask("group_by=Day"),
        ask("group_by=day&group_by=model"),
        ask("from=2026-03-02&to=2026-03-01"),
        ask("from=2026-02-30"),
        ask("from=2026-3-1&to=tomorrow"),
        ask("from=2026-03-01T00:00:00Z"),
        ask("from="),
        ask("user_id=root&scope=mine&limit=1"),
        ask("from=%00"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    GET /api/v1/usage?group_by= → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?group_by=week → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?group_by=day, → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?group_by=day,day → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?group_by=day,%20model → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?group_by=Day → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?group_by=day&group_by=model → 422 validation (group_by: not_allowed)
    GET /api/v1/usage?from=2026-03-02&to=2026-03-01 → 422 validation (from: out_of_range)
    GET /api/v1/usage?from=2026-02-30 → 422 validation (from: invalid_format)
    GET /api/v1/usage?from=2026-3-1&to=tomorrow → 422 validation (from: invalid_format) (to: invalid_format)
    GET /api/v1/usage?from=2026-03-01T00:00:00Z → 422 validation (from: invalid_format)
    GET /api/v1/usage?from= → 422 validation (from: invalid_format)
    GET /api/v1/usage?user_id=root&scope=mine&limit=1 → 422 validation (user_id: invalid_format) (scope: not_allowed) (limit: unknown_field)
    GET /api/v1/usage?from=%00 → 422 validation (from: nul_character)
    ") }
}

async fn usage_outlives_its_conversation(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    reply(&server, &ada, &conversation, "a-1", 10).await;
    reply(&server, &ada, &conversation, "a-1", 100).await;
    let before = server.get(&ada, USAGE).await;
    for target in [format!("{conversation}/messages/1"), conversation] {
        assert_eq!(answer(server.request(&ada, "DELETE", &target)).await.status, 204);
        assert_eq!(server.get(&ada, USAGE).await, before);
    }
}
