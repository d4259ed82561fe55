//! Why a connection could not be opened: by the code of the server, or by what the driver and the system say.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::sqlstate::{Meaning, meaning};
use crate::server_failure::ServerFailure;

/// The code of a password that the server did not accept.
const INVALID_PASSWORD: &str = "28P01";

/// The driver's words, where it has no kind of error that can be asked for.
const WORDS: &[(&str, ServerFailure)] = &[
    ("password missing", ServerFailure::MissingPassword),
    ("server does not support TLS", ServerFailure::NoTls),
    // The standard library's, for an address that cannot be looked up.
    ("failed to lookup address information", ServerFailure::UnknownHost),
    ("error parsing response from server", ServerFailure::NotPostgres),
    ("unexpected message from server", ServerFailure::NotPostgres),
    ("bytes remaining on stream", ServerFailure::NotPostgres),
    ("connection closed", ServerFailure::NotPostgres),
];

/// Says why, where that is known.
pub(super) fn server_failure(error: &tokio_postgres::Error) -> Option<ServerFailure> {
    if let Some(server) = error.as_db_error() {
        return match meaning(server) {
            Meaning::Denied if server.code().code() == INVALID_PASSWORD => Some(ServerFailure::WrongPassword),
            Meaning::Denied => Some(ServerFailure::NotAllowed),
            Meaning::TooManyConnections => Some(ServerFailure::TooManyConnections),
            Meaning::Unavailable => Some(ServerFailure::Starting),
            _ => None,
        };
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    let mut words = String::new();
    while let Some(error) = next {
        words.push_str(&error.to_string());
        words.push('\n');
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(failure) = inner.and_then(|inner| of_tls(inner.downcast_ref()?)) {
            return Some(failure);
        }
        if let Some(failure) = of_tls_or_system(error) {
            return Some(failure);
        }
        next = error.source();
    }
    WORDS.iter().find(|(text, _)| words.contains(text)).map(|(_, failure)| *failure)
}

fn of_tls_or_system(error: &(dyn Error + 'static)) -> Option<ServerFailure> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return of_tls(error);
    }
    match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::ConnectionRefused => Some(ServerFailure::Refused),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(ServerFailure::NoAnswer)
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Some(ServerFailure::NotPostgres),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> Option<ServerFailure> {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => Some(ServerFailure::UnknownAuthority),
        rustls::Error::InvalidCertificate(_) => Some(ServerFailure::WrongCertificate),
        _ => None,
    }
}
