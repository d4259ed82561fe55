//! Reads on a standby: never less than one's own last write, and never an error.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use chatstore::{
    Builder, CanonicalJson, ConversationId, DocumentList, NewConversation, NewDocument, NewMessage,
    PageRequest, ShownPosition, StandbyReads, Store, UserId, UserName, WalPosition,
};
use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A primary with one standby, a store over both, and a user with a conversation.
struct Cluster {
    primary: PostgresServer,
    standby: PostgresServer,
    store: Store,
    user: UserId,
    conversation: ConversationId,
}

impl Cluster {
    async fn start() -> Self {
        ensure_postgres_installed().unwrap();
        let primary = PostgresServer::start(Settings { durable: false }).unwrap();
        let standby = primary.start_standby().unwrap();
        let store = builder(&primary, &standby).connect().await.unwrap();
        store.migrate().await.unwrap();
        let user =
            store.users().create(chatstore::NewUser::named(UserName::new("ada").unwrap())).await.unwrap().id;
        let new = NewConversation::titled("Trip");
        let conversation = store.as_user(user).conversations().create(new).await.unwrap().id;
        let cluster = Self { primary, standby, store, user, conversation };
        wait_until_used(&cluster.store).await;
        cluster
    }

    fn reads(&self) -> StandbyReads {
        self.store.standby_reads().unwrap()
    }

    /// Appends a message, and reads it among the newest ones at once.
    async fn append_and_read(&self, text: &str) {
        let messages = self.store.as_user(self.user).messages();
        messages.append(self.conversation, NewMessage::user(text)).await.unwrap();
        assert_eq!(self.newest(&self.store).await, text);
    }

    async fn newest(&self, store: &Store) -> String {
        let messages = store.as_user(self.user).messages();
        let page = messages.page(self.conversation, PageRequest::newest(1)).await.unwrap();
        page.items.into_iter().next().map(|message| message.content).unwrap_or_default()
    }

    /// Appends and reads until the standby is left, which is to be soon and without an error.
    async fn append_until_left(&self) {
        let began = Instant::now();
        for number in 0.. {
            self.append_and_read(&format!("left {number}")).await;
            if self.reads().in_use == 0 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the standby is still used: {:?}", self.reads());
        }
    }

    /// Appends and reads until the standby answers reads again.
    async fn append_until_used(&self) {
        let (began, before) = (Instant::now(), self.reads().answered);
        for number in 0.. {
            self.append_and_read(&format!("used {number}")).await;
            if self.reads().answered > before {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the standby is not used again: {:?}", self.reads());
        }
    }
}

async fn wait_until_used(store: &Store) {
    let began = Instant::now();
    while store.standby_reads().unwrap().in_use == 0 {
        assert!(began.elapsed() < PATIENCE, "the standby is never used");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn builder(primary: &PostgresServer, standby: &PostgresServer) -> Builder {
    Store::builder(primary.url()).pool(4).standbys([standby.url()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_writes_are_seen_at_once_wherever_lists_are_read() {
    let cluster = Cluster::start().await;
    let chat = cluster.store.as_user(cluster.user);
    for number in 0..300 {
        cluster.append_and_read(&number.to_string()).await;
    }
    let updated = chat.messages().edit(cluster.conversation, newest_id(&cluster).await, edit("edited")).await;
    assert_eq!(updated.unwrap().content, "edited");
    assert_eq!(cluster.newest(&cluster.store).await, "edited");
    for number in 1..=20 {
        chat.documents().create(NewDocument::new(CanonicalJson::object())).await.unwrap();
        assert_eq!(chat.documents().page(DocumentList::default()).await.unwrap().items.len(), number);
        chat.conversations().create(NewConversation::titled("another")).await.unwrap();
        let count = chat.conversations().count(chatstore::ConversationFilter::EVERYTHING).await.unwrap();
        assert_eq!(count, i64::try_from(number).unwrap() + 1);
    }
    let reads = cluster.reads();
    assert!(reads.answered > 100, "most of them are read on the standby: {reads:?}");
}

fn edit(text: &str) -> chatstore::MessagePatch {
    chatstore::MessagePatch { content: Some(text.to_owned()), ..chatstore::MessagePatch::default() }
}

async fn newest_id(cluster: &Cluster) -> chatstore::MessageId {
    let messages = cluster.store.as_user(cluster.user).messages();
    messages.page(cluster.conversation, PageRequest::newest(1)).await.unwrap().items[0].id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_lags_is_left_and_used_again() {
    let cluster = Cluster::start().await;
    cluster.standby.psql("alter system set recovery_min_apply_delay = '2s'").unwrap();
    cluster.standby.psql("select pg_reload_conf()").unwrap();
    cluster.append_until_left().await;
    cluster.standby.psql("alter system reset recovery_min_apply_delay").unwrap();
    cluster.standby.psql("select pg_reload_conf()").unwrap();
    cluster.append_until_used().await;
    cluster.standby.psql("select pg_wal_replay_pause()").unwrap();
    cluster.append_until_left().await;
    cluster.standby.psql("select pg_wal_replay_resume()").unwrap();
    cluster.append_until_used().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_hangs_dies_or_is_promoted_is_left_without_an_error() {
    let cluster = Cluster::start().await;
    cluster.standby.freeze().unwrap();
    cluster.append_until_left().await;
    cluster.standby.thaw().unwrap();
    cluster.append_until_used().await;
    cluster.standby.crash().unwrap();
    cluster.append_until_left().await;
    cluster.standby.revive().unwrap();
    cluster.append_until_used().await;
    assert_eq!(cluster.standby.psql("select pg_promote()").unwrap(), "t");
    cluster.append_until_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_shows_what_was_written_when_it_is_told_the_position() {
    let cluster = Cluster::start().await;
    let other = builder(&cluster.primary, &cluster.standby).connect().await.unwrap();
    wait_until_used(&other).await;
    cluster.standby.psql("select pg_wal_replay_pause()").unwrap();
    let append = async || {
        let messages = cluster.store.as_user(cluster.user).messages();
        messages.append(cluster.conversation, NewMessage::user("there")).await.unwrap();
    };
    let ((), position) = ShownPosition::run(None, append()).await;
    let position: WalPosition = position.unwrap().to_string().parse().unwrap();
    let (newest, written) = ShownPosition::run(Some(position), cluster.newest(&other)).await;
    assert_eq!((newest.as_str(), written), ("there", None));
    cluster.standby.psql("select pg_wal_replay_resume()").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opens_and_answers_without_its_standby() {
    ensure_postgres_installed().unwrap();
    let primary = PostgresServer::start(Settings { durable: false }).unwrap();
    let standby = primary.start_standby().unwrap();
    standby.crash().unwrap();
    let store = builder(&primary, &standby).connect().await.unwrap();
    store.migrate().await.unwrap();
    let user =
        store.users().create(chatstore::NewUser::named(UserName::new("ada").unwrap())).await.unwrap().id;
    assert_eq!(
        store.as_user(user).conversations().count(chatstore::ConversationFilter::EVERYTHING).await.unwrap(),
        0
    );
    assert_eq!(store.standby_reads().unwrap().on_primary, 1);
}

#[tokio::test]
async fn standbys_are_for_postgresql_and_are_postgresql() {
    for (url, standby) in [
        ("sqlite://:memory:", "postgresql://ada@localhost/chat"),
        ("postgresql://ada:secret@127.0.0.1:1/chat", "sqlite://chat.db"),
    ] {
        let error = Store::builder(url).standbys([standby.to_owned()]).connect().await.unwrap_err();
        assert!(error.to_string().contains("standby"), "{error}");
    }
}
