//! The log's JSON form: one object per line, PostgreSQL's keys in its order, absent values left out.

use std::fmt::{Display, Write as _};

use super::config::{Destination, Verbosity};
use super::context::session_id;
use super::message::Message;
use crate::report::SqlState;

/// One object, ended by a newline; newlines in values are escaped.
pub(super) fn line(message: &Message<'_>) -> String {
    let mut object = Object(String::from("{"));
    who(message, &mut object);
    what(message, &mut object);
    place(message, &mut object);
    let Object(mut text) = object;
    text.push_str("}\n");
    text
}

/// The time, the process and its session.
fn who(message: &Message<'_>, object: &mut Object) {
    let context = message.context;
    let client = context.client.as_ref();
    object.text("timestamp", Some(&message.time()));
    object.text("user", client.and_then(|client| client.user));
    object.text("dbname", client.and_then(|client| client.database));
    object.number("pid", Some(context.pid));
    object.text("remote_host", client.and_then(|client| client.remote_host));
    object.number("remote_port", client.and_then(|client| client.remote_port));
    object.text("session_id", Some(&session_id(context.session_start, context.pid)));
    object.number("line_num", Some(context.lines.next(Destination::Jsonlog)));
    object.text("ps", client.map(|_| context.activity));
    object.text("session_start", Some(&message.start_time()));
    let vxid = context.virtual_xid.map(|(slot, local)| format!("{slot}/{local}"));
    object.text("vxid", vxid.as_deref());
    object.number("txid", Some(context.xid));
}

/// The report.
fn what(message: &Message<'_>, object: &mut Object) {
    let report = message.report;
    let statement = message.statement();
    let has_failed = report.sqlstate != SqlState::SUCCESSFUL_COMPLETION;
    object.text("error_severity", Some(report.severity.name()));
    object.text("state_code", has_failed.then(|| report.sqlstate.code()));
    object.text("message", Some(message.text()));
    object.text("detail", message.detail());
    object.text("hint", report.hint.as_deref());
    object.text("internal_query", report.internal_query.as_deref());
    object.number("internal_position", report.internal_query.as_ref().and(report.internal_position));
    object.text("context", report.context.as_deref());
    object.text("statement", statement);
    object.number("cursor_position", statement.and(report.position));
}

/// Where it was made and by whom.
fn place(message: &Message<'_>, object: &mut Object) {
    let report = message.report;
    let context = message.context;
    if message.has(Verbosity::Verbose) {
        object.text("func_name", report.routine);
        if !report.file.is_empty() {
            object.text("file_name", Some(report.file));
            object.number("file_line_num", Some(report.line));
        }
    }
    object.text("application_name", Some(context.application_name).filter(|name| !name.is_empty()));
    object.text("backend_type", Some(context.backend_type));
    object.number("leader_pid", context.leader_pid);
    object.number("query_id", Some(context.query_id));
}

/// An object that grows to the right.
struct Object(String);

impl Object {
    fn number(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.key(key);
            let _ = write!(self.0, "{value}");
        }
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            self.escaped(value);
        }
    }

    fn key(&mut self, key: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        let _ = write!(self.0, "\"{key}\":");
    }

    fn escaped(&mut self, value: &str) {
        self.0.push('"');
        for c in value.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                '\u{8}' => self.0.push_str("\\b"),
                '\u{c}' => self.0.push_str("\\f"),
                control if control < ' ' => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(control));
                }
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }
}
