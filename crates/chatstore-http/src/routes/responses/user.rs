//! Users, as answers hold them.

use chatstore::{Timestamp, User, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;
use crate::schema::UserRoleWord;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User, example = json!({
    "id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "short_id": "1BwtYBRnzP4aQmVxK7sD8c", "username": "ada",
    "email": "ada@example.org", "email_verified_at": "2026-03-01T12:00:00.000000Z", "full_name": "Ada Lovelace", "role": "user", "is_active": true,
    "must_change_password": false, "metadata": {}, "created_at": "2026-03-01T12:00:00.000000Z",
    "updated_at": "2026-03-01T12:00:00.000000Z", "external_namespace": null, "external_id": null
}))]
pub(crate) struct UserResponse {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    /// The id for URLs: 22 base-58 characters.
    #[schema(example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    short_id: String,
    /// As typed; unique however it is spelled.
    #[schema(required)]
    username: Option<String>,
    /// As typed; at most one user has it verified and one claims it, however it is spelled.
    #[schema(required)]
    email: Option<String>,
    /// Since when it is known that the user has the address; null while the user only claims it.
    #[schema(value_type = Option<String>, format = "date-time", required)]
    email_verified_at: Option<Timestamp>,
    #[schema(required)]
    full_name: Option<String>,
    #[schema(value_type = UserRoleWord)]
    role: &'static str,
    /// A disabled user is refused everywhere.
    is_active: bool,
    must_change_password: bool,
    /// The application's own data.
    #[schema(value_type = Object)]
    metadata: chatstore::CanonicalJson,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
    /// The system that knows the user by an id of its own; a service key sees its own namespace only.
    #[schema(required)]
    external_namespace: Option<String>,
    /// That id, compared exactly.
    #[schema(required)]
    external_id: Option<String>,
}

impl ListItem for UserResponse {
    fn large_bytes(&self) -> usize {
        self.metadata.as_str().len()
    }
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            short_id: user.id.short(),
            username: user.username,
            email: user.email,
            email_verified_at: user.email_verified_at,
            full_name: user.full_name,
            role: user.role.as_str(),
            is_active: user.is_active,
            must_change_password: user.must_change_password,
            metadata: user.metadata,
            created_at: user.created_at,
            updated_at: user.updated_at,
            external_namespace: user.external_namespace,
            external_id: user.external_id,
        }
    }
}
