//! The log's text form: lines for people, each with `log_line_prefix`.

use super::config::Verbosity;
use super::message::Message;
use super::prefix;

/// The lines of a message, each ended by a newline.
pub(super) fn lines(message: &Message<'_>) -> String {
    let mut out = String::with_capacity(256);
    head(message, &mut out);
    let report = message.report;
    let from_default = |text| if message.has(Verbosity::Default) { text } else { None };
    let location = if message.has(Verbosity::Verbose) { message.location() } else { None };
    let fields = [
        ("DETAIL", from_default(message.detail())),
        ("HINT", from_default(report.hint.as_deref())),
        ("QUERY", from_default(report.internal_query.as_deref())),
        ("CONTEXT", from_default(report.context.as_deref())),
        ("LOCATION", location.as_deref()),
        ("BACKTRACE", from_default(message.context.backtrace)),
        ("STATEMENT", message.statement()),
    ];
    for (name, text) in fields {
        if let Some(text) = text {
            prefix::append(message, &mut out);
            out.push_str(name);
            out.push_str(":  ");
            append_indented(text, &mut out);
            out.push('\n');
        }
    }
    out
}

/// The first line: severity, message, and where in the statement.
fn head(message: &Message<'_>, out: &mut String) {
    let report = message.report;
    prefix::append(message, out);
    out.push_str(report.severity.name());
    out.push_str(":  ");
    if message.has(Verbosity::Verbose) {
        out.push_str(report.sqlstate.code());
        out.push_str(": ");
    }
    append_indented(message.text(), out);
    if let Some(position) = report.position.or(report.internal_position) {
        out.push_str(" at character ");
        out.push_str(&position.to_string());
    }
    out.push('\n');
}

/// A tab after each newline marks the line as a continuation, so that no user can forge a log line.
fn append_indented(text: &str, out: &mut String) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push_str("\n\t");
        }
        out.push_str(line);
    }
}
