//! One authentication, from the connection's facts to an identity or a refusal.
//!
//! [`Authenticator::start`] finds the record of pg_hba.conf and says what to send first; each answer of the client then
//! goes to [`Authenticator::feed`]. Every [`Step`] is handled in the same order: log, send, then do what `next` says. A
//! client that hangs up in between is simply left; nothing is logged or sent then.

mod facts;
mod password_exchange;

use std::mem;

use crate::report::{Report, ReportExt, SqlState};

use super::hba::{ClientCertificate, ClientName, Hba, Match, Method, Record, Request};
use super::ident::Ident;
use super::password::PasswordSettings;
use super::peer;
use super::roles::RoleSource;
use super::system::SystemFiles;

pub use facts::{Facts, Origin, Replication, TlsCertificate, TlsFacts};
use password_exchange::{Answer, PasswordExchange};

/// The files and settings in force.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// pg_hba.conf.
    pub hba: &'a Hba,
    /// pg_ident.conf.
    pub ident: &'a Ident,
    /// Roles.
    pub roles: &'a dyn RoleSource,
    /// The system's files.
    pub system: &'a SystemFiles,
    /// Settings about passwords.
    pub passwords: PasswordSettings,
}

/// A message to the client, of type `R`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthRequest {
    /// It is who it says.
    Ok,
    /// Asks for the password as it is.
    Cleartext,
    /// Asks for the MD5 digest of stored password and salt.
    Md5([u8; 4]),
    /// Offers SASL mechanisms, the best first.
    Sasl(&'static [&'static str]),
    /// The next message of the mechanism.
    SaslContinue(Vec<u8>),
    /// Its last one.
    SaslFinal(Vec<u8>),
}

/// What to do now.
#[derive(Debug)]
pub struct Step {
    /// `connection authenticated: …`, to be logged if the setting `log_connections` asks for it.
    pub authenticated: Option<Report>,
    /// To be logged, after that.
    pub log: Vec<Report>,
    /// To be sent.
    pub send: Vec<AuthRequest>,
    /// What comes then.
    pub next: Next,
}

/// How it goes on after a step.
#[derive(Debug)]
pub enum Next {
    /// Wait for the client's answer and feed it.
    Feed {
        /// Longest body to accept, in bytes; a longer one is a protocol violation.
        max_length: usize,
    },
    /// Authentication is over.
    Done(Identity),
    /// The session ends with this.
    Failed(Box<Report>),
}

/// Who the client proved to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The name proved, which a map may have turned into another role's; none by `trust`.
    pub name: Option<String>,
    /// How.
    pub method: Method,
}

impl Identity {
    /// What SQL's `SYSTEM_USER` returns.
    pub fn system_user(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("{}:{name}", self.method.name()))
    }
}

/// One authentication.
pub struct Authenticator<'a> {
    facts: Facts<'a>,
    rules: Rules<'a>,
    state: State<'a>,
}

enum State<'a> {
    Start,
    Password(&'a Record, Box<PasswordExchange>),
    Ended,
}

impl<'a> Authenticator<'a> {
    /// For one connection; nothing happens yet.
    pub fn new(facts: Facts<'a>, rules: Rules<'a>) -> Self {
        Self { facts, rules, state: State::Start }
    }

    /// Finds the record and begins its method.
    pub fn start(&mut self) -> Step {
        let rules = self.rules;
        let request = Request {
            client: self.facts.client(),
            tls: self.facts.tls.is_some(),
            user: self.facts.user,
            database: self.facts.database,
            physical_replication: self.facts.replication == Replication::Physical,
        };
        self.state = State::Ended;
        let found = rules.hba.find(&request, rules.roles, rules.system);
        let Some(record) = found.record else {
            return Step::failed(self.no_record(&found));
        };
        if let Err(report) = self.check_certificate_is_there(record) {
            return Step::failed(report);
        }
        match record.method {
            Method::Reject => Step::failed(self.rejected()),
            Method::Trust => self.finish(record, None, Vec::new()),
            Method::Peer => self.peer(record),
            Method::Cert => self.cert(record),
            Method::Password | Method::Md5 | Method::ScramSha256 => {
                let exchange = PasswordExchange::new(record.method, &self.facts, &self.rules);
                match exchange {
                    Err(report) => Step::failed(report),
                    Ok((exchange, request)) => {
                        let max_length = exchange.max_length();
                        self.state = State::Password(record, Box::new(exchange));
                        Step::waiting(request, max_length)
                    }
                }
            }
        }
    }

    /// Takes a message of the client: its type and body.
    pub fn feed(&mut self, message_type: u8, body: &[u8]) -> Step {
        let State::Password(record, mut exchange) = mem::replace(&mut self.state, State::Ended) else {
            return Step::failed(Report::fatal(
                SqlState::PROTOCOL_VIOLATION,
                "unexpected authentication message",
            ));
        };
        match exchange.feed(message_type, body) {
            Err(report) => Step::failed(report),
            Ok(Answer::Challenge(request)) => {
                let max_length = exchange.max_length();
                self.state = State::Password(record, exchange);
                Step::waiting(request, max_length)
            }
            Ok(Answer::Refused(why)) => {
                let why = why.or_else(|| exchange.take_reason());
                Step::failed(self.failed(record, why))
            }
            Ok(Answer::Proven(last)) => {
                self.finish(record, Some(self.facts.user.to_owned()), last.into_iter().collect())
            }
        }
    }

    /// The method has nothing against the client; what is left is the certificate, where one is asked for.
    fn finish(&self, record: &Record, name: Option<String>, mut send: Vec<AuthRequest>) -> Step {
        let authenticated = Some(authenticated(record, name.as_deref(), self.facts.user));
        let mut log = Vec::new();
        let wants_name = record.client_certificate == ClientCertificate::VerifyFull;
        if wants_name && !self.certificate_allows(record, &mut log) {
            let next = Next::Failed(self.failed(record, None));
            // By trust, nothing was proved before the certificate was.
            let authenticated = authenticated.filter(|_| name.is_some());
            return Step { authenticated, log, send, next };
        }
        send.push(AuthRequest::Ok);
        let next = Next::Done(Identity { name, method: record.method });
        Step { authenticated, log, send, next }
    }

    fn peer(&self, record: &Record) -> Step {
        let mut log = Vec::new();
        let uid = match self.facts.origin {
            Origin::Unix { uid } => uid,
            Origin::Tcp(_) => None,
        };
        let name = match uid {
            None => Err("could not get peer credentials".to_owned()),
            Some(uid) => peer::user_name(uid, self.rules.system)
                .ok_or_else(|| format!("could not look up local user ID {uid}: user does not exist")),
        };
        match name {
            Err(message) => {
                log.push(Report::log(message));
                self.end(record, None, log, false)
            }
            Ok(name) => {
                let allows = self.map_allows(record, &name, &mut log);
                self.end(record, Some(name), log, allows)
            }
        }
    }

    fn cert(&self, record: &Record) -> Step {
        let mut log = Vec::new();
        // The whole name is the identity, even where a part of it decides.
        let name = self.facts.certificate().and_then(|certificate| certificate.distinguished_name.clone());
        let allows = match (&name, self.certificate_name(record)) {
            (None, Some(_)) => {
                log.push(Report::log(format!(
                    "certificate authentication failed for user \"{}\": unable to retrieve subject DN",
                    self.facts.user
                )));
                false
            }
            _ => self.certificate_allows(record, &mut log),
        };
        let name = name.filter(|_| self.certificate_name(record).is_some());
        self.end(record, name, log, allows)
    }

    fn end(&self, record: &Record, name: Option<String>, log: Vec<Report>, allows: bool) -> Step {
        let authenticated = name.as_deref().map(|name| authenticated(record, Some(name), self.facts.user));
        let (send, next) = if allows {
            (vec![AuthRequest::Ok], Next::Done(Identity { name, method: record.method }))
        } else {
            (Vec::new(), Next::Failed(self.failed(record, None)))
        };
        Step { authenticated, log, send, next }
    }

    /// Whether the name in the certificate may be the role; the log is told why not.
    fn certificate_allows(&self, record: &Record, log: &mut Vec<Report>) -> bool {
        let user = self.facts.user;
        let Some(name) = self.certificate_name(record) else {
            log.push(Report::log(format!(
                "certificate authentication failed for user \"{user}\": client certificate contains no user name"
            )));
            return false;
        };
        let allows = self.map_allows(record, name, log);
        if !allows && record.method != Method::Cert {
            let what = match record.client_name {
                ClientName::Cn => "CN",
                ClientName::Dn => "DN",
            };
            log.push(Report::log(format!(
                "certificate validation (clientcert=verify-full) failed for user \"{user}\": {what} mismatch"
            )));
        }
        allows
    }

    fn certificate_name(&self, record: &Record) -> Option<&str> {
        let certificate = self.facts.certificate()?;
        let name = match record.client_name {
            ClientName::Cn => &certificate.common_name,
            ClientName::Dn => &certificate.distinguished_name,
        };
        name.as_deref().filter(|name| !name.is_empty())
    }

    fn map_allows(&self, record: &Record, system_user: &str, log: &mut Vec<Report>) -> bool {
        let map = record.map.as_deref();
        self.rules.ident.allows(map, system_user, self.facts.user, self.rules.roles, log)
    }

    fn check_certificate_is_there(&self, record: &Record) -> Result<(), Box<Report>> {
        if record.client_certificate == ClientCertificate::Off {
            return Ok(());
        }
        if !self.facts.tls.as_ref().is_some_and(|tls| tls.has_authorities) {
            return Err(Report::fatal(
                SqlState::CONFIG_FILE_ERROR,
                "client certificates can only be checked if a root certificate store is available",
            ));
        }
        if self.facts.certificate().is_none() {
            return Err(refusal("connection requires a valid client certificate"));
        }
        Ok(())
    }

    fn no_record(&self, found: &Match<'_>) -> Box<Report> {
        let place = self.facts.place();
        let report = refusal(match self.facts.replication {
            Replication::Physical => {
                format!("no pg_hba.conf entry for replication connection from host {place}")
            }
            _ => format!("no pg_hba.conf entry for host {place}"),
        });
        match found.host.detail() {
            Some(detail) => report.with_detail_log(detail),
            None => report,
        }
    }

    fn rejected(&self) -> Box<Report> {
        let place = self.facts.place();
        refusal(match self.facts.replication {
            Replication::Physical => {
                format!("pg_hba.conf rejects replication connection for host {place}")
            }
            _ => format!("pg_hba.conf rejects connection for host {place}"),
        })
    }

    /// What a client is told that failed a method, and for the log why and by which line.
    fn failed(&self, record: &Record, why: Option<String>) -> Box<Report> {
        let (code, what) = match record.method {
            Method::Password | Method::Md5 | Method::ScramSha256 => (SqlState::INVALID_PASSWORD, "password"),
            Method::Trust => (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "\"trust\""),
            Method::Peer => (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "Peer"),
            Method::Cert => (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "certificate"),
            Method::Reject => return self.rejected(),
        };
        let matched =
            format!("Connection matched file \"{}\" line {}: \"{}\"", record.file, record.line, record.raw);
        let detail = why.map_or(matched.clone(), |why| format!("{why}\n{matched}"));
        Report::fatal(code, format!("{what} authentication failed for user \"{}\"", self.facts.user))
            .with_detail_log(detail)
            .routine("auth_failed")
    }
}

fn refusal(message: impl Into<String>) -> Box<Report> {
    Report::fatal(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message).routine("ClientAuthentication")
}

fn authenticated(record: &Record, name: Option<&str>, user: &str) -> Report {
    let (file, line, method) = (&record.file, record.line, record.method.name());
    let who = match name {
        Some(name) => format!("identity=\"{name}\""),
        None => format!("user=\"{user}\""),
    };
    Report::log(format!("connection authenticated: {who} method={method} ({file}:{line})"))
}

impl Step {
    fn waiting(request: AuthRequest, max_length: usize) -> Self {
        let next = Next::Feed { max_length };
        Self { authenticated: None, log: Vec::new(), send: vec![request], next }
    }

    fn failed(report: Box<Report>) -> Self {
        Self { authenticated: None, log: Vec::new(), send: Vec::new(), next: Next::Failed(report) }
    }
}

#[cfg(test)]
mod tests;
