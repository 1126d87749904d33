//! TLS as a byte machine: ciphertext in, plaintext out, and back. rustls does the cryptography, by aws-lc.
//!
//! [`TlsConfig::load`] reads the files once; a reload makes a new one, and sessions keep theirs. [`TlsSession`] is one
//! connection's state. Neither owns a socket.
//!
//! What rustls does not have is refused or left out: TLS below 1.2, renegotiation, compression. As in PostgreSQL, no
//! session is resumed, so no tickets are sent.

mod certificate;
mod cipher;
mod config;
mod der;
mod files;
mod name;
mod session;
#[cfg(test)]
mod tests;

pub use certificate::ClientCertificate;
pub use config::{TlsConfig, TlsSettings, TlsVersion};
pub use session::{TlsInfo, TlsSession};

/// What clients offer by ALPN.
const ALPN: &[u8] = b"postgresql";
