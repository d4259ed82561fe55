//! The URL of an identity provider.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chatstore::limits;
use hyper::Uri;

/// Where a provider says where its keys are (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The URL of an identity provider, exactly as its tokens have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    discovery: Uri,
}

/// A text that is not the URL of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the URL of an identity provider: {reason}")]
pub struct InvalidIssuer {
    text: String,
    reason: &'static str,
}

impl Issuer {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn discovery(&self) -> &Uri {
        &self.discovery
    }

    /// Whether it is asked without TLS.
    pub(crate) fn is_plain(&self) -> bool {
        self.discovery.scheme_str() == Some("http")
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Issuer {
    type Err = InvalidIssuer;

    fn from_str(text: &str) -> Result<Self, InvalidIssuer> {
        let invalid = |reason| InvalidIssuer { text: text.to_owned(), reason };
        if text.len() > limits::ISSUER {
            return Err(invalid("it has more than 255 characters"));
        }
        if text.contains(['?', '#']) {
            return Err(invalid("it has a query or a fragment"));
        }
        let url = format!("{}{DISCOVERY}", text.trim_end_matches('/'));
        let discovery: Uri = url.parse().map_err(|_| invalid("it is no URL"))?;
        if !is_safe(&discovery, true) {
            return Err(invalid("it must begin with https://, or with http:// and be on this machine"));
        }
        Ok(Self { text: text.to_owned(), discovery })
    }
}

/// Whether what a URL answers can be believed: it is asked with TLS, or where that is allowed on this machine. A user or
/// password in it is refused.
pub(crate) fn is_safe(url: &Uri, allows_plain: bool) -> bool {
    let Some(authority) = url.authority().filter(|authority| !authority.as_str().contains('@')) else {
        return false;
    };
    match url.scheme_str() {
        Some("https") => !authority.host().is_empty(),
        Some("http") => allows_plain && is_loopback(authority.host()),
        _ => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_asked_with_tls_or_on_this_machine() {
        for (text, discovery) in [
            ("https://id.example.org", "https://id.example.org/.well-known/openid-configuration"),
            ("https://id.example.org/", "https://id.example.org/.well-known/openid-configuration"),
            (
                "https://id.example.org:8443/realms/staff",
                "https://id.example.org:8443/realms/staff/.well-known/openid-configuration",
            ),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/.well-known/openid-configuration"),
            ("http://[::1]:9000", "http://[::1]:9000/.well-known/openid-configuration"),
            ("http://localhost", "http://localhost/.well-known/openid-configuration"),
        ] {
            let issuer: Issuer = text.parse().unwrap();
            assert_eq!(issuer.as_str(), text);
            assert_eq!(issuer.discovery().to_string(), discovery);
        }
    }

    #[test]
    fn any_other_url_is_refused() {
        let long = format!("https://id.example.org/{}", "a".repeat(255));
        for text in [
            "",
            "id.example.org",
            "http://id.example.org",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "http://127.0.0.1@id.example.org",
            "https://user@id.example.org",
            "https://id.example.org?tenant=1",
            "https://id.example.org#staff",
            "https:///realms",
            "ftp://id.example.org",
            "file:///etc/passwd",
            "https://id.example.org/a b",
            &long,
        ] {
            assert!(text.parse::<Issuer>().is_err(), "{text}");
        }
    }
}
