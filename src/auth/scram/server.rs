//! The server's side of an exchange: client-first, server-first, client-final, server-final.
//!
//! An exchange whose secret is a stand-in is *doomed*: it goes the whole way and fails at the end, so that a client
//! learns neither from the messages nor from the time they take whether the role exists.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::auth::{base64, random};
use crate::report::{Report, ReportExt, Result, SqlState};

use super::message::{Reader, is_nonce_byte, malformed, shown, shown_byte, violation};
use super::{MECHANISM, MECHANISM_PLUS, NONCE_LENGTH, Secret, hmac, sha256, xor};

/// Mechanisms to offer, the best first. `binding` says whether the channel has something to bind to.
pub fn mechanisms(binding: bool) -> &'static [&'static str] {
    if binding { &[MECHANISM_PLUS, MECHANISM] } else { &[MECHANISM] }
}

/// What one message of the client led to.
#[derive(Debug)]
pub enum Progress {
    /// Send this and wait for the next.
    Continue(Vec<u8>),
    /// The client knows the password; send this, which proves that the server knows it too.
    Success(Vec<u8>),
    /// It does not.
    Failure,
}

/// One exchange.
pub struct Exchange {
    secret: Secret,
    is_doomed: bool,
    /// Hash of the server's certificate (`tls-server-end-point`), if the channel is TLS.
    end_point: Option<Vec<u8>>,
    /// Whether the client chose the mechanism that binds to it.
    is_bound: bool,
    server_nonce: String,
    state: State,
}

enum State {
    Start,
    Challenged(Challenge),
    Ended,
}

/// What the end needs of the beginning.
struct Challenge {
    /// The flag, authorization identity and commas, which the client repeats.
    header: Vec<u8>,
    client_first_bare: Vec<u8>,
    server_first: Vec<u8>,
    nonce: Vec<u8>,
}

impl Exchange {
    /// Begins an exchange by the mechanism that the client chose.
    pub fn new(
        mechanism: &[u8],
        end_point: Option<Vec<u8>>,
        secret: Secret,
        is_doomed: bool,
    ) -> Result<Self> {
        let nonce: [u8; NONCE_LENGTH] = random::bytes()
            .map_err(|_| Report::fatal(SqlState::INTERNAL_ERROR, "could not generate random nonce"))?;
        Self::with_nonce(mechanism, end_point, secret, is_doomed, base64::encode(&nonce))
    }

    fn with_nonce(
        mechanism: &[u8],
        end_point: Option<Vec<u8>>,
        secret: Secret,
        is_doomed: bool,
        server_nonce: String,
    ) -> Result<Self> {
        let is_bound = mechanism == MECHANISM_PLUS.as_bytes() && end_point.is_some();
        if !is_bound && mechanism != MECHANISM.as_bytes() {
            return Err(violation("client selected an invalid SASL authentication mechanism"));
        }
        Ok(Self { secret, is_doomed, end_point, is_bound, server_nonce, state: State::Start })
    }

    /// Takes one message of the client; none: it chose a mechanism without sending anything for it.
    pub fn step(&mut self, input: Option<&[u8]>) -> Result<Progress> {
        // An error ends it.
        let state = std::mem::replace(&mut self.state, State::Ended);
        let input = match (input, &state) {
            (None, State::Start) => {
                self.state = State::Start;
                return Ok(Progress::Continue(Vec::new()));
            }
            (None | Some([]), _) => return Err(malformed("The message is empty.")),
            (Some(input), _) => input,
        };
        if input.contains(&0) {
            return Err(malformed("Message length does not match input length."));
        }
        match state {
            State::Start => {
                let challenge = self.read_client_first(input)?;
                let server_first = challenge.server_first.clone();
                self.state = State::Challenged(challenge);
                Ok(Progress::Continue(server_first))
            }
            State::Challenged(challenge) => self.read_client_final(input, &challenge),
            State::Ended => Err(Report::fatal(SqlState::INTERNAL_ERROR, "invalid SCRAM exchange state")),
        }
    }

    fn read_client_first(&self, input: &[u8]) -> Result<Challenge> {
        let mut reader = Reader::new(input);
        self.read_binding_flag(&mut reader)?;
        if reader.peek() == b'a' {
            return Err(Report::fatal(
                SqlState::FEATURE_NOT_SUPPORTED,
                "client uses authorization identity, but it is not supported",
            ));
        }
        if reader.peek() != b',' {
            let found = shown_byte(reader.peek());
            return Err(malformed(format!("Unexpected attribute \"{found}\" in client-first-message.")));
        }
        reader.skip();
        let bare = reader.rest();
        if reader.peek() == b'm' {
            return Err(Report::fatal(
                SqlState::FEATURE_NOT_SUPPORTED,
                "client requires an unsupported SCRAM extension",
            ));
        }
        // The name in the startup packet counts, not this one.
        reader.attribute(b'n')?;
        let client_nonce = reader.attribute(b'r')?;
        if !client_nonce.iter().copied().all(is_nonce_byte) {
            return Err(violation("non-printable characters in SCRAM nonce"));
        }
        while !reader.is_at_end() {
            reader.any_attribute()?;
        }
        let nonce = [client_nonce, self.server_nonce.as_bytes()].concat();
        let parameters = format!(",s={},i={}", base64::encode(&self.secret.salt), self.secret.iterations);
        Ok(Challenge {
            header: input[..input.len() - bare.len()].to_vec(),
            client_first_bare: bare.to_vec(),
            server_first: [b"r=", &nonce[..], parameters.as_bytes()].concat(),
            nonce,
        })
    }

    /// Reads the flag that says how the client thinks of channel binding, and the comma behind it.
    fn read_binding_flag(&self, reader: &mut Reader<'_>) -> Result<()> {
        match reader.peek() {
            b'n' | b'y' if self.is_bound => {
                return Err(malformed(
                    "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
                ));
            }
            b'y' if self.end_point.is_some() => {
                // Somebody between the two hid the offer.
                return Err(Report::fatal(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    "SCRAM channel binding negotiation error",
                )
                .with_detail(
                    "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.",
                ));
            }
            b'n' | b'y' => reader.skip(),
            b'p' if !self.is_bound => {
                return Err(malformed(
                    "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
                ));
            }
            b'p' => {
                let kind = reader.attribute(b'p')?;
                if kind != b"tls-server-end-point" {
                    let kind = shown(kind);
                    return Err(violation(format!("unsupported SCRAM channel-binding type \"{kind}\"")));
                }
                return Ok(());
            }
            flag => {
                let flag = shown_byte(flag);
                return Err(malformed(format!("Unexpected channel-binding flag \"{flag}\".")));
            }
        }
        reader.comma()
    }

    fn read_client_final(&self, input: &[u8], challenge: &Challenge) -> Result<Progress> {
        let mut reader = Reader::new(input);
        let binding = reader.attribute(b'c')?;
        self.check_binding(binding, &challenge.header)?;
        let nonce = reader.attribute(b'r')?;
        let (proof, without_proof) = loop {
            let before = input.len() - reader.rest().len();
            if let (b'p', proof) = reader.any_attribute()? {
                // Without the comma in front of the proof.
                break (proof, &input[..before.saturating_sub(1)]);
            }
        };
        let proof: super::Key = base64::decode(proof)
            .and_then(|proof| proof.try_into().ok())
            .ok_or_else(|| malformed("Malformed proof in client-final-message."))?;
        if !reader.is_at_end() {
            return Err(malformed("Garbage found at the end of client-final-message."));
        }
        if nonce != challenge.nonce {
            return Err(violation("invalid SCRAM response").with_detail("Nonce does not match."));
        }
        let exchanged =
            [&challenge.client_first_bare[..], &challenge.server_first, without_proof].join(&b","[..]);
        let is_proven = self.proves(&proof, &exchanged);
        if !is_proven || self.is_doomed {
            return Ok(Progress::Failure);
        }
        let signature = hmac(&self.secret.server_key, &exchanged);
        Ok(Progress::Success(format!("v={}", base64::encode(&signature)).into_bytes()))
    }

    fn check_binding(&self, binding: &[u8], header: &[u8]) -> Result<()> {
        match &self.end_point {
            Some(end_point) if self.is_bound => {
                let expected = base64::encode(&[header, end_point].concat());
                if binding != expected.as_bytes() {
                    return Err(Report::fatal(
                        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                        "SCRAM channel binding check failed",
                    ));
                }
            }
            _ => {
                if binding != base64::encode(header).as_bytes() {
                    return Err(violation(
                        "unexpected SCRAM channel-binding attribute in client-final-message",
                    ));
                }
            }
        }
        Ok(())
    }

    fn proves(&self, proof: &super::Key, exchanged: &[u8]) -> bool {
        let signature = hmac(&self.secret.stored_key, exchanged);
        let client_key = xor(proof, &signature);
        verify_slices_are_equal(&sha256(&client_key), &self.secret.stored_key).is_ok()
    }
}

#[cfg(test)]
mod tests;
