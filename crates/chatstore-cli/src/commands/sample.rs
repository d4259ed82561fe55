//! The bundled sample: conversations written for this project.

use chatstore::{
    CanonicalJson, ConversationId, Email, MemberRole, MessageRole, NewConversation, NewMessage,
    NewModelResponse, NewReply, NewUser, Store, StoreError, Timestamp, User, UserId, UserName, Via, WriteTx,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::{CliError, code};

const SAMPLE: &str = include_str!("../../sample/conversations.json");

/// The name space of the sample's ids, so that a second demo finds the rows of the first.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b60_9c1d_41aa_4d7e_9a02_5d0c_8e8f_7713);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    users: Vec<SampleUser>,
    conversations: Vec<SampleConversation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleUser {
    username: String,
    email: String,
    full_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleConversation {
    owner: String,
    thread_id: Option<String>,
    title: Option<String>,
    default_model: Option<String>,
    #[serde(default)]
    members: Vec<SampleMember>,
    metadata: Option<CanonicalJson>,
    started_at: Timestamp,
    messages: Vec<SampleMessage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleMember {
    username: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleMessage {
    role: String,
    sender: Option<String>,
    content: String,
    after_seconds: i64,
    model: Option<String>,
    token_count: Option<i64>,
    used_documents: Option<CanonicalJson>,
    metadata: Option<CanonicalJson>,
    response: Option<SampleResponse>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleResponse {
    model_used: Option<String>,
    tokens_prompt: Option<i64>,
    tokens_completion: Option<i64>,
    tokens_cached: Option<i64>,
    completion_time_ms: Option<i64>,
    finish_reason: Option<String>,
    #[serde(default)]
    from_cache: bool,
}

/// A conversation with every name resolved.
struct Prepared {
    owner: UserId,
    id: ConversationId,
    conversation: NewConversation,
    members: Vec<(UserId, MemberRole)>,
    entries: Vec<Entry>,
}

enum Entry {
    Message(Via, NewMessage),
    Reply(NewReply),
}

/// Stores the conversations that are not stored yet; returns their number.
pub(crate) async fn import(store: &Store) -> Result<usize, CliError> {
    let sample = read()?;
    for user in &sample.users {
        make_user(store, user).await?;
    }
    let mut added = 0;
    for (index, conversation) in sample.conversations.into_iter().enumerate() {
        let prepared = prepare(store, index, conversation).await?;
        let was_added = store.write("sample", async move |tx| put(tx, &prepared).await).await?;
        added += usize::from(was_added);
    }
    Ok(added)
}

/// The user whose key the demo prints.
pub(crate) async fn first_user(store: &Store) -> Result<User, CliError> {
    let sample = read()?;
    let first = sample.users.first().ok_or_else(|| damaged("it has no users"))?;
    let user = store.users().find_by_username(&first.username).await?;
    user.ok_or_else(|| damaged("its first user was not stored"))
}

fn read() -> Result<Sample, CliError> {
    serde_json::from_str(SAMPLE).map_err(|error| damaged(&error.to_string()))
}

fn damaged(reason: &str) -> CliError {
    CliError::new(code::FAILED, format!("the sample in this program is damaged: {reason}"))
}

async fn make_user(store: &Store, user: &SampleUser) -> Result<(), CliError> {
    if store.users().find_by_username(&user.username).await?.is_some() {
        return Ok(());
    }
    let new = NewUser {
        username: Some(UserName::new(&user.username).map_err(|error| damaged(&error.to_string()))?),
        is_email_verified: true,
        email: Some(Email::new(&user.email).map_err(|error| damaged(&error.to_string()))?),
        full_name: Some(user.full_name.clone()),
        ..NewUser::default()
    };
    store.users().create(new).await?;
    Ok(())
}

async fn user_id(store: &Store, username: &str) -> Result<UserId, CliError> {
    let user = store.users().find_by_username(username).await?;
    user.map(|user| user.id).ok_or_else(|| damaged(&format!("it names the unknown user {username}")))
}

async fn prepare(store: &Store, index: usize, sample: SampleConversation) -> Result<Prepared, CliError> {
    let owner = user_id(store, &sample.owner).await?;
    let id = Uuid::new_v5(&NAMESPACE, format!("{}/{index}", sample.owner).as_bytes());
    let id = ConversationId::from_uuid(id);
    let mut members = Vec::new();
    for member in &sample.members {
        let role = MemberRole::parse(&member.role).ok_or_else(|| damaged("a member has an unknown role"))?;
        members.push((user_id(store, &member.username).await?, role));
    }
    let mut time = sample.started_at;
    let mut entries = Vec::new();
    for message in sample.messages {
        time = time.plus_microseconds(message.after_seconds * 1_000_000);
        entries.push(entry(store, owner, time, message).await?);
    }
    let conversation = NewConversation {
        id: Some(id),
        thread_id: sample.thread_id,
        title: sample.title,
        default_model: sample.default_model,
        metadata: sample.metadata.unwrap_or_else(CanonicalJson::object),
        created_at: Some(sample.started_at),
        ..NewConversation::default()
    };
    Ok(Prepared { owner, id, conversation, members, entries })
}

async fn entry(
    store: &Store,
    owner: UserId,
    time: Timestamp,
    sample: SampleMessage,
) -> Result<Entry, CliError> {
    let role = MessageRole::parse(&sample.role).ok_or_else(|| damaged("a message has an unknown role"))?;
    let message = NewMessage {
        model: sample.model,
        token_count: sample.token_count,
        used_documents: sample.used_documents.unwrap_or_else(CanonicalJson::list),
        metadata: sample.metadata.unwrap_or_else(CanonicalJson::object),
        created_at: Some(time),
        ..NewMessage::new(role, sample.content)
    };
    if let Some(response) = sample.response {
        let response = NewModelResponse {
            model_used: response.model_used,
            tokens_prompt: response.tokens_prompt,
            tokens_completion: response.tokens_completion,
            tokens_total: None,
            tokens_cached: response.tokens_cached,
            completion_time_ms: response.completion_time_ms,
            finish_reason: response.finish_reason,
            from_cache: response.from_cache,
        };
        return Ok(Entry::Reply(NewReply { message, response }));
    }
    let by = match &sample.sender {
        Some(sender) => Via::Member(user_id(store, sender).await?),
        None => Via::Owner(owner),
    };
    Ok(Entry::Message(by, message))
}

/// Stores one conversation with everything in it; false if it exists already.
async fn put(tx: &mut WriteTx<'_>, prepared: &Prepared) -> Result<bool, StoreError> {
    let owner = prepared.owner;
    if tx.conversations().get(Via::Owner(owner), prepared.id).await?.is_some() {
        return Ok(false);
    }
    let conversation = tx.conversations().create(owner, &prepared.conversation).await?;
    for (member, role) in &prepared.members {
        tx.members().put(owner, conversation.id, *member, *role).await?;
    }
    for entry in &prepared.entries {
        match entry {
            Entry::Message(by, message) => {
                tx.messages().append(*by, conversation.id, message).await?;
            }
            Entry::Reply(reply) => {
                tx.messages().record_reply(owner, conversation.id, reply).await?;
            }
        }
    }
    Ok(true)
}
