//! Puts conversations and messages, as they come, into chunks that are written together.

use std::sync::Arc;

use super::batch::{ChunkEnd, ConversationChunk};
use crate::plan::{PlannedConversation, PlannedMessage};

/// Messages of a batch: 40 milliseconds on SQLite, reading included, at the 24,700 a second measured there.
const BATCH_ROWS: usize = 1_000;

/// Maximum bytes of texts that wait, so that large messages do not fill the memory.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The chunks of a batch, and the conversation whose messages are still coming.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    chunks: Vec<ConversationChunk>,
    /// Conversations and messages of the batch, and bytes of its texts.
    rows: usize,
    bytes: usize,
    open: Option<ConversationChunk>,
    /// Bytes of the texts of the open chunk.
    open_bytes: usize,
}

impl Assembler {
    /// Begins a conversation, after the one before was closed.
    pub(super) fn open(&mut self, conversation: PlannedConversation) {
        let conversation = Arc::new(conversation);
        self.open = Some(ConversationChunk { conversation, messages: Vec::new(), earlier: None });
        self.open_bytes = 0;
    }

    /// Adds a message to the open conversation.
    pub(super) fn add(&mut self, message: PlannedMessage) {
        debug_assert!(self.open.is_some(), "a message belongs to the conversation before it");
        let Some(open) = &mut self.open else { return };
        self.rows += 1;
        self.bytes += message.new.content.len();
        self.open_bytes += message.new.content.len();
        open.messages.push(message);
    }

    /// Ends the open conversation.
    pub(super) fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        self.rows += 1;
        if !open.messages.is_empty() || open.earlier.is_none() {
            self.chunks.push(open);
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Cuts off what there is of the open conversation when that is a batch of its own; whether it was.
    /// Chunks are cut off at the same messages in every run, so each was written whole or not at all.
    pub(super) fn cut(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        if open.messages.len() < BATCH_ROWS && self.open_bytes < BATCH_BYTES {
            return false;
        }
        let messages = std::mem::take(&mut open.messages);
        self.chunks.push(ConversationChunk { messages, ..open.clone() });
        self.open_bytes = 0;
        true
    }

    /// Goes on with the open conversation after what was cut off was written.
    pub(super) const fn resume(&mut self, earlier: Option<ChunkEnd>) {
        if let Some(open) = &mut self.open {
            open.earlier = earlier;
        }
    }

    pub(super) fn take(&mut self) -> Vec<ConversationChunk> {
        (self.rows, self.bytes) = (0, 0);
        std::mem::take(&mut self.chunks)
    }
}
