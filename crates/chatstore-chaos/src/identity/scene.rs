//! A user who logs in and carries sessions on, in a store whose clock stands still until it is moved.

use std::sync::Arc;

use chatstore::auth::{LoginName, Password, Tokens};
use chatstore::{ErrorKind, Store, User};
use chatstore_bench::error::Error;
use chatstore_testkit::TestClock;

use super::place::{PASSWORD, Place, member};

const USER: &str = "tester";

pub(super) struct Scene {
    pub(super) clock: Arc<TestClock>,
    pub(super) store: Store,
    pub(super) user: User,
    pub(super) violations: Vec<String>,
}

impl Scene {
    pub(super) async fn open(place: &Place) -> Result<Self, Error> {
        let clock = Arc::new(TestClock::default());
        let store = place.open_at(&clock).await?;
        let user = member(&store, USER).await?;
        Ok(Self { clock, store, user, violations: Vec::new() })
    }

    pub(super) async fn login(&self) -> Result<Tokens, Error> {
        let name = LoginName::Username(USER.to_owned());
        Ok(self.store.auth().login(name, Password::new(PASSWORD)).await?)
    }

    pub(super) async fn exchange(&self, tokens: &Tokens) -> Result<Tokens, Error> {
        Ok(self.store.auth().refresh(&tokens.refresh_token).await?)
    }

    /// Shows a token that must be refused.
    pub(super) async fn refused(&mut self, what: &str, tokens: &Tokens) {
        match self.store.auth().refresh(&tokens.refresh_token).await {
            Err(error) if error.kind() == ErrorKind::InvalidCredentials => {}
            Ok(_) => self.violations.push(format!("{what} was exchanged")),
            Err(error) => self.violations.push(format!("{what}: {error}")),
        }
    }
}
