//! TLS to PostgreSQL, with the meanings that libpq gives to `sslmode`
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>, "SSL Mode Descriptions").

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much TLS a connection must have: the values of `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    Disable,
    /// When the server offers it, whichever server answers.
    #[default]
    Prefer,
    /// Always, whichever server answers.
    Require,
    /// Always, with a certificate of an authority that is trusted.
    VerifyAuthority,
    /// Always, with a trusted certificate of this very host.
    VerifyFull,
}

impl TlsMode {
    /// Reads the value of `sslmode`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyAuthority,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// The value of `sslmode`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyAuthority => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// The certificates that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RootCertificates {
    /// Those of the system.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// What a URL says about TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) mode: TlsMode,
    /// Whether the URL says so itself.
    pub(crate) is_explicit: bool,
    /// The trusted certificates, if it names any; the system's are used otherwise.
    pub(crate) root_certificates: Option<RootCertificates>,
}

impl TlsSettings {
    /// The mode for the driver, which knows no verification.
    pub(crate) fn driver_mode(&self) -> tokio_postgres::config::SslMode {
        match self.mode {
            TlsMode::Disable => tokio_postgres::config::SslMode::Disable,
            TlsMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyAuthority | TlsMode::VerifyFull => {
                tokio_postgres::config::SslMode::Require
            }
        }
    }

    /// What connections are made with; the error says what is wrong with the certificates.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let verifies_name = self.mode == TlsMode::VerifyFull;
        // As in libpq, naming an authority asks for it to be checked.
        let verifies_authority =
            verifies_name || self.mode == TlsMode::VerifyAuthority || self.root_certificates.is_some();
        let authority = if verifies_authority {
            let roots = Arc::new(self.roots()?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            Some(verifier.map_err(|error| error.to_string())?)
        } else {
            None
        };
        match authority {
            Some(full) if verifies_name => Ok(full),
            authority => Ok(Arc::new(Lenient { provider: Arc::clone(provider), authority })),
        }
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.root_certificates {
            Some(RootCertificates::File(file)) => {
                let unreadable = |error: &dyn std::fmt::Display| {
                    format!("cannot read the certificates in {}: {error}", file.display())
                };
                let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))?;
                for certificate in certificates {
                    let certificate = certificate.map_err(|error| unreadable(&error))?;
                    roots.add(certificate).map_err(|error| unreadable(&error))?;
                }
            }
            Some(RootCertificates::System) | None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        if roots.is_empty() {
            return Err("there are no trusted certificates; name a file of them with sslrootcert".to_owned());
        }
        Ok(roots)
    }
}

/// Asks less of a certificate than that it is one of this very host.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// Which authorities are trusted, for whatever host; `None` takes any certificate: the
    /// connection is encrypted, but the server may be anybody.
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
