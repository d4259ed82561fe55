//! Events that are kept: what happened to whom, and who caused it.

use serde::Serialize;

use uuid::Uuid;

use crate::keyword::keywords;
use crate::{
    ApiKeyId, CanonicalJson, ConversationId, FieldCode, JsonField, JsonShape, KeywordField, LogEventId,
    TextField, TextForm, Timestamp, UserId, Validate, Validator, limits,
};

/// The level of an event.
pub const LOG_LEVEL: KeywordField<LogLevel> =
    KeywordField::new("level").about("How much it matters; `info` when left out.");

/// The name of an event.
pub const LOG_EVENT: TextField = TextField::new("event")
    .at_least(1)
    .at_most(limits::LOG_EVENT)
    .formed(TextForm::Label)
    .about(
        "What happened, in letters, digits, `.`, `_`, `:` and `-`. It outlives the user, so it must not name anyone. \
         Names that begin with `security.` or `server.` are those of the server.",
    );

/// The conversation that an event is about.
pub const LOG_CONVERSATION_ID: TextField<ConversationId> =
    TextField::new("conversation_id").about("The conversation that it is about; it need not exist.");

/// The request in which an event happened.
pub const LOG_REQUEST_ID: TextField = TextField::new("request_id")
    .at_least(1)
    .at_most(limits::REQUEST_ID)
    .formed(TextForm::Label)
    .about("The request in which it happened; the id of this request when left out.");

/// What an event says beside its fields.
pub const LOG_DATA: JsonField = JsonField {
    name: "data",
    about: "What else there is to say, a maximum of 16 KiB as JSON.",
    shape: JsonShape::Object { max_bytes: limits::LOG_DATA_BYTES },
};

/// What the names of events begin with that the server itself keeps.
pub const SERVER_EVENTS: [&str; 2] = ["security.", "server."];

keywords! {
    /// How much an event matters.
    #[derive(PartialOrd, Ord)]
    pub enum LogLevel {
        /// For those who look for a defect.
        Debug = "debug",
        /// Something happened as it should.
        Info = "info",
        /// Something that should be looked at.
        Warn = "warn",
        /// Something failed.
        Error = "error",
    }
}

/// An event that is kept. It is about one user, or about no user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogEvent {
    /// Whom it is about; the nil id for no user.
    pub user_id: UserId,
    /// The id. Those of later events are larger, to the microsecond.
    #[serde(flatten, serialize_with = "crate::id::with_short_id")]
    pub id: LogEventId,
    /// When it happened.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    pub event: String,
    /// The conversation that it is about, which may be gone.
    pub conversation_id: Option<ConversationId>,
    /// The request in which it happened.
    pub request_id: Option<String>,
    /// The holder of the credentials with which it was caused.
    pub actor_id: Option<UserId>,
    /// The API key with which it was caused.
    pub key_id: Option<ApiKeyId>,
    /// The user that a service acted for.
    pub acting_for_id: Option<UserId>,
    /// What else there is to say, an object.
    pub data: CanonicalJson,
}

/// An event that is about to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLogEvent {
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    pub event: String,
    /// The conversation that it is about, which need not exist.
    pub conversation_id: Option<ConversationId>,
    /// The request in which it happened.
    pub request_id: Option<String>,
    /// What else there is to say, an object.
    pub data: CanonicalJson,
}

impl NewLogEvent {
    /// An event of this name, at the level of information.
    #[must_use]
    pub fn new(event: impl Into<String>) -> Self {
        Self {
            level: LogLevel::Info,
            event: event.into(),
            conversation_id: None,
            request_id: None,
            data: CanonicalJson::object(),
        }
    }

    /// The same at another level.
    #[must_use]
    pub const fn at_level(mut self, level: LogLevel) -> Self {
        self.level = level;
        self
    }

    /// The same with more to say.
    #[must_use]
    pub fn with_data(mut self, data: CanonicalJson) -> Self {
        self.data = data;
        self
    }
}

impl Validate for NewLogEvent {
    fn check(&self, validator: &mut Validator) {
        LOG_EVENT.check(validator, Some(&self.event));
        if SERVER_EVENTS.iter().any(|prefix| self.event.starts_with(prefix)) {
            let message = format!("must not begin with {}", SERVER_EVENTS.join(" or "));
            validator.wrong(LOG_EVENT.name, FieldCode::NotAllowed, message);
        }
        LOG_REQUEST_ID.check(validator, self.request_id.as_deref());
        LOG_DATA.check(validator, Some(&self.data));
    }
}

/// Events of which everything is known, as the server keeps its own.
impl Validate for &[LogEvent] {
    fn check(&self, validator: &mut Validator) {
        for event in *self {
            LOG_EVENT.check(validator, Some(&event.event));
            LOG_REQUEST_ID.check(validator, event.request_id.as_deref());
            LOG_DATA.check(validator, Some(&event.data));
        }
    }
}

impl LogEventId {
    /// The id of an event at this time, from a new UUIDv7: the 12 bits behind its milliseconds become the rest of the
    /// time (RFC 9562, section 6.2, method 3), so that ids sort as times do.
    #[must_use]
    pub fn at(at: Timestamp, uuid: Uuid) -> Self {
        Self::from_uuid(with_fraction(at, uuid))
    }

    /// Before every event of this time, and behind every earlier one.
    #[must_use]
    pub fn first_at(at: Timestamp) -> Self {
        let milliseconds = u64::try_from(at.as_microseconds().div_euclid(1_000)).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid();
        Self::from_uuid(with_fraction(at, uuid))
    }
}

fn with_fraction(at: Timestamp, uuid: Uuid) -> Uuid {
    let microseconds = u128::try_from(at.as_microseconds().rem_euclid(1_000)).unwrap_or(0);
    let fraction = microseconds * 4_096 / 1_000;
    const PLACE: u32 = 64;
    Uuid::from_u128(uuid.as_u128() & !(0xfff << PLACE) | fraction << PLACE)
}

/// A place in a list of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The id of an event.
    pub id: Uuid,
}

/// Which events; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Only those of this level.
    pub level: Option<LogLevel>,
    /// Only those of this name.
    pub event: Option<String>,
    /// Only those of this time or later.
    pub from: Option<Timestamp>,
    /// Only those before this time.
    pub to: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{IdSource, IntoValid as _, Invalid, RandomIds};

    const FULL: RandomIds = RandomIds(|bytes| bytes.fill(0xff));
    const EMPTY: RandomIds = RandomIds(|bytes| bytes.fill(0));

    proptest! {
        #[test]
        fn ids_of_later_events_are_larger(first in 0_i64..4_000_000_000_000_000, microseconds in 1_i64..5_000) {
            let at = |microseconds| Timestamp::from_microseconds(microseconds).unwrap();
            let (first, later) = (at(first), at(first + microseconds));
            let (early, late) = (FULL.uuid(first), EMPTY.uuid(later));
            let (early, late) = (LogEventId::at(first, early), LogEventId::at(later, late));
            prop_assert!(early < late);
            prop_assert!(early < LogEventId::first_at(later) && LogEventId::first_at(later) <= late);
            prop_assert_eq!(early.uuid().get_version_num(), 7);
            prop_assert_eq!(early.uuid().get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn every_wrong_field_of_an_event_is_reported() {
        let wrong = NewLogEvent {
            request_id: Some(String::new()),
            data: CanonicalJson::list(),
            ..NewLogEvent::new("a name with blanks")
        };
        let Invalid(errors) = wrong.into_valid().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["event", "request_id", "data"]);
    }

    #[test]
    fn an_application_cannot_take_the_names_of_the_servers_events() {
        for name in ["security.login_failed", "server.error"] {
            let Invalid(errors) = NewLogEvent::new(name).into_valid().unwrap_err();
            assert_eq!(errors[0].code, FieldCode::NotAllowed, "{name}");
        }
        assert!(NewLogEvent::new("securityless").into_valid().is_ok());
    }
}
