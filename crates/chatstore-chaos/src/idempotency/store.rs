//! What is stored in the end, read through the store itself.

use std::collections::HashMap;

use chatstore_bench::error::Error;
use chatstore_bench::server::USER;
use chatstore_model::{ConversationId, Day, Limit, Message, MessageRange, Order, Timestamp, UserId};
use chatstore_sql::{ConversationList, Database, DatabaseOptions, ReadTx, Via};

/// What the user of the experiment has.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Ids of conversations by title.
    pub(super) conversations: HashMap<String, Vec<String>>,
    /// Messages by content.
    pub(super) messages: HashMap<String, Vec<StoredMessage>>,
    /// What the store contradicts itself in.
    pub(super) contradictions: Vec<String>,
    /// Replies that usage was booked for.
    pub(super) requests_booked: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredMessage {
    pub(super) id: String,
    pub(super) conversation: String,
    pub(super) seq: i64,
    pub(super) has_response: bool,
}

/// Reads all of the user's conversations, and the messages of those named.
pub(super) async fn read(url: &str, with_messages: &[String]) -> Result<Stored, Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let stored = read_from(&database, with_messages).await;
    database.close().await;
    stored
}

async fn read_from(database: &Database, with_messages: &[String]) -> Result<Stored, Error> {
    let find = async |tx: &mut ReadTx<'_>| tx.users().find_by_username(USER).await;
    let owner = database.read("find", find).await?.ok_or("the user of the experiment is gone")?.id;
    let mut stored = Stored::default();
    read_conversations(database, owner, &mut stored).await?;
    for id in with_messages {
        read_messages(database, owner, id.parse()?, &mut stored).await?;
    }
    let (from, to) = (Day::of(Timestamp::MIN), Day::of(Timestamp::MAX));
    let between = async move |tx: &mut ReadTx<'_>| tx.usage().between(owner, from, to).await;
    stored.requests_booked = database.read("usage", between).await?.iter().map(|row| row.requests).sum();
    Ok(stored)
}

async fn read_conversations(database: &Database, owner: UserId, stored: &mut Stored) -> Result<(), Error> {
    let mut list = ConversationList { limit: Limit::MAX, ..ConversationList::default() };
    loop {
        let of_page = list.clone();
        let page = async move |tx: &mut ReadTx<'_>| tx.conversations().page(owner, &of_page).await;
        let page = database.read("list", page).await?;
        for (conversation, _) in page.items {
            let title = conversation.title.unwrap_or_default();
            stored.conversations.entry(title).or_default().push(conversation.id.to_string());
        }
        if page.next.is_none() {
            return Ok(());
        }
        list.from = page.next;
    }
}

async fn read_messages(
    database: &Database,
    owner: UserId,
    id: ConversationId,
    stored: &mut Stored,
) -> Result<(), Error> {
    let get = async move |tx: &mut ReadTx<'_>| tx.conversations().get(Via::Owner(owner), id).await;
    let (conversation, _) = database.read("get", get).await?.ok_or("a conversation is gone")?;
    let mut last_seq = 0;
    loop {
        let range = MessageRange { after: last_seq, ..MessageRange::ALL };
        let page = async move |tx: &mut ReadTx<'_>| {
            tx.messages().page(Via::Owner(owner), id, range, Order::Ascending, Limit::MAX).await
        };
        let page = database.read("page", page).await?;
        for message in page.items {
            if message.seq != last_seq + 1 {
                stored.contradictions.push(format!("{id}: {} follows {last_seq}", message.seq));
            }
            last_seq = message.seq;
            let message_id = message.id;
            let response = async move |tx: &mut ReadTx<'_>| tx.responses().get(owner, message_id).await;
            let has_response = database.read("response", response).await?.is_some();
            stored.add(message, has_response);
        }
        if page.next.is_none() {
            break;
        }
    }
    if conversation.message_count != last_seq {
        let count = conversation.message_count;
        stored.contradictions.push(format!("{id}: message_count is {count}, found are {last_seq}"));
    }
    Ok(())
}

impl Stored {
    fn add(&mut self, message: Message, has_response: bool) {
        let (id, conversation) = (message.id.to_string(), message.conversation_id.to_string());
        let stored = StoredMessage { id, conversation, seq: message.seq, has_response };
        self.messages.entry(message.content).or_default().push(stored);
    }
}
