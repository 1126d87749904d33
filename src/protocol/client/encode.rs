//! Writing a frontend's messages.

use crate::protocol::encode::{put_count, put_i16, put_i32, put_string, put_u32};
use crate::protocol::frame::MessageKind;
use crate::protocol::message::Target;
use crate::protocol::{Format, MAJOR_VERSION};

/// Writes messages behind what the buffer has. What the protocol forbids to be so long is the caller's to avoid.
#[derive(Debug)]
pub struct FrontendEncoder<'b> {
    out: &'b mut Vec<u8>,
}

/// Packets before a session, which have no type.
impl<'b> FrontendEncoder<'b> {
    /// Writes into `out`.
    pub const fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    fn packet(&mut self, code: u32, body: impl FnOnce(&mut Vec<u8>)) {
        let length_at = self.out.len();
        put_u32(self.out, 0);
        put_u32(self.out, code);
        body(self.out);
        self.patch(length_at);
    }

    fn patch(&mut self, length_at: usize) {
        let length = u32::try_from(self.out.len() - length_at).unwrap_or(u32::MAX);
        self.out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Asks for TLS.
    pub fn ssl_request(&mut self) {
        self.packet(80_877_103, |_| ());
    }

    /// Asks for GSSAPI encryption.
    pub fn gss_request(&mut self) {
        self.packet(80_877_104, |_| ());
    }

    /// Asks to cancel what another session runs.
    pub fn cancel_request(&mut self, pid: i32, secret: &[u8]) {
        self.packet(80_877_102, |out| {
            put_i32(out, pid);
            out.extend(secret);
        });
    }

    /// Begins a session of protocol 3.
    pub fn startup(&mut self, minor: u16, parameters: &[(&str, &str)]) {
        self.packet(u32::from(MAJOR_VERSION) << 16 | u32::from(minor), |out| {
            for (name, value) in parameters {
                put_string(out, name);
                put_string(out, value);
            }
            out.push(0);
        });
    }
}

impl FrontendEncoder<'_> {
    fn message(&mut self, kind: MessageKind, body: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(kind.byte());
        let length_at = self.out.len();
        put_u32(self.out, 0);
        body(self.out);
        self.patch(length_at);
    }

    /// Run statements by the simple protocol.
    pub fn query(&mut self, sql: &str) {
        self.message(MessageKind::Query, |out| put_string(out, sql));
    }

    /// Prepare a statement.
    pub fn parse(&mut self, statement: &str, sql: &str, parameter_types: &[u32]) {
        self.message(MessageKind::Parse, |out| {
            put_string(out, statement);
            put_string(out, sql);
            put_count(out, parameter_types.len());
            for oid in parameter_types {
                put_u32(out, *oid);
            }
        });
    }

    /// Make a portal.
    pub fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        parameter_formats: &[Format],
        parameters: &[Option<&[u8]>],
        result_formats: &[Format],
    ) {
        self.message(MessageKind::Bind, |out| {
            put_string(out, portal);
            put_string(out, statement);
            put_formats(out, parameter_formats);
            put_values(out, parameters);
            put_formats(out, result_formats);
        });
    }

    /// Describe a statement or portal.
    pub fn describe(&mut self, target: Target<'_>) {
        self.message(MessageKind::Describe, |out| put_target(out, target));
    }

    /// Close a statement or portal.
    pub fn close(&mut self, target: Target<'_>) {
        self.message(MessageKind::Close, |out| put_target(out, target));
    }

    /// Run a portal.
    pub fn execute(&mut self, portal: &str, max_rows: i32) {
        self.message(MessageKind::Execute, |out| {
            put_string(out, portal);
            put_i32(out, max_rows);
        });
    }

    /// Ask for what there is.
    pub fn flush(&mut self) {
        self.message(MessageKind::Flush, |_| ());
    }

    /// End an implicit transaction.
    pub fn sync(&mut self) {
        self.message(MessageKind::Sync, |_| ());
    }

    /// Call a function.
    pub fn function_call(
        &mut self,
        function: u32,
        argument_formats: &[Format],
        arguments: &[Option<&[u8]>],
        result_format: Format,
    ) {
        self.message(MessageKind::FunctionCall, |out| {
            put_u32(out, function);
            put_formats(out, argument_formats);
            put_values(out, arguments);
            put_i16(out, result_format.code());
        });
    }

    /// A piece of COPY's data.
    pub fn copy_data(&mut self, data: &[u8]) {
        self.message(MessageKind::CopyData, |out| out.extend(data));
    }

    /// COPY's data has ended.
    pub fn copy_done(&mut self) {
        self.message(MessageKind::CopyDone, |_| ());
    }

    /// COPY is to fail.
    pub fn copy_fail(&mut self, message: &str) {
        self.message(MessageKind::CopyFail, |out| put_string(out, message));
    }

    /// End the session.
    pub fn terminate(&mut self) {
        self.message(MessageKind::Terminate, |_| ());
    }

    /// The password in clear.
    pub fn password(&mut self, password: &str) {
        self.message(MessageKind::Authentication, |out| put_string(out, password));
    }

    /// The choice of a SASL mechanism and its first message.
    pub fn sasl_initial_response(&mut self, mechanism: &str, response: Option<&[u8]>) {
        self.message(MessageKind::Authentication, |out| {
            put_string(out, mechanism);
            put_value(out, response);
        });
    }

    /// A SASL mechanism's next message, or a GSSAPI token.
    pub fn sasl_response(&mut self, data: &[u8]) {
        self.message(MessageKind::Authentication, |out| out.extend(data));
    }
}

fn put_formats(out: &mut Vec<u8>, formats: &[Format]) {
    put_count(out, formats.len());
    for format in formats {
        put_i16(out, format.code());
    }
}

fn put_values(out: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    put_count(out, values.len());
    for value in values {
        put_value(out, *value);
    }
}

fn put_value(out: &mut Vec<u8>, value: Option<&[u8]>) {
    put_i32(out, value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX)));
    out.extend(value.unwrap_or_default());
}

fn put_target(out: &mut Vec<u8>, target: Target<'_>) {
    let (subtype, name) = match target {
        Target::Statement(name) => (b'S', name),
        Target::Portal(name) => (b'P', name),
    };
    out.push(subtype);
    put_string(out, name);
}
