//! Everything that a user has, piece by piece.

use std::collections::VecDeque;

use chatstore_model::{
    ApiKey, Conversation, ConversationId, ConversationPosition, ConversationSort, Day, IdempotencyRecord,
    Limit, Member, MemberPosition, Membership, Message, MessageRange, Order, RefreshToken, Response, Session,
    Timestamp, UsageRow, User, UserId,
};
use chatstore_sql::{By, ConversationList, StoreError};

use crate::error::{Error, Result};
use crate::store::Store;

/// One row of what a user has.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported {
    /// The user.
    User(User),
    /// An API key of his, withdrawn ones too.
    ApiKey(ApiKey),
    /// A session of his, ended ones too.
    Session(Session),
    /// A refresh token of the sessions before it.
    RefreshToken(RefreshToken),
    /// What a request of his with an idempotency key did, until it is forgotten after a day.
    IdempotencyKey(IdempotencyRecord),
    /// What his conversations used on one day with one model.
    Usage(UsageRow),
    /// A conversation of his.
    Conversation(Conversation),
    /// A member of the conversation before it.
    Member(ConversationId, Member),
    /// A message of his conversation, or one he sent into another's.
    Message(Message),
    /// The response behind the message before it.
    Response(Response),
    /// Another's conversation in which he is a member.
    Membership(ConversationId, Member),
}

/// Everything that a user has, parents before children, in bounded memory. Each piece is read at its own
/// moment: what is changed meanwhile is exported as it is then.
#[derive(Debug)]
pub struct Export {
    store: Store,
    user: UserId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    User,
    Conversations(Option<ConversationPosition>),
    Heads {
        heads: VecDeque<Conversation>,
        next: Option<ConversationPosition>,
    },
    Messages {
        of: ConversationId,
        after: i64,
        heads: VecDeque<Conversation>,
        next: Option<ConversationPosition>,
    },
    Memberships(Option<ConversationPosition>),
    SentElsewhere(Option<Box<Message>>),
    Done,
}

impl Export {
    pub(crate) const fn new(store: Store, user: UserId) -> Self {
        Self { store, user, stage: Stage::User }
    }

    /// The next piece, which may be empty; `None` at the end.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; that the database is unavailable.
    pub async fn next(&mut self) -> Result<Option<Vec<Exported>>> {
        let piece = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::User => self.user().await?,
            Stage::Conversations(from) => self.conversations(from).await?,
            Stage::Heads { heads, next } => self.head(heads, next).await?,
            Stage::Messages { of, after, heads, next } => self.messages(of, after, heads, next).await?,
            Stage::Memberships(from) => self.memberships(from).await?,
            Stage::SentElsewhere(from) => self.sent_elsewhere(from).await?,
            Stage::Done => return Ok(None),
        };
        Ok(Some(piece))
    }

    async fn user(&mut self) -> Result<Vec<Exported>> {
        let id = self.user;
        let (first, last) = (Day::of(Timestamp::MIN), Day::of(Timestamp::MAX));
        let read = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
            let Some(user) = tx.users().get(id).await? else { return Ok(None) };
            let mut piece = vec![Exported::User(user)];
            piece.extend(tx.api_keys().list(id).await?.into_iter().map(Exported::ApiKey));
            piece.extend(tx.sessions().list(id).await?.into_iter().map(Exported::Session));
            piece.extend(tx.refresh_tokens().list(id).await?.into_iter().map(Exported::RefreshToken));
            let remembered = tx.idempotency_keys().list(id).await?;
            piece.extend(remembered.into_iter().map(Exported::IdempotencyKey));
            piece.extend(tx.usage().between(id, first, last).await?.into_iter().map(Exported::Usage));
            Ok::<_, StoreError>(Some(piece))
        };
        let found = self.store.read("export_user", read).await?;
        self.stage = Stage::Conversations(None);
        found.ok_or_else(|| Error::not_found("user"))
    }

    async fn conversations(&mut self, from: Option<ConversationPosition>) -> Result<Vec<Exported>> {
        let page = self.page(Membership::Owned, from).await?;
        let heads: VecDeque<Conversation> = page.items.into_iter().map(|(head, _)| head).collect();
        self.stage = match heads.is_empty() {
            true => Stage::Memberships(None),
            false => Stage::Heads { heads, next: page.next },
        };
        Ok(Vec::new())
    }

    async fn page(
        &self,
        membership: Membership,
        from: Option<ConversationPosition>,
    ) -> Result<chatstore_model::Page<(Conversation, chatstore_model::ConversationRole), ConversationPosition>>
    {
        let list = ConversationList {
            membership,
            sort: ConversationSort::Creation,
            order: Order::Ascending,
            from,
            offset: 0,
            limit: Limit::MAX,
        };
        self.store.as_user(self.user).conversations().page(list).await
    }

    /// One conversation with its members.
    async fn head(
        &mut self,
        mut heads: VecDeque<Conversation>,
        next: Option<ConversationPosition>,
    ) -> Result<Vec<Exported>> {
        let Some(head) = heads.pop_front() else {
            self.stage = match next {
                Some(_) => Stage::Conversations(next),
                None => Stage::Memberships(None),
            };
            return Ok(Vec::new());
        };
        let id = head.id;
        let mut piece = vec![Exported::Conversation(head)];
        let mut from: Option<MemberPosition> = None;
        loop {
            let owner = self.user;
            let members = self
                .store
                .read("export_members", async move |tx| tx.members().page(owner, id, from, Limit::MAX).await)
                .await?;
            let others = members.items.into_iter().filter(|member| member.user_id != owner);
            piece.extend(others.map(|member| Exported::Member(id, member)));
            from = members.next;
            if from.is_none() {
                break;
            }
        }
        self.stage = Stage::Messages { of: id, after: 0, heads, next };
        Ok(piece)
    }

    async fn messages(
        &mut self,
        of: ConversationId,
        after: i64,
        heads: VecDeque<Conversation>,
        next: Option<ConversationPosition>,
    ) -> Result<Vec<Exported>> {
        let owner = self.user;
        let read = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
            let range = MessageRange { after, before: i64::MAX };
            let page = tx.messages().page(By::Owner(owner), of, range, Order::Ascending, Limit::MAX).await?;
            let last = page.items.last().map_or(after, |message| message.seq);
            let responses = tx.responses().of_range(owner, of, after.saturating_add(1), last).await?;
            Ok::<_, StoreError>((page, responses))
        };
        let (page, responses) = self.store.read("export_messages", read).await?;
        let mut responses = VecDeque::from(responses);
        let mut piece = Vec::with_capacity(page.items.len() + responses.len());
        for message in page.items {
            let id = message.id;
            piece.push(Exported::Message(message));
            if responses.front().is_some_and(|response| response.message_id == id) {
                piece.extend(responses.pop_front().map(Exported::Response));
            }
        }
        self.stage = match page.next {
            Some(after) => Stage::Messages { of, after, heads, next },
            None => Stage::Heads { heads, next },
        };
        Ok(piece)
    }

    async fn memberships(&mut self, from: Option<ConversationPosition>) -> Result<Vec<Exported>> {
        let page = self.page(Membership::Shared, from).await?;
        self.stage = match page.next {
            Some(_) => Stage::Memberships(page.next),
            None => Stage::SentElsewhere(None),
        };
        let mut piece = Vec::with_capacity(page.items.len());
        for (head, _) in page.items {
            let members = self.store.as_user(self.user).members();
            let mut from = None;
            loop {
                let found = members.page(head.id, from, Limit::MAX).await?;
                let own = found.items.into_iter().find(|member| member.user_id == self.user);
                let is_found = own.is_some();
                piece.extend(own.map(|member| Exported::Membership(head.id, member)));
                from = found.next;
                if is_found || from.is_none() {
                    break;
                }
            }
        }
        Ok(piece)
    }

    async fn sent_elsewhere(&mut self, from: Option<Box<Message>>) -> Result<Vec<Exported>> {
        let user = self.user;
        let read = async move |tx: &mut chatstore_sql::ReadTx<'_>| {
            tx.messages().sent_elsewhere(user, from.as_deref(), Limit::MAX).await
        };
        let page = self.store.read("export_sent", read).await?;
        self.stage = match page.next {
            Some(last) => Stage::SentElsewhere(Some(Box::new(last))),
            None => Stage::Done,
        };
        Ok(page.items.into_iter().map(Exported::Message).collect())
    }
}
