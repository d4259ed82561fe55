//! Messages by number, and what a user sent into others' conversations.

use chatstore_model::{
    ConversationId, Limit, Message, MessageFilter, MessageId, MessageRange, Order, PAGE_BYTES, Page, UserId,
};
use constcat::concat;
use uuid::Uuid;

use super::Messages;
use super::around::{MAX_NEWEST, meet};
use super::bounds::{bounded_rows, is_left_out};
use super::model::with_known_model;
use super::row::{COLUMNS, MessageRow, read, read_within};
use super::runs::Run;
use super::select::{
    BY_SEQ, BY_SEQ_SHARED, EXTERNAL, EXTERNAL_SHARED, GET, GET_SHARED, Head, head, page_statements,
};
use crate::db::{PageBounds, Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::{Via, refuse_nul};
use crate::schema::MESSAGES;

/// What a user sent into others' conversations, wherever they are.
const SENT: &str = concat!(
    "select ",
    MESSAGES.all_columns().with_prefix("m.").as_str(),
    ", ",
    head!("c."),
    " as head from messages m \
     join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id \
     where m.sender_id = $1 and (m.owner_id, m.conversation_id, m.seq) > ($2, $3, $4) \
     and c.deleted_at is null and ",
    live_user!("m.owner_id"),
    " and ",
    live_user!("$1"),
    " order by m.owner_id, m.conversation_id, m.seq limit $5"
);
const SENT_ELSEWHERE: Sql = Sql::pair(
    "messages.sent_elsewhere",
    SENT,
    bounded_rows!(concat!(COLUMNS, ", head"), SENT, "owner_id, conversation_id, seq", "$6"),
);

pub(super) const STATEMENTS: &[Sql] = &[SENT_ELSEWHERE];

/// Reads a row of a page of one conversation, up to its [`Head`].
fn read_in(by: Via, conversation: ConversationId, row: &Row<'_>) -> Result<MessageRow, StoreError> {
    let owner = match by {
        Via::Owner(owner) => owner,
        Via::Member(_) => row.next()?,
    };
    read_within(row, owner, conversation, None)
}

/// What the statements that add up the sizes of rows are told last.
fn bytes_bound(bounds: PageBounds) -> Value<'static> {
    Value::Int(i64::try_from(bounds.bytes).unwrap_or(i64::MAX))
}

impl<M> Messages<'_, '_, M> {
    /// A page of a conversation by number. Empty also when the user has no access to it.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        by: Via,
        conversation: ConversationId,
        filter: impl Into<MessageFilter>,
        order: Order,
        limit: Limit,
    ) -> Result<Page<Message, i64>, StoreError> {
        self.page_within(by, conversation, &filter.into(), order, limit.into(), None).await
    }

    /// A page of all messages, or of those of a run of a path.
    pub(super) async fn page_within(
        &mut self,
        by: Via,
        conversation: ConversationId,
        filter: &MessageFilter,
        order: Order,
        bounds: PageBounds,
        run: Option<&Run>,
    ) -> Result<Page<Message, i64>, StoreError> {
        let (statements, of_filter) = page_statements(by, order, filter);
        // Small rows of more than a page would be much together, where every row is sent.
        let first = match self.0.executor.sends_every_row() {
            true => PageBounds { rows: bounds.rows.min(Limit::MAX.rows()), ..bounds },
            false => bounds,
        };
        let mut values: Vec<Value<'_>> = vec![by.user().into(), conversation.into()];
        values.extend(of_filter);
        let limit_index = values.len();
        values.push(first.with_lookahead().into());
        let mut head: Option<Head> = None;
        let mut is_complete = true;
        let read_small = |row: &Row<'_>| {
            is_complete &= !is_left_out(row, usize::from(matches!(by, Via::Member(_))));
            if !is_complete {
                return Ok(None);
            }
            let message = read_in(by, conversation, row)?;
            if head.is_none() {
                head = Some(Head::read(row)?);
            }
            Ok(Some(message))
        };
        let small = self.0.executor.query_page(&statements.page, &values, first, read_small).await?;
        let rows = if is_complete && (first.rows == bounds.rows || !small.more_follow()) {
            small.flatten()
        } else {
            self.0.executor.begin_large()?;
            let mut found: i64 = 0;
            let read = |row: &Row<'_>| {
                let message = read_in(by, conversation, row)?;
                head = Some(Head::read(row)?);
                found = row.next()?;
                Ok(message)
            };
            values[limit_index] = bounds.with_lookahead().into();
            values.push(bytes_bound(bounds));
            let mut rows = self.0.executor.query_page(&statements.bounded, &values, bounds, read).await?;
            rows.note_found(found);
            rows
        };
        let mut rows = rows.into_page(|row| row.seq);
        let Some(head) = head else { return Ok(Page { items: Vec::new(), next: rows.next }) };
        self.0.note_revision(head.revision);
        self.0.note_head(head.head_seq);
        match (run, rows.items.first().map(|row| row.owner_id)) {
            (Some(run), _) => run.place(&mut rows.items),
            (None, Some(owner)) if head.head_seq.is_some() => {
                self.place(owner, conversation, &mut rows.items).await?;
            }
            _ => {}
        }
        let default_model = head.default_model.as_deref();
        let items = match filter.has_gaps() {
            false => self.with_models(rows.items, order, default_model).await?,
            true => self.with_models_of_each(rows.items, default_model).await?,
        };
        Ok(Page { items, next: rows.next })
    }

    /// As [`page`](Self::page), which ends with the row that reaches this number of bytes.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn piece(
        &mut self,
        by: Via,
        conversation: ConversationId,
        filter: impl Into<MessageFilter>,
        order: Order,
        limit: Limit,
        bytes: usize,
    ) -> Result<Page<Message, i64>, StoreError> {
        let bounds = PageBounds { rows: limit.rows(), bytes };
        self.page_within(by, conversation, &filter.into(), order, bounds, None).await
    }

    /// The newest of these messages, ascending; a maximum of 10,000, and of the bytes of a page. Empty also when the
    /// user has no access to the conversation. [`Page::next`] is the number of the first of them when there are
    /// others below it.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn newest(
        &mut self,
        by: Via,
        conversation: ConversationId,
        filter: impl Into<MessageFilter>,
        count: u32,
    ) -> Result<Page<Message, i64>, StoreError> {
        let rows = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_NEWEST);
        let bounds = PageBounds { rows, bytes: PAGE_BYTES };
        let mut page =
            self.page_within(by, conversation, &filter.into(), Order::Descending, bounds, None).await?;
        page.items.reverse();
        Ok(page)
    }

    /// Up to `limit` messages that a filter takes, whose range has no effect, around a number, ascending: half of them below
    /// it, the rest from it on; places that one side cannot fill go to the other. Each side ends with half of a page's bytes
    /// too.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn around(
        &mut self,
        by: Via,
        conversation: ConversationId,
        seq: i64,
        filter: &MessageFilter,
        limit: Limit,
    ) -> Result<Page<Message, i64>, StoreError> {
        let side = |range| MessageFilter { range, ..filter.clone() };
        let below = side(MessageRange { after: 0, before: seq });
        let from = side(MessageRange { after: seq.saturating_sub(1), before: i64::MAX });
        let bounds = PageBounds { rows: limit.rows(), bytes: PAGE_BYTES / 2 };
        let earlier =
            self.page_within(by, conversation, &below, Order::Descending, bounds, None).await?.items;
        let later = self.page_within(by, conversation, &from, Order::Ascending, bounds, None).await?;
        Ok(meet(earlier, later, seq, limit))
    }

    /// What a user sent into others' conversations, by conversation and number, after the message `from`.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn sent_elsewhere(
        &mut self,
        sender: UserId,
        from: Option<&Message>,
        limit: Limit,
    ) -> Result<Page<Message, Message>, StoreError> {
        let (owner, conversation, seq) = match from {
            Some(from) => (from.owner_id, from.conversation_id, from.seq),
            None => (UserId::ANONYMOUS, ConversationId::from_uuid(Uuid::nil()), 0),
        };
        let mut values =
            vec![sender.into(), owner.into(), conversation.into(), seq.into(), limit.with_lookahead().into()];
        let is_bounded = self.0.executor.sends_every_row();
        if is_bounded {
            values.push(bytes_bound(limit.into()));
        }
        let store_default = self.0.default_model();
        let mut found: i64 = 0;
        // Members send questions alone, which no other message lends a model.
        let read = |row: &Row<'_>| {
            let message = read(row)?;
            let head = Head::read(row)?;
            if is_bounded {
                found = row.next()?;
            }
            Ok(with_known_model(message, None, head.default_model.as_deref(), store_default))
        };
        let mut rows = self.0.executor.query_page(&SENT_ELSEWHERE, &values, limit, read).await?;
        rows.note_found(found);
        Ok(rows.into_page(Message::clone))
    }

    /// The message with this id.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(
        &mut self,
        by: Via,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let values = [by.user().into(), conversation.into(), id.into()];
        self.find_one(by.statement(&GET, &GET_SHARED), &values).await
    }

    /// The message with this number.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_by_seq(
        &mut self,
        by: Via,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<Option<Message>, StoreError> {
        let values = [by.user().into(), conversation.into(), seq.into()];
        self.find_one(by.statement(&BY_SEQ, &BY_SEQ_SHARED), &values).await
    }

    /// The message with this id of the application.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an id with NUL.
    pub async fn find_by_external_id(
        &mut self,
        by: Via,
        conversation: ConversationId,
        external_id: &str,
    ) -> Result<Option<Message>, StoreError> {
        refuse_nul("external_id", external_id)?;
        let values = [by.user().into(), conversation.into(), external_id.into()];
        self.find_one(by.statement(&EXTERNAL, &EXTERNAL_SHARED), &values).await
    }

    pub(super) async fn find_one(
        &mut self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Option<Message>, StoreError> {
        let read_row = |row: &Row<'_>| Ok((read(row)?, Head::read(row)?));
        let found = self.0.executor.query_first(sql, values, read_row).await?;
        let Some((row, head)) = found else { return Ok(None) };
        self.0.note_revision(head.revision);
        Ok(Some(self.with_model(row, head.default_model.as_deref()).await?))
    }
}
