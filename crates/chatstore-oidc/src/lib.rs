//! Access tokens of identity providers (OpenID Connect) as credentials of a store.
//!
//! [`Providers`] implements [`IdentityProvider`](chatstore::auth::IdentityProvider): it finds the provider that a token
//! names among those it trusts, fetches the keys that the provider publishes, and verifies signature and claims.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use chatstore::Store;
//! use chatstore_oidc::{ProviderOptions, Providers};
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ProviderOptions {
//!     issuers: vec!["https://id.example.org/realms/staff".parse()?],
//!     audiences: vec!["chatstore".to_owned()],
//!     roles: "admin:groups=chat-admins".parse()?,
//! };
//! let store = Store::builder("sqlite://chat.db")
//!     .identity_provider(Arc::new(Providers::new(options)?))
//!     .create_users(true)
//!     .connect()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What to know
//! - A token has to be a JWT with one of three algorithms (RS256, ES256, EdDSA with Ed25519), of one of the issuers and
//!   for one of the audiences. Its key has to be one of the provider's for this very algorithm.
//! - Keys are fetched at the first token and again when they are ten minutes old, beside the requests that use them. An
//!   unknown key makes them be fetched at once, no more often than once a minute. While the provider does not answer,
//!   they are used for up to a day.
//! - Fetching takes 5 seconds at most and reads 256 KiB of each of two documents at most, over `https` (`http` only
//!   from this machine itself), directly and without redirects.
//! - The crate knows tokens and keys, no users: who a token's person is here, the store decides.

mod fetch;
mod issuer;
mod keys;
mod provider;
mod providers;
mod roles;
mod token;

pub use fetch::FetchError;
pub use issuer::{InvalidIssuer, Issuer};
pub use providers::{Probe, ProviderOptions, Providers, ProvidersError};
pub use roles::{InvalidRoleRules, RoleRules};
