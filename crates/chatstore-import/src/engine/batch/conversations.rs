//! Who owns a conversation, and where it is or goes.

use std::collections::HashSet;

use chatstore_model::{CanonicalJson, Conversation, ConversationId, Limit, NewConversation, NewUser, UserId};
use chatstore_sql::{Marked, Tx, Via};
use serde_json::Value;

use super::users::{UserDecision, decide_user, find_same};
use super::{BatchState, DELETED, LEFT_DELETED, Mode, StoreResult, Write};
use crate::plan::{PlannedConversation, PlannedOwner, PlannedUser, UserIdentity, is_unchanged};
use crate::report::Issue;

/// Where a conversation is, or goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) owner: UserId,
    pub(super) id: ConversationId,
}

/// What is to become of a conversation.
enum ConversationDecision {
    /// It is stored already, there.
    Present(Place, Option<Issue>),
    Add(Box<NewConversation>, Vec<Issue>),
    LeaveOut(Issue),
}

/// Finds a conversation or adds it, with its owner if they are missing. Where it is, unless it is left out, and
/// whether it was added.
pub(super) async fn put_conversation<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    planned: &PlannedConversation,
) -> StoreResult<(Option<Place>, bool)> {
    let (owner, new_user, owner_issues) = find_owner(tx, state, planned).await?;
    let (place, new) = match decide_conversation(tx, state, planned, owner).await? {
        ConversationDecision::Present(place, issue) => {
            state.report.keep("conversations");
            state.report.issues.extend(issue);
            put_members(tx, state, planned, place).await?;
            (place, None)
        }
        ConversationDecision::Add(new, issues) => {
            state.report.add("conversations", 1);
            state.report.issues.extend([planned.issues.clone(), owner_issues, issues].concat());
            (Place { owner, id: new.id.unwrap_or(planned.id) }, Some(new))
        }
        ConversationDecision::LeaveOut(issue) => {
            state.report.issues.push(issue);
            return Ok((None, false));
        }
    };
    if let Some(user) = &new_user {
        M::apply(tx, state, Write::User(user)).await?;
    }
    if let Some(new) = &new {
        M::apply(tx, state, Write::Conversation(owner, new, &planned.key)).await?;
        for member in planned.members.iter().filter(|member| **member != owner) {
            M::apply(tx, state, Write::Member(owner, place.id, *member, new.created_at)).await?;
        }
    }
    Ok((Some(place), new.is_some()))
}

/// Adds members whom a stored conversation does not have, or reports them: they joined in the source since the last
/// import, or were removed here.
async fn put_members<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    planned: &PlannedConversation,
    place: Place,
) -> StoreResult<()> {
    if planned.members.is_empty() {
        return Ok(());
    }
    let mut present = HashSet::from([place.owner]);
    let mut from = None;
    loop {
        let page = tx.members().page(place.owner, place.id, from, Limit::MAX).await?;
        present.extend(page.items.iter().map(|member| member.user_id));
        if page.next.is_none() {
            break;
        }
        from = page.next;
    }
    for member in planned.members.iter().filter(|member| !present.contains(member)) {
        let problem = format!("user {member} is a member in the source, and not here");
        let done = if state.restores {
            M::apply(tx, state, Write::Member(place.owner, place.id, *member, planned.new.created_at))
                .await?;
            "added"
        } else {
            "left out, as a member who was removed here would be; --restore-deleted adds the user"
        };
        state.report.issues.push(Issue::of_row("conversations", &planned.key, problem, done));
    }
    Ok(())
}

/// The owner of a conversation, the user to create when there is none, and what to report when the conversation
/// is added.
async fn find_owner<M>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    planned: &PlannedConversation,
) -> StoreResult<(UserId, Option<Box<NewUser>>, Vec<Issue>)> {
    let column = match &planned.owner {
        PlannedOwner::Described(user) if user.identified_by == UserIdentity::Email => "user_email",
        _ => "user_id",
    };
    find_described(tx, state, &planned.owner, |problem, done| issue(planned, column, problem, done)).await
}

/// The owner of a row, the user to create when there is none, and what to report then; `issue` is one of the row.
pub(crate) async fn find_described<M>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: &PlannedOwner,
    issue: impl Fn(String, &str) -> Issue,
) -> StoreResult<(UserId, Option<Box<NewUser>>, Vec<Issue>)> {
    let user = match owner {
        PlannedOwner::Known(id) => return Ok((*id, None, Vec::new())),
        PlannedOwner::Described(user) => user,
    };
    if let Some(id) = state.found.stored_as(user.id) {
        return Ok((id, None, Vec::new()));
    }
    let missing = |done: &str| issue(format!("there is no user {:?}", user.key), done);
    Ok(match decide_user(tx, state, user).await? {
        UserDecision::Present(id) | UserDecision::Same { id, .. } => {
            state.found.note_stored_as(user.id, id);
            (id, None, Vec::new())
        }
        UserDecision::Deleted => (user.id, None, Vec::new()),
        // An address that is none has no user of its own.
        UserDecision::Add(..) if user.new.email.is_none() && user.new.username.is_none() => {
            (UserId::ANONYMOUS, None, vec![missing("it belongs to anonymous")])
        }
        UserDecision::Add(new, mut issues) => {
            issues.push(missing("the user is created"));
            (user.id, Some(new), issues)
        }
    })
}

/// The id that the store has, or will have, for the owner of rows, after its users were looked up.
pub(crate) async fn look_up_described<M>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    user: &PlannedUser,
) -> StoreResult<UserId> {
    let is_known =
        state.found.user(user.id) == Some(true) || state.has(|added| added.users.contains(&user.id));
    if is_known || state.is_deleted(Marked::User(user.id)) {
        return Ok(user.id);
    }
    match find_same(tx, state, user).await? {
        Some(UserDecision::Present(id) | UserDecision::Same { id, .. }) => {
            state.found.note_stored_as(user.id, id);
            Ok(id)
        }
        _ if user.new.email.is_none() && user.new.username.is_none() => Ok(UserId::ANONYMOUS),
        _ => Ok(user.id),
    }
}

/// Decides about a conversation. What was changed here since it was imported stays as it is.
async fn decide_conversation<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    planned: &PlannedConversation,
    owner: UserId,
) -> StoreResult<ConversationDecision> {
    let mut id = planned.id;
    let mut found = find_conversation(tx, state, owner, id).await?;
    let is_uuid_taken = match (&found, state.conversation_key(owner, id)) {
        (Some(found), _) => planned.is_another_row(&found.metadata),
        (None, key) => key.is_some_and(|key| key != planned.key),
    };
    if is_uuid_taken {
        id = planned.fallback_id;
        found = find_conversation(tx, state, owner, id).await?;
    }
    if state.is_deleted(Marked::Conversation { owner, id }) || state.is_deleted(Marked::User(owner)) {
        let left_out = Issue::of_row("conversations", &planned.key, DELETED, LEFT_DELETED);
        return Ok(ConversationDecision::LeaveOut(left_out.leaving_out()));
    }
    if found.is_some() || state.conversation_key(owner, id).is_some() {
        let changed = found.filter(|found| !is_unchanged(found, &planned.new)).map(|_| changed(planned));
        return Ok(ConversationDecision::Present(Place { owner, id }, changed));
    }
    let mut issues = Vec::new();
    if is_uuid_taken {
        let problem = format!("another conversation has the UUID {}", planned.id);
        let done = "its id is derived from its key; the UUID is in metadata.source";
        issues.push(issue(planned, "uuid", problem, done));
    } else if planned.id != planned.fallback_id
        && owner != UserId::ANONYMOUS
        && let Some(anonymous) = find_conversation(tx, state, UserId::ANONYMOUS, id).await?
        && !planned.is_another_row(&anonymous.metadata)
    {
        let problem = "it was imported before it belonged to this user".to_owned();
        let left = issue(planned, "user_id", problem, "it stays with anonymous");
        return Ok(ConversationDecision::Present(Place { owner: UserId::ANONYMOUS, id }, Some(left)));
    }
    let mut new = Box::new(NewConversation { id: Some(id), ..planned.new.clone() });
    if let Some(thread_id) = &planned.new.thread_id
        && let Some(other) = find_thread(tx, state, owner, thread_id).await?
    {
        let is_of_another_row = has_another_address(&other, &new);
        if planned.is_thread && !is_of_another_row && is_unchanged(&other, &new) {
            return Ok(ConversationDecision::Present(Place { owner, id: other.id }, None));
        }
        let problem = format!("a conversation with the thread_id {thread_id:?} already exists");
        if planned.is_thread && !is_of_another_row {
            let left_out = issue(planned, "thread_id", problem, "it was not changed");
            return Ok(ConversationDecision::LeaveOut(left_out.leaving_out()));
        }
        new.thread_id = None;
        let done = "imported without a thread_id; the text is in metadata.source";
        let column = if planned.is_thread { "thread_id" } else { "uuid" };
        let issue = issue(planned, column, problem, done);
        issues.push(if is_of_another_row { issue.needing_review() } else { issue });
    }
    Ok(ConversationDecision::Add(new, issues))
}

/// Whether two threads with one id belonged to two spellings of an address, whose users are one here.
fn has_another_address(stored: &Conversation, new: &NewConversation) -> bool {
    let address = |metadata: &CanonicalJson| {
        let value = metadata.to_value();
        value.pointer("/source/user_email").and_then(Value::as_str).map(str::to_owned)
    };
    match (address(&stored.metadata), address(&new.metadata)) {
        (Some(stored), Some(new)) => stored != new,
        _ => false,
    }
}

/// A conversation by its id.
pub(crate) async fn find_conversation<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    id: ConversationId,
) -> StoreResult<Option<Conversation>> {
    if let Some(known) = state.found.conversation(owner, id) {
        return Ok(known.clone());
    }
    M::apply(tx, state, Write::Waiting).await?;
    let found = tx.conversations().get(Via::Owner(owner), id).await?;
    Ok(found.map(|(conversation, _)| conversation))
}

/// A conversation by the id that the application has for it.
pub(crate) async fn find_thread<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    thread_id: &str,
) -> StoreResult<Option<Conversation>> {
    if let Some(known) = state.found.thread(owner, thread_id) {
        return Ok(known.clone());
    }
    M::apply(tx, state, Write::Waiting).await?;
    tx.conversations().find_by_thread(owner, thread_id).await
}

fn issue(planned: &PlannedConversation, column: &str, problem: String, done: &str) -> Issue {
    Issue::of_row("conversations", &planned.key, problem, done).in_column(column)
}

fn changed(planned: &PlannedConversation) -> Issue {
    let problem = "it was changed in the source or in the store since it was imported";
    Issue::of_row("conversations", &planned.key, problem, "the stored one was not changed")
}
