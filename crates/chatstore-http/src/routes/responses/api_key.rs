//! API keys, as answers hold them.

use chatstore::{ApiKey, ApiKeyId, KeyRights, NewKey, RouteGroup, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;
use crate::schema::{ApiKeyScopeWord, RouteGroupWord};

/// What an API key may do. Null is no limit; a service key that provisions nothing has null there too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyRights)]
pub(crate) struct KeyRightsResponse {
    /// Whether it only reads.
    read_only: bool,
    /// The routes it may use.
    #[schema(required, value_type = Option<Vec<RouteGroupWord>>)]
    routes: Option<Vec<RouteGroup>>,
    /// The users that a service key may act for.
    #[schema(required, value_type = Option<Vec<String>>)]
    users: Option<Vec<UserId>>,
    /// The namespace of external ids whose users a service key may act for.
    #[schema(required)]
    namespace: Option<String>,
    /// The namespace in which a service key names users by `Chatstore-User: ext:ID`, and creates them.
    #[schema(required)]
    provision: Option<String>,
    /// The addresses and networks it may be used from.
    #[schema(required)]
    addresses: Option<Vec<String>>,
}

impl From<KeyRights> for KeyRightsResponse {
    fn from(rights: KeyRights) -> Self {
        let KeyRights { read_only, routes, users, namespace, provision, addresses } = rights;
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        Self {
            read_only,
            routes: some(routes),
            users: some(users),
            namespace: namespace.map(|namespace| namespace.to_string()),
            provision: provision.map(|namespace| namespace.to_string()),
            addresses: some(addresses),
        }
    }
}

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    Some(items).filter(|items| !items.is_empty())
}

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey, example = json!({
    "id": "0195f1d4-7b00-7d21-b6f0-3e5a9c8d7f10", "user_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "scope": "user",
    "name": "laptop", "prefix": "cs_1BwtYBRnzP4aQmVxK7sD8c_Zk3vQx", "created_at": "2026-03-01T12:00:00.000000Z",
    "last_used_at": null, "expires_at": null, "rights": {
        "read_only": true, "routes": null, "users": null, "namespace": null, "provision": null, "addresses": null
    },
    "previous_expires_at": null
}))]
pub(crate) struct ApiKeyResponse {
    #[schema(value_type = String, format = "uuid")]
    id: ApiKeyId,
    /// The key's user; of a service key the administrator who created it.
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
    rights: KeyRightsResponse,
    /// Until when the secret before the last rotation stays good.
    #[schema(required, value_type = Option<String>, format = "date-time")]
    previous_expires_at: Option<Timestamp>,
}

impl ListItem for ApiKeyResponse {}

impl From<ApiKey> for ApiKeyResponse {
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
            rights: key.rights.into(),
            previous_expires_at: key.previous_expires_at,
        }
    }
}

/// An API key that was just created.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey, example = json!({
    "id": "0195f1d4-7b00-7d21-b6f0-3e5a9c8d7f10", "user_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "scope": "user",
    "name": "laptop", "prefix": "cs_1BwtYBRnzP4aQmVxK7sD8c_Zk3vQx", "created_at": "2026-03-01T12:00:00.000000Z",
    "last_used_at": null, "expires_at": null, "rights": {
        "read_only": true, "routes": null, "users": null, "namespace": null, "provision": null, "addresses": null
    },
    "previous_expires_at": null,
    "key": "cs_1BwtYBRnzP4aQmVxK7sD8c_Zk3vQx0123456789abcdefghijklmnopqrstuvwxyz"
}))]
pub(crate) struct NewKeyResponse {
    #[serde(flatten)]
    api_key: ApiKeyResponse,
    /// The key itself, shown only once.
    #[schema(example = "cs_1Bwn1eJnfNFRdQmPqyq9p2_Zk3vQx…")]
    key: String,
}

impl From<NewKey> for NewKeyResponse {
    fn from(new: NewKey) -> Self {
        Self { api_key: new.key.into(), key: new.text }
    }
}
