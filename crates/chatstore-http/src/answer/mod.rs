//! Answers that may be large: written piece by piece, and bounded in memory all together.

mod holding;
mod memory;
mod pieces;

pub(crate) use holding::HoldingBody;
pub(crate) use memory::{AnswerMemory, HeldBytes};
pub(crate) use pieces::{ListItem, list};
