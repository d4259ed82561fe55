//! Answers that may be large: written piece by piece, and bounded in memory all together.

mod holding;
mod lines;
mod memory;
mod pieces;

pub(crate) use holding::HoldingBody;
pub(crate) use lines::{EndLine, LinesError, NDJSON, WriteLines, lines};
pub(crate) use memory::AnswerMemory;
pub(crate) use pieces::{ListItem, list};
