//! The socket of a connection, which follows what happens on it and ends it without losing a request.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_io_timeout::TimeoutStream;

use super::head::HeadScanner;
use super::slot::{BodyLength, Order, Phase, Slot};

/// How long a client may leave an answer unread.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long a client has to close its side. If it sent something meanwhile and the socket was closed at once, the
/// system would reset the connection, and the client could lose an answer that it had not read.
const LINGER_TIME: Duration = Duration::from_millis(500);

/// Bytes that are thrown away at once.
const DISCARD_BYTES: usize = 4_096;

/// Bytes that are read ahead of the protocol.
const AHEAD_BYTES: usize = 4_096;

/// Where in a request the next byte stands that the protocol is given.
#[derive(Debug)]
enum Position {
    Head(HeadScanner),
    /// Behind a head, of which the protocol has not yet said what follows.
    AfterHead,
    /// In a body of which this much is missing; at its end when that is nothing.
    Body(u64),
    /// In a body whose end only the protocol knows. From there on heads are not looked at.
    Unknown,
}

/// A socket that looks at its end, to the protocol, when it was told to close and no request is in progress.
///
/// The protocol is given one request at a time, so that each head can be looked at.
pub(super) struct ClientStream {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    slot: Arc<Slot>,
    position: Position,
    /// What was read and belongs behind the present request.
    ahead: VecDeque<u8>,
    /// Set when nothing more is sent.
    linger: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, slot: Arc<Slot>) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIME));
        let position = Position::Head(HeadScanner::default());
        Self { stream: Box::pin(stream), slot, position, ahead: VecDeque::new(), linger: None }
    }

    /// How many bytes the protocol may be given now.
    fn allowance(&mut self) -> usize {
        if matches!(self.position, Position::AfterHead)
            && let Some(body) = self.slot.take_body()
        {
            self.position = match body {
                BodyLength::Known(bytes) => Position::Body(bytes),
                BodyLength::Unknown => Position::Unknown,
            };
        }
        if matches!(self.position, Position::Body(0)) && self.slot.phase() == Phase::Idle {
            self.position = Position::Head(HeadScanner::default());
        }
        match self.position {
            Position::Head(_) | Position::Unknown => usize::MAX,
            Position::AfterHead => 0,
            Position::Body(missing) => usize::try_from(missing).unwrap_or(usize::MAX),
        }
    }

    /// Notes that something of the next request has arrived. The rest of a body that was answered unread is no part of
    /// it: the connection is idle while the protocol throws that away.
    fn note_head(&self) {
        if matches!(self.position, Position::Head(_) | Position::Unknown) {
            self.slot.advance(Phase::Idle, Phase::Head);
        }
    }

    /// Notes that the protocol is about to be given these bytes; how many of them it is given.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        match &mut self.position {
            Position::Head(scanner) => {
                let end = scanner.push(bytes);
                if scanner.has_bare_line_feed {
                    self.slot.note_bare_line_feed();
                }
                if end.is_some() {
                    self.position = Position::AfterHead;
                }
                end.unwrap_or(bytes.len())
            }
            Position::Body(missing) => {
                *missing = missing.saturating_sub(bytes.len() as u64);
                bytes.len()
            }
            Position::AfterHead | Position::Unknown => bytes.len(),
        }
    }

    /// Gives the protocol what was read ahead.
    fn give_ahead(&mut self, allowed: usize, buffer: &mut ReadBuf<'_>) {
        let (first, _) = self.ahead.as_slices();
        let count = first.len().min(allowed).min(buffer.remaining());
        let piece = first[..count].to_vec();
        let given = self.advance(&piece);
        buffer.put_slice(&piece[..given]);
        self.ahead.drain(..given);
        if self.ahead.is_empty() {
            self.ahead = VecDeque::new();
        }
    }

    /// Reads what follows the present request, and whether the client is still there, without giving it away.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.is_empty() {
            let mut bytes = [0_u8; AHEAD_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(self.stream.as_mut().poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend(buffer.filled());
        }
        // The task is woken when the request begins, or else when the present one has been answered.
        if matches!(self.position, Position::AfterHead) {
            self.slot.wait_for_request();
        }
        Poll::Pending
    }

    /// Whether the protocol is to see the end of the input. The system is asked whether something has arrived,
    /// because the runtime may not have noticed yet.
    fn is_at_end(&self) -> bool {
        self.slot.order() >= Order::CloseWhenIdle
            && self.slot.phase() == Phase::Idle
            && self.ahead.is_empty()
            && !has_input(self.stream.get_ref())
    }
}

fn has_input(stream: &TcpStream) -> bool {
    let mut byte = [0_u8; 1];
    let peeked = recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.is_ok_and(|(_, count)| count > 0)
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let allowed = this.allowance();
        if allowed == 0 {
            return this.poll_ahead(context);
        }
        if !this.ahead.is_empty() {
            this.note_head();
            this.give_ahead(allowed, buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match this.stream.as_mut().poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let read = &buffer.filled()[before..];
                if !read.is_empty() {
                    this.note_head();
                    let given = this.advance(&read[..read.len().min(allowed)]);
                    this.ahead.extend(&read[given..]);
                    buffer.set_filled(before + given);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.is_at_end() => Poll::Ready(Ok(())),
            other => other,
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The protocol flushes whenever it has handed over everything that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.as_mut().poll_flush(context))?;
        if self.slot.phase() == Phase::Flushing {
            self.slot.enter(Phase::Idle);
            if !self.ahead.is_empty() {
                context.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes, then waits until the client has seen it, unless its place is needed.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.stream.as_mut().poll_shutdown(context))?;
            self.slot.enter(Phase::Closing);
            self.linger = Some(Box::pin(sleep(LINGER_TIME)));
        }
        if self.slot.order() >= Order::Evict {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        loop {
            let mut discarded = [0_u8; DISCARD_BYTES];
            let mut buffer = ReadBuf::new(&mut discarded);
            match this.stream.as_mut().poll_read(context, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
        match &mut this.linger {
            Some(linger) => linger.as_mut().poll(context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}
