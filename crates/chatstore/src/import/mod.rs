//! Bringing data along from elsewhere. Every import can be run again: it finds what it made.

pub mod jsonl;
pub mod sqlalchemy;
