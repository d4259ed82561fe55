//! Usage by day and model; booked by `Messages::record_reply`.

use chatstore_model::{Day, Timestamp, UsageRow, UserId};

use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::tx::Tx;

const BETWEEN: Sql = Sql::same(
    "usage.between",
    "select day, model, requests, cached_requests, tokens_prompt, tokens_completion, tokens_total, \
     completion_time_ms_sum, cost_micros \
     from usage_daily where owner_id = $1 and day >= $2 and day <= $3 order by day, model",
);

pub(super) const STATEMENTS: &[Sql] = &[BETWEEN];

/// Usage by day and model.
#[derive(Debug)]
pub struct Usage<'t, 'c, M>(pub(crate) &'t mut Tx<'c, M>);

fn read(row: &Row<'_>) -> Result<UsageRow, StoreError> {
    let day: Timestamp = row.get(0)?;
    Ok(UsageRow {
        day: Day::of(day),
        model: row.get(1)?,
        requests: row.get(2)?,
        cached_requests: row.get(3)?,
        tokens_prompt: row.get(4)?,
        tokens_completion: row.get(5)?,
        tokens_total: row.get(6)?,
        completion_time_ms_sum: row.get(7)?,
        cost_micros: row.get(8)?,
    })
}

impl<M> Usage<'_, '_, M> {
    /// What an owner used from one day to another, both included, by day and then model.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn between(&mut self, owner: UserId, from: Day, to: Day) -> Result<Vec<UsageRow>, StoreError> {
        let values = [owner.into(), from.start().into(), to.start().into()];
        self.0.executor.query(&BETWEEN, &values, read).await
    }
}
