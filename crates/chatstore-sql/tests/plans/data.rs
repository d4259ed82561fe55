//! Enough rows for a planner to choose between ways.

use chatstore_model::{
    ApiKeyScope, CanonicalJson, ConversationPatch, IdentityName, LogLevel, MemberRole, NewApiKey,
    NewConversation, NewDocument, NewIdempotencyRecord, NewLogEvent, NewMessage, NewRefreshToken, NewSession,
    NewUser, SessionId, Timestamp, UserId, UserName,
};
use chatstore_sql::{Database, LogActor, StoreError, WriteTx};

use chatstore_model::NewReply;
use uuid::Uuid;

const OWNERS: usize = 20;
const USERS: usize = 1_000;
const CONVERSATIONS: usize = 150;
const TALKATIVE: usize = 3;
const MESSAGES: usize = 100;
const OTHERS: u8 = 100;
const DOCUMENTS: usize = 150;
const EVENTS: usize = 200;

/// 1,000 users, 20 of whom have 150 conversations each, a third of them archived; 3,000 memberships, 8,000 messages, 2,000
/// responses, 3,000 documents, 4,000 events, API keys and idempotency keys.
pub async fn load(database: &Database) {
    let users = database.write("users", async |tx| {
        let mut users = Vec::new();
        for number in 0..USERS {
            let new = NewUser::named(UserName::new(format!("user {number}")).unwrap());
            let user = tx.users().create(&new).await?.id;
            let (issuer, subject) = ("https://id.example.org".to_owned(), number.to_string());
            tx.identities().link(user, &IdentityName { issuer, subject }).await?;
            users.push(user);
        }
        Ok::<_, StoreError>(users)
    });
    let users = users.await.unwrap();
    for number in 0..OWNERS {
        let (owner, member) = (users[number], users[number + 1]);
        let load = async move |tx: &mut WriteTx<'_>| {
            conversations(tx, owner, member).await?;
            documents(tx, owner).await?;
            logs(tx, owner).await?;
            others(tx, owner).await
        };
        database.write("load", load).await.unwrap();
    }
}

async fn conversations(tx: &mut WriteTx<'_>, owner: UserId, member: UserId) -> Result<(), StoreError> {
    for place in 0..CONVERSATIONS {
        let thread = NewConversation::thread(place.to_string());
        let conversation = tx.conversations().create(owner, &thread).await?.id;
        tx.members().put(owner, conversation, member, MemberRole::Editor).await?;
        if place < TALKATIVE {
            let new: Vec<NewMessage> =
                (0..MESSAGES).map(|number| NewMessage::user(number.to_string())).collect();
            let senders = [Some(owner), Some(member)].repeat(MESSAGES / 2);
            tx.messages().append_many(owner, conversation, &senders, &new).await?;
        }
        if place % 3 == 2 {
            let patch = ConversationPatch { archived: Some(true), ..ConversationPatch::default() };
            tx.conversations().update(owner, conversation, &patch).await?;
        }
        if place == 0 {
            for _ in 0..OTHERS {
                tx.messages().record_reply(owner, conversation, &NewReply::new("hi")).await?;
            }
        }
    }
    Ok(())
}

async fn documents(tx: &mut WriteTx<'_>, owner: UserId) -> Result<(), StoreError> {
    let content = |number: usize| CanonicalJson::new(serde_json::json!({ "number": number })).unwrap();
    let new: Vec<NewDocument> = (0..DOCUMENTS).map(|number| NewDocument::new(content(number))).collect();
    tx.documents().create_many(owner, new.as_slice()).await.map(drop)
}

async fn logs(tx: &mut WriteTx<'_>, owner: UserId) -> Result<(), StoreError> {
    for number in 0..EVENTS {
        let level = if number % 20 == 0 { LogLevel::Error } else { LogLevel::Info };
        let new = NewLogEvent::new(format!("event-{}", number % 10)).at_level(level);
        tx.logs().append(owner, LogActor::default(), &new).await?;
    }
    Ok(())
}

async fn others(tx: &mut WriteTx<'_>, owner: UserId) -> Result<(), StoreError> {
    for number in 0..OTHERS {
        let key = NewApiKey {
            scope: ApiKeyScope::User,
            name: None,
            prefix: "cs_".to_owned(),
            key_hash: [number; 32],
            expires_at: None,
            rights: chatstore_model::KeyRights::default(),
        };
        tx.api_keys().create(owner, &key).await?;
        let new = NewSession {
            id: SessionId::from_uuid(Uuid::from_u128(u128::from(number) + 1)),
            access_jti: Uuid::from_u128(u128::from(number) + 1),
            user_agent: None,
            ip: None,
            expires_at: Timestamp::MAX,
        };
        let token = NewRefreshToken { token_hash: [number; 32], expires_at: Timestamp::MAX };
        tx.sessions().begin(owner, &new, &token).await?;
        let record = NewIdempotencyRecord {
            key: number.to_string(),
            operation: "POST".to_owned(),
            request_sha256: [0; 32],
            status: 201,
            result: CanonicalJson::object(),
            expires_at: Timestamp::MAX,
            conversation_id: None,
        };
        tx.idempotency_keys().record(owner, owner, &record).await?;
    }
    Ok(())
}
