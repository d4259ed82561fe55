//! Reading a conversation along its branches: the path from its root to a message.

use chatstore_model::{
    Branch, ConversationId, Limit, Message, MessageFilter, MessagePosition, Order, Page, UserId,
};
use chatstore_sql::{Family, PathStart, ReadTx, Relative, StoreError, Tx, Via};

use super::messages::Messages;
use super::{access, as_owner_or_member};
use crate::error::{Error, Result};
use crate::page_request::PageRequest;
use crate::user_scope::AsUser;

type StoreResult<T> = std::result::Result<T, StoreError>;

/// What a list of messages has, and where it goes on.
#[derive(Debug, Clone)]
struct View {
    branch: Branch,
    from: Option<MessagePosition>,
    read: Reading,
}

/// How much of a list is read.
#[derive(Debug, Clone)]
enum Reading {
    Page(PageRequest, Limit),
    /// The newest of these messages, this number of them, ascending.
    Newest(MessageFilter, u32),
}

/// Some messages, and the one at the end of their path.
struct Seen {
    page: Page<Message, i64>,
    leaf: Option<i64>,
}

impl Messages<'_> {
    /// A page of a branch, from a position of an earlier page of the same branch or from its beginning. Pages name the
    /// message at the end of the path, so that another head neither skips nor repeats messages.
    ///
    /// # Errors
    /// `NotFound` for the conversation or the message that names the branch; `Invalid` when the limit is not 1 to 200.
    pub async fn page_of_branch(
        self,
        conversation: ConversationId,
        branch: Branch,
        request: PageRequest,
        from: Option<MessagePosition>,
    ) -> Result<Page<Message, MessagePosition>> {
        let limit = request.limit()?;
        let (user, view) = (self.0.user, View { branch, from, read: Reading::Page(request, limit) });
        let read = async move |tx: &mut ReadTx<'_>| look(tx, user, conversation, &view).await;
        let Seen { page, leaf } = self.0.read_list("message_page", read).await?;
        let next = page.next.map(|seq| MessagePosition { seq, leaf });
        Ok(Page { items: page.items, next })
    }

    /// As [`newest`](Messages::newest), of a branch.
    ///
    /// # Errors
    /// `NotFound` for the conversation or the message that names the branch.
    pub async fn newest_of_branch(
        self,
        conversation: ConversationId,
        branch: Branch,
        filter: impl Into<MessageFilter>,
        count: u32,
    ) -> Result<Page<Message, i64>> {
        let (user, read) = (self.0.user, Reading::Newest(filter.into(), count));
        let view = View { branch, from: None, read };
        let read = async move |tx: &mut ReadTx<'_>| look(tx, user, conversation, &view).await;
        Ok(self.0.read_list("message_newest", read).await?.page)
    }
}

impl AsUser<'_> {
    /// What messages of one conversation follow, which the caller has read, as far as they say it; with `siblings` what
    /// all of them follow, and what else follows the same. No statement without it in a conversation that never branched.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn family(&self, messages: &[Message], siblings: bool) -> Result<Family> {
        let is_known = !siblings && messages.iter().all(|message| message.parent_seq.is_none());
        let Some(first) = messages.first().filter(|_| !is_known) else { return Ok(Family::default()) };
        let (owner, conversation) = (first.owner_id, first.conversation_id);
        let messages: Vec<Relative> = messages.iter().map(Relative::from).collect();
        let read = async move |tx: &mut ReadTx<'_>| {
            tx.messages().family(owner, conversation, &messages, siblings).await
        };
        Ok(self.read_list("message_family", read).await?)
    }
}

/// Reads what a user may see of a conversation.
async fn look(tx: &mut ReadTx<'_>, user: UserId, conversation: ConversationId, view: &View) -> Result<Seen> {
    if let Branch::Of(name) = &view.branch {
        let owner = access(tx, user, conversation).await?.owner_id;
        let leaf = match view.from.and_then(|from| from.leaf) {
            Some(leaf) => leaf,
            None => {
                let seq = tx.messages().seq_of(owner, conversation, name).await?;
                seq.ok_or_else(|| Error::not_found("message"))?
            }
        };
        return Ok(view.along(tx, owner, conversation, leaf).await?.unwrap_or_else(Seen::nothing));
    }
    if let Some(leaf) = view.from.and_then(|from| from.leaf)
        && let Some(seen) = view.along(tx, user, conversation, leaf).await?
    {
        return Ok(seen);
    }
    for by in as_owner_or_member(user) {
        let page = view.by_number(tx, by, conversation).await?;
        if let Some(owner) = page.items.first().map(|message| message.owner_id) {
            return match tx.listed_head() {
                Some(head) if view.branch == Branch::Head => {
                    view.of_head(tx, owner, conversation, head).await
                }
                _ => Ok(Seen { page, leaf: None }),
            };
        }
    }
    // An empty page has no row to say the revision. It is read first, and then the page again: what is written later is
    // on the page or makes the revision rise.
    for by in as_owner_or_member(user) {
        let Some((row, _)) = tx.conversations().get(by, conversation).await? else { continue };
        return match row.head_seq {
            Some(head) if view.branch == Branch::Head => {
                view.of_head(tx, row.owner_id, conversation, head).await
            }
            _ => Ok(Seen { page: view.by_number(tx, by, conversation).await?, leaf: None }),
        };
    }
    Err(Error::not_found("conversation"))
}

impl Seen {
    const fn nothing() -> Self {
        Self { page: Page { items: Vec::new(), next: None }, leaf: None }
    }
}

impl View {
    /// Messages by number, as a conversation has them that never branched.
    async fn by_number<M>(
        &self,
        tx: &mut Tx<'_, M>,
        by: Via,
        conversation: ConversationId,
    ) -> StoreResult<Page<Message, i64>> {
        match &self.read {
            Reading::Page(request, limit) => {
                let (filter, limit) = (self.filter(request), *limit);
                match request.center() {
                    Some(seq) => {
                        tx.messages().around(by, conversation, seq, request.named_format(), limit).await
                    }
                    None => tx.messages().page(by, conversation, filter, request.order(), limit).await,
                }
            }
            Reading::Newest(filter, count) => {
                let page = tx.messages().newest(by, conversation, filter.clone(), *count).await?;
                Ok(newest_page(page, *count))
            }
        }
    }

    /// Messages of a conversation that branched. A position of before it did belongs to the messages of then.
    async fn of_head<M>(
        &self,
        tx: &mut Tx<'_, M>,
        owner: UserId,
        conversation: ConversationId,
        head: i64,
    ) -> Result<Seen> {
        let leaf = match (&self.from, &self.read) {
            (Some(MessagePosition { seq, leaf: None }), _) => {
                tx.messages().end_of_line(owner, conversation, *seq).await?.unwrap_or(head)
            }
            (Some(MessagePosition { leaf: Some(leaf), .. }), _) => {
                if let Some(seen) = self.along(tx, owner, conversation, *leaf).await? {
                    return Ok(seen);
                }
                head
            }
            (None, _) => head,
        };
        Ok(self.along(tx, owner, conversation, leaf).await?.unwrap_or_else(Seen::nothing))
    }

    /// Messages of the path to one; none when it is not there.
    async fn along<M>(
        &self,
        tx: &mut Tx<'_, M>,
        owner: UserId,
        conversation: ConversationId,
        leaf: i64,
    ) -> StoreResult<Option<Seen>> {
        let page = match &self.read {
            Reading::Page(request, limit) => match request.center() {
                Some(seq) if self.from.is_none() => {
                    let format = request.named_format();
                    tx.messages().around_on_path(owner, conversation, leaf, seq, format, *limit).await?
                }
                _ => {
                    let near =
                        self.from.map(|from| from.seq).filter(|_| request.order() == Order::Descending);
                    let (start, filter) = (PathStart { leaf, near }, self.filter(request));
                    let mut messages = tx.messages();
                    messages
                        .page_of_path(owner, conversation, start, &filter, request.order(), *limit)
                        .await?
                }
            },
            Reading::Newest(filter, count) => {
                let page = tx.messages().newest_of_path(owner, conversation, leaf, filter, *count).await?;
                page.map(|page| newest_page(page, *count))
            }
        };
        Ok(page.map(|page| Seen { page, leaf: Some(leaf) }))
    }

    /// What is asked for behind the position.
    fn filter(&self, request: &PageRequest) -> MessageFilter {
        let filter = request.filter();
        match self.from {
            None => filter,
            Some(from) => MessageFilter { range: filter.range.beyond(from.seq, request.order()), ..filter },
        }
    }
}

/// A page of the newest messages goes on only if it has fewer than were asked for.
fn newest_page(mut page: Page<Message, i64>, count: u32) -> Page<Message, i64> {
    let is_complete = u32::try_from(page.items.len()).is_ok_and(|found| found == count);
    page.next = page.next.filter(|_| !is_complete);
    page
}

/// The newest messages of the branch that is read and written, newest first.
pub(super) async fn newest_of_head<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    conversation: ConversationId,
    limit: Limit,
) -> Result<Page<Message, i64>> {
    let request = PageRequest::newest(u16::try_from(limit.rows()).unwrap_or(u16::MAX));
    let view = View { branch: Branch::Head, from: None, read: Reading::Page(request, limit) };
    let page = view.by_number(tx, Via::Owner(owner), conversation).await?;
    match tx.listed_head() {
        Some(head) if !page.items.is_empty() => Ok(view.of_head(tx, owner, conversation, head).await?.page),
        _ => Ok(page),
    }
}
