//! Usage by day and model; booked by `Messages::record_reply`.

use chatstore_model::{Day, UsageGroup, UsageGrouping, UsageRow, UserId, limits};
use constcat::concat;

use crate::db::{Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::schema::{Text, USAGE_DAILY};

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

/// [`limits::COUNT`] in a statement.
pub(super) const LARGEST_COUNT: Text = Text::new().push_number(limits::COUNT as usize);

/// The sums of one database, each of which stays at [`limits::COUNT`]: a sum of large numbers is no whole number of
/// 64 bits. Up to there the floating-point numbers in which SQLite adds up are exact.
macro_rules! sums {
    ($begin:literal, $middle:literal, $end:literal) => {
        sums!($begin, $middle, $end, "requests", "cached_requests", "tokens_prompt", "tokens_completion",
            "tokens_total", "completion_time_ms_sum", "cost_micros")
    };
    ($begin:literal, $middle:literal, $end:literal, $($column:literal),+) => {
        concat!($(", ", $begin, $column, $middle, LARGEST_COUNT.as_str(), $end),+)
    };
}

/// The groups of usage with the sums of one database, of which owner.
macro_rules! groups {
    ($sums:expr, $whose:literal) => {
        concat!(
            "select case when $1 then day end as group_day, case when $2 then model end as group_model, \
            case when $3 then owner_id end as group_owner",
            $sums,
            " from usage_daily where day >= $4 and day <= $5 and ",
            live_user!("owner_id"),
            $whose,
            " group by 1, 2, 3 order by 1, 2, 3"
        )
    };
}

const SQLITE_SUMS: &str = sums!("cast(min(total(", "), ", ") as integer)");
const POSTGRES_SUMS: &str = sums!("cast(least(sum(", "), ", ") as bigint)");

const GROUPED_OF_OWNER: Sql = Sql::pair(
    "usage.grouped_of_owner",
    groups!(SQLITE_SUMS, " and owner_id = $6"),
    groups!(POSTGRES_SUMS, " and owner_id = $6"),
);
const GROUPED_OF_ALL: Sql =
    Sql::pair("usage.grouped_of_all", groups!(SQLITE_SUMS, ""), groups!(POSTGRES_SUMS, ""));

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
    /// all users; by day, then model, then user. No sum is above [`limits::COUNT`].
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
