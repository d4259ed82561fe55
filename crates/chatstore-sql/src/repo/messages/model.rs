//! Which model counts for a message.

use std::collections::HashMap;

use chatstore_model::{Message, MessageRole, Order, effective_model};
use constcat::concat;
use serde_json::Value;

use super::Messages;
use super::row::MessageRow;
use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::repo::json_list;
use crate::repo::live::live_sender;

const NEWEST_USER_MODEL: Sql = Sql::same(
    "messages.newest_user_model",
    concat!(
        "select model from (select model, sender_id from messages \
         where owner_id = $1 and conversation_id = $2 and seq < $3 and role = 'user' order by seq desc limit 1) \
         as newest where ",
        live_sender!("sender_id")
    ),
);

const NEWEST_USER_MODELS_OF: &str = concat!(
    "select seq, (select model from (select model, sender_id from messages \
     where owner_id = $1 and conversation_id = $2 and seq < answers.seq and role = 'user' order by seq desc limit 1) \
     as newest where ",
    live_sender!("sender_id"),
    ") from "
);

const NEWEST_USER_MODELS: Sql = Sql::pair(
    "messages.newest_user_models",
    concat!(NEWEST_USER_MODELS_OF, "(select value as seq from json_each($3)) as answers"),
    concat!(
        NEWEST_USER_MODELS_OF,
        "(select value::bigint as seq from jsonb_array_elements_text($3)) as answers"
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[NEWEST_USER_MODEL, NEWEST_USER_MODELS];

impl<M> Messages<'_, '_, M> {
    /// The messages of rows of one conversation, all that it has between the first and the last or all of a path, in the
    /// order of the rows. A statement is needed only for an answer of unknown model whose question is none of them.
    pub(super) async fn with_models(
        &mut self,
        rows: Vec<MessageRow>,
        order: Order,
        conversation_default: Option<&str>,
    ) -> Result<Vec<Message>, StoreError> {
        // Of each row the model of the newest question up to it, as far as it is known.
        let mut known: HashMap<i64, Option<Option<String>>> = HashMap::new();
        let mut before: Option<Option<String>> = None;
        let is_tree = rows.iter().any(MessageRow::is_placed);
        let mut models = vec![String::new(); rows.len()];
        for place in 0..rows.len() {
            let index = match order {
                Order::Ascending => place,
                Order::Descending => rows.len() - 1 - place,
            };
            let row = &rows[index];
            let mut newest = match row.parent_seq {
                None => before,
                Some(0) => Some(None),
                Some(parent) => known.get(&parent).cloned().flatten(),
            };
            let mut asked = None;
            if row.role == MessageRole::User {
                newest = Some(row.model.clone());
            } else if row.is_answer_of_unknown_model() {
                if newest.is_none() {
                    newest = Some(self.newest_user_model(row).await?);
                }
                asked = newest.as_ref().and_then(Option::as_deref);
            }
            let default = self.0.default_model();
            models[index] =
                effective_model(row.model.as_deref(), asked, conversation_default, default).to_owned();
            if is_tree {
                known.insert(row.seq, newest.clone());
            }
            before = newest;
        }
        Ok(rows.into_iter().zip(models).map(|(row, model)| row.into_message(model)).collect())
    }

    /// The messages of rows of one conversation between which others were left out. A statement is needed only when
    /// there are answers of unknown model among them.
    pub(super) async fn with_models_of_each(
        &mut self,
        rows: Vec<MessageRow>,
        conversation_default: Option<&str>,
    ) -> Result<Vec<Message>, StoreError> {
        let mut asked = self.newest_user_models(&rows).await?;
        for row in rows.iter().filter(|row| row.is_placed() && row.is_answer_of_unknown_model()) {
            if let Some(model) = self.newest_user_model(row).await? {
                asked.insert(row.seq, model);
            }
        }
        let with_model = |row: MessageRow| {
            let model = asked.get(&row.seq).map(String::as_str);
            self.with_known_model(row, model, conversation_default)
        };
        Ok(rows.into_iter().map(with_model).collect())
    }

    /// The models of the newest questions before the answers of unknown model among these rows, by the numbers of the
    /// answers, of those that follow each other by number.
    async fn newest_user_models(&mut self, rows: &[MessageRow]) -> Result<HashMap<i64, String>, StoreError> {
        let answers = || rows.iter().filter(|row| !row.is_placed() && row.is_answer_of_unknown_model());
        let Some(first) = answers().next() else { return Ok(HashMap::new()) };
        let numbers = Value::Array(answers().map(|row| row.seq.into()).collect());
        let numbers = json_list(numbers)?;
        let values = [first.owner_id.into(), first.conversation_id.into(), (&numbers).into()];
        let read = |row: &Row<'_>| Ok((row.next()?, row.next()?));
        let found: Vec<(i64, Option<String>)> =
            self.0.executor.query(&NEWEST_USER_MODELS, &values, read).await?;
        Ok(found.into_iter().filter_map(|(seq, model)| Some((seq, model?))).collect())
    }

    /// The message of one row.
    pub(super) async fn with_model(
        &mut self,
        row: MessageRow,
        conversation_default: Option<&str>,
    ) -> Result<Message, StoreError> {
        let asked = match row.is_answer_of_unknown_model() {
            true => self.newest_user_model(&row).await?,
            false => None,
        };
        Ok(self.with_known_model(row, asked.as_deref(), conversation_default))
    }

    /// The message of a row, `asked` being the model of the newest question before an answer.
    pub(super) fn with_known_model(
        &self,
        row: MessageRow,
        asked: Option<&str>,
        conversation_default: Option<&str>,
    ) -> Message {
        with_known_model(row, asked, conversation_default, self.0.default_model())
    }

    /// The model of the newest question before this answer.
    pub(super) async fn newest_user_model(&mut self, row: &MessageRow) -> Result<Option<String>, StoreError> {
        if let Some(parent) = row.parent_seq {
            return self.newest_user_model_on_path(row.owner_id, row.conversation_id, parent).await;
        }
        if row.seq == 1 {
            return Ok(None);
        }
        let values = [row.owner_id.into(), row.conversation_id.into(), row.seq.into()];
        let found: Option<Option<String>> =
            self.0.executor.query_first(&NEWEST_USER_MODEL, &values, |row| row.next()).await?;
        Ok(found.flatten())
    }
}

/// The message of a row in a store with this default model.
pub(super) fn with_known_model(
    row: MessageRow,
    asked: Option<&str>,
    conversation_default: Option<&str>,
    store_default: &str,
) -> Message {
    let model = effective_model(row.model.as_deref(), asked, conversation_default, store_default).to_owned();
    row.into_message(model)
}
