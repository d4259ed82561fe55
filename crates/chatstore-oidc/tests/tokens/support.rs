use chatstore::Timestamp;
use chatstore::auth::{IdentityProvider as _, ProviderUnavailable, VerifiedToken};
use chatstore_oidc::{ProviderOptions, Providers};
use chatstore_testkit::provider::{SigningKey, TestProvider};

/// 2026-03-01T12:00:00Z in seconds.
pub(crate) const NOW: i64 = 1_772_366_400;
pub(crate) const AUDIENCE: &str = "chatstore";

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microseconds(seconds * 1_000_000).unwrap()
}

/// A provider with one key, and what trusts it.
pub(crate) struct Scene {
    pub(crate) provider: TestProvider,
    pub(crate) key: SigningKey,
    pub(crate) providers: Providers,
}

impl Scene {
    pub(crate) fn with(key: SigningKey) -> Self {
        let provider = TestProvider::start(&[&key]).unwrap();
        let options = ProviderOptions {
            issuers: vec![provider.issuer().parse().unwrap()],
            audiences: vec![AUDIENCE.to_owned(), "other-name-of-chatstore".to_owned()],
            roles: "admin:groups=chat-admins".parse().unwrap(),
        };
        Self { provider, key, providers: Providers::new(options).unwrap() }
    }

    pub(crate) fn new() -> Self {
        Self::with(SigningKey::eddsa("first"))
    }

    /// A token that is valid now.
    pub(crate) fn token(&self) -> String {
        self.key.token(&self.provider.claims("7", AUDIENCE, NOW))
    }

    pub(crate) async fn verify_at(
        &self,
        token: &str,
        seconds: i64,
    ) -> Result<Option<VerifiedToken>, ProviderUnavailable> {
        self.providers.verify(token, at(seconds)).await
    }

    pub(crate) async fn is_accepted_at(&self, token: &str, seconds: i64) -> bool {
        self.verify_at(token, seconds).await.unwrap().is_some()
    }

    pub(crate) async fn is_accepted(&self, token: &str) -> bool {
        self.is_accepted_at(token, NOW).await
    }
}
