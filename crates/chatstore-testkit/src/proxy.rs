//! A proxy in front of a server, which can fall silent as a network does that loses its packets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Forwards connections from a port of the loopback interface to a server, until the process ends.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    /// Connections opened before this number of times that the proxy fell silent forward nothing.
    silenced: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
}

impl Proxy {
    /// Forwards to this port of the loopback interface.
    ///
    /// # Errors
    /// When the system has no port or thread left.
    pub fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let silenced = Arc::new(AtomicU64::new(0));
        let accepted = Arc::new(AtomicU64::new(0));
        let (known, counted) = (Arc::clone(&silenced), Arc::clone(&accepted));
        let server = SocketAddr::from(([127, 0, 0, 1], server));
        let accept = move || {
            for client in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                // Without a server the client is refused.
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                let opened = known.load(Ordering::SeqCst);
                for (from, to) in [(&client, &upstream), (&upstream, &client)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let known = Arc::clone(&known);
                    thread::spawn(move || forward(from, to, || known.load(Ordering::SeqCst) == opened));
                }
            }
        };
        thread::Builder::new().spawn(accept)?;
        Ok(Self { port, silenced, accepted })
    }

    /// The port that clients connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How many connections clients have opened.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Lets every connection that is open now forward nothing any more. It stays open, and what is sent on it is
    /// acknowledged. New connections work.
    pub fn silence(&self) {
        self.silenced.fetch_add(1, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, is_heard: impl Fn() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if is_heard() && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    if is_heard() {
        // The other side may have gone already.
        let _ = to.shutdown(Shutdown::Both);
    }
}
