//! Registration and login.

use chatstore_model::{
    Email, IntoValid, NewRefreshToken, NewSession, NewUser, PasswordHash, SessionId, Timestamp, User, UserId,
    UserName,
};
use chatstore_sql::{StoreError, Tx, WriteTx};
use uuid::Uuid;

use super::{Auth, IDLE, Tokens};
use crate::error::{Error, Result};
use crate::limit::LoginAccount;
use crate::password::{Password, Permit, Verification};
use crate::security_event::SecurityEvent;
use crate::token::{AccessClaims, RefreshText, TokenKeys};

/// The name a user logs in with. Where it may mean several users, the password is tried for each: the one who is known to
/// have the address comes before one who claims it, and both before one who has it as a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginName {
    /// A user name; also an e-mail address, when it has an `@`.
    Username(String),
    /// An e-mail address.
    Email(String),
}

impl LoginName {
    fn text(&self) -> &str {
        match self {
            Self::Username(text) | Self::Email(text) => text,
        }
    }
}

type Found = (User, Option<PasswordHash>);

/// Those whom a name may mean.
struct Candidates {
    /// The one who is known to have the address.
    verified: Option<Found>,
    /// The one who claims the address, or has it as a name.
    others: Vec<Found>,
    /// How many passwords are tried at least: as many as one address may have in this store. So their number tells
    /// nothing about the name.
    tries: usize,
}

impl Candidates {
    /// Finds them. Whether there are any changes nothing about what is done to find out.
    async fn find<M>(tx: &mut Tx<'_, M>, name: &LoginName) -> std::result::Result<Self, StoreError> {
        let (named, may_be_an_address) = match name {
            LoginName::Email(_) => (None, true),
            LoginName::Username(name) => {
                (tx.passwords().find_by_username(name).await?, UserName::key_of(name).contains('@'))
            }
        };
        if !may_be_an_address {
            return Ok(Self { verified: None, others: named.into_iter().collect(), tries: 1 });
        }
        let mut found = tx.passwords().find_by_email(name.text()).await?;
        found.extend(named.filter(|(named, _)| found.iter().all(|(user, _)| user.id != named.id)));
        let is_verified = |(user, _): &Found| {
            let key = user.email.as_deref().map(Email::key_of);
            user.email_verified_at.is_some() && key == Some(Email::key_of(name.text()))
        };
        let verified = found.iter().position(is_verified).map(|place| found.remove(place));
        let tries = if tx.passwords().have_both_kinds_of_addresses().await? { 2 } else { 1 };
        Ok(Self { verified, others: found, tries })
    }

    /// The user whom the log names when no password is right.
    fn first(&self) -> Option<UserId> {
        self.verified.iter().chain(&self.others).map(|(user, _)| user.id).next()
    }

    /// The passwords to try, in order, `None` where there is none: the verified one has a place of its own, so that the
    /// time of another's login does not tell whether there is one.
    fn into_tries(self) -> Vec<Option<(UserId, PasswordHash)>> {
        let verified = self.verified.and_then(password_to_try);
        let others: Vec<_> = self.others.into_iter().filter_map(password_to_try).collect();
        let mut tries = Vec::with_capacity(others.len() + 1);
        if verified.is_some() || others.len() < self.tries {
            tries.push(verified);
        }
        tries.extend(others.into_iter().map(Some));
        tries.resize(tries.len().max(self.tries), None);
        tries
    }
}

/// The hash of a user who may log in with a password.
fn password_to_try((user, hash): Found) -> Option<(UserId, PasswordHash)> {
    let may_log_in = user.is_active && user.id != UserId::ANONYMOUS;
    hash.filter(|_| may_log_in).map(|hash| (user.id, hash))
}

impl Auth<'_> {
    /// Creates a user who can log in, without any role but `user`, whatever `new` says. Counts for the address
    /// as a failed login does.
    ///
    /// # Errors
    /// `Invalid`, also for a password that is too short, too long or common; `AlreadyExists` with field
    /// `username` or `email`; `LimitReached`; `Overloaded`; `Forbidden` where passwords are switched off.
    pub async fn register(self, new: impl IntoValid<NewUser>, password: Password) -> Result<User> {
        self.require_local_passwords()?;
        self.count_address().await?;
        let new = new.into_valid()?.as_registration();
        let permit = self.permit()?;
        let user = self.store.users().insert_with_permit(new, password, &permit).await?;
        SecurityEvent::USER_REGISTERED.note(self.store, Some(user.id));
        Ok(user)
    }

    /// Starts a session. A hash of an older kind is replaced by one of today's.
    ///
    /// Whether the name is unknown, the password is wrong, or the user is disabled or has no password, cannot
    /// be told from the answer, nor from the time it takes.
    ///
    /// # Errors
    /// `InvalidCredentials`; `LimitReached` after too many failures of the account from this address, or too many
    /// logins of the address; `Overloaded` when too many passwords are being checked; `Internal` without token keys;
    /// `Forbidden` where passwords are switched off.
    pub async fn login(self, name: LoginName, password: Password) -> Result<Tokens> {
        self.require_local_passwords()?;
        self.count_login(Box::pin(self.authenticate(name, password))).await
    }

    async fn authenticate(&self, name: LoginName, password: Password) -> Result<Tokens> {
        let permit = self.permit()?;
        let found = self.find(&name).await?;
        let account = LoginAccount::of(found.first(), name.text());
        let work = Box::pin(async {
            if !self.has_to_wait(&account).await? {
                return self.authenticate_as(name, password, permit, found).await;
            }
            // Others use its place meanwhile.
            drop(permit);
            self.wait_for_slow_login().await;
            let permit = self.permit()?;
            let found = self.find(&name).await?;
            self.authenticate_as(name, password, permit, found).await
        });
        self.count_for_account(&account, work).await
    }

    async fn authenticate_as(
        &self,
        name: LoginName,
        password: Password,
        permit: Permit,
        mut found: Candidates,
    ) -> Result<Tokens> {
        // Another login of the user may have replaced an older hash of the same password since it was read.
        for _ in 0..2 {
            if let Some(tokens) = self.start_session_once(&password, &permit, found).await? {
                SecurityEvent::LOGIN_SUCCEEDED.note_in(self.store, tokens.user.id, tokens.session_id);
                return Ok(tokens);
            }
            found = self.find(&name).await?;
        }
        SecurityEvent::LOGIN_FAILED.note(self.store, None);
        Err(Error::invalid_credentials())
    }

    async fn find(&self, name: &LoginName) -> Result<Candidates> {
        let name = name.clone();
        Ok(self.store.read("login_find", async move |tx| Candidates::find(tx, &name).await).await?)
    }

    /// Starts a session; `None` when the user was changed since the password was checked.
    async fn start_session_once(
        &self,
        password: &Password,
        permit: &Permit,
        candidates: Candidates,
    ) -> Result<Option<Tokens>> {
        let keys = self.identity().keys()?;
        let named = candidates.first();
        let mut tries = candidates.into_tries();
        let hashes = tries.iter().map(|user| user.as_ref().map(|(_, hash)| hash.clone())).collect();
        let right = permit.find_right(password.clone(), hashes).await?;
        let right = right.and_then(|(place, verification)| Some((tries.swap_remove(place)?, verification)));
        let Some(((user, hash), verification)) = right else {
            SecurityEvent::LOGIN_FAILED.note(self.store, named);
            return Err(Error::invalid_credentials());
        };
        let replacement = match verification {
            Verification::NeedsRehash => {
                Some(permit.hash(password.clone(), &self.store.database.ids()).await?)
            }
            _ => None,
        };
        let is_upgrade = replacement.is_some();
        let tokens = self.start_session(keys, user, hash, replacement).await?;
        if is_upgrade && tokens.is_some() {
            SecurityEvent::PASSWORD_UPGRADED.note(self.store, Some(user));
        }
        Ok(tokens)
    }

    /// Starts a session of a user, unless the password was changed or the user disabled since it was checked.
    async fn start_session(
        &self,
        keys: &TokenKeys,
        user: UserId,
        verified: PasswordHash,
        replacement: Option<PasswordHash>,
    ) -> Result<Option<Tokens>> {
        let (now, ids) = (self.store.now(), self.store.database.ids());
        let session_id = SessionId::from_uuid(ids.uuid(now));
        let refresh = RefreshText::first(user, session_id, &ids);
        let access_jti = ids.uuid(now);
        let expires_at = now.plus(IDLE);
        let new = NewSession {
            id: session_id,
            access_jti,
            user_agent: self.origin.user_agent.clone(),
            ip: self.origin.address.map(|address| address.to_canonical().to_string()),
            expires_at,
        };
        let token = NewRefreshToken { token_hash: refresh.hash, expires_at };
        let begin = async move |tx: &mut WriteTx<'_>| -> Result<Option<User>> {
            let Some((found, Some(hash))) = tx.passwords().lock(user).await? else { return Ok(None) };
            if !found.is_active || hash != verified {
                return Ok(None);
            }
            if let Some(replacement) = &replacement {
                tx.passwords().replace(user, &verified, replacement).await?;
            }
            tx.sessions().begin(user, &new, &token).await?;
            Ok(Some(found))
        };
        let Some(user) = self.store.write("login", begin).await? else { return Ok(None) };
        Ok(Some(tokens(keys, user, &refresh, access_jti, now, expires_at)))
    }
}

/// The tokens of a session.
pub(super) fn tokens(
    keys: &TokenKeys,
    user: User,
    refresh: &RefreshText,
    access_jti: Uuid,
    now: Timestamp,
    refresh_expires_at: Timestamp,
) -> Tokens {
    let claims = AccessClaims::new(user.id, refresh.session, access_jti, now).beside(refresh.counter);
    Tokens {
        access_token: keys.access_token(&claims),
        access_expires_at: claims.expires_at,
        refresh_token: refresh.text.clone(),
        refresh_expires_at,
        session_id: refresh.session,
        user,
    }
}

#[cfg(test)]
mod tests {
    use chatstore_model::{CanonicalJson, UserRole};

    use super::*;

    fn found(number: u128, has_password: bool) -> Found {
        let user = User {
            id: UserId::from_uuid(Uuid::from_u128(number)),
            username: None,
            email: None,
            email_verified_at: None,
            full_name: None,
            role: UserRole::User,
            is_active: true,
            must_change_password: false,
            metadata: CanonicalJson::object(),
            created_at: Timestamp::MIN,
            updated_at: Timestamp::MIN,
            external_namespace: None,
            external_id: None,
        };
        (user, has_password.then(|| PasswordHash::made("hash".to_owned())))
    }

    /// Who is tried, in order, by number; 0 where nobody is.
    fn tried(verified: Option<Found>, others: Vec<Found>, tries: usize) -> Vec<u128> {
        let tried = Candidates { verified, others, tries }.into_tries();
        tried.iter().map(|user| user.as_ref().map_or(0, |(id, _)| id.uuid().as_u128())).collect()
    }

    #[test]
    fn as_many_passwords_are_tried_whoever_has_or_claims_an_address() {
        for has_verified in [false, true] {
            for has_claiming in [false, true] {
                let verified = || Some(found(1, has_verified));
                let others = || vec![found(2, has_claiming)];
                assert_eq!(tried(verified(), others(), 2).len(), 2);
                assert_eq!(tried(None, others(), 2).len(), 2);
                assert_eq!(tried(verified(), Vec::new(), 2).len(), 2);
            }
        }
        assert_eq!(tried(None, Vec::new(), 2), [0, 0]);
        assert_eq!(tried(None, Vec::new(), 1), [0]);
        assert_eq!(tried(Some(found(1, false)), vec![found(2, true)], 1), [2]);
        assert_eq!(tried(Some(found(1, true)), vec![found(2, false)], 1), [1]);
    }

    #[test]
    fn the_one_who_claims_an_address_is_tried_second_whether_or_not_it_is_verified() {
        assert_eq!(tried(Some(found(1, true)), vec![found(2, true)], 2), [1, 2]);
        assert_eq!(tried(Some(found(1, false)), vec![found(2, true)], 2), [0, 2]);
        assert_eq!(tried(None, vec![found(2, true)], 2), [0, 2]);
        assert_eq!(tried(Some(found(1, true)), vec![found(2, true), found(3, true)], 2), [1, 2, 3]);
    }
}
