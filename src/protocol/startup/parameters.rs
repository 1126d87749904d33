//! What a startup packet asks for: whose session, in which database, with which settings.

use std::fmt::Write as _;

use crate::protocol::LATEST_MINOR_VERSION;
use crate::report::{Report, Result, SqlState};

/// Bytes that a name of PostgreSQL may have.
const MAX_NAME: usize = 63;
/// Parameters of the protocol, not settings, begin like this.
const PROTOCOL_PREFIX: &str = "_pq_.";

/// Whether the session speaks the replication protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Replication {
    /// No.
    #[default]
    Off,
    /// Yes, of the whole cluster: without a database.
    Physical,
    /// Yes, in a database.
    Database,
}

/// A startup packet's content. Bytes that are no UTF-8 are written as `\xNN`, since at this time nobody can tell the
/// client's encoding.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StartupParameters {
    /// The minor version that the client asked for.
    pub requested_minor: u16,
    /// The minor version that is spoken: the lesser of the client's and ours.
    pub minor: u16,
    /// The role's name, at most 63 bytes, not empty.
    pub user: String,
    /// The database's name, at most 63 bytes; the role's where none was given. Empty for physical replication.
    pub database: String,
    /// Whether this is a replication session.
    pub replication: Replication,
    /// Command line options such as `-c name=value`, as they were sent.
    pub options: Option<String>,
    /// Settings, in their order.
    pub settings: Vec<(String, String)>,
    /// Parameters of the protocol that are not known here.
    pub unknown_protocol_options: Vec<String>,
}

impl StartupParameters {
    /// Whether NegotiateProtocolVersion is due before anything else.
    pub const fn needs_negotiation(&self) -> bool {
        self.requested_minor > LATEST_MINOR_VERSION || !self.unknown_protocol_options.is_empty()
    }

    fn add(&mut self, name: String, value: String) -> Result<()> {
        match &*name {
            "user" => self.user = value,
            "database" => self.database = value,
            "options" => self.options = Some(value),
            "replication" => self.replication = replication(&value)?,
            _ if name.starts_with(PROTOCOL_PREFIX) => self.unknown_protocol_options.push(name),
            _ => self.settings.push((name, value)),
        }
        Ok(())
    }

    fn complete(mut self) -> Result<Self> {
        if self.user.is_empty() {
            return Err(Report::fatal(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "no PostgreSQL user name specified in startup packet",
            ));
        }
        if self.database.is_empty() {
            self.database.clone_from(&self.user);
        }
        if self.replication == Replication::Physical {
            self.database.clear();
        }
        truncate(&mut self.user);
        truncate(&mut self.database);
        Ok(self)
    }
}

/// Reads names and values, each ended by NUL, up to an empty name that must be the last byte.
pub(super) fn decode(requested_minor: u16, bytes: &[u8]) -> Result<StartupParameters> {
    let minor = requested_minor.min(LATEST_MINOR_VERSION);
    let mut parameters = StartupParameters { requested_minor, minor, ..StartupParameters::default() };
    let mut rest = bytes;
    loop {
        match rest {
            [0] => return parameters.complete(),
            [] | [0, ..] => return Err(layout()),
            _ => {
                let name = string(&mut rest)?;
                let value = string(&mut rest)?;
                parameters.add(name, value)?;
            }
        }
    }
}

fn string(rest: &mut &[u8]) -> Result<String> {
    let end = rest.iter().position(|&byte| byte == 0).ok_or_else(layout)?;
    let text = escaped(&rest[..end]);
    *rest = &rest[end + 1..];
    Ok(text)
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing into a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Cuts a name as CREATE cut it: whole characters.
fn truncate(name: &mut String) {
    name.truncate(name.floor_char_boundary(MAX_NAME));
}

fn layout() -> Box<Report> {
    Report::fatal(
        SqlState::PROTOCOL_VIOLATION,
        "invalid startup packet layout: expected terminator as last byte",
    )
}

fn replication(value: &str) -> Result<Replication> {
    if value == "database" {
        return Ok(Replication::Database);
    }
    match boolean(value) {
        Some(true) => Ok(Replication::Physical),
        Some(false) => Ok(Replication::Off),
        None => {
            let message = format!("invalid value for parameter \"replication\": \"{value}\"");
            let mut report = Report::fatal(SqlState::INVALID_PARAMETER_VALUE, message);
            report.hint = Some("Valid values are: \"false\", 0, \"true\", 1, \"database\".".to_owned());
            Err(report)
        }
    }
}

/// PostgreSQL's words for true and false, which may be shortened as long as they are not ambiguous.
fn boolean(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let shortens = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if shortens("true", 1) || shortens("yes", 1) || value == "on" || value == "1" {
        return Some(true);
    }
    (shortens("false", 1) || shortens("no", 1) || shortens("off", 2) || value == "0").then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(minor: u16, parameters: &[(&str, &str)]) -> Result<StartupParameters> {
        let mut bytes = Vec::new();
        for (name, value) in parameters {
            bytes.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        bytes.push(0);
        decode(minor, &bytes)
    }

    #[test]
    fn parameters_are_sorted_out() {
        let parameters = packet(
            2,
            &[
                ("application_name", "psql"),
                ("user", "me"),
                ("options", "-c a=b"),
                ("client_encoding", "UTF8"),
                ("database", "there"),
                ("replication", "database"),
            ],
        )
        .unwrap();
        assert_eq!((&*parameters.user, &*parameters.database), ("me", "there"));
        assert_eq!(parameters.options.as_deref(), Some("-c a=b"));
        assert_eq!(parameters.replication, Replication::Database);
        let settings = [("application_name", "psql"), ("client_encoding", "UTF8")];
        assert_eq!(parameters.settings, settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!parameters.needs_negotiation());
    }

    #[test]
    fn the_database_defaults_to_the_user() {
        assert_eq!(packet(0, &[("user", "me")]).unwrap().database, "me");
        assert_eq!(packet(0, &[("user", "me"), ("database", "")]).unwrap().database, "me");
        let physical = packet(0, &[("user", "me"), ("database", "d"), ("replication", "1")]).unwrap();
        assert_eq!((physical.replication, &*physical.database), (Replication::Physical, ""));
    }

    #[test]
    fn names_are_cut_at_63_bytes() {
        let parameters = packet(0, &[("user", &"x".repeat(70)), ("database", &"ü".repeat(40))]).unwrap();
        assert_eq!(parameters.user, "x".repeat(63));
        assert_eq!(parameters.database, "ü".repeat(31));
    }

    #[test]
    fn newer_versions_and_unknown_options_are_negotiated() {
        for (minor, spoken, option, negotiated) in [
            (0, 0, None, false),
            (1, 1, None, false),
            (2, 2, None, false),
            (9, 2, None, true),
            (0, 0, Some("_pq_.x"), true),
        ] {
            let mut list = vec![("user", "me")];
            list.extend(option.map(|name| (name, "1")));
            let parameters = packet(minor, &list).unwrap();
            assert_eq!((parameters.minor, parameters.needs_negotiation()), (spoken, negotiated));
            assert_eq!(parameters.unknown_protocol_options.first().map(String::as_str), option);
        }
    }

    #[test]
    fn bad_layouts_and_missing_users_have_postgresql_s_errors() {
        let layout = "invalid startup packet layout: expected terminator as last byte";
        let nobody = "no PostgreSQL user name specified in startup packet";
        let cases: [(&[u8], &str); 7] = [
            (b"", layout),
            (b"user\0me\0", layout),
            (b"user\0", layout),
            (b"user", layout),
            (b"user\0me\0\0x", layout),
            (b"\0", nobody),
            (b"user\0\0\0", nobody),
        ];
        for (bytes, message) in cases {
            assert_eq!(decode(0, bytes).unwrap_err().message, message, "{bytes:?}");
        }
    }

    #[test]
    fn replication_takes_the_words_of_a_boolean() {
        for (value, wanted) in [
            ("true", Some(Replication::Physical)),
            ("T", Some(Replication::Physical)),
            ("on", Some(Replication::Physical)),
            ("0", Some(Replication::Off)),
            ("of", Some(Replication::Off)),
            ("no", Some(Replication::Off)),
            ("o", None),
            ("", None),
            ("zz", None),
        ] {
            let got = packet(0, &[("user", "me"), ("replication", value)]);
            assert_eq!(got.ok().map(|parameters| parameters.replication), wanted, "{value}");
        }
        let report = packet(0, &[("user", "me"), ("replication", "zz")]).unwrap_err();
        assert_eq!(report.message, "invalid value for parameter \"replication\": \"zz\"");
        assert_eq!(
            report.hint.as_deref(),
            Some("Valid values are: \"false\", 0, \"true\", 1, \"database\".")
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        let parameters = decode(0, b"user\0a\xff\xc3\xa9\0\0").unwrap();
        assert_eq!(parameters.user, "a\\xffé");
    }
}
