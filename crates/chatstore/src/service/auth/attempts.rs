//! How often logins may be tried.
//!
//! The address is looked at first, and an address that tries too often is refused before anything else is done for it.
//! Once the account is known, failures count for it, by whatever name it was called, from this address: that of another
//! one locks nobody out. Failures from everywhere only make an account slower, and not for those who have a session
//! from their address.

use std::pin::Pin;
use std::time::Duration;

use chatstore_model::UserId;
use tokio::time::sleep;

use super::Auth;
use crate::error::{Error, ErrorKind, Result};
use crate::limit::{ClientNetwork, LimitKey, LoginAccount, Permission, Quota};
use crate::security_event::SecurityEvent;

/// How long a login to an account waits that failed too often from everywhere.
const SLOW_LOGIN: Duration = Duration::from_secs(2);

/// What is counted. In a box, because a future that is passed on is stored once by each who passes it on.
type Work<F> = Pin<Box<F>>;

impl Auth<'_> {
    /// Fails when the address has tried too often. Nothing is counted: it is for a look before a request is read.
    ///
    /// # Errors
    /// `LimitReached`.
    pub async fn check_address(&self) -> Result<()> {
        let now = self.store.now();
        for (key, quota) in self.address_counts() {
            if let Permission::Refused { retry_after } = self.identity().limiter.peek(&key, quota, now).await
            {
                SecurityEvent::LOGIN_LIMITED.note(self.store, None);
                return Err(Error::limit_reached(retry_after));
            }
        }
        Ok(())
    }

    /// Counts something that may be done as often as a login may fail, and counts always.
    pub(super) async fn count_address(&self) -> Result<()> {
        self.take_all(&self.address_counts()).await
    }

    /// Does what fails for want of the right password, and counts it for the address. Places are taken before, so that
    /// attempts at the same moment are counted too. What succeeds counts less, what was not tried not at all.
    pub(super) async fn count_login<T>(&self, work: Work<impl Future<Output = Result<T>>>) -> Result<T> {
        let counts = self.address_counts();
        self.take_all(&counts).await?;
        let outcome = work.await;
        let [failures, logins] = counts_to_keep(&outcome, self.network());
        for (counted, is_kept) in counts.iter().zip([failures, logins]) {
            if !is_kept {
                self.give_back(counted).await;
            }
        }
        outcome
    }

    /// Does the same for an account that is known, and counts it for the account from this address.
    pub(super) async fn count_for_account<T>(
        &self,
        account: &LoginAccount,
        work: Work<impl Future<Output = Result<T>>>,
    ) -> Result<T> {
        let Some(quota) = self.identity().account_quota() else { return work.await };
        let outcome = self.counted(LimitKey::login_from(account, self.network()), quota, work).await;
        if let (true, Some(quota)) = (is_wrong(&outcome), self.identity().everywhere_quota()) {
            // Beyond the quota it makes no difference how many more there were.
            let _counted =
                self.identity().limiter.take(&LimitKey::login(account), quota, self.store.now()).await;
        }
        outcome
    }

    /// Does something for a user who is logged in and shows the password again.
    pub(super) async fn count_confirmation<T>(
        &self,
        user: UserId,
        work: Work<impl Future<Output = Result<T>>>,
    ) -> Result<T> {
        let Some(quota) = self.identity().account_quota() else { return work.await };
        self.counted(LimitKey::confirmation(user, self.network()), quota, work).await
    }

    /// Whether a login to this account has to wait: it failed too often, and the address is not one of its own.
    pub(super) async fn has_to_wait(&self, account: &LoginAccount) -> Result<bool> {
        let Some(quota) = self.identity().everywhere_quota() else { return Ok(false) };
        let failures = self.identity().limiter.peek(&LimitKey::login(account), quota, self.store.now()).await;
        if failures.is_granted() {
            return Ok(false);
        }
        // For a name that no user has, as much is done.
        let user = match account {
            LoginAccount::User(user) => *user,
            LoginAccount::Unknown(_) => UserId::ANONYMOUS,
        };
        let known =
            self.store.read("login_addresses", async move |tx| tx.sessions().addresses(user).await).await?;
        let network = self.network();
        let is_own = |address: &String| ClientNetwork::of(address.parse().ok()) == network;
        Ok(!(network.is_known() && known.iter().any(is_own)))
    }

    /// Waits before a login to an account that failed too often.
    pub(super) async fn wait_for_slow_login(&self) {
        sleep(SLOW_LOGIN).await;
    }

    /// By what the client is told apart from others.
    pub(super) fn network(&self) -> ClientNetwork {
        ClientNetwork::of(self.origin.address)
    }

    /// What is counted for the address: failures, then all logins.
    fn address_counts(&self) -> Vec<(LimitKey, Quota)> {
        let network = self.network();
        let failures = self.identity().address_quota().map(|quota| (LimitKey::failures_of(network), quota));
        let logins = self.identity().logins_quota().map(|quota| (LimitKey::logins_of(network), quota));
        failures.into_iter().chain(logins).collect()
    }

    async fn counted<T>(
        &self,
        key: LimitKey,
        quota: Quota,
        work: Work<impl Future<Output = Result<T>>>,
    ) -> Result<T> {
        let count = [(key, quota)];
        self.take_all(&count).await?;
        let outcome = work.await;
        if !is_wrong(&outcome) {
            self.give_back(&count[0]).await;
        }
        outcome
    }

    /// Takes a place of each, or none.
    async fn take_all(&self, counts: &[(LimitKey, Quota)]) -> Result<()> {
        for (index, (key, quota)) in counts.iter().enumerate() {
            let permission = self.identity().limiter.take(key, *quota, self.store.now()).await;
            if let Permission::Refused { retry_after } = permission {
                for taken in &counts[..index] {
                    self.give_back(taken).await;
                }
                SecurityEvent::LOGIN_LIMITED.note(self.store, None);
                return Err(Error::limit_reached(retry_after));
            }
        }
        Ok(())
    }

    async fn give_back(&self, (key, quota): &(LimitKey, Quota)) {
        self.identity().limiter.give_back(key, *quota).await;
    }
}

/// Whether the password was wrong.
fn is_wrong<T>(outcome: &Result<T>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidCredentials)
}

/// Whether an outcome stays counted as a failure of the address, and as a login. Of clients whose address is not known
/// only the failures count: they may be all there are.
fn counts_to_keep<T>(outcome: &Result<T>, network: ClientNetwork) -> [bool; 2] {
    match outcome {
        Ok(_) => [false, network.is_known()],
        Err(_) => [is_wrong(outcome); 2],
    }
}
