//! Members of conversations; the owner is one without a row.

use chatstore_model::{ConversationId, Limit, Member, MemberPosition, MemberRole, Page, Timestamp, UserId};
use constcat::concat;

use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::repo::Via;
use crate::repo::live::{live_conversation, live_user};
use crate::schema::{CONVERSATION_MEMBERS, Columns};
use crate::tx::ReadWrite;

const PAGE: Sql = Sql::same(
    "members.page",
    concat!(
        "select user_id, username, member_role, joined_at, rank from ( \
           select c.owner_id as user_id, u.username, 'owner' as member_role, c.created_at as joined_at, \
           cast(0 as bigint) as rank \
           from conversations c join users u on u.id = c.owner_id \
           where c.owner_id = $1 and c.id = $2 and c.deleted_at is null and u.deleted_at is null \
           union all \
           select m.user_id, u.username, m.role, m.joined_at, cast(1 as bigint) \
           from conversation_members m join users u on u.id = m.user_id \
           where m.owner_id = $1 and m.conversation_id = $2 and u.deleted_at is null and ",
        live_conversation!("$1", "$2"),
        " ) as everyone \
         where (rank, joined_at, user_id) > ($3, $4, $5) \
         order by rank, joined_at, user_id limit $6"
    ),
);

const CHANGE: Sql = Sql::same(
    "members.change",
    concat!(
        "update conversation_members set role = $1 \
         where owner_id = $2 and conversation_id = $3 and user_id = $4 and ",
        live_conversation!("$2", "$3"),
        " and ",
        live_user!("$4"),
        " returning joined_at"
    ),
);

/// Whether a user has another conversation with this id than the one of this owner: it could not be told from it.
const HAS_ANOTHER: Sql = Sql::same(
    "members.has_another",
    concat!(
        "select exists (select 1 from conversations c where c.owner_id = $1 and c.id = $2 and c.deleted_at is null and ",
        live_user!("$1"),
        ") or exists (select 1 from conversation_members m where m.user_id = $1 and m.conversation_id = $2 \
         and m.owner_id <> $3 and ",
        live_conversation!("m.owner_id", "$2"),
        " and ",
        live_user!("$1"),
        ")"
    ),
);

const INSERTED: Columns = CONVERSATION_MEMBERS.all_columns();
const ADD: Sql = Sql::same(
    "members.add",
    concat!(
        INSERTED.insert_into().as_str(),
        " select ",
        INSERTED.values(1, &[]).as_str(),
        " from conversations c where c.owner_id = $1 and c.id = $2 and c.deleted_at is null and ",
        live_user!("$1"),
        " and exists (select 1 from users u where u.id = $3 and u.deleted_at is null) \
         on conflict (owner_id, conversation_id, user_id) do nothing returning joined_at"
    ),
);

const REMOVE: Sql = Sql::same(
    "members.remove",
    concat!(
        "delete from conversation_members where owner_id = $1 and conversation_id = $2 and user_id = $3 and ",
        live_conversation!("$1", "$2"),
        " and ",
        live_user!("$3")
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[PAGE, CHANGE, HAS_ANOTHER, ADD, REMOVE];

repository! {
    /// Members of conversations.
    Members, members
}

fn read(row: &Row<'_>) -> Result<(Member, i64), StoreError> {
    let member =
        Member { user_id: row.next()?, username: row.next()?, role: row.next()?, joined_at: row.next()? };
    Ok((member, row.next()?))
}

impl<M> Members<'_, '_, M> {
    /// Members of a conversation, its owner first, then by joining. Empty when there is no such
    /// conversation.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        from: Option<MemberPosition>,
        limit: Limit,
    ) -> Result<Page<Member, MemberPosition>, StoreError> {
        let from = from.unwrap_or(MemberPosition::START);
        let values = [
            owner.into(),
            conversation.into(),
            from.rank.into(),
            from.joined_at.into(),
            from.user_id.into(),
            limit.with_lookahead().into(),
        ];
        let rows = self.0.executor.query_page(&PAGE, &values, limit, read).await?;
        let page = rows.into_page(|(member, rank)| MemberPosition {
            rank: *rank,
            joined_at: member.joined_at,
            user_id: member.user_id.uuid(),
        });
        Ok(Page { items: page.items.into_iter().map(|(member, _)| member).collect(), next: page.next })
    }
}

impl Members<'_, '_, ReadWrite> {
    /// Adds a member or changes the role of one; true when it was added.
    ///
    /// # Errors
    /// [`StoreError::MissingReference`] when there is no such user or conversation;
    /// [`StoreError::InvalidState`] for the owner, who is a member already, and for a user who owns another conversation with
    /// this id, or is a member of one.
    pub async fn put(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        user: UserId,
        role: MemberRole,
    ) -> Result<(Timestamp, bool), StoreError> {
        self.put_since(owner, conversation, user, role, None).await
    }

    /// The same of a member who joined at this time, or now.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_since(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        user: UserId,
        role: MemberRole,
        joined_at: Option<Timestamp>,
    ) -> Result<(Timestamp, bool), StoreError> {
        if owner == user {
            return Err(StoreError::InvalidState("the owner is a member by owning the conversation"));
        }
        let values = [role.as_str().into(), owner.into(), conversation.into(), user.into()];
        let changed = self.0.executor.query_changed(&CHANGE, &values, |row| row.next()).await?;
        if let Some(joined_at) = changed {
            return Ok((joined_at, false));
        }
        let values = [user.into(), conversation.into(), owner.into()];
        if self.0.executor.query_one(&HAS_ANOTHER, &values, |row| row.next()).await? {
            return Err(StoreError::InvalidState("the user has another conversation with this id"));
        }
        let joined_at = joined_at.unwrap_or_else(|| self.0.now());
        let values: [_; INSERTED.count()] =
            [owner.into(), conversation.into(), user.into(), role.as_str().into(), joined_at.into()];
        let added = self.0.executor.query_changed(&ADD, &values, |row| row.next()).await?;
        match added {
            Some(joined_at) => Ok((joined_at, true)),
            None => self.refuse_missing(owner, conversation, user).await,
        }
    }

    /// Why a member could not be added.
    async fn refuse_missing<T>(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<T, StoreError> {
        let has_conversation = self.0.conversations().get(Via::Owner(owner), conversation).await?.is_some();
        if !has_conversation || self.0.users().get(user).await?.is_none() {
            return Err(StoreError::MissingReference { entity: CONVERSATION_MEMBERS.entity });
        }
        Err(self.0.conflict("the member was added meanwhile"))
    }

    /// Ends a membership, from requests that start after it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user is no member.
    pub async fn remove(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        user: UserId,
    ) -> Result<(), StoreError> {
        match self.0.executor.execute(&REMOVE, &[owner.into(), conversation.into(), user.into()]).await? {
            0 => Err(StoreError::NotFound { entity: CONVERSATION_MEMBERS.entity }),
            _ => Ok(()),
        }
    }
}
