//! Conversations, who is in them and what each may do.

use serde::Serialize;

use crate::field::METADATA;
use crate::keyword::keywords;
use crate::tree::MessageNameField;
use crate::{
    CanonicalJson, Change, ConversationId, FieldCode, FlagField, Invalid, JsonField, JsonFilter, JsonShape,
    KeywordField, NewHead, TextField, TextForm, Timestamp, UserId, Validate, Validator, limits,
};

/// The application's own id of a conversation.
pub const THREAD_ID: TextField =
    TextField::new("thread_id").at_least(1).at_most(limits::THREAD_ID).formed(TextForm::NoControls).about(
        "The application's own id, unique among the caller's conversations; without control characters.",
    );

/// How thread ids begin.
pub const THREAD_PREFIX: TextField =
    TextField::new("thread_prefix").at_least(1).at_most(limits::THREAD_ID).formed(TextForm::NoControls);

/// A part of titles.
pub const TITLE_PART: TextField = TextField::new("q").at_least(1).at_most(limits::TITLE);

/// The id that a conversation brings.
pub const CONVERSATION_ID: TextField<ConversationId> = TextField::new("id")
    .about("An id of the application's own: a UUID of any version, or a short id. For service keys.");

/// The title of a conversation.
pub const TITLE: TextField = TextField::new("title").at_most(limits::TITLE);

/// The default model of a conversation.
pub const DEFAULT_MODEL: TextField = TextField::new("default_model")
    .at_least(1)
    .at_most(limits::MODEL)
    .about("The model replies come from unless a message says otherwise.");

/// The preview of a conversation.
pub const LAST_MESSAGE: TextField = TextField::new("last_message")
    .at_most(limits::LAST_MESSAGE)
    .about("A preview, for applications that keep their messages elsewhere; the next message replaces it.");

/// Changes of the metadata of a conversation.
pub const METADATA_PATCH: JsonField = JsonField {
    name: "metadata_patch",
    about: "A JSON merge patch of the metadata (RFC 7396): keys are set, null removes one, what it does not name \
            stays. Not together with `metadata`; the result has the limit of `metadata`.",
    shape: JsonShape::Object { max_bytes: limits::METADATA_BYTES },
};

/// Whether a conversation is archived.
pub const ARCHIVED: FlagField = FlagField {
    name: "archived",
    about: "The owner's to change. Archived conversations are left out of lists unless they are asked for.",
};

/// The head of a conversation.
pub const HEAD: MessageNameField = MessageNameField {
    name: "head",
    about: "The owner's to change: the message at the end of the branch that is read and written, by its UUID, short id \
            or number, or the application's own id after `ext:`. An object `{\"under\": …}` names one of which the newest \
            message below becomes the head.",
};

/// The role of a member who is not the owner.
pub const MEMBER_ROLE: KeywordField<MemberRole> =
    KeywordField::new("role").about("An `editor` writes, a `viewer` reads.");

/// A conversation; its owner's id is part of its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conversation {
    /// Who owns it.
    pub owner_id: UserId,
    /// The id.
    #[serde(flatten, serialize_with = "crate::id::with_short_id")]
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
    /// When the newest message was created.
    pub last_message_at: Option<Timestamp>,
    /// Rises with every change, appends included.
    pub revision: i64,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it or its messages last changed.
    pub updated_at: Timestamp,
    /// When the owner archived it, if it is archived.
    pub archived_at: Option<Timestamp>,
    /// The number of the message at the end of the branch that is read and written, 0 when no message is left; `None`
    /// while the conversation never branched, whose head is its newest message.
    pub head_seq: Option<i64>,
}

/// A conversation to be created.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewConversation {
    /// The id, for imports that bring one; a new one is drawn when left out.
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
    pub metadata: CanonicalJson,
    /// The time, for imports that bring one; the store's clock when left out.
    pub created_at: Option<Timestamp>,
    /// When it last changed; the time of creation when left out.
    pub updated_at: Option<Timestamp>,
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
}

impl Validate for NewConversation {
    fn check(&self, validator: &mut Validator) {
        THREAD_ID.check(validator, self.thread_id.as_deref());
        TITLE.check(validator, self.title.as_deref());
        DEFAULT_MODEL.check(validator, self.default_model.as_deref());
        LAST_MESSAGE.check(validator, self.last_message.as_deref());
        METADATA.check(validator, Some(&self.metadata));
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
    pub metadata: Option<CanonicalJson>,
    /// Changes the metadata: a JSON merge patch (RFC 7396), an object. Not together with `metadata`.
    pub metadata_patch: Option<CanonicalJson>,
    /// Whether it is archived. Archiving an archived conversation keeps its time.
    pub archived: Option<bool>,
    /// Another head.
    pub head: Option<NewHead>,
}

impl ConversationPatch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The metadata of a conversation that has this metadata.
    ///
    /// # Errors
    /// [`Invalid`] when a merge patch makes it too large.
    pub fn metadata_after(&self, before: &CanonicalJson) -> Result<CanonicalJson, Invalid> {
        let Some(patch) = &self.metadata_patch else {
            return Ok(self.metadata.clone().unwrap_or_else(|| before.clone()));
        };
        let merged = before.merged(patch);
        let mut validator = Validator::default();
        METADATA_PATCH.check(&mut validator, Some(&merged));
        validator.finish().map(|()| merged)
    }

    /// Whether an editor may apply it: title, default model and metadata only.
    #[must_use]
    pub fn is_for_editors(&self) -> bool {
        let Self {
            thread_id,
            title: _,
            default_model: _,
            last_message,
            metadata: _,
            metadata_patch: _,
            archived,
            head,
        } = self;
        thread_id.is_keep() && last_message.is_keep() && archived.is_none() && head.is_none()
    }
}

impl Validate for ConversationPatch {
    fn check(&self, validator: &mut Validator) {
        THREAD_ID.check(validator, self.thread_id.as_deref());
        TITLE.check(validator, self.title.as_deref());
        DEFAULT_MODEL.check(validator, self.default_model.as_deref());
        LAST_MESSAGE.check(validator, self.last_message.as_deref());
        METADATA.check(validator, self.metadata.as_ref());
        METADATA_PATCH.check(validator, self.metadata_patch.as_ref());
        HEAD.check(validator, self.head.as_ref().map(NewHead::name));
        if self.metadata.is_some() && self.metadata_patch.is_some() {
            let message = "must not be given together with metadata";
            validator.wrong(METADATA_PATCH.name, FieldCode::NotAllowed, message);
        }
    }
}

keywords! {
    /// What a member who is not the owner may do.
    pub enum MemberRole {
        /// Reads and writes.
        Editor = "editor",
        /// Reads.
        Viewer = "viewer",
    }
}

keywords! {
    /// The caller's role in a conversation.
    pub enum ConversationRole {
        /// May do everything.
        Owner = "owner",
        /// Reads and writes.
        Editor = "editor",
        /// Reads.
        Viewer = "viewer",
    }
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
    /// Whether this role may append messages.
    #[must_use]
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Owner | Self::Editor)
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// The user's name.
    pub username: Option<String>,
    /// As what.
    pub role: ConversationRole,
    /// Since when; of the owner, when the conversation was created.
    pub joined_at: Timestamp,
}

keywords! {
    /// Whose conversations.
    #[derive(Default)]
    pub enum Membership {
        /// Owned and shared.
        #[default]
        All = "all",
        /// Only the user's own.
        Owned = "owned",
        /// Only others' in which the user is a member.
        Shared = "shared",
    }
}

keywords! {
    /// Whether archived conversations are meant.
    #[derive(Default)]
    pub enum ArchivedFilter {
        /// Only conversations that are not archived.
        #[default]
        Unarchived = "false",
        /// Only archived conversations.
        Archived = "true",
        /// Both.
        All = "all",
    }
}

/// Which of the conversations that a user can reach. The default leaves archived ones out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Owned, shared or both.
    pub membership: Membership,
    /// Whether archived ones are in it.
    pub archived: ArchivedFilter,
    /// Only those with one of these ids.
    pub ids: Option<Vec<ConversationId>>,
    /// Only those whose metadata contain this.
    pub metadata_contains: Option<JsonFilter>,
    /// Only those whose title contains this, where ASCII letters are the same in both cases.
    pub title_contains: Option<String>,
    /// Only those that changed at this time or later.
    pub updated_since: Option<Timestamp>,
}

impl ConversationFilter {
    /// Every conversation that the user can reach.
    pub const EVERYTHING: Self = Self {
        membership: Membership::All,
        archived: ArchivedFilter::All,
        ids: None,
        metadata_contains: None,
        title_contains: None,
        updated_since: None,
    };

    /// Whether conversations are compared one by one, or named by their ids.
    #[must_use]
    pub const fn compares(&self) -> bool {
        let Self { membership: _, archived: _, ids, metadata_contains, title_contains, updated_since } = self;
        ids.is_some() || metadata_contains.is_some() || title_contains.is_some() || updated_since.is_some()
    }
}

impl From<Membership> for ConversationFilter {
    fn from(membership: Membership) -> Self {
        Self { membership, ..Self::default() }
    }
}

keywords! {
    /// By what a list is sorted.
    #[derive(Default)]
    pub enum ConversationSort {
        /// By the last change. A conversation written to while one pages moves to the front.
        #[default]
        Activity = "updated_at",
        /// By creation: no row is skipped or repeated, whatever happens meanwhile.
        Creation = "created_at",
    }
}
