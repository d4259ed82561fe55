//! What messages of a conversation follow, and what else follows the same.

use std::collections::{BTreeMap, HashMap};

use chatstore_model::{CanonicalJson, ConversationId, Message, MessageId, UserId};
use constcat::concat;

use super::Messages;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::json_list;
use crate::repo::live::{live_conversation, live_sender};

const LIVE: &str = concat!(" and ", live_conversation!("$1", "$2"), " and ", live_sender!("m.sender_id"));

/// The ids of messages with these numbers.
const IDS: &str =
    "select m.seq, m.id from messages m where m.owner_id = $1 and m.conversation_id = $2 and m.seq in ";
const IDS_OF: Sql = Sql::pair(
    "messages.ids_of",
    concat!(IDS, "(select value from json_each($3))", LIVE),
    concat!(IDS, "(select value::bigint from jsonb_array_elements_text($3))", LIVE),
);

/// Of each of these numbers the nearest message below it.
const BELOW: &str = ", (select max(m.seq) from messages m where m.owner_id = $1 and m.conversation_id = $2 \
    and m.seq < wanted.seq) from ";
const ALL_BELOW: Sql = Sql::pair(
    "messages.all_below",
    concat!("select wanted.seq", BELOW, "(select value as seq from json_each($3)) as wanted"),
    concat!(
        "select wanted.seq",
        BELOW,
        "(select value::bigint as seq from jsonb_array_elements_text($3)) as wanted"
    ),
);

/// What follows one of these messages and says so.
const FOLLOWING: &str = "select m.parent_seq, m.seq, m.id from messages m where m.owner_id = $1 \
    and m.conversation_id = $2 and m.parent_seq is not null and m.parent_seq in ";
const CHILDREN_OF: Sql = Sql::pair(
    "messages.children_of",
    concat!(FOLLOWING, "(select value from json_each($3))", LIVE),
    concat!(FOLLOWING, "(select value::bigint from jsonb_array_elements_text($3))", LIVE),
);

/// What follows one of these messages by number alone.
const LINE: &str = concat!(
    "select wanted.seq, line.seq, line.id from (select m.seq, m.id from messages m where m.owner_id = $1 \
     and m.conversation_id = $2 and m.parent_seq is null",
    LIVE,
    ") as line join "
);
const NEXT: &str = " as wanted on line.seq = (select min(above.seq) from messages above \
    where above.owner_id = $1 and above.conversation_id = $2 and above.seq > wanted.seq)";
const NEXT_OF: Sql = Sql::pair(
    "messages.next_of",
    concat!(LINE, "(select value as seq from json_each($3))", NEXT),
    concat!(LINE, "(select value::bigint as seq from jsonb_array_elements_text($3))", NEXT),
);

pub(super) const STATEMENTS: &[Sql] = &[IDS_OF, ALL_BELOW, CHILDREN_OF, NEXT_OF];

/// What messages follow, and what else follows the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// Of a message the one that it follows, or that there is none.
    pub parents: HashMap<MessageId, Option<MessageId>>,
    /// Of a message all that follow the same one, itself among them, by number; empty unless it was asked for.
    pub siblings: HashMap<MessageId, Vec<MessageId>>,
}

/// A message whose family is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relative {
    id: MessageId,
    seq: i64,
    parent_seq: Option<i64>,
}

impl From<&Message> for Relative {
    fn from(message: &Message) -> Self {
        Self { id: message.id, seq: message.seq, parent_seq: message.parent_seq }
    }
}

impl<M> Messages<'_, '_, M> {
    /// What messages of one conversation follow that say so, and with `siblings` what all of them follow, and what else
    /// follows the same.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn family(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        messages: &[Relative],
        siblings: bool,
    ) -> Result<Family, StoreError> {
        let mut parents: HashMap<i64, i64> = messages
            .iter()
            .filter_map(|message| message.parent_seq.map(|parent| (message.seq, parent)))
            .collect();
        let unplaced: Vec<i64> = messages
            .iter()
            .filter(|message| message.parent_seq.is_none())
            .map(|message| message.seq)
            .collect();
        if siblings && !unplaced.is_empty() {
            let read = |row: &Row<'_>| Ok((row.next()?, row.next()?));
            let below: Vec<(i64, Option<i64>)> =
                self.of_numbers(&ALL_BELOW, owner, conversation, unplaced, read).await?;
            parents.extend(below.into_iter().map(|(seq, below)| (seq, below.unwrap_or(0))));
        }
        let mut ids: HashMap<i64, MessageId> =
            messages.iter().map(|message| (message.seq, message.id)).collect();
        let unknown: Vec<i64> =
            parents.values().copied().filter(|parent| *parent > 0 && !ids.contains_key(parent)).collect();
        if !unknown.is_empty() {
            let read = |row: &Row<'_>| Ok((row.next()?, row.next()?));
            let found: Vec<(i64, MessageId)> =
                self.of_numbers(&IDS_OF, owner, conversation, unknown, read).await?;
            ids.extend(found);
        }
        let mut family = Family::default();
        for message in messages {
            if let Some(parent) = parents.get(&message.seq) {
                family.parents.insert(message.id, ids.get(parent).copied());
            }
        }
        if siblings {
            let children = self.children(owner, conversation, parents.values().copied().collect()).await?;
            for message in messages {
                let of = parents.get(&message.seq).and_then(|parent| children.get(parent));
                let of = of.map(|children| children.values().copied().collect());
                family.siblings.insert(message.id, of.unwrap_or_else(|| vec![message.id]));
            }
        }
        Ok(family)
    }

    /// What follows each of these messages, by number; 0 stands for what roots follow.
    async fn children(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        mut parents: Vec<i64>,
    ) -> Result<HashMap<i64, BTreeMap<i64, MessageId>>, StoreError> {
        parents.sort_unstable();
        parents.dedup();
        let read = |row: &Row<'_>| Ok((row.next()?, row.next()?, row.next()?));
        let mut found: Vec<(i64, i64, MessageId)> =
            self.of_numbers(&CHILDREN_OF, owner, conversation, parents.clone(), read).await?;
        found.extend(self.of_numbers(&NEXT_OF, owner, conversation, parents, read).await?);
        let mut children: HashMap<i64, BTreeMap<i64, MessageId>> = HashMap::new();
        for (parent, seq, id) in found {
            children.entry(parent).or_default().insert(seq, id);
        }
        Ok(children)
    }

    async fn of_numbers<T>(
        &mut self,
        sql: &Sql,
        owner: UserId,
        conversation: ConversationId,
        numbers: Vec<i64>,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let numbers: CanonicalJson = json_list(numbers.into())?;
        let values: [Value<'_>; 3] = [owner.into(), conversation.into(), (&numbers).into()];
        self.0.executor.query(sql, &values, read).await
    }
}
