//! TLS between our sessions and rustls's client, in memory, with certificates made for the test.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::*;
use crate::report::{Report, Result, Severity, SqlState};

/// A folder of certificates, removed at the end.
struct Files {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        let folder = std::env::temp_dir().join(format!("tuskd-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate_for(algorithm).unwrap()).unwrap();
        let files = Self { folder, authority };
        files.write("root.crt", &files.authority.pem());
        let mut server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        server.distinguished_name.push(DnType::CommonName, "localhost");
        files.issue("server", server);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn issue(&self, name: &str, params: CertificateParams) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.write(&format!("{name}.crt"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn client(&self, common_name: &str) -> Client {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "there");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.serial_number = Some(SerialNumber::from(258_u64));
        self.issue("client", params);
        Client { certificate: true, ..Client::default() }
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings {
            cert_file: self.path("server.crt"),
            key_file: self.path("server.key"),
            ca_file: None,
            crl_file: None,
            min_version: None,
            max_version: None,
            prefer_server_ciphers: true,
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What a client does.
#[derive(Clone)]
struct Client {
    alpn: Vec<Vec<u8>>,
    certificate: bool,
    version: &'static SupportedProtocolVersion,
    /// Bytes that are handed to the server at once.
    piece: usize,
}

impl Default for Client {
    fn default() -> Self {
        Self { alpn: vec![ALPN.to_vec()], certificate: false, version: &version::TLS13, piece: usize::MAX }
    }
}

impl Client {
    fn connect(&self, files: &Files) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(files.path("root.crt")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = if self.certificate {
            let chain = vec![CertificateDer::from_pem_file(files.path("client.crt")).unwrap()];
            let key = PrivateKeyDer::from_pem_file(files.path("client.key")).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols.clone_from(&self.alpn);
        ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
    }
}

/// Carries bytes both ways until neither side has more.
fn exchange(client: &mut ClientConnection, server: &mut TlsSession, piece: usize) -> Result<()> {
    loop {
        let mut there = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        let received =
            there.chunks(piece.min(there.len()).max(1)).try_for_each(|bytes| server.receive(bytes));
        let mut back = Vec::new();
        server.flush(&mut back);
        let mut rest = &back[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            let _ = client.process_new_packets();
        }
        received?;
        if there.is_empty() && back.is_empty() {
            return Ok(());
        }
    }
}

fn accept(files: &Files, settings: &TlsSettings, client: &Client) -> Result<(ClientConnection, TlsSession)> {
    let mut server = TlsSession::new(&TlsConfig::load(settings)?)?;
    assert!(server.is_handshaking());
    assert_eq!(server.ended().unwrap().message, "could not accept SSL connection: EOF detected");
    let mut connection = client.connect(files);
    exchange(&mut connection, &mut server, client.piece)?;
    assert!(!server.is_handshaking() && server.ended().is_none());
    Ok((connection, server))
}

#[test]
fn bytes_go_both_ways_in_any_pieces() {
    let files = Files::new("both-ways", &PKCS_ECDSA_P256_SHA256);
    for (version, piece) in [(&version::TLS13, usize::MAX), (&version::TLS13, 1), (&version::TLS12, 7)] {
        let wanted = Client { version, piece, ..Client::default() };
        let (mut client, mut server) = accept(&files, &files.settings(), &wanted).unwrap();
        let long = vec![7; 300_000];
        client.set_buffer_limit(None);
        client.writer().write_all(&long).unwrap();
        exchange(&mut client, &mut server, piece.max(1000)).unwrap();
        let mut plaintext = b"before".to_vec();
        server.take_plaintext(&mut plaintext);
        assert!(plaintext.starts_with(b"before") && plaintext[6..] == long);

        let mut ciphertext = Vec::new();
        server.send(&long, &mut ciphertext).unwrap();
        assert!(!server.wants_write());
        let (mut rest, mut got) = (&ciphertext[..], Vec::new());
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            let state = client.process_new_packets().unwrap();
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            client.reader().read_exact(&mut bytes).unwrap();
            got.extend(bytes);
        }
        assert!(got == long);
    }
}

#[test]
fn a_client_s_farewell_ends_the_stream() {
    let files = Files::new("farewell", &PKCS_ECDSA_P256_SHA256);
    let (mut client, mut server) = accept(&files, &files.settings(), &Client::default()).unwrap();
    client.writer().write_all(b"last").unwrap();
    client.send_close_notify();
    exchange(&mut client, &mut server, usize::MAX).unwrap();
    server.receive(b"anything").unwrap();
    let mut plaintext = Vec::new();
    server.take_plaintext(&mut plaintext);
    assert_eq!(plaintext, b"last");
    let mut out = Vec::new();
    server.close(&mut out);
    assert!(!out.is_empty());
}

#[test]
fn version_cipher_and_protocol_are_known() {
    let files = Files::new("info", &PKCS_ECDSA_P256_SHA256);
    for (version, name, cipher) in [
        (&version::TLS13, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (&version::TLS12, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ] {
        let client = Client { version, ..Client::default() };
        let (_, server) = accept(&files, &files.settings(), &client).unwrap();
        assert_eq!(server.info(), Some(TlsInfo { version: name, cipher, bits: 256 }));
        server.require_alpn().unwrap();
        assert_eq!(server.client_certificate().unwrap(), None);
    }
    let silent = Client { alpn: Vec::new(), ..Client::default() };
    let (_, server) = accept(&files, &files.settings(), &silent).unwrap();
    let report = server.require_alpn().unwrap_err();
    assert_eq!(
        report.message,
        "received direct SSL connection request without ALPN protocol negotiation extension"
    );
    let other = Client { alpn: vec![b"http/1.1".to_vec()], ..Client::default() };
    assert!(accept(&files, &files.settings(), &other).is_err());
}

#[test]
fn channel_binding_hashes_the_certificate_by_its_signature_s_hash() {
    for (name, algorithm, hash) in [
        ("p256", &PKCS_ECDSA_P256_SHA256, Some(&digest::SHA256)),
        ("p384", &PKCS_ECDSA_P384_SHA384, Some(&digest::SHA384)),
        ("ed25519", &PKCS_ED25519, None),
    ] {
        let files = Files::new(name, algorithm);
        let config = TlsConfig::load(&files.settings()).unwrap();
        let certificate = CertificateDer::from_pem_file(files.path("server.crt")).unwrap();
        let expected = hash.map(|hash| digest::digest(hash, &certificate).as_ref().to_vec());
        assert_eq!(config.server_end_point(), expected.as_deref());
    }
}

#[test]
fn clients_are_known_by_verified_certificates_only() {
    let files = Files::new("clients", &PKCS_ECDSA_P256_SHA256);
    let settings = TlsSettings { ca_file: Some(files.path("root.crt")), ..files.settings() };
    let (_, server) = accept(&files, &settings, &Client::default()).unwrap();
    assert_eq!(server.client_certificate().unwrap(), None);

    for version in [&version::TLS13, &version::TLS12] {
        let client = Client { version, ..files.client("me") };
        let (_, server) = accept(&files, &settings, &client).unwrap();
        let expected = ClientCertificate {
            common_name: Some("me".to_owned()),
            subject_rfc2253: "CN=me,O=there".to_owned(),
            subject: "/O=there/CN=me".to_owned(),
            issuer: "/CN=authority".to_owned(),
            serial: "258".to_owned(),
        };
        assert_eq!(server.client_certificate().unwrap(), Some(expected));
    }

    let strangers = Files::new("strangers", &PKCS_ECDSA_P256_SHA256);
    strangers.client("me");
    for name in ["client.crt", "client.key"] {
        fs::copy(strangers.path(name), files.path(name)).unwrap();
    }
    let stranger = Client { certificate: true, ..Client::default() };
    let report = accept(&files, &settings, &stranger).map(|_| ()).unwrap_err();
    assert_eq!(report.message, "could not accept SSL connection: certificate verify failed");
    assert!(report.detail.is_some());
    assert_eq!((report.severity, report.sqlstate), (Severity::Log, SqlState::PROTOCOL_VIOLATION));
}

#[test]
fn an_authority_is_no_client() {
    let files = Files::new("authority", &PKCS_ECDSA_P256_SHA256);
    let settings = TlsSettings { ca_file: Some(files.path("root.crt")), ..files.settings() };
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    files.issue("client", params);
    let client = Client { certificate: true, ..Client::default() };
    let report = accept(&files, &settings, &client).map(|_| ()).unwrap_err();
    assert_eq!(
        report.hint.as_deref(),
        Some("A certificate authority's own certificate cannot be used by a client.")
    );
}

#[test]
fn names_with_nul_are_refused() {
    let files = Files::new("nul", &PKCS_ECDSA_P256_SHA256);
    let settings = TlsSettings { ca_file: Some(files.path("root.crt")), ..files.settings() };
    let (_, server) = accept(&files, &settings, &files.client("me\0.example")).unwrap();
    let report = server.client_certificate().unwrap_err();
    assert_eq!(report.message, "SSL certificate's common name contains embedded null");
}

#[test]
fn versions_that_do_not_meet_are_named_in_a_hint() {
    let files = Files::new("versions", &PKCS_ECDSA_P256_SHA256);
    let settings = TlsSettings { min_version: Some(TlsVersion::Tls1_3), ..files.settings() };
    let old = Client { version: &version::TLS12, ..Client::default() };
    let report = accept(&files, &settings, &old).map(|_| ()).unwrap_err();
    assert_eq!(
        report.hint.as_deref(),
        Some(
            "This may indicate that the client does not support any SSL protocol version between TLSv1.3 and TLSv1.3."
        )
    );
}

#[test]
fn garbage_is_refused_and_the_client_told() {
    let files = Files::new("garbage", &PKCS_ECDSA_P256_SHA256);
    let mut server = TlsSession::new(&TlsConfig::load(&files.settings()).unwrap()).unwrap();
    let report = server.receive(b"GET / HTTP/1.1\r\n\r\n").unwrap_err();
    assert!(report.message.starts_with("could not accept SSL connection: "), "{}", report.message);
    assert!(server.send(b"x", &mut Vec::new()).is_err());
    // An alert record.
    let mut out = Vec::new();
    server.flush(&mut out);
    assert_eq!(out.first(), Some(&0x15));
}

fn refusal(settings: &TlsSettings) -> Box<Report> {
    let report = TlsConfig::load(settings).map(|_| ()).unwrap_err();
    assert_eq!(report.severity, Severity::Fatal);
    report
}

fn assert_refused(settings: &TlsSettings, what: &str, file: &Path, why: &str) {
    assert_eq!(
        refusal(settings).message,
        format!("could not load {what} file \"{}\": {why}", file.display())
    );
}

#[test]
fn bad_files_have_postgresql_s_errors() {
    let files = Files::new("files", &PKCS_ECDSA_P256_SHA256);
    let garbage = files.write("garbage", "garbage\n");
    let hello = files.write("hello", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n");
    let missing = files.path("missing");
    let other_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let other = files.write("other.key", &other_key);
    for (file, why) in
        [(&missing, "No such file or directory"), (&garbage, "no start line"), (&hello, "wrong tag")]
    {
        let settings = TlsSettings { cert_file: file.clone(), ..files.settings() };
        assert_refused(&settings, "server certificate", file, why);
    }
    for (file, why) in [(&garbage, "no start line"), (&other, "key values mismatch")] {
        let settings = TlsSettings { key_file: file.clone(), ..files.settings() };
        assert_refused(&settings, "private key", file, why);
    }
    for (file, why) in [(&missing, "No such file or directory"), (&garbage, "no certificate or crl found")] {
        let settings = TlsSettings { ca_file: Some(file.clone()), ..files.settings() };
        assert_refused(&settings, "root certificate", file, why);
        let ca_file = Some(files.path("root.crt"));
        let settings = TlsSettings { ca_file, crl_file: Some(file.clone()), ..files.settings() };
        assert_refused(&settings, "SSL certificate revocation list", file, why);
    }
    let settings = TlsSettings { key_file: missing.clone(), ..files.settings() };
    let report = refusal(&settings);
    let wanted =
        format!("could not access private key file \"{}\": No such file or directory", missing.display());
    assert_eq!((report.message, report.sqlstate), (wanted, SqlState::UNDEFINED_FILE));
}

#[test]
fn a_key_open_to_others_is_refused() {
    let files = Files::new("open", &PKCS_ECDSA_P256_SHA256);
    let key = files.path("server.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let report = refusal(&files.settings());
    assert_eq!(report.message, format!("private key file \"{}\" has group or world access", key.display()));
    assert_eq!(
        report.detail.as_deref(),
        Some(
            "File must have permissions u=rw (0600) or less if owned by the database user, or permissions \
             u=rw,g=r (0640) or less if owned by root."
        )
    );
    let settings = TlsSettings { key_file: files.folder.clone(), ..files.settings() };
    assert!(refusal(&settings).message.ends_with("is not a regular file"));
}

#[test]
fn ranges_of_versions_are_checked() {
    use TlsVersion::{Tls1_0, Tls1_1, Tls1_2, Tls1_3};
    let files = Files::new("ranges", &PKCS_ECDSA_P256_SHA256);
    let load = |min_version, max_version| {
        TlsConfig::load(&TlsSettings { min_version, max_version, ..files.settings() }).map(|_| ())
    };
    for (min, max) in [(None, None), (Some(Tls1_0), Some(Tls1_2)), (Some(Tls1_3), None)] {
        load(min, max).unwrap();
    }
    let report = load(Some(Tls1_3), Some(Tls1_2)).unwrap_err();
    assert_eq!(report.message, "could not set SSL protocol version range");
    assert!(report.detail.is_some());
    let report = load(Some(Tls1_0), Some(Tls1_1)).unwrap_err();
    assert_eq!(
        report.message,
        "\"ssl_max_protocol_version\" setting \"TLSv1.1\" not supported by this build"
    );
    assert_eq!(TlsVersion::from_name("tlsv1.3"), Some(Tls1_3));
    assert_eq!(TlsVersion::from_name("SSLv3"), None);
}
