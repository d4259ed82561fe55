//! Messages of a conversation that branched, or branches now: what each follows, and what becomes the head.
//!
//! `parent_seq` is stored from the first branch on. The messages before it follow each other by number without saying
//! so; no message that says so has a lower number than one that does not.

use std::collections::BTreeMap;

use chatstore_model::{
    ConversationId, FieldCode, HeadRule, Invalid, MessageName, NewMessage, Parent, Timestamp, UserId,
};
use constcat::concat;

use super::Messages;
use super::row::{MessageRow, PLACED, count_of, number_after};
use crate::db::{Row, Sql, Value, reader};
use crate::error::StoreError;
use crate::repo::conversations::Growth;
use crate::repo::live::{live_conversation, live_sender};
use crate::repo::{json_list, refuse_nul};
use crate::tx::ReadWrite;

/// The number of a message of the conversation that is named in one of three ways.
macro_rules! seq_of {
    ($condition:literal) => {
        concat!(
            "select seq from messages where owner_id = $1 and conversation_id = $2 and ",
            live_conversation!("$1", "$2"),
            " and ",
            live_sender!("sender_id"),
            " and ",
            $condition
        )
    };
}

const SEQ_OF_ID: Sql = Sql::same("messages.seq_of_id", seq_of!("id = $3"));
const SEQ_OF_SEQ: Sql = Sql::same("messages.seq_of_seq", seq_of!("seq = $3"));
const SEQ_OF_EXTERNAL: Sql =
    Sql::same("messages.seq_of_external_id", seq_of!("external_id is not null and external_id = $3"));

/// The newest message that is left, and the nearest one below a number.
const NEAREST_BELOW: Sql = Sql::same(
    "messages.nearest_below",
    "select seq from messages where owner_id = $1 and conversation_id = $2 and seq < $3 \
     order by owner_id desc, conversation_id desc, seq desc limit 1",
);

/// A message with what it follows.
const INSERT: Sql = Sql::same("messages.insert_placed", PLACED.insert(&[]).as_str());

const OF_PARENTS: &str = "select seq, parent_seq from messages where owner_id = $1 and conversation_id = $2 \
    and parent_seq is not null and parent_seq in ";
/// What follows one of several messages and says so.
const CHILDREN: Sql = Sql::pair(
    "messages.children",
    concat!(OF_PARENTS, "(select value from json_each($3))"),
    concat!(OF_PARENTS, "(select value::bigint from jsonb_array_elements_text($3))"),
);

const REPARENT: Sql = Sql::same(
    "messages.reparent",
    "update messages set parent_seq = $1 where owner_id = $2 and conversation_id = $3 and seq = $4",
);

pub(super) const STATEMENTS: &[Sql] =
    &[SEQ_OF_ID, SEQ_OF_SEQ, SEQ_OF_EXTERNAL, NEAREST_BELOW, INSERT, CHILDREN, REPARENT];

/// How messages are appended that may branch.
#[derive(Debug, Clone, Copy)]
pub(in crate::repo) struct Placement {
    /// Whether a message with a parent becomes the head.
    pub(in crate::repo) rule: HeadRule,
    /// When the conversation was last used; when the last message was created, if nothing is said.
    pub(in crate::repo) at: Option<Timestamp>,
}

/// A message that was deleted, and what it followed.
#[derive(Debug, Clone, Copy)]
pub(in crate::repo) struct DeletedMessage {
    pub(in crate::repo) seq: i64,
    pub(in crate::repo) parent_seq: Option<i64>,
}

reader! {
    pub(super) fn read_deleted -> DeletedMessage { seq, parent_seq }
}

impl<M> Messages<'_, '_, M> {
    /// The number of the message that is named, if the conversation has it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an external id with NUL.
    pub async fn seq_of(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        name: &MessageName,
    ) -> Result<Option<i64>, StoreError> {
        let (sql, last): (_, Value<'_>) = match name {
            MessageName::Id(id) => (&SEQ_OF_ID, (*id).into()),
            MessageName::Seq(seq) => (&SEQ_OF_SEQ, (*seq).into()),
            MessageName::External(external_id) => {
                refuse_nul("external_id", external_id)?;
                (&SEQ_OF_EXTERNAL, external_id.into())
            }
        };
        self.0.executor.query_first(sql, &[owner.into(), conversation.into(), last], |row| row.next()).await
    }

    /// The number of the nearest message that is left below a number, 0 for none.
    pub(in crate::repo) async fn nearest_below(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<i64, StoreError> {
        let values = [owner.into(), conversation.into(), seq.into()];
        let found = self.0.executor.query_first(&NEAREST_BELOW, &values, |row| row.next()).await?;
        Ok(found.unwrap_or(0))
    }
}

impl Messages<'_, '_, ReadWrite> {
    /// Numbers messages of a conversation that branched, or may branch with them, takes the numbers, and moves the head;
    /// the rows are not stored yet. Also the conversation's default model.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`] with the field `messages[0].parent` when a parent is no message
    /// of the conversation.
    pub(in crate::repo) async fn number_in_tree(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: &[NewMessage],
        placement: Placement,
    ) -> Result<(Vec<MessageRow>, Option<String>), StoreError> {
        let tree = self.0.conversations().lock_tree(owner, conversation).await?;
        let mut rows = self.unnumbered(owner, conversation, senders, new)?;
        number_after(&mut rows, tree.last_seq);
        let Some(last) = rows.last() else { return Ok((rows, tree.default_model)) };
        let at = placement.at.unwrap_or(last.created_at);
        let mut tip = match tree.head_seq {
            Some(head) => head,
            None => self.nearest_below(owner, conversation, i64::MAX).await?,
        };
        let (mut head, mut is_branched) = (tip, tree.head_seq.is_some());
        let mut follows = true;
        // What a message follows that says nothing in a conversation that never branched.
        let mut before = tip;
        for (index, message) in new.iter().enumerate() {
            if let Some(parent) = &message.parent {
                tip =
                    self.parent_of(owner, conversation, &rows[..index], parent).await?.ok_or_else(|| {
                        let reason = "must be a message of this conversation";
                        Invalid::field(format!("messages[{index}].parent"), FieldCode::NotAllowed, reason)
                    })?;
                follows = placement.rule == HeadRule::Follows || tip == head;
            }
            let row = &mut rows[index];
            is_branched |= tip != before;
            row.parent_seq = is_branched.then_some(tip);
            (tip, before) = (row.seq, row.seq);
            if follows {
                head = row.seq;
            }
        }
        let shown = rows.iter().find(|row| row.seq == head);
        let growth = Growth {
            count: count_of(&rows)?,
            head_seq: is_branched.then_some(head),
            shown: shown.map(|row| (row.content.as_str(), row.created_at)),
            at,
        };
        self.0.conversations().grow_tree(owner, conversation, growth).await?;
        Ok((rows, tree.default_model))
    }

    /// Stores rows that say what they follow.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when an id that one brings is taken.
    pub(in crate::repo) async fn insert_placed(&mut self, rows: &[MessageRow]) -> Result<(), StoreError> {
        let values = rows.iter().map(|row| row.placed_values().to_vec()).collect();
        self.0.executor.insert_many(&INSERT, values).await
    }

    /// The number that is stored for a parent; `None` when there is no such message. `earlier` are appended with it.
    async fn parent_of(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        earlier: &[MessageRow],
        parent: &Parent,
    ) -> Result<Option<i64>, StoreError> {
        let Parent::Message(name) = parent else { return Ok(Some(0)) };
        let is_named = |row: &&MessageRow| match name {
            MessageName::Id(id) => row.id == *id,
            MessageName::Seq(seq) => row.seq == *seq,
            MessageName::External(external_id) => row.external_id.as_ref() == Some(external_id),
        };
        match earlier.iter().find(is_named) {
            Some(row) => Ok(Some(row.seq)),
            None => self.seq_of(owner, conversation, name).await,
        }
    }

    /// Deletes messages by a statement that returns their number and what they followed.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn delete_returning(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<DeletedMessage>, StoreError> {
        let mut deleted_messages = Vec::new();
        let note = |row: &Row<'_>| {
            deleted_messages.push(read_deleted(row)?);
            Ok(())
        };
        self.0.executor.change_each(sql, values, note).await?;
        Ok(deleted_messages)
    }

    /// Gives what followed deleted messages of a conversation that branched to the nearest one left that they followed,
    /// moves the head likewise, and shows it.
    ///
    /// # Errors
    /// What the database reports.
    pub(in crate::repo) async fn reparent_children(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        head_seq: i64,
        deleted_messages: &[DeletedMessage],
    ) -> Result<(), StoreError> {
        let deleted_messages: BTreeMap<i64, Option<i64>> =
            deleted_messages.iter().map(|deleted| (deleted.seq, deleted.parent_seq)).collect();
        let seqs = json_list(deleted_messages.keys().copied().collect())?;
        let values = [owner.into(), conversation.into(), (&seqs).into()];
        let read = |row: &Row<'_>| Ok((row.next()?, row.next()?));
        let children: Vec<(i64, i64)> = self.0.executor.query(&CHILDREN, &values, read).await?;
        let mut reparented = Vec::with_capacity(children.len());
        for (child, parent) in children {
            let parent = self.nearest_left(owner, conversation, &deleted_messages, parent).await?;
            reparented.push(vec![parent.into(), owner.into(), conversation.into(), child.into()]);
        }
        if !reparented.is_empty() {
            self.0.executor.execute_each(&REPARENT, reparented).await?;
        }
        if !deleted_messages.contains_key(&head_seq) {
            return Ok(());
        }
        let head = match self.nearest_left(owner, conversation, &deleted_messages, head_seq).await? {
            0 => self.nearest_below(owner, conversation, i64::MAX).await?,
            head => head,
        };
        self.0.conversations().move_head(owner, conversation, head).await
    }

    /// The nearest message on the path of a deleted one that is left, 0 for none.
    async fn nearest_left(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        deleted_messages: &BTreeMap<i64, Option<i64>>,
        mut seq: i64,
    ) -> Result<i64, StoreError> {
        while let Some(parent) = deleted_messages.get(&seq) {
            match parent {
                Some(parent) => seq = *parent,
                None => return self.nearest_below(owner, conversation, seq).await,
            }
        }
        Ok(seq)
    }
}
