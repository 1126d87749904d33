//! TLS: a real client's bytes, changed on their way.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tuskd::protocol::tls::{TlsConfig, TlsSession, TlsSettings};

use super::super::random::Random;
use super::Pieces;

/// Both sides' settings, made once.
pub struct Tls {
    server: TlsConfig,
    client: Arc<ClientConfig>,
}

impl Tls {
    pub fn new() -> Result<Self> {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
        let folder = std::env::temp_dir().join(format!("tuskd-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (cert_file, key_file) = (folder.join("server.crt"), folder.join("server.key"));
        fs::write(&cert_file, certificate.pem())?;
        fs::write(&key_file, key.serialize_pem())?;
        fs::set_permissions(&key_file, Permissions::from_mode(0o600))?;
        let settings = TlsSettings {
            ca_file: Some(cert_file.clone()),
            cert_file,
            key_file,
            crl_file: None,
            min_version: None,
            max_version: None,
            prefer_server_ciphers: true,
        };
        let server = TlsConfig::load(&settings);
        fs::remove_dir_all(&folder)?;
        Ok(Self { server: server?, client: client(certificate.der())? })
    }

    /// A handshake and some data. In half of the executions nothing is changed, and all must arrive.
    pub fn run(&self, random: &mut Random) -> Result<()> {
        let mut client = ClientConnection::new(Arc::clone(&self.client), "localhost".try_into()?)?;
        let mut server = TlsSession::new(&self.server)?;
        let data = random.bytes(3000);
        let changes = if random.one_in(2) { 0 } else { 1 + random.below(3) };
        let change_at = random.below(4);
        for flight in 0..6 {
            if flight == 2 && !client.is_handshaking() {
                client.writer().write_all(&data)?;
            }
            let mut there = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut there)?;
            }
            if flight == change_at {
                (0..changes).for_each(|_| random.mutate_once(&mut there));
            }
            let mut pieces = Pieces::new(random, &there);
            while let Some(piece) = pieces.next(random) {
                if let Err(report) = server.receive(piece) {
                    ensure!(changes > 0, "{report}");
                    server.flush(&mut Vec::new());
                    return Ok(());
                }
            }
            let mut back = Vec::new();
            server.flush(&mut back);
            let mut rest = &back[..];
            while !rest.is_empty() && client.read_tls(&mut rest).is_ok_and(|taken| taken > 0) {
                drop(client.process_new_packets());
            }
        }
        let mut got = Vec::new();
        server.take_plaintext(&mut got);
        ensure!(changes > 0 || got == data, "{} bytes became {}", data.len(), got.len());
        ensure!(changes == 0 || data.starts_with(&got), "what was changed was believed");
        server.client_certificate().map(drop).map_err(|report| anyhow::anyhow!("{report}"))
    }
}

fn client(certificate: &CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no versions")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
