//! The socket of a connection, which follows what happens on it and ends it without losing a request.

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

use super::slot::{Order, Phase, Slot};

/// How long a client may leave an answer unread.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long a client has to close its side. If it sent something meanwhile and the socket was closed at once, the
/// system would reset the connection, and the client could lose an answer that it had not read.
const LINGER_TIME: Duration = Duration::from_millis(500);

/// Bytes that are thrown away at once.
const DISCARD_BYTES: usize = 4_096;

/// A socket that looks at its end, to the protocol, when it was told to close and no request is in progress.
pub(super) struct ClientStream {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    slot: Arc<Slot>,
    /// Set when nothing more is sent.
    linger: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, slot: Arc<Slot>) -> Self {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIME));
        Self { stream: Box::pin(stream), slot, linger: None }
    }

    /// Whether the protocol is to see the end of the input. The system is asked whether something has arrived,
    /// because the runtime may not have noticed yet.
    fn is_at_end(&self) -> bool {
        self.slot.order() >= Order::CloseWhenIdle
            && self.slot.phase() == Phase::Idle
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
        let before = buffer.filled().len();
        match self.stream.as_mut().poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before {
                    self.slot.advance(Phase::Idle, Phase::Head);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.is_at_end() => Poll::Ready(Ok(())),
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
        self.slot.advance(Phase::Flushing, Phase::Idle);
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
