//! From text to tokens, by PostgreSQL's lexical rules.
//!
//! Tokens are kinds and byte ranges: what they say is cut out of the text when a tree needs it. A text that cannot be cut
//! ends in a token of kind [`Kind::Error`]; its report is made when the parser comes to it, since what is wrong before it
//! is said first.

use crate::report::{Report, ReportExt, SqlState};

use super::keywords::Keyword;
use super::strings;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The text's end.
    End,
    /// What is no token.
    Error,
    /// A key word or a name without quotes.
    Word,
    /// `"name"`.
    Quoted,
    /// `U&"name"`.
    QuotedUnicode,
    /// `'text'`.
    String,
    /// `E'text'`.
    Escaped,
    /// `U&'text'`.
    Unicode,
    /// `$tag$text$tag$`.
    Dollar,
    /// `B'101'`.
    Bits,
    /// `X'1F'`.
    Hex,
    /// A whole number.
    Integer,
    /// Any other number.
    Number,
    /// `$1`.
    Param,
    /// An operator without a kind of its own.
    Operator,
    LParen,
    RParen,
    LBracket,
    RBracket,
    Comma,
    Semicolon,
    Colon,
    Dot,
    DotDot,
    Typecast,
    Assign,
    Arrow,
    Less,
    Greater,
    Equals,
    LessEquals,
    GreaterEquals,
    NotEquals,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    /// A character that begins nothing.
    Other,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub kind: Kind,
    /// Which key word a word is.
    pub keyword: Option<Keyword>,
    /// Its first byte.
    pub at: u32,
    /// The byte behind it.
    pub end: u32,
}

/// A text's tokens, the last of which is [`Kind::End`] or [`Kind::Error`].
#[derive(Debug)]
pub struct Lexed {
    pub tokens: Vec<Token>,
    /// What is wrong with the last token; its position counts bytes from 0.
    pub error: Option<Box<Report>>,
}

/// Longer names of operators are refused, longer identifiers cut.
pub const MAX_NAME: usize = 63;

/// Cuts a text into tokens.
pub fn lex(text: &str) -> Lexed {
    let mut lexer =
        Lexer { text, bytes: text.as_bytes(), at: 0, tokens: Vec::with_capacity(text.len() / 4 + 4) };
    match lexer.run() {
        Ok(()) => Lexed { tokens: lexer.tokens, error: None },
        Err((at, report)) => {
            let (at, end) = (at as u32, text.len() as u32);
            lexer.tokens.push(Token { kind: Kind::Error, keyword: None, at, end });
            Lexed { tokens: lexer.tokens, error: Some(report) }
        }
    }
}

/// Where the bad token is, and what is wrong with it.
type Failure = (usize, Box<Report>);

/// Whether a byte is a digit of some base.
type IsDigit = fn(&u8) -> bool;

struct Lexer<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    tokens: Vec<Token>,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c')
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// Where a quoted text goes on behind a closing quote: across a newline at least, and comments perhaps.
pub fn continuation(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => newline = true,
            byte if is_space(*byte) => {}
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
                continue;
            }
            b'\'' if newline => return Some(at),
            _ => return None,
        }
        at += 1;
    }
}

impl<'t> Lexer<'t> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.skip_spaces()?;
            if self.at >= self.bytes.len() {
                self.push(Kind::End, None, self.at);
                return Ok(());
            }
            self.token()?;
            self.join_escape()?;
        }
    }

    /// Makes one token of `U&'…' UESCAPE '!'`.
    fn join_escape(&mut self) -> Result<(), Failure> {
        let [.., unicode, word, escape] = self.tokens.as_slice() else {
            return Ok(());
        };
        if word.keyword != Some(Keyword::Uescape)
            || !matches!(unicode.kind, Kind::Unicode | Kind::QuotedUnicode)
        {
            return Ok(());
        }
        let (from, to) = (escape.at as usize, escape.end as usize);
        if escape.kind != Kind::String {
            self.tokens.pop();
            return Err(self.fail("UESCAPE must be followed by a simple string literal", from, to));
        }
        let invalid =
            |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'+' | b'\'' | b'"') || is_space(byte);
        if to - from != 3 || invalid(self.bytes[from + 1]) {
            self.tokens.pop();
            return Err(self.fail("invalid Unicode escape character", from, to));
        }
        let joined = Token { end: escape.end, ..*unicode };
        self.tokens.truncate(self.tokens.len() - 3);
        self.tokens.push(joined);
        Ok(())
    }

    fn push(&mut self, kind: Kind, keyword: Option<Keyword>, from: usize) {
        self.tokens.push(Token { kind, keyword, at: from as u32, end: self.at as u32 });
    }

    /// A failure that quotes the text from a place on, or up to another.
    fn fail(&self, what: &str, from: usize, to: usize) -> Failure {
        let mut to = to.max(from).min(self.text.len());
        while !self.text.is_char_boundary(to) {
            to += 1;
        }
        let message = format!("{what} at or near \"{}\"", &self.text[from..to]);
        (from, Report::error(SqlState::SYNTAX_ERROR, message).at(from as u32))
    }

    fn skip_spaces(&mut self) -> Result<(), Failure> {
        loop {
            match self.peek(0) {
                byte if is_space(byte) => self.at += 1,
                b'-' if self.peek(1) == b'-' => {
                    let rest = &self.bytes[self.at..];
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    self.at += end.unwrap_or(rest.len());
                }
                b'/' if self.peek(1) == b'*' => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// Comments nest.
    fn skip_comment(&mut self) -> Result<(), Failure> {
        let (start, mut depth) = (self.at, 0);
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ if self.at >= self.bytes.len() => {
                    return Err(self.fail("unterminated /* comment", start, self.bytes.len()));
                }
                _ => self.at += 1,
            }
        }
    }

    fn token(&mut self) -> Result<(), Failure> {
        let (first, second) = (self.peek(0), self.peek(1));
        match first {
            b'\'' => self.string(0, Kind::String),
            b'E' | b'e' if second == b'\'' => self.string(1, Kind::Escaped),
            b'B' | b'b' if second == b'\'' => self.string(1, Kind::Bits),
            b'X' | b'x' if second == b'\'' => self.string(1, Kind::Hex),
            b'N' | b'n' if second == b'\'' => {
                self.at += 1;
                self.push(Kind::Word, Some(Keyword::Nchar), self.at - 1);
                Ok(())
            }
            b'U' | b'u' if second == b'&' && self.peek(2) == b'\'' => self.string(2, Kind::Unicode),
            b'U' | b'u' if second == b'&' && self.peek(2) == b'"' => self.quoted(2, Kind::QuotedUnicode),
            b'"' => self.quoted(0, Kind::Quoted),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if second.is_ascii_digit() => self.number(),
            byte if begins_name(byte) => {
                let start = self.at;
                while self.at < self.bytes.len() && continues_name(self.bytes[self.at]) {
                    self.at += 1;
                }
                let keyword = Keyword::find(&self.text[start..self.at]);
                self.push(Kind::Word, keyword, start);
                Ok(())
            }
            byte if is_operator(byte) => self.operator(),
            _ => {
                self.punctuation(first, second);
                Ok(())
            }
        }
    }

    fn punctuation(&mut self, first: u8, second: u8) {
        let start = self.at;
        let (kind, length) = match (first, second) {
            (b'(', _) => (Kind::LParen, 1),
            (b')', _) => (Kind::RParen, 1),
            (b'[', _) => (Kind::LBracket, 1),
            (b']', _) => (Kind::RBracket, 1),
            (b',', _) => (Kind::Comma, 1),
            (b';', _) => (Kind::Semicolon, 1),
            (b':', b':') => (Kind::Typecast, 2),
            (b':', b'=') => (Kind::Assign, 2),
            (b':', _) => (Kind::Colon, 1),
            (b'.', b'.') => (Kind::DotDot, 2),
            (b'.', _) => (Kind::Dot, 1),
            _ => (Kind::Other, 1),
        };
        self.at += length;
        self.push(kind, None, start);
    }

    /// A text in single quotes, `prefix` bytes before the first of them.
    fn string(&mut self, prefix: usize, kind: Kind) -> Result<(), Failure> {
        let start = self.at;
        let mut at = start + prefix + 1;
        loop {
            match self.bytes.get(at) {
                None => {
                    let what = match kind {
                        Kind::Bits => "unterminated bit string literal",
                        Kind::Hex => "unterminated hexadecimal string literal",
                        _ => "unterminated quoted string",
                    };
                    return Err(self.fail(what, start, self.bytes.len()));
                }
                Some(b'\\') if kind == Kind::Escaped => at += 1,
                Some(b'\'') if self.bytes.get(at + 1) == Some(&b'\'') => at += 1,
                Some(b'\'') => match continuation(self.bytes, at + 1) {
                    Some(quote) => at = quote,
                    None => break,
                },
                Some(_) => {}
            }
            at += 1;
        }
        self.at = at + 1;
        if kind == Kind::Escaped {
            strings::escaped(self.text, start, self.at).map_err(|report| (start, report))?;
        }
        self.push(kind, None, start);
        Ok(())
    }

    fn quoted(&mut self, prefix: usize, kind: Kind) -> Result<(), Failure> {
        let start = self.at;
        let open = start + prefix;
        let mut at = open + 1;
        loop {
            match self.bytes.get(at) {
                None => return Err(self.fail("unterminated quoted identifier", start, self.bytes.len())),
                Some(b'"') if self.bytes.get(at + 1) == Some(&b'"') => at += 2,
                Some(b'"') => break,
                Some(_) => at += 1,
            }
        }
        if at == open + 1 {
            return Err(self.fail("zero-length delimited identifier", start, at + 1));
        }
        self.at = at + 1;
        self.push(kind, None, start);
        Ok(())
    }

    /// `$1`, `$tag$…$tag$`, or a stray `$`.
    fn dollar(&mut self) -> Result<(), Failure> {
        let start = self.at;
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            if begins_name(self.peek(0)) {
                return Err(self.junk("trailing junk after parameter", start));
            }
            if self.text[start + 1..self.at].parse::<i32>().is_err() {
                return Err(self.fail("parameter number too large", start, self.at));
            }
            self.push(Kind::Param, None, start);
            return Ok(());
        }
        let mut end = start + 1;
        while self
            .bytes
            .get(end)
            .is_some_and(|&byte| begins_name(byte) || (byte.is_ascii_digit() && end > start + 1))
        {
            end += 1;
        }
        if self.bytes.get(end) != Some(&b'$') {
            self.at += 1;
            self.push(Kind::Other, None, start);
            return Ok(());
        }
        let tag = &self.text[start..=end];
        match self.text[end + 1..].find(tag) {
            Some(close) => {
                self.at = end + 1 + close + tag.len();
                self.push(Kind::Dollar, None, start);
                Ok(())
            }
            None => Err(self.fail("unterminated dollar-quoted string", start, self.bytes.len())),
        }
    }

    /// What follows a number without a space.
    fn junk(&mut self, what: &str, start: usize) -> Failure {
        while self.at < self.bytes.len() && continues_name(self.bytes[self.at]) {
            self.at += 1;
        }
        self.fail(what, start, self.at)
    }

    /// Goes over digits, which single underscores may part.
    fn digits(&mut self, is_digit: IsDigit) {
        while is_digit(&self.peek(0)) || (self.peek(0) == b'_' && is_digit(&self.peek(1))) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<(), Failure> {
        const JUNK: &str = "trailing junk after numeric literal";
        let start = self.at;
        let mut kind = Kind::Integer;
        let base: Option<(IsDigit, &str)> = match (self.peek(0), self.peek(1)) {
            (b'0', b'x' | b'X') => Some((u8::is_ascii_hexdigit, "invalid hexadecimal integer")),
            (b'0', b'o' | b'O') => Some((|byte| (b'0'..=b'7').contains(byte), "invalid octal integer")),
            (b'0', b'b' | b'B') => Some((|byte| matches!(byte, b'0' | b'1'), "invalid binary integer")),
            _ => None,
        };
        if let Some((is_digit, invalid)) = base {
            self.at += 2;
            let first = self.at;
            self.digits(is_digit);
            if self.at == first {
                self.at += usize::from(self.peek(0) == b'_');
                if !continues_name(self.peek(0)) {
                    return Err(self.fail(invalid, start, self.at));
                }
            }
            // `0b12`
            if self.peek(0).is_ascii_digit() {
                return Err(self.junk(JUNK, start));
            }
        } else {
            self.digits(u8::is_ascii_digit);
            // `1..2` is a number before two dots.
            if self.peek(0) == b'.' && self.peek(1) != b'.' {
                kind = Kind::Number;
                self.at += 1;
                if self.peek(0).is_ascii_digit() {
                    self.digits(u8::is_ascii_digit);
                }
            }
            if matches!(self.peek(0), b'e' | b'E') {
                let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
                if self.peek(1 + sign).is_ascii_digit() {
                    kind = Kind::Number;
                    self.at += 1 + sign;
                    self.digits(u8::is_ascii_digit);
                } else if sign > 0 {
                    self.at += 2;
                    return Err(self.fail(JUNK, start, self.at));
                }
            }
        }
        if begins_name(self.peek(0)) {
            return Err(self.junk(JUNK, start));
        }
        self.push(kind, None, start);
        Ok(())
    }

    /// As many operator characters as there are, but for comments, and for signs at the end, which belong to what comes
    /// next unless the operator has a character that no SQL operator has.
    fn operator(&mut self) -> Result<(), Failure> {
        let start = self.at;
        let mut end = start;
        while end < self.bytes.len() && is_operator(self.bytes[end]) {
            if end > start && matches!(self.bytes.get(end..end + 2), Some(b"--" | b"/*")) {
                break;
            }
            end += 1;
        }
        let unusual =
            |byte: &u8| matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        if !self.bytes[start..end].iter().any(unusual) {
            while end > start + 1 && matches!(self.bytes[end - 1], b'+' | b'-') {
                end -= 1;
            }
        }
        let kind = match &self.bytes[start..end] {
            b"+" => Kind::Plus,
            b"-" => Kind::Minus,
            b"*" => Kind::Star,
            b"/" => Kind::Slash,
            b"%" => Kind::Percent,
            b"^" => Kind::Caret,
            b"<" => Kind::Less,
            b">" => Kind::Greater,
            b"=" => Kind::Equals,
            b"<=" => Kind::LessEquals,
            b">=" => Kind::GreaterEquals,
            b"<>" | b"!=" => Kind::NotEquals,
            b"=>" => Kind::Arrow,
            _ => Kind::Operator,
        };
        if end - start > MAX_NAME {
            return Err(self.fail("operator too long", start, end));
        }
        self.at = end;
        self.push(kind, None, start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        let lexed = lex(text);
        assert!(lexed.error.is_none(), "{text}: {:?}", lexed.error);
        lexed.tokens.iter().map(|token| &text[token.at as usize..token.end as usize]).collect()
    }

    #[test]
    fn texts_are_cut_as_postgresql_cuts_them() {
        for (text, expected) in [
            ("", vec![""]),
            ("select 1", vec!["select", "1", ""]),
            ("1..2", vec!["1", "..", "2", ""]),
            (
                "1.5e10 .5 1. 1_000 0x1F 0o17 0b11",
                vec!["1.5e10", ".5", "1.", "1_000", "0x1F", "0o17", "0b11", ""],
            ),
            ("a+-1", vec!["a", "+", "-", "1", ""]),
            ("a@-1", vec!["a", "@-", "1", ""]),
            ("a*-1", vec!["a", "*", "-", "1", ""]),
            ("<>= => ->> ::: :=", vec!["<>=", "=>", "->>", "::", ":", ":=", ""]),
            ("a/*x/*y*/*/b--c\nd", vec!["a", "b", "d", ""]),
            ("1+--x\n2 +/*y*/3", vec!["1", "+", "2", "+", "3", ""]),
            ("'a''b' 'c'\n'd'", vec!["'a''b'", "'c'\n'd'", ""]),
            ("'a' -- it's\n  'b'", vec!["'a' -- it's\n  'b'", ""]),
            (
                "e'a\\'b' n'x' U&'\\0061' B'1' x'F'",
                vec!["e'a\\'b'", "n", "'x'", "U&'\\0061'", "B'1'", "x'F'", ""],
            ),
            ("\"a\"\"b\" U&\"c\"", vec!["\"a\"\"b\"", "U&\"c\"", ""]),
            ("$1 $$x$$ $a$ $$ $a$", vec!["$1", "$$x$$", "$a$ $$ $a$", ""]),
            ("a$b é \u{1F600}", vec!["a$b", "é", "\u{1F600}", ""]),
            ("\\{", vec!["\\", "{", ""]),
        ] {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_said_as_postgresql_says_it() {
        for (text, message, at) in [
            ("1 'abc", "unterminated quoted string at or near \"'abc\"", 2),
            ("e'\\", "unterminated quoted string at or near \"e'\\\"", 0),
            ("b'10", "unterminated bit string literal at or near \"b'10\"", 0),
            ("x'1", "unterminated hexadecimal string literal at or near \"x'1\"", 0),
            ("$a$ foo", "unterminated dollar-quoted string at or near \"$a$ foo\"", 0),
            ("/* /* */ x", "unterminated /* comment at or near \"/* /* */ x\"", 0),
            ("\"abc", "unterminated quoted identifier at or near \"\"abc\"", 0),
            ("\"\"", "zero-length delimited identifier at or near \"\"\"\"", 0),
            ("U&\"\"", "zero-length delimited identifier at or near \"U&\"\"\"", 0),
            ("123abc", "trailing junk after numeric literal at or near \"123abc\"", 0),
            ("1__0", "trailing junk after numeric literal at or near \"1__0\"", 0),
            ("1e+", "trailing junk after numeric literal at or near \"1e+\"", 0),
            ("1e", "trailing junk after numeric literal at or near \"1e\"", 0),
            ("0x", "invalid hexadecimal integer at or near \"0x\"", 0),
            ("0o", "invalid octal integer at or near \"0o\"", 0),
            ("0b12", "trailing junk after numeric literal at or near \"0b12\"", 0),
            ("$1a", "trailing junk after parameter at or near \"$1a\"", 0),
            ("$99999999999", "parameter number too large at or near \"$99999999999\"", 0),
        ] {
            let lexed = lex(text);
            let error = lexed.error.unwrap();
            assert_eq!((error.message.as_str(), error.position), (message, Some(at)), "{text}");
            assert_eq!(lexed.tokens.last().unwrap().kind, Kind::Error);
        }
    }
}
