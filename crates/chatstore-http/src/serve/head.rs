//! What RFC 9112 forbids in the head of a request, and the protocol's parser takes all the same.
//!
//! Two programs that read the same bytes differently, a proxy and this server for instance, can be made to see
//! different requests. So what is ambiguous is answered 400, and its connection ends.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{Extensions, Version, header};

/// In the extensions of a request: why its head is malformed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MalformedHead(pub(crate) &'static str);

impl MalformedHead {
    /// A line that ends without a carriage return (RFC 9112, 2.2).
    pub(super) const BARE_LINE_FEED: Self =
        Self("a line of the head ends with LF alone; every line must end with CRLF");

    const NO_HOST: Self = Self("a request of HTTP/1.1 must have a Host header");
    const SEVERAL_HOSTS: Self = Self("there must be only one Host header");
    const INVALID_HOST: Self = Self("the Host header must be a host, with or without a port");

    /// What is wrong with the hosts of a request (RFC 9112, 3.2).
    pub(super) fn of_hosts<B>(request: &Request<B>) -> Option<Self> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let Some(host) = hosts.next() else {
            return (request.version() >= Version::HTTP_11).then_some(Self::NO_HOST);
        };
        if hosts.next().is_some() {
            return Some(Self::SEVERAL_HOSTS);
        }
        (!is_host(host.as_bytes())).then_some(Self::INVALID_HOST)
    }

    /// What was found while the request was read, if anything.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<Self>().copied()
    }
}

/// An empty one is what a client sends whose target has no host.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || (!value.contains(&b'@') && Authority::try_from(value).is_ok())
}

/// Reads a head as it arrives: where it ends, and whether each of its lines ends with CRLF.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    /// Whether a line with something in it was complete: empty ones before the first are no end.
    has_begun: bool,
    /// Whether the present line has something in it.
    has_content: bool,
    /// Whether the byte before was a carriage return.
    after_return: bool,
    pub(super) has_bare_line_feed: bool,
}

impl HeadScanner {
    /// Takes the next bytes; how many of them belong to the head if it ends in them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' => {
                    self.has_bare_line_feed |= !self.after_return;
                    if !self.has_content && self.has_begun {
                        return Some(index + 1);
                    }
                    self.has_begun |= self.has_content;
                    (self.has_content, self.after_return) = (false, false);
                }
                b'\r' => {
                    // Before anything but a line feed it is content, which the parser refuses.
                    self.has_content |= self.after_return;
                    self.after_return = true;
                }
                _ => (self.has_content, self.after_return) = (true, false),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the head ends, and whether a line feed stands alone, however the bytes are cut.
    fn scanned(text: &str) -> (Option<usize>, bool) {
        let mut whole = HeadScanner::default();
        let end = whole.push(text.as_bytes());
        let mut one_by_one = HeadScanner::default();
        let end_by_bytes = text.bytes().position(|byte| one_by_one.push(&[byte]).is_some());
        assert_eq!(
            (end, whole.has_bare_line_feed),
            (end_by_bytes.map(|at| at + 1), one_by_one.has_bare_line_feed)
        );
        (end, whole.has_bare_line_feed)
    }

    #[test]
    fn a_head_ends_with_its_first_empty_line() {
        assert_eq!(scanned("GET / HTTP/1.1\r\nHost: x\r\n\r\nrest\n"), (Some(27), false));
        assert_eq!(scanned("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), (Some(22), false));
        assert_eq!(scanned("GET / HTTP/1.1\r\nHost: x\r\n"), (None, false));
    }

    #[test]
    fn a_line_feed_without_a_carriage_return_is_noticed_in_the_head_alone() {
        assert_eq!(scanned("GET / HTTP/1.1\nHost: x\r\n\r\n"), (Some(26), true));
        assert_eq!(scanned("GET / HTTP/1.1\r\nHost: x\n\n"), (Some(25), true));
        assert_eq!(scanned("\nGET / HTTP/1.1\r\n\r\n"), (Some(19), true));
        assert!(!scanned("POST / HTTP/1.1\r\n\r\n{\n}").1);
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in ["", "example.org", "example.org:8080", "127.0.0.1:1", "[::1]:8080", "chat_store"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in ["a b", "ada@example.org", "example.org/path", "a, b", "\u{fc}"] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
