//! Reading a conversation along its branches: the path from its root to a message.

use chatstore_model::{
    Branch, ConversationId, Limit, Message, MessageFilter, MessagePosition, Order, Page, UserId,
};
use chatstore_sql::{Family, PathBounds, PathStart, ReadTx, Relative, StoreError, Tx, Via};

use super::messages::Messages;
use super::{access, as_owner_or_member};
use crate::error::{Error, Result};
use crate::page_request::PageRequest;
use crate::user_scope::AsUser;

type StoreResult<T> = std::result::Result<T, StoreError>;

/// What a list of messages has, and where it goes on.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) branch: Branch,
    pub(super) from: Option<MessagePosition>,
    pub(super) read: Reading,
}

/// How much of a list is read.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    Page(PageRequest, Limit),
    /// The newest of these messages, this number of them, ascending.
    Newest(MessageFilter, u32),
    /// Some of these messages, ending with the one that reaches a number of bytes.
    Piece(MessageFilter, Order, (Limit, usize)),
}

/// Some messages, and the one at the end of their path.
pub(super) struct Seen {
    pub(super) page: Page<Message, i64>,
    pub(super) leaf: Option<i64>,
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
        let (limit, is_long) = (request.limit()?, request.filtered().compares());
        let (user, view) = (self.0.user, View { branch, from, read: Reading::Page(request, limit) });
        let read = async move |tx: &mut ReadTx<'_>| look(tx, user, conversation, &view).await;
        let Seen { page, leaf } = match is_long {
            false => self.0.read_list("message_page", read).await?,
            true => self.0.read_long_list("message_page", read).await?,
        };
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
        let filter = filter.into();
        let is_long = filter.compares();
        let (user, read) = (self.0.user, Reading::Newest(filter, count));
        let view = View { branch, from: None, read };
        let read = async move |tx: &mut ReadTx<'_>| look(tx, user, conversation, &view).await;
        let seen = match is_long {
            false => self.0.read_list("message_newest", read).await?,
            true => self.0.read_long_list("message_newest", read).await?,
        };
        Ok(seen.page)
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
pub(super) async fn look(
    tx: &mut ReadTx<'_>,
    user: UserId,
    conversation: ConversationId,
    view: &View,
) -> Result<Seen> {
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
                let (filter, limit) = (self.behind(request.filtered(), request.order()), *limit);
                match request.center() {
                    Some(seq) => tx.messages().around(by, conversation, seq, request.filtered(), limit).await,
                    None => tx.messages().page(by, conversation, filter, request.order(), limit).await,
                }
            }
            Reading::Newest(filter, count) => {
                let page = tx.messages().newest(by, conversation, filter.clone(), *count).await?;
                Ok(newest_page(page, *count))
            }
            Reading::Piece(filter, order, (limit, bytes)) => {
                let filter = self.behind(filter, *order);
                tx.messages().piece(by, conversation, filter, *order, *limit, *bytes).await
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
                    let filter = request.filtered();
                    tx.messages().around_on_path(owner, conversation, leaf, seq, filter, *limit).await?
                }
                _ => {
                    let (filter, order) = (request.filtered(), request.order());
                    self.along_from(tx, (owner, conversation), leaf, filter, order, *limit).await?
                }
            },
            Reading::Piece(filter, order, bounds) => {
                self.along_from(tx, (owner, conversation), leaf, filter, *order, *bounds).await?
            }
            Reading::Newest(filter, count) => {
                let page = tx.messages().newest_of_path(owner, conversation, leaf, filter, *count).await?;
                page.map(|page| newest_page(page, *count))
            }
        };
        Ok(page.map(|page| Seen { page, leaf: Some(leaf) }))
    }

    /// Messages of the path to one from the position on.
    async fn along_from<M>(
        &self,
        tx: &mut Tx<'_, M>,
        (owner, conversation): (UserId, ConversationId),
        leaf: i64,
        filter: &MessageFilter,
        order: Order,
        bounds: impl Into<PathBounds>,
    ) -> StoreResult<Option<Page<Message, i64>>> {
        let near = self.from.map(|from| from.seq).filter(|_| order == Order::Descending);
        let (start, filter) = (PathStart { leaf, near }, self.behind(filter, order));
        tx.messages().page_of_path(owner, conversation, start, &filter, order, bounds).await
    }

    /// What is asked for behind the position.
    fn behind(&self, filter: &MessageFilter, order: Order) -> MessageFilter {
        let range = match self.from {
            None => filter.range,
            Some(from) => filter.range.beyond(from.seq, order),
        };
        MessageFilter { range, ..filter.clone() }
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
    let Seen { page, .. } = of_head(tx, owner, conversation, (request, limit), None).await?;
    Ok(page)
}

/// Some messages of the branch that is read and written, from a position of an earlier call on.
pub(super) async fn page_of_head<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    conversation: ConversationId,
    request: PageRequest,
    from: Option<MessagePosition>,
) -> Result<Page<Message, MessagePosition>> {
    let limit = request.limit()?;
    let Seen { page, leaf } = of_head(tx, owner, conversation, (request, limit), from).await?;
    let next = page.next.map(|seq| MessagePosition { seq, leaf });
    Ok(Page { items: page.items, next })
}

async fn of_head<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    conversation: ConversationId,
    (request, limit): (PageRequest, Limit),
    from: Option<MessagePosition>,
) -> Result<Seen> {
    let view = View { branch: Branch::Head, from, read: Reading::Page(request, limit) };
    if let Some(leaf) = from.and_then(|from| from.leaf)
        && let Some(seen) = view.along(tx, owner, conversation, leaf).await?
    {
        return Ok(seen);
    }
    let page = view.by_number(tx, Via::Owner(owner), conversation).await?;
    match tx.listed_head() {
        Some(head) if !page.items.is_empty() => view.of_head(tx, owner, conversation, head).await,
        _ => Ok(Seen { page, leaf: None }),
    }
}
