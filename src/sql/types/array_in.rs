//! Arrays from text: `{a,"b c",NULL}`, `{{1,2},{3,4}}`, `[0:1]={a,b}`.

use crate::report::{Report, ReportExt, Result, SqlState};

use super::Datum;

/// PostgreSQL's greatest number of dimensions.
const MAX_DIMENSIONS: usize = 6;

struct Reader<'a, F> {
    text: &'a str,
    at: usize,
    lengths: Vec<Option<i32>>,
    items: Vec<Datum>,
    item: F,
}

/// Lower bound and length of each dimension.
type Dimensions = Vec<(i32, i32)>;

/// Dimensions and elements of an array's text; `item` reads an element.
pub fn parse<F>(text: &str, item: F) -> Result<(Dimensions, Vec<Datum>)>
where
    F: Fn(&str) -> Result<Datum>,
{
    let (bounds, body_at) = bounds(text)?;
    let mut reader = Reader { text, at: body_at, lengths: Vec::new(), items: Vec::new(), item };
    reader.skip_space();
    if reader.peek() != Some('{') {
        return Err(malformed(text, "Array value must start with \"{\" or dimension information."));
    }
    reader.level(0)?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(malformed(text, "Junk after closing right brace."));
    }
    if reader.items.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let lengths: Vec<i32> = reader.lengths.iter().map(|length| length.unwrap_or(0)).collect();
    let dimensions = match bounds {
        None => lengths.iter().map(|&length| (length, 1)).collect(),
        Some(bounds) => {
            if bounds.iter().map(|bound| bound.0).ne(lengths.iter().copied()) {
                return Err(malformed(text, "Specified array dimensions do not match array contents."));
            }
            bounds
        }
    };
    Ok((dimensions, reader.items))
}

fn malformed(text: &str, detail: &str) -> Box<Report> {
    Report::error(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\""))
        .with_detail(detail)
}

/// The `[lower:upper]…=` in front, and where the body begins.
fn bounds(text: &str) -> Result<(Option<Dimensions>, usize)> {
    let trimmed = text.trim_start();
    if !trimmed.starts_with('[') {
        return Ok((None, 0));
    }
    let bad = || malformed(text, "Specified array dimensions do not match array contents.");
    let (head, _) =
        trimmed.split_once('=').ok_or_else(|| malformed(text, "Missing \"=\" after array dimensions."))?;
    let mut bounds = Vec::new();
    for part in head.trim().trim_start_matches('[').trim_end_matches(']').split("][") {
        let (lower, upper) = part.split_once(':').unwrap_or(("1", part));
        let lower: i32 = lower.trim().parse().map_err(|_| bad())?;
        let upper: i32 = upper.trim().parse().map_err(|_| bad())?;
        let length = i64::from(upper) - i64::from(lower) + 1;
        if length < 1 {
            return Err(Report::error(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "upper bound cannot be less than lower bound",
            ));
        }
        bounds.push((i32::try_from(length).map_err(|_| bad())?, lower));
    }
    Ok((Some(bounds), text.len() - trimmed.len() + head.len() + 1))
}

impl<F: Fn(&str) -> Result<Datum>> Reader<'_, F> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_whitespace() || c == '\x0b') {
            self.at += 1;
        }
    }

    fn level(&mut self, depth: usize) -> Result<()> {
        if depth >= MAX_DIMENSIONS {
            return Err(Report::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("number of array dimensions exceeds the maximum allowed ({MAX_DIMENSIONS})"),
            ));
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        self.at += 1;
        let mut count = 0;
        self.skip_space();
        if self.peek() == Some('}') {
            self.at += 1;
            return self.close(depth, 0);
        }
        loop {
            self.skip_space();
            match self.peek() {
                Some('{') => self.level(depth + 1)?,
                _ => self.element(depth)?,
            }
            count += 1;
            self.skip_space();
            match self.peek() {
                Some(',') => self.at += 1,
                Some('}') => {
                    self.at += 1;
                    return self.close(depth, count);
                }
                None => return Err(malformed(self.text, "Unexpected end of input.")),
                Some(c) => return Err(malformed(self.text, &format!("Unexpected \"{c}\" character."))),
            }
        }
    }

    fn close(&mut self, depth: usize, count: i32) -> Result<()> {
        match self.lengths[depth] {
            Some(length) if length != count => Err(self.ragged()),
            _ => {
                self.lengths[depth] = Some(count);
                Ok(())
            }
        }
    }

    fn ragged(&self) -> Box<Report> {
        malformed(self.text, "Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    fn element(&mut self, depth: usize) -> Result<()> {
        if self.lengths.len() != depth + 1 {
            return Err(self.ragged());
        }
        let (text, quoted) = self.item_text()?;
        if text.is_empty() && !quoted {
            let c = self.peek().unwrap_or('}');
            return Err(malformed(self.text, &format!("Unexpected \"{c}\" character.")));
        }
        let datum =
            if !quoted && text.eq_ignore_ascii_case("null") { Datum::Null } else { (self.item)(&text)? };
        self.items.push(datum);
        Ok(())
    }

    fn item_text(&mut self) -> Result<(String, bool)> {
        let mut out = String::new();
        let quoted = self.peek() == Some('"');
        self.at += usize::from(quoted);
        let mut kept = 0;
        while let Some(c) = self.peek() {
            if quoted && c == '"' {
                self.at += 1;
                return Ok((out, true));
            }
            if !quoted && matches!(c, ',' | '}' | '{' | '"') {
                break;
            }
            self.at += c.len_utf8();
            if c == '\\' {
                let Some(escaped) = self.peek() else { break };
                self.at += escaped.len_utf8();
                out.push(escaped);
                kept = out.len();
                continue;
            }
            out.push(c);
            if !c.is_ascii_whitespace() {
                kept = out.len();
            }
        }
        if quoted {
            return Err(malformed(self.text, "Unexpected end of input."));
        }
        out.truncate(kept);
        Ok((out, false))
    }
}
