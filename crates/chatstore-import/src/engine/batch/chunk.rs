//! Conversations with their messages, or with some of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chatstore_model::{ConversationId, MessageId, NewConversation, NewMessage, NewUser, Response, UserId};
use chatstore_sql::{By, Tx};

use super::conversations::{ConversationDecision, StoredConversation, decide_conversation, find_owner};
use super::messages::{compare_messages, count_deleted, find_present};
use super::{Batch, BatchState, Mode, StoreResult, Write};
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
    place: Option<Place>,
    /// The number of its last message.
    pub(super) last_seq: i64,
}

/// What is to become of a chunk.
#[derive(Default)]
pub(super) struct ChunkDecision {
    pub(super) report: RowsReport,
    pub(super) end: ChunkEnd,
    new_user: Option<Box<NewUser>>,
    new_conversation: Option<Box<NewConversation>>,
    pub(super) new_messages: Vec<NewMessage>,
    new_responses: Vec<Response>,
}

pub(in crate::engine) struct ChunkBatch(pub(in crate::engine) Vec<ConversationChunk>);

impl Batch for ChunkBatch {
    const NAME: &'static str = "import_conversations";
    /// A report for each chunk, and how the last of them ended.
    type Outcome = (Vec<RowsReport>, Option<ChunkEnd>);

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        let (mut reports, mut end) = (Vec::with_capacity(self.0.len()), None);
        let mut responses: BTreeMap<UserId, Vec<Response>> = BTreeMap::new();
        for chunk in &self.0 {
            let mut decision = decide_chunk(tx, state, chunk).await?;
            if let Some(place) = decision.end.place {
                decision.apply(tx, state, place, &chunk.conversation.key).await?;
                responses.entry(place.owner).or_default().append(&mut decision.new_responses);
            }
            end = Some(decision.end);
            reports.push(decision.report);
        }
        // Every writer locks usage after conversations.
        for (owner, responses) in responses.iter().filter(|(_, responses)| !responses.is_empty()) {
            M::apply(tx, state, Write::Responses(*owner, responses)).await?;
        }
        Ok((reports, end))
    }
}

async fn decide_chunk<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    chunk: &ConversationChunk,
) -> StoreResult<ChunkDecision> {
    let mut decision = ChunkDecision::default();
    match chunk.earlier {
        Some(end) => decision.end = end,
        None => decision.place(tx, state, &chunk.conversation).await?,
    }
    let Some(place) = decision.end.place else {
        for message in &chunk.messages {
            decision.leave_out(message, "its conversation is left out");
        }
        return Ok(decision);
    };
    let stored = match decision.new_conversation {
        Some(_) => None,
        None => tx.conversations().get(By::Owner(place.owner), place.id).await?,
    };
    let present = if stored.is_none() && !state.may_repeat_uuids {
        HashMap::new()
    } else {
        find_present(tx, place.owner, &chunk.messages).await?
    };
    let last_seq = stored.map_or(0, |(conversation, _)| conversation.last_seq);
    for gap in compare_messages(&mut decision, chunk, state, place, &present) {
        let deleted = count_deleted(tx, place, &gap, last_seq).await?;
        gap.fill(&mut decision, deleted, place.id);
    }
    let end = &mut decision.end;
    if !decision.new_messages.is_empty() {
        end.last_seq = last_seq + i64::try_from(decision.new_messages.len()).unwrap_or(0);
    }
    end.last_seq = end.last_seq.max(chunk.last_seq_before());
    Ok(decision)
}

impl ChunkDecision {
    /// Decides whose the conversation is and where it is or goes.
    async fn place<M>(
        &mut self,
        tx: &mut Tx<'_, M>,
        state: &BatchState,
        planned: &PlannedConversation,
    ) -> StoreResult<()> {
        let owner = find_owner(tx, state, planned).await?;
        let stored = StoredConversation::find(tx, state, planned, owner.owner).await?;
        self.new_user = owner.new_user;
        match decide_conversation(planned, owner.owner, &stored) {
            ConversationDecision::Present(owner, id, issue) => {
                self.report.keep("conversations");
                self.report.issues.extend(issue);
                self.end.place = Some(Place { owner, id });
            }
            ConversationDecision::Add(new, issues) => {
                self.report.add("conversations", 1);
                self.report.issues = [planned.issues.clone(), owner.issues, issues].concat();
                self.end.place = Some(Place { owner: owner.owner, id: new.id.unwrap_or(planned.id) });
                self.new_conversation = Some(new);
            }
            ConversationDecision::LeaveOut(issue) => self.report.issues.push(issue),
        }
        Ok(())
    }

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
        self.new_responses.push(Response { message_id: id, conversation_id: conversation, ..response });
    }

    pub(super) fn leave_out(&mut self, message: &PlannedMessage, problem: &str) {
        let issue = |table, key: &str| Issue::of_row(table, key, problem, "left out").leaving_out();
        self.report.issues.push(issue("messages", &message.key));
        self.report.issues.extend(message.response.iter().map(|response| issue("responses", &response.key)));
    }

    /// Writes what was decided but for the responses.
    async fn apply<M: Mode>(
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
