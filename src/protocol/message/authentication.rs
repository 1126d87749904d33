//! The one message type whose meaning depends on what was asked for: answers to requests for authentication.

use super::FrontendMessage;
use crate::protocol::body::{Body, violation};
use crate::protocol::frame::Phase;
use crate::report::{Report, Result, Severity, SqlState};

/// Decodes it; every error ends the session, which has not begun.
pub(super) fn decode(body: Body<'_>, phase: Phase) -> Result<FrontendMessage<'_>> {
    let decoded = match phase {
        Phase::Password => password(body),
        Phase::SaslInitial => sasl_initial(body),
        Phase::Sasl => Ok(FrontendMessage::SaslResponse(take_all(body))),
        Phase::Gss => Ok(FrontendMessage::GssResponse(take_all(body))),
        // Framing refuses it with the same words.
        Phase::Session | Phase::CopyIn => Err(violation("invalid frontend message type 112")),
    };
    decoded.map_err(|mut report| {
        report.severity = Severity::Fatal;
        report
    })
}

fn take_all(mut body: Body<'_>) -> &[u8] {
    body.take_rest()
}

fn password(mut body: Body<'_>) -> Result<FrontendMessage<'_>> {
    let wrong_size = |_| violation("invalid password packet size");
    let password = body.raw_string().map_err(wrong_size)?;
    body.end().map_err(wrong_size)?;
    if password.is_empty() {
        return Err(Report::fatal(SqlState::INVALID_PASSWORD, "empty password returned by client"));
    }
    Ok(FrontendMessage::Password(password))
}

fn sasl_initial(mut body: Body<'_>) -> Result<FrontendMessage<'_>> {
    let message = FrontendMessage::SaslInitialResponse { mechanism: body.string()?, response: body.value()? };
    body.end()?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_bytes(bytes: &[u8], phase: Phase) -> Result<FrontendMessage<'_>> {
        decode(Body::new(bytes), phase)
    }

    #[test]
    fn answers_mean_what_was_asked_for() {
        use FrontendMessage as M;
        let cases: [(&[u8], Phase, M<'_>); 5] = [
            (b"secret\0", Phase::Password, M::Password(b"secret")),
            (
                b"SCRAM-SHA-256\0\0\0\0\x02n,",
                Phase::SaslInitial,
                M::SaslInitialResponse { mechanism: "SCRAM-SHA-256", response: Some(b"n,") },
            ),
            (
                b"X\0\xff\xff\xff\xff",
                Phase::SaslInitial,
                M::SaslInitialResponse { mechanism: "X", response: None },
            ),
            (b"c=biws", Phase::Sasl, M::SaslResponse(b"c=biws")),
            (b"", Phase::Gss, M::GssResponse(b"")),
        ];
        for (bytes, phase, message) in cases {
            assert_eq!(decode_bytes(bytes, phase).unwrap(), message);
        }
    }

    #[test]
    fn bad_answers_end_the_session() {
        let cases: [(&[u8], Phase, SqlState, &str); 6] = [
            (b"a", Phase::Password, SqlState::PROTOCOL_VIOLATION, "invalid password packet size"),
            (b"a\0b\0", Phase::Password, SqlState::PROTOCOL_VIOLATION, "invalid password packet size"),
            (b"\0", Phase::Password, SqlState::INVALID_PASSWORD, "empty password returned by client"),
            (b"X", Phase::SaslInitial, SqlState::PROTOCOL_VIOLATION, "invalid string in message"),
            (
                b"X\0\0\0\0\x09a",
                Phase::SaslInitial,
                SqlState::PROTOCOL_VIOLATION,
                "insufficient data left in message",
            ),
            (b"X\0\0\0\0\0a", Phase::SaslInitial, SqlState::PROTOCOL_VIOLATION, "invalid message format"),
        ];
        for (bytes, phase, sqlstate, message) in cases {
            let report = decode_bytes(bytes, phase).unwrap_err();
            assert_eq!(
                (report.severity, report.sqlstate, &*report.message),
                (Severity::Fatal, sqlstate, message)
            );
        }
    }
}
