//! What comes with messages when it is asked for.

use chatstore::{AsUser, Error, Keyword, Message};
use utoipa::IntoParams;

use crate::query::{FromParameters, Parameters};
use crate::routes::responses::Included;
use crate::schema::Word;

/// What comes with messages.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncludeQuery {
    /// Separated by commas. `documents` for the documents that `used_documents` refers to: each entry
    /// `{"document_id": …}` has its document as `document`, or null if it was deleted. A maximum of 200 documents, and of
    /// 2 MiB; entries beyond have no `document`. `response` for what is known about the models' answers: each message has
    /// it as `response`, or null. `siblings` for the ids of the messages that follow the same one, each among them, by
    /// number; each message has `parent_id` then too.
    #[param(value_type = Option<Vec<IncludeWord>>, style = Form, explode = false, min_items = 1, inline)]
    include: Vec<Include>,
}

/// What messages can be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    Documents,
    Response,
    Siblings,
}

impl Keyword for Include {
    const NAME: &'static str = "IncludeWithMessages";
    const ABOUT: &'static str = "What messages can be answered with.";
    const ALL: &'static [Self] = &[Self::Documents, Self::Response, Self::Siblings];

    fn as_str(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Response => "response",
            Self::Siblings => "siblings",
        }
    }
}

type IncludeWord = Word<Include>;

impl FromParameters for IncludeQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self { include: parameters.words("include") }
    }
}

impl IncludeQuery {
    /// Whether anything was asked for.
    pub(crate) const fn is_given(&self) -> bool {
        !self.include.is_empty()
    }

    /// What was asked for with these messages of one conversation, and what they follow: a statement for each.
    pub(crate) async fn read(&self, chat: AsUser<'_>, messages: &[Message]) -> Result<Included, Error> {
        self.with_messages().read(chat, messages).await
    }

    /// What was asked for.
    pub(crate) fn with_messages(&self) -> WithMessages {
        WithMessages {
            documents: self.include.contains(&Include::Documents),
            response: self.include.contains(&Include::Response),
            siblings: self.include.contains(&Include::Siblings),
        }
    }
}

/// What messages are to come with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WithMessages {
    pub(crate) documents: bool,
    pub(crate) response: bool,
    pub(crate) siblings: bool,
}

impl WithMessages {
    /// Reads what these messages of one conversation come with: a statement for each kind.
    pub(crate) async fn read(self, chat: AsUser<'_>, messages: &[Message]) -> Result<Included, Error> {
        let documents = match self.documents {
            true => Some(chat.referenced_documents(messages).await?),
            false => None,
        };
        let responses = match self.response {
            true => Some(chat.responses_behind(messages).await?),
            false => None,
        };
        let family = chat.family(messages, self.siblings).await?;
        Ok(Included { documents, responses, family })
    }
}
