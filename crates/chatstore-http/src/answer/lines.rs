//! Answers as lines of JSON, written piece by piece while the client reads.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use chatstore::{Error, ShownPosition, WalPosition};
use futures_util::stream;
use serde::Serialize;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::memory::HeldBytes;
use crate::error::Problem;

/// The media type of lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// The size of a frame at most, in bytes: others wait for their turn while one is sent.
const FRAME_BYTES: usize = 64 * 1024;

/// How long a piece may take.
const PIECE_TIME: Duration = Duration::from_secs(10);

/// What writes the lines of an answer. Between two pieces it holds nothing of the database.
pub(crate) trait WriteLines: Send + 'static {
    /// Appends the next lines to a text, or none; false when they were the last ones.
    fn write_next(&mut self, text: &mut Vec<u8>) -> impl Future<Output = Result<bool, LinesError>> + Send;
}

/// The last line of a list, without which it was cut off.
#[derive(Debug, Serialize)]
pub(crate) struct EndLine<T> {
    pub(crate) end: T,
}

/// Why lines could not be written.
#[derive(Debug)]
pub(crate) enum LinesError {
    Read(Error),
    Write(serde_json::Error),
    Timeout,
    Stopping,
}

impl fmt::Display for LinesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(formatter),
            Self::Write(error) => error.fmt(formatter),
            Self::Timeout => formatter.write_str("the database did not answer in time"),
            Self::Stopping => formatter.write_str("the server stops"),
        }
    }
}

impl std::error::Error for LinesError {}

impl From<Error> for LinesError {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

impl From<serde_json::Error> for LinesError {
    fn from(error: serde_json::Error) -> Self {
        Self::Write(error)
    }
}

impl From<LinesError> for Problem {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::Read(error) => error.into(),
            error => Self::internal(error.to_string()),
        }
    }
}

/// The answer with these lines: whole when they are one piece, else piece by piece, no faster than the client reads, with
/// `held` bytes in memory beside the first piece. What can be refused is refused before it begins; an error later on cuts
/// it off.
pub(crate) async fn lines(mut source: impl WriteLines, held: usize) -> Result<Response, Problem> {
    let mut first = Vec::new();
    let more_follow = source.write_next(&mut first).await?;
    let of_type = [(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))];
    if !more_follow {
        return Ok((of_type, first).into_response());
    }
    let held = first.len() + held;
    let least = ShownPosition::least();
    let pieces = Pieces { written: first.into(), source: Some(source), least };
    let body = Body::from_stream(stream::try_unfold(pieces, Pieces::next));
    let mut response = (of_type, body).into_response();
    response.extensions_mut().insert(HeldBytes(held));
    Ok(response)
}

struct Pieces<S> {
    /// The lines that are not sent yet.
    written: Bytes,
    /// None when all is written.
    source: Option<S>,
    /// From where on the client has to be shown the database.
    least: Option<WalPosition>,
}

impl<S: WriteLines> Pieces<S> {
    /// The next frame; none at the end.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, LinesError> {
        while self.written.is_empty() {
            let Some(source) = self.source.take() else { return Ok(None) };
            let (source, written) = next_piece(source, self.least).await.inspect_err(|error| {
                tracing::error!(error.cause = %error, "an answer was cut off");
            })?;
            self = Self { written: written.into(), source, ..self };
        }
        // Others have their turn between two frames.
        tokio::task::yield_now().await;
        let length = self.written.len().min(FRAME_BYTES);
        Ok(Some((self.written.split_to(length), self)))
    }
}

/// The next lines, and what writes those after them. They are read by a task of its own, so that a client that hangs up
/// interrupts nothing on a connection to the database.
async fn next_piece<S: WriteLines>(
    mut source: S,
    least: Option<WalPosition>,
) -> Result<(Option<S>, Vec<u8>), LinesError> {
    let piece = async move {
        let mut text = Vec::new();
        let more_follow = source.write_next(&mut text).await?;
        Ok((more_follow.then_some(source), text))
    };
    let piece = ShownPosition::run(least, piece).in_current_span();
    match timeout(PIECE_TIME, tokio::spawn(piece)).await {
        Ok(Ok((piece, _))) => piece,
        Ok(Err(_)) => Err(LinesError::Stopping),
        Err(_) => Err(LinesError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{HttpBody as _, to_bytes};
    use futures_util::StreamExt as _;

    use super::*;

    /// Lines of `bytes` each in up to ten `pieces`, of which one may fail.
    struct Numbered {
        pieces: usize,
        bytes: usize,
        failing: Option<usize>,
        written: usize,
    }

    impl WriteLines for Numbered {
        async fn write_next(&mut self, text: &mut Vec<u8>) -> Result<bool, LinesError> {
            if self.failing == Some(self.written) {
                return Err(LinesError::Timeout);
            }
            text.resize(text.len() + self.bytes - 1, b' ');
            text.extend_from_slice(format!("{}\n", self.written).as_bytes());
            self.written += 1;
            Ok(self.written < self.pieces)
        }
    }

    fn numbered(pieces: usize, bytes: usize, failing: Option<usize>) -> Numbered {
        Numbered { pieces, bytes, failing, written: 0 }
    }

    #[tokio::test]
    async fn one_piece_is_answered_whole_and_several_in_frames() {
        let whole = lines(numbered(1, 100_000, None), 1).await.unwrap();
        assert_eq!(whole.headers()[header::CONTENT_TYPE], NDJSON);
        assert_eq!(whole.body().size_hint().exact(), Some(100_001));
        let several = lines(numbered(3, 100_000, None), 1).await.unwrap();
        assert_eq!(several.body().size_hint().exact(), None);
        let body = to_bytes(several.into_body(), usize::MAX).await.unwrap();
        let numbers: Vec<&str> = std::str::from_utf8(&body).unwrap().lines().map(str::trim).collect();
        assert_eq!(numbers, ["0", "1", "2"]);
    }

    #[tokio::test]
    async fn an_error_is_a_problem_at_first_and_cuts_the_answer_off_later() {
        assert_eq!(lines(numbered(2, 1, Some(0)), 1).await.unwrap_err().into_response().status(), 500);
        let cut = lines(numbered(3, 1, Some(1)), 1).await.unwrap();
        let frames: Vec<_> = cut.into_body().into_data_stream().collect().await;
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].as_ref().unwrap(), "0\n");
        assert!(frames[1].is_err());
    }
}
