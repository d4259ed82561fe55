//! Rows whose parents are gone.

use chatstore_sql::{Joined, Selection};

use crate::report::Issue;
use crate::source::row::shown;
use crate::source::sqlalchemy::SqlalchemyError;
use crate::source::sqlalchemy::reader::{Reader, known, order, select};
use crate::source::sqlalchemy::tables::Tables;

/// Reports messages without a conversation, and responses without a message. They were deleted together with
/// these, so they are not brought back.
pub(super) async fn read(reader: &mut Reader<'_>, tables: &Tables) -> Result<(), SqlalchemyError> {
    let (conversations, messages) = (tables.get("conversations"), tables.get("messages"));
    let responses = tables.get("responses");
    let conversation_of = |place: usize| Joined {
        table: &conversations.table,
        columns: Vec::new(),
        key: known(conversations, "id"),
        of: (place, known(messages, "conversation_id")),
    };
    let message_of_response = Joined {
        table: &messages.table,
        columns: Vec::new(),
        key: known(messages, "id"),
        of: (0, known(responses, "message_id")),
    };
    let without_conversation = Selection {
        columns: vec![known(messages, "id"), known(messages, "conversation_id")],
        joined: vec![conversation_of(0)],
        without: Some(1),
        ..select(messages, order(messages, 0, &["id"]))
    };
    leave_out(reader, "messages", "conversation", &without_conversation).await?;
    let without_message = Selection {
        columns: vec![known(responses, "id"), known(responses, "message_id")],
        joined: vec![message_of_response, conversation_of(1)],
        without: Some(2),
        ..select(responses, order(responses, 0, &["id"]))
    };
    leave_out(reader, "responses", "message", &without_message).await
}

async fn leave_out(
    reader: &mut Reader<'_>,
    table: &'static str,
    parent: &str,
    selection: &Selection<'_>,
) -> Result<(), SqlalchemyError> {
    let mut rows = reader.database.rows(selection).await?;
    while let Some(read) = rows.next().await? {
        for row in read {
            let problem = format!("its {parent} {} does not exist or is left out", shown(&row[1]));
            let issue = Issue::of_row(
                table,
                &shown(&row[0]),
                problem,
                "left out, because it was deleted together with it",
            );
            reader.import.report.issue(issue.in_column(selection.columns[1]).leaving_out());
        }
        reader.import.report.progress();
    }
    Ok(())
}
