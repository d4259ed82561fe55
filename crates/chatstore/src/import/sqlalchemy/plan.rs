//! Their rows as rows of ours, before it is known what is there already.

use chatstore_model::{
    Conversation, ConversationId, Email, Json, MessageId, MessageRole, NewConversation, NewMessage, NewUser,
    PasswordHash, Response, Timestamp, UserId, UserName, limits,
};
use chatstore_sql::ForeignValue;
use serde_json::Value;
use uuid::Uuid;

use super::Reported;
use super::layout::{Layout, Schema};
use super::moment::{self, Moment};
use super::row::{Row, quoted, shown};

/// The name space of imported ids (RFC 9562, section 5.5); made once, never to be changed.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b8f_41c6_3d0a_4e57_9a6e_71d2_c0b4_f583);

/// A user of theirs.
#[derive(Debug)]
pub(super) struct PlannedUser {
    pub(super) id: UserId,
    pub(super) new: NewUser,
    pub(super) key: String,
    /// Whether somebody with exactly this address is this user, as where the address is the key.
    pub(super) is_address: bool,
    pub(super) reported: Vec<Reported>,
}

/// Whose conversation it is.
#[derive(Debug)]
pub(super) enum Owner {
    Known(UserId),
    /// Whoever has this address; made when there is nobody.
    Addressed(Box<PlannedUser>),
}

/// A conversation of theirs without its messages.
#[derive(Debug)]
pub(super) struct PlannedConversation {
    pub(super) owner: Owner,
    pub(super) new: NewConversation,
    pub(super) id: ConversationId,
    /// The id to take when the other belongs to another conversation of theirs.
    pub(super) derived: ConversationId,
    pub(super) key: String,
    /// Whether the thread id is what identifies it.
    pub(super) is_thread: bool,
    pub(super) reported: Vec<Reported>,
}

/// A message of theirs with its response.
#[derive(Debug)]
pub(super) struct PlannedMessage {
    pub(super) id: MessageId,
    /// The id of its conversation, which the one derived from its key is made of.
    of: ConversationId,
    pub(super) new: NewMessage,
    pub(super) key: String,
    pub(super) response: Option<PlannedResponse>,
    pub(super) reported: Vec<Reported>,
}

impl PlannedMessage {
    /// The id to take when the other belongs to another message of theirs.
    pub(super) fn derived(&self) -> MessageId {
        derived_id(self.of, &self.key)
    }
}

fn derived_id(conversation: ConversationId, key: &str) -> MessageId {
    MessageId::from_uuid(derived(&[b"message", conversation.uuid().as_bytes(), key.as_bytes()]))
}

/// A response of theirs; its message's id is known later.
#[derive(Debug)]
pub(super) struct PlannedResponse {
    pub(super) response: Response,
    pub(super) reported: Vec<Reported>,
}

/// A UUIDv5 of parts that cannot run into each other.
fn derived(parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The id of a user whose key is a number: numbers repeat from database to database, so the time
/// the user was made belongs to it. It is the same whatever database holds the row.
pub(super) fn user_id(key: &ForeignValue, created_at: &ForeignValue) -> UserId {
    let made = match moment::read(created_at, true) {
        Moment::Instant(at) | Moment::WithoutZone(at) | Moment::OtherForm(at, _) => at.to_string(),
        Moment::Missing | Moment::Unusable => shown(created_at),
    };
    UserId::from_uuid(derived(&[b"chat-app user", shown(key).as_bytes(), made.as_bytes()]))
}

/// The id of a user whose key is an e-mail address.
fn addressed_id(address: &str) -> UserId {
    UserId::from_uuid(derived(&[b"pakton user", address.as_bytes()]))
}

/// A user, made at the time of the row before when nothing else is said.
pub(super) fn user(
    schema: Schema,
    layout: &Layout,
    values: &[ForeignValue],
    before: Timestamp,
) -> (PlannedUser, Vec<&'static str>) {
    let is_address = schema == Schema::Pakton;
    let key_field = if is_address { "email" } else { "id" };
    let mut row = Row::new(layout, values, key_field);
    row.keep(key_field);
    let id = match schema {
        Schema::ChatApp => user_id(row.value("id"), row.value("created_at")),
        Schema::Pakton => addressed_id(&row.key),
    };
    let created_at = row.time_or("created_at", before);
    let updated_at = row.time("updated_at");
    let new = NewUser {
        id: Some(id),
        username: identity(&mut row, "username", UserName::new),
        email: identity(&mut row, "email", Email::new),
        full_name: row.text_within("full_name", limits::FULL_NAME),
        is_active: row.flag("is_active", true, false),
        password_hash: password_hash(&mut row),
        created_at: Some(created_at),
        updated_at: Some(updated_at.unwrap_or(created_at)),
        metadata: row.metadata(),
        ..NewUser::default()
    };
    let without_zone = std::mem::take(&mut row.without_zone);
    let planned = PlannedUser { id, new, key: row.key, is_address, reported: row.reported };
    (planned, without_zone)
}

/// A name or an address that is allowed; another is kept aside.
fn identity<T>(
    row: &mut Row<'_>,
    field: &'static str,
    parse: fn(String) -> Result<T, chatstore_model::InvalidName>,
) -> Option<T> {
    let text = row.text(field)?;
    match parse(text) {
        Ok(identity) => Some(identity),
        Err(error) => {
            let problem = format!("{} {error}", quoted(row.value(field)));
            row.report(Some(field), problem, "the user has none; it is in metadata.source");
            if !row.source.contains_key(field) {
                row.keep(field);
            }
            None
        }
    }
}

/// A hash whose form is known. Anything else may be a password, so it is shown and kept nowhere.
fn password_hash(row: &mut Row<'_>) -> Option<PasswordHash> {
    let hash = match row.value("hashed_password") {
        ForeignValue::Null => return None,
        ForeignValue::Text(text) => PasswordHash::known(text),
        ForeignValue::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then(PasswordHash::known),
        _ => None,
    };
    if hash.is_none() {
        let done = "left out; the user cannot log in with a password until a new one is set";
        row.report(Some("hashed_password"), "it is no hash of a known form", done);
    }
    hash
}

/// Whose conversation a row is, when its user is known.
pub(super) enum OwnerKey<'r> {
    /// Nobody's, or somebody's who is gone.
    Nobody,
    /// The user's with this number, made then.
    Numbered(&'r ForeignValue, &'r ForeignValue),
    /// The user's with this address; whether the user is in their table.
    Addressed { is_there: bool },
}

/// A conversation, made at the time of the row before when nothing else is said.
pub(super) fn conversation(
    schema: Schema,
    layout: &Layout,
    values: &[ForeignValue],
    owner: &OwnerKey<'_>,
    before: Timestamp,
) -> (PlannedConversation, Vec<&'static str>) {
    let is_thread = schema == Schema::Pakton;
    let key_field = if is_thread { "thread_id" } else { "id" };
    let mut row = Row::new(layout, values, key_field);
    let (created_at, updated_at) = (row.time("created_at"), row.time("updated_at"));
    let made = created_at.or(updated_at).unwrap_or(before);
    if created_at.is_none() && *row.value("created_at") == ForeignValue::Null {
        row.report(Some("created_at"), "it is null", format!("taken from the rows around it: {made}"));
    }
    row.keep(key_field);
    let owner = match owner {
        OwnerKey::Numbered(id, at) => {
            row.keep("user_id");
            Owner::Known(user_id(id, at))
        }
        OwnerKey::Nobody => nobodys(&mut row, if is_thread { "user_email" } else { "user_id" }),
        OwnerKey::Addressed { is_there } => addressed(&mut row, *is_there, made),
    };
    let owner_name = match &owner {
        Owner::Known(id) => *id,
        Owner::Addressed(user) => user.id,
    };
    let own = shown(row.value(if is_thread { "thread_id" } else { "uuid" }));
    let owner_name = owner_name.uuid();
    let kind = format!("{} conversation", schema.as_str());
    let parts = [kind.as_bytes(), owner_name.as_bytes(), row.key.as_bytes(), own.as_bytes()];
    let derived = ConversationId::from_uuid(derived(&parts));
    let (id, thread_id) = match schema {
        Schema::Pakton => (derived, thread_id(&mut row, "thread_id")),
        Schema::ChatApp => match uuid(&mut row) {
            Some(id) => (ConversationId::from_uuid(id), None),
            None => (derived, thread_id(&mut row, "uuid")),
        },
    };
    let new = NewConversation {
        id: Some(id),
        thread_id,
        title: row.text_within("title", limits::TITLE),
        default_model: row.filled_text("default_model", limits::MODEL),
        last_message: row.text_within("last_message", limits::LAST_MESSAGE),
        created_at: Some(made),
        updated_at: Some(updated_at.unwrap_or(made).max(made)),
        metadata: row.metadata(),
    };
    let without_zone = std::mem::take(&mut row.without_zone);
    let (key, reported) = (row.key, row.reported);
    (PlannedConversation { owner, new, id, derived, key, is_thread, reported }, without_zone)
}

fn nobodys(row: &mut Row<'_>, field: &'static str) -> Owner {
    if *row.value(field) != ForeignValue::Null {
        row.keep(field);
        let problem = format!("there is no user {}", quoted(row.value(field)));
        row.report(Some(field), problem, "it belongs to anonymous");
    }
    Owner::Known(UserId::ANONYMOUS)
}

/// Whoever has the address. Someone who is not in their table is made, because the conversation is
/// found by the address all the same.
fn addressed(row: &mut Row<'_>, is_there: bool, made: Timestamp) -> Owner {
    let address = shown(row.value("user_email"));
    let email = Email::new(address.clone()).ok();
    if email.is_none() && !is_there {
        return nobodys(row, "user_email");
    }
    if !is_there {
        let problem = format!("there is no user {}", quoted(row.value("user_email")));
        row.report(Some("user_email"), problem, "the user is made");
    }
    let id = addressed_id(&address);
    let source = serde_json::json!({ "source": { "email": address.replace('\0', "\u{fffd}") } });
    let new = NewUser {
        id: Some(id),
        email,
        created_at: Some(made),
        metadata: Json::new(source).unwrap_or_else(|_| Json::object()),
        ..NewUser::default()
    };
    Owner::Addressed(Box::new(PlannedUser { id, new, key: address, is_address: true, reported: Vec::new() }))
}

/// A UUID in any spelling; the text is kept aside.
fn uuid(row: &mut Row<'_>) -> Option<Uuid> {
    row.keep("uuid");
    let found = match row.value("uuid") {
        ForeignValue::Text(text) => Uuid::try_parse(text.trim()).ok(),
        ForeignValue::Bytes(bytes) => Uuid::from_slice(bytes).ok(),
        _ => None,
    };
    let usable = found.filter(|uuid| !uuid.is_nil());
    if usable.is_none() {
        let problem = format!("{} is no UUID", quoted(row.value("uuid")));
        row.report(Some("uuid"), problem, "it has an id made from its key; the text is in metadata.source");
    }
    usable
}

/// The application's own id, when it is one that can be asked for.
fn thread_id(row: &mut Row<'_>, field: &'static str) -> Option<String> {
    if *row.value(field) == ForeignValue::Null {
        return None;
    }
    let text = row.text(field)?;
    let new = NewConversation::thread(text);
    match new.validate() {
        Ok(()) => new.thread_id,
        Err(error) => {
            row.report(Some(field), error.to_string(), "it has no thread_id; the text is in metadata.source");
            None
        }
    }
}

/// What a message needs to know of the conversation around it.
pub(super) struct Around<'a> {
    pub(super) conversation: ConversationId,
    pub(super) default_model: Option<&'a str>,
    pub(super) server_model: &'a str,
    /// The time it has when it says none.
    pub(super) before: Timestamp,
}

/// A message; `responses` are the rows that belong to it.
pub(super) fn message(
    layouts: (&Layout, &Layout),
    values: &[ForeignValue],
    responses: &[&[ForeignValue]],
    around: &Around<'_>,
) -> (PlannedMessage, Vec<Reported>, Vec<(&'static str, &'static str)>) {
    let (layout, of_responses) = layouts;
    let mut row = Row::new(layout, values, "id");
    row.keep("id");
    let created_at = row.time_or("created_at", around.before);
    let key = row.key.clone();
    let id = if layout.place("uuid").is_some() { uuid(&mut row).map(MessageId::from_uuid) } else { None };
    let id = id.unwrap_or_else(|| derived_id(around.conversation, &key));
    let role = role(&mut row);
    let content = content(&mut row);
    let model = row.filled_text("model", limits::MODEL);
    let mut zones: Vec<(&'static str, &'static str)> = Vec::new();
    let mut response = None;
    let mut left_out = Vec::new();
    for values in responses {
        let mut below = Row::new(of_responses, values, "id");
        below.keep("id");
        let planned = self::response(&mut below, id, around, model.as_deref(), created_at);
        zones.extend(below.without_zone.iter().map(|column| ("responses", *column)));
        let aside = Value::Object(std::mem::take(&mut below.source));
        if role == MessageRole::Assistant && response.is_none() {
            row.source.insert("response".to_owned(), aside);
            response = Some(PlannedResponse { response: planned, reported: below.reported });
            continue;
        }
        let problem = if role == MessageRole::Assistant {
            format!("message {key} has another response")
        } else {
            format!("message {key} is of the role {}, not of a model", role.as_str())
        };
        below.report(Some("message_id"), problem, "kept in the message's metadata.source.responses");
        if let Some(last) = below.reported.last_mut() {
            last.left_out = true;
        }
        left_out.append(&mut below.reported);
        let whole = whole(of_responses, values);
        match row.source.entry("responses").or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(list) => list.push(whole),
            other => *other = whole,
        }
    }
    zones.extend(row.without_zone.iter().map(|column| ("messages", *column)));
    let metadata = row.metadata();
    let new = NewMessage {
        id: Some(id),
        model,
        metadata,
        created_at: Some(created_at),
        ..NewMessage::new(role, content)
    };
    let of = around.conversation;
    let planned = PlannedMessage { id, of, new, key, response, reported: row.reported };
    (planned, left_out, zones)
}

fn content(row: &mut Row<'_>) -> String {
    if *row.value("content") == ForeignValue::Null {
        row.report(Some("content"), "it is null", "stored as an empty text");
        row.source.insert("content".to_owned(), Value::Null);
        return String::new();
    }
    row.text("content").unwrap_or_default()
}

/// The role, from the words that are used for it.
fn role(row: &mut Row<'_>) -> MessageRole {
    let text = match row.value("role") {
        ForeignValue::Text(text) => text.as_str(),
        _ => "",
    };
    if let Some(role) = MessageRole::parse(text) {
        return role;
    }
    let role = match text.trim().to_lowercase().as_str() {
        "user" | "human" | "person" => MessageRole::User,
        "assistant" | "ai" | "bot" | "model" => MessageRole::Assistant,
        "tool" | "function" => MessageRole::Tool,
        "system" => MessageRole::System,
        "developer" => MessageRole::Developer,
        _ => MessageRole::Tool,
    };
    row.keep("role");
    let problem =
        format!("{} is none of system, developer, user, assistant, tool", quoted(row.value("role")));
    row.report(Some("role"), problem, format!("taken as {}; it is in metadata.source", role.as_str()));
    role
}

/// A response; its total is at least the sum of its parts.
fn response(
    row: &mut Row<'_>,
    message_id: MessageId,
    around: &Around<'_>,
    own_model: Option<&str>,
    before: Timestamp,
) -> Response {
    let (prompt, completion) = (row.count("tokens_prompt"), row.count("tokens_completion"));
    let mut total = row.count("tokens_total");
    let parts = prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)).min(limits::COUNT);
    if total.is_some_and(|total| total < parts) {
        row.keep("tokens_total");
        let problem = format!("it is below tokens_prompt + tokens_completion, {parts}");
        row.report(Some("tokens_total"), problem, "their sum is taken; it is in metadata.source");
        total = Some(parts);
    }
    if total.is_none() && prompt.is_some() && completion.is_some() {
        total = Some(parts);
    }
    let model_used = row.filled_text("model_used", limits::MODEL).unwrap_or_else(|| {
        let model = own_model.or(around.default_model).unwrap_or(around.server_model).to_owned();
        row.report(Some("model_used"), "it does not say which model", format!("taken as {model}"));
        model
    });
    Response {
        message_id,
        conversation_id: around.conversation,
        model_used,
        tokens_prompt: prompt,
        tokens_completion: completion,
        tokens_total: total,
        tokens_cached: None,
        completion_time_ms: row.count("completion_time_ms"),
        finish_reason: None,
        from_cache: false,
        created_at: row.time_or("created_at", before),
    }
}

/// Every column of a row that has no place of its own.
fn whole(layout: &Layout, values: &[ForeignValue]) -> Value {
    let columns = layout.table.columns.iter().zip(values);
    let shown = columns.map(|(column, value)| {
        let value = match value {
            ForeignValue::Null => Value::Null,
            ForeignValue::Int(number) => (*number).into(),
            ForeignValue::Bool(flag) => (*flag).into(),
            other => shown(other).replace('\0', "\u{fffd}").into(),
        };
        (column.name.clone(), value)
    });
    Value::Object(shown.collect())
}

/// Whether a row that is there already came from another row of theirs.
pub(super) fn is_anothers(metadata: &Json, key: &str, field: &str) -> bool {
    let source = metadata.value().get("source").and_then(|source| source.get(field));
    let named = match source {
        None | Some(Value::Null) => return false,
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    named != key
}

/// Whether two conversations say the same, as far as a thread's head goes.
pub(super) fn says_the_same(there: &Conversation, new: &NewConversation) -> bool {
    there.title == new.title && there.last_message == new.last_message
}
