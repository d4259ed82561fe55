//! Where a conversation is, or goes.

use chatstore_model::{Conversation, ConversationId, UserId};
use chatstore_sql::{By, StoreError, Tx};

use super::{Changes, PieceOutcome};
use crate::sqlalchemy::Reported;
use crate::sqlalchemy::added::Unwritten;
use crate::sqlalchemy::plan::{Owner, PlannedConversation, says_the_same};
use crate::sqlalchemy::users::{UserOutcome, decide_user};

/// Whose conversation it is or becomes.
pub(super) async fn decide_owner<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    planned: &PlannedConversation,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Result<UserId, StoreError> {
    let user = match &planned.owner {
        Owner::Known(id) => return Ok(*id),
        Owner::Addressed(user) => user,
    };
    let mut reported = Vec::new();
    let owner = match decide_user(tx, unwritten, user, &mut reported).await? {
        UserOutcome::Present => return Ok(user.id),
        UserOutcome::Matched(id) => return Ok(id),
        UserOutcome::Add(_) if user.new.email.is_none() => UserId::ANONYMOUS,
        UserOutcome::Add(new) => {
            changes.user = Some(new);
            outcome.reported.append(&mut reported);
            user.id
        }
    };
    let done = if owner == user.id { "the user is made" } else { "it belongs to anonymous" };
    outcome.missing_owner = Some(Reported {
        table: "conversations",
        key: Some(planned.key.clone()),
        column: Some("user_email".to_owned()),
        problem: format!("there is no user {:?}", user.key),
        done: done.to_owned(),
        left_out: false,
    });
    Ok(owner)
}

/// Where a conversation is or goes; `None` when it is left out.
pub(super) async fn decide_conversation<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    planned: &PlannedConversation,
    owner: UserId,
    outcome: &mut PieceOutcome,
    changes: &mut Changes,
) -> Result<Option<(UserId, ConversationId)>, StoreError> {
    let mut new = planned.new.clone();
    let mut reported = Vec::new();
    let mut note = |column: &str, problem: String, done: &str, left_out: bool| {
        reported.push(Reported {
            table: "conversations",
            key: Some(planned.key.clone()),
            column: Some(column.to_owned()),
            problem,
            done: done.to_owned(),
            left_out,
        });
    };
    for id in [planned.id, planned.derived] {
        let there = find(tx, owner, id).await?;
        let is_twin = match (&there, unwritten.conversation(owner, id)) {
            (Some(there), _) => id == planned.id && planned.is_anothers(&there.metadata),
            (None, Some(key)) => id == planned.id && *key != planned.key,
            (None, None) => false,
        };
        if is_twin {
            let problem = format!("another conversation of theirs has the UUID {id}");
            note("uuid", problem, "it has an id made from its key; the UUID is in metadata.source", false);
            new.id = Some(planned.derived);
            continue;
        }
        if there.as_ref().is_some_and(|there| !says_the_same(there, &new)) {
            outcome.reported.push(changed(planned));
        }
        if there.is_some() || unwritten.conversation(owner, id).is_some() {
            outcome.conversation.unchanged += 1;
            return Ok(Some((owner, id)));
        }
        // Somebody may have taken over a visitor's conversation.
        if id == planned.id
            && id != planned.derived
            && owner != UserId::ANONYMOUS
            && let Some(there) = find(tx, UserId::ANONYMOUS, id).await?
            && !planned.is_anothers(&there.metadata)
        {
            let problem = "it was imported before it was this user's".to_owned();
            note("user_id", problem, "it was left with anonymous", false);
            outcome.reported.append(&mut reported);
            outcome.conversation.unchanged += 1;
            return Ok(Some((UserId::ANONYMOUS, id)));
        }
        break;
    }
    if let Some(thread_id) = &new.thread_id
        && let Some(there) = tx.conversations().find_by_thread(owner, thread_id).await?
    {
        let problem = format!("a conversation with the thread_id {thread_id:?} is there already");
        if !planned.is_thread {
            note("uuid", problem, "it has no thread_id; the text is in metadata.source", false);
            new.thread_id = None;
        } else if says_the_same(&there, &new) {
            outcome.conversation.unchanged += 1;
            return Ok(Some((owner, there.id)));
        } else {
            note("thread_id", problem, "it was left as it is", true);
            outcome.conversation.left_out += 1;
            outcome.reported.append(&mut reported);
            return Ok(None);
        }
    }
    outcome.reported.extend(outcome.missing_owner.take());
    outcome.reported.append(&mut reported);
    let id = new.id.unwrap_or(planned.derived);
    outcome.conversation.added += 1;
    unwritten.now.conversations.insert((owner, id), planned.key.clone());
    changes.conversation = Some(new);
    Ok(Some((owner, id)))
}

async fn find<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    id: ConversationId,
) -> Result<Option<Conversation>, StoreError> {
    let found = tx.conversations().get(By::Owner(owner), id).await?;
    Ok(found.map(|(conversation, _)| conversation))
}

fn changed(planned: &PlannedConversation) -> Reported {
    Reported {
        table: "conversations",
        key: Some(planned.key.clone()),
        column: None,
        problem: "it was changed, here or there, since it was imported".to_owned(),
        done: "it was left as it is here".to_owned(),
        left_out: false,
    }
}
