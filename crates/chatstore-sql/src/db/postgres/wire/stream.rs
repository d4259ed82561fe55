//! The stream of a connection, on which prepared statements are renamed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::names::Renamer;

/// Bytes that are taken from the driver before they are written; it has a buffer of its own.
const PIECE: usize = 64 * 1024;

/// A stream with or without encryption.
#[derive(Debug)]
pub(super) enum Transport<S, T> {
    Plain(S),
    Encrypted(T),
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: TlsStream + Unpin> Transport<S, T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A connection on which the names of prepared statements are those of this process.
#[derive(Debug)]
pub(crate) struct RenamingStream<S, T> {
    transport: Transport<S, T>,
    renamer: Renamer,
    /// What is renamed and not yet written, from `written` on.
    renamed: Vec<u8>,
    written: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: TlsStream + Unpin> RenamingStream<S, T> {
    pub(super) fn new(transport: Transport<S, T>, prefix: &str) -> Self {
        Self { transport, renamer: Renamer::new(prefix), renamed: Vec::new(), written: 0 }
    }

    /// Writes what is renamed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.renamed.len() {
            let count = ready!(self.transport.poll_write(cx, &self.renamed[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.renamed.clear();
        self.renamed.shrink_to(PIECE);
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: TlsStream + Unpin> AsyncRead for RenamingStream<S, T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().transport.poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: TlsStream + Unpin> AsyncWrite for RenamingStream<S, T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let taken = &bytes[..bytes.len().min(PIECE)];
        this.renamer.push(taken, &mut this.renamed);
        // What does not go out now goes out with the flush that follows every message.
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        this.transport.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        this.transport.poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: TlsStream + Unpin> TlsStream for RenamingStream<S, T> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.transport {
            Transport::Plain(_) => ChannelBinding::none(),
            Transport::Encrypted(stream) => stream.channel_binding(),
        }
    }
}
