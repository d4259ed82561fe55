//! Conversations with their messages, or with some of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chatstore_model::{ModelResponse, UserId};
use chatstore_sql::Tx;

use super::conversations::{Place, put_conversation};
use super::messages::{leave_out, put_messages};
use super::{Batch, BatchState, Mode, StoreResult, Write};
use crate::plan::{PlannedConversation, PlannedMessage};

/// A conversation with some of its messages, in order.
#[derive(Debug, Clone)]
pub(in crate::engine) struct ConversationChunk {
    pub(in crate::engine) conversation: Arc<PlannedConversation>,
    pub(in crate::engine) messages: Vec<PlannedMessage>,
    /// How the chunk before ended, when it is not the first of its conversation.
    pub(in crate::engine) earlier: Option<ChunkEnd>,
}

/// How a chunk ended.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct ChunkEnd {
    /// None when the conversation is left out.
    place: Option<Place>,
    /// The number of its last message.
    last_seq: i64,
}

pub(in crate::engine) struct ChunkBatch(pub(in crate::engine) Vec<ConversationChunk>);

impl Batch for ChunkBatch {
    const NAME: &'static str = "import_conversations";
    /// How the last chunk ended.
    type Outcome = Option<ChunkEnd>;

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        let mut end = None;
        let mut responses: BTreeMap<UserId, Vec<ModelResponse>> = BTreeMap::new();
        for ConversationChunk { conversation, messages, earlier } in &self.0 {
            let (place, is_new) = match earlier {
                Some(earlier) => (earlier.place, false),
                None => put_conversation(tx, state, conversation).await?,
            };
            let mut last_seq = earlier.map_or(0, |end| end.last_seq);
            if let Some(place) = place {
                let responses = responses.entry(place.owner).or_default();
                last_seq = put_messages(tx, state, place, is_new, last_seq, messages, responses).await?;
            } else {
                for message in messages {
                    leave_out(&mut state.report, message, "its conversation is left out", "left out");
                }
            }
            end = Some(ChunkEnd { place, last_seq });
        }
        M::apply(tx, state, Write::Waiting).await?;
        // Every writer locks usage after conversations.
        for (owner, responses) in responses.iter().filter(|(_, responses)| !responses.is_empty()) {
            M::apply(tx, state, Write::Responses(*owner, responses)).await?;
        }
        Ok(end)
    }
}
