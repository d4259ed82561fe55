//! Which model counts for a message.

use chatstore_model::{Message, MessageRole, effective_model};

use crate::db::Sql;
use crate::error::StoreError;
use crate::repo::messages::Messages;

const NEWEST_USER_MODEL: Sql = Sql::same(
    "messages.newest_user_model",
    "select model from messages \
     where owner_id = $1 and conversation_id = $2 and seq < $3 and role = 'user' order by seq desc limit 1",
);

pub(super) const STATEMENTS: &[Sql] = &[NEWEST_USER_MODEL];

impl<M> Messages<'_, '_, M> {
    /// Sets the effective model of messages that follow each other in one conversation, in ascending order.
    /// A statement is needed only when a model's message without a model of its own comes before the
    /// first person's.
    pub(super) async fn find_models(
        &mut self,
        messages: &mut [Message],
        conversation_default: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut newest_user_model: Option<Option<String>> = None;
        for message in messages {
            let asked = match message.role {
                MessageRole::User => {
                    newest_user_model = Some(message.model.clone());
                    None
                }
                MessageRole::Assistant if message.model.is_none() => {
                    if newest_user_model.is_none() {
                        newest_user_model = Some(self.newest_user_model(message).await?);
                    }
                    newest_user_model.as_ref().and_then(Option::as_deref)
                }
                _ => None,
            };
            self.set_model(message, asked, conversation_default);
        }
        Ok(())
    }

    /// Sets the effective model of a message, `asked` being that of the newest person's message before it.
    pub(super) fn set_model(
        &self,
        message: &mut Message,
        asked: Option<&str>,
        conversation_default: Option<&str>,
    ) {
        let own = message.model.as_deref();
        let model = effective_model(own, asked, conversation_default, self.0.default_model());
        message.effective_model = model.to_owned();
    }

    /// The model of the newest person's message before this one.
    async fn newest_user_model(&mut self, message: &Message) -> Result<Option<String>, StoreError> {
        if message.seq == 1 {
            return Ok(None);
        }
        let values = [message.owner_id.into(), message.conversation_id.into(), message.seq.into()];
        let found: Option<Option<String>> =
            self.0.executor.query_first(&NEWEST_USER_MODEL, &values, |row| row.next()).await?;
        Ok(found.flatten())
    }
}
