//! Turns lines into conversations and messages with the ids and times that they always have.

use std::collections::HashSet;

use chatstore_model::{
    CanonicalJson, ConversationId, DocumentId, IntoValid, MessageId, MessageName, MessageRole,
    NewConversation, NewDocument, NewMessage, Parent, Timestamp, UnknownMessageRole, UserId, VerbatimJson,
    limits,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::document::LineDocument;
use super::known;
use super::owner::Owner;
use super::text::Turns;
use super::turn::Turn;
use super::visit::Head;
use crate::plan::{RowClock, derived_uuid};

/// The name space of imported ids. It was generated once and must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d2c_5d0e_97b4_4c0f_8a31_0f6b_5c9e_21d7);

/// Names of the time at which something was created.
const CREATED_AT: &[&str] = &["created_at", "create_time", "timestamp"];

/// A conversation without its messages.
#[derive(Debug, Clone)]
pub(super) struct PlannedHead {
    /// The number of its line.
    pub(super) number: u64,
    pub(super) id: ConversationId,
    pub(super) owner: Owner,
    pub(super) new: NewConversation,
    /// The number of its messages.
    pub(super) turns: usize,
    /// The number of its head, if it branched.
    pub(super) head_seq: Option<i64>,
}

/// Why a line cannot be planned.
pub(super) enum Unplanned {
    Bad(String),
    Unread(std::io::Error),
}

/// Plans the lines of a file in order.
pub(super) struct Planner {
    owner: UserId,
    clock: RowClock,
}

/// Plans the messages of one conversation in order.
pub(super) struct MessagePlanner {
    owner: UserId,
    conversation: String,
    clock: RowClock,
    index: usize,
    /// Digests of the external ids so far, of which each is one message's.
    external_ids: HashSet<u64>,
    /// Whether its turns say which turn they follow.
    has_branches: bool,
}

impl Planner {
    pub(super) const fn new(owner: UserId, base_time: Timestamp) -> Self {
        Self { owner, clock: RowClock::starting_at(base_time) }
    }

    /// Checks a whole line and plans its conversation; also what plans its messages.
    pub(super) fn plan(
        &mut self,
        number: u64,
        head: Head,
        turns: &Turns,
    ) -> Result<(PlannedHead, MessagePlanner), Unplanned> {
        let count = turns.len();
        if count == 0 {
            return Err(Unplanned::Bad("the conversation has no turns".to_owned()));
        }
        let mut fields = head.rest;
        let owner = Owner::take(&mut fields, self.owner).map_err(Unplanned::Bad)?;
        let most = i64::try_from(count).unwrap_or(i64::MAX);
        let head_seq = known::number(&mut fields, "head", most);
        let identity = match &head.id {
            Some(id) => id.clone(),
            None => digest_of(&fields, turns).map_err(Unplanned::Unread)?,
        };
        let id = ConversationId::from_uuid(uuid(owner.id(), &[b"conversation", identity.as_bytes()]));
        let new = NewConversation {
            id: Some(id),
            title: known::text(&mut fields, &["title", "name"], limits::TITLE),
            default_model: known::text(&mut fields, &["default_model", "model"], limits::MODEL),
            created_at: Some(known::time(&mut fields, CREATED_AT).unwrap_or(self.clock.time())),
            updated_at: known::time(&mut fields, &["updated_at", "update_time"]),
            metadata: known::metadata(fields).map_err(Unplanned::Bad)?,
            thread_id: head.id,
            ..NewConversation::default()
        };
        self.clock.follow(None);
        (&new).into_valid().map_err(|error| Unplanned::Bad(error.to_string()))?;
        let planner = MessagePlanner {
            owner: owner.id(),
            conversation: identity,
            clock: self.clock,
            index: 0,
            external_ids: HashSet::new(),
            has_branches: head_seq.is_some(),
        };
        self.check(turns)?;
        Ok((PlannedHead { number, id, owner, new, turns: count, head_seq }, planner))
    }

    /// Plans a document of a maximum number of bytes. An id that is a UUID, or a short id, is its own.
    pub(super) fn document(&mut self, head: Head, limit: usize) -> Result<LineDocument, String> {
        let Head { id, rest: mut fields } = head;
        let id = id.ok_or("the document has no id")?;
        let owner = Owner::take(&mut fields, self.owner)?;
        let derived = || DocumentId::from_uuid(uuid(owner.id(), &[b"document", id.as_bytes()]));
        let id = id.parse().unwrap_or_else(|_| derived());
        let content = fields.remove("content").ok_or("the document has no content")?;
        let title = match fields.remove("title") {
            None | Some(Value::Null) => None,
            Some(Value::String(title)) => Some(title),
            Some(_) => return Err("title: must be a text or null".to_owned()),
        };
        let created_at = time(&mut fields, "created_at")?;
        let updated_at = time(&mut fields, "updated_at")?;
        let metadata = fields.remove("metadata");
        for told_elsewhere in ["type", "short_id", "revision"] {
            fields.remove(told_elsewhere);
        }
        let new = NewDocument {
            id: Some(id),
            title,
            content: CanonicalJson::new(content).map_err(|error| format!("content: {error}"))?,
            metadata: with_source(metadata, fields)?,
            created_at: Some(created_at.unwrap_or(self.clock.time())),
            updated_at,
        };
        if new.content.as_str().len() > limit {
            return Err(format!("content: must have at most {limit} bytes as JSON"));
        }
        (&new).into_valid().map_err(|error| error.to_string())?;
        self.clock.follow(None);
        Ok(LineDocument { owner, new })
    }

    /// Checks every turn, and passes over the times of those before the first that is wrong.
    fn check(&mut self, turns: &Turns) -> Result<(), Unplanned> {
        let mut wrong = None;
        let looked = turns.inspect(|index, turn| {
            if wrong.is_some() {
                return;
            }
            let checked = message(turn, None, true, None).and_then(|new| {
                self.clock.follow(None);
                (&new).into_valid().map(drop).map_err(|error| format!(": {error}"))
            });
            wrong = checked.err().map(|reason| format!("turns[{index}]{reason}"));
        });
        looked.map_err(Unplanned::Unread)?;
        wrong.map_or(Ok(()), |reason| Err(Unplanned::Bad(reason)))
    }
}

impl MessagePlanner {
    /// The message of the next turn.
    pub(super) fn plan(&mut self, turn: &Turn) -> Result<NewMessage, String> {
        let digest = Sha256::digest(format!("{}\0{}", turn.role, turn.content));
        let place = self.index.to_string();
        let parts = [b"message", self.conversation.as_bytes(), place.as_bytes(), &digest];
        let id = MessageId::from_uuid(uuid(self.owner, &parts));
        let time = self.clock.time();
        self.clock.follow(None);
        self.index += 1;
        let external_id = turn.rest.get("external_id").and_then(Value::as_str);
        let is_first =
            external_id.is_none_or(|external_id| self.external_ids.insert(short_digest(external_id)));
        let before = self.has_branches.then(|| i64::try_from(self.index).unwrap_or(i64::MAX) - 1);
        message(turn, Some((id, time)), is_first, before)
    }
}

/// What a line without an id is known by.
fn digest_of(fields: &Map<String, Value>, turns: &Turns) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    digest.update(Value::Object(fields.clone()).to_string());
    turns.inspect(|_, turn| {
        let rest = Value::Object(turn.rest.clone()).to_string();
        let parts = turn.parts.as_ref().map_or("", VerbatimJson::as_str);
        for text in [turn.role.as_str(), turn.content.as_str(), parts, rest.as_str()] {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
    })?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn short_digest(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The message of a turn; an external id that a message before it has is left in its metadata. In a conversation with
/// branches it may follow any of the turns before it, of which there are this number.
fn message(
    turn: &Turn,
    place: Option<(MessageId, Timestamp)>,
    is_external_id_free: bool,
    turns_before: Option<i64>,
) -> Result<NewMessage, String> {
    let role =
        known::role(&turn.role).ok_or_else(|| format!(".role {:?} {UnknownMessageRole}", turn.role))?;
    let mut fields = turn.rest.clone();
    if MessageRole::parse(&turn.role).is_none() {
        fields.insert("role".to_owned(), turn.role.as_str().into());
    }
    let (id, otherwise) = place.unzip();
    let external_id = if is_external_id_free {
        known::text(&mut fields, &["external_id"], limits::EXTERNAL_ID)
    } else {
        None
    };
    let parent = turns_before.and_then(|most| known::number(&mut fields, "parent", most));
    Ok(NewMessage {
        id,
        parent: parent.map(|turn| match turn {
            0 => Parent::Root,
            turn => Parent::Message(MessageName::Seq(turn)),
        }),
        parts: turn.parts.clone(),
        format: turn.format.clone(),
        external_id,
        model: known::text(&mut fields, &["model"], limits::MODEL),
        token_count: known::count(&mut fields, &["token_count", "tokens"]),
        used_documents: known::used_documents(&mut fields),
        created_at: known::time(&mut fields, CREATED_AT).or(otherwise),
        metadata: known::metadata(fields).map_err(|error| format!(": {error}"))?,
        ..NewMessage::new(role, turn.content.clone())
    })
}

fn time(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|error| format!("{name}: {error}")),
        Some(_) => Err(format!("{name}: must be a time")),
    }
}

/// Metadata with what has no field of its own.
fn with_source(metadata: Option<Value>, rest: Map<String, Value>) -> Result<CanonicalJson, String> {
    let mut metadata = match metadata {
        None => Map::new(),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return Err("metadata: must be an object".to_owned()),
    };
    if !rest.is_empty() && metadata.insert("source".to_owned(), Value::Object(rest)).is_some() {
        return Err("metadata.source: must be left out of a document with further fields".to_owned());
    }
    CanonicalJson::new(Value::Object(metadata)).map_err(|error| format!("metadata: {error}"))
}

/// An id that follows from the owner and the parts.
fn uuid(owner: UserId, parts: &[&[u8]]) -> Uuid {
    let prefix = [b"jsonl".as_slice(), owner.uuid().as_bytes()].concat();
    derived_uuid(NAMESPACE, &prefix, parts)
}
