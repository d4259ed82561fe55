//! What a provider publishes: fetched within bounds of bytes and time, and never from elsewhere.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

use crate::issuer::{Issuer, is_safe};
use crate::keys::KeySet;

/// Bytes of a document at most. The keys of large providers take about 20 KiB.
const MAX_BYTES: usize = 256 * 1024;

/// How long both documents may take together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Characters of a foreign text in a message at most.
const SHOWN: usize = 100;

/// Why the keys of a provider could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It did not answer, or not all of it.
    #[error("{0} did not answer within 5 s")]
    Timeout(Uri),
    /// It cannot be reached, or ended the connection.
    #[error("{url} cannot be reached: {cause}")]
    Unreachable {
        /// What was asked.
        url: Uri,
        /// The innermost cause.
        cause: String,
    },
    /// It answered otherwise than with the document; a redirect is not followed.
    #[error("{url} answered with status {status}, but must answer with 200")]
    Status {
        /// What was asked.
        url: Uri,
        /// The status.
        status: u16,
    },
    /// The document is larger than any that is plausible.
    #[error("{0} answered with more than 256 KiB")]
    TooLarge(Uri),
    /// It is no such document.
    #[error("{url} answered with something else than {expected}")]
    Malformed {
        /// What was asked.
        url: Uri,
        /// What it should be.
        expected: &'static str,
    },
    /// The document is that of another issuer, which must not vouch for the one that was asked.
    #[error(
        "{url} is the configuration of the issuer {found:?}; set CHATSTORE_OIDC_ISSUER to it if it is the right one"
    )]
    OtherIssuer {
        /// What was asked.
        url: Uri,
        /// The issuer in the document, or the beginning of it.
        found: String,
    },
    /// The keys are where nothing may be fetched.
    #[error("{url} names {found:?} for the keys, which must begin with https://")]
    UnsafeKeys {
        /// What was asked.
        url: Uri,
        /// The URL in the document, or the beginning of it.
        found: String,
    },
    /// No key is of a kind that is accepted.
    #[error("{0} has no key for RS256, ES256 or EdDSA")]
    NoKeys(Uri),
}

/// There are no certificates with which a provider could prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoots;

/// Asks providers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client(legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl Client {
    /// A client that trusts the certificates of the system.
    pub(crate) fn new(needs_roots: bool) -> Result<Self, NoRoots> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if needs_roots && roots.is_empty() {
            return Err(NoRoots);
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| NoRoots)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // Asked every few minutes: no connection is worth being kept.
        let client = legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self(client))
    }

    /// The keys that a provider publishes.
    pub(crate) async fn keys(&self, issuer: &Issuer) -> Result<KeySet, FetchError> {
        let fetched = tokio::time::timeout(TIMEOUT, self.keys_without_limit(issuer)).await;
        fetched.unwrap_or_else(|_| Err(FetchError::Timeout(issuer.discovery().clone())))
    }

    async fn keys_without_limit(&self, issuer: &Issuer) -> Result<KeySet, FetchError> {
        let url = issuer.discovery();
        let body = self.get(url).await?;
        let malformed = |expected| FetchError::Malformed { url: url.clone(), expected };
        let found: Configuration = serde_json::from_slice(&body)
            .map_err(|_| malformed("a configuration with issuer and jwks_uri"))?;
        if found.issuer != issuer.as_str() {
            return Err(FetchError::OtherIssuer { url: url.clone(), found: shortened(&found.issuer) });
        }
        let keys: Option<Uri> = found.jwks_uri.parse().ok();
        let Some(keys) = keys.filter(|keys| is_safe(keys, issuer.is_plain())) else {
            return Err(FetchError::UnsafeKeys { url: url.clone(), found: shortened(&found.jwks_uri) });
        };
        let body = self.get(&keys).await?;
        let Some(set) = KeySet::parse(&body) else {
            return Err(FetchError::Malformed { url: keys, expected: "a set of keys (JWKS)" });
        };
        if set.is_empty() { Err(FetchError::NoKeys(keys)) } else { Ok(set) }
    }

    async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let unreachable = |cause: &dyn std::error::Error| FetchError::Unreachable {
            url: url.clone(),
            cause: shortened(&innermost(cause)),
        };
        let response = self.0.get(url.clone()).await.map_err(|error| unreachable(&error))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: url.clone(), status: response.status().as_u16() });
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => FetchError::TooLarge(url.clone()),
            false => unreachable(error.as_ref()),
        })?;
        Ok(body.to_bytes())
    }
}

fn innermost(mut error: &dyn std::error::Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
