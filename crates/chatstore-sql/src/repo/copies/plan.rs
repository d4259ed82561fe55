//! What is copied: fixed when the copy begins.

use std::sync::Arc;

use chatstore_model::fields::UP_TO;
use chatstore_model::{ConversationId, CopiedBranches, FieldCode, Invalid, MessageName, UserId};

use super::Copies;
use crate::db::Sql;
use crate::error::StoreError;
use crate::repo::{Via, conversations};

const COUNT_OF_RANGE: Sql = Sql::same(
    "copies.count_of_range",
    "select count(*) from (select 1 from messages where owner_id = $1 and conversation_id = $2 and seq >= $3 \
     and seq <= $4 limit $5) as some_messages",
);

pub(super) const STATEMENTS: &[Sql] = &[COUNT_OF_RANGE];

/// What of a conversation is copied. It takes 16 bytes for each branch point on the path.
#[derive(Debug, Clone)]
pub struct CopyPlan {
    owner: UserId,
    conversation: ConversationId,
    /// In ascending order; each with all that the conversation has from one number to the other.
    ranges: Arc<[(i64, i64)]>,
    numbering: Numbering,
}

/// Which numbers the messages of a copy have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbering {
    /// From 1 on, without a gap.
    Anew,
    /// Their own, with the highest number and the head of the source.
    Kept { last_seq: i64, head_seq: Option<i64> },
}

impl CopyPlan {
    /// Whose conversation is copied, and which.
    #[must_use]
    pub const fn source(&self) -> (UserId, ConversationId) {
        (self.owner, self.conversation)
    }

    pub(super) const fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// The range with this place, if there are as many.
    pub(super) fn range(&self, place: usize) -> Option<(i64, i64)> {
        self.ranges.get(place).copied()
    }

    fn is_narrower_than(&self, count: i64) -> bool {
        let widths = self.ranges.iter().map(|(low, high)| high.saturating_sub(*low).saturating_add(1));
        widths.fold(0_i64, i64::saturating_add) <= count
    }
}

impl<M> Copies<'_, '_, M> {
    /// What a copy of a conversation has, which begins now: the path to a message or to the head, or all messages. What is
    /// appended later is no part of it; what is edited or deleted later is as it is when its piece is copied.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the conversation; [`StoreError::Invalid`] with the field `up_to` when it names no message
    /// of it; [`StoreError::Conflict`] when its branches changed meanwhile.
    pub async fn plan(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        up_to: Option<&MessageName>,
        branches: CopiedBranches,
    ) -> Result<CopyPlan, StoreError> {
        let found = self.0.conversations().get(Via::Owner(owner), conversation).await?;
        let (row, _) = found.ok_or(conversations::NOT_FOUND)?;
        let plan = |ranges: Vec<(i64, i64)>, numbering| {
            Ok(CopyPlan { owner, conversation, ranges: ranges.into(), numbering })
        };
        if branches == CopiedBranches::All {
            let (last_seq, head_seq) = (row.last_seq, row.head_seq);
            return plan(vec![(1, last_seq)], Numbering::Kept { last_seq, head_seq });
        }
        let leaf = match (up_to, row.head_seq) {
            (Some(name), _) => {
                let seq = self.0.messages().seq_of(owner, conversation, name).await?;
                seq.ok_or_else(|| {
                    let reason = "must be a message of this conversation";
                    Invalid::field(UP_TO.name, FieldCode::NotAllowed, reason)
                })?
            }
            (None, Some(head)) => head,
            (None, None) => row.last_seq,
        };
        if row.head_seq.is_none() {
            return plan(vec![(1, leaf)], Numbering::Anew);
        }
        match self.0.messages().ranges_of_path(owner, conversation, leaf).await? {
            Some(ranges) => plan(ranges, Numbering::Anew),
            None => Err(self.0.conflict("the branches of the conversation changed meanwhile")),
        }
    }

    /// Whether a copy has no more messages than this.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn has_at_most(&mut self, plan: &CopyPlan, count: i64) -> Result<bool, StoreError> {
        if plan.is_narrower_than(count) {
            return Ok(true);
        }
        let mut left = count;
        for (low, high) in plan.ranges.iter() {
            let values = [
                plan.owner.into(),
                plan.conversation.into(),
                (*low).into(),
                (*high).into(),
                left.saturating_add(1).into(),
            ];
            let found: i64 = self.0.executor.query_one(&COUNT_OF_RANGE, &values, |row| row.next()).await?;
            left -= found;
            if left < 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
