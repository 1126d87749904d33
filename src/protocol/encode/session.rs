//! Messages of a session's beginning, and the small answers within it.

use super::{Encoder, put_count, put_i32, put_string, put_u32};
use crate::protocol::cancel_key::CancelKey;
use crate::protocol::startup::StartupParameters;
use crate::protocol::{Format, MAJOR_VERSION};

/// What ReadyForQuery tells of the transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    InTransaction,
    /// In a transaction block that failed.
    Failed,
}

impl TransactionStatus {
    /// The byte in the message.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}

/// Requests for authentication share a type and differ by their first number.
impl Encoder<'_> {
    fn authentication(&mut self, request: i32, body: impl FnOnce(&mut Vec<u8>)) {
        self.message(b'R', |out| {
            put_i32(out, request);
            body(out);
        });
    }

    /// The client is who it says.
    pub fn authentication_ok(&mut self) {
        self.authentication(0, |_| ());
    }

    /// Asks for the password itself.
    pub fn authentication_cleartext_password(&mut self) {
        self.authentication(3, |_| ());
    }

    /// Asks to choose one of these mechanisms, best first.
    pub fn authentication_sasl(&mut self, mechanisms: &[&str]) {
        self.authentication(10, |out| {
            for mechanism in mechanisms {
                put_string(out, mechanism);
            }
            out.push(0);
        });
    }

    /// The mechanism's next challenge.
    pub fn authentication_sasl_continue(&mut self, data: &[u8]) {
        self.authentication(11, |out| out.extend(data));
    }

    /// The mechanism's outcome; AuthenticationOk follows.
    pub fn authentication_sasl_final(&mut self, data: &[u8]) {
        self.authentication(12, |out| out.extend(data));
    }
}

impl Encoder<'_> {
    /// What a cancel request must bring.
    pub fn backend_key_data(&mut self, pid: i32, key: &CancelKey) {
        self.message(b'K', |out| {
            put_i32(out, pid);
            out.extend(key.as_bytes());
        });
    }

    /// Which version is spoken, and which options are not known.
    pub fn negotiate_protocol_version(&mut self, parameters: &StartupParameters) {
        self.message(b'v', |out| {
            put_u32(out, u32::from(MAJOR_VERSION) << 16 | u32::from(parameters.minor));
            let options = &parameters.unknown_protocol_options;
            put_u32(out, u32::try_from(options.len()).unwrap_or(u32::MAX));
            for option in options {
                put_string(out, option);
            }
        });
    }

    /// The value of a setting that the client is told of.
    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            put_string(out, name);
            put_string(out, value);
        });
    }

    /// The next command may come.
    pub fn ready_for_query(&mut self, status: TransactionStatus) {
        self.message(b'Z', |out| out.push(status.byte()));
    }

    /// A statement was run, with its tag such as `SELECT 1`.
    pub fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |out| put_string(out, tag));
    }

    /// There was no statement in the text.
    pub fn empty_query_response(&mut self) {
        self.bare(b'I');
    }

    /// Parse was done.
    pub fn parse_complete(&mut self) {
        self.bare(b'1');
    }

    /// Bind was done.
    pub fn bind_complete(&mut self) {
        self.bare(b'2');
    }

    /// Close was done.
    pub fn close_complete(&mut self) {
        self.bare(b'3');
    }

    /// Execute reached its limit of rows.
    pub fn portal_suspended(&mut self) {
        self.bare(b's');
    }

    /// The statement or portal gives no rows.
    pub fn no_data(&mut self) {
        self.bare(b'n');
    }

    /// The types of a statement's parameters.
    pub fn parameter_description(&mut self, types: &[u32]) {
        self.message(b't', |out| {
            put_count(out, types.len());
            for oid in types {
                put_u32(out, *oid);
            }
        });
    }

    /// What NOTIFY said.
    pub fn notification_response(&mut self, pid: i32, channel: &str, payload: &str) {
        self.message(b'A', |out| {
            put_i32(out, pid);
            put_string(out, channel);
            put_string(out, payload);
        });
    }

    /// COPY FROM STDIN begins.
    pub fn copy_in_response(&mut self, format: Format, columns: &[Format]) {
        self.copy_response(b'G', format, columns);
    }

    /// COPY TO STDOUT begins.
    pub fn copy_out_response(&mut self, format: Format, columns: &[Format]) {
        self.copy_response(b'H', format, columns);
    }

    /// A stream both ways begins, as replication has it.
    pub fn copy_both_response(&mut self, format: Format, columns: &[Format]) {
        self.copy_response(b'W', format, columns);
    }

    fn copy_response(&mut self, kind: u8, format: Format, columns: &[Format]) {
        self.message(kind, |out| {
            out.push(u8::from(format == Format::Binary));
            put_count(out, columns.len());
            for column in columns {
                out.extend(column.code().to_be_bytes());
            }
        });
    }

    /// COPY's data has ended.
    pub fn copy_done(&mut self) {
        self.bare(b'c');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::startup::StartupParameters;

    fn encoded(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
        let mut out = b"before".to_vec();
        write(&mut Encoder::new(&mut out));
        assert!(out.starts_with(b"before"));
        out.split_off(6)
    }

    /// A message's bytes, for comparison.
    type Case = (fn(&mut Encoder<'_>), &'static [u8]);

    #[test]
    fn messages_have_their_bytes() {
        let cases: [Case; 21] = [
            (|e| e.authentication_ok(), b"R\0\0\0\x08\0\0\0\0"),
            (|e| e.authentication_cleartext_password(), b"R\0\0\0\x08\0\0\0\x03"),
            (|e| e.authentication_sasl(&["AB", "C"]), b"R\0\0\0\x0e\0\0\0\x0aAB\0C\0\0"),
            (|e| e.authentication_sasl_continue(b"r=1"), b"R\0\0\0\x0b\0\0\0\x0br=1"),
            (|e| e.authentication_sasl_final(b"v=2"), b"R\0\0\0\x0b\0\0\0\x0cv=2"),
            (
                |e| e.backend_key_data(7, &CancelKey::from_bytes(b"abcd").unwrap()),
                b"K\0\0\0\x0c\0\0\0\x07abcd",
            ),
            (|e| e.parameter_status("a", "b"), b"S\0\0\0\x08a\0b\0"),
            (|e| e.ready_for_query(TransactionStatus::Idle), b"Z\0\0\0\x05I"),
            (|e| e.ready_for_query(TransactionStatus::InTransaction), b"Z\0\0\0\x05T"),
            (|e| e.ready_for_query(TransactionStatus::Failed), b"Z\0\0\0\x05E"),
            (|e| e.command_complete("SELECT 1\0x"), b"C\0\0\0\x0dSELECT 1\0"),
            (|e| e.empty_query_response(), b"I\0\0\0\x04"),
            (|e| e.parse_complete(), b"1\0\0\0\x04"),
            (|e| e.bind_complete(), b"2\0\0\0\x04"),
            (|e| e.close_complete(), b"3\0\0\0\x04"),
            (|e| e.portal_suspended(), b"s\0\0\0\x04"),
            (|e| e.no_data(), b"n\0\0\0\x04"),
            (|e| e.parameter_description(&[23, 25]), b"t\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19"),
            (|e| e.notification_response(1, "c", ""), b"A\0\0\0\x0b\0\0\0\x01c\0\0"),
            (|e| e.copy_in_response(Format::Text, &[Format::Text]), b"G\0\0\0\x09\0\0\x01\0\0"),
            (|e| e.copy_done(), b"c\0\0\0\x04"),
        ];
        for (write, bytes) in cases {
            assert_eq!(encoded(write), bytes);
        }
        let binary = b"\0\0\0\x0b\x01\0\x02\0\x01\0\x01";
        let columns = [Format::Binary; 2];
        assert_eq!(encoded(|e| e.copy_out_response(Format::Binary, &columns)), [b"H", &binary[..]].concat());
        assert_eq!(encoded(|e| e.copy_both_response(Format::Binary, &columns)), [b"W", &binary[..]].concat());
    }

    #[test]
    fn the_version_is_negotiated_as_postgresql_18_does() {
        let parameters = StartupParameters {
            minor: 2,
            unknown_protocol_options: vec!["_pq_.x".to_owned()],
            ..StartupParameters::default()
        };
        let bytes = encoded(|e| e.negotiate_protocol_version(&parameters));
        assert_eq!(bytes, b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
    }
}
