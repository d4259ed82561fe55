//! The memory of answers that clients have not read yet.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::holding::HoldingBody;
use crate::error::Problem;

/// Answers up to this size are not counted, in bytes.
const SMALL: usize = 16 * 1024;

/// Answers up to this size share a part of their own, so that large ones never keep them out, in bytes.
const MEDIUM: usize = 256 * 1024;

/// The memory of all medium answers and of all large ones, in KiB.
const MEDIUM_KIB: usize = 32 * 1024;
const LARGE_KIB: usize = 96 * 1024;

/// How much an answer holds until it is read, of one whose body does not say so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldBytes(pub(crate) usize);

/// What answers may hold until they are read.
#[derive(Debug)]
pub(crate) struct AnswerMemory {
    medium: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for AnswerMemory {
    fn default() -> Self {
        Self { medium: Arc::new(Semaphore::new(MEDIUM_KIB)), large: Arc::new(Semaphore::new(LARGE_KIB)) }
    }
}

impl AnswerMemory {
    /// The answer, holding its part of the memory until it is read or its connection closed. When too much is held
    /// already, a read is refused; a write was done, and its answer is no larger than its request was.
    pub(crate) fn hold(&self, method: &Method, mut response: Response) -> Response {
        let told = response.extensions_mut().remove::<HeldBytes>().map(|HeldBytes(bytes)| bytes);
        let exact = response.body().size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = told.or(exact).unwrap_or(0);
        if bytes <= SMALL {
            return response;
        }
        let share = if bytes <= MEDIUM { &self.medium } else { &self.large };
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        match Arc::clone(share).try_acquire_many_owned(kib) {
            Ok(permit) => response.map(|body| Body::new(HoldingBody::new(body, permit))),
            Err(_) if method.is_safe() => Problem::overloaded().into_response(),
            Err(_) => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: usize) -> Response {
        vec![b'x'; bytes].into_response()
    }

    #[test]
    fn large_answers_that_nobody_reads_do_not_keep_out_others() {
        let memory = AnswerMemory::default();
        let mut held = Vec::new();
        loop {
            let response = memory.hold(&Method::GET, answer(4 * 1024 * 1024));
            if response.status() != 200 {
                assert_eq!(response.status(), 503);
                break;
            }
            held.push(response);
        }
        assert_eq!(held.len(), 24);
        assert_eq!(memory.hold(&Method::GET, answer(MEDIUM)).status(), 200);
        assert_eq!(memory.hold(&Method::GET, answer(SMALL)).status(), 200);
        let written = memory.hold(&Method::POST, answer(4 * 1024 * 1024));
        assert_eq!(written.status(), 200, "what was done is not refused");
        held.pop();
        assert_eq!(memory.hold(&Method::GET, answer(4 * 1024 * 1024)).status(), 200);
    }

    #[test]
    fn a_held_answer_keeps_its_length() {
        let memory = AnswerMemory::default();
        let response = memory.hold(&Method::GET, answer(100_000));
        assert_eq!(response.body().size_hint().exact(), Some(100_000));
    }
}
