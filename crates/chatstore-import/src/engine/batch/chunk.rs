//! Conversations with their messages, or with some of them.

use std::collections::{BTreeMap, HashMap};

use chatstore_model::{ModelResponse, UserId};
use chatstore_sql::{Tx, Via};

use super::conversations::{ConversationDecision, StoredConversation, decide_conversation, find_owner};
use super::decision::{ChunkDecision, ChunkEnd, ConversationChunk, Place};
use super::messages::{compare_messages, count_deleted, find_present};
use super::{Batch, BatchState, Mode, StoreResult, Write};
use crate::plan::PlannedConversation;
use crate::report::RowsReport;

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
        let mut responses: BTreeMap<UserId, Vec<ModelResponse>> = BTreeMap::new();
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
    let mut decision = match chunk.earlier {
        Some(end) => ChunkDecision { end, ..ChunkDecision::default() },
        None => decide_place(tx, state, &chunk.conversation).await?,
    };
    let Some(place) = decision.end.place else {
        for message in &chunk.messages {
            decision.leave_out(message, "its conversation is left out");
        }
        return Ok(decision);
    };
    let stored = match decision.new_conversation {
        Some(_) => None,
        None => tx.conversations().get(Via::Owner(place.owner), place.id).await?,
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

/// Decides whose the conversation is and where it is or goes.
async fn decide_place<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    planned: &PlannedConversation,
) -> StoreResult<ChunkDecision> {
    let mut decision = ChunkDecision::default();
    let owner = find_owner(tx, state, planned).await?;
    let stored = StoredConversation::find(tx, state, planned, owner.owner).await?;
    decision.new_user = owner.new_user;
    match decide_conversation(planned, owner.owner, &stored) {
        ConversationDecision::Present(owner, id, issue) => {
            decision.report.keep("conversations");
            decision.report.issues.extend(issue);
            decision.end.place = Some(Place { owner, id });
        }
        ConversationDecision::Add(new, issues) => {
            decision.report.add("conversations", 1);
            decision.report.issues = [planned.issues.clone(), owner.issues, issues].concat();
            decision.end.place = Some(Place { owner: owner.owner, id: new.id.unwrap_or(planned.id) });
            decision.new_conversation = Some(new);
        }
        ConversationDecision::LeaveOut(issue) => decision.report.issues.push(issue),
    }
    Ok(decision)
}
