//! Users, members and API keys, as answers hold them.

use chatstore::{ApiKey, ApiKeyId, Member, NewKey, Timestamp, User, UserId, UserRole};
use serde::Serialize;
use utoipa::ToSchema;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User, example = json!({
    "id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "short_id": "1BwtYBRnzP4aQmVxK7sD8c", "username": "ada",
    "email": "ada@example.org", "full_name": "Ada Lovelace", "role": "user", "is_active": true,
    "must_change_password": false, "metadata": {}, "created_at": "2026-03-01T12:00:00.000000Z",
    "updated_at": "2026-03-01T12:00:00.000000Z"
}))]
pub(crate) struct UserObject {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    /// The id for URLs: 22 base-58 characters.
    #[schema(example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    short_id: String,
    /// As typed; unique however it is spelled.
    #[schema(required)]
    username: Option<String>,
    /// As typed; unique however it is spelled.
    #[schema(required)]
    email: Option<String>,
    #[schema(required)]
    full_name: Option<String>,
    #[schema(value_type = UserRoleWord)]
    role: &'static str,
    /// A disabled user is refused everywhere.
    is_active: bool,
    must_change_password: bool,
    /// The application's own data.
    #[schema(value_type = Object)]
    metadata: chatstore::Json,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time")]
    updated_at: Timestamp,
}

impl From<User> for UserObject {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            short_id: user.id.short(),
            username: user.username,
            email: user.email,
            full_name: user.full_name,
            role: user.role.as_str(),
            is_active: user.is_active,
            must_change_password: user.must_change_password,
            metadata: user.metadata,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl UserObject {
    pub(crate) const fn id(&self) -> UserId {
        self.id
    }
}

/// What a user may do beyond his own data.
#[derive(Debug, ToSchema)]
#[schema(as = UserRole, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that the service has")]
pub(crate) enum UserRoleWord {
    Admin,
    User,
}

/// The words for the roles of users, as parameters have them.
pub(crate) const USER_ROLES: [(&str, UserRole); 2] = [("admin", UserRole::Admin), ("user", UserRole::User)];

/// Somebody in a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member, example = json!({
    "user_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "username": "ada", "role": "editor",
    "joined_at": "2026-03-01T12:00:00.000000Z"
}))]
pub(crate) struct MemberObject {
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    #[schema(required)]
    username: Option<String>,
    #[schema(value_type = super::objects::ConversationRoleWord)]
    role: &'static str,
    #[schema(value_type = String, format = "date-time")]
    joined_at: Timestamp,
}

impl From<Member> for MemberObject {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user_id,
            username: member.username,
            role: member.role.as_str(),
            joined_at: member.joined_at,
        }
    }
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey, example = json!({
    "id": "0195f1d4-7b00-7d21-b6f0-3e5a9c8d7f10", "user_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "scope": "user",
    "name": "laptop", "prefix": "cs_1BwtYBRnzP4aQmVxK7sD8c_Zk3vQx", "created_at": "2026-03-01T12:00:00.000000Z",
    "last_used_at": null, "expires_at": null
}))]
pub(crate) struct ApiKeyObject {
    #[schema(value_type = String, format = "uuid")]
    id: ApiKeyId,
    /// Whose key it is; of a service key the administrator that made it.
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    #[schema(value_type = ApiKeyScopeWord)]
    scope: &'static str,
    #[schema(required)]
    name: Option<String>,
    /// The beginning of its text, by which people recognise it.
    #[schema(example = "cs_1Bwn1eJnfNFRdQmPqyq9p2_Zk3vQx")]
    prefix: String,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// To the minute.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = "date-time")]
    expires_at: Option<Timestamp>,
}

impl From<ApiKey> for ApiKeyObject {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            user_id: key.user_id,
            scope: key.scope.as_str(),
            name: key.name,
            prefix: key.prefix,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
        }
    }
}

/// An API key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey, example = json!({
    "id": "0195f1d4-7b00-7d21-b6f0-3e5a9c8d7f10", "user_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "scope": "user",
    "name": "laptop", "prefix": "cs_1BwtYBRnzP4aQmVxK7sD8c_Zk3vQx", "created_at": "2026-03-01T12:00:00.000000Z",
    "last_used_at": null, "expires_at": null,
    "key": "cs_1BwtYBRnzP4aQmVxK7sD8c_Zk3vQx0123456789abcdefghijklmnopqrstuvwxyz"
}))]
pub(crate) struct NewKeyObject {
    #[serde(flatten)]
    key_object: ApiKeyObject,
    /// The key itself, shown this once.
    #[schema(example = "cs_1Bwn1eJnfNFRdQmPqyq9p2_Zk3vQx…")]
    key: String,
}

impl From<NewKey> for NewKeyObject {
    fn from(made: NewKey) -> Self {
        Self { key_object: made.key.into(), key: made.text }
    }
}

impl NewKeyObject {
    pub(crate) const fn id(&self) -> ApiKeyId {
        self.key_object.id
    }
}

/// For whom a key speaks.
#[derive(Debug, ToSchema)]
#[schema(as = ApiKeyScope, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words that the service has")]
pub(crate) enum ApiKeyScopeWord {
    User,
    Service,
}
