//! Which trace of several services a request belongs to, as <https://www.w3.org/TR/trace-context/> has it.

use axum::http::{HeaderMap, HeaderValue};

use crate::header_names::TRACEPARENT;

/// The length of what this version of the header has.
const LENGTH: usize = 55;

/// The header of a request, if it is well-formed and there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TraceContext {
    header: HeaderValue,
    trace_id: String,
}

impl TraceContext {
    /// That of a request; `None` for one that is malformed, and for several: a caller's mistake in it is no reason to
    /// refuse what it asks for.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (header, None) = (given.next()?, given.next()) else { return None };
        let trace_id = trace_id(header.to_str().ok()?)?.to_owned();
        Some(Self { header: header.clone(), trace_id })
    }

    /// 32 hexadecimal digits.
    pub(super) fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The header as it was given, for the answer.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// The id of the trace in a header: `00-{trace}-{span}-{flags}`. A later version may go on behind that.
fn trace_id(header: &str) -> Option<&str> {
    let known = header.get(..LENGTH)?;
    let parts: Vec<&str> = known.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return None };
    let is_hexadecimal = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, length| is_hexadecimal(text, length) && text.bytes().any(|byte| byte != b'0');
    let rest = &header[LENGTH..];
    let is_whole = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    let is_well_formed = is_hexadecimal(version, 2)
        && version != "ff"
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hexadecimal(flags, 2)
        && is_whole;
    is_well_formed.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_trace_of_a_header_is_found() {
        assert_eq!(trace_id(&format!("00-{TRACE}-00f067aa0ba902b7-01")), Some(TRACE));
        assert_eq!(trace_id(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")), Some(TRACE));
    }

    #[test]
    fn a_malformed_header_has_no_trace() {
        for wrong in [
            String::new(),
            TRACE.to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-0"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("01-{TRACE}-00f067aa0ba902b7-01more"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-00f067aa0ba902bz-01"),
            format!("00_{TRACE}_00f067aa0ba902b7_01"),
            format!("00-{TRACE}-00f067aa0ba902b7-0\u{e9}"),
        ] {
            assert_eq!(trace_id(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn several_headers_are_none() {
        let mut headers = HeaderMap::new();
        let header = HeaderValue::try_from(format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        headers.append(TRACEPARENT, header.clone());
        assert_eq!(TraceContext::of(&headers).map(|context| context.header()), Some(header.clone()));
        headers.append(TRACEPARENT, header);
        assert_eq!(TraceContext::of(&headers), None);
    }
}
