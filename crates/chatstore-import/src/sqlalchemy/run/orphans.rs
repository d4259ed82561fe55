//! Rows whose parents are gone.

use chatstore_sql::{ForeignDatabase, Joined, Selection};

use super::{Import, known, order};
use crate::sqlalchemy::layout::Layouts;
use crate::sqlalchemy::row::shown;
use crate::sqlalchemy::{Event, Reported, SqlalchemyError};

impl<W: FnMut(Event)> Import<'_, W> {
    /// Messages without a conversation, and responses without a message. Whoever deleted the
    /// one meant the other as well, so they are not brought back.
    pub(super) async fn orphans(
        &mut self,
        database: &mut ForeignDatabase,
        layouts: &Layouts,
    ) -> Result<(), SqlalchemyError> {
        let (conversations, messages) = (layouts.get("conversations"), layouts.get("messages"));
        let responses = layouts.get("responses");
        let of_messages = Joined {
            table: &conversations.table,
            columns: Vec::new(),
            key: known(conversations, "id"),
            of: (0, known(messages, "conversation_id")),
        };
        let selection = Selection {
            table: &messages.table,
            columns: vec![known(messages, "id"), known(messages, "conversation_id")],
            joined: vec![of_messages],
            without: Some(1),
            order: order(messages, 0, &["id"]),
            identified: Vec::new(),
        };
        self.orphans_of("messages", "conversation", database, &selection).await?;
        let of_responses = vec![
            Joined {
                table: &messages.table,
                columns: Vec::new(),
                key: known(messages, "id"),
                of: (0, known(responses, "message_id")),
            },
            Joined {
                table: &conversations.table,
                columns: Vec::new(),
                key: known(conversations, "id"),
                of: (1, known(messages, "conversation_id")),
            },
        ];
        let selection = Selection {
            table: &responses.table,
            columns: vec![known(responses, "id"), known(responses, "message_id")],
            joined: of_responses,
            without: Some(2),
            order: order(responses, 0, &["id"]),
            identified: Vec::new(),
        };
        self.orphans_of("responses", "message", database, &selection).await
    }

    async fn orphans_of(
        &mut self,
        table: &'static str,
        parent: &str,
        database: &mut ForeignDatabase,
        selection: &Selection<'_>,
    ) -> Result<(), SqlalchemyError> {
        let mut rows = database.rows(selection).await?;
        while let Some(piece) = rows.next().await? {
            for row in piece {
                self.tally.leave_out(Reported {
                    table,
                    key: Some(shown(&row[0])),
                    column: Some(selection.columns[1].to_owned()),
                    problem: format!("its {parent} {} is not there, or is left out", shown(&row[1])),
                    done: "left out: it was deleted with it".to_owned(),
                    left_out: true,
                });
            }
            self.tally.progress();
        }
        Ok(())
    }
}
