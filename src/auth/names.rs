//! Names as pg_hba.conf and pg_ident.conf match them: keywords, `+group`, `/regex`, or the name itself.

use regex::{Regex, RegexBuilder};

use crate::report::SqlState;

use super::complaint::Complaint;
use super::roles::RoleSource;
use super::tokens::Token;

/// A token, ready to be matched.
#[derive(Clone, Debug)]
pub struct NamePattern {
    token: Token,
    regex: Option<Regex>,
}

impl NamePattern {
    /// Compiles what begins with a slash, quoted or not.
    ///
    /// Regular expressions are the `regex` crate's: PostgreSQL's without back references and look-around, and the
    /// first alternative wins where PostgreSQL takes the longest.
    pub(super) fn compile(token: &Token) -> Result<Self, Complaint> {
        let regex = match token.text.strip_prefix('/') {
            None => None,
            Some(pattern) => Some(compile(pattern)?),
        };
        Ok(Self { token: token.clone(), regex })
    }

    /// A name that means nothing but itself.
    pub(super) fn literal(name: String) -> Self {
        Self { token: Token { text: name, quoted: true }, regex: None }
    }

    /// As written, without quotes.
    pub fn text(&self) -> &str {
        &self.token.text
    }

    /// The regular expression, if it is one.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    fn group(&self) -> Option<&str> {
        self.token.text.strip_prefix('+').filter(|_| !self.token.quoted)
    }

    /// Whether `\1` in it stands for what a regular expression captured.
    pub(super) fn takes_capture(&self) -> bool {
        self.group().is_none() && self.regex.is_none() && self.token.text.contains("\\1")
    }

    /// Whether it means the role.
    pub fn matches_role(&self, role: &str, roles: &dyn RoleSource) -> bool {
        match (self.group(), &self.regex) {
            (Some(group), _) => roles.is_member(role, group),
            _ if self.token.is_keyword("all") => true,
            (None, Some(regex)) => regex.is_match(role),
            (None, None) => self.token.text == role,
        }
    }

    /// Whether it means the database, for a session of `role`.
    pub fn matches_database(&self, database: &str, role: &str, roles: &dyn RoleSource) -> bool {
        if !self.token.quoted {
            match self.token.text.as_str() {
                "all" => return true,
                "sameuser" => return database == role,
                "samerole" | "samegroup" => return roles.is_member(role, database),
                // Physical replication only, which has no database.
                "replication" => return false,
                _ => {}
            }
        }
        match &self.regex {
            Some(regex) => regex.is_match(database),
            None => self.token.text == database,
        }
    }

    /// Whether it means connections for physical replication.
    pub fn matches_replication(&self) -> bool {
        self.token.is_keyword("replication")
    }
}

fn compile(pattern: &str) -> Result<Regex, Complaint> {
    // As in PostgreSQL, a dot matches a newline too.
    RegexBuilder::new(pattern).dot_matches_new_line(true).build().map_err(|error| Complaint {
        sqlstate: SqlState::INVALID_REGULAR_EXPRESSION,
        ..Complaint::new(format!("invalid regular expression \"{pattern}\": {}", why(&error)))
    })
}

/// What is wrong with a regular expression, in PostgreSQL's words where it has some.
fn why(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.rsplit("error: ").next().unwrap_or(&text).trim();
    match reason {
        "unclosed group" | "unopened group" => "parentheses () not balanced",
        "unclosed character class" => "brackets [] not balanced",
        "unclosed counted repetition" => "braces {} not balanced",
        "repetition operator missing expression" => "quantifier operand invalid",
        reason if reason.starts_with("invalid repetition count") => "invalid repetition count(s)",
        reason if reason.starts_with("invalid character class range") => "invalid character range",
        "unrecognized escape sequence" | "incomplete escape sequence, reached end of pattern prematurely" => {
            "invalid escape \\ sequence"
        }
        "backreferences are not supported" => "back references are not supported",
        other => return other.replace('\n', " "),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::roles::RolesFile;
    use super::*;

    fn pattern(text: &str, quoted: bool) -> NamePattern {
        NamePattern::compile(&Token { text: text.to_owned(), quoted }).unwrap()
    }

    #[test]
    fn roles_are_matched() {
        let roles = RolesFile::sample();
        for (text, quoted, role, expected) in [
            ("alice", false, "alice", true),
            ("alice", true, "alice", true),
            ("alice", false, "Alice", false),
            ("all", false, "anybody", true),
            ("all", true, "anybody", false),
            ("all", true, "all", true),
            ("+staff", false, "alice", true),
            ("+staff", false, "staff", true),
            ("+company", false, "alice", true),
            ("+staff", false, "bob", false),
            ("+staff", false, "nobody", false),
            ("+nothing", false, "alice", false),
            ("+staff", true, "alice", false),
            ("+staff", true, "+staff", true),
            ("/^a.*e$", false, "alice", true),
            ("/^a.*e$", true, "alice", true),
            ("/lic", false, "alice", true),
            ("/^x", false, "alice", false),
        ] {
            let found = pattern(text, quoted).matches_role(role, &roles);
            assert_eq!(found, expected, "{text} {quoted} {role}");
        }
    }

    #[test]
    fn databases_are_matched() {
        let roles = RolesFile::sample();
        for (text, quoted, database, role, expected) in [
            ("all", false, "x", "alice", true),
            ("all", true, "x", "alice", false),
            ("sameuser", false, "alice", "alice", true),
            ("sameuser", false, "x", "alice", false),
            ("sameuser", true, "sameuser", "alice", true),
            ("samerole", false, "staff", "alice", true),
            ("samegroup", false, "staff", "alice", true),
            ("samerole", false, "staff", "bob", false),
            ("replication", false, "replication", "alice", false),
            ("replication", true, "replication", "alice", true),
            ("/^x\\d+$", false, "x12", "alice", true),
            ("/^x\\d+$", false, "x", "alice", false),
            ("x", false, "x", "alice", true),
        ] {
            let found = pattern(text, quoted).matches_database(database, role, &roles);
            assert_eq!(found, expected, "{text} {quoted} {database} {role}");
        }
        assert!(pattern("replication", false).matches_replication());
        assert!(!pattern("replication", true).matches_replication());
        assert!(!pattern("all", false).matches_replication());
    }

    #[test]
    fn bad_expressions_are_explained() {
        for (text, reason) in [
            ("/(", "parentheses () not balanced"),
            ("/)", "parentheses () not balanced"),
            ("/[", "brackets [] not balanced"),
            ("/*", "quantifier operand invalid"),
            ("/a{2,1}", "invalid repetition count(s)"),
            ("/[b-a]", "invalid character range"),
            ("/\\", "invalid escape \\ sequence"),
            ("/(a)\\1", "back references are not supported"),
        ] {
            let token = Token { text: text.to_owned(), quoted: false };
            let complaint = NamePattern::compile(&token).unwrap_err();
            let expected = format!("invalid regular expression \"{}\": {reason}", &text[1..]);
            assert_eq!(complaint.message, expected);
        }
    }
}
