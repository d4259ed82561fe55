//! What SQL cannot do to the rows of a database that is upgraded.

use std::fmt::Write as _;

use chatstore_migrate::{DatabaseError, DatabaseErrorKind, Dialect, StepAnswer, StepConnection, TextRow};
use chatstore_model::{CanonicalJson, Duplicates};

/// Messages that are read together: their parts were 1 MiB each at most.
const BATCH: usize = 64;

/// The parts of messages were `jsonb` on PostgreSQL, which spells them in its own way, and become text: the text that
/// both databases gave as an answer, in which keys are sorted and nothing is between the tokens.
pub(super) fn write_parts_canonically<'a>(connection: &'a mut StepConnection<'_>) -> StepAnswer<'a> {
    Box::pin(async move {
        if connection.dialect() == Dialect::Postgres {
            // Backslashes in the texts below are nothing but backslashes.
            connection.execute("set local standard_conforming_strings = on").await?;
        }
        let mut after = None;
        let mut rewritten = 0;
        loop {
            let rows = connection.query(&select(connection.dialect(), after.as_ref())).await?;
            let mut updates = String::new();
            for row in &rows {
                let message = MessageParts::of(row)?;
                let Ok(canonical) = CanonicalJson::parse_stored(message.parts, Duplicates::LastCounts) else {
                    // JSON of other programs that both databases hold as it is.
                    continue;
                };
                if canonical.as_str() != message.parts {
                    updates += &message.update(connection.dialect(), canonical.as_str());
                    rewritten += 1;
                }
            }
            if !updates.is_empty() {
                connection.execute(&updates).await?;
                connection.report(rewritten);
            }
            match rows.into_iter().nth(BATCH - 1) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    })
}

/// Reads the next messages that have parts, in the order of their key.
fn select(dialect: Dialect, after: Option<&TextRow>) -> String {
    let id = |column: &str| match dialect {
        Dialect::Sqlite => format!("lower(hex({column}))"),
        Dialect::Postgres => format!("{column}::text"),
    };
    let mut sql = format!(
        "select {}, {}, cast(seq as text), parts from messages where parts is not null",
        id("owner_id"),
        id("conversation_id")
    );
    if let Some([Some(owner), Some(conversation), Some(seq), ..]) = after.map(Vec::as_slice) {
        let (owner, conversation) = (id_literal(dialect, owner), id_literal(dialect, conversation));
        // Writing to a string does not fail.
        let _ = write!(sql, " and (owner_id, conversation_id, seq) > ({owner}, {conversation}, {seq})");
    }
    // By the columns: PostgreSQL would take a bare name for what is selected, which is text.
    let _ = write!(sql, " order by messages.owner_id, messages.conversation_id, messages.seq limit {BATCH}");
    sql
}

fn id_literal(dialect: Dialect, id: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!("x'{id}'"),
        Dialect::Postgres => format!("'{id}'"),
    }
}

/// A message with its parts.
struct MessageParts<'r> {
    owner: &'r str,
    conversation: &'r str,
    seq: &'r str,
    parts: &'r str,
}

impl<'r> MessageParts<'r> {
    fn of(row: &'r TextRow) -> Result<Self, DatabaseError> {
        match row.as_slice() {
            [Some(owner), Some(conversation), Some(seq), Some(parts)] => {
                Ok(Self { owner, conversation, seq, parts })
            }
            _ => Err(DatabaseError::new(DatabaseErrorKind::Corrupt, "a message without a key")),
        }
    }

    fn update(&self, dialect: Dialect, parts: &str) -> String {
        let Self { owner, conversation, seq, parts: _ } = self;
        format!(
            "update messages set parts = '{}' where owner_id = {} and conversation_id = {} and seq = {seq};\n",
            parts.replace('\'', "''"),
            id_literal(dialect, owner),
            id_literal(dialect, conversation)
        )
    }
}
