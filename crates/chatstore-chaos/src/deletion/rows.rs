//! A conversation of any length, and what is left of it.

use chatstore_bench::error::Error;
use chatstore_bench::server::USER;
use chatstore_model::{ConversationId, NewConversation, UserId};
use chatstore_sql::{Database, DatabaseOptions, Marked, MarkedCounts, ReadTx, Sql, StoreError, WriteTx};

/// The application's id of the conversation.
pub(super) const THREAD: &str = "long";

const MESSAGES: Sql = Sql::pair(
    "experiment.messages",
    "insert into messages (owner_id, conversation_id, seq, id, role, content, used_documents, metadata, created_at) \
     with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < $1) \
     select $2, $3, n, unhex(printf('%032x', n)), 'user', printf('message %d %.*c', n, 150, 'x'), '[]', '{}', 0 \
     from numbers",
    "insert into messages (owner_id, conversation_id, seq, id, role, content, used_documents, metadata, created_at) \
     with numbers (n) as (select * from generate_series(1, $1::bigint)) \
     select $2, $3, n, lpad(to_hex(n), 32, '0')::uuid, 'user', 'message ' || n || ' ' || repeat('x', 150), '[]', '{}', \
     'epoch' from numbers",
);

const HEAD: Sql = Sql::same(
    "experiment.head",
    "update conversations set last_seq = $1, message_count = $1 where owner_id = $2 and id = $3",
);

/// Messages that PostgreSQL inserts within the time of a statement.
const AT_ONCE: i64 = 1_000_000;

/// The database of a server, from beside it.
pub(super) struct Rows {
    database: Database,
    owner: UserId,
}

impl Rows {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let database = Database::open(DatabaseOptions { pool: 2, ..DatabaseOptions::new(url) }).await?;
        let find = async |tx: &mut ReadTx<'_>| tx.users().find_by_username(USER).await;
        let owner = database.read("owner", find).await?.ok_or("the user of the experiments is missing")?.id;
        Ok(Self { database, owner })
    }

    /// Creates the conversation with its messages.
    pub(super) async fn create_long(&self, messages: i64) -> Result<ConversationId, Error> {
        if messages > AT_ONCE {
            return Err(format!("a maximum of {AT_ONCE} messages").into());
        }
        let owner = self.owner;
        let create = async move |tx: &mut WriteTx<'_>| {
            let id = tx.conversations().create(owner, &NewConversation::thread(THREAD)).await?.id;
            let (owner, id_value) = (owner.uuid(), id.uuid());
            tx.execute(&MESSAGES, &[messages.into(), owner.into(), id_value.into()]).await?;
            tx.execute(&HEAD, &[messages.into(), owner.into(), id_value.into()]).await?;
            Ok::<_, StoreError>(id)
        };
        Ok(self.database.write("create_long", create).await?)
    }

    /// Creates a conversation with the freed thread id.
    pub(super) async fn create_successor(&self) -> Result<ConversationId, Error> {
        let owner = self.owner;
        let create = async move |tx: &mut WriteTx<'_>| {
            tx.conversations().create(owner, &NewConversation::thread(THREAD)).await
        };
        Ok(self.database.write("create_successor", create).await?.id)
    }

    /// Messages of the conversation that are stored, visible to no reader.
    pub(super) async fn left(&self, id: ConversationId) -> Result<i64, Error> {
        let marked = Marked::Conversation { owner: self.owner, id };
        let count = async move |tx: &mut ReadTx<'_>| tx.deletions().messages_left(marked).await;
        Ok(self.database.read("left", count).await?)
    }

    /// Whether nothing is being deleted any more.
    pub(super) async fn is_done(&self) -> Result<bool, Error> {
        let count = async |tx: &mut ReadTx<'_>| tx.deletions().count().await;
        Ok(self.database.read("marked", count).await? == MarkedCounts::default())
    }

    /// Conversations and messages that every reader sees.
    pub(super) async fn seen(&self) -> Result<(i64, i64), Error> {
        let count = async |tx: &mut ReadTx<'_>| tx.statistics().counts().await;
        let counts = self.database.read("counts", count).await?;
        Ok((counts.conversations, counts.messages))
    }

    pub(super) async fn close(&self) {
        self.database.close().await;
    }
}
