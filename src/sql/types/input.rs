//! Values from text, with PostgreSQL's errors.

use std::sync::Arc;

use crate::report::{Report, ReportExt, Result, SqlState};

use super::datetime_in::{self, DateError};
use super::interval::IntervalError;
use super::lexical::IntegerError;
use super::numeric::NumericError;
use super::{Array, Datum, Formats, Numeric, Type, interval, json, lexical};

/// Reads a value of a type; `now` is the transaction's start, for `'now'` and its kin.
pub fn parse(text: &str, ty: Type, formats: &Formats, now: i64) -> Result<Datum> {
    if let Some(element) = ty.element() {
        return array(text, element, formats, now).map(|array| Datum::Array(Arc::new(array)));
    }
    Ok(match ty {
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::UNKNOWN | Type::CSTRING => Datum::text(text),
        Type::NAME => Datum::text(truncate_name(text)),
        Type::BOOL => Datum::Bool(boolean(text).ok_or_else(|| bad_syntax("boolean", text))?),
        Type::INT2 => Datum::Int2(integer(text, "smallint")?),
        Type::INT4 => Datum::Int4(integer(text, "integer")?),
        Type::INT8 => Datum::Int8(integer(text, "bigint")?),
        Type::OID => Datum::Oid(oid(text, "oid")?),
        Type::XID => Datum::Oid(oid(text, "xid")?),
        Type::CID => Datum::Oid(oid(text, "cid")?),
        Type::TID => tid(text).ok_or_else(|| bad_syntax("tid", text))?,
        Type::INT2VECTOR => vector(text, Type::INT2, formats)?,
        Type::OIDVECTOR => vector(text, Type::OID, formats)?,
        Type::XID8 => Datum::U64(integer::<i128>(text, "xid8")? as u64),
        Type::FLOAT4 => Datum::Float4(float4(text)?),
        Type::FLOAT8 => Datum::Float8(float8(text, "double precision")?),
        Type::NUMERIC => Datum::numeric(numeric(text)?),
        Type::CHAR => Datum::Char(char_byte(text)),
        Type::BYTEA => Datum::Bytea(bytea(text)?.into()),
        Type::UUID => Datum::Uuid(uuid(text).ok_or_else(|| bad_syntax("uuid", text))?),
        Type::PG_LSN => Datum::U64(lsn(text).ok_or_else(|| bad_syntax("pg_lsn", text))?),
        Type::INET => Datum::text(super::inet::parse(text).ok_or_else(|| bad_syntax("inet", text))?),
        Type::JSON => Datum::text(json_value(text).map(|_| text)?),
        Type::JSONB => {
            let mut out = String::new();
            json::normal(&json_value(text)?, &mut out);
            Datum::text(out)
        }
        Type::REGTYPE => Datum::Oid(regtype(text)?),
        Type::REGCLASS => Datum::Oid(regclass(text)?),
        Type::VOID => Datum::Void,
        _ => return parse_time(text, ty, formats, now),
    })
}

/// `(block,line)`.
fn tid(text: &str) -> Option<Datum> {
    let (block, line) = text.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some(Datum::Tid(block.trim().parse().ok()?, line.trim().parse().ok()?))
}

/// `int2vector` and `oidvector`: items with spaces between them, counted from 0.
fn vector(text: &str, element: Type, formats: &Formats) -> Result<Datum> {
    let items = text.split_ascii_whitespace().map(|item| parse(item, element, formats, 0));
    let items: Vec<Datum> = items.collect::<Result<_>>()?;
    let dimensions = vec![(items.len() as i32, 0)];
    Ok(Datum::Array(Arc::new(Array { element, dimensions, items })))
}

fn parse_time(text: &str, ty: Type, formats: &Formats, now: i64) -> Result<Datum> {
    let read = match ty {
        Type::DATE => datetime_in::date(text, formats, now).map(Datum::Date),
        Type::TIME => datetime_in::time(text, formats, now).map(Datum::Time),
        Type::TIMESTAMP => datetime_in::timestamp(text, formats, now).map(Datum::Timestamp),
        Type::TIMESTAMPTZ => datetime_in::timestamptz(text, formats, now).map(Datum::Timestamptz),
        Type::INTERVAL => {
            return interval::parse(text).map(Datum::Interval).map_err(|error| match error {
                IntervalError::Syntax => datetime_syntax("interval", text),
                IntervalError::Field => Report::error(
                    SqlState::INTERVAL_FIELD_OVERFLOW,
                    format!("interval field value out of range: \"{text}\""),
                ),
            });
        }
        _ => {
            return Err(Report::not_supported(match ty {
                Type::RECORD => "input of anonymous composite types is not implemented".to_owned(),
                _ => format!("cannot accept a value of type {}", ty.name()),
            }));
        }
    };
    read.map_err(|error| date_error(error, ty, text))
}

/// The report of a date that could not be read.
pub fn date_error(error: DateError, ty: Type, text: &str) -> Box<Report> {
    let name = ty.sql_name();
    let field = || {
        Report::error(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        )
    };
    match error {
        DateError::Syntax => datetime_syntax(&name, text),
        DateError::Field => field(),
        DateError::FieldOrder => field().with_hint("Perhaps you need a different \"DateStyle\" setting."),
        DateError::Range => {
            let kind = if ty == Type::DATE { "date" } else { "timestamp" };
            Report::error(SqlState::DATETIME_FIELD_OVERFLOW, format!("{kind} out of range: \"{text}\""))
        }
        DateError::Zone => {
            let zone = text.split_ascii_whitespace().last().unwrap_or(text);
            Report::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("time zone \"{}\" not recognized", zone.to_ascii_lowercase()),
            )
        }
    }
}

fn datetime_syntax(name: &str, text: &str) -> Box<Report> {
    Report::error(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("invalid input syntax for type {name}: \"{text}\""),
    )
}

fn bad_syntax(name: &str, text: &str) -> Box<Report> {
    Report::error(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {name}: \"{text}\""),
    )
}

fn out_of_range(name: &str, text: &str) -> Box<Report> {
    Report::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {name}"),
    )
}

fn integer<T: TryFrom<i128>>(text: &str, name: &str) -> Result<T> {
    let value = lexical::integer(text).map_err(|error| match error {
        IntegerError::Syntax => bad_syntax(name, text),
        IntegerError::Range => out_of_range(name, text),
    })?;
    T::try_from(value).map_err(|_| out_of_range(name, text))
}

/// Negative numbers wrap, as in PostgreSQL.
fn oid(text: &str, name: &str) -> Result<u32> {
    let value: i64 = integer(text, name)?;
    if value < -i64::from(i32::MAX) - 1 || value > i64::from(u32::MAX) {
        return Err(out_of_range(name, text));
    }
    Ok(value as u32)
}

/// `numeric` from text.
pub fn numeric(text: &str) -> Result<Numeric> {
    text.parse().map_err(|error| match error {
        NumericError::Syntax => bad_syntax("numeric", text),
        _ => Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"),
    })
}

fn float8(text: &str, name: &str) -> Result<f64> {
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let value: f64 = trimmed.parse().map_err(|_| bad_syntax(name, text))?;
    let digits = trimmed.bytes().take_while(|c| !matches!(c, b'e' | b'E'));
    let lost = value == 0.0 && digits.clone().any(|c| matches!(c, b'1'..=b'9'));
    if lost || (value.is_infinite() && digits.clone().any(|c| c.is_ascii_digit())) {
        return Err(Report::error(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{trimmed}\" is out of range for type {name}"),
        ));
    }
    Ok(value)
}

fn float4(text: &str) -> Result<f32> {
    let wide = float8(text, "real")?;
    let value: f32 = text.trim().parse().unwrap_or(wide as f32);
    if (value.is_infinite() && wide.is_finite()) || (value == 0.0 && wide != 0.0) {
        return Err(Report::error(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{}\" is out of range for type real", text.trim()),
        ));
    }
    Ok(value)
}

/// A boolean's name or the beginning of one that says which.
pub fn boolean(text: &str) -> Option<bool> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace()).to_ascii_lowercase();
    let starts = |word: &str, shortest: usize| text.len() >= shortest && word.starts_with(&text);
    if text == "1" || text == "on" || starts("true", 1) || starts("yes", 1) {
        return Some(true);
    }
    (text == "0" || starts("off", 2) || starts("false", 1) || starts("no", 1)).then_some(false)
}

/// Names have at most 63 bytes; the rest is dropped at a character's boundary.
pub fn truncate_name(name: &str) -> &str {
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn char_byte(text: &str) -> u8 {
    let bytes = text.as_bytes();
    if let [b'\\', digits @ ..] = bytes
        && digits.len() == 3
        && digits.iter().all(|c| (b'0'..=b'7').contains(c))
    {
        return digits.iter().fold(0u8, |byte, c| byte.wrapping_mul(8).wrapping_add(c - b'0'));
    }
    bytes.first().copied().unwrap_or(0)
}

fn bytea(text: &str) -> Result<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return hex_bytes(digits);
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\\', b'\\', ..] => {
                out.push(b'\\');
                at += 2;
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                at += 4;
            }
            [b'\\', ..] => {
                return Err(Report::error(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
            [byte, ..] => {
                out.push(*byte);
                at += 1;
            }
            [] => break,
        }
    }
    Ok(out)
}

/// Bytes from pairs of hexadecimal digits with spaces between them.
pub fn hex_bytes(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars().filter(|c| !c.is_ascii_whitespace());
    let invalid = |message: String| Report::error(SqlState::INVALID_PARAMETER_VALUE, message);
    while let Some(high) = chars.next() {
        let digit =
            |c: char| c.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")));
        let high = digit(high)?;
        let low = chars
            .next()
            .ok_or_else(|| invalid("invalid hexadecimal data: odd number of digits".to_owned()))?;
        out.push((high * 16 + digit(low)?) as u8);
    }
    Ok(out)
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let body = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut bytes = [0u8; 16];
    let mut digits = 0;
    for (at, c) in body.bytes().enumerate() {
        if c == b'-' {
            // Dashes may stand behind every fourth digit, but nowhere else.
            let behind_dash = at > 0 && body.as_bytes()[at - 1] == b'-';
            if digits % 4 != 0 || digits == 0 || digits >= 32 || behind_dash {
                return None;
            }
            continue;
        }
        let digit = char::from(c).to_digit(16)? as u8;
        *bytes.get_mut(digits / 2)? |= digit << if digits % 2 == 0 { 4 } else { 0 };
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

fn lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let part = |text: &str| {
        let fits = (1..=8).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_hexdigit());
        fits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
    };
    Some(part(high)? << 32 | part(low)?)
}

fn json_value(text: &str) -> Result<json::Json> {
    json::parse(text).map_err(|detail| {
        Report::error(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .with_detail(detail)
            .with_context(format!("JSON data, line 1: {text}"))
    })
}

fn regtype(text: &str) -> Result<u32> {
    if let Ok(oid) = text.parse::<u32>() {
        return Ok(oid);
    }
    if text == "-" {
        return Ok(0);
    }
    super::names::by_sql_name(text)
        .map(Type::oid)
        .ok_or_else(|| Report::error(SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist")))
}

fn regclass(text: &str) -> Result<u32> {
    text.parse::<u32>().map_err(|_| {
        let name = text.trim_matches('"');
        Report::error(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
    })
}

fn array(text: &str, element: Type, formats: &Formats, now: i64) -> Result<Array> {
    super::array_in::parse(text, |item| parse(item, element, formats, now)).map(|(dimensions, items)| Array {
        element,
        dimensions,
        items,
    })
}

#[cfg(test)]
mod tests {
    use super::super::output::text_of;
    use super::*;

    #[test]
    fn texts_become_values_and_come_back() {
        let formats = Formats::default();
        for (ty, text, printed) in [
            (Type::BOOL, " yes ", "t"),
            (Type::INT4, " -42 ", "-42"),
            (Type::INT8, "0xFF", "255"),
            (Type::FLOAT8, "1e3", "1000"),
            (Type::BYTEA, "\\x6869", "\\x6869"),
            (Type::BYTEA, "a\\\\b\\001", "\\x615c6201"),
            (Type::UUID, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (Type::PG_LSN, "16/B374D848", "16/B374D848"),
            (Type::CHAR, "abc", "a"),
            (Type::OID, "-1", "4294967295"),
            (Type::REGTYPE, "int4", "integer"),
            (Type::INT4.array().unwrap(), "{1, NULL,3}", "{1,NULL,3}"),
            (Type::INT4.array().unwrap(), "{{1,2},{3,4}}", "{{1,2},{3,4}}"),
            (Type::INT4.array().unwrap(), "[0:1]={1,2}", "[0:1]={1,2}"),
            (Type::TEXT.array().unwrap(), "{\"a b\",c}", "{\"a b\",c}"),
        ] {
            let datum = parse(text, ty, &formats, 0).unwrap();
            assert_eq!(text_of(&datum, ty, &formats), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused_in_postgresql_s_words() {
        for (ty, text, code, message) in [
            (Type::INT4, "x", "22P02", "invalid input syntax for type integer: \"x\""),
            (Type::INT4, "3000000000", "22003", "value \"3000000000\" is out of range for type integer"),
            (Type::INT2, "40000", "22003", "value \"40000\" is out of range for type smallint"),
            (Type::BOOL, "maybe", "22P02", "invalid input syntax for type boolean: \"maybe\""),
            (Type::FLOAT8, "1e400", "22003", "\"1e400\" is out of range for type double precision"),
            (Type::UUID, "x", "22P02", "invalid input syntax for type uuid: \"x\""),
            (Type::DATE, "x", "22007", "invalid input syntax for type date: \"x\""),
            (Type::DATE, "2024-02-30", "22008", "date/time field value out of range: \"2024-02-30\""),
            (Type::INTERVAL, "x", "22007", "invalid input syntax for type interval: \"x\""),
            (Type::REGTYPE, "x", "42704", "type \"x\" does not exist"),
            (Type::JSON, "x", "22P02", "invalid input syntax for type json"),
        ] {
            let error = parse(text, ty, &Formats::default(), 0).unwrap_err();
            assert_eq!((error.sqlstate.code(), error.message.as_str()), (code, message));
        }
    }
}
