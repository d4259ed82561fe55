//! The requests of one connection.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt as _;

use super::head::MalformedHead;
use super::slot::{BodyLength, Order, Phase, Slot};
use super::stream::ClientStream;
use crate::answer::HoldingBody;

/// Bytes and fields of a head that are read at all; the limits that are answered with a document are lower.
const HEAD_BYTES: usize = 256 * 1024;
const HEAD_FIELDS: usize = 256;

/// In the extensions of a request: the server answers the last requests before it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draining;

/// In the extensions of a request: whether its connection waits for the body is said here.
#[derive(Debug, Clone)]
pub(crate) struct Arrival(Arc<Slot>);

/// A connection waits for a body until this is dropped. Until then it may be closed for another one.
#[derive(Debug)]
pub(crate) struct AwaitedBody(Arc<Slot>);

impl Arrival {
    pub(crate) fn await_body(&self) -> AwaitedBody {
        self.0.advance(Phase::Request, Phase::Body);
        AwaitedBody(Arc::clone(&self.0))
    }
}

impl Drop for AwaitedBody {
    fn drop(&mut self) {
        self.0.advance(Phase::Body, Phase::Request);
    }
}

/// Answers the requests of a connection until it ends, has had its time or is told to close.
pub(super) async fn answer(stream: TcpStream, router: Router, slot: Arc<Slot>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error.cause = %error, "small answers may be delayed");
    }
    let peer = stream.peer_addr().ok();
    let stream = ClientStream::new(stream, Arc::clone(&slot));
    let (begin, end) = (Arc::clone(&slot), Arc::clone(&slot));
    let service = router
        .map_request(move |request: Request<Incoming>| begin_request(&begin, peer, request))
        .map_response(move |response: Response| begin_answer(&end, response));
    let connection = http1::Builder::new()
        // The time of a head begins with its first byte and is kept below; the protocol's begins before.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(slot.deadline().unwrap_or_else(Instant::now)));
    poll_fn(|context| {
        slot.register(context.waker());
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                if let Err(error) = ended {
                    tracing::trace!(error.cause = %error, "a connection ended early");
                }
                return Poll::Ready(());
            }
            if is_cut_off(&slot) {
                return Poll::Ready(());
            }
            // Most requests end before their deadline, so that the timer is not touched for each of them.
            let Some(deadline) = slot.deadline() else { return Poll::Pending };
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() < deadline {
                alarm.as_mut().reset(deadline);
                continue;
            }
            if slot.phase() == Phase::Head {
                tracing::trace!("the head of a request was not complete in time");
                return Poll::Ready(());
            }
            slot.tell(Order::CloseWhenIdle);
        }
    })
    .await;
}

/// Whether the connection ends whatever it is doing.
fn is_cut_off(slot: &Slot) -> bool {
    match slot.order() {
        Order::Abandon => true,
        Order::Evict => matches!(slot.phase(), Phase::Head | Phase::Body),
        Order::Serve | Order::CloseAfterAnswer | Order::CloseWhenIdle => false,
    }
}

fn begin_request(slot: &Arc<Slot>, peer: Option<SocketAddr>, request: Request<Incoming>) -> Request {
    let body = request.body().size_hint().exact().map_or(BodyLength::Unknown, BodyLength::Known);
    let has_bare_line_feed = slot.begin_request(body);
    let malformed = if has_bare_line_feed {
        Some(MalformedHead::BARE_LINE_FEED)
    } else {
        MalformedHead::of_hosts(&request)
    };
    let mut request = request.map(Body::new);
    let extensions = request.extensions_mut();
    if let Some(malformed) = malformed {
        extensions.insert(malformed);
    }
    if let Some(peer) = peer {
        extensions.insert(ConnectInfo(peer));
    }
    extensions.insert(Arrival(Arc::clone(slot)));
    if slot.is_draining() {
        extensions.insert(Draining);
    }
    request
}

fn begin_answer(slot: &Arc<Slot>, mut response: Response) -> Response<HoldingBody<EndOfRequest>> {
    if slot.is_last_request() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| HoldingBody::new(body, EndOfRequest(Arc::clone(slot))))
}

/// Ends the request with the body of its answer.
struct EndOfRequest(Arc<Slot>);

impl Drop for EndOfRequest {
    fn drop(&mut self) {
        self.0.advance(Phase::Request, Phase::Flushing);
    }
}
