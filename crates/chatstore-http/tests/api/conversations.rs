//! Conversations, one at a time.

use chatstore_testkit::{TestDatabase, conformance};

use crate::support::{Server, exchange};

conformance!(a_message_is_appended_and_read_back);

async fn a_message_is_appended_and_read_back(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let trip = server.conversation(&ada).await;
    let posted = exchange(server.send(&ada, "POST", &format!("{trip}/messages"), r#"{"content": "hello"}"#)).await;
    insta::assert_snapshot!(posted, @"");
    let read = exchange(server.request(&ada, "GET", &format!("{trip}/messages"))).await;
    insta::assert_snapshot!(read, @"");
}
