//! The log's CSV form: PostgreSQL 18's 26 columns.

use std::fmt::Display;

use super::config::{Destination, Verbosity};
use super::context::{Client, session_id};
use super::message::Message;

/// One record, ended by a newline; values may contain newlines too.
pub(super) fn line(message: &Message<'_>) -> String {
    let mut record = Record(String::with_capacity(256));
    who(message, &mut record);
    what(message, &mut record);
    let Record(mut text) = record;
    text.push('\n');
    text
}

/// Columns 1 to 11: the time, the process and its session.
fn who(message: &Message<'_>, record: &mut Record) {
    let context = message.context;
    let client = context.client.as_ref();
    record.0.push_str(&message.time());
    record.quoted(client.and_then(|client| client.user));
    record.quoted(client.and_then(|client| client.database));
    record.bare(Some(context.pid));
    record.quoted(client.and_then(connection_from).as_deref());
    record.bare(Some(session_id(context.session_start, context.pid)));
    record.bare(Some(context.lines.next(Destination::Csvlog)));
    record.quoted(client.map(|_| context.activity));
    record.bare(Some(message.start_time()));
    record.bare(context.virtual_xid.map(|(slot, local)| format!("{slot}/{local}")));
    record.bare(Some(context.xid));
}

/// Columns 12 to 26: the report and what it is about.
fn what(message: &Message<'_>, record: &mut Record) {
    let report = message.report;
    let context = message.context;
    let statement = message.statement();
    let location = if message.has(Verbosity::Verbose) { message.location() } else { None };
    record.bare(Some(report.severity.name()));
    record.bare(Some(report.sqlstate.code()));
    record.quoted(Some(message.text()));
    record.quoted(message.detail());
    record.quoted(report.hint.as_deref());
    record.quoted(report.internal_query.as_deref());
    record.bare(report.internal_query.as_ref().and(report.internal_position));
    record.quoted(report.context.as_deref());
    record.quoted(statement);
    record.bare(statement.and(report.position));
    record.quoted(location.as_deref());
    record.quoted(Some(context.application_name));
    record.quoted(Some(context.backend_type));
    record.bare(context.leader_pid);
    record.bare(Some(context.query_id));
}

/// `host:port`, or the host alone.
fn connection_from(client: &Client<'_>) -> Option<String> {
    let host = client.remote_host?;
    Some(client.remote_port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// A record that grows to the right: each column brings the comma before it.
struct Record(String);

impl Record {
    fn bare(&mut self, value: Option<impl Display>) {
        self.0.push(',');
        if let Some(value) = value {
            self.0.push_str(&value.to_string());
        }
    }

    /// Absent values have no quotes, empty ones do.
    fn quoted(&mut self, value: Option<&str>) {
        self.0.push(',');
        let Some(value) = value else { return };
        self.0.push('"');
        for (number, piece) in value.split('"').enumerate() {
            if number > 0 {
                self.0.push_str("\"\"");
            }
            self.0.push_str(piece);
        }
        self.0.push('"');
    }
}
