//! Conversations with their messages, or with some of them.

use std::collections::HashMap;
use std::sync::Arc;

use chatstore_model::UserId;
use chatstore_sql::Tx;

use super::conversations::{Place, look_up_described, put_conversation};
use super::messages::{leave_out, put_messages};
use super::{Batch, BatchState, Mode, StoreResult, Write};
use crate::engine::found::Wanted;
use crate::plan::{PlannedConversation, PlannedMessage, PlannedOwner};

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
        look_up(tx, state, &self.0).await?;
        let mut end = None;
        let mut responses = Vec::new();
        for ConversationChunk { conversation, messages, earlier } in &self.0 {
            let (place, is_new) = match earlier {
                Some(earlier) => (earlier.place, false),
                None => put_conversation(tx, state, conversation).await?,
            };
            let mut last_seq = earlier.map_or(0, |end| end.last_seq);
            if let Some(place) = place {
                last_seq = put_messages(tx, state, place, is_new, last_seq, messages, &mut responses).await?;
            } else {
                for message in messages {
                    leave_out(&mut state.report, message, "its conversation is left out", "left out");
                }
            }
            end = Some(ChunkEnd { place, last_seq });
        }
        M::apply(tx, state, Write::Waiting).await?;
        // Every writer locks usage after conversations.
        if !responses.is_empty() {
            M::apply(tx, state, Write::Responses(&responses)).await?;
        }
        Ok(end)
    }
}

/// Looks up what the store has of all chunks, so that nothing is asked for each of them.
async fn look_up<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    chunks: &[ConversationChunk],
) -> StoreResult<()> {
    let owner_ids = chunks.iter().map(|chunk| match &chunk.conversation.owner {
        PlannedOwner::Known(id) => *id,
        PlannedOwner::Described(user) => user.id,
    });
    state.found.look_up_users(tx, owner_ids.collect()).await?;
    let mut owners = HashMap::new();
    let mut places = Vec::with_capacity(chunks.len());
    let mut wanted = Vec::with_capacity(chunks.len());
    for ConversationChunk { conversation, earlier, .. } in chunks {
        if let Some(earlier) = earlier {
            places.push(earlier.place);
            wanted.extend(earlier.place.map(|Place { owner, id }| Wanted { owner, id, thread_id: None }));
            continue;
        }
        let owner = match &conversation.owner {
            PlannedOwner::Known(id) => *id,
            PlannedOwner::Described(user) => match owners.get(&user.id) {
                Some(owner) => *owner,
                None => {
                    let owner = look_up_described(tx, state, user).await?;
                    owners.insert(user.id, owner);
                    owner
                }
            },
        };
        let (id, thread_id) = (conversation.id, conversation.new.thread_id.as_deref());
        places.push(Some(Place { owner, id }));
        wanted.push(Wanted { owner, id, thread_id });
        if id != conversation.fallback_id && owner != UserId::ANONYMOUS {
            wanted.push(Wanted { owner: UserId::ANONYMOUS, id, thread_id: None });
        }
    }
    state.found.look_up_conversations(tx, &wanted).await?;
    // After a first attempt messages are compared with those that the batch has added itself.
    if state.is_repeated {
        return Ok(());
    }
    let mut messages = Vec::new();
    for (chunk, place) in chunks.iter().zip(places) {
        let Some(Place { owner, id }) = place else { continue };
        if M::IS_DRY || matches!(state.found.conversation(owner, id), Some(Some(_))) {
            messages.extend(chunk.messages.iter().map(|message| (owner, message.id)));
        }
    }
    state.found.look_up_messages(tx, &messages).await
}
