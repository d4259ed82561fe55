//! Who owns a conversation, and where it is or goes.

use chatstore_model::{Conversation, ConversationId, NewConversation, NewUser, UserId};
use chatstore_sql::{Tx, Via};

use super::users::{StoredUser, UserDecision, decide_user};
use super::{BatchState, StoreResult};
use crate::plan::{PlannedConversation, PlannedOwner, PlannedUser, is_unchanged};
use crate::report::Issue;

/// Who owns a conversation.
pub(super) struct OwnerDecision {
    pub(super) owner: UserId,
    /// The owner, when they are to be created.
    pub(super) new_user: Option<Box<NewUser>>,
    /// Reported when the conversation is added.
    pub(super) issues: Vec<Issue>,
}

impl OwnerDecision {
    const fn existing(owner: UserId) -> Self {
        Self { owner, new_user: None, issues: Vec::new() }
    }
}

pub(super) async fn find_owner<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    planned: &PlannedConversation,
) -> StoreResult<OwnerDecision> {
    match &planned.owner {
        PlannedOwner::Known(id) => Ok(OwnerDecision::existing(*id)),
        PlannedOwner::ByEmail(user) => {
            let stored = StoredUser::find(tx, state, user).await?;
            Ok(decide_owner(planned, user, decide_user(user, &stored)?))
        }
    }
}

/// An address that is none has no user of its own: the conversation is anonymous.
fn decide_owner(planned: &PlannedConversation, user: &PlannedUser, decision: UserDecision) -> OwnerDecision {
    let missing = |done: &str| issue(planned, "user_email", format!("there is no user {:?}", user.key), done);
    match decision {
        UserDecision::Present => OwnerDecision::existing(user.id),
        UserDecision::Match(id, _) => OwnerDecision::existing(id),
        UserDecision::Add(..) if user.new.email.is_none() => OwnerDecision {
            issues: vec![missing("it belongs to anonymous")],
            ..OwnerDecision::existing(UserId::ANONYMOUS)
        },
        UserDecision::Add(new, mut issues) => {
            issues.push(missing("the user is created"));
            OwnerDecision { owner: user.id, new_user: Some(new), issues }
        }
    }
}

/// What is stored where a conversation would be.
pub(super) struct StoredConversation {
    /// Whether another row of the source has its UUID.
    is_uuid_taken: bool,
    /// The id that it has therefore.
    id: ConversationId,
    /// What the owner has under this id.
    found: Option<Conversation>,
    /// Whether a dry run would have added it.
    is_pending: bool,
    /// Whether it was imported before it had an owner.
    is_anonymous: bool,
    /// The owner's conversation with its thread id.
    same_thread: Option<Conversation>,
}

impl StoredConversation {
    pub(super) async fn find<M>(
        tx: &mut Tx<'_, M>,
        state: &BatchState,
        planned: &PlannedConversation,
        owner: UserId,
    ) -> StoreResult<Self> {
        let mut id = planned.id;
        let mut found = find(tx, owner, id).await?;
        let is_uuid_taken = match (&found, state.conversation_key(owner, id)) {
            (Some(found), _) => planned.is_another_row(&found.metadata),
            (None, key) => key.is_some_and(|key| key != planned.key),
        };
        if is_uuid_taken {
            id = planned.fallback_id;
            found = find(tx, owner, id).await?;
        }
        let is_pending = state.conversation_key(owner, id).is_some();
        let mut stored =
            Self { is_uuid_taken, id, found, is_pending, is_anonymous: false, same_thread: None };
        if stored.found.is_some() || stored.is_pending {
            return Ok(stored);
        }
        if !is_uuid_taken && planned.id != planned.fallback_id && owner != UserId::ANONYMOUS {
            let anonymous = find(tx, UserId::ANONYMOUS, id).await?;
            stored.is_anonymous = anonymous.is_some_and(|found| !planned.is_another_row(&found.metadata));
        }
        if let (false, Some(thread_id)) = (stored.is_anonymous, &planned.new.thread_id) {
            stored.same_thread = tx.conversations().find_by_thread(owner, thread_id).await?;
        }
        Ok(stored)
    }
}

async fn find<M>(tx: &mut Tx<'_, M>, owner: UserId, id: ConversationId) -> StoreResult<Option<Conversation>> {
    let found = tx.conversations().get(Via::Owner(owner), id).await?;
    Ok(found.map(|(conversation, _)| conversation))
}

/// What is to become of a conversation.
pub(super) enum ConversationDecision {
    /// It is stored already, there.
    Present(UserId, ConversationId, Option<Issue>),
    Add(Box<NewConversation>, Vec<Issue>),
    LeaveOut(Issue),
}

/// Decides about a conversation. What was changed here since it was imported stays as it is.
pub(super) fn decide_conversation(
    planned: &PlannedConversation,
    owner: UserId,
    stored: &StoredConversation,
) -> ConversationDecision {
    if let Some(found) = &stored.found {
        let changed = (!is_unchanged(found, &planned.new)).then(|| changed(planned));
        return ConversationDecision::Present(owner, stored.id, changed);
    }
    if stored.is_pending {
        return ConversationDecision::Present(owner, stored.id, None);
    }
    if stored.is_anonymous {
        let problem = "it was imported before it belonged to this user".to_owned();
        let left = issue(planned, "user_id", problem, "it stays with anonymous");
        return ConversationDecision::Present(UserId::ANONYMOUS, stored.id, Some(left));
    }
    let mut new = Box::new(NewConversation { id: Some(stored.id), ..planned.new.clone() });
    let mut issues = Vec::new();
    if stored.is_uuid_taken {
        let problem = format!("another conversation has the UUID {}", planned.id);
        let done = "its id is derived from its key; the UUID is in metadata.source";
        issues.push(issue(planned, "uuid", problem, done));
    }
    if let Some(other) = &stored.same_thread {
        let thread_id = new.thread_id.take().unwrap_or_default();
        let problem = format!("a conversation with the thread_id {thread_id:?} already exists");
        if planned.is_thread && is_unchanged(other, &new) {
            return ConversationDecision::Present(owner, other.id, None);
        }
        if planned.is_thread {
            let left_out = issue(planned, "thread_id", problem, "it was not changed");
            return ConversationDecision::LeaveOut(left_out.leaving_out());
        }
        issues.push(issue(
            planned,
            "uuid",
            problem,
            "imported without a thread_id; the text is in metadata.source",
        ));
    }
    ConversationDecision::Add(new, issues)
}

fn issue(planned: &PlannedConversation, column: &str, problem: String, done: &str) -> Issue {
    Issue::of_row("conversations", &planned.key, problem, done).in_column(column)
}

fn changed(planned: &PlannedConversation) -> Issue {
    let problem = "it was changed in the source or in the store since it was imported";
    Issue::of_row("conversations", &planned.key, problem, "the stored one was not changed")
}
