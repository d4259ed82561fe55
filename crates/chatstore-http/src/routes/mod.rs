//! Handlers, a file for each resource: request, answer, handler.

pub(crate) mod conversation_list;
pub(crate) mod conversations;
pub(crate) mod health;
pub(crate) mod message_list;
pub(crate) mod messages;
pub(crate) mod objects;
pub(crate) mod replies;
