//! The methods that ask for a password.

use crate::auth::hba::Method;
use crate::auth::md5;
use crate::auth::password::{Encryption, Stored, check_plain, stored_for};
use crate::auth::random;
use crate::auth::scram::Secret;
use crate::auth::scram::server::{self, Progress};
use crate::report::{Report, Result, SqlState};

use super::{AuthRequest, Facts, Rules};

/// PostgreSQL's limits of message bodies.
const MAX_PASSWORD_LENGTH: usize = 65535;
const MAX_SASL_LENGTH: usize = 1024;

/// The type of every message that answers a request.
const PASSWORD_MESSAGE: u8 = b'p';

/// One of them, in the middle of it.
pub(super) struct PasswordExchange {
    user: String,
    kind: Kind,
    /// Why it is going to fail, whatever comes; for the log only.
    reason: Option<String>,
}

enum Kind {
    Plain { stored: std::result::Result<Stored, String>, mock: Secret },
    Md5 { stored: String, salt: [u8; md5::SALT_LENGTH] },
    SaslOffered { secret: Secret, end_point: Option<Vec<u8>> },
    Sasl(server::Exchange),
}

/// What a message of the client led to.
pub(super) enum Answer {
    /// Ask on.
    Challenge(AuthRequest),
    /// The client knows the password; the message, if there is one, tells it that the server does too.
    Proven(Option<AuthRequest>),
    /// It does not; the reason, if there is one, is for the log only.
    Refused(Option<String>),
}

impl PasswordExchange {
    /// Looks up what is stored and makes the first request.
    pub fn new(method: Method, facts: &Facts<'_>, rules: &Rules<'_>) -> Result<(Self, AuthRequest)> {
        let stored = stored_for(facts.user, rules.roles, facts.now_us);
        let mock = Secret::mock(facts.user, rules.roles.mock_nonce(), rules.passwords.scram_iterations);
        let user = facts.user.to_owned();
        if method == Method::Password {
            let kind = Kind::Plain { stored, mock };
            return Ok((Self { user, kind, reason: None }, AuthRequest::Cleartext));
        }
        // Who has no password is asked for the kind that most have.
        let asks_md5 = match &stored {
            Ok(Stored::Md5(_)) => true,
            Err(_) => rules.passwords.encryption == Encryption::Md5,
            _ => false,
        };
        if method == Method::Md5 && asks_md5 {
            let salt = random::bytes()
                .map_err(|_| Report::fatal(SqlState::INTERNAL_ERROR, "could not generate random MD5 salt"))?;
            let (stored, reason) = match stored {
                Ok(Stored::Md5(stored)) => (stored, None),
                Ok(_) => (String::new(), None),
                Err(reason) => (md5::secret(rules.roles.mock_nonce(), &user), Some(reason)),
            };
            return Ok((Self { user, kind: Kind::Md5 { stored, salt }, reason }, AuthRequest::Md5(salt)));
        }
        let (secret, reason) = match stored {
            Ok(Stored::Scram(secret)) => (secret, None),
            Ok(_) => (mock, Some(format!("User \"{user}\" does not have a valid SCRAM secret."))),
            Err(reason) => (mock, Some(reason)),
        };
        let end_point = facts.tls.as_ref().and_then(|tls| tls.server_end_point.clone());
        let offer = AuthRequest::Sasl(server::mechanisms(end_point.is_some()));
        Ok((Self { user, kind: Kind::SaslOffered { secret, end_point }, reason }, offer))
    }

    /// Longest body that the next message may have.
    pub fn max_length(&self) -> usize {
        match self.kind {
            Kind::Plain { .. } | Kind::Md5 { .. } => MAX_PASSWORD_LENGTH,
            Kind::SaslOffered { .. } | Kind::Sasl(_) => MAX_SASL_LENGTH,
        }
    }

    /// Why it failed, if that was clear from the start.
    pub fn take_reason(&mut self) -> Option<String> {
        self.reason.take()
    }

    /// Takes the client's message.
    pub fn feed(&mut self, message_type: u8, body: &[u8]) -> Result<Answer> {
        let is_sasl = matches!(self.kind, Kind::SaslOffered { .. } | Kind::Sasl(_));
        if message_type != PASSWORD_MESSAGE {
            let what = if is_sasl { "SASL" } else { "password" };
            return Err(violation(format!("expected {what} response, got message type {message_type}")));
        }
        if body.len() > self.max_length() {
            return Err(violation("invalid message length"));
        }
        match &mut self.kind {
            Kind::Plain { stored, mock } => {
                let checked = check_plain(password_in(body)?, &self.user, stored.clone(), mock);
                Ok(checked.map_or_else(|why| Answer::Refused(Some(why)), |()| Answer::Proven(None)))
            }
            Kind::Md5 { stored, salt } => {
                let is_right = md5::answers(password_in(body)?, stored, *salt);
                if is_right && self.reason.is_none() {
                    return Ok(Answer::Proven(None));
                }
                let user = &self.user;
                Ok(Answer::Refused(
                    self.reason
                        .take()
                        .or_else(|| Some(format!("Password does not match for user \"{user}\"."))),
                ))
            }
            Kind::SaslOffered { secret, end_point } => {
                let (mechanism, initial) = initial_response(body)?;
                let is_doomed = self.reason.is_some();
                let mut exchange =
                    server::Exchange::new(mechanism, end_point.take(), secret.clone(), is_doomed)?;
                let progress = exchange.step(initial)?;
                self.kind = Kind::Sasl(exchange);
                Ok(answer(progress))
            }
            Kind::Sasl(exchange) => Ok(answer(exchange.step(Some(body))?)),
        }
    }
}

fn answer(progress: Progress) -> Answer {
    match progress {
        Progress::Continue(bytes) => Answer::Challenge(AuthRequest::SaslContinue(bytes)),
        Progress::Success(bytes) => Answer::Proven(Some(AuthRequest::SaslFinal(bytes))),
        Progress::Failure => Answer::Refused(None),
    }
}

/// The password in a message: everything but the zero byte at its end, which must be the only one.
fn password_in(body: &[u8]) -> Result<&[u8]> {
    let password = match body.split_last() {
        Some((0, password)) if !password.contains(&0) => password,
        _ => return Err(violation("invalid password packet size")),
    };
    if password.is_empty() {
        // Some libraries take it for "no password", so it opens nothing.
        return Err(Report::fatal(SqlState::INVALID_PASSWORD, "empty password returned by client"));
    }
    Ok(password)
}

/// The mechanism that the client chose, and its first message if it sent one.
fn initial_response(body: &[u8]) -> Result<(&[u8], Option<&[u8]>)> {
    let end =
        body.iter().position(|byte| *byte == 0).ok_or_else(|| violation("invalid string in message"))?;
    let (mechanism, rest) = (&body[..end], &body[end + 1..]);
    let (length, rest) =
        rest.split_first_chunk().ok_or_else(|| violation("insufficient data left in message"))?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        return if rest.is_empty() {
            Ok((mechanism, None))
        } else {
            Err(violation("invalid message format"))
        };
    }
    match usize::try_from(length).map(|length| length.cmp(&rest.len())) {
        Ok(std::cmp::Ordering::Equal) => Ok((mechanism, Some(rest))),
        Ok(std::cmp::Ordering::Less) => Err(violation("invalid message format")),
        _ => Err(violation("insufficient data left in message")),
    }
}

#[track_caller]
fn violation(message: impl Into<String>) -> Box<Report> {
    Report::fatal(SqlState::PROTOCOL_VIOLATION, message)
}
