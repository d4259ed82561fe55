//! Conversations that branch: questions asked again, answers generated again, and the branch that is read.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server, answer};

conformance!(
    a_message_with_a_parent_begins_another_branch_which_is_read_from_then_on,
    a_branch_is_read_by_any_of_its_names_and_all_by_number,
    the_owner_switches_the_head_and_a_cursor_keeps_its_path,
    an_editor_branches_without_moving_the_head,
    what_follows_a_deleted_message_follows_what_it_followed,
    a_subtree_is_deleted_by_the_owner_alone,
    a_conversation_that_never_branched_says_nothing_of_parents_but_for_siblings,
    every_wrong_name_of_a_message_is_refused_with_its_field,
);

async fn say(server: &Server, person: &Person, path: &str, body: Value) -> Value {
    server.post(person, &format!("{path}/messages"), &body.to_string()).await
}

/// A question with an answer, then the question again with two answers: 1 ← 2, 3 ← 4, 3 ← 5.
async fn branched(server: &Server, person: &Person) -> String {
    let path = server.conversation(person).await;
    say(server, person, &path, json!({"content": "q1"})).await;
    say(server, person, &path, json!({"content": "a1", "role": "assistant"})).await;
    say(server, person, &path, json!({"content": "q2", "parent": null, "external_id": "again"})).await;
    say(server, person, &path, json!({"content": "a2", "role": "assistant"})).await;
    say(server, person, &path, json!({"content": "a3", "role": "assistant", "parent": "ext:again"})).await;
    path
}

async fn texts(server: &Server, person: &Person, target: &str) -> Vec<String> {
    let list = server.get(person, target).await;
    let messages = list["data"].as_array().unwrap();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

async fn change(server: &Server, person: &Person, path: &str, patch: Value) -> Answer {
    answer(server.send(person, "PATCH", path, &patch.to_string())).await
}

async fn a_message_with_a_parent_begins_another_branch_which_is_read_from_then_on(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada).await;
    assert_eq!(texts(&server, &ada, &format!("{path}/messages")).await, ["q2", "a3"]);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages?order=desc")).await, ["a3", "q2"]);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages?last=1")).await, ["a3"]);
    let row = server.get(&ada, &format!("{path}?include=messages")).await;
    assert_eq!(
        (&row["head_seq"], &row["message_count"], &row["last_message"]),
        (&json!(5), &json!(5), &json!("a3"))
    );
    assert_eq!(row["messages"].as_array().unwrap().len(), 2);
    let next = say(&server, &ada, &path, json!({"content": "q3"})).await;
    assert_eq!((&next["seq"], &next["parent_seq"]), (&json!(6), &json!(5)));
    let many =
        json!({"messages": [{"content": "x", "parent": 2}, {"content": "y"}, {"content": "z", "parent": 7}]});
    let many = say(&server, &ada, &path, many).await;
    let parents: Vec<&Value> =
        many["data"].as_array().unwrap().iter().map(|one| &one["parent_seq"]).collect();
    assert_eq!(parents, [&json!(2), &json!(7), &json!(7)]);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages")).await, ["q1", "a1", "x", "z"]);
}

async fn a_branch_is_read_by_any_of_its_names_and_all_by_number(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada).await;
    let all = server.get(&ada, &format!("{path}/messages?branch=all&include=siblings")).await;
    let all = all["data"].as_array().unwrap();
    assert_eq!(all.len(), 5);
    let id = |index: usize| all[index]["id"].as_str().unwrap().to_owned();
    let parents: Vec<Value> = all.iter().map(|message| message["parent_id"].clone()).collect();
    assert_eq!(parents, [Value::Null, json!(id(0)), Value::Null, json!(id(2)), json!(id(2))]);
    assert_eq!(all[0]["siblings"], json!([id(0), id(2)]));
    assert_eq!(all[4]["siblings"], json!([id(3), id(4)]));
    let short = all[1]["short_id"].as_str().unwrap();
    for (name, expected) in
        [(id(3), ["q2", "a2"]), ("2".to_owned(), ["q1", "a1"]), (short.to_owned(), ["q1", "a1"])]
    {
        let found = texts(&server, &ada, &format!("{path}/messages?branch={name}")).await;
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(texts(&server, &ada, &format!("{path}/messages?branch=ext:again")).await, ["q2"]);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages?branch=4&around=4&limit=1")).await, ["a2"]);
    let absent = answer(server.request(&ada, "GET", &format!("{path}/messages?branch=9"))).await;
    assert_eq!(absent.status, 404);
}

async fn the_owner_switches_the_head_and_a_cursor_keeps_its_path(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada).await;
    for order in ["asc", "desc"] {
        let first = server.get(&ada, &format!("{path}/messages?limit=1&order={order}")).await;
        let moved = change(&server, &ada, &path, json!({"head": {"under": 1}})).await;
        assert_eq!(
            (moved.status, &moved.body["head_seq"], &moved.body["last_message"]),
            (200, &json!(2), &json!("a1"))
        );
        let cursor = first["next_cursor"].as_str().unwrap();
        let second =
            server.get(&ada, &format!("{path}/messages?limit=1&order={order}&cursor={cursor}")).await;
        let mut both = vec![&first["data"][0]["content"], &second["data"][0]["content"]];
        if order == "desc" {
            both.reverse();
        }
        assert_eq!(both, ["q2", "a3"], "{order}");
        assert_eq!(texts(&server, &ada, &format!("{path}/messages")).await, ["q1", "a1"]);
        let moved = change(&server, &ada, &path, json!({"head": "ext:again"})).await;
        assert_eq!(moved.body["head_seq"], 3);
        assert_eq!(texts(&server, &ada, &format!("{path}/messages")).await, ["q2"]);
        assert_eq!(change(&server, &ada, &path, json!({"head": 5})).await.body["head_seq"], 5);
    }
}

async fn an_editor_branches_without_moving_the_head(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = branched(&server, &ada).await;
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    let aside = say(&server, &eve, &path, json!({"content": "aside", "parent": 1})).await;
    assert_eq!(aside["parent_seq"], 1);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages")).await, ["q2", "a3"]);
    assert_eq!(texts(&server, &eve, &format!("{path}/messages?branch=6")).await, ["q1", "aside"]);
    say(&server, &eve, &path, json!({"content": "onward"})).await;
    assert_eq!(texts(&server, &eve, &format!("{path}/messages")).await, ["q2", "a3", "onward"]);
    let refused = change(&server, &eve, &path, json!({"head": 1})).await;
    assert_eq!(refused.status, 403);
}

async fn what_follows_a_deleted_message_follows_what_it_followed(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada).await;
    let gone = answer(server.request(&ada, "DELETE", &format!("{path}/messages/3"))).await;
    assert_eq!(gone.status, 204);
    let all = server.get(&ada, &format!("{path}/messages?branch=all")).await;
    let parents: Vec<&Value> = all["data"].as_array().unwrap().iter().map(|one| &one["parent_seq"]).collect();
    assert_eq!(parents, [&Value::Null, &Value::Null, &json!(0), &json!(0)]);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages")).await, ["a3"]);
    let popped = answer(server.request(&ada, "DELETE", &format!("{path}/messages/last"))).await;
    assert_eq!(popped.body["data"][0]["content"], "a3");
    let row = server.get(&ada, &path).await;
    assert_eq!((&row["head_seq"], &row["last_message"]), (&json!(4), &json!("a2")));
}

async fn a_subtree_is_deleted_by_the_owner_alone(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = branched(&server, &ada).await;
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    let target = format!("{path}/messages/3?subtree=true");
    assert_eq!(answer(server.request(&eve, "DELETE", &target)).await.status, 403);
    assert_eq!(answer(server.request(&ada, "DELETE", &target)).await.status, 204);
    assert_eq!(texts(&server, &ada, &format!("{path}/messages?branch=all")).await, ["q1", "a1"]);
    let row = server.get(&ada, &path).await;
    assert_eq!((&row["head_seq"], &row["message_count"]), (&json!(2), &json!(2)));
}

async fn a_conversation_that_never_branched_says_nothing_of_parents_but_for_siblings(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let first = say(&server, &ada, &path, json!({"content": "a"})).await;
    say(&server, &ada, &path, json!({"content": "b", "parent": 1})).await;
    say(&server, &ada, &path, json!({"content": "c", "parent": first["id"]})).await;
    server.get(&ada, &path).await;
    assert_eq!(server.get(&ada, &path).await["head_seq"], 3);
    let plain = server.conversation(&ada).await;
    say(&server, &ada, &plain, json!({"content": "a", "parent": null})).await;
    say(&server, &ada, &plain, json!({"content": "b", "parent": 1})).await;
    assert_eq!(server.get(&ada, &plain).await["head_seq"], Value::Null);
    let list = server.get(&ada, &format!("{plain}/messages")).await;
    assert!(list["data"].as_array().unwrap().iter().all(|one| one.get("parent_id").is_none()));
    let list = server.get(&ada, &format!("{plain}/messages?include=siblings")).await;
    assert_eq!(list["data"][0]["parent_id"], Value::Null);
    assert_eq!(list["data"][1]["parent_id"], list["data"][0]["id"]);
    assert_eq!(list["data"][1]["siblings"], json!([list["data"][1]["id"]]));
}

async fn every_wrong_name_of_a_message_is_refused_with_its_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada).await;
    let post = async |body: Value| {
        answer(server.send(&ada, "POST", &format!("{path}/messages"), &body.to_string())).await
    };
    let absent = "01890a5d-ac96-774b-bcce-b302099a8057";
    for parent in [json!(9), json!("9"), json!(absent), json!("ext:absent")] {
        let refused = post(json!({"content": "x", "parent": parent})).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["field"]),
            (422, &json!("parent")),
            "{parent}"
        );
        let refused = post(json!({"messages": [{"content": "x"}, {"content": "y", "parent": parent}]})).await;
        assert_eq!(refused.body["errors"][0]["field"], "messages[1].parent", "{parent}");
    }
    for parent in [json!("head"), json!(-1), json!(1.5), json!(true), json!([])] {
        let refused = post(json!({"content": "x", "parent": parent})).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["field"]),
            (422, &json!("parent")),
            "{parent}"
        );
    }
    for head in
        [json!(9), json!({"under": 9}), json!({}), json!({"under": 1, "over": 2}), json!(null), json!("x")]
    {
        let refused = change(&server, &ada, &path, json!({"head": head})).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &json!("head")), "{head}");
    }
    let wrong = answer(server.request(&ada, "GET", &format!("{path}/messages?branch=a/b"))).await;
    assert_eq!((wrong.status, &wrong.body["errors"][0]["field"]), (422, &json!("branch")));
}
