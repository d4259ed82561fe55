//! Runs a step on one database and puts its answer into words.

use std::fmt::Debug;
use std::time::Duration;

use chatstore_model::{
    ApiKeyId, ConversationId, DocumentId, Email, LogEvent, LogEventId, MemberPosition, MessageFilter,
    MessageId, MessageRange, NewLogEvent, NewRefreshToken, NewUser, Order, SessionId, UserFilter, UserId,
};
use chatstore_sql::{
    ConversationList, Database, DocumentList, LogList, LogOwner, PathStart, Presented, ReadTx, StoreError,
    Via, WriteTx,
};
use uuid::Uuid;

use crate::step::Step;

/// More pages than any list of a sequence has.
const PAGES: usize = 300;

/// More rows than any sequence lets expire.
const EVERY: i64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Created {
    User(UserId),
    Conversation(UserId, ConversationId),
    Message(UserId, ConversationId, MessageId),
    Document(UserId, DocumentId),
    Key(UserId, ApiKeyId),
    Session(UserId, SessionId),
}

/// An answer in words, and what was created.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub answer: Result<String, String>,
    pub created: Vec<Created>,
}

type Told = Result<(String, Vec<Created>), StoreError>;

fn told(answer: &impl Debug, created: Vec<Created>) -> Told {
    Ok((format!("{answer:?}"), created))
}

/// The variant of an error with its data; causes are the drivers' own words.
fn shape(error: &StoreError) -> String {
    match error {
        StoreError::NotFound { .. }
        | StoreError::AlreadyExists { .. }
        | StoreError::BeingDeleted(_)
        | StoreError::MissingReference { .. }
        | StoreError::Invalid(_)
        | StoreError::InvalidState(_) => format!("{error:?}"),
        other => panic!("no step may fail like this: {other}"),
    }
}

pub async fn run(database: &Database, step: Step) -> Outcome {
    let answer = match step {
        Step::Wait(_) => told(&(), vec![]),
        // The way of the hot path: without a transaction on PostgreSQL.
        Step::CreateUser(_)
        | Step::CreateConversation(..)
        | Step::CreateDocument(..)
        | Step::AppendEvent(..) => {
            database.write_single("step", async move |tx| change(tx, &step).await).await
        }
        Step::GetUser(_)
        | Step::FindUser(_)
        | Step::PageUsers(..)
        | Step::GetConversation(..)
        | Step::FindThread(..)
        | Step::Access(..)
        | Step::ListConversations(..)
        | Step::CountConversations(..)
        | Step::ListMembers(..)
        | Step::GetMessage(..)
        | Step::FindMessage(..)
        | Step::ListMessages(..)
        | Step::Around(..)
        | Step::ListPath(..)
        | Step::GetResponse(..)
        | Step::Usage(..)
        | Step::GetDocument(..)
        | Step::ListDocuments(..)
        | Step::FindDocuments(..)
        | Step::ListEvents(..)
        | Step::FindKey(..)
        | Step::ListKeys(_)
        | Step::LookAtSession(..)
        | Step::PageSessions(..)
        | Step::FindPassword(_)
        | Step::FindRecord(..) => database.read("step", async move |tx| look(tx, &step).await).await,
        Step::Together(steps) => {
            let work = async move |tx: &mut WriteTx<'_>| {
                let (mut answers, mut all_created) = (Vec::new(), Vec::new());
                for step in &steps {
                    let (answer, created) = change(tx, step).await?;
                    answers.push(answer);
                    all_created.extend(created);
                }
                told(&answers, all_created)
            };
            database.write("steps", work).await
        }
        _ => database.write("step", async move |tx| change(tx, &step).await).await,
    };
    match answer {
        Ok((answer, created)) => Outcome { answer: Ok(answer), created },
        Err(error) => Outcome { answer: Err(shape(&error)), created: vec![] },
    }
}

async fn look(tx: &mut ReadTx<'_>, step: &Step) -> Told {
    let nothing = Vec::new();
    match *step {
        Step::GetUser(id) => told(&tx.users().get(id).await?, nothing),
        Step::FindUser(ref text) => {
            told(&(tx.users().find_by_username(text).await?, tx.users().find_by_email(text).await?), nothing)
        }
        Step::PageUsers(order, limit) => {
            told(&tx.users().page(UserFilter::default(), order, None, limit).await?, nothing)
        }
        Step::GetConversation(by, id) => told(&tx.conversations().get(by, id).await?, nothing),
        Step::FindThread(user, ref id) => told(&tx.conversations().find_by_thread(user, id).await?, nothing),
        Step::Access(user, id) => told(&tx.conversations().access(user, id).await?, nothing),
        Step::ListConversations(user, ref list) => list_conversations(tx, user, list.clone()).await,
        Step::CountConversations(user, ref filter) => {
            told(&tx.conversations().count(user, filter).await?, nothing)
        }
        Step::ListMembers(owner, id, limit) => {
            let mut pages = Vec::new();
            let mut from: Option<MemberPosition> = None;
            while pages.len() < PAGES {
                let page = tx.members().page(owner, id, from, limit).await?;
                from = page.next;
                pages.push(page);
                if from.is_none() {
                    break;
                }
            }
            told(&pages, nothing)
        }
        Step::GetMessage(by, id, message) => told(&tx.messages().get(by, id, message).await?, nothing),
        Step::FindMessage(by, id, seq) => told(&tx.messages().find_by_seq(by, id, seq).await?, nothing),
        Step::ListMessages(by, id, range, order, limit) => {
            list_messages(tx, (by, id), range, order, limit).await
        }
        Step::Around(by, id, seq, limit) => {
            told(&tx.messages().around(by, id, seq, &MessageFilter::ALL, limit).await?, nothing)
        }
        Step::ListPath(owner, id, leaf, order, limit) => list_path(tx, (owner, id), leaf, order, limit).await,
        Step::GetResponse(user, message) => told(&tx.responses().get(user, message).await?, nothing),
        Step::Usage(user, from, to) => told(&tx.usage().between(user, from, to).await?, nothing),
        Step::GetDocument(user, id) => told(&tx.documents().get(user, id).await?, nothing),
        Step::ListDocuments(user, ref list) => list_documents(tx, user, list.clone()).await,
        Step::ListEvents(whose, ref list) => list_events(tx, whose, list.clone()).await,
        Step::FindDocuments(user, ref ids) => {
            let mut present = tx.documents().find_present(user, ids).await?;
            present.sort_unstable();
            let found = tx.documents().find(user, ids).await?;
            told(&(present, found), nothing)
        }
        Step::FindKey(user, hash) => {
            told(&tx.api_keys().find(user, &hash, chatstore_model::Timestamp::MIN).await?, nothing)
        }
        Step::ListKeys(user) => told(&tx.api_keys().list(user).await?, nothing),
        Step::LookAtSession(user, id) => {
            let state = tx.sessions().state(user, id).await?;
            let sessions = tx.sessions().list(user).await?;
            let jti = sessions.first().map_or_else(uuid::Uuid::nil, |session| session.access_jti);
            let by_jti = tx.sessions().find_by_access_jti(user, jti).await?;
            told(&(state, &sessions, by_jti, tx.refresh_tokens().list(user).await?), nothing)
        }
        Step::PageSessions(user, limit) => {
            let first = tx.sessions().page(user, None, limit).await?;
            let second = tx.sessions().page(user, first.next, limit).await?;
            told(&(first, second), nothing)
        }
        Step::FindPassword(user) => {
            let found = tx.passwords().get(user).await?;
            let name = found.as_ref().and_then(|(user, _)| user.username.clone()).unwrap_or_default();
            told(&(found, tx.passwords().find_by_username(&name).await?), nothing)
        }
        Step::FindRecord(user, ref key) => told(&tx.idempotency_keys().find(user, key).await?, nothing),
        ref other => panic!("{other:?} changes something"),
    }
}

async fn list_conversations(tx: &mut ReadTx<'_>, user: UserId, mut list: ConversationList) -> Told {
    let mut pages = Vec::new();
    while pages.len() < PAGES {
        let page = tx.conversations().page(user, &list).await?;
        list.from = page.next;
        list.offset = 0;
        pages.push(page);
        if list.from.is_none() {
            break;
        }
    }
    told(&pages, vec![])
}

async fn list_documents(tx: &mut ReadTx<'_>, user: UserId, mut list: DocumentList) -> Told {
    let count = tx.documents().count(user, &list.filter).await?;
    let mut pages = Vec::new();
    while pages.len() < PAGES {
        let page = tx.documents().page(user, &list).await?;
        list.from = page.next;
        pages.push(page);
        if list.from.is_none() {
            break;
        }
    }
    told(&(count, pages), vec![])
}

async fn list_events(tx: &mut ReadTx<'_>, whose: LogOwner, mut list: LogList) -> Told {
    let mut pages = Vec::new();
    while pages.len() < PAGES {
        let page = tx.logs().page(whose, &list).await?;
        list.from = page.next;
        pages.push(page);
        if list.from.is_none() {
            break;
        }
    }
    told(&pages, vec![])
}

/// Events about, by and for these users, in turn.
fn events(tx: &WriteTx<'_>, users: &[(UserId, u64)], new: &NewLogEvent) -> Vec<LogEvent> {
    let at = tx.now();
    let event = |(number, (_, end)): (usize, &(UserId, u64))| {
        let user = |place: usize| users[(number + place) % users.len()].0;
        let NewLogEvent { level, event, conversation_id, request_id, data } = new.clone();
        LogEvent {
            user_id: user(0),
            id: LogEventId::at(at, Uuid::from_u128(u128::from(*end))),
            at,
            level,
            event,
            conversation_id,
            request_id,
            actor_id: Some(user(1)),
            key_id: Some(ApiKeyId::from_uuid(Uuid::from_u128(number as u128))),
            acting_for_id: (number % 2 == 0).then(|| user(2)),
            data,
        }
    };
    users.iter().enumerate().map(event).collect()
}

async fn list_messages(
    tx: &mut ReadTx<'_>,
    (by, id): (Via, ConversationId),
    mut range: MessageRange,
    order: Order,
    limit: chatstore_model::Limit,
) -> Told {
    let mut pages = Vec::new();
    while pages.len() < PAGES {
        let page = tx.messages().page(by, id, range, order, limit).await?;
        let next = page.next;
        pages.push(page);
        let Some(seq) = next else { break };
        range = range.beyond(seq, order);
    }
    told(&pages, vec![])
}

async fn list_path(
    tx: &mut ReadTx<'_>,
    (owner, id): (UserId, ConversationId),
    leaf: i64,
    order: Order,
    limit: chatstore_model::Limit,
) -> Told {
    let (mut pages, mut range) = (Vec::new(), MessageRange::ALL);
    let mut near = None;
    while pages.len() < PAGES {
        let (start, filter) = (PathStart { leaf, near }, MessageFilter::from(range));
        let page = tx.messages().page_of_path(owner, id, start, &filter, order, limit).await?;
        let next = page.as_ref().and_then(|page| page.next);
        pages.push(page);
        let Some(seq) = next else { break };
        near = Some(seq).filter(|_| order == Order::Descending);
        range = range.beyond(seq, order);
    }
    told(&pages, vec![])
}

/// What stands for the SHA-256 of a session's token.
fn token_hash(session: SessionId, counter: i64) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(session.uuid().as_bytes());
    hash[16..24].copy_from_slice(&counter.to_be_bytes());
    hash
}

async fn change(tx: &mut WriteTx<'_>, step: &Step) -> Told {
    match *step {
        Step::CreateUser(ref new) => {
            let user = tx.users().create(new).await?;
            told(&user, vec![Created::User(user.id)])
        }
        Step::GetOrCreateUser(ref text) => {
            let (user, created) = tx
                .users()
                .get_or_create_by_email(&NewUser::with_email(Email::new(text.as_str()).unwrap()))
                .await?;
            told(&(&user, created), vec![Created::User(user.id)])
        }
        Step::UpdateUser(id, ref patch) => told(&tx.users().update(id, patch).await?, vec![]),
        Step::EraseUser(id) => told(&tx.users().erase(id).await?, vec![]),
        Step::CreateConversation(owner, ref new) => {
            let conversation = tx.conversations().create(owner, new).await?;
            told(&conversation, vec![Created::Conversation(owner, conversation.id)])
        }
        Step::GetOrCreateThread(owner, ref new) => {
            let (conversation, created) = tx.conversations().get_or_create_by_thread(owner, new).await?;
            told(&(&conversation, created), vec![Created::Conversation(owner, conversation.id)])
        }
        Step::UpdateConversation(owner, id, ref patch) => {
            told(&tx.conversations().update(owner, id, patch).await?, vec![])
        }
        Step::DeleteConversation(owner, id) => told(&tx.conversations().delete(owner, id).await?, vec![]),
        Step::PutMember(owner, id, user, role) => {
            told(&tx.members().put(owner, id, user, role).await?, vec![])
        }
        Step::RemoveMember(owner, id, user) => told(&tx.members().remove(owner, id, user).await?, vec![]),
        Step::Append(by, id, ref new) => {
            let message = tx.messages().append_in_steps(by, id, new).await?;
            told(&message, vec![Created::Message(message.owner_id, id, message.id)])
        }
        Step::AppendMany(owner, id, ref senders, ref new) => {
            let messages = tx.messages().append_many(owner, id, senders, new).await?;
            let created = messages.iter().map(|message| Created::Message(owner, id, message.id)).collect();
            told(&messages, created)
        }
        Step::Reply(owner, id, ref new) => {
            let reply = tx.messages().record_reply(owner, id, new).await?;
            told(&reply, vec![Created::Message(owner, id, reply.message.id)])
        }
        Step::EditMessage(owner, id, message, ref patch) => {
            told(&tx.messages().edit(owner, id, message, patch).await?, vec![])
        }
        Step::DeleteMessage(owner, id, message) => {
            told(&tx.messages().delete(owner, id, message).await?, vec![])
        }
        Step::CreateDocument(owner, ref new) => {
            let document = tx.documents().create(owner, new).await?;
            told(&document, vec![Created::Document(owner, document.id)])
        }
        Step::CreateDocuments(owner, ref new) => {
            let documents = tx.documents().create_many(owner, new.as_slice()).await?;
            let created = documents.iter().map(|document| Created::Document(owner, document.id)).collect();
            told(&documents, created)
        }
        Step::UpdateDocument(owner, id, ref patch) => {
            told(&tx.documents().update(owner, id, patch).await?, vec![])
        }
        Step::DeleteDocument(owner, id) => told(&tx.documents().delete(owner, id).await?, vec![]),
        Step::AppendEvent(user, actor, ref new) => told(&tx.logs().append(user, actor, new).await?, vec![]),
        Step::RecordEvents(ref users, ref new) => {
            let events = events(tx, users, new);
            tx.logs().record(events.as_slice()).await?;
            told(&events, vec![])
        }
        Step::PruneEvents(before) => told(&tx.logs().prune(before, 3).await?, vec![]),
        Step::CreateKey(user, ref new) => {
            let key = tx.api_keys().create(user, new).await?;
            told(&key, vec![Created::Key(user, key.id)])
        }
        Step::RevokeKey(user, id) => told(&tx.api_keys().revoke(user, id).await?, vec![]),
        Step::TouchKey(user, id, at) => told(&tx.api_keys().touch(user, id, at).await?, vec![]),
        Step::BeginSession(user, ref new) => {
            let token = NewRefreshToken { token_hash: token_hash(new.id, 0), expires_at: new.expires_at };
            let session = tx.sessions().begin(user, new, &token).await?;
            told(&session, vec![Created::Session(user, session.id)])
        }
        Step::Rotate(user, session, counter) => {
            let presented = Presented {
                user_id: user,
                session_id: session,
                token_hash: token_hash(session, counter),
                successors: vec![token_hash(session, counter + 1)],
                access_jti: uuid::Uuid::from_u128(session.uuid().as_u128() + counter.unsigned_abs() as u128),
                idle: Duration::from_secs(3_600),
                absolute: Duration::from_secs(86_400),
            };
            told(&tx.refresh_tokens().rotate(&presented).await?, vec![])
        }
        Step::EndSession(user, id, reason) => told(&tx.sessions().end(user, id, reason).await?, vec![]),
        Step::EndSessions(user, reason) => told(&tx.sessions().end_all(user, reason).await?, vec![]),
        Step::TouchSession(user, id, at) => told(&tx.sessions().touch(user, id, at).await?, vec![]),
        Step::PruneSessions(at) => told(
            &(tx.sessions().prune(at, EVERY).await?, tx.refresh_tokens().prune(at, EVERY).await?),
            vec![],
        ),
        Step::SetPassword(user, ref hash) => told(&tx.passwords().set(user, hash, true).await?, vec![]),
        Step::Record(owner, caller, ref new) => {
            // PostgreSQL runs a transaction again that records what is recorded, so the key is looked up first.
            match tx.idempotency_keys().find(caller, &new.key).await? {
                Some(known) => told(&known, vec![]),
                None => told(&tx.idempotency_keys().record(owner, caller, new).await?, vec![]),
            }
        }
        Step::PruneRecords(at) => told(&tx.idempotency_keys().prune(at, EVERY).await?, vec![]),
        ref other => panic!("{other:?} changes nothing"),
    }
}
