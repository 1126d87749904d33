//! Reading SCRAM messages: comma-separated attributes of one letter, and PostgreSQL's complaints about them.

use crate::report::{Report, ReportExt, Result, SqlState};

/// A cursor over a message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte, without taking it; zero at the end.
    pub fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    /// Takes one byte, if there is one.
    pub fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    pub fn comma(&mut self) -> Result<()> {
        if self.peek() != b',' {
            let found = shown_byte(self.peek());
            return Err(malformed(format!("Comma expected, but found character \"{found}\".")));
        }
        self.skip();
        Ok(())
    }

    /// The value of the attribute `name`, which must come next.
    pub fn attribute(&mut self, name: u8) -> Result<&'a [u8]> {
        if self.peek() != name {
            let (expected, found) = (char::from(name), shown_byte(self.peek()));
            return Err(malformed(format!("Expected attribute \"{expected}\" but found \"{found}\".")));
        }
        self.skip();
        self.value(name)
    }

    /// The next attribute, whichever it is.
    pub fn any_attribute(&mut self) -> Result<(u8, &'a [u8])> {
        if self.is_at_end() {
            return Err(malformed("Attribute expected, but found end of string."));
        }
        let name = self.peek();
        if !name.is_ascii_alphabetic() {
            let found = shown_byte(name);
            return Err(malformed(format!("Attribute expected, but found invalid character \"{found}\".")));
        }
        self.skip();
        Ok((name, self.value(name)?))
    }

    /// What stands behind `=`, up to the next comma, which is taken too.
    fn value(&mut self, name: u8) -> Result<&'a [u8]> {
        if self.peek() != b'=' {
            let name = char::from(name);
            return Err(malformed(format!("Expected character \"=\" for attribute \"{name}\".")));
        }
        self.skip();
        let end = self.rest.iter().position(|byte| *byte == b',').unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(value)
    }
}

/// `malformed SCRAM message`, with what is wrong in it.
pub(super) fn malformed(detail: impl Into<String>) -> Box<Report> {
    violation("malformed SCRAM message").with_detail(detail)
}

/// A breach of the protocol.
#[track_caller]
pub(super) fn violation(message: impl Into<String>) -> Box<Report> {
    Report::fatal(SqlState::PROTOCOL_VIOLATION, message)
}

/// A byte that the client sent, safe for a log.
pub(super) fn shown_byte(byte: u8) -> String {
    if is_printable(byte) { format!("'{}'", char::from(byte)) } else { format!("0x{byte:02x}") }
}

/// Text that the client sent, safe for a log.
pub(super) fn shown(text: &[u8]) -> String {
    text.iter().take(30).map(|byte| if is_printable(*byte) { char::from(*byte) } else { '?' }).collect()
}

/// Whether SCRAM allows the byte in a nonce; commas end one.
pub(super) fn is_nonce_byte(byte: u8) -> bool {
    is_printable(byte) && byte != b','
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
}
