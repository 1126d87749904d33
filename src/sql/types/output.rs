//! Values as text.

use std::fmt::Write as _;

use super::datetime_out::{date_text, time_text, timestamp_text, timestamptz_text};
use super::{Array, Datum, Formats, Type, interval};

/// Appends a value's text to `out`; nothing for NULL and `void`.
pub fn write_text(datum: &Datum, ty: Type, formats: &Formats, out: &mut String) {
    match datum {
        Datum::Null | Datum::Void => {}
        Datum::Bool(value) => out.push(if *value { 't' } else { 'f' }),
        Datum::Int2(value) => number(out, i64::from(*value)),
        Datum::Int4(value) => number(out, i64::from(*value)),
        Datum::Int8(value) => number(out, *value),
        Datum::Float4(value) => out.push_str(&float4_text(*value, formats.extra_float_digits)),
        Datum::Float8(value) => out.push_str(&float8_text(*value, formats.extra_float_digits)),
        Datum::Numeric(value) => _ = write!(out, "{value}"),
        Datum::Text(text) => out.push_str(text),
        Datum::Char(byte) => char_text(*byte, out),
        Datum::Bytea(bytes) => bytea_text(bytes, formats.bytea_escape, out),
        Datum::Oid(oid) if ty == Type::REGTYPE => out.push_str(&regtype_text(*oid)),
        Datum::Oid(oid) => number(out, i64::from(*oid)),
        Datum::U64(value) if ty == Type::PG_LSN => {
            _ = write!(out, "{:X}/{:X}", value >> 32, value & 0xFFFF_FFFF)
        }
        Datum::U64(value) => _ = write!(out, "{value}"),
        Datum::Tid(block, line) => _ = write!(out, "({block},{line})"),
        Datum::Date(days) => date_text(*days, formats, out),
        Datum::Time(micros) => time_text(*micros, out),
        Datum::Timestamp(micros) => timestamp_text(*micros, formats, out),
        Datum::Timestamptz(micros) => timestamptz_text(*micros, formats, out),
        Datum::Interval(value) => interval::write(value, formats.interval_style, out),
        Datum::Uuid(bytes) => uuid_text(bytes, out),
        Datum::Array(array) if matches!(ty, Type::INT2VECTOR | Type::OIDVECTOR) => vector_text(array, out),
        Datum::Array(array) => array_text(array, formats, out),
        Datum::Record(fields) => record_text(fields, formats, out),
    }
}

/// A value's text.
pub fn text_of(datum: &Datum, ty: Type, formats: &Formats) -> String {
    let mut out = String::new();
    write_text(datum, ty, formats, &mut out);
    out
}

/// `int2vector` and `oidvector`: items with spaces between them.
fn vector_text(array: &Array, out: &mut String) {
    for (at, item) in array.items.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        write_text(item, array.element, &Formats::default(), out);
    }
}

fn number(out: &mut String, value: i64) {
    _ = write!(out, "{value}");
}

fn regtype_text(oid: u32) -> String {
    match Type::from_oid(oid) {
        Some(ty) => ty.sql_name(),
        None if oid == 0 => "-".to_owned(),
        None => oid.to_string(),
    }
}

fn char_text(byte: u8, out: &mut String) {
    match byte {
        0 => {}
        1..=127 => out.push(char::from(byte)),
        _ => _ = write!(out, "\\{byte:03o}"),
    }
}

fn bytea_text(bytes: &[u8], escape: bool, out: &mut String) {
    if !escape {
        out.push_str("\\x");
        out.push_str(&hex(bytes));
        return;
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7E => out.push(char::from(byte)),
            _ => _ = write!(out, "\\{byte:03o}"),
        }
    }
}

/// Two lower-case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        _ = write!(out, "{byte:02x}");
    }
    out
}

fn uuid_text(bytes: &[u8; 16], out: &mut String) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        _ = write!(out, "{byte:02x}");
    }
}

/// `real` as text.
pub fn float4_text(value: f32, extra_digits: i32) -> String {
    if let Some(text) = special_float(f64::from(value)) {
        return text.to_owned();
    }
    if extra_digits > 0 {
        return shortest(&format!("{value:e}"), 6);
    }
    float_with_digits(f64::from(value), (6 + extra_digits).max(1) as usize)
}

/// `double precision` as text.
pub fn float8_text(value: f64, extra_digits: i32) -> String {
    if let Some(text) = special_float(value) {
        return text.to_owned();
    }
    if extra_digits > 0 {
        return shortest(&format!("{value:e}"), 15);
    }
    float_with_digits(value, (15 + extra_digits).max(1) as usize)
}

fn special_float(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        return Some("NaN");
    }
    value.is_infinite().then_some(if value > 0.0 { "Infinity" } else { "-Infinity" })
}

/// Like C's `%.*g`.
pub fn float_with_digits(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    shortest(&format!("{mantissa}e{exponent}"), digits as i32)
}

/// `d.ddde±x` without an exponent where that is below `limit` and not far below zero, else with two digits of it.
fn shortest(scientific: &str, limit: i32) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    if exponent < -4 || exponent >= limit {
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs());
    }
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

fn array_text(array: &Array, formats: &Formats, out: &mut String) {
    if array.dimensions.is_empty() {
        out.push_str("{}");
        return;
    }
    if array.dimensions.iter().any(|&(_, lower)| lower != 1) {
        for (length, lower) in &array.dimensions {
            _ = write!(out, "[{lower}:{}]", lower + length - 1);
        }
        out.push('=');
    }
    let mut items = array.items.iter();
    array_level(array, &array.dimensions, &mut items, formats, out);
}

fn array_level(
    array: &Array,
    dimensions: &[(i32, i32)],
    items: &mut std::slice::Iter<'_, Datum>,
    formats: &Formats,
    out: &mut String,
) {
    out.push('{');
    for index in 0..dimensions[0].0 {
        if index > 0 {
            out.push(',');
        }
        if dimensions.len() > 1 {
            array_level(array, &dimensions[1..], items, formats, out);
        } else if let Some(item) = items.next() {
            array_item(item, array.element, formats, out);
        }
    }
    out.push('}');
}

fn array_item(item: &Datum, element: Type, formats: &Formats, out: &mut String) {
    if item.is_null() {
        out.push_str("NULL");
        return;
    }
    let text = text_of(item, element, formats);
    let special =
        |c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || c.is_ascii_whitespace() || c == '\x0b';
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        out.push_str(&text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn record_text(fields: &[(Type, Datum)], formats: &Formats, out: &mut String) {
    out.push('(');
    for (index, (ty, field)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if field.is_null() {
            continue;
        }
        let text = text_of(field, *ty, formats);
        let special =
            |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_ascii_whitespace() || c == '\x0b';
        if !text.is_empty() && !text.contains(special) {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_short_as_they_can() {
        for (value, text) in [
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float8_text(value, 1), text);
        }
        assert_eq!(float8_text(0.1 + 0.2, 1), "0.30000000000000004");
        assert_eq!(float8_text(0.1 + 0.2, 0), "0.3");
        assert_eq!(float4_text(1e6, 1), "1e+06");
        assert_eq!(float4_text(0.1, 1), "0.1");
    }

    #[test]
    fn array_items_are_quoted_where_they_must() {
        let items = ["a", "", "NULL", "b c", "d\"e", "f,g"].map(Datum::text).to_vec();
        let array = Datum::array(Type::TEXT, items);
        let text = text_of(&array, Type::TEXT.array().unwrap(), &Formats::default());
        assert_eq!(text, r#"{a,"","NULL","b c","d\"e","f,g"}"#);
    }
}
