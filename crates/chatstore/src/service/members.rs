use chatstore_model::{
    ConversationId, ConversationRole, Limit, Member, MemberPosition, MemberRole, Page, UserId,
};
use chatstore_sql::StoreError;

use super::{OWNER_ONLY, Verdict, reach};
use crate::actor::AsUser;
use crate::error::Result;

/// Who is in the conversations of one user.
#[derive(Debug, Clone, Copy)]
pub struct Members<'s>(pub(crate) AsUser<'s>);

impl Members<'_> {
    /// Members of a conversation, its owner first, then by joining.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn page(
        self,
        conversation: ConversationId,
        from: Option<MemberPosition>,
        limit: Limit,
    ) -> Result<Page<Member, MemberPosition>> {
        let user = self.0.user;
        self.0
            .store
            .read("member_page", async move |tx| {
                let access = reach(tx, user, conversation).await?;
                tx.members().page(access.owner_id, conversation, from, limit).await
            })
            .await
    }

    /// Makes somebody a member or changes his role; true when he was none. The built-in user cannot be one.
    ///
    /// # Errors
    /// `NotFound` for conversation or user; `Forbidden` for everybody but the owner; `Conflict`
    /// for the owner himself.
    pub async fn put(
        self,
        conversation: ConversationId,
        member: UserId,
        role: MemberRole,
    ) -> Result<(Member, bool)> {
        let user = self.0.user;
        let put = self
            .0
            .store
            .write("member_put", async move |tx| {
                let access = reach(tx, user, conversation).await?;
                if access.role != ConversationRole::Owner {
                    return Ok(Verdict::Forbidden(OWNER_ONLY));
                }
                let user = tx.users().get(member).await?.filter(|user| user.id != UserId::ANONYMOUS);
                let user = user.ok_or(StoreError::NotFound { entity: "user" })?;
                let (joined_at, added) =
                    tx.members().put(access.owner_id, conversation, member, role).await?;
                let member =
                    Member { user_id: member, username: user.username, role: role.into(), joined_at };
                Ok(Verdict::Done((member, added)))
            })
            .await?;
        put.into_result()
    }

    /// Ends a membership: the owner's decision, or the member's own.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` when a member wants to remove another; `Conflict` for the owner.
    pub async fn remove(self, conversation: ConversationId, member: UserId) -> Result<()> {
        let user = self.0.user;
        let removed = self
            .0
            .store
            .write("member_remove", async move |tx| {
                let access = reach(tx, user, conversation).await?;
                if access.role != ConversationRole::Owner && member != user {
                    return Ok(Verdict::Forbidden(OWNER_ONLY));
                }
                if member == access.owner_id {
                    return Err(StoreError::Refused("the owner cannot leave the conversation"));
                }
                tx.members().remove(access.owner_id, conversation, member).await.map(Verdict::Done)
            })
            .await?;
        removed.into_result()
    }
}
