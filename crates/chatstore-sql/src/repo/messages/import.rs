//! What only imports do: finding what an earlier run brought, and responses with times of their own.

use std::collections::BTreeMap;

use chatstore_model::{
    CanonicalJson, ConversationId, Day, MessageId, MessageRange, ModelResponse, UserId, limits,
};
use constcat::concat;
use uuid::Uuid;

use super::Messages;
use super::append::INSERT;
use super::reply::{BOOKED, INSERT_RESPONSE, NO_COST, USAGE, response_values};
use super::row::MessageRow;
use crate::db::{Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::{live_conversation, live_sender};
use crate::repo::{list_of, pairs_of};
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

/// The same of several owners. PostgreSQL would keep the plan for the few rows that there are before an import.
const FIND_PRESENT_OF_OWNERS: Sql = Sql::pair(
    "messages.find_present_of_owners",
    concat!(
        OF_OWNERS,
        "json_each($1) as wanted cross join ",
        PRESENT_OF_WANTED,
        " and m.owner_id = unhex(wanted.value ->> 0) and m.id = unhex(wanted.value ->> 1)"
    ),
    concat!(
        OF_OWNERS,
        "jsonb_array_elements($1) as wanted(value) cross join ",
        PRESENT_OF_WANTED,
        " and m.owner_id = (wanted.value ->> 0)::uuid and m.id = (wanted.value ->> 1)::uuid"
    ),
)
.planned_anew();
const OF_OWNERS: &str =
    "select m.id, m.conversation_id, m.seq, m.metadata, r.message_id is not null, m.owner_id from ";
const PRESENT_OF_WANTED: &str = concat!(
    "messages m left join responses r on r.owner_id = m.owner_id and r.message_id = m.id where ",
    live_conversation!("m.owner_id", "m.conversation_id"),
    " and ",
    live_sender!("m.sender_id")
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

pub(super) const STATEMENTS: &[Sql] =
    &[FIND_PRESENT, FIND_PRESENT_OF_OWNERS, COUNT_BETWEEN, NAME_MODELS, BOOK_SUMS];

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

/// A response of a message that is stored already.
#[derive(Debug, Clone)]
pub struct ImportedResponse {
    /// Who owns the message.
    pub owner: UserId,
    /// What is stored.
    pub response: ModelResponse,
    /// Whether the message may be an answer without a model, which gets that of the response.
    pub names_model: bool,
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

    /// Which of these messages there are, each with its owner, in any order.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_present_of_owners(
        &mut self,
        wanted: &[(UserId, MessageId)],
    ) -> Result<Vec<(UserId, PresentMessage)>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = pairs_of(wanted.iter().map(|(owner, id)| (*owner, id.uuid().simple().to_string())))?;
        let read_with_owner = |row: &Row<'_>| {
            let message = read(row)?;
            Ok((row.next()?, message))
        };
        self.0.executor.query(&FIND_PRESENT_OF_OWNERS, &[(&wanted).into()], read_with_owner).await
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
    /// Stores messages that have their numbers, all or none.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when an id that one brings is taken.
    pub(in crate::repo) async fn insert_rows(&mut self, rows: &[MessageRow]) -> Result<(), StoreError> {
        if rows.iter().any(MessageRow::is_placed) {
            return self.insert_placed(rows).await;
        }
        let values = rows.iter().map(|row| row.insert_values().to_vec()).collect();
        self.0.executor.insert_many(&INSERT, values).await
    }

    /// Stores the responses of messages that are there, and books their usage on the owners by the
    /// day of each.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when a message has one; [`StoreError::MissingReference`] when there
    /// is no such message.
    pub async fn attach_responses(&mut self, responses: &[ImportedResponse]) -> Result<(), StoreError> {
        let rows = responses.iter().map(|added| response_values(added.owner, &added.response).to_vec());
        self.0.executor.insert_many(&INSERT_RESPONSE, rows.collect()).await?;
        let mut unnamed: BTreeMap<UserId, Vec<Uuid>> = BTreeMap::new();
        for ImportedResponse { owner, response, .. } in responses.iter().filter(|added| added.names_model) {
            unnamed.entry(*owner).or_default().push(response.message_id.uuid());
        }
        for (owner, ids) in unnamed {
            let ids = list_of(ids.into_iter())?;
            self.0.executor.execute(&NAME_MODELS, &[owner.into(), (&ids).into()]).await?;
        }
        // In one order, so that two imports cannot wait for each other.
        let mut sums: BTreeMap<(UserId, Day, &str), Sums> = BTreeMap::new();
        for ImportedResponse { owner, response, .. } in responses {
            let day = Day::of(response.created_at);
            sums.entry((*owner, day, &response.model_used)).or_default().add(response);
        }
        let mut rows = Vec::with_capacity(sums.len());
        for ((owner, day, model), sums) in &sums {
            rows.push(vec![
                (*owner).into(),
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
