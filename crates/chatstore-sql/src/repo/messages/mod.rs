//! Messages: appended with the next number of their conversation, read by number.

mod append;
mod change;
mod import;
mod model;
mod page;
mod reply;
mod row;

use crate::db::Sql;
use crate::error::StoreError;
use crate::schema::MESSAGES;
use crate::tx::Tx;

pub use import::PresentMessage;

pub(super) const STATEMENTS: &[&[Sql]] = &[
    append::STATEMENTS,
    change::STATEMENTS,
    import::STATEMENTS,
    model::STATEMENTS,
    page::STATEMENTS,
    reply::STATEMENTS,
];

const NOT_FOUND: StoreError = StoreError::NotFound { entity: MESSAGES.entity };

/// Messages.
#[derive(Debug)]
pub struct Messages<'t, 'c, M>(&'t mut Tx<'c, M>);

impl<'c, M> Tx<'c, M> {
    /// Messages.
    pub const fn messages(&mut self) -> Messages<'_, 'c, M> {
        Messages(self)
    }
}
