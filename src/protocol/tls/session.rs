//! One connection's TLS: what was received goes in, what is to be sent comes out.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{CertificateError, Error, ProtocolVersion, ServerConnection};

use super::certificate::{Certificate, ClientCertificate};
use super::cipher::name_and_bits;
use super::config::{TlsConfig, TlsVersion};
use crate::report::{Report, ReportExt, Result, Severity, SqlState};

/// Plaintext that is encrypted at once; more would be kept twice.
const SEND_PIECE: usize = 128 * 1024;

/// What `pg_stat_ssl` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsInfo {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// By OpenSSL's name.
    pub cipher: &'static str,
    /// Of the cipher's key.
    pub bits: u32,
}

/// A connection's TLS.
#[derive(Debug)]
pub struct TlsSession {
    connection: Box<ServerConnection>,
    config: TlsConfig,
    plaintext: Vec<u8>,
}

impl TlsSession {
    /// Awaits a client's first bytes.
    ///
    /// # Errors
    ///
    /// `could not initialize SSL connection`, for the log.
    pub fn new(config: &TlsConfig) -> Result<Self> {
        let connection = ServerConnection::new(Arc::clone(&config.server))
            .map_err(|error| broken(format!("could not initialize SSL connection: {error}")))?;
        let mut connection = Box::new(connection);
        // `send` hands on all it was given before it returns, so nothing gathers.
        connection.set_buffer_limit(None);
        Ok(Self { connection, config: config.clone(), plaintext: Vec::new() })
    }

    /// Takes what the client sent. Afterwards there may be something to [`flush`](Self::flush), also after an error: it
    /// tells the client why.
    ///
    /// # Errors
    ///
    /// `LOG` 08P01: the connection is to be closed.
    pub fn receive(&mut self, ciphertext: &[u8]) -> Result<()> {
        let mut rest = ciphertext;
        while !rest.is_empty() {
            let taken = self.connection.read_tls(&mut rest).map_err(|error| self.failed_io(&error))?;
            let state = self.connection.process_new_packets().map_err(|error| self.failed(&error))?;
            let decrypted = state.plaintext_bytes_to_read();
            if decrypted > 0 {
                let at = self.plaintext.len();
                self.plaintext.resize(at + decrypted, 0);
                let mut reader = self.connection.reader();
                reader.read_exact(&mut self.plaintext[at..]).map_err(|error| self.failed_io(&error))?;
            }
            // The client has closed; what it sends behind that means nothing.
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Moves what was decrypted behind what `out` has.
    pub fn take_plaintext(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.plaintext);
    }

    /// Encrypts `plaintext` behind what `out` has. Not before the handshake is done.
    ///
    /// # Errors
    ///
    /// `LOG` 08P01 if there is no session to send it in.
    pub fn send(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.is_handshaking() {
            return Err(broken("SSL error: uninitialized".to_owned()));
        }
        for piece in plaintext.chunks(SEND_PIECE) {
            self.connection.writer().write_all(piece).map_err(|error| self.failed_io(&error))?;
            self.flush(out);
        }
        Ok(())
    }

    /// Whether there is something to [`flush`](Self::flush): the handshake's messages, alerts, new keys.
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Moves what is to be sent behind what `out` has.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // Writing into a Vec does not fail.
            let _ = self.connection.write_tls(out);
        }
    }

    /// Tells the client that nothing more will come.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.flush(out);
    }

    /// Whether the handshake is still under way.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// What to log when the client hangs up, if that is worth a line.
    pub fn ended(&self) -> Option<Box<Report>> {
        self.is_handshaking().then(|| broken("could not accept SSL connection: EOF detected".to_owned()))
    }

    /// A client that began with TLS unasked must have named the protocol, lest it be tricked into speaking another.
    ///
    /// # Errors
    ///
    /// `LOG` 08P01: the connection is to be closed.
    pub fn require_alpn(&self) -> Result<()> {
        match self.connection.alpn_protocol() {
            Some(_) => Ok(()),
            None => Err(broken(
                "received direct SSL connection request without ALPN protocol negotiation extension"
                    .to_owned(),
            )),
        }
    }

    /// Version and cipher, once the handshake is done.
    pub fn info(&self) -> Option<TlsInfo> {
        let version = match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => TlsVersion::Tls1_2,
            ProtocolVersion::TLSv1_3 => TlsVersion::Tls1_3,
            _ => return None,
        };
        let (cipher, bits) = name_and_bits(self.connection.negotiated_cipher_suite()?.suite());
        Some(TlsInfo { version: version.name(), cipher, bits })
    }

    /// The client's certificate, verified, if it sent one.
    ///
    /// # Errors
    ///
    /// `LOG` 08P01 if its names cannot be read or have a NUL in them, with which a name could be made to look like its
    /// beginning.
    pub fn client_certificate(&self) -> Result<Option<ClientCertificate>> {
        let Some(certificate) = self.connection.peer_certificates().and_then(<[_]>::first) else {
            return Ok(None);
        };
        let identity = Certificate::parse(certificate).and_then(|certificate| certificate.identity());
        let identity = identity.ok_or_else(|| broken("could not read SSL certificate's names".to_owned()))?;
        if identity.common_name.as_ref().is_some_and(|name| name.contains('\0')) {
            return Err(broken("SSL certificate's common name contains embedded null".to_owned()));
        }
        Ok(Some(identity))
    }

    /// See [`TlsConfig::server_end_point`].
    pub fn server_end_point(&self) -> Option<&[u8]> {
        self.config.server_end_point()
    }

    fn failed(&self, error: &Error) -> Box<Report> {
        if !self.is_handshaking() {
            return broken(format!("SSL error: {error}"));
        }
        match error {
            Error::InvalidCertificate(why) => not_verified(why),
            Error::PeerIncompatible(_) => {
                let (least, greatest) = self.config.versions;
                broken(format!("could not accept SSL connection: {error}")).with_hint(format!(
                    "This may indicate that the client does not support any SSL protocol version between {} and {}.",
                    least.name(),
                    greatest.name()
                ))
            }
            _ => broken(format!("could not accept SSL connection: {error}")),
        }
    }

    fn failed_io(&self, error: &io::Error) -> Box<Report> {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => self.failed(error),
            None => broken(format!("SSL error: {error}")),
        }
    }
}

/// A client's certificate that is not believed. OpenSSL believes some that rustls does not; those have a hint.
fn not_verified(why: &CertificateError) -> Box<Report> {
    let report = broken("could not accept SSL connection: certificate verify failed".to_owned())
        .with_detail(format!("Client certificate verification failed: {why}."));
    // The reason is an error of a crate of rustls's own, which only its words tell apart.
    let words = why.to_string();
    if words.contains("UnsupportedCertVersion") {
        report.with_hint(
            "Client certificates must be of X.509 version 3. Issue it with an extension, such as basicConstraints.",
        )
    } else if words.contains("CaUsedAsEndEntity") {
        report.with_hint("A certificate authority's own certificate cannot be used by a client.")
    } else {
        report
    }
}

/// An error that cannot be told to the client by the protocol, only by TLS.
#[track_caller]
fn broken(message: String) -> Box<Report> {
    Box::new(Report::new(Severity::Log, SqlState::PROTOCOL_VIOLATION, message))
}
