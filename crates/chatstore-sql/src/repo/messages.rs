//! Messages: appended with the next number of their conversation, read by number.

use chatstore_model::{
    ConversationId, IntoValid, Limit, Message, MessageId, MessageRange, MessageRole, NewMessage, Order, Page,
    Timestamp, UserId, preview,
};
use constcat::concat;
use uuid::Uuid;

use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::By;
use crate::tx::{ReadWrite, Tx};

pub(super) const COLUMNS: &str = "owner_id, conversation_id, seq, id, sender_id, role, content, parts, model, \
    token_count, used_documents, metadata, created_at, edited_at";

/// How many columns of a message come before the conversation's default model.
const WIDTH: usize = 14;

/// Whose conversation `$2` is, for its member `$1`; nobody's when he has one of his own with this id,
/// which goes first however empty it is.
const OWNER_FOR_MEMBER: &str = "(select m.owner_id from conversation_members m \
    where m.user_id = $1 and m.conversation_id = $2 \
    and not exists (select 1 from conversations own where own.owner_id = $1 and own.id = $2) \
    order by m.owner_id limit 1)";

/// Whose conversation `$4` is, for its editor `$3`; of several with this id the one that is also read.
const OWNER_FOR_EDITOR: &str = "(select owner_id from (select m.owner_id, m.role from conversation_members m \
    where m.user_id = $3 and m.conversation_id = $4 order by m.owner_id limit 1) as first where role = 'editor')";

const ASCENDING: &str =
    " and conversation_id = $2 and seq > $3 and seq < $4 order by owner_id, conversation_id, seq limit $5";
const DESCENDING: &str = " and conversation_id = $2 and seq > $3 and seq < $4 \
    order by owner_id desc, conversation_id desc, seq desc limit $5";

/// The default model of the conversation comes with every row: both databases look it up once a statement.
const SELECT: &str =
    concat!("select ", COLUMNS, ", (select default_model from conversations where owner_id = ");
const OWN: &str = concat!(SELECT, "$1 and id = $2) from messages where owner_id = $1");
const SHARED: &str =
    concat!(SELECT, OWNER_FOR_MEMBER, " and id = $2) from messages where owner_id = ", OWNER_FOR_MEMBER);
const BY_ID: &str = " and conversation_id = $2 and id = $3";
const BY_NUMBER: &str = " and conversation_id = $2 and seq = $3";

/// What a user said in others' conversations, wherever they are.
const SENT_ELSEWHERE: Sql = Sql::same(
    "messages.sent_elsewhere",
    concat!(
        "select ",
        COLUMNS,
        " from messages where sender_id = $1 and (owner_id, conversation_id, seq) > ($2, $3, $4) \
         order by owner_id, conversation_id, seq limit $5"
    ),
);

const PAGE_ASCENDING: Sql = Sql::same("messages.page_ascending", concat!(OWN, ASCENDING));
const PAGE_DESCENDING: Sql = Sql::same("messages.page_descending", concat!(OWN, DESCENDING));
const PAGE_ASCENDING_SHARED: Sql = Sql::same("messages.page_ascending_shared", concat!(SHARED, ASCENDING));
const PAGE_DESCENDING_SHARED: Sql = Sql::same("messages.page_descending_shared", concat!(SHARED, DESCENDING));
const GET: Sql = Sql::same("messages.get", concat!(OWN, BY_ID));
const GET_SHARED: Sql = Sql::same("messages.get_shared", concat!(SHARED, BY_ID));
const BY_SEQ: Sql = Sql::same("messages.by_seq", concat!(OWN, BY_NUMBER));
const BY_SEQ_SHARED: Sql = Sql::same("messages.by_seq_shared", concat!(SHARED, BY_NUMBER));

/// Takes the next number and shows the message in the conversation's head.
const RAISE_HEAD: &str = "update conversations set last_seq = last_seq + 1, message_count = message_count + 1, \
    last_message = $1, last_message_at = $2, revision = revision + 1, \
    updated_at = case when updated_at > $2 then updated_at else $2 end where owner_id = ";
const RAISED: &str = " and id = $4 returning owner_id, last_seq, default_model";

pub(super) const RAISE_OWN_HEAD: Sql =
    Sql::same("messages.raise_own_head", concat!(RAISE_HEAD, "$3", RAISED));
pub(super) const RAISE_SHARED_HEAD: Sql =
    Sql::same("messages.raise_shared_head", concat!(RAISE_HEAD, OWNER_FOR_EDITOR, RAISED));

const COMBINED: &str = ") insert into messages (owner_id, conversation_id, seq, id, sender_id, role, content, parts, \
    model, token_count, used_documents, metadata, created_at) \
    select owner_id, $4, last_seq, $5, $6, $7, $8, $9, $10, $11, $12, $13, $2 from head \
    returning owner_id, seq, (select default_model from head), \
    case when $7 = 'assistant' and $9 is null then (select asked.model from messages asked \
    where asked.owner_id = (select owner_id from head) and asked.conversation_id = $4 and asked.role = 'user' \
    order by asked.seq desc limit 1) end";

/// The head is raised and the message inserted by one statement, which PostgreSQL commits alone.
const APPEND_OWN: Sql =
    Sql::only_postgres("messages.append_own", concat!("with head as (", RAISE_HEAD, "$3", RAISED, COMBINED));
const APPEND_SHARED: Sql = Sql::only_postgres(
    "messages.append_shared",
    concat!("with head as (", RAISE_HEAD, OWNER_FOR_EDITOR, RAISED, COMBINED),
);

/// As [`RAISE_HEAD`], by `$3` numbers at once.
const RAISE_HEAD_BY_MANY: Sql = Sql::same(
    "messages.raise_head_by_many",
    "update conversations set last_message = $1, last_message_at = $2, revision = revision + 1, \
     updated_at = case when updated_at > $2 then updated_at else $2 end, \
     last_seq = last_seq + $3, message_count = message_count + $3 \
     where owner_id = $4 and id = $5 returning last_seq, default_model",
);

pub(super) const INSERT: Sql = Sql::same(
    "messages.insert",
    "insert into messages (owner_id, conversation_id, seq, id, sender_id, role, content, parts, model, token_count, \
     used_documents, metadata, created_at) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
);

pub(super) const STATEMENTS: &[Sql] = &[
    SENT_ELSEWHERE,
    PAGE_ASCENDING,
    PAGE_DESCENDING,
    PAGE_ASCENDING_SHARED,
    PAGE_DESCENDING_SHARED,
    GET,
    GET_SHARED,
    BY_SEQ,
    BY_SEQ_SHARED,
    RAISE_OWN_HEAD,
    RAISE_SHARED_HEAD,
    APPEND_OWN,
    APPEND_SHARED,
    RAISE_HEAD_BY_MANY,
    INSERT,
];

pub(super) const NO_CONVERSATION: StoreError = StoreError::NotFound { entity: "conversation" };

/// Messages.
#[derive(Debug)]
pub struct Messages<'t, 'c, M>(pub(crate) &'t mut Tx<'c, M>);

/// A message whose effective model is still to be found.
pub(super) fn read(row: &Row<'_>) -> Result<Message, StoreError> {
    let owner_id: UserId = row.get(0)?;
    let role = row.word(5, MessageRole::parse)?;
    Ok(Message {
        owner_id,
        conversation_id: row.get(1)?,
        seq: row.get(2)?,
        id: row.get(3)?,
        sender_id: shown_sender(role, owner_id, row.get(4)?),
        role,
        content: row.get(6)?,
        parts: row.get(7)?,
        model: row.get(8)?,
        effective_model: String::new(),
        token_count: row.get(9)?,
        used_documents: row.get(10)?,
        metadata: row.get(11)?,
        created_at: row.get(12)?,
        edited_at: row.get(13)?,
    })
}

/// A person's message without a stored sender is the owner's.
fn shown_sender(role: MessageRole, owner: UserId, stored: Option<UserId>) -> Option<UserId> {
    match role {
        MessageRole::User => Some(stored.unwrap_or(owner)),
        _ => None,
    }
}

impl<M> Messages<'_, '_, M> {
    /// A page of a conversation by number. Empty also when the user cannot reach it.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        by: By,
        conversation: ConversationId,
        range: MessageRange,
        order: Order,
        limit: Limit,
    ) -> Result<Page<Message, i64>, StoreError> {
        let sql = match order {
            Order::Ascending => by.pick(&PAGE_ASCENDING, &PAGE_ASCENDING_SHARED),
            Order::Descending => by.pick(&PAGE_DESCENDING, &PAGE_DESCENDING_SHARED),
        };
        let values = [
            by.user().into(),
            conversation.into(),
            range.after.into(),
            range.before.into(),
            limit.with_lookahead().into(),
        ];
        let mut default_model: Option<String> = None;
        let read_row = |row: &Row<'_>| {
            if default_model.is_none() {
                default_model = row.get(WIDTH)?;
            }
            read(row)
        };
        let rows = self.0.executor.query(sql, &values, read_row).await?;
        let mut page = Page::cut(rows, limit, |message| message.seq);
        if order == Order::Descending {
            page.items.reverse();
        }
        self.find_models(&mut page.items, default_model.as_deref()).await?;
        if order == Order::Descending {
            page.items.reverse();
        }
        Ok(page)
    }

    /// At most `limit` messages around a number, ascending: half of them below it, the rest from it
    /// on; places that one side cannot fill go to the other.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn around(
        &mut self,
        by: By,
        conversation: ConversationId,
        seq: i64,
        limit: Limit,
    ) -> Result<Page<Message, i64>, StoreError> {
        let below = MessageRange { after: 0, before: seq };
        let from = MessageRange { after: seq.saturating_sub(1), before: i64::MAX };
        let earlier = self.page(by, conversation, below, Order::Descending, limit).await?.items;
        let later = self.page(by, conversation, from, Order::Ascending, limit).await?;
        let half = limit.rows() / 2;
        let take_earlier = earlier.len().min(half.max(limit.rows().saturating_sub(later.items.len())));
        let take_later = later.items.len().min(limit.rows() - take_earlier);
        let more_follow = take_later < later.items.len() || later.next.is_some();
        let mut items: Vec<Message> = earlier.into_iter().take(take_earlier).collect();
        items.reverse();
        items.extend(later.items.into_iter().take(take_later));
        let next = if more_follow { Some(items.last().map_or(seq - 1, |message| message.seq)) } else { None };
        Ok(Page { items, next })
    }

    /// What a user said in others' conversations, by conversation and number, after the message `from`.
    /// Their effective model is not looked up.
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
        let values =
            [sender.into(), owner.into(), conversation.into(), seq.into(), limit.with_lookahead().into()];
        let rows = self.0.executor.query(&SENT_ELSEWHERE, &values, read).await?;
        Ok(Page::cut(rows, limit, Message::clone))
    }

    /// The message with this id.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(
        &mut self,
        by: By,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let values = [by.user().into(), conversation.into(), id.into()];
        self.find_one(by.pick(&GET, &GET_SHARED), &values).await
    }

    /// The message with this number.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_by_seq(
        &mut self,
        by: By,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<Option<Message>, StoreError> {
        let values = [by.user().into(), conversation.into(), seq.into()];
        self.find_one(by.pick(&BY_SEQ, &BY_SEQ_SHARED), &values).await
    }

    async fn find_one(
        &mut self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Option<Message>, StoreError> {
        let read_row = |row: &Row<'_>| Ok((read(row)?, row.get(WIDTH)?));
        let found: Option<(Message, Option<String>)> =
            self.0.executor.query_first(sql, values, read_row).await?;
        let Some((mut message, default_model)) = found else { return Ok(None) };
        self.find_models(std::slice::from_mut(&mut message), default_model.as_deref()).await?;
        Ok(Some(message))
    }
}

impl Messages<'_, '_, ReadWrite> {
    /// Appends a message with the next number. On PostgreSQL one statement; on SQLite two in the
    /// transaction that they share with everybody else's writes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user cannot write there in this way;
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] when the id it brings is taken.
    pub async fn append(
        &mut self,
        by: By,
        conversation: ConversationId,
        new: impl IntoValid<&NewMessage>,
    ) -> Result<Message, StoreError> {
        let new = *new.into_valid()?;
        let mut message = self.arrange(by, conversation, new);
        let stored_sender = stored_sender(by, new.role);
        let default_model: Option<String>;
        if self.0.executor.combines_changes() {
            let values = append_values(by, &message, stored_sender);
            let sql = by.pick(&APPEND_OWN, &APPEND_SHARED);
            let read_head = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let appended = self.0.executor.query_changed(sql, &values, read_head).await?;
            let asked: Option<String>;
            (message.owner_id, message.seq, default_model, asked) = appended.ok_or(NO_CONVERSATION)?;
            self.set_model(&mut message, asked.as_deref(), default_model.as_deref());
        } else {
            (message.owner_id, message.seq, default_model) = self.raise_head(by, &message).await?;
            self.0.executor.execute(&INSERT, &insert_values(&message, stored_sender)).await?;
            self.find_models(std::slice::from_mut(&mut message), default_model.as_deref()).await?;
        }
        message.sender_id = shown_sender(message.role, message.owner_id, stored_sender);
        Ok(message)
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
        let new = *new.into_valid()?;
        if !senders.is_empty() && senders.len() != new.len() {
            return Err(StoreError::Refused("there must be one sender for each message, or none at all"));
        }
        let Some(last) = new.last() else { return Ok(Vec::new()) };
        let count = i64::try_from(new.len()).map_err(|_| StoreError::Refused("too many messages"))?;
        let mut messages: Vec<Message> =
            new.iter().map(|new| self.arrange(By::Owner(owner), conversation, new)).collect();
        let newest = messages[messages.len() - 1].created_at;
        let values =
            [preview(&last.content).into(), newest.into(), count.into(), owner.into(), conversation.into()];
        let read_head = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let raised: Option<(i64, Option<String>)> =
            self.0.executor.query_changed(&RAISE_HEAD_BY_MANY, &values, read_head).await?;
        let (last_seq, default_model) = raised.ok_or(NO_CONVERSATION)?;
        let first_seq = last_seq - count + 1;
        for (seq, message) in (first_seq..).zip(&mut messages) {
            message.seq = seq;
        }
        let stored: Vec<Option<UserId>> = (0..new.len())
            .map(|index| {
                let sender = senders.get(index).copied().flatten();
                sender.filter(|sender| *sender != owner && messages[index].role == MessageRole::User)
            })
            .collect();
        let mut rows = Vec::with_capacity(messages.len());
        for (message, sender) in messages.iter().zip(&stored) {
            rows.push(insert_values(message, *sender).to_vec());
        }
        self.0.executor.execute_each(&INSERT, rows).await?;
        self.find_models(&mut messages, default_model.as_deref()).await?;
        for (message, sender) in messages.iter_mut().zip(stored) {
            message.sender_id = shown_sender(message.role, owner, sender);
        }
        Ok(messages)
    }

    /// Raises the head for one message; owner, number and default model of the conversation.
    pub(super) async fn raise_head(
        &mut self,
        by: By,
        message: &Message,
    ) -> Result<(UserId, i64, Option<String>), StoreError> {
        let values = [
            preview(&message.content).into(),
            message.created_at.into(),
            by.user().into(),
            message.conversation_id.into(),
        ];
        let sql = by.pick(&RAISE_OWN_HEAD, &RAISE_SHARED_HEAD);
        let raised = self
            .0
            .executor
            .query_changed(sql, &values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .await?;
        raised.ok_or(NO_CONVERSATION)
    }

    pub(super) fn arrange(&self, by: By, conversation: ConversationId, new: &NewMessage) -> Message {
        let created_at: Timestamp = new.created_at.unwrap_or_else(|| self.0.now());
        Message {
            owner_id: by.user(),
            conversation_id: conversation,
            seq: 0,
            id: new.id.unwrap_or_else(|| MessageId::from_uuid(self.0.new_uuid(created_at))),
            sender_id: None,
            role: new.role,
            content: new.content.clone(),
            parts: new.parts.clone(),
            model: new.model.clone(),
            effective_model: String::new(),
            token_count: new.token_count,
            used_documents: new.used_documents.clone(),
            metadata: new.metadata.clone(),
            created_at,
            edited_at: None,
        }
    }
}

/// The owner's own messages store no sender, so that ordinary appends do not pay for its index.
pub(super) fn stored_sender(by: By, role: MessageRole) -> Option<UserId> {
    match (by, role) {
        (By::Member(user), MessageRole::User) => Some(user),
        _ => None,
    }
}

pub(super) fn insert_values(message: &Message, sender: Option<UserId>) -> [Value<'_>; 13] {
    [
        message.owner_id.into(),
        message.conversation_id.into(),
        message.seq.into(),
        message.id.into(),
        sender.into(),
        message.role.as_str().into(),
        (&message.content).into(),
        message.parts.as_ref().into(),
        message.model.as_ref().into(),
        message.token_count.into(),
        (&message.used_documents).into(),
        (&message.metadata).into(),
        message.created_at.into(),
    ]
}

pub(super) fn append_values(by: By, message: &Message, sender: Option<UserId>) -> [Value<'_>; 13] {
    [
        preview(&message.content).into(),
        message.created_at.into(),
        by.user().into(),
        message.conversation_id.into(),
        message.id.into(),
        sender.into(),
        message.role.as_str().into(),
        (&message.content).into(),
        message.parts.as_ref().into(),
        message.model.as_ref().into(),
        message.token_count.into(),
        (&message.used_documents).into(),
        (&message.metadata).into(),
    ]
}
