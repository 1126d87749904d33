//! Bytes of any kind make messages or errors, never a panic, and nothing larger than themselves.

use proptest::prelude::*;

use super::frontend::{Message, message};
use crate::protocol::client::next_message;
use crate::protocol::frame::{Next, Phase, next_frame};
use crate::protocol::message::FrontendMessage;
use crate::protocol::startup::{StartupDecoder, StartupPacket, Step};
use crate::report::{Severity, SqlState};

const PHASES: [Phase; 6] =
    [Phase::Password, Phase::SaslInitial, Phase::Sasl, Phase::Gss, Phase::Session, Phase::CopyIn];
/// A type and the longest message.
const MOST: usize = 0x3fff_ffff;

/// Decodes what can be decoded, as a backend would until the stream cannot be followed.
fn decode_all(mut stream: &[u8], phase: Phase) {
    loop {
        match next_frame(stream, phase) {
            Ok(Next::NeedMore(length)) => {
                assert!(length > stream.len() && length <= MOST);
                return;
            }
            Ok(Next::Frame(frame)) => {
                match frame.decode(phase) {
                    Ok(message) => assert!(values_in(message) <= frame.body.len()),
                    Err(report) => {
                        assert!(report.severity.is_error());
                        let known = [
                            SqlState::PROTOCOL_VIOLATION,
                            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                            SqlState::INVALID_PARAMETER_VALUE,
                            SqlState::INVALID_PASSWORD,
                        ];
                        assert!(known.contains(&report.sqlstate), "{report:?}");
                    }
                }
                stream = &stream[frame.length()..];
            }
            Err(report) => {
                assert_eq!(report.sqlstate, SqlState::PROTOCOL_VIOLATION);
                return;
            }
        }
    }
}

/// How many values a message's lists give.
fn values_in(message: FrontendMessage<'_>) -> usize {
    let values = match message {
        FrontendMessage::Bind(bind) => bind.parameters,
        FrontendMessage::FunctionCall(call) => call.arguments,
        _ => return 0,
    };
    assert_eq!(values.iter().count(), values.len());
    values.len()
}

fn decode_startup(mut stream: &[u8]) {
    let mut decoder = StartupDecoder::default();
    loop {
        let (packet, consumed) = match decoder.next(stream) {
            Ok(Step::NeedMore(length)) => {
                assert!(length > stream.len() && length <= 10_004);
                return;
            }
            Ok(Step::Packet { packet, consumed }) => (packet, consumed),
            Err(report) => {
                assert!(matches!(report.severity, Severity::Log | Severity::Fatal));
                return;
            }
        };
        stream = &stream[consumed..];
        let answered = match packet {
            StartupPacket::Ssl => decoder.ssl_answered(false, b""),
            StartupPacket::Gss => decoder.gss_refused(b""),
            StartupPacket::Startup(parameters) => {
                let settings: usize =
                    parameters.settings.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert!(settings <= 4 * consumed);
                return;
            }
            StartupPacket::Cancel { .. } | StartupPacket::DirectTls => return,
        };
        answered.unwrap();
    }
}

/// A change at a place, both scaled to the stream.
type Change = (u16, u8, u8);

fn change(stream: &mut Vec<u8>, (place, how, byte): Change) {
    let at = usize::from(place) % (stream.len() + 1);
    match how % 4 {
        0 => stream.insert(at, byte),
        1 => stream.truncate(at),
        _ if at == stream.len() => stream.push(byte),
        2 => stream[at] = byte,
        _ => {
            stream.remove(at);
        }
    }
}

fn encoded(messages: &[Message]) -> Vec<u8> {
    let mut stream = Vec::new();
    for message in messages {
        message.encode(&mut stream);
    }
    stream
}

proptest! {
    #[test]
    fn random_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..200)) {
        for phase in PHASES {
            decode_all(&stream, phase);
        }
        decode_startup(&stream);
        let _ = next_message(&stream);
    }

    #[test]
    fn random_bodies_are_survived(
        kind in prop::sample::select(&b"QPBDECHSFdcfXpRKvTtAVGWN"[..]),
        body in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..80),
    ) {
        let length = u32::try_from(body.len() + 4).unwrap();
        let stream = [&[kind], &length.to_be_bytes()[..], &body].concat();
        for phase in PHASES {
            decode_all(&stream, phase);
        }
        let _ = next_message(&stream);
    }

    #[test]
    fn changed_messages_are_survived(
        messages in prop::collection::vec(message(), 1..5),
        changes in prop::collection::vec(any::<Change>(), 1..6),
    ) {
        let mut stream = encoded(&messages);
        for one in changes {
            change(&mut stream, one);
        }
        decode_all(&stream, Phase::Session);
        decode_all(&stream, Phase::CopyIn);
    }

    #[test]
    fn startup_like_bytes_are_survived(
        code in prop::sample::select(&[0x3_0000_u32, 0x3_0002, 80_877_102, 80_877_103, 80_877_104, 0x2_0000][..]),
        body in prop::collection::vec(prop_oneof![Just(0_u8), Just(b'u'), any::<u8>()], 0..80),
        off_by in -2_i32..3,
    ) {
        let length = i32::try_from(body.len() + 8).unwrap() + off_by;
        let stream = [&length.to_be_bytes()[..], &code.to_be_bytes(), &body].concat();
        decode_startup(&stream);
    }
}
