//! Usage by day and model; booked by `Messages::record_reply`.

use chatstore_model::{Day, UsageGroup, UsageGrouping, UsageRow, UserId};
use constcat::concat;

use crate::db::{Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::schema::USAGE_DAILY;

const BETWEEN: Sql = Sql::same(
    "usage.between",
    concat!(
        "select ",
        USAGE_DAILY.columns_without(&["owner_id"]).names().as_str(),
        " from usage_daily where owner_id = $1 and day >= $2 and day <= $3 and ",
        live_user!("$1"),
        " order by day, model"
    ),
);

const GROUPS: &str = concat!(
    "select case when $1 then day end as group_day, case when $2 then model end as group_model, \
    case when $3 then owner_id end as group_owner, \
    cast(sum(requests) as bigint), cast(sum(cached_requests) as bigint), cast(sum(tokens_prompt) as bigint), \
    cast(sum(tokens_completion) as bigint), cast(sum(tokens_total) as bigint), \
    cast(sum(completion_time_ms_sum) as bigint), cast(sum(cost_micros) as bigint) \
    from usage_daily where day >= $4 and day <= $5 and ",
    live_user!("owner_id")
);
const GROUPED: &str = " group by 1, 2, 3 order by 1, 2, 3";

const GROUPED_OF_OWNER: Sql =
    Sql::same("usage.grouped_of_owner", concat!(GROUPS, " and owner_id = $6", GROUPED));
const GROUPED_OF_ALL: Sql = Sql::same("usage.grouped_of_all", concat!(GROUPS, GROUPED));

pub(super) const STATEMENTS: &[Sql] = &[BETWEEN, GROUPED_OF_OWNER, GROUPED_OF_ALL];

reader! {
    fn read_group -> UsageGroup {
        day, model, user_id, requests, cached_requests, tokens_prompt, tokens_completion, tokens_total,
        completion_time_ms_sum, cost_micros,
    }
}

repository! {
    /// Usage by day and model.
    Usage, usage
}

reader! {
    fn read -> UsageRow {
        day, model, requests, cached_requests, tokens_prompt, tokens_completion, tokens_total,
        completion_time_ms_sum, cost_micros,
    }
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

    /// Usage from one day to another, both included, added up in the database, of one owner or of
    /// all users; by day, then model, then user.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn grouped(
        &mut self,
        owner: Option<UserId>,
        from: Day,
        to: Day,
        grouping: UsageGrouping,
    ) -> Result<Vec<UsageGroup>, StoreError> {
        let mut values = vec![
            grouping.by_day.into(),
            grouping.by_model.into(),
            grouping.by_user.into(),
            from.start().into(),
            to.start().into(),
        ];
        let sql = match owner {
            Some(owner) => {
                values.push(owner.into());
                &GROUPED_OF_OWNER
            }
            None => &GROUPED_OF_ALL,
        };
        self.0.executor.query(sql, &values, read_group).await
    }
}
