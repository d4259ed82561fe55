//! What chatstore stores, without how: entities, typed ids, times, pages, names and their limits.
//!
//! Nothing here does input or output, reads the clock or draws a random number on its own; the
//! store hands out both ([`Clock`], [`IdSource`]). Limits are those of the HTTP contract. They are
//! checked once, when a request becomes [`Valid`], and every field that breaks one is reported.
//!
//! To add a field to a request: describe it as a value beside its entity, name it in the entity's
//! [`Validate`], and re-export it in [`fields`]. To add a list of words: define it with `keywords!`.
//! To add an entity: write its file here, re-export it below, and go on with
//! `docs/adding-an-entity.md`.

mod api_key;
mod batch;
mod cached_response;
mod conversation;
mod copy;
mod document;
mod external_id;
mod field;
mod id;
mod idempotency;
mod identity;
mod json;
mod key_rights;
mod keyword;
mod log;
mod message;
mod monotonic;
mod name;
mod page;
mod parts;
mod password_hash;
mod response;
mod session;
mod suffix;
mod text;
mod time;
mod tree;
mod usage;
mod user;
mod valid;
mod validate;

pub use api_key::{ApiKey, ApiKeyScope, NewApiKey};
pub use batch::{MessageBatch, OnConflict};
pub use cached_response::{ModelRequest, NewCachedResponse, ResponseScope};
pub use conversation::{
    Access, ArchivedFilter, Conversation, ConversationFilter, ConversationPatch, ConversationRole,
    ConversationSort, Member, MemberRole, Membership, NewConversation,
};
pub use copy::{ConversationCopy, CopiedBranches};
pub use document::{Document, DocumentFilter, DocumentPatch, DocumentReference, NewDocument};
pub use external_id::{ExternalId, Namespace};
pub use field::{
    CountField, CountsField, FlagField, FromText, JsonField, JsonShape, KeywordField, ListField, TextField,
    TextForm, TextsField, VerbatimField,
};
pub use id::{
    ApiKeyId, ConversationId, DocumentId, Id, IdKind, IdSource, InvalidId, LogEventId, MessageId, RandomIds,
    RefreshTokenId, SessionId, UserId,
};
pub use idempotency::{IdempotencyRecord, NewIdempotencyRecord};
pub use identity::{Identity, IdentityName, IdentityState};
pub use json::{
    CanonicalJson, Duplicates, InvalidFilter, InvalidJson, JsonFilter, JsonMatcher, JsonRules, NotJson,
    VerbatimJson, json_on_one_line, push_json_line,
};
pub use key_rights::{KeyRights, RouteGroup};
pub use keyword::Keyword;
pub use log::{LogEvent, LogFilter, LogLevel, LogPosition, NewLogEvent, SERVER_EVENTS};
pub use message::{Message, MessagePatch, MessageRole, NewMessage, UnknownMessageRole};
pub use monotonic::MonotonicIds;
pub use name::{Email, InvalidName, UserName};
pub use page::{
    ApiKeyPosition, ConversationPosition, DocumentPosition, Limit, MemberPosition, MessageFilter,
    MessageRange, MessageSelection, Order, OwnedPosition, PAGE_BYTES, Page, SessionPosition, ThreadPosition,
    UserPosition,
};
pub use password_hash::PasswordHash;
pub use response::{ModelResponse, NewModelResponse, NewReply, Reply, effective_model};
pub use session::{EndReason, NewRefreshToken, NewSession, RefreshToken, Session, SessionState};
pub use suffix::{ExpectedSuffix, MessageReplacement, SuffixReplacement};
pub use text::{PREVIEW_CHARACTERS, preview};
pub use time::{Clock, InvalidTimestamp, SystemClock, Timestamp};
pub use tree::{Branch, HeadRule, MessageName, MessageNameField, MessagePosition, NewHead, Parent};
pub use usage::{Day, OTHER_MODELS, UsageDimension, UsageGroup, UsageGrouping, UsageRow};
pub use user::{ANOTHER_ADDRESS, NewUser, User, UserFilter, UserPatch, UserRole, is_own_name};
pub use valid::{IntoValid, Valid};
pub use validate::{Change, FieldCode, FieldError, Invalid, Validate, Validator, limits};

/// The fields of requests, each described once: checks, messages and the API's description follow from it.
pub mod fields {
    pub use crate::api_key::{EXPIRES_AT, KEY_NAME, KEY_SCOPE};
    pub use crate::cached_response::{CACHED_SECONDS, CACHED_VALUE, REQUEST_MESSAGES, REQUEST_PARAMETERS};
    pub use crate::conversation::{
        ARCHIVED, CONVERSATION_ID, DEFAULT_MODEL, HEAD, LAST_MESSAGE, MEMBER_ROLE, METADATA_PATCH, THREAD_ID,
        THREAD_PREFIX, TITLE, TITLE_PART,
    };
    pub use crate::copy::{BRANCHES, UP_TO};
    pub use crate::document::{DOCUMENT_CONTENT, DOCUMENT_TITLE, DOCUMENTS};
    pub use crate::field::METADATA;
    pub use crate::identity::{ISSUER, SUBJECT};
    pub use crate::key_rights::{
        KEY_ADDRESSES, KEY_NAMESPACE, KEY_PROVISION, KEY_ROUTES, KEY_USERS, READ_ONLY,
    };
    pub use crate::log::{LOG_CONVERSATION_ID, LOG_DATA, LOG_EVENT, LOG_LEVEL, LOG_REQUEST_ID};
    pub use crate::message::{
        CONTENT, CREATED_AT, EXTERNAL_ID, FORMAT, MESSAGE_ID, MESSAGE_ROLE, MESSAGES, MODEL, PARTS,
        TOKEN_COUNT, USED_DOCUMENTS,
    };
    pub use crate::response::{
        COMPLETION_TIME_MS, FINISH_REASON, FROM_CACHE, MODEL_USED, TOKENS_CACHED, TOKENS_COMPLETION,
        TOKENS_PROMPT, TOKENS_TOTAL,
    };
    pub use crate::session::{IP, USER_AGENT};
    pub use crate::suffix::{EXPECTED, EXPECTED_SEQS, REPLACEMENTS};
    pub use crate::tree::PARENT;
    pub use crate::user::{
        EMAIL, EMAIL_VERIFIED, FULL_NAME, IS_ACTIVE, MUST_CHANGE_PASSWORD, PASSWORD, USER_ROLE, USERNAME,
    };
}
