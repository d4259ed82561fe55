//! Who sends a request. The first argument of every handler under `/api`, so that a client that is not
//! authenticated learns nothing else.

mod acting;
mod admin;
mod authenticate;
mod current;
mod key;
mod user;

pub(crate) use admin::{Admin, AdminInSession, CallerOrService};
pub use authenticate::ActingUser;
pub(crate) use authenticate::{ACTING_USER, sender};
pub(crate) use current::Caller;
pub(crate) use key::KeyHolder;
pub(crate) use user::{
    CredentialsRequired, CurrentUserBeforePasswordChange, OptionalUser, SelfManagedUser,
    UnauthenticatedClient, UserInSession,
};
