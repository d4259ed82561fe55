//! `rediss://`: the server is always verified.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chatstore_redis::{Redis, RedisOptions};
use chatstore_testkit::free_port;
use chatstore_testkit::server::RedisServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const PATIENCE: Duration = Duration::from_secs(30);

/// A file that the account of the server can read.
fn put(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    file
}

/// The certificate of a new authority; another one for `localhost` that it signed, and its key.
fn certificates() -> [String; 3] {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &authority).unwrap();
    [authority.pem(), certificate.pem(), key.serialize_pem()]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_connection_verifies_the_server_by_name_and_authority() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let [authority, certificate, key] = certificates();
    let authority = put(folder.path(), "authority.pem", &authority);
    let certificate = put(folder.path(), "server.pem", &certificate);
    let key = put(folder.path(), "server.key", &key);
    let other = put(folder.path(), "other.pem", &certificates()[0]);
    let port = free_port().unwrap();
    let port_text = port.to_string();
    let text = |file: &Path| file.to_str().unwrap().to_owned();
    let [certificate, key, trusted] = [&certificate, &key, &authority].map(|file| text(file));
    let arguments = [
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &trusted,
        "--tls-auth-clients",
        "no",
    ];
    let _server = RedisServer::start_with(free_port().unwrap(), &arguments).unwrap();
    let options = |host: &str, authority: &Path| {
        let options = RedisOptions::new(&format!("rediss://{host}:{port}")).unwrap();
        options.timeout(Duration::from_secs(5)).root_certificates(authority.to_owned())
    };

    Redis::probe(&options("localhost", &authority)).await.unwrap();
    let redis = Redis::start(options("localhost", &authority));
    assert!(redis.ready(PATIENCE).await, "the certificate is that of the server");

    let absent = folder.path().join("absent.pem");
    let absent_name = text(&absent);
    for (refused, cause) in [
        (options("localhost", &other), "from an authority that is not trusted"),
        (options("127.0.0.1", &authority), "not valid for name"),
        (options("localhost", &absent), absent_name.as_str()),
        // The authorities of the system have not signed it.
        (RedisOptions::new(&format!("rediss://localhost:{port}")).unwrap(), "trusted"),
    ] {
        let failure = Redis::probe(&refused).await.unwrap_err().to_string();
        assert!(failure.contains(cause) && failure.contains(&port_text), "{cause}: {failure}");
        let redis = Redis::start(refused);
        assert!(!redis.ready(PATIENCE).await, "{cause}: it is used all the same");
        assert_eq!(redis.counts().commands, 0, "nothing is sent");
    }
    let plain = RedisOptions::new(&format!("redis://localhost:{port}")).unwrap();
    Redis::probe(&plain).await.unwrap_err();
}
