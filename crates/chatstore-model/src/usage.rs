//! Usage by day and model.

use std::fmt;
use std::str::FromStr;

use crate::keyword::keywords;
use crate::{InvalidTimestamp, Timestamp, UserId, limits};

/// The model under which usage is booked beyond [`limits::MODELS_A_DAY`] models of an owner on one day.
pub const OTHER_MODELS: &str = "(others)";

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// A day in UTC, written `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Timestamp);

impl Day {
    /// The day on which an instant falls.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let microseconds = at.as_microseconds();
        Self(at.plus_microseconds(-microseconds.rem_euclid(DAY)))
    }

    /// The day this many days later, or earlier.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self(self.0.plus_microseconds(days.saturating_mul(DAY)))
    }

    /// Its first instant, the form in which it is stored.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_string()[..10])
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Day {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        if text.len() != 10 {
            return Err(InvalidTimestamp);
        }
        format!("{text}T00:00:00Z").parse().map(Self)
    }
}

/// By what usage is added up; by nothing it becomes one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageGrouping {
    /// A row for each day.
    pub by_day: bool,
    /// A row for each model.
    pub by_model: bool,
    /// A row for each user.
    pub by_user: bool,
}

impl UsageGrouping {
    /// Whether usage is added up by this.
    pub const fn by(&mut self, dimension: UsageDimension) -> &mut bool {
        match dimension {
            UsageDimension::Day => &mut self.by_day,
            UsageDimension::Model => &mut self.by_model,
            UsageDimension::User => &mut self.by_user,
        }
    }
}

keywords! {
    /// What usage can be added up by.
    pub enum UsageDimension {
        /// The day.
        Day = "day",
        /// The model.
        Model = "model",
        /// The user who is billed.
        User = "user",
    }
}

/// Usage added up; what it is not grouped by is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageGroup {
    /// The day.
    pub day: Option<Day>,
    /// The model.
    pub model: Option<String>,
    /// Who is billed.
    pub user_id: Option<UserId>,
    /// Responses recorded.
    pub requests: i64,
    /// Responses among them that came from a cache.
    pub cached_requests: i64,
    /// Tokens read.
    pub tokens_prompt: i64,
    /// Tokens written.
    pub tokens_completion: i64,
    /// Tokens billed.
    pub tokens_total: i64,
    /// Milliseconds, added up.
    pub completion_time_ms_sum: i64,
    /// Cost in millionths of the currency the prices are in.
    pub cost_micros: i64,
}

impl UsageGroup {
    /// Everything in one row; no sum is above [`limits::COUNT`].
    #[must_use]
    pub fn sum(rows: &[Self]) -> Self {
        let mut total = Self::default();
        for row in rows {
            for (sum, more) in [
                (&mut total.requests, row.requests),
                (&mut total.cached_requests, row.cached_requests),
                (&mut total.tokens_prompt, row.tokens_prompt),
                (&mut total.tokens_completion, row.tokens_completion),
                (&mut total.tokens_total, row.tokens_total),
                (&mut total.completion_time_ms_sum, row.completion_time_ms_sum),
                (&mut total.cost_micros, row.cost_micros),
            ] {
                *sum = sum.saturating_add(more).min(limits::COUNT);
            }
        }
        total
    }
}

/// What one owner used on one day with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The day.
    pub day: Day,
    /// The model.
    pub model: String,
    /// Responses recorded.
    pub requests: i64,
    /// Responses among them that came from a cache.
    pub cached_requests: i64,
    /// Tokens read.
    pub tokens_prompt: i64,
    /// Tokens written.
    pub tokens_completion: i64,
    /// Tokens billed.
    pub tokens_total: i64,
    /// Milliseconds, added up.
    pub completion_time_ms_sum: i64,
    /// Cost in millionths of the currency the prices are in.
    pub cost_micros: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_utc_also_before_1970() {
        for (at, day) in [
            ("2026-03-01T23:59:59.999999Z", "2026-03-01"),
            ("2026-03-01T00:30:00+01:00", "2026-02-28"),
            ("1969-12-31T12:00:00Z", "1969-12-31"),
        ] {
            assert_eq!(Day::of(at.parse().unwrap()).to_string(), day);
            assert_eq!(Day::of(at.parse().unwrap()), day.parse().unwrap());
        }
    }
}
