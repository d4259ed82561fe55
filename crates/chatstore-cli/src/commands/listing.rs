//! How many rows a list prints.

use chatstore::{Limit, Page};
use clap::{Args, value_parser};

use super::eprint_message;
use crate::error::CliError;

#[derive(Debug, Args)]
pub(super) struct Rows {
    /// The maximum number of rows
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    limit: u32,
    /// List every row
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Rows that were read, and whether there are more.
pub(super) struct Listed<T> {
    pub(super) rows: Vec<T>,
    has_more: bool,
}

impl Rows {
    /// The maximum number of rows.
    pub(super) const fn maximum(&self) -> usize {
        if self.all { usize::MAX } else { self.limit as usize }
    }

    /// Reads pages until there are as many rows.
    pub(super) async fn read<T, P>(
        &self,
        mut page: impl AsyncFnMut(Option<P>, Limit) -> chatstore::Result<Page<T, P>>,
    ) -> Result<Listed<T>, CliError> {
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let read = page(from, Limit::MAX).await?;
            rows.extend(read.items);
            let has_more =
                rows.len() > self.maximum() || (rows.len() == self.maximum() && read.next.is_some());
            if has_more || read.next.is_none() {
                return Ok(self.listed(rows, has_more));
            }
            from = read.next;
        }
    }

    /// The first of these rows.
    pub(super) fn listed<T>(&self, mut rows: Vec<T>, has_more: bool) -> Listed<T> {
        let has_more = has_more || rows.len() > self.maximum();
        rows.truncate(self.maximum());
        Listed { rows, has_more }
    }
}

impl<T> Listed<T> {
    /// Says that there are more, if there are.
    pub(super) fn tell_of_more(&self) {
        if self.has_more {
            eprint_message(format_args!(
                "only the first {} are listed: --limit COUNT lists more, --all all",
                self.rows.len()
            ));
        }
    }
}
