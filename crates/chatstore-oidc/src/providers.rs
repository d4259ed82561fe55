//! The providers that a store trusts.

use std::sync::Arc;

use chatstore::Timestamp;
use chatstore::auth::{IdentityFuture, IdentityProvider, ProviderUnavailable, VerifiedToken};

use crate::fetch::{Client, FetchError};
use crate::issuer::Issuer;
use crate::provider::Provider;
use crate::roles::RoleRules;
use crate::token::{Refusal, Unverified};

/// Providers at most; a token is compared with the URL of each.
const MAX_PROVIDERS: usize = 16;

/// Which tokens are accepted.
#[derive(Debug, Clone)]
pub struct ProviderOptions {
    /// Whose; 1 to 16.
    pub issuers: Vec<Issuer>,
    /// For whom: a token has to have one of these audiences.
    pub audiences: Vec<String>,
    /// Which of their claims give a role; the same for each issuer.
    pub roles: RoleRules,
}

/// Why there cannot be such providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProvidersError {
    /// None, or more than 16.
    #[error("there must be 1 to 16 issuers")]
    Issuers,
    /// A token for any service would be accepted.
    #[error("there must be an audience, or a token for any other service would be accepted")]
    Audience,
    /// Of the system, without which no provider can prove who it is.
    #[error(
        "there are no trusted certificates; install those of the system, or name a file of them in SSL_CERT_FILE"
    )]
    NoCertificates,
}

/// The answer of a provider that was asked for its keys.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Who was asked.
    pub issuer: Issuer,
    /// How many keys can be used, or why there are none.
    pub keys: Result<usize, FetchError>,
}

/// The providers that a store trusts. Cheap to clone; the clones share the keys.
#[derive(Debug, Clone)]
pub struct Providers(Arc<Trusted>);

#[derive(Debug)]
struct Trusted {
    providers: Vec<Arc<Provider>>,
    audiences: Vec<String>,
    roles: RoleRules,
}

impl Providers {
    /// Providers that are asked for their keys at their first token.
    ///
    /// # Errors
    /// [`ProvidersError`].
    pub fn new(options: ProviderOptions) -> Result<Self, ProvidersError> {
        let ProviderOptions { issuers, audiences, roles } = options;
        if !(1..=MAX_PROVIDERS).contains(&issuers.len()) {
            return Err(ProvidersError::Issuers);
        }
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            return Err(ProvidersError::Audience);
        }
        let needs_roots = issuers.iter().any(|issuer| !issuer.is_plain());
        let client = Client::new(needs_roots).map_err(|_| ProvidersError::NoCertificates)?;
        let provider = |issuer| Arc::new(Provider::new(issuer, client.clone()));
        let providers = issuers.into_iter().map(provider).collect();
        Ok(Self(Arc::new(Trusted { providers, audiences, roles })))
    }

    /// Fetches the keys of all providers, so that no first request has to wait for them. What goes wrong is logged; the
    /// next token tries again. Must be called inside a Tokio runtime.
    pub async fn warm_up(&self, now: Timestamp) {
        for provider in &self.0.providers {
            // The provider logs why.
            let _ = provider.keys(now, |_| true).await;
        }
    }

    /// Asks each provider for its keys, one after the other; nothing else changes.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut probes = Vec::with_capacity(self.0.providers.len());
        for provider in &self.0.providers {
            probes.push(Probe { issuer: provider.issuer().clone(), keys: provider.probe().await });
        }
        probes
    }

    async fn find(&self, token: &str, now: Timestamp) -> Result<Option<VerifiedToken>, ProviderUnavailable> {
        let Some(token) = Unverified::parse(token) else { return Ok(None) };
        let mut providers = self.0.providers.iter();
        let Some(provider) = providers.find(|provider| provider.issuer().as_str() == token.issuer()) else {
            return Ok(None);
        };
        match self.verify_of(provider, &token, now).await? {
            Ok(verified) => Ok(Some(verified)),
            Err(refusal) => {
                tracing::debug!(issuer = %provider.issuer(), %refusal, "a token of an identity provider is refused");
                Ok(None)
            }
        }
    }

    async fn verify_of(
        &self,
        provider: &Arc<Provider>,
        token: &Unverified<'_>,
        now: Timestamp,
    ) -> Result<Result<VerifiedToken, Refusal>, ProviderUnavailable> {
        let (id, algorithm) = match token.key() {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let keys = provider.keys(now, |keys| keys.find(id, algorithm).is_some()).await?;
        let Some(key) = keys.find(id, algorithm) else { return Ok(Err(Refusal::UnknownKey)) };
        Ok(token.verify(key, provider.issuer(), &self.0.audiences, &self.0.roles, now))
    }
}

impl IdentityProvider for Providers {
    fn verify<'a>(&'a self, token: &'a str, now: Timestamp) -> IdentityFuture<'a> {
        Box::pin(self.find(token, now))
    }
}
