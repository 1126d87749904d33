//! pg_hba.conf: which connections may try to authenticate, and how. The first record that matches decides.
//!
//! PostgreSQL's whole grammar is read. Methods that need what this server does not have (GSSAPI, LDAP, PAM, RADIUS,
//! OAuth, ident over TCP, …) are refused when the file is read, as PostgreSQL refuses what it was not built with.

mod address;
mod matching;
mod options;
mod record;
mod view;

use std::path::Path;

use crate::report::{Report, Severity, SqlState};

use super::lines;
use super::names::NamePattern;

use super::complaint::Complaint;
pub use address::Address;
pub use matching::{Match, Request};
pub use view::{RuleRow, rules};

/// Which connections a record is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionType {
    /// Unix socket.
    Local,
    /// TCP, encrypted or not.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS.
    HostNoSsl,
    /// TCP with GSSAPI encryption: none here.
    HostGssEnc,
    /// TCP without GSSAPI encryption: all here.
    HostNoGssEnc,
}

impl ConnectionType {
    /// As in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Host => "host",
            Self::HostSsl => "hostssl",
            Self::HostNoSsl => "hostnossl",
            Self::HostGssEnc => "hostgssenc",
            Self::HostNoGssEnc => "hostnogssenc",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Local, Self::Host, Self::HostSsl, Self::HostNoSsl, Self::HostGssEnc, Self::HostNoGssEnc]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// How a client proves who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Not at all.
    Trust,
    /// It may not.
    Reject,
    /// By its password, sent as it is.
    Password,
    /// By an MD5 digest, or by SCRAM if the stored password allows it.
    Md5,
    /// By SCRAM-SHA-256.
    ScramSha256,
    /// By the user of its process.
    Peer,
    /// By its TLS certificate.
    Cert,
}

impl Method {
    const ALL: [Self; 7] =
        [Self::Trust, Self::Reject, Self::Password, Self::Md5, Self::ScramSha256, Self::Peer, Self::Cert];

    /// As in the file, in logs, and in `system_user`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Reject => "reject",
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::ScramSha256 => "scram-sha-256",
            Self::Peer => "peer",
            Self::Cert => "cert",
        }
    }
}

/// What is asked of a client's certificate besides the method.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ClientCertificate {
    /// Nothing.
    #[default]
    Off,
    /// That a trusted authority signed it.
    VerifyCa,
    /// That, and that it names the user.
    VerifyFull,
}

/// Which name in the certificate is the user's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ClientName {
    /// The common name.
    #[default]
    Cn,
    /// The whole distinguished name, as RFC 2253 writes it.
    Dn,
}

/// One line that can match.
#[derive(Clone, Debug)]
pub struct Record {
    /// The file it stands in.
    pub file: String,
    /// Its line there.
    pub line: u32,
    /// That line.
    pub raw: String,
    /// Which connections it is for.
    pub connection: ConnectionType,
    /// Databases.
    pub databases: Vec<NamePattern>,
    /// Roles.
    pub users: Vec<NamePattern>,
    /// Clients; none for Unix sockets.
    pub address: Option<Address>,
    /// How they prove who they are.
    pub method: Method,
    /// The map of pg_ident.conf from system users to roles.
    pub map: Option<String>,
    /// What is asked of certificates.
    pub client_certificate: ClientCertificate,
    /// Where they name the user.
    pub client_name: ClientName,
}

/// The records in force.
#[derive(Clone, Default, Debug)]
pub struct Hba {
    records: Vec<Record>,
}

/// What came of reading a file.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The contents; none if anything in it is wrong, and what was in force stays.
    pub contents: Option<T>,
    /// For the log.
    pub log: Vec<Report>,
}

/// Reads pg_hba.conf. `ssl` is the setting: without it, records for TLS are warned of.
pub fn load(path: &Path, ssl: bool) -> Loaded<Hba> {
    let lines = match lines::read(path) {
        Ok(lines) => lines,
        Err(report) => {
            let log = vec![*report];
            return Loaded { contents: None, log };
        }
    };
    let mut log = lines.log;
    let mut records = Vec::new();
    let mut is_good = true;
    for line in &lines.lines {
        let parsed = record::parse(line, ssl);
        is_good &= line.error.is_none() && parsed.error.is_none();
        log.extend(parsed.log);
        records.extend(parsed.record);
    }
    if is_good && records.is_empty() {
        is_good = false;
        let message = format!("configuration file \"{}\" contains no entries", path.display());
        log.push(Report::new(Severity::Log, SqlState::CONFIG_FILE_ERROR, message));
    }
    Loaded { contents: is_good.then_some(Hba { records }), log }
}

/// Why the server does not start, after what [`load`] logs.
pub fn could_not_load(path: &Path) -> Box<Report> {
    // PostgreSQL gives it no code of its own.
    Report::fatal(SqlState::INTERNAL_ERROR, format!("could not load {}", path.display()))
}

/// What is logged when a file is bad on reload, after what `load` logs.
pub fn not_reloaded(path: &Path) -> Report {
    Report::log(format!("{} was not reloaded", path.display()))
}

impl Hba {
    /// The records, in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

#[cfg(test)]
mod tests;
