//! All messages of a conversation as lines of JSON.

use axum::response::Response;
use chatstore::{
    AsUser, Branch, ConversationId, Message, MessageFilter, MessageStream, Order, PAGE_BYTES, push_json_line,
};
use serde::Serialize;

use crate::answer::{self, EndLine, LinesError, WriteLines};
use crate::error::Problem;
use crate::routes::messages::include::WithMessages;
use crate::routes::responses::{MessageResponse, with_revision};

/// What the answer holds at a time beside its first piece: a piece of messages and its lines, in bytes.
const HELD_BYTES: usize = 2 * 256 * 1024;

/// The answer with these messages of a conversation.
pub(super) async fn all(
    chat: AsUser<'_>,
    conversation: ConversationId,
    (branch, filter, order): (Branch, MessageFilter, Order),
    form: LineForm,
) -> Result<Response, Problem> {
    let stream = chat.messages().stream(conversation, branch, filter, order).await?;
    let revision = stream.revision_at_start();
    let held = HELD_BYTES + form.document_bytes();
    let lines = MessageLines { stream, form, count: 0, first_seq: None, last_seq: None };
    Ok(with_revision(answer::lines(lines, held).await?, revision))
}

/// What a line is.
#[derive(Debug, Clone, Copy)]
pub(super) enum LineForm {
    /// A message with what it comes with.
    Messages(WithMessages),
    /// The parts of a message.
    Parts,
}

impl LineForm {
    /// Bytes of the documents that a piece may come with, as they are read and as they are written.
    const fn document_bytes(self) -> usize {
        match self {
            Self::Messages(WithMessages { documents: true, .. }) => 2 * PAGE_BYTES,
            _ => 0,
        }
    }
}

struct MessageLines {
    stream: MessageStream,
    form: LineForm,
    count: u64,
    first_seq: Option<i64>,
    last_seq: Option<i64>,
}

impl WriteLines for MessageLines {
    async fn write_next(&mut self, text: &mut Vec<u8>) -> Result<bool, LinesError> {
        let messages = self.stream.next().await?.unwrap_or_default();
        self.count += messages.len() as u64;
        self.first_seq = self.first_seq.or_else(|| messages.first().map(|message| message.seq));
        self.last_seq = messages.last().map(|message| message.seq).or(self.last_seq);
        match self.form {
            LineForm::Messages(with) => self.write_messages(text, messages, with).await?,
            LineForm::Parts => {
                for message in messages {
                    push_json_line(text, &message.parts)?;
                }
            }
        }
        if !self.stream.is_at_end() {
            return Ok(true);
        }
        push_json_line(text, &EndLine { end: self.end() })?;
        Ok(false)
    }
}

impl MessageLines {
    async fn write_messages(
        &self,
        text: &mut Vec<u8>,
        messages: Vec<Message>,
        with: WithMessages,
    ) -> Result<(), LinesError> {
        let included = with.read(self.stream.as_user(), &messages).await?;
        let mut messages: Vec<MessageResponse> = messages.into_iter().map(MessageResponse::from).collect();
        included.add_to(&mut messages);
        for message in &messages {
            push_json_line(text, message)?;
        }
        Ok(())
    }

    fn end(&self) -> MessagesEnd {
        MessagesEnd {
            count: self.count,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            revision_at_start: self.stream.revision_at_start(),
            revision_at_end: self.stream.revision_at_end(),
        }
    }
}

/// What the lines before it were: their number, the numbers of the first and the last message, and the revisions of the
/// conversation when the first and the last of them were read.
#[derive(Serialize)]
struct MessagesEnd {
    count: u64,
    first_seq: Option<i64>,
    last_seq: Option<i64>,
    revision_at_start: i64,
    revision_at_end: i64,
}
