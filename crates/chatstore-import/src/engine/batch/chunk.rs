//! Conversations with their messages, or with some of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chatstore_model::{ConversationId, MessageId, NewConversation, NewMessage, NewUser, Response, UserId};
use chatstore_sql::{By, StoreError, Tx};

use super::conversations::{ConversationDecision, StoredConversation, decide_conversation, find_owner};
use super::messages::{compare_messages, count_deleted, find_present};
use super::{Batch, BatchState, DryRunState, Mode, Write};
use crate::plan::{PlannedConversation, PlannedMessage};
use crate::report::Issue;

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

/// How a chunk ended.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::engine) struct ChunkEnd {
    /// Where the conversation is; nowhere when it is left out.
    place: Option<(UserId, ConversationId)>,
    /// The number of its last message.
    pub(super) last_seq: i64,
}

/// What became of a chunk.
#[derive(Default)]
pub(in crate::engine) struct ChunkOutcome {
    pub(in crate::engine) end: ChunkEnd,
    pub(in crate::engine) issues: Vec<Issue>,
    conversations: RowCounts,
    pub(super) messages: RowCounts,
    pub(super) responses: RowCounts,
}

/// Rows of a chunk that are not left out.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::engine) struct RowCounts {
    pub(in crate::engine) added: u64,
    pub(in crate::engine) unchanged: u64,
}

impl ChunkOutcome {
    pub(in crate::engine) const fn counts(&self) -> [(&'static str, RowCounts); 3] {
        [("conversations", self.conversations), ("messages", self.messages), ("responses", self.responses)]
    }
}

/// What is to become of a chunk.
#[derive(Default)]
pub(super) struct ChunkDecision {
    pub(super) outcome: ChunkOutcome,
    new_user: Option<Box<NewUser>>,
    new_conversation: Option<Box<NewConversation>>,
    pub(super) new_messages: Vec<NewMessage>,
    pub(super) new_responses: Vec<Response>,
}

pub(in crate::engine) struct ChunkBatch(pub(in crate::engine) Vec<ConversationChunk>);

impl Batch for ChunkBatch {
    const NAME: &'static str = "import_conversations";
    type Outcome = Vec<ChunkOutcome>;

    async fn run<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        mut state: BatchState,
    ) -> Result<(Self::Outcome, DryRunState), StoreError> {
        let mut outcomes = Vec::with_capacity(self.0.len());
        let mut responses: BTreeMap<UserId, Vec<Response>> = BTreeMap::new();
        for chunk in &self.0 {
            let decision = decide_chunk(tx, &state, chunk).await?;
            if let Some((owner, id)) = decision.outcome.end.place {
                decision.apply(tx, owner, id).await?;
                decision.remember(&mut state.now, owner, id, &chunk.conversation.key);
                if !decision.new_responses.is_empty() {
                    responses.entry(owner).or_default().extend(decision.new_responses);
                }
            }
            outcomes.push(decision.outcome);
        }
        // Every writer locks usage after conversations.
        for (owner, responses) in &responses {
            M::apply(tx, Write::Responses(*owner, responses)).await?;
        }
        Ok((outcomes, state.now))
    }
}

async fn decide_chunk<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    chunk: &ConversationChunk,
) -> Result<ChunkDecision, StoreError> {
    let mut decision = ChunkDecision::default();
    match chunk.earlier {
        Some(end) => decision.outcome.end = end,
        None => decision.place(tx, state, &chunk.conversation).await?,
    }
    let Some(place) = decision.outcome.end.place else {
        for message in &chunk.messages {
            decision.leave_out(message, "its conversation is left out");
        }
        return Ok(decision);
    };
    let stored = match decision.new_conversation {
        Some(_) => None,
        None => tx.conversations().get(By::Owner(place.0), place.1).await?,
    };
    let present = if stored.is_none() && !state.may_repeat_uuids {
        HashMap::new()
    } else {
        find_present(tx, place.0, &chunk.messages).await?
    };
    let last_seq = stored.map_or(0, |(conversation, _)| conversation.last_seq);
    for gap in compare_messages(&mut decision, chunk, state, place, &present) {
        let deleted = count_deleted(tx, place, &gap, last_seq).await?;
        gap.fill(&mut decision, deleted, place.1);
    }
    let end = &mut decision.outcome.end;
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
    ) -> Result<(), StoreError> {
        let owner = find_owner(tx, state, planned).await?;
        let stored = StoredConversation::find(tx, state, planned, owner.owner).await?;
        self.new_user = owner.new_user;
        match decide_conversation(planned, owner.owner, &stored) {
            ConversationDecision::Present(owner, id, issue) => {
                self.outcome.conversations.unchanged += 1;
                self.outcome.issues.extend(issue);
                self.outcome.end.place = Some((owner, id));
            }
            ConversationDecision::Add(new, issues) => {
                self.outcome.conversations.added += 1;
                self.outcome.issues = [planned.issues.clone(), owner.issues, issues].concat();
                self.outcome.end.place = Some((owner.owner, new.id.unwrap_or(planned.id)));
                self.new_conversation = Some(new);
            }
            ConversationDecision::LeaveOut(issue) => self.outcome.issues.push(issue),
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
        self.outcome.responses.added += 1;
        self.outcome.issues.extend(planned.issues.iter().cloned());
        let response = planned.response.clone();
        self.new_responses.push(Response { message_id: id, conversation_id: conversation, ..response });
    }

    pub(super) fn leave_out(&mut self, message: &PlannedMessage, problem: &str) {
        let issue = |table: &'static str, key: &str| Issue {
            table,
            key: Some(key.to_owned()),
            column: None,
            problem: problem.to_owned(),
            done: "left out".to_owned(),
            left_out: true,
        };
        self.outcome.issues.push(issue("messages", &message.key));
        if let Some(response) = &message.response {
            self.outcome.issues.push(issue("responses", &response.key));
        }
    }

    /// Writes what was decided but for the responses.
    async fn apply<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        owner: UserId,
        id: ConversationId,
    ) -> Result<(), StoreError> {
        if let Some(user) = &self.new_user {
            M::apply(tx, Write::User(user)).await?;
        }
        if let Some(conversation) = &self.new_conversation {
            M::apply(tx, Write::Conversation(owner, conversation)).await?;
        }
        if !self.new_messages.is_empty() {
            M::apply(tx, Write::Messages(owner, id, &self.new_messages)).await?;
        }
        Ok(())
    }

    fn remember(&self, state: &mut DryRunState, owner: UserId, id: ConversationId, key: &str) {
        if let Some(user) = &self.new_user {
            state.add_user(user);
        }
        if self.new_conversation.is_some() {
            state.add_conversation(owner, id, key);
        }
        for message in self.new_messages.iter().filter_map(|message| message.id) {
            state.add_message(owner, message);
        }
    }
}
