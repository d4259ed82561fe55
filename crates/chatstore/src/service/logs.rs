use std::sync::Arc;

use chatstore_model::fields::LOG_REQUEST_ID;
use chatstore_model::{
    IntoValid, LogEvent, LogEventId, LogFilter, LogLevel, LogPosition, NewLogEvent, Page, UserId,
};
use chatstore_sql::{LogList, LogOwner, ReadTx, WriteTx};
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::error::{Error, Result};
use crate::event_queue::{EventLogCounts, ServerEvent, Urgency, draft};
use crate::store::Store;
use crate::user_scope::AsUser;

const ABOUT_NO_USER: &str = "events that are about no user are for administrators";

/// The events that are about one user.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'s>(pub(crate) AsUser<'s>);

/// Every event, for those who operate a store. Nothing is checked here.
#[derive(Debug, Clone, Copy)]
pub struct EventLog<'s>(pub(crate) &'s Store);

impl<'s> AsUser<'s> {
    /// The events that are about the user.
    #[must_use]
    pub const fn logs(&self) -> Logs<'s> {
        Logs(*self)
    }
}

impl Store {
    /// Every event, for those who operate the store.
    #[must_use]
    pub const fn event_log(&self) -> EventLog<'_> {
        EventLog(self)
    }
}

impl Logs<'_> {
    /// Keeps an event of the application's own that is about the user; of the built-in user, one that is about no user. It
    /// is stored when this returns, and names the present [`Actor`] as the one who caused it.
    ///
    /// # Errors
    /// `Invalid`; `NotFound` when the user is gone.
    pub async fn append(self, new: impl IntoValid<NewLogEvent>) -> Result<LogEvent> {
        let mut new = new.into_valid()?.into_inner();
        new.request_id = new.request_id.or_else(Actor::present_request_id);
        let (user, actor) = (self.0.user, Actor::present().of_log());
        let append = async move |tx: &mut WriteTx<'_>| tx.logs().append(user, actor, &new).await;
        Ok(self.0.store.database.write_single("log_append", append).await?)
    }

    /// An event that is about the user.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for the built-in user.
    pub async fn get(self, id: LogEventId) -> Result<LogEvent> {
        let user = self.somebody()?;
        let get = async move |tx: &mut ReadTx<'_>| tx.logs().get(user, id).await;
        self.0.store.read("log_get", get).await?.ok_or_else(|| Error::not_found("event"))
    }

    /// One page of the events that are about the user.
    ///
    /// # Errors
    /// `Forbidden` for the built-in user; as [`EventLog::page`].
    pub async fn page(self, list: LogList) -> Result<Page<LogEvent, LogPosition>> {
        let user = self.somebody()?;
        self.0.store.event_log().page(LogOwner::User(user), list).await
    }

    /// The user, unless their events are those of nobody.
    fn somebody(self) -> Result<UserId> {
        match self.0.user {
            UserId::ANONYMOUS => Err(Error::forbidden(ABOUT_NO_USER)),
            user => Ok(user),
        }
    }
}

impl EventLog<'_> {
    /// Offers an event of the application's own, about a user or about no user, which is stored some milliseconds later
    /// beside other events; whether there was room for it. Never waits. Names the present [`Actor`] as the one who caused
    /// it. Without [`Builder::event_log`](crate::Builder::event_log) no event is taken.
    ///
    /// What was taken is lost when the program ends without [`Store::close`], and counted as dropped when the database
    /// fails for half a minute.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn offer(self, user: Option<UserId>, new: impl IntoValid<NewLogEvent>) -> Result<bool> {
        let NewLogEvent { level, event, conversation_id, request_id, data } = new.into_valid()?.into_inner();
        let draft = draft(&self.0.database, user, Actor::present());
        let request_id = request_id.or_else(Actor::present_request_id);
        let event = LogEvent { level, event, conversation_id, request_id, data, ..draft };
        Ok(self.0.events.push(&self.0.database, Urgency::High, event))
    }

    /// Offers the failure of a request of the server, which `actor` caused. Failures come in floods: they leave half of the
    /// room to other events.
    pub fn offer_failure(self, actor: Actor, request_id: &str, data: Map<String, Value>) {
        let event = ServerEvent {
            level: LogLevel::Error,
            name: "server.request_failed".to_owned(),
            conversation_id: None,
            data,
            urgency: Urgency::Low,
        };
        let user = actor.acting_for.or(actor.user_id);
        let request_id = Some(request_id).filter(|id| LOG_REQUEST_ID.takes(id));
        let caused = (actor, request_id.map(str::to_owned));
        self.0.events.keep(&self.0.database, user, caused, event);
    }

    /// What became of the events that were offered since the store was opened.
    #[must_use]
    pub fn counts(self) -> EventLogCounts {
        self.0.events.counts()
    }

    /// One page of the events of one user, or of all.
    ///
    /// # Errors
    /// `Invalid` for a name with U+0000; `Overloaded` when too many long reads wait, of a list with a filter.
    pub async fn page(self, whose: LogOwner, list: LogList) -> Result<Page<LogEvent, LogPosition>> {
        let is_long = list.filter != LogFilter::default();
        let list = Arc::new(list);
        let page = async move |tx: &mut ReadTx<'_>| tx.logs().page(whose, &list).await;
        let database = &self.0.database;
        Ok(match is_long {
            true => database.read_long("log_page", page).await?,
            false => database.read("log_page", page).await?,
        })
    }
}
