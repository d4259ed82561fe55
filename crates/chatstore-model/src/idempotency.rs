//! What a request with an idempotency key did, so that its repetition does nothing.

use crate::{CanonicalJson, ConversationId, Timestamp, UserId};

/// A finished request; it is committed together with its effect.
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyRecord {
    /// The owner of what was created.
    pub owner_id: UserId,
    /// Who asked.
    pub caller_id: UserId,
    /// The caller's key.
    pub key: String,
    /// What was asked for: method and path.
    pub operation: String,
    /// SHA-256 of the request.
    pub request_sha256: [u8; 32],
    /// The status that was answered.
    pub status: i64,
    /// The ids that were created.
    pub result: CanonicalJson,
    /// When it happened.
    pub created_at: Timestamp,
    /// Until when the key is remembered.
    pub expires_at: Timestamp,
    /// The conversation of the owner with whose messages the key is forgotten, if it is.
    pub conversation_id: Option<ConversationId>,
}

/// A request that just had its effect.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIdempotencyRecord {
    /// The caller's key.
    pub key: String,
    /// What was asked for: method and path.
    pub operation: String,
    /// SHA-256 of the request.
    pub request_sha256: [u8; 32],
    /// The status that is answered.
    pub status: i64,
    /// The ids that were created.
    pub result: CanonicalJson,
    /// Until when the key is remembered.
    pub expires_at: Timestamp,
    /// The conversation of the owner with whose messages the key is forgotten, if it is.
    pub conversation_id: Option<ConversationId>,
}
