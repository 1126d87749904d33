//! JSON: checking it, and printing it as `jsonb` does.

use std::fmt::Write as _;

/// Deeper nesting is refused, as PostgreSQL refuses what exhausts its stack.
const MAX_DEPTH: u32 = 500;

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`, `true`, `false` and numbers, as written.
    Plain(String),
    /// A string, unescaped.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object's pairs in the order they came.
    Object(Vec<(String, Json)>),
}

/// What is wrong with a text, as PostgreSQL's detail says it.
pub type JsonError = String;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Parses a whole text.
pub fn parse(text: &str) -> Result<Json, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        let token = reader.token();
        return Err(format!("Expected end of input, but found \"{token}\"."));
    }
    Ok(value)
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The token at hand, for a message.
    fn token(&self) -> String {
        let word = self.rest().find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '+' | '.'));
        let len = word.unwrap_or(self.rest().len());
        let len = if len == 0 { self.rest().chars().next().map_or(0, char::len_utf8) } else { len };
        self.rest()[..len].to_owned()
    }

    fn unexpected(&self, wanted: &str) -> JsonError {
        if self.rest().is_empty() {
            return "The input string ended unexpectedly.".to_owned();
        }
        let token = self.token();
        if token.starts_with(|c: char| c.is_alphabetic())
            && !matches!(token.as_str(), "true" | "false" | "null")
        {
            return format!("Token \"{token}\" is invalid.");
        }
        format!("Expected {wanted}, but found \"{token}\".")
    }

    fn value(&mut self, depth: u32) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err("The nesting is too deep.".to_owned());
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for word in ["true", "false", "null"] {
                    if self.token() == word {
                        self.at += word.len();
                        return Ok(Json::Plain(word.to_owned()));
                    }
                }
                Err(self.unexpected("JSON value"))
            }
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let token = self.token();
        let body = token.strip_prefix('-').unwrap_or(&token);
        let whole_end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
        let whole = &body[..whole_end];
        let bad = || format!("Token \"{token}\" is invalid.");
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) || token.contains('_') {
            return Err(bad());
        }
        let rest = &body[whole_end..];
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let (fraction, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let fraction_ok = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits);
        let exponent_ok = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
        if !fraction_ok || !exponent_ok {
            return Err(bad());
        }
        self.at += token.len();
        Ok(Json::Plain(token))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err("The input string ended unexpectedly.".to_owned());
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                c if (c as u32) < 0x20 => {
                    return Err(format!("Character with value 0x{:02x} must be escaped.", c as u32));
                }
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(c) = self.rest().chars().next() else {
            return Err("The input string ended unexpectedly.".to_owned());
        };
        self.at += c.len_utf8();
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            c => return Err(format!("Escape sequence \"\\{c}\" is invalid.")),
        })
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let bad = || "\"\\u\" must be followed by four hexadecimal digits.".to_owned();
        let mut unit = || {
            let code = self.text.get(self.at..self.at + 4).ok_or_else(bad)?;
            let code = u32::from_str_radix(code, 16).map_err(|_| bad())?;
            self.at += 4;
            Ok::<u32, JsonError>(code)
        };
        let first = unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first)
                .ok_or_else(|| "Unicode low surrogate must follow a high surrogate.".to_owned());
        }
        let low_missing = || "Unicode low surrogate must follow a high surrogate.".to_owned();
        if !self.rest().starts_with("\\u") {
            return Err(low_missing());
        }
        self.at += 2;
        let code = self.text.get(self.at..self.at + 4).ok_or_else(bad)?;
        let second = u32::from_str_radix(code, 16).map_err(|_| bad())?;
        self.at += 4;
        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400).ok_or_else(low_missing)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + low).ok_or_else(low_missing)
    }

    fn array(&mut self, depth: u32) -> Result<Json, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.unexpected("\",\" or \"]\"")),
            }
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json, JsonError> {
        self.at += 1;
        let mut pairs = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(if pairs.is_empty() { "string or \"}\"" } else { "string" }));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("\":\""));
            }
            self.at += 1;
            pairs.push((key, self.value(depth + 1)?));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(pairs));
                }
                _ => return Err(self.unexpected("\",\" or \"}\"")),
            }
        }
    }
}

/// As `jsonb` prints it: keys by length and bytes, the last of equal ones, a space behind `,` and `:`.
pub fn normal(value: &Json, out: &mut String) {
    match value {
        Json::Plain(text) => match text.parse::<super::Numeric>() {
            Ok(number) => _ = write!(out, "{number}"),
            Err(_) => out.push_str(text),
        },
        Json::Text(text) => quote(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                normal(item, out);
            }
            out.push(']');
        }
        Json::Object(pairs) => {
            let mut sorted: Vec<(usize, &(String, Json))> = pairs.iter().enumerate().collect();
            sorted.sort_by(|(i, (a, _)), (j, (b, _))| (a.len(), a, j).cmp(&(b.len(), b, i)));
            sorted.dedup_by(|(_, later), (_, first)| later.0 == first.0);
            out.push('{');
            for (index, (_, (key, value))) in sorted.into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                quote(key, out);
                out.push_str(": ");
                normal(value, out);
            }
            out.push('}');
        }
    }
}

/// A JSON string with its quotes and escapes.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => _ = write!(out, "\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_sorts_keys_and_spaces_them() {
        for (text, printed) in [
            (r#"{"bb":1,"a":[1,2,{}],"bb":2}"#, r#"{"a": [1, 2, {}], "bb": 2}"#),
            (r#" "\u00e9\n" "#, "\"é\\n\""),
            ("1.50e1", "15.0"),
            ("null", "null"),
        ] {
            let mut out = String::new();
            normal(&parse(text).unwrap(), &mut out);
            assert_eq!(out, printed);
        }
    }

    #[test]
    fn bad_texts_say_why() {
        for (text, detail) in [
            ("", "The input string ended unexpectedly."),
            ("x", "Token \"x\" is invalid."),
            ("{1}", "Expected string or \"}\", but found \"1\"."),
            ("[1 2]", "Expected \",\" or \"]\", but found \"2\"."),
            ("1 2", "Expected end of input, but found \"2\"."),
        ] {
            assert_eq!(parse(text).unwrap_err(), detail, "{text}");
        }
    }
}
