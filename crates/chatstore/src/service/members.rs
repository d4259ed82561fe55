use chatstore_model::{
    ConversationId, ConversationRole, Limit, Member, MemberPosition, MemberRole, Page, UserId,
};
use chatstore_sql::{ReadTx, WriteTx};

use super::{OWNER_ONLY, access, access_as_owner};
use crate::error::{Error, Result};
use crate::security_event::SecurityEvent;
use crate::user_scope::AsUser;

/// Who is in the conversations of one user.
#[derive(Debug, Clone, Copy)]
pub struct Members<'s>(pub(crate) AsUser<'s>);

impl<'s> AsUser<'s> {
    /// Who is in the user's conversations.
    #[must_use]
    pub const fn members(&self) -> Members<'s> {
        Members(*self)
    }
}

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
        let page = async move |tx: &mut ReadTx<'_>| {
            let access = access(tx, user, conversation).await?;
            Ok(tx.members().page(access.owner_id, conversation, from, limit).await?)
        };
        self.0.read_list("member_page", page).await
    }

    /// Makes a user a member, or changes a member's role; true for a new member. The built-in user cannot be
    /// one.
    ///
    /// # Errors
    /// `NotFound` for conversation or user; `Forbidden` for all but the owner; `Conflict`
    /// for the owner as the member, and for a user who has another conversation with this id.
    pub async fn put(
        self,
        conversation: ConversationId,
        member: UserId,
        role: MemberRole,
    ) -> Result<(Member, bool)> {
        let user = self.0.user;
        let put = async move |tx: &mut WriteTx<'_>| {
            access_as_owner(tx, user, conversation).await?;
            let found = tx.users().get(member).await?.filter(|found| found.id != UserId::ANONYMOUS);
            let found = found.ok_or_else(|| Error::not_found("user"))?;
            let (joined_at, added) = tx.members().put(user, conversation, member, role).await?;
            let member = Member { user_id: member, username: found.username, role: role.into(), joined_at };
            Ok((member, added))
        };
        let written: Result<(Member, bool)> = self.0.write("member_put", put).await;
        let (put, added) = written?;
        let event = if added { SecurityEvent::MEMBER_ADDED } else { SecurityEvent::MEMBER_CHANGED };
        event.conversation(conversation).changed(&["role"]).note(self.0.store, Some(member));
        Ok((put, added))
    }

    /// Ends a membership: the owner's decision, or the member's own.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` when a member wants to remove another; `Conflict` for the owner.
    pub async fn remove(self, conversation: ConversationId, member: UserId) -> Result<()> {
        let user = self.0.user;
        let remove = async move |tx: &mut WriteTx<'_>| {
            let access = access(tx, user, conversation).await?;
            if access.role != ConversationRole::Owner && member != user {
                return Err(Error::forbidden(OWNER_ONLY));
            }
            if member == access.owner_id {
                return Err(Error::conflict("the owner cannot leave the conversation"));
            }
            Ok(tx.members().remove(access.owner_id, conversation, member).await?)
        };
        let removed: Result<()> = self.0.write("member_remove", remove).await;
        removed?;
        SecurityEvent::MEMBER_REMOVED.conversation(conversation).note(self.0.store, Some(member));
        Ok(())
    }
}
