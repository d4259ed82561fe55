//! An identity provider on a real socket, which publishes its keys as one does, or misbehaves.

mod keys;
mod tls;

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

pub use keys::SigningKey;
use tls::{Stream, Tls};

/// Bytes of an answer that no client should read.
const HUGE: usize = 4 * 1024 * 1024;

/// How a provider answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behavior {
    /// With its configuration and its keys.
    Well,
    /// Not at all: it ends each connection.
    Away,
    /// With the head of an answer and then nothing.
    Silent,
    /// With 4 MiB of keys.
    Huge,
    /// With a redirect to the documents.
    Redirecting,
    /// With the status 500.
    Failing,
    /// With a text.
    Garbled,
    /// With the configuration of another issuer.
    OtherIssuer,
    /// With a configuration that names keys on another machine, without TLS.
    UnsafeKeys,
    /// With keys that nobody can use.
    WithoutKeys,
}

/// A provider on a port of the loopback interface, until the process ends.
#[derive(Debug, Clone)]
pub struct TestProvider {
    issuer: String,
    tls: Option<Tls>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behavior: Mutex<Behavior>,
    keys: Mutex<Vec<Value>>,
    fetches: AtomicUsize,
    /// Connections that are never answered; they stay open.
    silent: Mutex<Vec<Box<dyn Stream>>>,
}

impl TestProvider {
    /// A provider that publishes these keys.
    ///
    /// # Errors
    /// When the system has no port or thread left.
    pub fn start(keys: &[&SigningKey]) -> io::Result<Self> {
        Self::start_with(keys, None)
    }

    /// The same with TLS, and the certificate of the authority that vouches for it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_tls(keys: &[&SigningKey]) -> io::Result<(Self, String)> {
        let (tls, authority) = Tls::generate();
        Ok((Self::start_with(keys, Some(tls))?, authority))
    }

    fn start_with(keys: &[&SigningKey], tls: Option<Tls>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let issuer = format!("{scheme}://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            behavior: Mutex::new(Behavior::Well),
            keys: Mutex::default(),
            fetches: AtomicUsize::new(0),
            silent: Mutex::default(),
        });
        let provider = Self { issuer, tls, shared };
        provider.publish(keys);
        let serving = provider.clone();
        thread::Builder::new().spawn(move || {
            for client in listener.incoming().flatten() {
                let provider = serving.clone();
                // What fails is the client's to notice.
                thread::spawn(move || match &provider.tls {
                    Some(tls) => drop(provider.answer(tls.accept(client))),
                    None => drop(provider.answer(Box::new(client))),
                });
            }
        })?;
        Ok(provider)
    }

    /// Its URL.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.clone()
    }

    /// Publishes these keys instead of those before.
    pub fn publish(&self, keys: &[&SigningKey]) {
        *lock(&self.shared.keys) = keys.iter().map(|key| key.public()).collect();
    }

    /// Answers so from now on.
    pub fn behave(&self, behavior: Behavior) {
        *lock(&self.shared.behavior) = behavior;
    }

    /// How often it was asked for its configuration, with which each fetch begins.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }

    /// The claims of a token for an audience that was issued then and lasts five minutes; seconds since 1970.
    #[must_use]
    pub fn claims(&self, subject: &str, audience: &str, issued_at: i64) -> Value {
        json!({
            "iss": self.issuer(), "sub": subject, "aud": audience, "iat": issued_at, "exp": issued_at + 300,
        })
    }

    fn answer(&self, mut client: Box<dyn Stream>) -> io::Result<()> {
        let path = path(client.as_mut())?;
        let behavior = *lock(&self.shared.behavior);
        let is_configuration = path.ends_with("/.well-known/openid-configuration");
        if is_configuration {
            self.shared.fetches.fetch_add(1, Ordering::SeqCst);
        }
        let document = if is_configuration { self.configuration(behavior) } else { self.keys(behavior) };
        match behavior {
            Behavior::Away => Ok(()),
            Behavior::Silent => {
                client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")?;
                lock(&self.shared.silent).push(client);
                Ok(())
            }
            Behavior::Redirecting if !path.starts_with("/moved") => {
                let head = format!("HTTP/1.1 302 Found\r\nLocation: {}/moved{path}\r\n", self.issuer());
                client.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes())
            }
            Behavior::Failing => client.write_all(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"),
            Behavior::Garbled => client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
            _ => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", document.len());
                client.write_all(head.as_bytes())?;
                client.write_all(document.as_bytes())
            }
        }
    }

    fn configuration(&self, behavior: Behavior) -> String {
        let issuer = self.issuer();
        let keys = match behavior {
            Behavior::UnsafeKeys => "http://id.example.org/keys".to_owned(),
            _ => format!("{issuer}/keys"),
        };
        let issuer = match behavior {
            Behavior::OtherIssuer => "https://id.example.org",
            _ => &issuer,
        };
        json!({ "issuer": issuer, "jwks_uri": keys, "authorization_endpoint": format!("{issuer}/authorize") })
            .to_string()
    }

    fn keys(&self, behavior: Behavior) -> String {
        let keys = lock(&self.shared.keys).clone();
        match behavior {
            Behavior::WithoutKeys => json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }).to_string(),
            Behavior::Huge => json!({ "keys": keys, "more": "a".repeat(HUGE) }).to_string(),
            _ => json!({ "keys": keys }).to_string(),
        }
    }
}

/// The path in the head of a request.
fn path(client: &mut dyn Stream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
