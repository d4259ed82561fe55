//! tokio-postgres without a store: a deadpool of as many connections as the store has.

use std::hint::black_box;

use chatstore_bench::drivers::statement;
use chatstore_bench::error::Error;
use chatstore_model::{ConversationId, Limit, UserId};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio_postgres::NoTls;
use tokio_postgres::types::{ToSql, Type, private::BytesMut};
use uuid::Uuid;

use super::rows::{BareConversation, BareMessage};
use super::{LIST, PAGE};

/// The store's default.
const POOL: usize = 16;

/// A pool with the statements that are measured.
#[derive(Debug, Clone)]
pub(crate) struct BarePostgres {
    pool: Pool,
    page: &'static str,
    list: &'static str,
}

impl BarePostgres {
    pub(crate) fn connect(url: &str) -> Result<Self, Error> {
        let config: tokio_postgres::Config = url.parse()?;
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, settings)).max_size(POOL).build()?;
        let (page, list) = (statement(PAGE)?.postgres(), statement(LIST)?.postgres());
        Ok(Self { pool, page, list })
    }

    /// The newest `limit` messages, and one more to see whether there are older ones.
    pub(crate) async fn page(
        &self,
        owner: UserId,
        conversation: ConversationId,
        limit: Limit,
    ) -> Result<usize, Error> {
        let client = self.pool.get().await?;
        let select = client.prepare_cached(self.page).await?;
        let values: [&(dyn ToSql + Sync); 5] =
            [&owner.uuid(), &conversation.uuid(), &0_i64, &i64::MAX, &limit.with_lookahead()];
        let rows = client.query(&select, &values).await?;
        let rows: Vec<BareMessage> = rows.iter().map(BareMessage::from_postgres).collect::<Result<_, _>>()?;
        Ok(black_box(rows).len())
    }

    /// The `limit` most recent conversations of a user, and one more.
    pub(crate) async fn list(&self, user: UserId, limit: Limit) -> Result<usize, Error> {
        let client = self.pool.get().await?;
        let select = client.prepare_cached(self.list).await?;
        let values: [&(dyn ToSql + Sync); 6] =
            [&user.uuid(), &Infinity, &Uuid::max(), &limit.with_lookahead(), &limit.with_lookahead(), &0_i64];
        let rows = client.query(&select, &values).await?;
        let rows: Vec<BareConversation> =
            rows.iter().map(BareConversation::from_postgres).collect::<Result<_, _>>()?;
        Ok(black_box(rows).len())
    }
}

/// The `timestamptz` beyond all others.
#[derive(Debug)]
struct Infinity;

impl ToSql for Infinity {
    fn to_sql(
        &self,
        _ty: &Type,
        out: &mut BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&i64::MAX.to_be_bytes());
        Ok(tokio_postgres::types::IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    tokio_postgres::types::to_sql_checked!();
}
