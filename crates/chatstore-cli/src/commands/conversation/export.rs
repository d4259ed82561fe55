//! A conversation as a line of JSON, page by page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use chatstore::{
    AsUser, Branch, CanonicalJson, Conversation, Message, PageRequest, VerbatimJson, json_on_one_line,
};
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
    /// The turn that it follows, 0 for none; left out where it is the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<usize>,
}

impl<'m> Turn<'m> {
    fn new(message: &'m Message, parent: Option<usize>) -> Self {
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
            parent,
        }
    }
}

/// Prints a conversation with its messages; holds a page of them at a time, and the numbers of all if they have branches.
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
    let (mut separator, mut count) = ("", 0_usize);
    // Of messages with numbers the turns that they are, counted from 1.
    let mut turns: HashMap<i64, usize> = HashMap::new();
    loop {
        let page = chat.messages().page_of_branch(id, Branch::All, request, None).await?;
        for message in &page.items {
            count += 1;
            if conversation.head_seq.is_some() {
                turns.insert(message.seq, count);
            }
            let parent = message.parent_seq.map(|parent| turns.get(&parent).copied().unwrap_or(0));
            write!(output, "{separator}{}", json(&Turn::new(message, parent))?).map_err(failed)?;
            separator = ",";
        }
        let Some(after) = page.next else { break };
        request = PageRequest::oldest(PAGE).after(after.seq);
    }
    write!(output, "]").map_err(failed)?;
    if let Some(head) = conversation.head_seq {
        write!(output, ",\"head\":{}", turns.get(&head).copied().unwrap_or(0)).map_err(failed)?;
    }
    writeln!(output, "}}").and_then(|()| output.flush()).map_err(failed)
}

fn json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string(value)
        .map_err(|error| CliError::new(code::FAILED, format!("cannot write JSON: {error}")))?;
    Ok(match json_on_one_line(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(line) => line,
    })
}

fn failed(error: io::Error) -> CliError {
    CliError::new(code::DAMAGED, format!("cannot write to standard output: {error}"))
}
