//! TLS of a provider, with an authority of its own.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection with TLS or without.
pub(super) trait Stream: Read + Write + fmt::Debug + Send {}

impl<T: Read + Write + fmt::Debug + Send> Stream for T {}

/// A certificate for 127.0.0.1, and its key.
#[derive(Debug, Clone)]
pub(super) struct Tls(Arc<ServerConfig>);

impl Tls {
    /// A new one, and the certificate of its authority as PEM.
    pub(super) fn generate() -> (Self, String) {
        let mut authority = CertificateParams::new(Vec::new()).expect("no name is invalid");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let new_key = || KeyPair::generate().expect("the system has randomness");
        let authority = CertifiedIssuer::self_signed(authority, new_key()).expect("it signs");
        let key = new_key();
        let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("it is an address");
        let certificate = names.signed_by(&key, &authority).expect("it signs");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .expect("key and certificate belong together");
        (Self(Arc::new(config)), authority.pem())
    }

    pub(super) fn accept(&self, client: TcpStream) -> Box<dyn Stream> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).expect("the configuration is complete");
        Box::new(StreamOwned::new(connection, client))
    }
}
