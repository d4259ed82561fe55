//! What each `sslmode` accepts, against a server with a certificate of its own authority.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use chatstore_sql::{ConnectError, Database, DatabaseOptions, ServerFailure, Sql};
use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const IS_ENCRYPTED: Sql =
    Sql::only_postgres("test.is_encrypted", "select ssl from pg_stat_ssl where pid = pg_backend_pid()");

/// The certificate is for `localhost`; the server is reached as `127.0.0.1` just as well.
const NAMED: &str = "localhost";
const UNNAMED: &str = "127.0.0.1";

async fn is_encrypted(url: &str) -> Result<bool, ConnectError> {
    let database = Database::open(DatabaseOptions { pool: 1, ..DatabaseOptions::new(url) }).await?;
    let answers = database
        .read("encrypted", async |tx| tx.query(&IS_ENCRYPTED, &[], |row| row.next::<bool>()).await)
        .await;
    let answer = answers.unwrap()[0];
    assert_eq!(database.is_encrypted(), Some(answer), "the database knows what its server says");
    database.close().await;
    Ok(answer)
}

fn put(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    let owner = fs::metadata(folder).unwrap();
    chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Gives the server a certificate and lets it use it.
async fn encrypt(server: &PostgresServer, authority_file: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![NAMED.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    put(&server.data_dir(), "server.crt", &certificate.pem());
    put(&server.data_dir(), "server.key", &key.serialize_pem());
    fs::write(authority_file, authority.pem()).unwrap();
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("alter system set ssl = on").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    // A new connection is served by the reloaded server once it says so.
    while client.query_one("show ssl", &[]).await.unwrap().get::<_, String>(0) != "on" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_verifies_what_it_says_and_never_less() {
    ensure_postgres_installed().unwrap();
    let server = PostgresServer::start(Settings { durable: false }).unwrap();
    let url =
        |host: &str, parameters: &str| format!("{}?{parameters}", server.url().replace("127.0.0.1", host));

    assert!(!is_encrypted(&url(UNNAMED, "sslmode=prefer")).await.unwrap());
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = is_encrypted(&url(UNNAMED, &format!("sslmode={mode}"))).await;
        let refused = refused.expect_err("it went on without TLS");
        assert_eq!(refused.server_failure(), Some(ServerFailure::NoTls), "{mode}: {refused}");
    }

    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    encrypt(&server, &authority).await;
    let trusted = format!("sslrootcert={}", authority.display());

    assert!(!is_encrypted(&url(NAMED, "sslmode=disable")).await.unwrap());
    assert!(is_encrypted(&url(NAMED, "")).await.unwrap(), "prefer is the default");
    assert!(is_encrypted(&url(UNNAMED, "sslmode=require")).await.unwrap());
    assert!(is_encrypted(&url(UNNAMED, &format!("sslmode=verify-ca&{trusted}"))).await.unwrap());
    assert!(is_encrypted(&url(NAMED, &format!("{trusted}&sslmode=verify-full"))).await.unwrap());

    let wrong_host =
        is_encrypted(&url(UNNAMED, &format!("sslmode=verify-full&{trusted}"))).await.unwrap_err();
    assert!(wrong_host.to_string().contains("not valid for name"), "{wrong_host}");
    assert_eq!(wrong_host.server_failure(), Some(ServerFailure::WrongCertificate), "{wrong_host}");
    let stranger = KeyPair::generate().unwrap();
    let stranger = CertificateParams::new(Vec::new()).unwrap().self_signed(&stranger).unwrap();
    let other = folder.path().join("other.pem");
    fs::write(&other, stranger.pem()).unwrap();
    let parameters = format!("sslmode=verify-full&sslrootcert={}", other.display());
    let unknown = is_encrypted(&url(NAMED, &parameters)).await.unwrap_err();
    assert_eq!(unknown.server_failure(), Some(ServerFailure::UnknownAuthority), "{unknown}");
    for mode in ["verify-ca", "verify-full"] {
        let unknown_authority = is_encrypted(&url(NAMED, &format!("sslmode={mode}"))).await.unwrap_err();
        assert!(unknown_authority.to_string().contains("certificate"), "{unknown_authority}");
    }
    let system = is_encrypted(&url(NAMED, "sslrootcert=system")).await.unwrap_err();
    assert_eq!(system.server_failure(), Some(ServerFailure::UnknownAuthority), "{system}");
    let absent = is_encrypted(&url(NAMED, "sslmode=verify-full&sslrootcert=/absent.pem")).await.unwrap_err();
    assert!(absent.to_string().contains("/absent.pem"), "{absent}");
}
