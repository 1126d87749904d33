//! Reading certificates, keys and revocation lists, with PostgreSQL's checks and errors.
//!
//! The words behind the colon are OpenSSL's where it has some for the case.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::certificate::Certificate;
use crate::report::{Report, ReportExt, Result, SqlState};

/// A configuration error; fatal, unless whoever reloads changes it to a line of the log.
#[track_caller]
pub(super) fn error(message: impl Into<String>) -> Box<Report> {
    Report::fatal(SqlState::CONFIG_FILE_ERROR, message)
}

/// The server's certificate and those between it and its authority.
pub(super) fn certificate_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed =
        |why: String| error(format!("could not load server certificate file \"{}\": {why}", file.display()));
    let bytes = fs::read(file).map_err(|error| failed(system_message(&error)))?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<std::result::Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| failed(pem_message(&error)))?;
    let first = chain.first().ok_or_else(|| failed("no start line".to_owned()))?;
    Certificate::parse(first).ok_or_else(|| failed("wrong tag".to_owned()))?;
    Ok(chain)
}

/// The server's private key, whose file must be for the server's eyes only.
pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    check_access(file)?;
    let failed = |why: String| key_error(file, &why);
    let bytes = fs::read(file).map_err(|error| failed(system_message(&error)))?;
    if is_encrypted(&bytes) {
        return Err(failed("it is protected by a passphrase".to_owned()).with_hint(
            "Passphrases of private keys are not supported. Remove it by \"openssl pkey -in OLD -out NEW\".",
        ));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| failed(pem_message(&error)))
}

#[track_caller]
pub(super) fn key_error(file: &Path, why: &str) -> Box<Report> {
    error(format!("could not load private key file \"{}\": {why}", file.display()))
}

fn check_access(file: &Path) -> Result<()> {
    let shown = file.display();
    let metadata = fs::metadata(file).map_err(|io| {
        let mut report =
            error(format!("could not access private key file \"{shown}\": {}", system_message(&io)));
        if io.kind() == io::ErrorKind::NotFound {
            report.sqlstate = SqlState::UNDEFINED_FILE;
        }
        report
    })?;
    if !metadata.is_file() {
        return Err(error(format!("private key file \"{shown}\" is not a regular file")));
    }
    let user = rustix::process::geteuid().as_raw();
    match access(metadata.uid(), metadata.mode(), user) {
        Access::Fine => Ok(()),
        Access::Foreign => {
            Err(error(format!("private key file \"{shown}\" must be owned by the database user or root")))
        }
        Access::Open => Err(error(format!("private key file \"{shown}\" has group or world access")).with_detail(
            "File must have permissions u=rw (0600) or less if owned by the database user, or permissions \
             u=rw,g=r (0640) or less if owned by root.",
        )),
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Access {
    Fine,
    /// Owned by somebody else.
    Foreign,
    /// Open to others.
    Open,
}

/// Whether a key file with this owner and mode may be used by `user`.
const fn access(owner: u32, mode: u32, user: u32) -> Access {
    let forbidden = if owner == user {
        0o077
    } else if owner == 0 {
        0o037
    } else {
        return Access::Foreign;
    };
    if mode & forbidden == 0 { Access::Fine } else { Access::Open }
}

/// PKCS #8 says it in its label, the older formats in a header.
fn is_encrypted(pem: &[u8]) -> bool {
    let lines = pem.split(|&byte| byte == b'\n');
    lines
        .map(<[u8]>::trim_ascii_end)
        .any(|line| line == b"-----BEGIN ENCRYPTED PRIVATE KEY-----" || line == b"Proc-Type: 4,ENCRYPTED")
}

/// The authorities whose clients are believed.
pub(super) fn root_certificates(file: &Path) -> Result<RootCertStore> {
    let failed =
        |why: String| error(format!("could not load root certificate file \"{}\": {why}", file.display()));
    let bytes = fs::read(file).map_err(|error| failed(system_message(&error)))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| failed(pem_message(&error)))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("no certificate or crl found".to_owned()));
    }
    Ok(roots)
}

/// Lists of certificates that are no longer believed.
pub(super) fn revocation_lists(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    let failed = |why: String| revocation_error(file, &why);
    let bytes = fs::read(file).map_err(|error| failed(system_message(&error)))?;
    let lists =
        CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<std::result::Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| failed(pem_message(&error)))?;
    if lists.is_empty() {
        return Err(failed("no certificate or crl found".to_owned()));
    }
    Ok(lists)
}

#[track_caller]
pub(super) fn revocation_error(file: &Path, why: &str) -> Box<Report> {
    error(format!("could not load SSL certificate revocation list file \"{}\": {why}", file.display()))
}

/// The system's words without the number that Rust adds.
fn system_message(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn pem_message(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "no start line".to_owned(),
        pem::Error::MissingSectionEnd { .. } => "bad end line".to_owned(),
        pem::Error::Base64Decode(_) => "bad base64 decode".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_for_the_server_and_root_only() {
        for (owner, mode, user, wanted) in [
            (10, 0o100_600, 10, Access::Fine),
            (10, 0o100_400, 10, Access::Fine),
            (10, 0o100_640, 10, Access::Open),
            (10, 0o100_604, 10, Access::Open),
            (0, 0o100_640, 10, Access::Fine),
            (0, 0o100_660, 10, Access::Open),
            (0, 0o100_644, 10, Access::Open),
            (0, 0o100_640, 0, Access::Open),
            (11, 0o100_600, 10, Access::Foreign),
            (11, 0o100_600, 0, Access::Foreign),
        ] {
            assert_eq!(access(owner, mode, user), wanted, "{owner} {mode:o} {user}");
        }
    }

    #[test]
    fn passphrases_are_seen() {
        assert!(is_encrypted(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\r\nAA"));
        assert!(is_encrypted(b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"));
        assert!(!is_encrypted(b"-----BEGIN PRIVATE KEY-----\nENCRYPTED\n"));
    }
}
