//! The description as servers answer with it.

use std::ops::Range;

use axum::body::Bytes;

/// Where the paths begin, as long as no other application mounts them.
pub(super) const ROOT: &str = "/";

/// The description as JSON, of which all answers share the one copy.
#[derive(Debug, Clone)]
pub(crate) struct DescriptionText {
    text: Bytes,
    /// Where the path of the server is in it.
    server: Range<usize>,
}

impl DescriptionText {
    pub(crate) fn new(text: String) -> Self {
        let server = format!("\"servers\":[{{\"url\":\"{ROOT}\"");
        let end = text.find(&server).map_or(0, |start| start + server.len() - 1);
        Self { text: text.into(), server: end.saturating_sub(ROOT.len())..end }
    }

    /// The description of the API that is mounted at `base`, an empty text for one that is not mounted.
    pub(crate) fn below(&self, base: &str) -> Bytes {
        if base.is_empty() {
            return self.text.clone();
        }
        let quoted = serde_json::Value::from(base).to_string();
        let url = quoted.trim_matches('"').as_bytes();
        let Range { start, end } = self.server;
        [&self.text[..start], url, &self.text[end..]].concat().into()
    }
}
