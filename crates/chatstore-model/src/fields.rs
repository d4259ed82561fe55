//! The fields of requests, each described once: checks, messages and the API's description follow from it.

use crate::{
    ApiKeyScope, CountField, Email, FlagField, JsonField, JsonShape, KeywordField, ListField, MemberRole,
    MessageRole, TextField, TextForm, Timestamp, UserName, UserRole, limits,
};

/// The application's own id of a conversation.
pub const THREAD_ID: TextField =
    TextField::new("thread_id").at_least(1).at_most(limits::THREAD_ID).formed(TextForm::NoControls).about(
        "The application's own id, unique among the caller's conversations; without control characters.",
    );

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

/// The application's own data.
pub const METADATA: JsonField = JsonField {
    name: "metadata",
    about: "The application's own data, at most 64 KiB as JSON.",
    shape: JsonShape::Object { max_bytes: limits::METADATA_BYTES },
};

/// The role of a member who is not the owner.
pub const MEMBER_ROLE: KeywordField<MemberRole> =
    KeywordField::new("role").about("An `editor` writes, a `viewer` reads.");

/// The role of a message.
pub const MESSAGE_ROLE: KeywordField<MessageRole> =
    KeywordField::new("role").about("Who speaks. An editor may post `user` only.");

/// The text of a message.
pub const CONTENT: TextField = TextField::new("content").about("The text; may be empty.");

/// The structured content of a message.
pub const PARTS: JsonField =
    JsonField { name: "parts", about: "Structured content, kept untouched.", shape: JsonShape::Objects };

/// The model of a message.
pub const MODEL: TextField = TextField::new("model")
    .at_least(1)
    .at_most(limits::MODEL)
    .about("The model asked for, or the one that answered.");

/// The tokens of a message.
pub const TOKEN_COUNT: CountField = CountField { name: "token_count", about: "Tokens of the content." };

/// The documents of a message.
pub const USED_DOCUMENTS: JsonField = JsonField {
    name: "used_documents",
    about: "Documents the message drew on: texts or objects.",
    shape: JsonShape::TextsAndObjects { max_items: limits::USED_DOCUMENTS },
};

/// Messages that are appended together.
pub const MESSAGES: ListField = ListField { name: "messages", item: "message", min: 1, max: limits::BATCH };

/// The model of a response.
pub const MODEL_USED: TextField = TextField::new("model_used").at_least(1).at_most(limits::MODEL).about(
    "The model that answered. When left out: the reply's `model`, else that of the newest message of the role\n\
     `user` before it, else the conversation's default, else the server's.",
);

/// The tokens that a model read.
pub const TOKENS_PROMPT: CountField = CountField { name: "tokens_prompt", about: "" };

/// The tokens that a model wrote.
pub const TOKENS_COMPLETION: CountField = CountField { name: "tokens_completion", about: "" };

/// The tokens that are billed.
pub const TOKENS_TOTAL: CountField = CountField {
    name: "tokens_total",
    about: "When left out, prompt and completion together, if both are known; never smaller than that.",
};

/// The tokens among those read that came from a cache.
pub const TOKENS_CACHED: CountField =
    CountField { name: "tokens_cached", about: "Tokens read from the provider's cache." };

/// How long a model took.
pub const COMPLETION_TIME_MS: CountField = CountField { name: "completion_time_ms", about: "" };

/// Why a model stopped.
pub const FINISH_REASON: TextField =
    TextField::new("finish_reason").at_least(1).at_most(limits::MODEL).about("Why the model stopped.");

/// Whether a response came from a cache.
pub const FROM_CACHE: FlagField =
    FlagField { name: "from_cache", about: "Whether the answer came from a cache instead of a model." };

/// The name of a user.
pub const USERNAME: TextField<UserName> = TextField::new("username")
    .at_least(limits::USERNAME_MIN)
    .at_most(limits::USERNAME)
    .about("Without control, zero-width and private-use characters; unique however it is spelled.");

/// The e-mail address of a user.
pub const EMAIL: TextField<Email> = TextField::new("email")
    .at_least(limits::EMAIL_MIN)
    .at_most(limits::EMAIL)
    .formed(TextForm::Address)
    .about("Unique however it is spelled.");

/// A new password.
pub const PASSWORD: TextField = TextField::new("password")
    .at_least(limits::PASSWORD_MIN)
    .at_most(limits::PASSWORD)
    .formed(TextForm::Password)
    .about("At most 1,024 bytes; not a common one.");

/// The full name of a person.
pub const FULL_NAME: TextField = TextField::new("full_name").at_most(limits::FULL_NAME);

/// The role of a user.
pub const USER_ROLE: KeywordField<UserRole> = KeywordField::new("role");

/// Whether a user may log in and act.
pub const IS_ACTIVE: FlagField = FlagField { name: "is_active", about: "" };

/// Whether a user must change the password before anything else.
pub const MUST_CHANGE_PASSWORD: FlagField = FlagField { name: "must_change_password", about: "" };

/// The name of an API key.
pub const KEY_NAME: TextField =
    TextField::new("name").at_least(1).at_most(limits::KEY_NAME).about("What its owner calls it.");

/// When an API key expires.
pub const EXPIRES_AT: TextField<Timestamp> =
    TextField::new("expires_at").formed(TextForm::Time).about("When it ends; never when left out.");

/// For whom an API key speaks.
pub const KEY_SCOPE: KeywordField<ApiKeyScope> = KeywordField::new("scope").about(
    "`user` speaks for the user; `service` for every user that a request names, and belongs to an\nadministrator.",
);

/// What the client of a session calls itself.
pub const USER_AGENT: TextField = TextField::new("user_agent").at_most(limits::USER_AGENT);

/// The address that a session is begun from.
pub const IP: TextField = TextField::new("ip").at_most(limits::USER_AGENT);
