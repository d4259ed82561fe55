//! Members, as answers hold them.

use chatstore::{Member, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::ListItem;
use crate::schema::ConversationRoleWord;

/// A member of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member, example = json!({
    "user_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "username": "ada", "role": "editor",
    "joined_at": "2026-03-01T12:00:00.000000Z"
}))]
pub(crate) struct MemberResponse {
    #[schema(value_type = String, format = "uuid")]
    user_id: UserId,
    #[schema(required)]
    username: Option<String>,
    #[schema(value_type = ConversationRoleWord)]
    role: &'static str,
    #[schema(value_type = String, format = "date-time")]
    joined_at: Timestamp,
}

impl ListItem for MemberResponse {}

impl From<Member> for MemberResponse {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user_id,
            username: member.username,
            role: member.role.as_str(),
            joined_at: member.joined_at,
        }
    }
}
