//! What only imports do: finding what an earlier run brought, and responses with times of their own.

use std::collections::BTreeMap;

use chatstore_model::{
    CanonicalJson, ConversationId, Day, IntoValid, MessageId, MessageRange, ModelResponse, NewMessage,
    UserId, limits,
};
use constcat::concat;

use super::Messages;
use super::append::INSERT;
use super::reply::{BOOKED, INSERT_RESPONSE, NO_COST, USAGE, response_values};
use super::row::MessageRow;
use crate::db::{Sql, reader};
use crate::error::StoreError;
use crate::repo::live::{live_conversation, live_sender};
use crate::repo::{Via, list_of};
use crate::tx::ReadWrite;

const PRESENT: &str = concat!(
    "select m.id, m.conversation_id, m.seq, m.metadata, r.message_id is not null from messages m \
    left join responses r on r.owner_id = m.owner_id and r.message_id = m.id where m.owner_id = $1 and ",
    live_conversation!("m.owner_id", "m.conversation_id"),
    " and ",
    live_sender!("m.sender_id"),
    " and m.id in "
);

const FIND_PRESENT: Sql = Sql::pair(
    "messages.find_present",
    concat!(PRESENT, "(select unhex(value) from json_each($2))"),
    concat!(PRESENT, "(select value::uuid from jsonb_array_elements_text($2))"),
);

const COUNT_BETWEEN: Sql = Sql::same(
    "messages.count_between",
    concat!(
        "select count(*) from messages where owner_id = $1 and conversation_id = $2 and seq > $3 and seq < $4 and ",
        live_conversation!("$1", "$2"),
        " and ",
        live_sender!("sender_id")
    ),
);

/// An answer that names no model is the one of its response.
const NAME_MODELS: Sql = Sql::pair(
    "messages.name_models",
    concat!(NAME, "(select unhex(value) from json_each($2))"),
    concat!(NAME, "(select value::uuid from jsonb_array_elements_text($2))"),
);
const NAME: &str = concat!(
    "update messages set model = (select r.model_used from responses r \
     where r.owner_id = $1 and r.message_id = messages.id and ",
    live_conversation!("$1", "r.conversation_id"),
    ") where owner_id = $1 and role = 'assistant' and model is null and ",
    live_conversation!("$1", "conversation_id"),
    " and ",
    live_sender!("sender_id"),
    " and id in "
);

const BOOK_SUMS: Sql = Sql::same("usage.book_sums", concat!(USAGE.insert(&[NO_COST]).as_str(), BOOKED));

pub(super) const STATEMENTS: &[Sql] = &[FIND_PRESENT, COUNT_BETWEEN, NAME_MODELS, BOOK_SUMS];

/// A message that is there already.
#[derive(Debug, Clone, PartialEq)]
pub struct PresentMessage {
    /// Its id.
    pub id: MessageId,
    /// Where it is.
    pub conversation_id: ConversationId,
    /// Its number.
    pub seq: i64,
    /// Its metadata.
    pub metadata: CanonicalJson,
    /// Whether it has a response.
    pub has_response: bool,
}

/// Messages that have their numbers, and are not stored yet.
#[derive(Debug, Clone, Default)]
pub struct NumberedMessages(Vec<MessageRow>);

impl NumberedMessages {
    /// Adds others, of any conversation.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }
}

reader! {
    fn read -> PresentMessage {
        id, conversation_id, seq, metadata, has_response,
    }
}

impl<M> Messages<'_, '_, M> {
    /// Which of these messages the owner has, wherever they are.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_present(
        &mut self,
        owner: UserId,
        ids: &[MessageId],
    ) -> Result<Vec<PresentMessage>, StoreError> {
        let ids = list_of(ids.iter().map(|id| id.uuid()))?;
        let values = [owner.into(), (&ids).into()];
        self.0.executor.query(&FIND_PRESENT, &values, read).await
    }

    /// How many of the numbers in a range messages of a conversation have.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn count_between(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        range: MessageRange,
    ) -> Result<i64, StoreError> {
        let values = [owner.into(), conversation.into(), range.after.into(), range.before.into()];
        self.0.executor.query_one(&COUNT_BETWEEN, &values, |row| row.next()).await
    }
}

impl Messages<'_, '_, ReadWrite> {
    /// Takes the next numbers for messages that are stored later in the transaction, together with others, by
    /// [`store_numbered`](Self::store_numbered). `senders` as in [`append_many`](Self::append_many).
    ///
    /// # Errors
    /// As [`append_many`](Self::append_many).
    pub async fn number_imported(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: impl IntoValid<&[NewMessage]>,
    ) -> Result<NumberedMessages, StoreError> {
        let numbered = self.number(owner, conversation, senders, *new.into_valid()?, None).await?;
        Ok(NumberedMessages(numbered.map_or_else(Vec::new, |(rows, _)| rows)))
    }

    /// Stores messages that have their numbers.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when an id that one brings is taken.
    pub async fn store_numbered(&mut self, numbered: &NumberedMessages) -> Result<(), StoreError> {
        if numbered.0.is_empty() {
            return Ok(());
        }
        let values = numbered.0.iter().map(|row| row.insert_values().to_vec()).collect();
        self.0.executor.insert_many(&INSERT, values).await
    }

    /// Takes numbers for messages of a conversation that is imported in pieces, after the message with this number; they
    /// are stored by [`store_numbered`](Self::store_numbered). The conversation's revision is 1 until the last piece and
    /// 2 then, as if it had been imported at once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the conversation has other messages than those up to `after`, or was changed;
    /// otherwise as [`append_many`](Self::append_many).
    pub async fn number_piece(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        after: i64,
        new: impl IntoValid<&[NewMessage]>,
        completes: bool,
    ) -> Result<NumberedMessages, StoreError> {
        let new = *new.into_valid()?;
        let mut rows: Vec<MessageRow> =
            new.iter().map(|new| self.to_row(Via::Owner(owner), conversation, new)).collect();
        let Some(last) = rows.last() else { return Ok(NumberedMessages::default()) };
        let count = i64::try_from(rows.len()).map_err(|_| StoreError::InvalidState("too many messages"))?;
        let last = (last.content.as_str(), last.created_at);
        let bumped =
            self.0.conversations().bump_by_piece(owner, conversation, after, count, last, completes).await?;
        if bumped.is_none() {
            return Err(self.0.conflict("the conversation was changed while it was imported"));
        }
        for (seq, row) in (after + 1..).zip(&mut rows) {
            row.seq = seq;
        }
        Ok(NumberedMessages(rows))
    }

    /// Stores the responses of messages that are there, and books their usage on the owner by the
    /// day of each. An answer that names no model gets that of its response.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when a message has one; [`StoreError::MissingReference`] when there
    /// is no such message.
    pub async fn attach_responses(
        &mut self,
        owner: UserId,
        responses: &[ModelResponse],
    ) -> Result<(), StoreError> {
        let rows = responses.iter().map(|response| response_values(owner, response).to_vec()).collect();
        self.0.executor.insert_many(&INSERT_RESPONSE, rows).await?;
        let ids = list_of(responses.iter().map(|response| response.message_id.uuid()))?;
        self.0.executor.execute(&NAME_MODELS, &[owner.into(), (&ids).into()]).await?;
        // In one order, so that two imports cannot wait for each other.
        let mut sums: BTreeMap<(Day, &str), Sums> = BTreeMap::new();
        for response in responses {
            sums.entry((Day::of(response.created_at), &response.model_used)).or_default().add(response);
        }
        let mut rows = Vec::with_capacity(sums.len());
        for ((day, model), sums) in &sums {
            rows.push(vec![
                owner.into(),
                day.start().into(),
                (*model).into(),
                sums.requests.into(),
                sums.cached_requests.into(),
                sums.tokens_prompt.into(),
                sums.tokens_completion.into(),
                sums.tokens_total.into(),
                sums.completion_time_ms.into(),
            ]);
        }
        self.0.executor.execute_each(&BOOK_SUMS, rows).await
    }
}

/// A list of ids as the statements take it.
/// What several responses of one day and model come to.
#[derive(Debug, Default)]
struct Sums {
    requests: i64,
    cached_requests: i64,
    tokens_prompt: i64,
    tokens_completion: i64,
    tokens_total: i64,
    completion_time_ms: i64,
}

impl Sums {
    fn add(&mut self, response: &ModelResponse) {
        self.requests += 1;
        self.cached_requests += i64::from(response.from_cache);
        for (sum, more) in [
            (&mut self.tokens_prompt, response.tokens_prompt),
            (&mut self.tokens_completion, response.tokens_completion),
            (&mut self.tokens_total, response.tokens_total),
            (&mut self.completion_time_ms, response.completion_time_ms),
        ] {
            *sum = sum.saturating_add(more.unwrap_or(0)).min(limits::COUNT);
        }
    }
}
