//! Appending messages.

use chatstore_model::{
    ConversationId, ConversationRole, HeadRule, IntoValid, Message, MessageId, MessageRole, NewMessage,
    Order, Timestamp, UserId, preview,
};
use constcat::concat;

use super::row::{INSERTED, MessageRow, count_of, number_after};
use super::tree::Placement;
use super::{Messages, of_one};
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::conversations::{self, BUMP_OWN, BUMP_SHARED};
use crate::repo::live::live_sender;
use crate::tx::ReadWrite;

const COMBINED: &str =
    concat!(
        ") ",
        INSERTED.insert_into().as_str(),
        " select ",
        INSERTED
            .values(
                5,
                &[
                    ("owner_id", "owner_id"),
                    ("conversation_id", "$4"),
                    ("seq", "last_seq"),
                    ("created_at", "$2"),
                ],
            )
            .as_str(),
        " from bumped returning owner_id, seq, (select revision from bumped), (select default_model from bumped), \
    case when $7 = 'assistant' and $10 is null then (select newest.model from (select asked.model, asked.sender_id \
    from messages asked where asked.owner_id = (select owner_id from bumped) and asked.conversation_id = $4 \
    and asked.role = 'user' order by asked.seq desc limit 1) as newest where ",
        live_sender!("newest.sender_id"),
        ") end"
    );

/// The conversation is bumped and the message inserted by one statement, which PostgreSQL commits alone.
const OWN: Sql = Sql::only_postgres("messages.append_own", concat!("with bumped as (", BUMP_OWN, COMBINED));
const SHARED: Sql =
    Sql::only_postgres("messages.append_shared", concat!("with bumped as (", BUMP_SHARED, COMBINED));

pub(super) const INSERT: Sql = Sql::same("messages.insert", INSERTED.insert(&[]).as_str());

pub(super) const STATEMENTS: &[Sql] = &[OWN, SHARED, INSERT];

impl Messages<'_, '_, ReadWrite> {
    /// Appends a message with the next number to a conversation that never branched. On PostgreSQL one statement; on SQLite
    /// two in the transaction that they share with other writes. With a parent it is several, as
    /// [`append_in_steps`](Self::append_in_steps).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user cannot write there in this way, or the conversation branched;
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] when the id it brings is taken.
    pub async fn append(
        &mut self,
        by: Via,
        conversation: ConversationId,
        new: impl IntoValid<&NewMessage>,
    ) -> Result<Message, StoreError> {
        let new = *new.into_valid()?;
        if new.parent.is_some() {
            return self.append_to_tree(by, conversation, new).await;
        }
        let mut row = self.to_row(by, conversation, new);
        if self.0.executor.supports_writable_ctes() {
            let sql = by.statement(&OWN, &SHARED);
            let read = |row: &Row<'_>| Ok((row.next()?, row.next()?, row.next()?, row.next()?, row.next()?));
            let appended = self.0.executor.query_changed(sql, &append_values(by, &row), read).await?;
            let (revision, default_model, asked): (i64, Option<String>, Option<String>);
            (row.owner_id, row.seq, revision, default_model, asked) = match appended {
                Some(appended) => appended,
                None => return Err(conversations::NOT_FOUND),
            };
            self.0.note_revision(revision);
            return Ok(self.with_known_model(row, asked.as_deref(), default_model.as_deref()));
        }
        let bumped = self.0.conversations().bump(by, conversation, &row.content, row.created_at).await?;
        let bumped = bumped.ok_or(conversations::NOT_FOUND)?;
        (row.owner_id, row.seq) = (bumped.owner_id, bumped.last_seq);
        self.0.executor.execute(&INSERT, &row.insert_values()).await?;
        self.with_model(row, bumped.default_model.as_deref()).await
    }

    /// As [`append`](Self::append), also to a conversation that branched.
    ///
    /// # Errors
    /// As that; [`StoreError::NotFound`] only when the user cannot write there in this way.
    pub async fn append_in_steps(
        &mut self,
        by: Via,
        conversation: ConversationId,
        new: impl IntoValid<&NewMessage>,
    ) -> Result<Message, StoreError> {
        let new = new.into_valid()?;
        match self.append(by, conversation, new).await {
            Err(StoreError::NotFound { .. }) => self.append_to_tree(by, conversation, *new).await,
            done => done,
        }
    }

    /// Appends a message to a conversation that branched, or may branch with it.
    async fn append_to_tree(
        &mut self,
        by: Via,
        conversation: ConversationId,
        new: &NewMessage,
    ) -> Result<Message, StoreError> {
        let (owner, rule) = match by {
            Via::Owner(owner) => (owner, HeadRule::Follows),
            Via::Member(user) => match self.0.conversations().access(user, conversation).await? {
                Some(access) if access.role == ConversationRole::Editor => (access.owner_id, HeadRule::Stays),
                _ => return Err(conversations::NOT_FOUND),
            },
        };
        let (senders, new) = ([Some(by.user())], std::slice::from_ref(new));
        let placement = Placement { rule, at: None };
        let placed = self.number_in_tree(owner, conversation, &senders, new, placement).await;
        let (rows, default_model) = placed.map_err(of_one)?;
        self.insert_placed(&rows).await?;
        let messages = self.with_models(rows, Order::Ascending, default_model.as_deref()).await?;
        messages.into_iter().next().ok_or(StoreError::InvalidState("no message was appended"))
    }

    /// Appends messages in order, with consecutive numbers, all or none. `senders` says who said each
    /// of those of role `user`, and is empty when the owner said all of them.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_many(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: impl IntoValid<&[NewMessage]>,
    ) -> Result<Vec<Message>, StoreError> {
        let placement = Placement { rule: HeadRule::Follows, at: None };
        self.append_placed(owner, conversation, senders, *new.into_valid()?, placement).await
    }

    /// As [`append_many`](Self::append_many), but what the conversation was last used for is this, whatever the times
    /// are that the messages bring. The rule says what becomes of the head when one has a parent.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub async fn append_now(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: impl IntoValid<&[NewMessage]>,
        rule: HeadRule,
    ) -> Result<Vec<Message>, StoreError> {
        let placement = Placement { rule, at: Some(self.0.now()) };
        self.append_placed(owner, conversation, senders, *new.into_valid()?, placement).await
    }

    async fn append_placed(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: &[NewMessage],
        placement: Placement,
    ) -> Result<Vec<Message>, StoreError> {
        let (rows, default_model) = self.number(owner, conversation, senders, new, placement).await?;
        if rows.iter().any(MessageRow::is_placed) {
            self.insert_placed(&rows).await?;
        } else if !rows.is_empty() {
            let values = rows.iter().map(|row| row.insert_values().to_vec()).collect();
            self.0.executor.execute_each(&INSERT, values).await?;
        }
        self.with_models(rows, Order::Ascending, default_model.as_deref()).await
    }

    /// Takes numbers for messages, which are not stored yet; also the conversation's default model.
    pub(in crate::repo) async fn number(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: &[NewMessage],
        placement: Placement,
    ) -> Result<(Vec<MessageRow>, Option<String>), StoreError> {
        if new.iter().any(|message| message.parent.is_some()) {
            return self.number_in_tree(owner, conversation, senders, new, placement).await;
        }
        let mut rows = self.unnumbered(owner, conversation, senders, new)?;
        let Some(last) = rows.last() else { return Ok((rows, None)) };
        let count = count_of(&rows)?;
        let (last, at) = ((last.content.as_str(), last.created_at), placement.at.unwrap_or(last.created_at));
        match self.0.conversations().bump_by_many(owner, conversation, count, last, at).await? {
            Some(bumped) => {
                number_after(&mut rows, bumped.last_seq - count);
                Ok((rows, bumped.default_model))
            }
            None => self.number_in_tree(owner, conversation, senders, new, placement).await,
        }
    }

    /// Rows of the owner's conversation that have no numbers yet. `senders` as in [`append_many`](Self::append_many).
    pub(in crate::repo) fn unnumbered(
        &self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: &[NewMessage],
    ) -> Result<Vec<MessageRow>, StoreError> {
        if !senders.is_empty() && senders.len() != new.len() {
            return Err(StoreError::InvalidState(
                "there must be one sender for each message, or none at all",
            ));
        }
        let mut rows: Vec<MessageRow> =
            new.iter().map(|new| self.to_row(Via::Owner(owner), conversation, new)).collect();
        for (row, sender) in rows.iter_mut().zip(senders) {
            row.sender_id = sender.filter(|sender| *sender != owner && row.role == MessageRole::User);
        }
        Ok(rows)
    }

    /// A row that has no number yet; that of a member has no owner either until the conversation is bumped.
    pub(super) fn to_row(&self, by: Via, conversation: ConversationId, new: &NewMessage) -> MessageRow {
        let created_at: Timestamp = new.created_at.unwrap_or_else(|| self.0.now());
        MessageRow {
            owner_id: by.user(),
            conversation_id: conversation,
            seq: 0,
            id: new.id.unwrap_or_else(|| MessageId::from_uuid(self.0.new_uuid(created_at))),
            sender_id: match by {
                Via::Member(user) if new.role == MessageRole::User => Some(user),
                _ => None,
            },
            role: new.role,
            content: new.content.clone(),
            parts: new.parts.clone(),
            model: new.model.clone(),
            token_count: new.token_count,
            used_documents: new.used_documents.clone(),
            metadata: new.metadata.clone(),
            created_at,
            edited_at: None,
            format: new.format.clone(),
            external_id: new.external_id.clone(),
            parent_seq: None,
        }
    }
}

fn append_values(by: Via, row: &MessageRow) -> [Value<'_>; INSERTED.count()] {
    [
        preview(&row.content).into(),
        row.created_at.into(),
        by.user().into(),
        row.conversation_id.into(),
        row.id.into(),
        row.sender_id.into(),
        row.role.as_str().into(),
        (&row.content).into(),
        row.parts.as_ref().into(),
        row.model.as_ref().into(),
        row.token_count.into(),
        (&row.used_documents).into(),
        (&row.metadata).into(),
        row.format.as_ref().into(),
        row.external_id.as_ref().into(),
    ]
}
