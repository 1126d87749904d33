//! A frontend's messages decode to themselves in any split of the stream.

use proptest::prelude::*;

use crate::protocol::Format;
use crate::protocol::client::FrontendEncoder;
use crate::protocol::frame::{Next, Phase, next_frame};
use crate::protocol::message::{Formats, FrontendMessage, Target};
use crate::protocol::startup::{StartupDecoder, StartupPacket, Step};

/// A message with its content; the formats fit the values.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Query(String),
    Parse(String, String, Vec<u32>),
    Bind(String, String, Vec<Format>, Vec<Option<Vec<u8>>>, Vec<Format>),
    Describe(bool, String),
    Execute(String, i32),
    Close(bool, String),
    Flush,
    Sync,
    FunctionCall(u32, Vec<Format>, Vec<Option<Vec<u8>>>, Format),
    CopyData(Vec<u8>),
    CopyDone,
    CopyFail(String),
    Terminate,
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,12}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..20)
}

fn format() -> impl Strategy<Value = Format> {
    any::<bool>().prop_map(|binary| if binary { Format::Binary } else { Format::Text })
}

/// Values, and as many formats as they may have.
fn values() -> impl Strategy<Value = (Vec<Format>, Vec<Option<Vec<u8>>>)> {
    prop::collection::vec(prop::option::of(bytes()), 0..6).prop_flat_map(|values| {
        let each = prop::collection::vec(format(), values.len());
        let formats = prop_oneof![each, prop::collection::vec(format(), 0..2)];
        (formats, Just(values))
    })
}

pub(super) fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        text().prop_map(Message::Query),
        (text(), text(), prop::collection::vec(any::<u32>(), 0..5))
            .prop_map(|(a, b, c)| Message::Parse(a, b, c)),
        (text(), text(), values(), prop::collection::vec(format(), 0..5))
            .prop_map(|(a, b, (formats, values), results)| Message::Bind(a, b, formats, values, results)),
        (any::<bool>(), text()).prop_map(|(a, b)| Message::Describe(a, b)),
        (text(), any::<i32>()).prop_map(|(a, b)| Message::Execute(a, b)),
        (any::<bool>(), text()).prop_map(|(a, b)| Message::Close(a, b)),
        Just(Message::Flush),
        Just(Message::Sync),
        (any::<u32>(), values(), format()).prop_map(|(function, (formats, values), result)| {
            Message::FunctionCall(function, formats, values, result)
        }),
        bytes().prop_map(Message::CopyData),
        Just(Message::CopyDone),
        text().prop_map(Message::CopyFail),
        Just(Message::Terminate),
    ]
}

const fn target(statement: bool, name: &str) -> Target<'_> {
    if statement { Target::Statement(name) } else { Target::Portal(name) }
}

fn slices(values: &[Option<Vec<u8>>]) -> Vec<Option<&[u8]>> {
    values.iter().map(Option::as_deref).collect()
}

impl Message {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = FrontendEncoder::new(out);
        match self {
            Self::Query(sql) => encoder.query(sql),
            Self::Parse(statement, sql, types) => encoder.parse(statement, sql, types),
            Self::Bind(portal, statement, formats, values, results) => {
                encoder.bind(portal, statement, formats, &slices(values), results);
            }
            Self::Describe(statement, name) => encoder.describe(target(*statement, name)),
            Self::Execute(portal, rows) => encoder.execute(portal, *rows),
            Self::Close(statement, name) => encoder.close(target(*statement, name)),
            Self::Flush => encoder.flush(),
            Self::Sync => encoder.sync(),
            Self::FunctionCall(function, formats, values, result) => {
                encoder.function_call(*function, formats, &slices(values), *result);
            }
            Self::CopyData(data) => encoder.copy_data(data),
            Self::CopyDone => encoder.copy_done(),
            Self::CopyFail(message) => encoder.copy_fail(message),
            Self::Terminate => encoder.terminate(),
        }
    }

    fn assert_is(&self, decoded: FrontendMessage<'_>) {
        use FrontendMessage as M;
        match (self, decoded) {
            (Self::Query(text), M::Query { sql }) => assert_eq!(text, sql),
            (Self::Parse(statement, sql, types), M::Parse(got)) => {
                assert_eq!((&**statement, &**sql), (got.statement, got.sql));
                assert_eq!(*types, got.parameter_types.iter().collect::<Vec<_>>());
                assert_eq!(types.len(), got.parameter_types.len());
            }
            (Self::Bind(portal, statement, formats, values, results), M::Bind(got)) => {
                assert_eq!((&**portal, &**statement), (got.portal, got.statement));
                assert_eq!(slices(values), got.parameters.iter().collect::<Vec<_>>());
                assert_eq!(values.len(), got.parameters.len());
                assert_formats(formats, got.parameter_formats);
                assert_formats(results, got.result_formats);
            }
            (Self::Describe(statement, name), M::Describe(got))
            | (Self::Close(statement, name), M::Close(got)) => assert_eq!(target(*statement, name), got),
            (Self::Execute(name, rows), M::Execute { portal, max_rows }) => {
                assert_eq!((&**name, *rows), (portal, max_rows));
            }
            (Self::FunctionCall(function, formats, values, result), M::FunctionCall(got)) => {
                assert_eq!((*function, *result), (got.function, got.result_format));
                assert_eq!(slices(values), got.arguments.iter().collect::<Vec<_>>());
                assert_formats(formats, got.argument_formats);
            }
            (Self::CopyData(data), M::CopyData(got)) => assert_eq!(data, got),
            (Self::CopyFail(text), M::CopyFail { message }) => assert_eq!(text, message),
            (Self::Flush, M::Flush)
            | (Self::Sync, M::Sync)
            | (Self::CopyDone, M::CopyDone)
            | (Self::Terminate, M::Terminate) => {}
            (sent, got) => panic!("{sent:?} became {got:?}"),
        }
    }
}

fn assert_formats(sent: &[Format], got: Formats<'_>) {
    assert_eq!(sent.len(), got.len());
    for (index, format) in sent.iter().enumerate() {
        assert_eq!(got.of(index).unwrap(), *format);
    }
}

/// Feeds `stream` in pieces of these lengths, over and over, and hands each message to `take`.
fn feed(stream: &[u8], pieces: &[usize], mut take: impl FnMut(FrontendMessage<'_>)) {
    let (mut buffer, mut rest) = (Vec::new(), stream);
    for piece in pieces.iter().cycle() {
        loop {
            match next_frame(&buffer, Phase::Session).unwrap() {
                Next::Frame(frame) => {
                    take(frame.decode(Phase::Session).unwrap());
                    let length = frame.length();
                    buffer.drain(..length);
                }
                Next::NeedMore(length) => {
                    assert!(length > buffer.len(), "{length} bytes are there");
                    break;
                }
            }
        }
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*piece).min(rest.len()));
        buffer.extend(head);
        rest = tail;
    }
    assert!(buffer.is_empty(), "{} bytes are left over", buffer.len());
}

proptest! {
    #[test]
    fn messages_decode_to_themselves_in_any_split(
        messages in prop::collection::vec(message(), 1..6),
        pieces in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            message.encode(&mut stream);
        }
        let mut expected = messages.iter();
        feed(&stream, &pieces, |got| expected.next().expect("no message more").assert_is(got));
        prop_assert!(expected.next().is_none());
    }

    #[test]
    fn startup_packets_decode_to_themselves_in_any_split(
        minor in 0_u16..4,
        user in "[^\0]{1,20}",
        database in "[^\0]{1,20}",
        settings in prop::collection::vec(("[a-z]{3}_x", text()), 0..4),
        cut in 1_usize..60,
    ) {
        let mut parameters = vec![("user", &*user), ("database", &*database)];
        parameters.extend(settings.iter().map(|(name, value)| (&**name, &**value)));
        let mut stream = Vec::new();
        FrontendEncoder::new(&mut stream).startup(minor, &parameters);
        let mut decoder = StartupDecoder::default();
        if cut < stream.len() {
            let step = decoder.next(&stream[..cut]).unwrap();
            prop_assert!(matches!(step, Step::NeedMore(length) if length > cut));
        }
        let step = decoder.next(&stream).unwrap();
        let Step::Packet { packet: StartupPacket::Startup(got), consumed } = step else {
            panic!("{step:?}")
        };
        prop_assert_eq!(consumed, stream.len());
        prop_assert_eq!((got.requested_minor, got.minor), (minor, minor.min(2)));
        let cut = |name: &str| name[..name.floor_char_boundary(63)].to_owned();
        prop_assert_eq!((got.user, got.database), (cut(&user), cut(&database)));
        prop_assert_eq!(got.settings, settings);
    }
}
