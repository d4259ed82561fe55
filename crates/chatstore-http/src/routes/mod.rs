//! Handlers, a file for each resource: request, answer, handler.

pub(crate) mod auth;
pub(crate) mod conversation_list;
pub(crate) mod conversations;
pub(crate) mod docs;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod me;
pub(crate) mod members;
pub(crate) mod message_list;
pub(crate) mod messages;
pub(crate) mod objects;
pub(crate) mod own_keys;
pub(crate) mod people;
pub(crate) mod replies;
pub(crate) mod sessions;
pub(crate) mod threads;
pub(crate) mod usage;
pub(crate) mod user_keys;
pub(crate) mod user_list;
pub(crate) mod users;
