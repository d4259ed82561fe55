//! The origins whose pages may use the API from a browser.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::header_names::{
    IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, IDEMPOTENCY_RETENTION, POSITION, REQUEST_ID, TRACEPARENT,
};
use crate::rate_limit::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Origins whose pages may use the API from a browser; none by default.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins(Vec<HeaderValue>);

/// A text that is not a list of origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOrigins {
    origin: String,
    reason: &'static str,
}

impl fmt::Display for InvalidOrigins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is no origin: {}", self.origin, self.reason)
    }
}

impl std::error::Error for InvalidOrigins {}

impl FromStr for AllowedOrigins {
    type Err = InvalidOrigins;

    /// Reads origins as browsers write them, like `https://chat.example.org`, separated by commas; none from an empty
    /// text. There is no pattern that stands for several.
    fn from_str(text: &str) -> Result<Self, InvalidOrigins> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

fn origin(text: &str) -> Result<HeaderValue, InvalidOrigins> {
    let invalid = |reason| InvalidOrigins { origin: text.to_owned(), reason };
    if text.contains('*') {
        return Err(invalid("each origin must be named; a pattern would let in pages of others"));
    }
    let Some((scheme, place)) = text.split_once("://") else {
        return Err(invalid("it must begin with a scheme, like https://"));
    };
    if place.contains(['/', '?', '#', '@']) {
        return Err(invalid("it must end with the host or the port, without a slash"));
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(invalid("browsers write it in lower case"));
    }
    let default_port = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let uri: Uri = text.parse().map_err(|_| invalid("it must be a scheme, a host and perhaps a port"))?;
    if uri.port_u16().is_some() && uri.port_u16() == default_port {
        return Err(invalid("browsers leave the usual port out"));
    }
    HeaderValue::from_str(text).map_err(|_| invalid("it must be ASCII; write the host as browsers send it"))
}

impl AllowedOrigins {
    /// What lets their pages in; `None` if there are none. Tokens and keys are in a header that the page sets itself, so
    /// nothing is allowed that browsers send on their own (cookies).
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        if self.0.is_empty() {
            return None;
        }
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.iter().cloned()))
            .allow_methods(methods)
            .allow_headers(sent())
            .expose_headers(read())
            .max_age(REMEMBERED);
        Some(layer)
    }
}

/// The headers that a page may send. No `Chatstore-User`: a page must not hold a service key.
fn sent() -> [HeaderName; 9] {
    [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        IDEMPOTENCY_KEY,
        IDEMPOTENCY_RETENTION,
        POSITION,
        REQUEST_ID,
        TRACEPARENT,
    ]
}

/// The headers of an answer that a page may read.
fn read() -> [HeaderName; 9] {
    [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        IDEMPOTENCY_REPLAYED,
        POSITION,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
        REQUEST_ID,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let origins: AllowedOrigins =
            "https://chat.example.org, http://localhost:5173,capacitor://localhost,".parse().unwrap();
        assert_eq!(origins.0, ["https://chat.example.org", "http://localhost:5173", "capacitor://localhost"]);
        assert!("".parse::<AllowedOrigins>().unwrap().layer().is_none());
        for wrong in [
            "*",
            "https://*.example.org",
            "null",
            "example.org",
            "https://example.org/",
            "https://example.org/chat",
            "https://Example.org",
            "https://example.org:443",
            "http://example.org:80",
            "https://ada@example.org",
            "https://",
            "https://b\u{fc}cher.example",
        ] {
            let error = wrong.parse::<AllowedOrigins>().unwrap_err();
            assert!(error.to_string().contains("is no origin"), "{wrong}");
        }
    }
}
