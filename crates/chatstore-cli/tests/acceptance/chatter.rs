//! Chatter: people in shared conversations. Ada creates, Ben and Cleo take part.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::json;

use crate::support::{Application, Caller, assert_uuid, column, text};

conformance!(
    c1_the_connection_comes_from_the_environment_and_messages_outlive_the_server,
    c1_many_callers_share_a_few_connections,
    c2_everything_has_a_uuid,
    c3_a_conversation_has_a_creator_and_members_with_roles,
    c3_a_user_is_in_many_conversations,
    c3_a_member_may_do_what_their_role_allows,
    c3_a_member_leaves_and_the_creator_removes,
    c4_a_message_has_its_sender_and_its_conversation,
    c5_everything_is_created_read_updated_and_deleted_over_http,
    c6_tables_are_created_on_request_and_a_second_run_changes_nothing,
);

/// Ada with a conversation, Ben who writes in it, Cleo who reads.
struct Group {
    application: Application,
    ada: Caller,
    ben: Caller,
    cleo: Caller,
    conversation: String,
}

impl Group {
    async fn on(case: TestDatabase) -> Self {
        let application = Application::start(case);
        let [ada, ben, cleo] = ["ada", "ben", "cleo"].map(|name| application.person(name));
        let conversation = application.conversation(&ada, json!({"title": "Trip"})).await;
        for (member, role) in [(&ben, "editor"), (&cleo, "viewer")] {
            let path = format!("{conversation}/members/{}", member.id);
            let member = application.put(&ada, &path, json!({ "role": role })).await.data(201);
            assert_eq!(member["role"], role);
        }
        Self { application, ada, ben, cleo, conversation }
    }

    fn messages(&self) -> String {
        format!("{}/messages", self.conversation)
    }
}

async fn c1_the_connection_comes_from_the_environment_and_messages_outlive_the_server(case: TestDatabase) {
    let mut application = Application::start(case);
    let ada = application.person("ada");
    let conversation = application.conversation(&ada, json!({})).await;
    let said = application.say(&ada, &conversation, "still there?").await;

    application.stop();
    application.serve(&[]);
    let listed = application.get(&ada, &format!("{conversation}/messages")).await.data(200);
    assert_eq!(listed["data"], json!([said]));
    let shown = application.run(&["config", "show", "--json"]).json();
    assert_eq!(shown["DATABASE_URL"]["source"], "environment");
}

async fn c1_many_callers_share_a_few_connections(case: TestDatabase) {
    let application = Application::start_with(case, &[("CHATSTORE_POOL", "2")]);
    let ada = application.person("ada");
    let conversation = application.conversation(&ada, json!({})).await;
    let path = format!("{conversation}/messages");
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..40 {
        let body = json!({ "content": number.to_string() });
        requests.spawn(application.request(&ada, "POST", &path).json(&body).send());
    }
    for answer in requests.join_all().await {
        assert_eq!(answer.unwrap().status(), 201);
    }
    let listed = application.get(&ada, &path).await.data(200);
    assert_eq!(column(&listed, "seq"), (1..=40).map(|seq| json!(seq)).collect::<Vec<_>>());
}

async fn c2_everything_has_a_uuid(case: TestDatabase) {
    let group = Group::on(case).await;
    let application = &group.application;
    let user = application.get(&group.ada, "/users/me").await.data(200);
    assert_uuid(&user["id"]);
    let conversation = application.get(&group.ada, &group.conversation).await.data(200);
    assert_uuid(&conversation["id"]);
    assert_uuid(&application.say(&group.ada, &group.conversation, "hello").await["id"]);
    let key = application.run(&["key", "create", "--user", "ada", "--json"]).json();
    assert_uuid(&key["id"]);
}

async fn c3_a_conversation_has_a_creator_and_members_with_roles(case: TestDatabase) {
    let group = Group::on(case).await;
    let application = &group.application;
    let conversation = application.get(&group.cleo, &group.conversation).await.data(200);
    assert_eq!((&conversation["owner_id"], &conversation["role"]), (&json!(group.ada.id), &json!("viewer")));

    let path = format!("{}/members", group.conversation);
    let members = application.get(&group.cleo, &path).await.data(200);
    assert_eq!(column(&members, "username"), ["ada", "ben", "cleo"]);
    assert_eq!(column(&members, "role"), ["owner", "editor", "viewer"]);
    assert_eq!(column(&members, "user_id"), [&group.ada, &group.ben, &group.cleo].map(|it| json!(it.id)));

    let promoted =
        application.put(&group.ada, &format!("{path}/{}", group.cleo.id), json!({})).await.data(200);
    assert_eq!(promoted["role"], "editor");
    application.say(&group.cleo, &group.conversation, "now I can").await;
}

async fn c3_a_user_is_in_many_conversations(case: TestDatabase) {
    let group = Group::on(case).await;
    let application = &group.application;
    application.conversation(&group.ben, json!({"title": "Notes"})).await;
    for (membership, titles) in
        [("all", vec!["Notes", "Trip"]), ("owned", vec!["Notes"]), ("shared", vec!["Trip"])]
    {
        let query = format!("?membership={membership}");
        let listed = application.get(&group.ben, &format!("/conversations{query}&sort=created_at")).await;
        assert_eq!(column(&listed.data(200), "title"), titles, "{membership}");
        let counted = application.get(&group.ben, &format!("/conversations/count{query}")).await.data(200);
        assert_eq!(counted, json!({ "count": titles.len() }), "{membership}");
    }
    let stranger = application.person("dora");
    let listed = application.get(&stranger, "/conversations").await.data(200);
    assert_eq!(listed, json!({"data": [], "next_cursor": null}));
}

async fn c3_a_member_may_do_what_their_role_allows(case: TestDatabase) {
    let group = Group::on(case).await;
    let application = &group.application;
    let of_ada = application.say(&group.ada, &group.conversation, "by ada").await;
    let of_ben = application.say(&group.ben, &group.conversation, "by ben").await;
    let message = |message: &serde_json::Value| format!("{}/{}", group.messages(), text(&message["id"]));
    let edit = json!({"content": "changed"});

    let read = application.get(&group.cleo, &group.messages()).await.data(200);
    assert_eq!(column(&read, "content"), ["by ada", "by ben"]);
    application.post(&group.cleo, &group.messages(), edit.clone()).await.refused(403, "forbidden");
    application
        .patch(&group.cleo, &group.conversation, json!({"title": "x"}))
        .await
        .refused(403, "forbidden");

    application.patch(&group.ben, &message(&of_ben), edit.clone()).await.data(200);
    application.patch(&group.ben, &message(&of_ada), edit.clone()).await.refused(403, "forbidden");
    application.patch(&group.ben, &group.conversation, json!({"title": "Trip to Seville"})).await.data(200);
    application.delete(&group.ben, &group.conversation).await.refused(403, "forbidden");
    let other = format!("{}/members/{}", group.conversation, group.cleo.id);
    application.put(&group.ben, &other, json!({"role": "editor"})).await.refused(403, "forbidden");

    application.delete(&group.ada, &message(&of_ben)).await.done();
    let left = application.get(&group.cleo, &group.conversation).await.data(200);
    assert_eq!((&left["message_count"], &left["title"]), (&json!(1), &json!("Trip to Seville")));
}

async fn c3_a_member_leaves_and_the_creator_removes(case: TestDatabase) {
    let group = Group::on(case).await;
    let application = &group.application;
    let before = application.get(&group.ada, &group.conversation).await.data(200);
    let member = |caller: &Caller| format!("{}/members/{}", group.conversation, caller.id);

    application.delete(&group.ben, &member(&group.cleo)).await.refused(403, "forbidden");
    application.delete(&group.cleo, &member(&group.cleo)).await.done();
    application.get(&group.cleo, &group.conversation).await.refused(404, "not-found");
    application.delete(&group.ada, &member(&group.ben)).await.done();
    application.get(&group.ben, &group.messages()).await.refused(404, "not-found");
    application.delete(&group.ada, &member(&group.ben)).await.refused(404, "not-found");
    application.delete(&group.ada, &member(&group.ada)).await.refused(409, "conflict");

    let after = application.get(&group.ada, &group.conversation).await.data(200);
    assert_eq!(after["updated_at"], before["updated_at"], "members are no activity");
}

async fn c4_a_message_has_its_sender_and_its_conversation(case: TestDatabase) {
    let group = Group::on(case).await;
    let application = &group.application;
    application.say(&group.ada, &group.conversation, "where to?").await;
    let of_ben = application.say(&group.ben, &group.conversation, "Seville").await;
    let forged = json!({"content": "x", "sender_id": group.ada.id});
    application.post(&group.ben, &group.messages(), forged).await.invalid(&[("sender_id", "unknown_field")]);

    let listed = application.get(&group.cleo, &group.messages()).await.data(200);
    assert_eq!(column(&listed, "sender_id"), [&group.ada, &group.ben].map(|it| json!(it.id)));
    let id = json!(group.conversation.rsplit('/').next().unwrap());
    assert_eq!(column(&listed, "conversation_id"), [id.clone(), id]);

    let elsewhere = application.conversation(&group.ben, json!({})).await;
    let misplaced = format!("{elsewhere}/messages/{}", text(&of_ben["id"]));
    application.get(&group.ben, &misplaced).await.refused(404, "not-found");
}

async fn c5_everything_is_created_read_updated_and_deleted_over_http(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let ada = application.person("ada");
    let conversation = application.conversation(&ada, json!({})).await;
    application.say(&ada, &conversation, "hello").await;
    let objects = [
        (&admin, format!("/users/{}", application.person("ben").id), json!({"full_name": "Ben B."})),
        (&ada, format!("{conversation}/messages/1"), json!({"content": "good morning"})),
        (&ada, conversation.clone(), json!({"title": "Morning"})),
    ];
    for (caller, path, change) in objects {
        let before = application.get(caller, &path).await.data(200);
        let changed = application.patch(caller, &path, change.clone()).await.data(200);
        assert_eq!(changed["id"], before["id"]);
        let now = application.get(caller, &path).await.data(200);
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(&now[field], value, "{path}");
        }
        application.delete(caller, &path).await.done();
        application.get(caller, &path).await.refused(404, "not-found");
    }
}

async fn c6_tables_are_created_on_request_and_a_second_run_changes_nothing(case: TestDatabase) {
    let mut application = Application::start(case);
    application.stop();
    application.run(&["migrate", "downgrade", "base", "--allow-data-loss"]).data();
    let created = application.run(&["migrate", "upgrade"]);
    assert!(created.stderr.contains("applied"), "{created:?}");
    let ada = application.run(&["user", "create", "--username", "ada"]).data().to_owned();
    let again = application.run(&["migrate", "upgrade"]);
    assert!(again.stderr.contains("nothing to apply"), "{again:?}");
    let users = application.run(&["user", "list", "--json"]).json();
    assert_eq!((users.as_array().unwrap().len(), &users[0]["id"]), (1, &json!(ada)));
    application.serve(&[]);
    let ready = application.request_to(&Caller::default(), "GET", "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
}
