//! What is decided about a conversation with its messages, or with some of them.

use std::sync::Arc;

use chatstore_model::{
    ConversationId, MessageId, ModelResponse, NewConversation, NewMessage, NewUser, UserId,
};
use chatstore_sql::Tx;

use super::{BatchState, Mode, StoreResult, Write};
use crate::plan::{PlannedConversation, PlannedMessage};
use crate::report::{Issue, RowsReport};

/// A conversation with some of its messages, in order.
#[derive(Debug)]
pub(in crate::engine) struct ConversationChunk {
    pub(in crate::engine) conversation: Arc<PlannedConversation>,
    pub(in crate::engine) messages: Vec<PlannedMessage>,
    /// How the chunk before ended, when it is not the first of its conversation.
    pub(in crate::engine) earlier: Option<ChunkEnd>,
}

impl ConversationChunk {
    /// The number of the last message before it.
    pub(super) fn last_seq_before(&self) -> i64 {
        self.earlier.map_or(0, |end| end.last_seq)
    }
}

/// Where a conversation is, or goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) owner: UserId,
    pub(super) id: ConversationId,
}

/// How a chunk ended.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::engine) struct ChunkEnd {
    /// None when the conversation is left out.
    pub(super) place: Option<Place>,
    /// The number of its last message.
    pub(super) last_seq: i64,
}

/// What is to become of a chunk.
#[derive(Default)]
pub(super) struct ChunkDecision {
    pub(super) report: RowsReport,
    pub(super) end: ChunkEnd,
    pub(super) new_user: Option<Box<NewUser>>,
    pub(super) new_conversation: Option<Box<NewConversation>>,
    pub(super) new_messages: Vec<NewMessage>,
    pub(super) new_responses: Vec<ModelResponse>,
}

impl ChunkDecision {
    /// Adds the response of a message that is stored, or is going to be.
    pub(super) fn add_response(
        &mut self,
        message: &PlannedMessage,
        id: MessageId,
        conversation: ConversationId,
    ) {
        let Some(planned) = &message.response else { return };
        self.report.add("responses", 1);
        self.report.issues.extend(planned.issues.iter().cloned());
        let response = planned.response.clone();
        self.new_responses.push(ModelResponse { message_id: id, conversation_id: conversation, ..response });
    }

    pub(super) fn leave_out(&mut self, message: &PlannedMessage, problem: &str) {
        let issue = |table, key: &str| Issue::of_row(table, key, problem, "left out").leaving_out();
        self.report.issues.push(issue("messages", &message.key));
        self.report.issues.extend(message.response.iter().map(|response| issue("responses", &response.key)));
    }

    /// Writes what was decided but for the responses.
    pub(super) async fn apply<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
        place: Place,
        key: &str,
    ) -> StoreResult<()> {
        if let Some(user) = &self.new_user {
            M::apply(tx, state, Write::User(user)).await?;
        }
        if let Some(conversation) = &self.new_conversation {
            M::apply(tx, state, Write::Conversation(place.owner, conversation, key)).await?;
        }
        if !self.new_messages.is_empty() {
            M::apply(tx, state, Write::Messages(place.owner, place.id, &self.new_messages)).await?;
        }
        Ok(())
    }
}
