//! The path from the root of a conversation to a message, as runs: messages that follow each other by number.

use std::collections::HashMap;

use chatstore_model::{ConversationId, MessageRange, UserId};
use constcat::concat;

use super::Messages;
use super::row::MessageRow;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::json_list;
use crate::repo::live::live_sender;

/// The place where a path arrives that comes from above at a number: the message there that does not follow the one before
/// it by number.
macro_rules! jump_at {
    ($seq:literal) => {
        concat!(
            "(select jump.seq from messages jump where jump.owner_id = $1 and jump.conversation_id = $2 \
             and jump.parent_seq <> jump.seq - 1 and jump.seq <= ",
            $seq,
            " order by jump.owner_id desc, jump.conversation_id desc, jump.seq desc limit 1)"
        )
    };
}

/// Runs of the path to the message `$3`, downward from it, until one begins at or below `$4`, a maximum of `$5`; each with
/// the message that its lowest one follows. One that goes on to the root has neither.
const RUNS: Sql = Sql::same(
    "messages.runs",
    concat!(
        "with recursive run(place, high, low) as ( \
           select cast(1 as bigint), leaf.seq, ",
        jump_at!("leaf.seq"),
        " from messages leaf where leaf.owner_id = $1 and leaf.conversation_id = $2 and leaf.seq = $3 \
           union all \
           select run.place + 1, lowest.parent_seq, ",
        jump_at!("lowest.parent_seq"),
        " from run cross join messages lowest where lowest.owner_id = $1 and lowest.conversation_id = $2 \
           and lowest.parent_seq <> lowest.seq - 1 and lowest.seq = run.low and run.low > $4 and lowest.parent_seq > 0 and run.place < $5) \
         select run.high, run.low, (select lowest.parent_seq from messages lowest where lowest.owner_id = $1 \
         and lowest.conversation_id = $2 and lowest.parent_seq <> lowest.seq - 1 and lowest.seq = run.low) \
         from run order by run.place"
    ),
);

/// The newest question among some numbers; nothing is said of one whose sender is being deleted.
const ASKED_BETWEEN: Sql = Sql::same(
    "messages.asked_between",
    concat!(
        "select case when ",
        live_sender!("newest.sender_id"),
        " then newest.model end from (select model, sender_id from messages where owner_id = $1 \
         and conversation_id = $2 and seq >= $3 and seq <= $4 and role = 'user' order by seq desc limit 1) as newest"
    ),
);

const FOLLOWED: &str = "select seq, parent_seq from messages where owner_id = $1 and conversation_id = $2 \
    and parent_seq is not null and seq in ";
/// What those of some messages follow that say so.
const PARENTS: Sql = Sql::pair(
    "messages.parents",
    concat!(FOLLOWED, "(select value from json_each($3))"),
    concat!(FOLLOWED, "(select value::bigint from jsonb_array_elements_text($3))"),
);

/// The first message above a number that says what it follows.
const FIRST_PLACED: Sql = Sql::same(
    "messages.first_placed",
    "select seq from messages where owner_id = $1 and conversation_id = $2 and seq > $3 and parent_seq is not null \
     order by seq limit 1",
);

const COUNT_OF_RUN: Sql = Sql::same(
    "messages.count_of_run",
    "select count(*) from messages where owner_id = $1 and conversation_id = $2 and seq >= $3 and seq <= $4",
);

const NTH_OF_RUN: Sql = Sql::same(
    "messages.nth_of_run",
    "select seq from messages where owner_id = $1 and conversation_id = $2 and seq >= $3 and seq <= $4 \
     order by seq desc limit 1 offset $5",
);

pub(super) const STATEMENTS: &[Sql] = &[RUNS, ASKED_BETWEEN, PARENTS, FIRST_PLACED, COUNT_OF_RUN, NTH_OF_RUN];

/// Runs that are found together at first, and at most.
pub(super) const FIRST_RUNS: i64 = 4;
pub(super) const MAX_RUNS: i64 = 4_096;

/// Messages that follow each other by number: all that the conversation has from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) low: i64,
    high: i64,
    /// What the lowest follows, 0 for nothing; `None` when the run goes on to the root.
    parent_seq: Option<i64>,
}

impl Run {
    /// The message that the lowest one follows.
    pub(super) fn next(&self) -> Option<i64> {
        self.parent_seq.filter(|parent| *parent > 0)
    }

    pub(super) fn within(&self, range: MessageRange) -> MessageRange {
        MessageRange { after: range.after.max(self.low - 1), before: range.before.min(self.high + 1) }
    }

    /// Says of rows in it what they follow. Those of a run to the root need not say it.
    pub(super) fn place(&self, rows: &mut [MessageRow]) {
        let Some(parent) = self.parent_seq else { return };
        for row in rows {
            row.parent_seq = Some(if row.seq == self.low { parent } else { row.seq - 1 });
        }
    }
}

impl<M> Messages<'_, '_, M> {
    /// The last of the messages that follow each other by number from this one on, in a conversation that branched;
    /// `None` when it is not there.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn end_of_line(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<Option<i64>, StoreError> {
        let values = [owner.into(), conversation.into(), seq.into()];
        let first: Option<i64> =
            self.0.executor.query_first(&FIRST_PLACED, &values, |row| row.next()).await?;
        let last = self.nearest_below(owner, conversation, first.unwrap_or(i64::MAX)).await?;
        Ok(Some(last).filter(|last| *last >= seq))
    }

    /// The number of the newest message but `passed` of the path to a message.
    pub(super) async fn nth_newest_of_path(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        mut leaf: i64,
        mut passed: i64,
    ) -> Result<Option<i64>, StoreError> {
        while leaf > 0 {
            let runs = self.runs(owner, conversation, leaf, 0, MAX_RUNS).await?;
            for Run { low, high, .. } in &runs {
                let values = [owner.into(), conversation.into(), (*low).into(), (*high).into()];
                let count: i64 = self.0.executor.query_one(&COUNT_OF_RUN, &values, |row| row.next()).await?;
                if passed < count {
                    let values = [&values[..], &[passed.into()]].concat();
                    return self.0.executor.query_first(&NTH_OF_RUN, &values, |row| row.next()).await;
                }
                passed -= count;
            }
            leaf = runs.last().and_then(Run::next).unwrap_or(0);
        }
        Ok(None)
    }

    /// The numbers of the path to a message, ascending: each range has all that the conversation has from one to the other.
    /// `None` when it changed meanwhile.
    pub(in crate::repo) async fn ranges_of_path(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        leaf: i64,
    ) -> Result<Option<Vec<(i64, i64)>>, StoreError> {
        let (mut ranges, mut next) = (Vec::new(), leaf);
        while next > 0 {
            let runs = self.runs(owner, conversation, next, 0, MAX_RUNS).await?;
            let Some(last) = runs.last() else { return Ok(None) };
            next = last.next().unwrap_or(0);
            ranges.extend(runs.iter().map(|run| (run.low, run.high)));
        }
        ranges.reverse();
        Ok(Some(ranges))
    }

    /// Runs of the path to a message, downward; none when it is not there.
    pub(super) async fn runs(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        leaf: i64,
        floor: i64,
        count: i64,
    ) -> Result<Vec<Run>, StoreError> {
        let values =
            [owner.into(), conversation.into(), leaf.into(), floor.saturating_add(1).into(), count.into()];
        let read = |row: &Row<'_>| {
            let (high, low): (i64, Option<i64>) = (row.next()?, row.next()?);
            Ok(Run { low: low.unwrap_or(1), high, parent_seq: row.next()? })
        };
        self.0.executor.query(&RUNS, &values, read).await
    }

    /// Says of rows of a conversation that branched what they follow, as far as that is stored.
    pub(super) async fn place(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        rows: &mut [MessageRow],
    ) -> Result<(), StoreError> {
        let seqs = json_list(rows.iter().map(|row| row.seq).collect())?;
        let values: [Value<'_>; 3] = [owner.into(), conversation.into(), (&seqs).into()];
        let mut parents = HashMap::new();
        let note = |row: &Row<'_>| {
            let seq: i64 = row.next()?;
            let parent: i64 = row.next()?;
            parents.insert(seq, parent);
            Ok(())
        };
        self.0.executor.query_each(&PARENTS, &values, note).await?;
        for row in rows {
            row.parent_seq = parents.get(&row.seq).copied();
        }
        Ok(())
    }

    /// The model of the newest question on the path to a message, which is on it.
    pub(super) async fn newest_user_model_on_path(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        mut leaf: i64,
    ) -> Result<Option<String>, StoreError> {
        let mut count = FIRST_RUNS;
        while leaf > 0 {
            let runs = self.runs(owner, conversation, leaf, 0, count).await?;
            for Run { low, high, .. } in &runs {
                let values = [owner.into(), conversation.into(), (*low).into(), (*high).into()];
                let found: Option<Option<String>> =
                    self.0.executor.query_first(&ASKED_BETWEEN, &values, |row| row.next()).await?;
                if let Some(model) = found {
                    return Ok(model);
                }
            }
            leaf = runs.last().and_then(Run::next).unwrap_or(0);
            count = (count * 8).min(MAX_RUNS);
        }
        Ok(None)
    }
}
