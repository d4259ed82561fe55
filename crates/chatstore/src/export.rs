//! Everything that a user has, chunk by chunk.

use std::collections::VecDeque;

use chatstore_model::{
    ApiKey, Conversation, ConversationFilter, ConversationId, ConversationPosition, ConversationRole,
    ConversationSort, Day, Document, DocumentPosition, IdempotencyRecord, Identity, Limit, LogEvent,
    LogPosition, Member, MemberPosition, Membership, Message, MessageRange, ModelResponse, Order, Page,
    RefreshToken, Session, Timestamp, UsageRow, User, UserId,
};
use chatstore_sql::{ConversationList, DocumentList, LogList, LogOwner, ReadTx, StoreError, Via};

use crate::error::{Error, Result};
use crate::security_event::SecurityEvent;
use crate::store::Store;
use crate::user_scope::AsUser;

/// One row of what a user has.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported {
    /// The user.
    User(User),
    /// Who the user is for an identity provider.
    Identity(Identity),
    /// An API key, revoked ones too.
    ApiKey(ApiKey),
    /// A session, ended ones too.
    Session(Session),
    /// A refresh token of the sessions before it.
    RefreshToken(RefreshToken),
    /// The outcome of a request with an idempotency key, until it is forgotten after a day.
    IdempotencyKey(IdempotencyRecord),
    /// Usage of the user's conversations on one day with one model.
    Usage(UsageRow),
    /// A document.
    Document(Document),
    /// An event that is about the user.
    Log(LogEvent),
    /// A conversation that the user owns.
    Conversation(Conversation),
    /// A member of the conversation before it.
    Member(ConversationId, Member),
    /// A message of the conversation before it, or one that the user sent into another's.
    Message(Message),
    /// The response behind the message before it.
    Response(ModelResponse),
    /// Another's conversation in which the user is a member.
    Membership(ConversationId, Member),
}

/// Everything that a user has, parents before children, in bounded memory. Each chunk is read at its own
/// moment: what is changed meanwhile is exported as it is then.
#[derive(Debug)]
pub struct Export {
    store: Store,
    user: UserId,
    stage: Stage,
}

/// Conversations that are read already, and where those after them begin.
#[derive(Debug)]
struct Rest {
    left: VecDeque<Conversation>,
    next: Option<ConversationPosition>,
}

#[derive(Debug)]
enum Stage {
    User,
    Documents(Option<DocumentPosition>),
    Logs(Option<LogPosition>),
    Conversations(Option<ConversationPosition>),
    Each(Rest),
    Messages { of: ConversationId, after: i64, rest: Rest },
    Memberships(Option<ConversationPosition>),
    SentElsewhere(Option<Box<Message>>),
    Done,
}

impl AsUser<'_> {
    /// Everything that the user has.
    #[must_use]
    pub fn export(&self) -> Export {
        Export { store: self.store.clone(), user: self.user, stage: Stage::User }
    }
}

impl Export {
    /// The next chunk, which may be empty; `None` at the end.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; that the database is unavailable.
    pub async fn next(&mut self) -> Result<Option<Vec<Exported>>> {
        let chunk = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::User => self.user().await?,
            Stage::Documents(from) => self.documents(from).await?,
            Stage::Logs(from) => self.logs(from).await?,
            Stage::Conversations(from) => self.conversations(from).await?,
            Stage::Each(rest) => self.conversation(rest).await?,
            Stage::Messages { of, after, rest } => self.messages(of, after, rest).await?,
            Stage::Memberships(from) => self.memberships(from).await?,
            Stage::SentElsewhere(from) => self.sent_elsewhere(from).await?,
            Stage::Done => return Ok(None),
        };
        Ok(Some(chunk))
    }

    async fn user(&mut self) -> Result<Vec<Exported>> {
        let id = self.user;
        let (first, last) = (Day::of(Timestamp::MIN), Day::of(Timestamp::MAX));
        let read = async move |tx: &mut ReadTx<'_>| {
            let Some(user) = tx.users().get(id).await? else { return Ok(None) };
            let mut chunk = vec![Exported::User(user)];
            chunk.extend(tx.identities().list(id).await?.into_iter().map(Exported::Identity));
            // The keys of the built-in user are those of services, which are not the data of a person.
            if id != UserId::ANONYMOUS {
                chunk.extend(tx.api_keys().list(id).await?.into_iter().map(Exported::ApiKey));
            }
            chunk.extend(tx.sessions().list(id).await?.into_iter().map(Exported::Session));
            chunk.extend(tx.refresh_tokens().list(id).await?.into_iter().map(Exported::RefreshToken));
            let remembered = tx.idempotency_keys().list(id).await?;
            chunk.extend(remembered.into_iter().map(Exported::IdempotencyKey));
            chunk.extend(tx.usage().between(id, first, last).await?.into_iter().map(Exported::Usage));
            Ok::<_, StoreError>(Some(chunk))
        };
        let found = self.store.read("export_user", read).await?;
        let found = found.ok_or_else(|| Error::not_found("user"))?;
        // Whoever has the beginning may have it all.
        SecurityEvent::USER_EXPORTED.note(&self.store, Some(id));
        self.stage = Stage::Documents(None);
        Ok(found)
    }

    async fn documents(&mut self, from: Option<DocumentPosition>) -> Result<Vec<Exported>> {
        let list =
            DocumentList { order: Order::Ascending, from, limit: Limit::MAX, ..DocumentList::default() };
        let page = self.store.as_user(self.user).documents().page(list).await?;
        self.stage = match page.next {
            Some(_) => Stage::Documents(page.next),
            // Events of the built-in user are about no user.
            None if self.user == UserId::ANONYMOUS => Stage::Conversations(None),
            None => Stage::Logs(None),
        };
        Ok(page.items.into_iter().map(Exported::Document).collect())
    }

    async fn logs(&mut self, from: Option<LogPosition>) -> Result<Vec<Exported>> {
        let list = LogList { order: Order::Ascending, from, limit: Limit::MAX, ..LogList::default() };
        let page = self.store.event_log().page(LogOwner::User(self.user), list).await?;
        self.stage = match page.next {
            Some(_) => Stage::Logs(page.next),
            None => Stage::Conversations(None),
        };
        Ok(page.items.into_iter().map(Exported::Log).collect())
    }

    async fn conversations(&mut self, from: Option<ConversationPosition>) -> Result<Vec<Exported>> {
        let page = self.page(Membership::Owned, from).await?;
        let left: VecDeque<Conversation> =
            page.items.into_iter().map(|(conversation, _)| conversation).collect();
        self.stage = match left.is_empty() {
            true => Stage::Memberships(None),
            false => Stage::Each(Rest { left, next: page.next }),
        };
        Ok(Vec::new())
    }

    async fn page(
        &self,
        membership: Membership,
        from: Option<ConversationPosition>,
    ) -> Result<Page<(Conversation, ConversationRole), ConversationPosition>> {
        let list = ConversationList {
            filter: ConversationFilter { membership, ..ConversationFilter::EVERYTHING },
            sort: ConversationSort::Creation,
            order: Order::Ascending,
            from,
            offset: 0,
            limit: Limit::MAX,
        };
        self.store.as_user(self.user).conversations().page(list).await
    }

    /// One conversation with its members.
    async fn conversation(&mut self, mut rest: Rest) -> Result<Vec<Exported>> {
        let Some(conversation) = rest.left.pop_front() else {
            self.stage = match rest.next {
                Some(_) => Stage::Conversations(rest.next),
                None => Stage::Memberships(None),
            };
            return Ok(Vec::new());
        };
        let id = conversation.id;
        let mut chunk = vec![Exported::Conversation(conversation)];
        let mut from: Option<MemberPosition> = None;
        loop {
            let owner = self.user;
            let members = self
                .store
                .read("export_members", async move |tx| tx.members().page(owner, id, from, Limit::MAX).await)
                .await?;
            let others = members.items.into_iter().filter(|member| member.user_id != owner);
            chunk.extend(others.map(|member| Exported::Member(id, member)));
            from = members.next;
            if from.is_none() {
                break;
            }
        }
        self.stage = Stage::Messages { of: id, after: 0, rest };
        Ok(chunk)
    }

    async fn messages(&mut self, of: ConversationId, after: i64, rest: Rest) -> Result<Vec<Exported>> {
        let owner = self.user;
        let read = async move |tx: &mut ReadTx<'_>| {
            let range = MessageRange { after, before: i64::MAX };
            let page = tx.messages().page(Via::Owner(owner), of, range, Order::Ascending, Limit::MAX).await?;
            let last = page.items.last().map_or(after, |message| message.seq);
            let responses = tx.responses().of_range(owner, of, after.saturating_add(1), last).await?;
            Ok::<_, StoreError>((page, responses))
        };
        let (page, responses) = self.store.as_user(owner).read_long_list("export_messages", read).await?;
        let mut responses = VecDeque::from(responses);
        let mut chunk = Vec::with_capacity(page.items.len() + responses.len());
        for message in page.items {
            let id = message.id;
            chunk.push(Exported::Message(message));
            if responses.front().is_some_and(|response| response.message_id == id) {
                chunk.extend(responses.pop_front().map(Exported::Response));
            }
        }
        self.stage = match page.next {
            Some(after) => Stage::Messages { of, after, rest },
            None => Stage::Each(rest),
        };
        Ok(chunk)
    }

    async fn memberships(&mut self, from: Option<ConversationPosition>) -> Result<Vec<Exported>> {
        let page = self.page(Membership::Shared, from).await?;
        self.stage = match page.next {
            Some(_) => Stage::Memberships(page.next),
            None => Stage::SentElsewhere(None),
        };
        let mut chunk = Vec::with_capacity(page.items.len());
        for (conversation, _) in page.items {
            let members = self.store.as_user(self.user).members();
            let mut from = None;
            loop {
                let found = members.page(conversation.id, from, Limit::MAX).await?;
                let own = found.items.into_iter().find(|member| member.user_id == self.user);
                let is_found = own.is_some();
                chunk.extend(own.map(|member| Exported::Membership(conversation.id, member)));
                from = found.next;
                if is_found || from.is_none() {
                    break;
                }
            }
        }
        Ok(chunk)
    }

    async fn sent_elsewhere(&mut self, from: Option<Box<Message>>) -> Result<Vec<Exported>> {
        let user = self.user;
        let read = async move |tx: &mut ReadTx<'_>| {
            tx.messages().sent_elsewhere(user, from.as_deref(), Limit::MAX).await
        };
        let page = self.store.as_user(user).read_long_list("export_sent", read).await?;
        self.stage = match page.next {
            Some(last) => Stage::SentElsewhere(Some(Box::new(last))),
            None => Stage::Done,
        };
        Ok(page.items.into_iter().map(Exported::Message).collect())
    }
}
