//! What is known of a connection before it is authenticated.

use std::net::IpAddr;

/// Where it came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A Unix socket.
    Unix {
        /// The user of the process at its other end; none if the kernel did not say.
        uid: Option<u32>,
    },
    /// TCP, from this address.
    Tcp(IpAddr),
}

/// What the session is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replication {
    /// Statements.
    None,
    /// Logical replication, from a database.
    Database,
    /// Physical replication, of the whole cluster.
    Physical,
}

/// The client's certificate, which was verified.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TlsCertificate {
    /// Common name; none if there is none, or if it has a zero byte in it.
    pub common_name: Option<String>,
    /// Distinguished name of the subject, as RFC 2253 writes it.
    pub distinguished_name: Option<String>,
}

/// What is known of the TLS channel.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TlsFacts {
    /// Hash of the server's certificate for channel binding (`tls-server-end-point`, RFC 5929); none if its
    /// signature has no hash of its own, and then nothing is bound.
    pub server_end_point: Option<Vec<u8>>,
    /// Whether authorities were loaded that certificates are verified by.
    pub has_authorities: bool,
    /// The client's certificate, if it showed one.
    pub client_certificate: Option<TlsCertificate>,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Where it came from.
    pub origin: Origin,
    /// Its TLS channel; none without encryption.
    pub tls: Option<TlsFacts>,
    /// The role asked for.
    pub user: &'a str,
    /// The database asked for.
    pub database: &'a str,
    /// What it is for.
    pub replication: Replication,
    /// The time, in microseconds since the Unix epoch, by which passwords expire.
    pub now_us: i64,
}

impl Facts<'_> {
    pub(super) fn client(&self) -> Option<IpAddr> {
        match self.origin {
            Origin::Unix { .. } => None,
            Origin::Tcp(address) => Some(address),
        }
    }

    pub(super) fn certificate(&self) -> Option<&TlsCertificate> {
        self.tls.as_ref()?.client_certificate.as_ref()
    }

    /// Host, user, database and encryption, as refusals name them.
    pub(super) fn place(&self) -> String {
        let host = self.client().map_or_else(|| "[local]".to_owned(), |address| address.to_string());
        let encryption = if self.tls.is_some() { "SSL encryption" } else { "no encryption" };
        let (user, database) = (self.user, self.database);
        match self.replication {
            Replication::Physical => format!("\"{host}\", user \"{user}\", {encryption}"),
            _ => format!("\"{host}\", user \"{user}\", database \"{database}\", {encryption}"),
        }
    }
}
