//! What a server says of TLS in its settings, read and checked once.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{SupportedProtocolVersion, version};

use super::certificate::{Certificate, server_end_point};
use super::{ALPN, files};
use crate::report::{ReportExt, Result};

/// A version of TLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "they say it")]
pub enum TlsVersion {
    Tls1_0,
    Tls1_1,
    Tls1_2,
    Tls1_3,
}

impl TlsVersion {
    /// As settings and views write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls1_0 => "TLSv1",
            Self::Tls1_1 => "TLSv1.1",
            Self::Tls1_2 => "TLSv1.2",
            Self::Tls1_3 => "TLSv1.3",
        }
    }

    /// The version of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Tls1_0, Self::Tls1_1, Self::Tls1_2, Self::Tls1_3];
        all.into_iter().find(|version| version.name().eq_ignore_ascii_case(name))
    }
}

/// The settings, paths resolved by the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    /// `ssl_cert_file`.
    pub cert_file: PathBuf,
    /// `ssl_key_file`.
    pub key_file: PathBuf,
    /// `ssl_ca_file`, if set: then clients are asked for a certificate.
    pub ca_file: Option<PathBuf>,
    /// `ssl_crl_file`, if set.
    pub crl_file: Option<PathBuf>,
    /// `ssl_min_protocol_version`, if set.
    pub min_version: Option<TlsVersion>,
    /// `ssl_max_protocol_version`, if set.
    pub max_version: Option<TlsVersion>,
    /// `ssl_prefer_server_ciphers`.
    pub prefer_server_ciphers: bool,
}

/// What sessions of TLS begin with.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    pub(super) server: Arc<ServerConfig>,
    /// What SCRAM's channel binding binds to.
    pub(super) end_point: Option<Vec<u8>>,
    /// The least and greatest version on offer, for an error's hint.
    pub(super) versions: (TlsVersion, TlsVersion),
}

impl TlsConfig {
    /// Reads and checks the files.
    ///
    /// # Errors
    ///
    /// `FATAL` F0000 in PostgreSQL's words; on a reload the caller makes a `LOG` line of it and keeps the old one.
    pub fn load(settings: &TlsSettings) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = files::certificate_chain(&settings.cert_file)?;
        let end_point = server_end_point(&chain[0]);
        let key = certified_key(settings, chain, &provider)?;
        let (versions, offered) = versions(settings)?;
        let verifier = verifier(settings, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&offered)
            .map_err(|error| files::error(format!("could not create SSL context: {error}")))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.ignore_client_order = settings.prefer_server_ciphers;
        Ok(Self { server: Arc::new(config), end_point, versions })
    }

    /// What SCRAM's `tls-server-end-point` binds to: a hash of the certificate. `None` if its signature has no hash, as
    /// Ed25519's; SCRAM-SHA-256-PLUS must not be offered then.
    pub fn server_end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }
}

/// The key with its certificates. Whether they belong together is compared here rather than by rustls, which would refuse
/// certificates of X.509's first version, as `openssl x509 -req` made them for years.
fn certified_key(
    settings: &TlsSettings,
    chain: Vec<CertificateDer<'static>>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey> {
    let file = &settings.key_file;
    let key = files::private_key(file)?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| files::key_error(file, &error.to_string()))?;
    let expected = Certificate::parse(&chain[0]).map(|certificate| certificate.public_key);
    if key.public_key().is_some_and(|public| Some(&*public) != expected) {
        return Err(files::key_error(file, "key values mismatch"));
    }
    Ok(CertifiedKey::new(chain, key))
}

/// The range of versions, and rustls's versions in it.
type Versions = ((TlsVersion, TlsVersion), Vec<&'static SupportedProtocolVersion>);

fn versions(settings: &TlsSettings) -> Result<Versions> {
    let least = settings.min_version.unwrap_or(TlsVersion::Tls1_2);
    let greatest = settings.max_version.unwrap_or(TlsVersion::Tls1_3);
    if least > greatest {
        return Err(files::error("could not set SSL protocol version range")
            .with_detail("\"ssl_min_protocol_version\" cannot be higher than \"ssl_max_protocol_version\""));
    }
    if greatest < TlsVersion::Tls1_2 {
        return Err(files::error(format!(
            "\"ssl_max_protocol_version\" setting \"{}\" not supported by this build",
            greatest.name()
        )));
    }
    let ours = [(TlsVersion::Tls1_2, &version::TLS12), (TlsVersion::Tls1_3, &version::TLS13)];
    let offered = ours.into_iter().filter(|(version, _)| (least..=greatest).contains(version));
    Ok(((least.max(TlsVersion::Tls1_2), greatest), offered.map(|(_, version)| version).collect()))
}

/// Asks clients for certificates only if there are authorities to verify them by; none is required here, since that is
/// for `pg_hba.conf` to say.
fn verifier(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>> {
    let Some(ca_file) = &settings.ca_file else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let roots = Arc::new(files::root_certificates(ca_file)?);
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).allow_unauthenticated();
    if let Some(file) = &settings.crl_file {
        builder = builder.with_crls(files::revocation_lists(file)?).enforce_revocation_expiration();
    }
    builder.build().map_err(|error| match &settings.crl_file {
        Some(file) => files::revocation_error(file, &error.to_string()),
        None => {
            files::error(format!("could not load root certificate file \"{}\": {error}", ca_file.display()))
        }
    })
}
