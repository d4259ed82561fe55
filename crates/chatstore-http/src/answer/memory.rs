//! The memory of answers that clients have not read yet.

use axum::body::{Body, HttpBody};
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use super::holding::HoldingBody;
use crate::budget::{ByteBudget, Holder};
use crate::error::{Problem, Shortage};

/// Answers up to this size are not counted, in bytes.
const SMALL: usize = 16 * 1024;

/// Answers up to this size share a part of their own, so that large ones never keep them out, in bytes.
const MEDIUM: usize = 256 * 1024;

/// The memory of all medium answers and of all large ones, in bytes.
const ALL_MEDIUM: usize = 32 * 1024 * 1024;
const ALL_LARGE: usize = 96 * 1024 * 1024;

/// How much a client may have for what is left.
const FOR_WHAT_IS_LEFT: usize = 2;

/// How much an answer holds until it is read, of one whose body does not say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldBytes(pub(crate) usize);

/// What answers may hold until they are read.
#[derive(Debug)]
pub(crate) struct AnswerMemory {
    medium: ByteBudget,
    large: ByteBudget,
}

impl Default for AnswerMemory {
    fn default() -> Self {
        let [medium, large] = [ALL_MEDIUM, ALL_LARGE].map(|all| ByteBudget::new(all, FOR_WHAT_IS_LEFT));
        Self { medium, large }
    }
}

impl AnswerMemory {
    /// The answer, holding its part of the memory until it is read or its connection closed. When too much is held
    /// already, a read is refused; a write was done, and its answer is no larger than its request was.
    pub(crate) fn hold(&self, holder: Holder, method: &Method, mut response: Response) -> Response {
        let told = response.extensions_mut().remove::<HeldBytes>().map(|HeldBytes(bytes)| bytes);
        let exact = response.body().size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = told.or(exact).unwrap_or(0);
        if bytes <= SMALL {
            return response;
        }
        let budget = if bytes <= MEDIUM { &self.medium } else { &self.large };
        let mut memory = budget.share(vec![holder]);
        match memory.grow_to(bytes) {
            Ok(()) => response.map(|body| Body::new(HoldingBody::new(body, memory))),
            Err(_) if method.is_safe() => Problem::overloaded(Shortage::Memory).into_response(),
            Err(_) => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use chatstore::auth::ClientNetwork;

    use super::*;

    fn answer(bytes: usize) -> Response {
        vec![b'x'; bytes].into_response()
    }

    fn network(last: u8) -> Holder {
        Holder::Network(ClientNetwork::of(Some([192, 0, 2, last].into())))
    }

    #[test]
    fn large_answers_that_nobody_reads_do_not_keep_out_others() {
        let memory = AnswerMemory::default();
        let hold = |last, method, bytes| memory.hold(network(last), &method, answer(bytes));
        let large = 4 * 1024 * 1024;
        let mut held = Vec::new();
        loop {
            let response = hold(1, Method::GET, large);
            if response.status() != 200 {
                assert_eq!(response.status(), 503);
                break;
            }
            held.push(response);
        }
        assert_eq!(held.len(), 16);
        assert_eq!(hold(2, Method::GET, large).status(), 200, "another client");
        assert_eq!(hold(1, Method::GET, MEDIUM).status(), 200);
        assert_eq!(hold(1, Method::GET, SMALL).status(), 200);
        let written = hold(1, Method::POST, large);
        assert_eq!(written.status(), 200, "what was done is not refused");
        held.pop();
        assert_eq!(hold(1, Method::GET, large).status(), 200);
    }

    #[test]
    fn a_held_answer_keeps_its_length() {
        let memory = AnswerMemory::default();
        let response = memory.hold(network(1), &Method::GET, answer(100_000));
        assert_eq!(response.body().size_hint().exact(), Some(100_000));
    }
}
