//! One message of a conversation, as its line has it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    pub(super) role: String,
    pub(super) content: String,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}
