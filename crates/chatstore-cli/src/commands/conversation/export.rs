//! A conversation as a line of JSON, page by page.

use std::io::{self, BufWriter, Write};

use chatstore::{AsUser, CanonicalJson, Conversation, Message, PageRequest, VerbatimJson};
use serde::Serialize;

use crate::error::{CliError, code};

/// Messages that are read at a time.
const PAGE: u16 = 200;

/// What comes before the turns.
#[derive(Serialize)]
struct Head {
    id: String,
    thread_id: Option<String>,
    title: Option<String>,
    model: Option<String>,
    created_at: String,
    updated_at: String,
    metadata: CanonicalJson,
}

#[derive(Serialize)]
struct Turn<'m> {
    role: &'static str,
    content: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<&'m VerbatimJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_count: Option<i64>,
    used_documents: &'m CanonicalJson,
    metadata: &'m CanonicalJson,
    created_at: String,
}

impl<'m> From<&'m Message> for Turn<'m> {
    fn from(message: &'m Message) -> Self {
        Self {
            role: message.role.as_str(),
            content: &message.content,
            parts: message.parts.as_ref(),
            format: message.format.as_deref(),
            external_id: message.external_id.as_deref(),
            model: message.model.as_deref(),
            token_count: message.token_count,
            used_documents: &message.used_documents,
            metadata: &message.metadata,
            created_at: message.created_at.to_string(),
        }
    }
}

/// Prints a conversation with its messages; holds a page of them at a time.
pub(super) async fn print_line(chat: &AsUser<'_>, conversation: Conversation) -> Result<(), CliError> {
    let mut output = BufWriter::new(io::stdout());
    let id = conversation.id;
    let head = Head {
        id: id.to_string(),
        thread_id: conversation.thread_id,
        title: conversation.title,
        model: conversation.default_model,
        created_at: conversation.created_at.to_string(),
        updated_at: conversation.updated_at.to_string(),
        metadata: conversation.metadata,
    };
    let head = json(&head)?;
    let head = head.strip_suffix('}').unwrap_or(&head);
    write!(output, "{head},\"turns\":[").map_err(failed)?;
    let mut request = PageRequest::oldest(PAGE);
    let mut separator = "";
    loop {
        let page = chat.messages().page(id, request).await?;
        for message in &page.items {
            write!(output, "{separator}{}", json(&Turn::from(message))?).map_err(failed)?;
            separator = ",";
        }
        let Some(after) = page.next else { break };
        request = PageRequest::oldest(PAGE).after(after);
    }
    writeln!(output, "]}}").and_then(|()| output.flush()).map_err(failed)
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(value)
        .map_err(|error| CliError::new(code::FAILED, format!("cannot write JSON: {error}")))
}

fn failed(error: io::Error) -> CliError {
    CliError::new(code::DAMAGED, format!("cannot write to standard output: {error}"))
}
