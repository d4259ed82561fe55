//! What can be asked of a database, or done to it.

use chatstore_model::{
    ApiKeyId, ConversationFilter, ConversationId, ConversationPatch, Day, DocumentId, DocumentPatch,
    EndReason, Limit, MemberRole, MessageId, MessagePatch, MessageRange, NewApiKey, NewConversation,
    NewDocument, NewIdempotencyRecord, NewLogEvent, NewMessage, NewReply, NewSession, NewUser, Order,
    PasswordHash, SessionId, Timestamp, UserId, UserPatch,
};
use chatstore_sql::{ConversationList, DocumentList, LogActor, LogList, LogOwner, Via};

#[derive(Debug, Clone)]
pub enum Step {
    /// Moves the clocks, forward or back.
    Wait(i64),

    CreateUser(NewUser),
    GetOrCreateUser(String),
    UpdateUser(UserId, UserPatch),
    EraseUser(UserId),
    GetUser(UserId),
    FindUser(String),
    PageUsers(Order, Limit),

    CreateConversation(UserId, NewConversation),
    GetOrCreateThread(UserId, NewConversation),
    UpdateConversation(UserId, ConversationId, ConversationPatch),
    DeleteConversation(UserId, ConversationId),
    GetConversation(Via, ConversationId),
    FindThread(UserId, String),
    Access(UserId, ConversationId),
    /// Page by page to the end.
    ListConversations(UserId, ConversationList),
    CountConversations(UserId, ConversationFilter),

    PutMember(UserId, ConversationId, UserId, MemberRole),
    RemoveMember(UserId, ConversationId, UserId),
    /// Page by page to the end.
    ListMembers(UserId, ConversationId, Limit),

    Append(Via, ConversationId, NewMessage),
    AppendMany(UserId, ConversationId, Vec<Option<UserId>>, Vec<NewMessage>),
    Reply(UserId, ConversationId, NewReply),
    EditMessage(UserId, ConversationId, MessageId, MessagePatch),
    DeleteMessage(UserId, ConversationId, MessageId),
    GetMessage(Via, ConversationId, MessageId),
    FindMessage(Via, ConversationId, i64),
    /// Page by page to the end.
    ListMessages(Via, ConversationId, MessageRange, Order, Limit),
    Around(Via, ConversationId, i64, Limit),
    /// The path to a message, page by page to the end.
    ListPath(UserId, ConversationId, i64, Order, Limit),
    GetResponse(UserId, MessageId),
    Usage(UserId, Day, Day),

    CreateDocument(UserId, NewDocument),
    CreateDocuments(UserId, Vec<NewDocument>),
    UpdateDocument(UserId, DocumentId, DocumentPatch),
    DeleteDocument(UserId, DocumentId),
    GetDocument(UserId, DocumentId),
    /// Page by page to the end, and counted.
    ListDocuments(UserId, DocumentList),
    FindDocuments(UserId, Vec<DocumentId>),

    AppendEvent(UserId, LogActor, NewLogEvent),
    /// About these users, some of whom may be absent, by and for the others, each with the end of its id.
    RecordEvents(Vec<(UserId, u64)>, NewLogEvent),
    /// Page by page to the end.
    ListEvents(LogOwner, LogList),
    PruneEvents(Timestamp),

    CreateKey(UserId, NewApiKey),
    FindKey(UserId, [u8; 32]),
    ListKeys(UserId),
    RevokeKey(UserId, ApiKeyId),
    TouchKey(UserId, ApiKeyId, Timestamp),

    BeginSession(UserId, NewSession),
    /// The session's token with this place in it.
    Rotate(UserId, SessionId, i64),
    EndSession(UserId, SessionId, EndReason),
    EndSessions(UserId, EndReason),
    TouchSession(UserId, SessionId, Timestamp),
    PruneSessions(Timestamp),
    /// What a session, its user and its tokens look like.
    LookAtSession(UserId, SessionId),
    PageSessions(UserId, Limit),
    SetPassword(UserId, PasswordHash),
    FindPassword(UserId),

    Record(UserId, UserId, NewIdempotencyRecord),
    FindRecord(UserId, String),
    PruneRecords(Timestamp),

    /// Several steps in one transaction, the last of which may fail.
    Together(Vec<Self>),
}
