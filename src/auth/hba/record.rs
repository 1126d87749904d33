//! One line of pg_hba.conf as a record, field by field.

use crate::auth::lines::Line;
use crate::auth::names::NamePattern;
use crate::auth::tokens::{Field, Token};
use crate::report::Report;

use super::options;
use super::{Address, ClientCertificate, ClientName, Complaint, ConnectionType, Method, Record};

/// Methods PostgreSQL knows and this server does not have.
const NOT_HERE: [&str; 8] = ["ident", "gss", "sspi", "pam", "bsd", "ldap", "radius", "oauth"];

/// What a line says.
pub(super) struct Parsed {
    /// None if it is wrong.
    pub record: Option<Record>,
    /// For the log.
    pub log: Vec<Report>,
    /// What makes the file unusable.
    pub error: Option<String>,
    /// Why it can never match, though it is right.
    pub warning: Option<String>,
}

/// Reads one line; one that carries an error already stays silent.
pub(super) fn parse(line: &Line, ssl: bool) -> Parsed {
    let mut parsed = Parsed { record: None, log: Vec::new(), error: None, warning: None };
    if line.error.is_some() {
        return parsed;
    }
    let mut warning = None;
    let result = parse_fields(line, ssl, &mut warning);
    if let Some(warning) = warning {
        parsed.warning = Some(warning.shown());
        parsed.log.push(warning.into_report(line.context()));
    }
    match result {
        Ok(record) => parsed.record = Some(record),
        Err(complaint) => {
            parsed.error = Some(complaint.shown());
            parsed.log.push(complaint.into_report(line.context()));
        }
    }
    parsed
}

fn parse_fields(line: &Line, ssl: bool, warning: &mut Option<Complaint>) -> Result<Record, Complaint> {
    let mut rest = line.fields.iter();
    let connection = parse_connection(rest.next())?;
    *warning = never_matches(connection, ssl);
    let databases = parse_names(rest.next(), "end-of-line before database specification")?;
    let users = parse_names(rest.next(), "end-of-line before role specification")?;
    let address = match connection {
        ConnectionType::Local => None,
        _ => Some(Address::parse(&mut rest)?),
    };
    let method = parse_method(rest.next(), connection)?;
    let mut record = Record {
        file: line.file.clone(),
        line: line.number,
        raw: line.raw.clone(),
        connection,
        databases,
        users,
        address,
        method,
        map: None,
        client_certificate: ClientCertificate::Off,
        client_name: ClientName::Cn,
    };
    for token in rest.flatten() {
        options::apply(&mut record, token)?;
    }
    if method == Method::Cert {
        record.client_certificate = ClientCertificate::VerifyFull;
    }
    Ok(record)
}

fn parse_connection(field: Option<&Field>) -> Result<ConnectionType, Complaint> {
    let token = match field.map(Vec::as_slice) {
        Some([token]) => token,
        _ => {
            return Err(Complaint::new("multiple values specified for connection type")
                .with_hint("Specify exactly one connection type per line."));
        }
    };
    ConnectionType::from_name(&token.text)
        .ok_or_else(|| Complaint::new(format!("invalid connection type \"{}\"", token.text)))
}

fn never_matches(connection: ConnectionType, ssl: bool) -> Option<Complaint> {
    match connection {
        ConnectionType::HostSsl if !ssl => Some(
            Complaint::new("hostssl record cannot match because SSL is disabled")
                .with_hint("Set \"ssl = on\" in postgresql.conf."),
        ),
        ConnectionType::HostGssEnc => Some(Complaint::new(
            "hostgssenc record cannot match because GSSAPI is not supported by this build",
        )),
        _ => None,
    }
}

fn parse_names(field: Option<&Field>, missing: &'static str) -> Result<Vec<NamePattern>, Complaint> {
    let tokens = field.ok_or_else(|| Complaint::new(missing))?;
    tokens.iter().map(NamePattern::compile).collect()
}

fn parse_method(field: Option<&Field>, connection: ConnectionType) -> Result<Method, Complaint> {
    let tokens = field.ok_or_else(|| Complaint::new("end-of-line before authentication method"))?;
    let [Token { text, .. }] = &tokens[..] else {
        return Err(Complaint::new("multiple values specified for authentication type")
            .with_hint("Specify exactly one authentication type per line."));
    };
    let is_local = connection == ConnectionType::Local;
    let method = match Method::ALL.into_iter().find(|method| method.name() == text) {
        Some(method) => method,
        // On a Unix socket, the two ask the same.
        None if text == "ident" && is_local => Method::Peer,
        None if NOT_HERE.contains(&text.as_str()) => {
            return Err(Complaint::new(format!(
                "invalid authentication method \"{text}\": not supported by this build"
            )));
        }
        None => return Err(Complaint::new(format!("invalid authentication method \"{text}\""))),
    };
    match method {
        Method::Peer if !is_local => {
            Err(Complaint::new("peer authentication is only supported on local sockets"))
        }
        Method::Cert if connection != ConnectionType::HostSsl => {
            Err(Complaint::new("cert authentication is only supported on hostssl connections"))
        }
        _ => Ok(method),
    }
}
