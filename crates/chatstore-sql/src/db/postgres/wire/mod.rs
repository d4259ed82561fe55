//! How a connection is opened: sockets, encryption, session settings and names of prepared statements.

mod names;
mod stream;

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use deadpool_postgres::Connect;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::deadlines;
use crate::db::tls::TlsMode;
use crate::url::PostgresTarget;
use stream::{RenamingStream, Transport};

/// A client's wish to encrypt the connection: the length of this message and its code.
const ENCRYPTION_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The server's consent.
const ENCRYPTION_ACCEPTED: u8 = b'S';

/// A setting without any effect here that the server reports for every new session. It shows whether the
/// settings of the session arrived: many poolers drop them.
const MARK: (&str, &str) = ("IntervalStyle", "iso_8601");

const DEFAULT_PORT: u16 = 5432;

type BoxError = Box<dyn Error + Send + Sync>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Encrypted<S> = <MakeRustlsConnect as MakeTlsConnect<S>>::Stream;

/// Opens connections. The clones share what was learned of the server.
#[derive(Clone)]
pub(super) struct Wire {
    /// None when connections are never encrypted.
    tls: Option<MakeRustlsConnect>,
    is_tls_required: bool,
    /// Begins the name of every prepared statement of this process.
    prefix: Arc<str>,
    /// How to connect without session settings.
    plain: Arc<Config>,
    learned: Arc<Learned>,
    /// Where notifications go that a connection receives; it passes over them without.
    notified: Option<mpsc::Sender<String>>,
}

/// What connections have shown of the server, or of what is in front of it.
#[derive(Debug, Default)]
struct Learned {
    refuses_options: AtomicBool,
    ignores_options: AtomicBool,
    forgets_statements: AtomicBool,
    /// Whether the connection that was opened last is encrypted.
    is_encrypted: AtomicBool,
    encoding: OnceLock<String>,
}

impl Wire {
    /// How to open connections as its URL says, and its settings with everything that is decided here. `random`
    /// fills bytes with random numbers that no other process has.
    pub(super) fn new(server: &PostgresTarget, random: fn(&mut [u8])) -> Result<(Self, Config), String> {
        let (mut config, tls) = (Config::clone(&server.config), &server.tls);
        let mut bytes = [0; 12];
        random(&mut bytes);
        let prefix: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        config.application_name("chatstore");
        config.connect_timeout(deadlines::ACQUIRE);
        config.tcp_user_timeout(deadlines::UNACKNOWLEDGED);
        config.keepalives(true);
        config.keepalives_idle(deadlines::KEEPALIVE_IDLE);
        config.keepalives_interval(deadlines::KEEPALIVE_INTERVAL);
        config.keepalives_retries(deadlines::KEEPALIVE_RETRIES);
        // With these the driver leaves it to `WireConnect` to negotiate encryption.
        config.ssl_mode(SslMode::Require);
        config.ssl_negotiation(SslNegotiation::Direct);
        let wire = Self {
            tls: if tls.mode == TlsMode::Disable { None } else { Some(tls.connector()?) },
            is_tls_required: !matches!(tls.mode, TlsMode::Disable | TlsMode::Prefer),
            prefix: format!("chatstore_{prefix}_").into(),
            plain: Arc::new(config.clone()),
            learned: Arc::new(Learned {
                refuses_options: AtomicBool::new(server.is_pooled),
                ignores_options: AtomicBool::new(server.is_pooled),
                forgets_statements: AtomicBool::new(server.is_pooled),
                ..Learned::default()
            }),
            notified: None,
        };
        let settings = session_settings();
        let options = config.get_options().map(|options| format!("{options} {settings}"));
        config.options(options.as_deref().unwrap_or(&settings));
        Ok((wire, config))
    }

    /// The same, for connections whose notifications go there.
    pub(super) fn notifying(&self, notified: mpsc::Sender<String>) -> Self {
        Self { notified: Some(notified), ..self.clone() }
    }

    /// Whether a prepared statement is found again by its name in the next transaction.
    pub(super) fn keeps_statements(&self) -> bool {
        !self.learned.forgets_statements.load(Ordering::Relaxed)
            && !self.learned.ignores_options.load(Ordering::Relaxed)
    }

    /// Remembers that a prepared statement was not found again.
    pub(super) fn statements_are_forgotten(&self) {
        if !self.learned.forgets_statements.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a prepared statement is gone although its connection is not: a pooler is in front of the \
                 database; statements are no longer prepared, which costs time; say so in the URL: \
                 prepared_statements=off"
            );
        }
    }

    /// Whether the connection that was opened last is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.learned.is_encrypted.load(Ordering::Relaxed)
    }

    /// The encoding of the database.
    pub(super) fn encoding(&self) -> Option<&str> {
        self.learned.encoding.get().map(String::as_str)
    }

    /// Cancels what a connection is doing. Nothing tells whether the server did.
    pub(super) async fn cancel(&self, token: &CancelToken) -> Result<(), tokio_postgres::Error> {
        match self.local_socket().await {
            Some(stream) => token.cancel_query_raw(stream, self.unencrypted()).await,
            None => token.cancel_query(self.clone()).await,
        }
    }

    async fn open(&self, config: &Config) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        match self.local_socket().await {
            Some(stream) => {
                let (client, connection) = config.connect_raw(stream, self.unencrypted()).await?;
                Ok((client, self.start(connection)))
            }
            None => {
                let (client, connection) = config.connect(self.clone()).await?;
                Ok((client, self.start(connection)))
            }
        }
    }

    /// A local socket, if the URL names one that answers. The driver itself encrypts none, and hands over only
    /// what it encrypts.
    async fn local_socket(&self) -> Option<UnixStream> {
        let config = &self.plain;
        let Some(Host::Unix(directory)) = config.get_hosts().first() else { return None };
        let port = config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
        UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await.ok()
    }

    fn unencrypted<S>(&self) -> WireConnect<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (prefix, learned) = (Arc::clone(&self.prefix), Arc::clone(&self.learned));
        WireConnect { tls: None, is_tls_required: false, prefix, learned }
    }

    /// Reads what the server reported, and runs the connection.
    fn start<S>(&self, connection: Connection<S, RenamingStream<S, Encrypted<S>>>) -> JoinHandle<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (name, value) = MARK;
        if connection.parameter(name) != Some(value)
            && !self.learned.ignores_options.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "the session settings did not reach the database: a pooler is in front of it; time limits of \
                 statements outside transactions must be set on the role, and statements are not prepared; say so in \
                 the URL: prepared_statements=off"
            );
        }
        if let Some(encoding) = connection.parameter("server_encoding") {
            self.learned.encoding.get_or_init(|| encoding.to_owned());
        }
        let notified = self.notified.clone();
        tokio::spawn(async move {
            let ended = match notified {
                Some(notified) => pass_notifications(connection, notified).await,
                None => connection.await,
            };
            // What goes wrong is reported to the caller who waits for an answer.
            if let Err(error) = ended {
                tracing::debug!(error.cause = %error, "a connection to the database ended");
            }
        })
    }
}

/// Runs a connection until it ends, or nobody takes its notifications any more.
async fn pass_notifications<S>(
    mut connection: Connection<S, RenamingStream<S, Encrypted<S>>>,
    notified: mpsc::Sender<String>,
) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message?
            && notified.send(notification.payload().to_owned()).await.is_err()
        {
            return Ok(());
        }
    }
    Ok(())
}

/// What holds in every session, unless a pooler drops it.
fn session_settings() -> String {
    let (statement, lock, (mark, marked)) = (deadlines::STATEMENT_MS, deadlines::LOCK_MS, MARK);
    format!(
        "-c statement_timeout={statement} -c idle_in_transaction_session_timeout={statement} \
         -c lock_timeout={lock} -c timezone=UTC -c default_transaction_isolation=read\\ committed \
         -c {mark}={marked}"
    )
}

impl Connect for Wire {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let config = config.clone();
        Box::pin(async move {
            if self.learned.refuses_options.load(Ordering::Relaxed) {
                return self.open(&self.plain).await;
            }
            match self.open(&config).await {
                // A pooler that knows no session settings.
                Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => {
                    let opened = self.open(&self.plain).await?;
                    self.learned.refuses_options.store(true, Ordering::Relaxed);
                    Ok(opened)
                }
                opened => opened,
            }
        })
    }
}

impl<S> MakeTlsConnect<S> for Wire
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = RenamingStream<S, Encrypted<S>>;
    type TlsConnect = WireConnect<S>;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<WireConnect<S>, Infallible> {
        let tls =
            self.tls.as_mut().map(|tls| MakeTlsConnect::<S>::make_tls_connect(tls, host)).transpose()?;
        let (prefix, learned) = (Arc::clone(&self.prefix), Arc::clone(&self.learned));
        Ok(WireConnect { tls, is_tls_required: self.is_tls_required, prefix, learned })
    }
}

/// Opens one connection on a stream: encrypts it if it should be and the server can, and renames its statements.
pub(super) struct WireConnect<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tls: Option<<MakeRustlsConnect as MakeTlsConnect<S>>::TlsConnect>,
    is_tls_required: bool,
    prefix: Arc<str>,
    learned: Arc<Learned>,
}

impl<S> TlsConnect<S> for WireConnect<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = RenamingStream<S, Encrypted<S>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Stream, BoxError>>;

    fn connect(self, mut stream: S) -> Self::Future {
        Box::pin(async move {
            let transport = match self.tls {
                Some(tls) if accepts_encryption(&mut stream).await? => {
                    Transport::Encrypted(tls.connect(stream).await?)
                }
                Some(_) if self.is_tls_required => return Err("server does not support TLS".into()),
                _ => Transport::Plain(stream),
            };
            let is_encrypted = matches!(transport, Transport::Encrypted(_));
            self.learned.is_encrypted.store(is_encrypted, Ordering::Relaxed);
            Ok(RenamingStream::new(transport, &self.prefix))
        })
    }
}

async fn accepts_encryption<S>(stream: &mut S) -> std::io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&ENCRYPTION_REQUEST).await?;
    stream.flush().await?;
    Ok(stream.read_u8().await? == ENCRYPTION_ACCEPTED)
}
