//! All conversations of a list as lines of JSON.

use axum::response::Response;
use chatstore::{
    Conversation, ConversationFilter, ConversationList, ConversationRole, ConversationSort, Limit, Order,
    OwnedPosition, Owners, PAGE_BYTES, Store, ThreadPosition, Timestamp, UserId, Uuid, push_json_line,
};
use serde::Serialize;

use crate::answer::{self, EndLine, LinesError, WriteLines};
use crate::error::Problem;
use crate::routes::responses::ConversationResponse;

/// What the answer holds at a time beside its first piece: a page of conversations and its lines, in bytes.
const HELD_BYTES: usize = 2 * PAGE_BYTES;

/// A list, and from where on it is read next.
pub(super) enum Source {
    /// The conversations that a user can reach.
    Reachable { user: UserId, list: ConversationList },
    /// A user's own ones whose thread ids begin with a text.
    Threads { user: UserId, prefix: String, filter: ConversationFilter, from: Option<ThreadPosition> },
    /// Those of all users.
    All { owners: Owners, prefix: Option<String>, filter: ConversationFilter, from: Option<OwnedPosition> },
}

/// The answer with the whole list.
pub(super) async fn all(store: Store, source: Source) -> Result<Response, Problem> {
    answer::lines(ConversationLines { store, source, last: None, count: 0 }, HELD_BYTES).await
}

struct ConversationLines {
    store: Store,
    source: Source,
    /// The last conversation of an ascending list when the answer began: those that were used since then follow it.
    last: Option<(Timestamp, Uuid)>,
    count: u64,
}

impl WriteLines for ConversationLines {
    async fn write_next(&mut self, text: &mut Vec<u8>) -> Result<bool, LinesError> {
        let more_follow = match &mut self.source {
            Source::Reachable { user, list } => {
                let conversations = self.store.as_user(*user).conversations();
                let page = conversations.page(list.clone()).await?;
                (list.from, list.offset) = (page.next, 0);
                if self.last.is_none() && list.order == Order::Ascending && page.next.is_some() {
                    self.last = newest(&self.store, *user, list).await?;
                }
                let (sort, last) = (list.sort, self.last);
                let is_in = |found: &Conversation| last.is_none_or(|last| place(found, sort) <= last);
                let rows = page.items.len();
                let found = page.items.into_iter().filter(|(found, _)| is_in(found));
                let written = write(text, found.map(|(found, role)| of_role(found, role)))?;
                self.count += written;
                list.from.is_some() && written == rows as u64
            }
            Source::Threads { user, prefix, filter, from } => {
                let conversations = self.store.as_user(*user).conversations();
                let page =
                    conversations.page_of_threads(prefix, filter.clone(), from.take(), Limit::MAX).await?;
                *from = page.next;
                self.count += write(text, page.items.into_iter().map(|(found, role)| of_role(found, role)))?;
                from.is_some()
            }
            Source::All { owners, prefix, filter, from } => {
                let all = self.store.all_conversations();
                let page = all.page(*owners, prefix.as_deref(), filter.clone(), *from, Limit::MAX).await?;
                *from = page.next;
                self.count += write(text, page.items.into_iter().map(ConversationResponse::of_any))?;
                from.is_some()
            }
        };
        if !more_follow {
            push_json_line(text, &EndLine { end: ConversationsEnd { count: self.count } })?;
        }
        Ok(more_follow)
    }
}

/// How many conversations there were before the last line.
#[derive(Serialize)]
struct ConversationsEnd {
    count: u64,
}

fn of_role(conversation: Conversation, role: ConversationRole) -> ConversationResponse {
    ConversationResponse::new(conversation, role)
}

/// How many lines were written.
fn write(
    text: &mut Vec<u8>,
    conversations: impl Iterator<Item = ConversationResponse>,
) -> Result<u64, LinesError> {
    let mut count = 0;
    for conversation in conversations {
        push_json_line(text, &conversation)?;
        count += 1;
    }
    Ok(count)
}

/// Where an ascending list ends now.
async fn newest(
    store: &Store,
    user: UserId,
    list: &ConversationList,
) -> Result<Option<(Timestamp, Uuid)>, LinesError> {
    let newest = ConversationList { order: Order::Descending, from: None, limit: Limit::ONE, ..list.clone() };
    let page = store.as_user(user).conversations().page(newest).await?;
    Ok(page.items.first().map(|(found, _)| place(found, list.sort)))
}

/// Where a conversation is in a list.
fn place(conversation: &Conversation, sort: ConversationSort) -> (Timestamp, Uuid) {
    let at = match sort {
        ConversationSort::Activity => conversation.updated_at,
        ConversationSort::Creation => conversation.created_at,
    };
    (at, conversation.id.uuid())
}
