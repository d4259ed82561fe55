//! What the benchmarks read and write, through the store and through the bare drivers.

use chatstore_model::Limit;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// A user's message.
    Append,
    /// A model's message with response and usage.
    Reply,
}

impl WriteKind {
    /// The model of a reply, which the application names.
    pub(crate) const MODEL: &'static str = "model-large";
    pub(crate) const TOKENS_PROMPT: i64 = 900;
    pub(crate) const TOKENS_COMPLETION: i64 = 70;
    pub(crate) const COMPLETION_TIME_MS: i64 = 1_200;
    pub(crate) const FINISH_REASON: &'static str = "stop";

    /// The experiment's name.
    pub(crate) const fn experiment(self) -> &'static str {
        match self {
            Self::Append => "w1",
            Self::Reply => "w2",
        }
    }

    /// What it is, for the table.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Append => "append a message",
            Self::Reply => "record a reply",
        }
    }
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadKind {
    /// The newest messages of a conversation.
    Page,
    /// The most recent conversations of a user.
    List,
}

impl ReadKind {
    /// The experiment's name.
    pub(crate) const fn experiment(self) -> &'static str {
        match self {
            Self::Page => "r1",
            Self::List => "r2",
        }
    }

    /// What it is, for the table.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Page => "newest 50 messages",
            Self::List => "20 recent conversations",
        }
    }

    /// How many rows are read.
    pub(crate) fn limit(self) -> Limit {
        let rows = match self {
            Self::Page => 50,
            Self::List => 20,
        };
        Limit::new(rows).unwrap_or_default()
    }
}
