//! What the backend's encoder writes, the client's decoder reads.

use crate::protocol::Format;
use crate::protocol::cancel_key::CancelKey;
use crate::protocol::client::{BackendMessage as M, Column, next_message};
use crate::protocol::encode::{Encoder, FieldDescription, TransactionStatus};
use crate::protocol::startup::StartupParameters;
use crate::report::{Report, ReportExt, SqlState};

/// One message of each kind but errors and notices.
fn all_messages() -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    encoder.negotiate_protocol_version(&StartupParameters {
        minor: 2,
        unknown_protocol_options: vec!["_pq_.x".to_owned()],
        ..StartupParameters::default()
    });
    encoder.authentication_cleartext_password();
    encoder.authentication_sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
    encoder.authentication_sasl_continue(b"r");
    encoder.authentication_sasl_final(b"v");
    encoder.authentication_ok();
    encoder.parameter_status("TimeZone", "UTC");
    encoder.backend_key_data(7, &CancelKey::from_bytes(&[9; 32]).unwrap());
    encoder.ready_for_query(TransactionStatus::Failed);
    encoder.parse_complete();
    encoder.bind_complete();
    encoder.parameter_description(&[23]);
    encoder.no_data();
    let field = FieldDescription {
        name: "a",
        table_oid: 1,
        column: 2,
        type_oid: 25,
        type_size: -1,
        type_modifier: -1,
        format: Format::Binary,
    };
    encoder.row_description([field].into_iter());
    let mut row = encoder.begin_row();
    row.field(b"x");
    row.null();
    row.finish().unwrap();
    encoder.portal_suspended();
    encoder.command_complete("SELECT 1");
    encoder.empty_query_response();
    encoder.close_complete();
    encoder.notification_response(3, "c", "p");
    encoder.function_call_response(None).unwrap();
    encoder.copy_in_response(Format::Text, &[Format::Text]);
    encoder.copy_out_response(Format::Binary, &[]);
    encoder.copy_both_response(Format::Text, &[]);
    encoder.copy_data(b"1").unwrap();
    encoder.copy_done();
    out
}

fn expected() -> Vec<M<'static>> {
    let column = Column {
        name: "a",
        table_oid: 1,
        column: 2,
        type_oid: 25,
        type_size: -1,
        type_modifier: -1,
        format: 1,
    };
    vec![
        M::NegotiateProtocolVersion { version: 0x3_0002, options: vec!["_pq_.x"] },
        M::AuthenticationCleartextPassword,
        M::AuthenticationSasl { mechanisms: vec!["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] },
        M::AuthenticationSaslContinue(b"r"),
        M::AuthenticationSaslFinal(b"v"),
        M::AuthenticationOk,
        M::ParameterStatus { name: "TimeZone", value: "UTC" },
        M::BackendKeyData { pid: 7, secret: &[9; 32] },
        M::ReadyForQuery(b'E'),
        M::ParseComplete,
        M::BindComplete,
        // The lists of these two are looked at by the test.
        M::NoData,
        M::RowDescription(vec![column]),
        M::PortalSuspended,
        M::CommandComplete { tag: "SELECT 1" },
        M::EmptyQueryResponse,
        M::CloseComplete,
        M::NotificationResponse { pid: 3, channel: "c", payload: "p" },
        M::FunctionCallResponse(None),
        M::CopyInResponse { format: 0, columns: vec![0] },
        M::CopyOutResponse { format: 1, columns: vec![] },
        M::CopyBothResponse { format: 0, columns: vec![] },
        M::CopyData(b"1"),
        M::CopyDone,
    ]
}

#[test]
fn messages_are_read_as_they_were_written() {
    let stream = all_messages();
    let (mut rest, mut expected) = (&stream[..], expected().into_iter());
    while !rest.is_empty() {
        let (message, length) = next_message(rest).unwrap().expect("a whole message");
        for cut in 0..length {
            assert_eq!(next_message(&rest[..cut]).unwrap(), None);
        }
        rest = &rest[length..];
        match message {
            M::DataRow(values) => assert_eq!(values.iter().collect::<Vec<_>>(), [Some(&b"x"[..]), None]),
            M::ParameterDescription(types) => assert_eq!(types.iter().collect::<Vec<_>>(), [23]),
            message => assert_eq!(Some(message), expected.next()),
        }
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn reports_arrive_with_their_fields() {
    let mut out = Vec::new();
    let report = Report::error(SqlState::DIVISION_BY_ZERO, "division by zero").with_hint("do not").at(8);
    Encoder::new(&mut out).report(&report);
    let (message, length) = next_message(&out).unwrap().unwrap();
    let M::ErrorResponse(fields) = message else { panic!("{message:?}") };
    assert_eq!(length, out.len());
    assert_eq!(
        (fields.severity(), fields.sqlstate(), fields.message()),
        ("ERROR", "22012", "division by zero")
    );
    assert_eq!((fields.get(b'H'), fields.get(b'P'), fields.get(b'D')), (Some("do not"), Some("8"), None));
    assert!(fields.get(b'F').is_some_and(|file| file.ends_with(".rs")) && fields.get(b'L').is_some());

    out.clear();
    Encoder::new(&mut out).report(&Report::warning(SqlState::WARNING, "careful"));
    assert!(
        matches!(next_message(&out), Ok(Some((M::NoticeResponse(fields), _))) if fields.severity() == "WARNING")
    );
}
