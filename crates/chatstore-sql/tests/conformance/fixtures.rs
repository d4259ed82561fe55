//! Arbitrary users, conversations and messages, and the short ways to read and write them.

use std::time::Duration;

use chatstore_model::{
    Conversation, ConversationId, Email, MemberRole, Message, MessageId, NewConversation, NewMessage,
    NewModelResponse, NewReply, NewUser, Reply, Timestamp, User, UserId, UserName,
};
use chatstore_sql::{ReadTx, Sql, StoreError, Via, WriteTx};
use chatstore_testkit::TestDatabase;
use uuid::Uuid;

/// The model that answers when nothing else is said.
pub const SERVER_MODEL: &str = "echo";

/// Runs one write of a case.
pub async fn write<T, F>(case: &TestDatabase, work: F) -> Result<T, StoreError>
where
    F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    case.database.write("case", work).await
}

/// Runs one read of a case, which must succeed.
pub async fn read<T, F>(case: &TestDatabase, work: F) -> T
where
    F: AsyncFnMut(&mut ReadTx<'_>) -> Result<T, StoreError> + Send + 'static,
    T: Send + 'static,
{
    case.database.read("case", work).await.unwrap()
}

/// Lets a second pass, so that what happens next has a later time.
pub fn later(case: &TestDatabase) -> Timestamp {
    case.clock.advance(Duration::from_secs(1));
    case.database.clock().now()
}

pub fn arbitrary_uuid(case: &TestDatabase) -> Uuid {
    case.database.ids().uuid(case.database.clock().now())
}

pub fn absent_conversation(case: &TestDatabase) -> ConversationId {
    ConversationId::from_uuid(arbitrary_uuid(case))
}

pub fn absent_message(case: &TestDatabase) -> MessageId {
    MessageId::from_uuid(arbitrary_uuid(case))
}

pub fn absent_user(case: &TestDatabase) -> UserId {
    UserId::from_uuid(arbitrary_uuid(case))
}

pub fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

pub fn email(text: &str) -> Email {
    Email::new(text).unwrap()
}

pub async fn create_user(case: &TestDatabase, new: NewUser) -> Result<User, StoreError> {
    write(case, async move |tx| tx.users().create(&new).await).await
}

pub async fn arbitrary_user(case: &TestDatabase) -> UserId {
    let new = NewUser::named(name(&format!("user {}", arbitrary_uuid(case))));
    create_user(case, new).await.unwrap().id
}

pub async fn create_conversation(
    case: &TestDatabase,
    owner: UserId,
    new: NewConversation,
) -> Result<Conversation, StoreError> {
    write(case, async move |tx| tx.conversations().create(owner, &new).await).await
}

pub async fn arbitrary_conversation(case: &TestDatabase, owner: UserId) -> ConversationId {
    create_conversation(case, owner, NewConversation::titled("Trip")).await.unwrap().id
}

/// A user and a conversation of theirs.
pub async fn arbitrary_owner(case: &TestDatabase) -> (UserId, ConversationId) {
    let owner = arbitrary_user(case).await;
    (owner, arbitrary_conversation(case, owner).await)
}

/// The row of a conversation that must be there.
pub async fn conversation_row(case: &TestDatabase, owner: UserId, id: ConversationId) -> Conversation {
    let found = read(case, async move |tx| tx.conversations().get(Via::Owner(owner), id).await).await;
    found.expect("the conversation is there").0
}

pub async fn append(
    case: &TestDatabase,
    by: Via,
    conversation: ConversationId,
    new: NewMessage,
) -> Result<Message, StoreError> {
    let work = async move |tx: &mut WriteTx<'_>| tx.messages().append(by, conversation, &new).await;
    case.database.write_single("append", work).await
}

/// A message of the owner.
pub async fn say(case: &TestDatabase, owner: UserId, conversation: ConversationId, text: &str) -> Message {
    append(case, Via::Owner(owner), conversation, NewMessage::user(text)).await.unwrap()
}

const JOIN: Sql = Sql::same(
    "case.join",
    "insert into conversation_members (owner_id, conversation_id, user_id, role, joined_at) \
     values ($1, $2, $3, $4, $5)",
);

/// A membership of a user who has another conversation with this id, as concurrent requests may leave it.
pub async fn join(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    user: UserId,
    role: MemberRole,
) {
    let joined_at = later(case);
    let work = async move |tx: &mut WriteTx<'_>| {
        let values = [owner.into(), conversation.into(), user.into(), role.as_str().into(), joined_at.into()];
        tx.execute(&JOIN, &values).await
    };
    write(case, work).await.unwrap();
}

/// Every message of a conversation, read the plain way.
pub async fn messages(case: &TestDatabase, owner: UserId, conversation: ConversationId) -> Vec<Message> {
    use chatstore_model::{Limit, MessageRange, Order};
    let mut all: Vec<Message> = Vec::new();
    loop {
        let after = all.last().map_or(0, |message| message.seq);
        let range = MessageRange { after, before: i64::MAX };
        let page = read(case, async move |tx| {
            tx.messages().page(Via::Owner(owner), conversation, range, Order::Ascending, Limit::MAX).await
        })
        .await;
        all.extend(page.items);
        assert!(all.len() <= 10_000, "the list has no end");
        if page.next.is_none() {
            return all;
        }
    }
}

pub async fn reply(
    case: &TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    new: NewReply,
) -> Result<Reply, StoreError> {
    write(case, async move |tx| tx.messages().record_reply(owner, conversation, &new).await).await
}

/// A reply of this model with these counts of tokens.
pub fn reply_of(model: &str, prompt: i64, completion: i64) -> NewReply {
    let response = NewModelResponse {
        model_used: Some(model.to_owned()),
        tokens_prompt: Some(prompt),
        tokens_completion: Some(completion),
        ..NewModelResponse::default()
    };
    NewReply { response, ..NewReply::new("certainly") }
}

/// The names of the fields that a request was refused for.
pub fn invalid_fields<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Vec<String> {
    match result {
        Err(StoreError::Invalid(invalid)) => invalid.0.into_iter().map(|error| error.field).collect(),
        other => panic!("expected an invalid request, got {other:?}"),
    }
}

/// The variant of an error with its data, by which errors of both databases are compared.
pub fn shape(error: &StoreError) -> String {
    match error {
        StoreError::NotFound { entity } => format!("not found: {entity}"),
        StoreError::AlreadyExists { entity, field } => format!("already exists: {entity}.{field}"),
        StoreError::MissingReference { entity } => format!("missing parent: {entity}"),
        StoreError::BeingDeleted(marked) => format!("being deleted: {}", marked.entity()),
        StoreError::Invalid(invalid) => format!("invalid: {invalid}"),
        StoreError::InvalidState(reason) => format!("refused: {reason}"),
        other => format!("unexpected: {other}"),
    }
}

/// The shape of the error of something that must fail.
pub fn failure<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    shape(&result.expect_err("it must fail"))
}
