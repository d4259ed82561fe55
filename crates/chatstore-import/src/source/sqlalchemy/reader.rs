//! Reads rows in the order of their keys.

use chatstore_model::UserId;
use chatstore_sql::{ExternalDatabase, ExternalValue, Selection};

use super::SqlalchemyError;
use crate::engine::Import;
use crate::plan::RowClock;
use crate::report::Issue;
use crate::source::planning::plan_user;
use crate::source::row::{Layout, Row, TimesWithoutZone, shown};

/// A database that is being imported.
pub(super) struct Reader<'i> {
    pub(super) database: ExternalDatabase,
    pub(super) import: Import<'i>,
    /// Who has what names no owner.
    pub(super) owner: UserId,
    pub(super) zones: TimesWithoutZone,
}

impl Reader<'_> {
    /// Hands over all users, whose key is in this field; `id_of` names a user.
    pub(super) async fn users(
        &mut self,
        layout: &Layout,
        key: &'static str,
        id_of: fn(&Row<'_>) -> UserId,
    ) -> Result<(), SqlalchemyError> {
        let mut clock = RowClock::following(self.import.base_time());
        let selection = select(layout, order(layout, 0, &[key]));
        let mut repeated = RepeatedKeys::of(layout, &[key]);
        let mut rows = self.database.rows(&selection).await?;
        while let Some(read) = rows.next().await? {
            for values in read {
                if let Some(issue) = repeated.find(&values) {
                    self.import.report.issue(issue);
                    continue;
                }
                let row = Row::new(layout, &values, key);
                let user = plan_user(row, key, id_of, clock.time(), &mut self.zones);
                clock.follow(user.new.created_at);
                self.import.user(user).await?;
            }
        }
        Ok(())
    }
}

/// Finds rows with the key of the row before, which a table without a primary key may have.
pub(super) struct RepeatedKeys<'l> {
    layout: &'l Layout,
    places: Vec<usize>,
    before: Vec<ExternalValue>,
}

impl<'l> RepeatedKeys<'l> {
    pub(super) fn of(layout: &'l Layout, fields: &[&str]) -> Self {
        let places = fields.iter().filter_map(|field| layout.place(field)).collect();
        Self { layout, places, before: Vec::new() }
    }

    /// The issue of a row that has the key of the row before.
    pub(super) fn find(&mut self, row: &[ExternalValue]) -> Option<Issue> {
        let key: Vec<ExternalValue> = self.places.iter().map(|place| row[*place].clone()).collect();
        if key != self.before {
            self.before = key;
            return None;
        }
        let place = self.places.last().copied().unwrap_or_default();
        let (key, column) = (shown(&row[place]), &self.layout.table.columns[place].name);
        let done = "left out; the first of them is imported";
        let issue = Issue::of_row(self.layout.name, &key, "another row has the same key", done);
        Some(issue.in_column(column).leaving_out())
    }
}

/// Every column of a table, in this order of rows.
pub(super) fn select<'l>(layout: &'l Layout, order: Vec<(usize, &'l str)>) -> Selection<'l> {
    Selection {
        table: &layout.table,
        columns: layout.columns(),
        joined: Vec::new(),
        without: None,
        order,
        identified: Vec::new(),
    }
}

/// An order by these columns of the table at a place of a selection.
pub(super) fn order<'l>(layout: &'l Layout, place: usize, fields: &[&str]) -> Vec<(usize, &'l str)> {
    fields.iter().filter_map(|field| Some((place, layout.column(field)?))).collect()
}

/// The name in the table of a column without which the table would not have been recognized.
pub(super) fn known<'l>(layout: &'l Layout, field: &'static str) -> &'l str {
    layout.column(field).unwrap_or(field)
}
