//! Encrypted connections to a real server with certificates of our own making.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reconcile_live::connect::{ConnectOptions, connect};
use reconcile_live::error::{ConnectKind, Error};
use reconcile_testkit::own_server;
use reconcile_throwaway::{Options, Server};
use support::{session, target};

on_every_major! {
    require_encrypts_and_verify_verifies
    a_self_signed_certificate_is_explained
    prefer_falls_back_where_the_server_takes_plain_connections_only
}

/// A server that offers TLS, and a folder with the authority's certificate.
struct Tls {
    server: Server,
    authority: PathBuf,
    _folder: tempfile::TempDir,
}

/// Starts a server whose certificate is for `localhost`; `self_signed` makes it its own authority.
async fn tls(major: u32, self_signed: bool, hba: &str) -> Tls {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_cert = authority.self_signed(&authority_key).unwrap();
    let (cert, key) = if self_signed {
        (authority_cert.pem(), authority_key.serialize_pem())
    } else {
        let issuer = Issuer::new(authority, &authority_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (leaf.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    };

    let server = own_server(major, Options::default().tcp().hba(hba)).await;
    let owner = fs::metadata(server.socket_dir()).unwrap();
    let put = |name: &str, text: &str| {
        let path = server.socket_dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (put("server.crt", &cert), put("server.key", &key));
    let mut root = session(&server.url("postgres")).await;
    for sql in [
        format!("ALTER SYSTEM SET ssl_cert_file = '{cert}'"),
        format!("ALTER SYSTEM SET ssl_key_file = '{key}'"),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        "CREATE ROLE app LOGIN PASSWORD 'secret'".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        root.send(&sql).await.unwrap();
    }
    for _ in 0..100 {
        let mut fresh = session(&server.url("postgres")).await;
        if fresh.send("SHOW ssl").await.unwrap()[0].at(0) == Some("on") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    fs::write(&authority, authority_cert.pem()).unwrap();
    Tls { server, authority, _folder: folder }
}

impl Tls {
    fn url(&self, host: &str, rest: &str) -> String {
        format!("postgresql://app:secret@{host}:{}/postgres?{rest}", self.server.port())
    }

    fn with_authority(&self, host: &str, mode: &str, authority: &Path) -> String {
        self.url(host, &format!("sslmode={mode}&sslrootcert={}", authority.display()))
    }
}

const HBA: &str = "local all all trust\nhostssl all all 0.0.0.0/0 scram-sha-256\n";

/// Whether the connection is encrypted, by the server's account.
async fn encrypted(url: &str) -> bool {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    session(url).await.send(sql).await.unwrap()[0].at(0) == Some("t")
}

async fn refused(url: &str) -> String {
    match connect(&target(url), &ConnectOptions::default()).await {
        Err(Error::Connect(error)) => {
            let text = error.to_string();
            assert_eq!(error.kind, ConnectKind::Tls, "{url}: {text}");
            assert!(!text.contains("secret"), "{text}");
            text
        }
        other => panic!("{url}: {other:?}"),
    }
}

async fn require_encrypts_and_verify_verifies(major: u32) {
    let tls = tls(major, false, HBA).await;
    let ca = tls.authority.clone();
    // Neon's URL as it is handed out.
    assert!(encrypted(&tls.url("localhost", "sslmode=require&channel_binding=require")).await);
    assert!(encrypted(&tls.url("127.0.0.1", "sslmode=prefer")).await);
    // The server takes TLS only, so `allow` gets there the second time.
    assert!(encrypted(&tls.url("127.0.0.1", "sslmode=allow")).await);
    assert!(encrypted(&tls.with_authority("localhost", "verify-full", &ca)).await);
    assert!(encrypted(&tls.with_authority("127.0.0.1", "verify-ca", &ca)).await);

    for rest in
        ["sslmode=verify-full", "sslmode=verify-ca", "sslmode=verify-full&sslrootcert=system"]
    {
        let text = refused(&tls.url("localhost", rest)).await;
        assert!(text.contains("not signed by an authority that is trusted"), "{text}");
        assert!(text.contains("sslrootcert=FILE"), "{text}");
    }
    let text = refused(&tls.with_authority("127.0.0.1", "verify-full", &ca)).await;
    assert!(text.contains("for another host name"), "{text}");

    // libpq: with a root certificate, `require` verifies too.
    let other = support_ca(&tls);
    let text = refused(&tls.with_authority("localhost", "require", &other)).await;
    assert!(text.contains("not signed by an authority that is trusted"), "{text}");
    let missing = connect(
        &target(&tls.with_authority("localhost", "verify-full", Path::new("/nonexistent.pem"))),
        &ConnectOptions::default(),
    )
    .await
    .unwrap_err();
    assert!(missing.to_string().contains("certificate's file"), "{missing}");
}

/// The certificate of an authority that signed nothing here.
fn support_ca(tls: &Tls) -> PathBuf {
    let path = tls.authority.with_file_name("other.pem");
    let mut params = CertificateParams::new(vec!["other".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let cert = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    fs::write(&path, cert.pem()).unwrap();
    path
}

async fn a_self_signed_certificate_is_explained(major: u32) {
    let tls = tls(major, true, HBA).await;
    assert!(encrypted(&tls.url("localhost", "sslmode=require")).await);
    let text = refused(&tls.with_authority("localhost", "verify-full", &tls.authority)).await;
    assert!(text.contains("an authority's certificate"), "{text}");
    refused(&tls.url("localhost", "sslmode=verify-full")).await;
}

async fn prefer_falls_back_where_the_server_takes_plain_connections_only(major: u32) {
    let hba = "local all all trust\nhostnossl all all 0.0.0.0/0 scram-sha-256\n";
    let tls = tls(major, false, hba).await;
    assert!(!encrypted(&tls.url("127.0.0.1", "sslmode=prefer")).await);
    let error =
        connect(&target(&tls.url("127.0.0.1", "sslmode=require")), &ConnectOptions::default())
            .await
            .unwrap_err();
    match error {
        Error::Connect(error) => assert_eq!(error.kind, ConnectKind::Rejected, "{error}"),
        other => panic!("{other}"),
    }
}
