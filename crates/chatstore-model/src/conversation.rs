//! Conversations, who is in them and what each may do.

use crate::{Change, ConversationId, FieldCode, Invalid, Json, Timestamp, UserId, Validator, limits};

/// A conversation; its owner's id is part of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Who owns it.
    pub owner_id: UserId,
    /// The id.
    pub id: ConversationId,
    /// The application's own id, unique among the owner's conversations.
    pub thread_id: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The model replies come from unless a message says otherwise.
    pub default_model: Option<String>,
    /// The number of the newest message ever appended; numbers are never used again.
    pub last_seq: i64,
    /// How many messages there are.
    pub message_count: i64,
    /// The beginning of the newest message, or what the application set.
    pub last_message: Option<String>,
    /// When the newest message was made.
    pub last_message_at: Option<Timestamp>,
    /// Rises with every change, appends included.
    pub revision: i64,
    /// The application's own data, an object.
    pub metadata: Json,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or its messages last changed.
    pub updated_at: Timestamp,
}

/// A conversation to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConversation {
    /// The id, for imports that bring one; a new one is made when left out.
    pub id: Option<ConversationId>,
    /// The application's own id.
    pub thread_id: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The model replies come from unless a message says otherwise.
    pub default_model: Option<String>,
    /// A preview set by an application that stores no messages.
    pub last_message: Option<String>,
    /// The application's own data, an object.
    pub metadata: Json,
    /// The time, for imports that bring one; the store's clock when left out.
    pub created_at: Option<Timestamp>,
    /// When it last changed; when made, when left out.
    pub updated_at: Option<Timestamp>,
}

impl Default for NewConversation {
    fn default() -> Self {
        Self {
            id: None,
            thread_id: None,
            title: None,
            default_model: None,
            last_message: None,
            metadata: Json::object(),
            created_at: None,
            updated_at: None,
        }
    }
}

impl NewConversation {
    /// A conversation with a title and nothing else.
    #[must_use]
    pub fn titled(title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..Self::default() }
    }

    /// A conversation with the application's own id and nothing else.
    #[must_use]
    pub fn thread(thread_id: impl Into<String>) -> Self {
        Self { thread_id: Some(thread_id.into()), ..Self::default() }
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        check(&mut validator, "thread_id", self.thread_id.as_ref());
        check(&mut validator, "title", self.title.as_ref());
        check(&mut validator, "default_model", self.default_model.as_ref());
        check(&mut validator, "last_message", self.last_message.as_ref());
        validator.metadata(&self.metadata);
        validator.finish()
    }
}

/// Changes of a conversation; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConversationPatch {
    /// Another id of the application.
    pub thread_id: Change<String>,
    /// Another title.
    pub title: Change<String>,
    /// Another default model.
    pub default_model: Change<String>,
    /// Another preview, until the next append replaces it.
    pub last_message: Change<String>,
    /// Replaces the metadata whole.
    pub metadata: Option<Json>,
}

impl ConversationPatch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an editor may apply it: title, default model and metadata only.
    #[must_use]
    pub fn is_for_editors(&self) -> bool {
        self.thread_id.is_keep() && self.last_message.is_keep()
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        check(&mut validator, "thread_id", self.thread_id.value());
        check(&mut validator, "title", self.title.value());
        check(&mut validator, "default_model", self.default_model.value());
        check(&mut validator, "last_message", self.last_message.value());
        if let Some(metadata) = &self.metadata {
            validator.metadata(metadata);
        }
        validator.finish()
    }
}

fn check(validator: &mut Validator, field: &str, text: Option<&String>) {
    let Some(text) = text else { return };
    match field {
        "thread_id" => {
            validator.filled_text(field, text, limits::THREAD_ID);
            if text.chars().any(|character| character.is_control() && character != '\0') {
                validator.wrong(field, FieldCode::InvalidFormat, "must not contain control characters");
            }
        }
        "default_model" => validator.filled_text(field, text, limits::MODEL),
        "title" => validator.text(field, text, limits::TITLE),
        _ => validator.text(field, text, limits::LAST_MESSAGE),
    }
}

/// The role of a member who is not the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberRole {
    /// Reads and writes.
    Editor,
    /// Reads.
    Viewer,
}

/// The role of someone in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationRole {
    /// May do everything.
    Owner,
    /// Reads and writes.
    Editor,
    /// Reads.
    Viewer,
}

impl From<MemberRole> for ConversationRole {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Editor => Self::Editor,
            MemberRole::Viewer => Self::Viewer,
        }
    }
}

impl ConversationRole {
    /// The role as shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the shown form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Owner, Self::Editor, Self::Viewer].into_iter().find(|role| role.as_str() == text)
    }

    /// Whether this role may append messages.
    #[must_use]
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Owner | Self::Editor)
    }
}

impl MemberRole {
    /// The role as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ConversationRole::from(self).as_str()
    }

    /// Reads the stored form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Editor, Self::Viewer].into_iter().find(|role| role.as_str() == text)
    }
}

/// Whose conversation it is that a user reached, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The owner, whose id every further statement is given.
    pub owner_id: UserId,
    /// What the user is there.
    pub role: ConversationRole,
}

/// Someone in a conversation; the owner is one without having been added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// The user's name.
    pub username: Option<String>,
    /// As what.
    pub role: ConversationRole,
    /// Since when; of the owner, when the conversation was made.
    pub joined_at: Timestamp,
}

/// Which conversations of a user a list holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Membership {
    /// Owned and shared.
    #[default]
    All,
    /// Only his own.
    Owned,
    /// Only others' in which he is a member.
    Shared,
}

/// By what a list of conversations is sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ConversationSort {
    /// By the last change. A conversation written to while one pages moves to the front.
    #[default]
    Activity,
    /// By creation: no row is skipped or repeated, whatever happens meanwhile.
    Creation,
}
