//! Callers that read, through the store and through the bare drivers.

use std::hint::black_box;
use std::sync::Arc;

use chatstore_bench::data::Targets;
use chatstore_bench::drive::{Caller, Kind};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_model::{ConversationId, Limit, MessageRange, Order, UserId};
use chatstore_sql::{ConversationList, Database, ReadTx, Via};

use crate::bare::postgres::BarePostgres;
use crate::bare::sqlite::ReaderPool;
use crate::kinds::ReadKind;

/// Through what a caller reads.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Store(Database),
    BareSqlite(Arc<ReaderPool>),
    BarePostgres(BarePostgres),
}

/// Reads one thing after the other, chosen at random.
#[derive(Debug)]
pub(super) struct Reader {
    way: Way,
    kind: ReadKind,
    limit: Limit,
    targets: Arc<Targets>,
    random: Random,
}

impl Reader {
    /// So many of them, each with another choice of what to read.
    pub(super) fn many(
        count: usize,
        way: &Way,
        kind: ReadKind,
        limit: Limit,
        targets: &Arc<Targets>,
    ) -> Vec<Self> {
        let reader = |number: usize| Self {
            way: way.clone(),
            kind,
            limit,
            targets: Arc::clone(targets),
            random: Random::new(number as u64),
        };
        (0..count).map(reader).collect()
    }

    async fn page(&self, owner: UserId, conversation: ConversationId) -> Result<usize, Error> {
        match &self.way {
            Way::Store(database) => page(database, owner, conversation, self.limit).await,
            Way::BareSqlite(pool) => pool.with(|reader| reader.page(owner, conversation, self.limit)).await,
            Way::BarePostgres(pool) => pool.page(owner, conversation, self.limit).await,
        }
    }

    async fn list(&self, user: UserId) -> Result<usize, Error> {
        match &self.way {
            Way::Store(database) => list(database, user, self.limit).await,
            Way::BareSqlite(pool) => pool.with(|reader| reader.list(user, self.limit)).await,
            Way::BarePostgres(pool) => pool.list(user, self.limit).await,
        }
    }
}

impl Caller for Reader {
    async fn run(&mut self) -> Result<Kind, Error> {
        let found = match self.kind {
            ReadKind::Page => {
                let (owner, conversation) = self.targets.long[self.random.below(self.targets.long.len())];
                self.page(owner, conversation).await?
            }
            ReadKind::List => {
                let user = self.targets.users[self.random.below(self.targets.users.len())];
                self.list(user).await?
            }
        };
        if found < self.limit.rows() {
            return Err(format!("{} rows where there are {}", found, self.limit.rows()).into());
        }
        Ok(Kind::Read)
    }
}

/// The newest messages of a conversation; how many came.
async fn page(
    database: &Database,
    owner: UserId,
    conversation: ConversationId,
    limit: Limit,
) -> Result<usize, Error> {
    let read = async move |tx: &mut ReadTx<'_>| {
        let (range, order) = (MessageRange::ALL, Order::Descending);
        tx.messages().page(Via::Owner(owner), conversation, range, order, limit).await
    };
    Ok(black_box(database.read("page", read).await?).items.len())
}

/// The most recent conversations of a user; how many came.
async fn list(database: &Database, user: UserId, limit: Limit) -> Result<usize, Error> {
    let list = ConversationList { limit, ..ConversationList::default() };
    let read = async move |tx: &mut ReadTx<'_>| tx.conversations().page(user, &list).await;
    Ok(black_box(database.read("list", read).await?).items.len())
}
