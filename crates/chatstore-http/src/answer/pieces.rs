//! A list as JSON, written item by item while the client reads.

use std::vec::IntoIter;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use super::memory::HeldBytes;
use crate::error::Problem;

/// The size of a piece at most, in bytes: others wait for their turn while one is sent. A list that fits into one is sent
/// whole.
const PIECE_BYTES: usize = 64 * 1024;

/// What an item takes beside its large fields, about, in bytes.
const ITEM_BYTES: usize = 512;

/// An item of a list.
pub(crate) trait ListItem: Serialize + Send + 'static {
    /// Bytes of its large fields.
    fn large_bytes(&self) -> usize {
        0
    }
}

/// The answer `{"data": [items], …}`, which goes on with the fields of `end`, an object with some.
pub(crate) fn list<T: ListItem>(items: Vec<T>, end: impl Serialize) -> Response {
    let end = match serde_json::to_string(&end) {
        Ok(end) => end,
        Err(error) => return Problem::internal(error.to_string()).into_response(),
    };
    let held: usize = items.iter().map(expected_bytes).sum();
    let mut pieces = Pieces { items: Some(items.into_iter()), end, is_first: true, written: Bytes::new() };
    let first = match pieces.next() {
        Ok(first) => first.unwrap_or_default(),
        Err(error) => return Problem::internal(error.to_string()).into_response(),
    };
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    if pieces.items.is_none() && pieces.written.is_empty() {
        return (json, first).into_response();
    }
    let rest = stream::unfold(pieces, |mut pieces| async move {
        // Others have their turn between two pieces.
        tokio::task::yield_now().await;
        match pieces.next() {
            Ok(piece) => piece.map(|piece| (Ok(piece), pieces)),
            Err(error) => {
                tracing::error!(error.cause = %error, "an answer was cut off");
                pieces.items = None;
                pieces.written = Bytes::new();
                Some((Err(error), pieces))
            }
        }
    });
    let first = stream::iter([Ok::<_, serde_json::Error>(first)]);
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let mut response = (json, body).into_response();
    response.extensions_mut().insert(HeldBytes(held + PIECE_BYTES));
    response
}

/// What an item takes, about, in bytes.
fn expected_bytes(item: &impl ListItem) -> usize {
    ITEM_BYTES + item.large_bytes()
}

/// What the next piece of these takes, about, in bytes. No more items are looked at than it holds.
fn expected_piece_bytes<T: ListItem>(items: &[T]) -> usize {
    let mut bytes = 0;
    for item in items {
        bytes += expected_bytes(item);
        if bytes >= PIECE_BYTES {
            return PIECE_BYTES;
        }
    }
    bytes
}

struct Pieces<T> {
    /// None when all is written.
    items: Option<IntoIter<T>>,
    /// The fields after the items, as an object.
    end: String,
    is_first: bool,
    /// What the last items were written into, without what was sent of it.
    written: Bytes,
}

impl<T: ListItem> Pieces<T> {
    /// The next piece; none at the end.
    fn next(&mut self) -> serde_json::Result<Option<Bytes>> {
        if self.written.is_empty() {
            self.written = self.write()?;
        }
        let length = self.written.len().min(PIECE_BYTES);
        Ok(Some(self.written.split_to(length)).filter(|piece| !piece.is_empty()))
    }

    /// The next items, as many as fill a piece; nothing behind the last one.
    fn write(&mut self) -> serde_json::Result<Bytes> {
        let Some(items) = &mut self.items else { return Ok(Bytes::new()) };
        let mut piece = Vec::with_capacity(expected_piece_bytes(items.as_slice()));
        if self.is_first {
            piece.extend_from_slice(b"{\"data\":[");
        }
        while piece.len() < PIECE_BYTES {
            let Some(item) = items.next() else {
                piece.extend_from_slice(b"],");
                piece.extend_from_slice(self.end.trim_start_matches('{').as_bytes());
                self.items = None;
                break;
            };
            if !self.is_first {
                piece.push(b',');
            }
            self.is_first = false;
            piece.reserve(expected_bytes(&item));
            serde_json::to_writer(&mut piece, &item)?;
        }
        Ok(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{HttpBody as _, to_bytes};

    use super::*;

    #[derive(Serialize)]
    struct Item {
        text: String,
    }

    impl ListItem for Item {}

    async fn written(count: usize, bytes: usize, next: Option<&str>) -> (bool, String) {
        let items = (0..count).map(|_| Item { text: "x".repeat(bytes) }).collect();
        let response = list(items, serde_json::json!({ "next_cursor": next }));
        let is_whole = response.body().size_hint().exact().is_some();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (is_whole, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_list_is_the_same_json_whole_and_in_pieces() {
        assert_eq!(written(0, 0, None).await, (true, r#"{"data":[],"next_cursor":null}"#.to_owned()));
        assert_eq!(
            written(2, 1, Some("c")).await,
            (true, r#"{"data":[{"text":"x"},{"text":"x"}],"next_cursor":"c"}"#.to_owned())
        );
        for (count, bytes) in [(3, 100_000), (200, 1_000), (1, 70_000), (2, 65_527)] {
            let (is_whole, text) = written(count, bytes, None).await;
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["data"].as_array().unwrap().len(), count);
            assert!(value["next_cursor"].is_null());
            assert!(!is_whole, "{count} items of {bytes} bytes");
        }
    }
}
