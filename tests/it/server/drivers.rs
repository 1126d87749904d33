//! Real clients: the Rust crate `postgres`, Python's psycopg, psql and pgbench, over the socket with trust, over TCP with a
//! password, and over TLS with the password bound to the channel.

mod programs;
mod rust;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::TestServer;
use super::connections::client::Client;
use super::connections::limits::owner;
use crate::harness::Test;

/// All tables of this folder.
pub const TESTS: [&[Test]; 2] = [rust::TESTS, programs::TESTS];

/// A role that is no superuser.
pub const USER: &str = "driver";
/// Its password, which SASLprep changes.
pub const PASSWORD: &str = "se\u{ad}same \u{2168}";

/// A server that lets [`USER`] in every way.
pub struct DriverServer {
    pub server: TestServer,
    /// The certificate that the server's is signed by.
    pub root: PathBuf,
}

impl DriverServer {
    pub fn start() -> Self {
        let mut server = TestServer::init("listen_addresses = '127.0.0.1'\nssl = on\n");
        let root = write_certificates(&server);
        let hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(server.dir.join("pg_hba.conf"), hba).expect("writable");
        server.launch();
        server.wait_for_log("database system is ready to accept connections", 1);
        let role = format!("create role {USER} login password '{PASSWORD}'");
        assert_eq!(Client::session(&server, &owner()).query(&role), ["C CREATE ROLE", "Z I"]);
        Self { server, root }
    }

    /// Connection strings for every way in, without and with TLS at the end.
    pub fn ways(&self) -> [String; 3] {
        let (port, root) = (self.server.port, self.root.display());
        let common = format!("port={port} dbname=postgres user={USER}");
        [
            format!("{common} host=/tmp"),
            format!("{common} host=127.0.0.1 password='{PASSWORD}' sslmode=disable"),
            format!("{common} host=127.0.0.1 password='{PASSWORD}' sslmode=verify-ca sslrootcert={root}"),
        ]
    }
}

fn write_certificates(server: &TestServer) -> PathBuf {
    let mut params = CertificateParams::default();
    // A name of its own: OpenSSL takes a certificate that names itself as its issuer for a root.
    params.distinguished_name.push(DnType::CommonName, "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("random")).expect("a root");
    let key = KeyPair::generate().expect("random");
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &root).expect("a certificate");
    let path = |name: &str| server.dir.join(name);
    fs::write(path("root.crt"), root.pem()).expect("writable");
    fs::write(path("server.crt"), certificate.pem()).expect("writable");
    fs::write(path("server.key"), key.serialize_pem()).expect("writable");
    fs::set_permissions(path("server.key"), fs::Permissions::from_mode(0o600)).expect("ours");
    path("root.crt")
}
