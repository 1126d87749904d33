//! `format(…)`.

use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::integers::whole;
use super::strings::text;
use super::strings_more::{joined_text, quote_ident, quote_literal_text};
use super::{Call, Function, function};

fn bad(message: impl Into<String>) -> Box<Report> {
    Report::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// What stands between `%` and its letter.
#[derive(Default)]
struct Spec {
    position: Option<usize>,
    left: bool,
    width: Width,
}

#[derive(Default)]
enum Width {
    #[default]
    None,
    Fixed(i64),
    Argument(Option<usize>),
}

struct Reader<'a> {
    rest: &'a str,
    next: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Result<Option<usize>> {
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 {
            return Ok(None);
        }
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        let number = digits
            .parse::<i32>()
            .map_err(|_| Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range"))?;
        Ok(Some(number as usize))
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn spec(&mut self) -> Result<Spec> {
        let mut spec = Spec::default();
        if let Some(number) = self.number()? {
            if !self.take('$') {
                spec.width = Width::Fixed(number as i64);
                return Ok(spec);
            }
            if number == 0 {
                return Err(bad("format specifies argument 0, but arguments are numbered from 1"));
            }
            spec.position = Some(number);
        }
        while self.take('-') {
            spec.left = true;
        }
        if self.take('*') {
            let number = self.number()?;
            if number.is_some() && !self.take('$') {
                return Err(bad("width argument position must be ended by \"$\""));
            }
            spec.width = Width::Argument(number);
        } else if let Some(number) = self.number()? {
            spec.width = Width::Fixed(number as i64);
        }
        Ok(spec)
    }

    fn argument(&mut self, position: Option<usize>, count: usize) -> Result<usize> {
        let index = position.unwrap_or(self.next);
        self.next = index + 1;
        if index >= count {
            return Err(bad("too few arguments for format()"));
        }
        Ok(index)
    }
}

fn format(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let mut reader = Reader { rest: text(&args[0]), next: 1 };
    let mut out = String::new();
    while let Some(at) = reader.rest.find('%') {
        out.push_str(&reader.rest[..at]);
        reader.rest = &reader.rest[at + 1..];
        if reader.take('%') {
            out.push('%');
            continue;
        }
        conversion(call, args, &mut reader, &mut out)?;
    }
    out.push_str(reader.rest);
    Ok(Datum::text(out))
}

fn conversion(
    call: &mut Call<'_, '_>,
    args: &[Datum],
    reader: &mut Reader<'_>,
    out: &mut String,
) -> Result<()> {
    let unterminated =
        || bad("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".");
    let spec = reader.spec()?;
    let width = match spec.width {
        Width::None => 0,
        Width::Fixed(width) => width,
        Width::Argument(position) => {
            let index = reader.argument(position, args.len())?;
            whole(&args[index])
        }
    };
    let kind = reader.rest.chars().next().ok_or_else(unterminated)?;
    reader.rest = &reader.rest[kind.len_utf8()..];
    if !matches!(kind, 's' | 'I' | 'L') {
        return Err(bad(format!("unrecognized format() type specifier \"{kind}\""))
            .with_hint("For a single \"%\" use \"%%\"."));
    }
    let index = reader.argument(spec.position, args.len())?;
    let value = match (kind, args[index].is_null()) {
        ('I', true) => {
            return Err(Report::error(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null values cannot be formatted as an SQL identifier",
            ));
        }
        ('L', true) => "NULL".to_owned(),
        ('I', false) => quote_ident(&joined_text(call, args, index)),
        ('L', false) => quote_literal_text(&joined_text(call, args, index)),
        _ => joined_text(call, args, index),
    };
    let missing = (width.unsigned_abs() as usize).saturating_sub(value.chars().count());
    if missing > super::strings::MAX_BYTES {
        return Err(super::strings::too_long());
    }
    let fill = " ".repeat(missing);
    out.push_str(&if spec.left || width < 0 { value + &fill } else { fill + &value });
    Ok(())
}

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("format", 3539, &[Type::TEXT, Type::ANY], Type::TEXT, format).lax().stable().variadic(),
    function("format", 3540, &[Type::TEXT], Type::TEXT, format).lax().stable(),
];
