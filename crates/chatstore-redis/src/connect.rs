//! Opening a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, RedisError};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::options::RedisOptions;

/// How long connecting, encrypting and logging in may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("no answer within 1 s")]
    Silent,
    #[error(transparent)]
    Network(#[from] io::Error),
    #[error("{0}")]
    Certificates(String),
    #[error(transparent)]
    Refused(#[from] RedisError),
}

/// A connection on which commands of all tasks are sent. What is published is pushed to `pushed`.
pub(crate) async fn connect(
    options: &RedisOptions,
    pushed: impl AsyncPushSender,
) -> Result<MultiplexedConnection, ConnectFailure> {
    timeout(CONNECT_TIMEOUT, open(options, pushed)).await.unwrap_or(Err(ConnectFailure::Silent))
}

async fn open(
    options: &RedisOptions,
    pushed: impl AsyncPushSender,
) -> Result<MultiplexedConnection, ConnectFailure> {
    let stream = TcpStream::connect((options.host.as_str(), options.port)).await?;
    stream.set_nodelay(true)?;
    if !options.is_encrypted {
        return log_in(options, stream, pushed).await;
    }
    let name = ServerName::try_from(options.host.clone())
        .map_err(|error| ConnectFailure::Certificates(format!("{}: {error}", options.host)))?;
    let stream = connector(options)?.connect(name, stream).await.map_err(of_handshake)?;
    log_in(options, stream, pushed).await
}

/// Why encryption failed. A certificate that is not accepted is told from a network that does not work.
fn of_handshake(error: io::Error) -> ConnectFailure {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    ConnectFailure::Certificates(match cause {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => "the certificate of the server is from an authority that is not trusted".to_owned(),
        Some(rustls::Error::InvalidCertificate(cause)) => {
            format!("the certificate of the server is not accepted: {cause}")
        }
        _ => return ConnectFailure::Network(error),
    })
}

async fn log_in<S>(
    options: &RedisOptions,
    stream: S,
    pushed: impl AsyncPushSender,
) -> Result<MultiplexedConnection, ConnectFailure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Those who wait say for how long.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(pushed);
    let (connection, driver) =
        MultiplexedConnection::new_with_config(&options.session, stream, config).await?;
    // Ends with the last clone of the connection, or with the stream.
    tokio::spawn(driver);
    Ok(connection)
}

fn connector(options: &RedisOptions) -> Result<TlsConnector, ConnectFailure> {
    let certificates = |error: &dyn std::fmt::Display| ConnectFailure::Certificates(error.to_string());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| certificates(&error))?
        .with_root_certificates(roots(options)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(options: &RedisOptions) -> Result<RootCertStore, ConnectFailure> {
    let mut roots = RootCertStore::empty();
    match &options.root_certificates {
        Some(file) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                ConnectFailure::Certificates(format!(
                    "cannot read the certificates in {}: {error}",
                    file.display()
                ))
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    match roots.is_empty() {
        true => Err(ConnectFailure::Certificates("there are no trusted certificates".to_owned())),
        false => Ok(roots),
    }
}
