//! Walks over long lists with cursors: nothing is skipped and nothing comes twice.

use std::collections::HashSet;

use chatstore::{NewConversation, NewMessage};
use chatstore_testkit::{TestDatabase, conformance};

use crate::support::{Person, Server};

conformance!(a_walk_over_conversations_of_one_instant_meets_each_once, a_walk_over_messages_meets_each_once,);

const ROWS: usize = 300;
const LIMITS: [usize; 4] = [1, 7, 50, 200];

/// The ids on all pages, in order.
async fn walk(server: &Server, person: &Person, path: &str, query: &str, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(person, &format!("{path}?{query}&limit={limit}{cursor}")).await;
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        ids.extend(data.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
        assert_eq!(data.len(), limit, "a page before the last is full");
    }
}

async fn assert_walks(server: &Server, person: &Person, path: &str, filter: &str) {
    for limit in LIMITS {
        let mut up = walk(server, person, path, &format!("{filter}order=asc"), limit).await;
        let down = walk(server, person, path, &format!("{filter}order=desc"), limit).await;
        assert_eq!((up.len(), up.iter().collect::<HashSet<_>>().len()), (ROWS, ROWS), "limit {limit}");
        up.reverse();
        assert_eq!(up, down, "limit {limit}");
    }
}

async fn a_walk_over_conversations_of_one_instant_meets_each_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for _ in 0..ROWS {
        let conversations = server.store.as_user(ada.id).conversations();
        conversations.create(NewConversation::default()).await.unwrap();
    }
    for sort in ["updated_at", "created_at"] {
        assert_walks(&server, &ada, "/api/v1/conversations", &format!("sort={sort}&")).await;
    }
}

async fn a_walk_over_messages_meets_each_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    for count in [200, ROWS - 200] {
        let batch = vec![NewMessage::user("x"); count];
        server.store.as_user(ada.id).messages().append_many(id, batch).await.unwrap();
    }
    assert_walks(&server, &ada, &format!("{path}/messages"), "").await;
}
