//! Errors and notices from reports.

use super::{Encoder, put_string};
use crate::report::Report;

impl Encoder<'_> {
    /// An ErrorResponse or, of what is no error, a NoticeResponse. What is for the log only is left out.
    pub fn report(&mut self, report: &Report) {
        let kind = if report.severity.is_error() { b'E' } else { b'N' };
        self.message(kind, |out| put_fields(out, report));
    }
}

/// All fields, in PostgreSQL's order.
fn put_fields(out: &mut Vec<u8>, report: &Report) {
    let mut put = |code: u8, text: &str| {
        out.push(code);
        put_string(out, text);
    };
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    put(b'S', report.severity.name());
    put(b'V', report.severity.name());
    put(b'C', report.sqlstate.code());
    put(b'M', if report.message.is_empty() { "missing error text" } else { &report.message });
    let (position, internal_position) = (number(report.position), number(report.internal_position));
    let line = report.line.to_string();
    let optional = [
        (b'D', report.detail.as_deref()),
        (b'H', report.hint.as_deref()),
        (b'W', report.context.as_deref()),
        (b's', report.schema.as_deref()),
        (b't', report.table.as_deref()),
        (b'c', report.column.as_deref()),
        (b'd', report.data_type.as_deref()),
        (b'n', report.constraint.as_deref()),
        (b'P', position.as_deref()),
        (b'p', internal_position.as_deref()),
        (b'q', report.internal_query.as_deref()),
        (b'F', Some(report.file)),
        (b'L', Some(&*line)),
        (b'R', report.routine),
    ];
    for (code, text) in optional {
        if let Some(text) = text {
            put(code, text);
        }
    }
    out.push(0);
}

/// The message ready to be sent, for a signal handler that may allocate nothing.
pub fn encode_prebuilt(report: &Report) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).report(report);
    out
}

/// An error as clients of before protocol 3 understand it: a type and one string, without a length.
pub fn old_error(out: &mut Vec<u8>, report: &Report) {
    out.push(b'E');
    put_string(out, &format!("{}:  {}\n", report.severity.name(), report.message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ReportExt, Severity, SqlState};

    /// The fields of an encoded report, as `code text`.
    fn fields(bytes: &[u8]) -> Vec<String> {
        let length = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize;
        assert_eq!(length + 1, bytes.len());
        let (last, body) = bytes[5..].split_last().unwrap();
        assert_eq!(*last, 0);
        let texts = body.split(|&byte| byte == 0).filter(|text| !text.is_empty());
        texts.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn all_fields_are_sent_but_those_for_the_log() {
        let mut report = Report::error(SqlState::SYNTAX_ERROR, "message")
            .with_detail("detail")
            .with_detail_log("secret")
            .with_hint("hint")
            .with_context("context")
            .with_schema("schema")
            .with_table("table")
            .with_column("column")
            .with_data_type("type")
            .with_constraint("constraint")
            .at(3)
            .routine("routine");
        report.internal_position = Some(4);
        report.internal_query = Some("query".to_owned());
        (report.file, report.line) = ("file.rs", 12);
        let bytes = encode_prebuilt(&report);
        assert_eq!(bytes[0], b'E');
        let expected = [
            "SERROR",
            "VERROR",
            "C42601",
            "Mmessage",
            "Ddetail",
            "Hhint",
            "Wcontext",
            "sschema",
            "ttable",
            "ccolumn",
            "dtype",
            "nconstraint",
            "P3",
            "p4",
            "qquery",
            "Ffile.rs",
            "L12",
            "Rroutine",
        ];
        assert_eq!(fields(&bytes), expected);
    }

    #[test]
    fn what_is_no_error_is_a_notice() {
        for (severity, kind) in [
            (Severity::Notice, b'N'),
            (Severity::Warning, b'N'),
            (Severity::Log, b'N'),
            (Severity::Error, b'E'),
            (Severity::Fatal, b'E'),
            (Severity::Panic, b'E'),
        ] {
            let bytes = encode_prebuilt(&Report::new(severity, SqlState::WARNING, ""));
            assert_eq!(bytes[0], kind);
            assert_eq!(fields(&bytes)[3], "Mmissing error text");
        }
    }

    #[test]
    fn old_clients_get_one_string() {
        let mut out = Vec::new();
        old_error(&mut out, &Report::fatal(SqlState::FEATURE_NOT_SUPPORTED, "no"));
        assert_eq!(out, b"EFATAL:  no\n\0");
    }
}
