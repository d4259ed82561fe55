//! Reads SQL text as far as the engine must: where statements end, and the words of each.

pub(crate) mod statements;
pub(crate) mod tokens;
