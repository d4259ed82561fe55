//! Two processes with one database: what one changes, the other notices.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chatstore::auth::{OwnKeys, Password, TokenKeys, Tokens};
use chatstore::messenger::{Hear, Heard, Messenger, MessengerFuture};
use chatstore::{ApiKeyScope, Store, UserId, UserPatch, UserRole};
use chatstore_testkit::{Backend, TestDatabase};

use crate::fixtures::user;

const PASSWORD: &str = "correct horse battery";

/// Longer than anything that is told needs, and shorter than what is remembered.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

async fn process(case: &TestDatabase, messenger: Option<Arc<dyn Messenger>>) -> Store {
    let keys = TokenKeys::generate(|bytes| bytes.fill(7)).0;
    let mut builder = Store::builder(case.url.as_str()).token_keys(keys);
    if let Some(messenger) = messenger {
        builder = builder.messenger(messenger);
    }
    builder.connect().await.unwrap()
}

/// Waits until what one process knows is refused.
async fn until_refused(store: &Store, credential: &str) {
    let refused = async {
        while store.authenticate(credential).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TOLD_WITHIN, refused).await.expect("it was told");
}

async fn log_in(store: &Store, name: &str) -> Tokens {
    store
        .auth()
        .login(chatstore::auth::LoginName::Username(name.to_owned()), Password::new(PASSWORD))
        .await
        .unwrap()
}

async fn member(store: &Store, name: &str) -> UserId {
    let id = user(store, name).await;
    store.auth().set_password(id, Password::new(PASSWORD), false).await.unwrap();
    id
}

/// What ends on one process, ends on the other.
async fn every_end_is_told(here: &Store, there: &Store) {
    let ada = member(here, "ada").await;
    let tokens = log_in(here, "ada").await;
    assert!(there.authenticate(&tokens.access_token).await.unwrap().is_some());
    here.auth().logout(ada, tokens.session_id).await.unwrap();
    until_refused(there, &tokens.access_token).await;

    let tokens = log_in(here, "ada").await;
    assert!(there.authenticate(&tokens.access_token).await.unwrap().is_some());
    here.auth().logout_all(ada, OwnKeys::Keep).await.unwrap();
    until_refused(there, &tokens.access_token).await;

    let key = here.keys().create(ada, ApiKeyScope::User, None, None).await.unwrap();
    assert!(there.authenticate(&key.text).await.unwrap().is_some());
    here.keys().revoke(ada, key.key.id).await.unwrap();
    until_refused(there, &key.text).await;

    let key = here.keys().create(ada, ApiKeyScope::User, None, None).await.unwrap();
    let role = async || there.authenticate(&key.text).await.unwrap().map(|principal| principal.role);
    assert_eq!(role().await, Some(UserRole::User));
    let disabled = UserPatch { is_active: Some(false), ..UserPatch::default() };
    here.users().update(ada, disabled).await.unwrap();
    until_refused(there, &key.text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_what_ends_on_one_process_ends_on_the_other() {
    let case = Backend::Postgres.database().await;
    let (here, there) = (process(&case, None).await, process(&case, None).await);
    every_end_is_told(&here, &there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_listener_whose_connection_was_closed_hears_again() {
    let case = Backend::Postgres.database().await;
    let (here, there) = (process(&case, None).await, process(&case, None).await);
    every_end_is_told(&here, &there).await;
    let end = "select pg_terminate_backend(pid)::text from pg_stat_activity \
               where datname = current_database() and query like 'listen%'";
    let sql = chatstore::sql::Sql::only_postgres("end_listeners", end);
    let ended = here.read("end", async move |tx| tx.query(&sql, &[], |row| row.next::<String>()).await).await;
    let ended: Result<Vec<String>, chatstore::StoreError> = ended;
    assert_eq!(ended.unwrap(), ["true", "true"], "each process has one");
    // Whether it listens again shows when it hears.
    let grace = member(&here, "grace").await;
    tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let tokens = log_in(&here, "grace").await;
            assert!(there.authenticate(&tokens.access_token).await.unwrap().is_some());
            here.auth().logout(grace, tokens.session_id).await.unwrap();
            for _ in 0..20 {
                if there.authenticate(&tokens.access_token).await.unwrap().is_none() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    })
    .await
    .expect("it hears again");
}

/// Tells all who listen in this process; counts what is told.
#[derive(Default)]
struct Room {
    listeners: Mutex<Vec<Hear>>,
    told: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Room")
    }
}

impl Messenger for Room {
    fn publish<'a>(&'a self, text: &'a str) -> MessengerFuture<'a> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
        for hear in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            hear(Heard::Text(text));
        }
        Box::pin(std::future::ready(()))
    }

    fn listen(self: Arc<Self>, hear: Hear) -> MessengerFuture<'static> {
        hear(Heard::Interrupted);
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(hear);
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_messenger_can_take_the_place_and_only_rare_changes_are_told() {
    let case = Backend::Sqlite.database().await;
    let room = Arc::new(Room::default());
    let (here, there) = (
        process(&case, Some(Arc::<Room>::clone(&room))).await,
        process(&case, Some(Arc::<Room>::clone(&room))).await,
    );
    let ada = member(&here, "ada").await;
    room.told.lock().unwrap().clear();
    let tokens = log_in(&here, "ada").await;
    let next = here.auth().refresh(&tokens.refresh_token).await.unwrap();
    for _ in 0..3 {
        assert!(there.authenticate(&next.access_token).await.unwrap().is_some());
    }
    assert!(room.told.lock().unwrap().is_empty(), "logins, refreshes and requests are told to nobody");
    here.auth().logout(ada, next.session_id).await.unwrap();
    assert_eq!(*room.told.lock().unwrap(), [format!("session {ada} {}", next.session_id)]);
    assert_eq!(there.authenticate(&next.access_token).await.unwrap(), None, "it was heard before the answer");
}
