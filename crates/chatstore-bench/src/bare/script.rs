//! Scripts for `pgbench` that do what the store does: its statement, with `pgbench`'s variables as
//! parameters.

use chatstore_bench::data::dialect::{CONVERSATION_PREFIX, FIRST_NUMBER, USER_PREFIX};
use chatstore_bench::data::{Scale, content};
use chatstore_bench::drivers::statement;
use chatstore_bench::error::Error;
use chatstore_model::preview;

use crate::kinds::WriteKind;

/// A script and the variables it is started with.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) variables: Vec<(&'static str, String)>,
}

/// The message's id out of a counter and the number of the client: new ids lie behind older ones,
/// as the store's do.
const MESSAGE_ID: &str = "(:counter::text || (1000000000000000 + :client_id)::text)::uuid";

const NOW: &str = "now()";
const NULL_TEXT: &str = "null::text";
const NULL_NUMBER: &str = "null::bigint";

impl Script {
    /// The script for one kind of write on the data of `scale`.
    ///
    /// # Errors
    /// When the store's statement has another number of parameters than it had.
    pub(crate) fn of(kind: WriteKind, scale: Scale) -> Result<Self, Error> {
        let owner = format!("('{USER_PREFIX}' || :owner::text)::uuid");
        let conversation = format!("('{CONVERSATION_PREFIX}' || :conversation::text)::uuid");
        let (name, values) = match kind {
            WriteKind::Append => ("messages.append_own", append_values(&owner, &conversation)),
            WriteKind::Reply => ("replies.record", reply_values(&owner, &conversation)),
        };
        let statement = with_values(statement(name)?.postgres(), &values)?;
        let text = format!(
            "\\set number random(0, {last})\n\
             \\set owner :number % {users} + {FIRST_NUMBER}\n\
             \\set conversation :number + {FIRST_NUMBER}\n\
             \\set counter :counter + 1\n\
             {statement};\n",
            last = scale.conversations() - 1,
            users = scale.users(),
        );
        Ok(Self { text, variables: variables() })
    }
}

fn variables() -> Vec<(&'static str, String)> {
    let content = content();
    let text = |text: &str| text.to_owned();
    vec![
        ("preview", text(preview(&content))),
        ("content", content),
        ("used_documents", text("[]")),
        ("metadata", text("{}")),
        ("role", text("user")),
        ("model", text(WriteKind::MODEL)),
        ("tokens_prompt", WriteKind::TOKENS_PROMPT.to_string()),
        ("tokens_completion", WriteKind::TOKENS_COMPLETION.to_string()),
        ("tokens_total", (WriteKind::TOKENS_PROMPT + WriteKind::TOKENS_COMPLETION).to_string()),
        ("completion_time_ms", WriteKind::COMPLETION_TIME_MS.to_string()),
        ("finish_reason", text(WriteKind::FINISH_REASON)),
    ]
}

fn append_values<'v>(owner: &'v str, conversation: &'v str) -> Vec<&'v str> {
    vec![
        ":preview::text",
        NOW,
        owner,
        conversation,
        MESSAGE_ID,
        "null::uuid",
        ":role::text",
        ":content::text",
        NULL_TEXT,
        NULL_TEXT,
        NULL_NUMBER,
        ":used_documents::jsonb",
        ":metadata::jsonb",
        NULL_TEXT,
        NULL_TEXT,
    ]
}

fn reply_values<'v>(owner: &'v str, conversation: &'v str) -> Vec<&'v str> {
    vec![
        ":preview::text",
        NOW,
        owner,
        conversation,
        MESSAGE_ID,
        ":content::text",
        NULL_TEXT,
        ":model::text",
        NULL_NUMBER,
        ":used_documents::jsonb",
        ":metadata::jsonb",
        NULL_TEXT,
        NULL_TEXT,
        ":model::text",
        ":tokens_prompt::bigint",
        ":tokens_completion::bigint",
        ":tokens_total::bigint",
        NULL_NUMBER,
        ":completion_time_ms::bigint",
        ":finish_reason::text",
        "false",
        "date_trunc('day', now(), 'UTC')",
    ]
}

/// Puts the values in the places of `$1`, `$2` …
fn with_values(statement: &str, values: &[&str]) -> Result<String, Error> {
    if statement.contains(&format!("${}", values.len() + 1))
        || !statement.contains(&format!("${}", values.len()))
    {
        return Err(format!("a statement has not {} parameters any more: {statement}", values.len()).into());
    }
    let mut text = statement.to_owned();
    // From the last on, because $1 is the beginning of $12.
    for (index, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", index + 1), value);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_gets_its_value() {
        let values = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let text = with_values("$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $1", &values).unwrap();
        assert_eq!(text, "a b c d e f g h i j a");
        assert!(with_values("$1 $2", &["a"]).is_err());
        assert!(with_values("$1", &["a", "b"]).is_err());
    }

    #[test]
    fn both_scripts_fit_the_statements_of_the_store() {
        for kind in [WriteKind::Append, WriteKind::Reply] {
            let script = Script::of(kind, Scale::Small).unwrap();
            assert!(!script.text.contains('$'), "{}", script.text);
        }
    }
}
