//! The preview of a conversation.

/// The maximum number of characters (Unicode scalar values) of its newest message that a conversation's
/// `last_message` holds.
pub const PREVIEW_CHARACTERS: usize = 200;

/// The first [`PREVIEW_CHARACTERS`] characters of a message's content.
#[must_use]
pub fn preview(content: &str) -> &str {
    match content.char_indices().nth(PREVIEW_CHARACTERS) {
        Some((end, _)) => &content[..end],
        None => content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_counts_characters_and_not_bytes() {
        let long = "知".repeat(300);
        assert_eq!(preview(&long).chars().count(), 200);
        assert_eq!(preview("short"), "short");
    }
}
