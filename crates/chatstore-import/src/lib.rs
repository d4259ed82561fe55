//! Imports of conversations from elsewhere. Every import can be run again: it finds what it wrote.

pub mod jsonl;
pub mod sqlalchemy;
