//! Casts: what converting a value from one type to another does.

use crate::report::{Report, Result, SqlState};
use crate::sql::execute::Context;
use crate::sql::types::calendar::{DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MINUS_INFINITY};
use crate::sql::types::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, civil_of_micros};
use crate::sql::types::output::text_of;
use crate::sql::types::{Array, Datum, Interval, Numeric, Type, input};

use super::arithmetic::{float, numeric};
use super::integers::{out_of_range, sized, whole};
use super::{Call, Function, function};

/// The value as one of another type. The cast is known to exist.
pub fn convert(value: Datum, from: Type, to: Type, _explicit: bool, ctx: &mut Context<'_>) -> Result<Datum> {
    if value.is_null() {
        return Ok(Datum::Null);
    }
    if let (Datum::Array(array), Some(element)) = (&value, to.element()) {
        return convert_array(array, element, ctx);
    }
    match (from.category(), to.category()) {
        (b'N', b'N') => return convert_number(value, from, to),
        (b'S', b'S') => return convert_string(value, from, to),
        _ => {}
    }
    match (from, to) {
        (Type::REGCLASS | Type::REGNAMESPACE | Type::REGROLE | Type::REGPROC, _) if to.category() == b'S' => {
            let oid = if let Datum::Oid(oid) = value { oid } else { 0 };
            super::catalog::object_name(oid, from, ctx).map(Datum::text)
        }
        (_, Type::REGCLASS) if from.category() == b'S' => match &value {
            Datum::Text(text) => super::catalog::class_oid(text, ctx).map(Datum::Oid),
            _ => Ok(Datum::Null),
        },
        (Type::BOOL, Type::INT4) => Ok(Datum::Int4(i32::from(value == Datum::Bool(true)))),
        (Type::INT4, Type::BOOL) => Ok(Datum::Bool(whole(&value) != 0)),
        (Type::INT4, Type::CHAR) => char_of(whole(&value)),
        (Type::CHAR, Type::INT4) => {
            Ok(Datum::Int4(if let Datum::Char(byte) = value { i32::from(byte as i8) } else { 0 }))
        }
        (Type::INT2 | Type::INT4 | Type::INT8, Type::BYTEA) => Ok(bytes_of(&value)),
        (Type::BYTEA, Type::INT2 | Type::INT4 | Type::INT8) => number_of(&value, to),
        (Type::XID8, Type::XID) => Ok(Datum::Oid(if let Datum::U64(xid) = value { xid as u32 } else { 0 })),
        (Type::BOOL, _) if to.category() == b'S' => {
            Ok(Datum::text(if value == Datum::Bool(true) { "true" } else { "false" }))
        }
        (Type::INET, _) if to.category() == b'S' => Ok(Datum::text(inet_text(&value))),
        (Type::DATE | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL, _)
            if is_time(to) =>
        {
            convert_time(value, to, ctx)
        }
        (Type::JSONB, _) if matches!(to.category(), b'N' | b'B') => convert_json(&value, to, ctx),
        _ => through_text(&value, from, to, ctx),
    }
}

fn is_time(ty: Type) -> bool {
    matches!(ty, Type::DATE | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::INTERVAL)
}

fn through_text(value: &Datum, from: Type, to: Type, ctx: &Context<'_>) -> Result<Datum> {
    let text = text_of(value, from, &ctx.formats);
    input::parse(&text, to, &ctx.formats, ctx.times.transaction)
}

fn convert_array(array: &Array, element: Type, ctx: &mut Context<'_>) -> Result<Datum> {
    let mut items = Vec::with_capacity(array.items.len());
    for item in &array.items {
        items.push(match array.element == element {
            true => item.clone(),
            false => convert(item.clone(), array.element, element, true, ctx)?,
        });
    }
    let dimensions = array.dimensions.clone();
    Ok(Datum::Array(std::sync::Arc::new(Array { element, dimensions, items })))
}

fn convert_number(value: Datum, from: Type, to: Type) -> Result<Datum> {
    match (&value, to) {
        (_, Type::NUMERIC) => Ok(Datum::numeric(match value {
            Datum::Float4(value) => Numeric::from_float(f64::from(value), 6),
            Datum::Float8(value) => Numeric::from_float(value, 15),
            other => numeric(&other),
        })),
        (Datum::Numeric(number), Type::FLOAT8) => Ok(Datum::Float8(number.to_f64())),
        (Datum::Numeric(number), Type::FLOAT4) => narrow(number.to_f64()),
        (Datum::Numeric(number), _) => match &**number {
            Numeric::NaN => Err(Report::not_supported(format!("cannot convert NaN to {to}"))),
            Numeric::Infinity | Numeric::MinusInfinity => {
                Err(Report::not_supported(format!("cannot convert infinity to {to}")))
            }
            number => whole_of(number.to_i64().map(i128::from), to),
        },
        (Datum::Float4(_) | Datum::Float8(_), Type::FLOAT8) => Ok(Datum::Float8(float(&value))),
        (Datum::Float4(_) | Datum::Float8(_), Type::FLOAT4) => narrow(float(&value)),
        (Datum::Float4(_) | Datum::Float8(_), _) => {
            let rounded = float(&value).round_ties_even();
            whole_of((rounded.abs() < 1e19).then_some(rounded as i128), to)
        }
        (_, Type::FLOAT8) => Ok(Datum::Float8(whole(&value) as f64)),
        (_, Type::FLOAT4) => Ok(Datum::Float4(whole(&value) as f32)),
        (_, Type::INT2 | Type::INT4 | Type::INT8) if from == Type::OID && to == Type::INT4 => {
            Ok(Datum::Int4(whole(&value) as i32))
        }
        _ => whole_of(Some(i128::from(whole(&value))), to),
    }
}

fn narrow(value: f64) -> Result<Datum> {
    super::arithmetic::float_result(value, Type::FLOAT4, &[value], value == 0.0)
}

fn whole_of(value: Option<i128>, to: Type) -> Result<Datum> {
    match to {
        Type::INT2 | Type::INT4 | Type::INT8 => {
            value.map_or_else(|| Err(out_of_range(to)), |value| sized(value, to))
        }
        // Negative integers wrap into OIDs.
        _ => match value {
            Some(value) if (i128::from(i32::MIN)..=i128::from(u32::MAX)).contains(&value) => {
                Ok(Datum::Oid(value as u32))
            }
            _ => Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range")),
        },
    }
}

fn convert_string(value: Datum, from: Type, to: Type) -> Result<Datum> {
    let Datum::Text(text) = &value else {
        return Ok(value);
    };
    Ok(match (from, to) {
        (_, Type::NAME) => Datum::text(input::truncate_name(text)),
        (Type::BPCHAR, _) => Datum::text(text.trim_end_matches(' ')),
        _ => value,
    })
}

fn char_of(value: i64) -> Result<Datum> {
    let byte = i8::try_from(value)
        .map_err(|_| Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range"))?;
    Ok(Datum::Char(byte as u8))
}

fn bytes_of(value: &Datum) -> Datum {
    Datum::Bytea(match value {
        Datum::Int2(value) => value.to_be_bytes().to_vec().into(),
        Datum::Int4(value) => value.to_be_bytes().to_vec().into(),
        other => whole(other).to_be_bytes().to_vec().into(),
    })
}

fn number_of(value: &Datum, to: Type) -> Result<Datum> {
    let Datum::Bytea(bytes) = value else {
        return Ok(Datum::Null);
    };
    if bytes.len() > to.len() as usize {
        return Err(out_of_range(to));
    }
    let number = bytes.iter().fold(0i64, |number, byte| number << 8 | i64::from(*byte));
    Ok(match to {
        Type::INT2 => Datum::Int2(number as i16),
        Type::INT4 => Datum::Int4(number as i32),
        _ => Datum::Int8(number),
    })
}

/// As text an address always shows its prefix length.
fn inet_text(value: &Datum) -> String {
    let Datum::Text(text) = value else {
        return String::new();
    };
    if text.contains('/') {
        return text.to_string();
    }
    format!("{text}/{}", if text.contains(':') { 128 } else { 32 })
}

fn convert_json(value: &Datum, to: Type, ctx: &Context<'_>) -> Result<Datum> {
    let Datum::Text(text) = value else {
        return Ok(Datum::Null);
    };
    let kind = match text.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => return Ok(Datum::Null),
        _ => "numeric",
    };
    if (kind == "boolean") != (to == Type::BOOL) || matches!(kind, "object" | "array" | "string") {
        return Err(Report::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("cannot cast jsonb {kind} to type {to}"),
        ));
    }
    if to == Type::BOOL {
        return input::parse(text, to, &ctx.formats, 0);
    }
    convert_number(Datum::numeric(input::numeric(text)?), Type::NUMERIC, to)
}

/// Dates and times into each other.
pub fn convert_time(value: Datum, to: Type, ctx: &Context<'_>) -> Result<Datum> {
    let zone = &ctx.formats.zone;
    let infinite = |micros: i64| micros == INFINITY || micros == MINUS_INFINITY;
    let local = match &value {
        Datum::Date(DATE_INFINITY) => INFINITY,
        Datum::Date(DATE_MINUS_INFINITY) => MINUS_INFINITY,
        Datum::Date(days) => i64::from(*days).checked_mul(MICROS_PER_DAY).ok_or_else(|| {
            Report::error(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")
        })?,
        Datum::Timestamp(micros) => *micros,
        Datum::Timestamptz(micros) if infinite(*micros) => *micros,
        Datum::Timestamptz(micros) => micros + i64::from(zone.at_instant(*micros).0) * MICROS_PER_SECOND,
        Datum::Time(micros) if to == Type::INTERVAL => {
            return Ok(Datum::Interval(Interval { micros: *micros, ..Interval::default() }));
        }
        Datum::Interval(interval) if to == Type::TIME => {
            return Ok(Datum::Time(interval.micros.rem_euclid(MICROS_PER_DAY)));
        }
        _ => return Ok(value),
    };
    Ok(match to {
        Type::DATE if local == INFINITY => Datum::Date(DATE_INFINITY),
        Type::DATE if local == MINUS_INFINITY => Datum::Date(DATE_MINUS_INFINITY),
        Type::DATE => Datum::Date(local.div_euclid(MICROS_PER_DAY) as i32),
        Type::TIME if infinite(local) => Datum::Null,
        Type::TIME => Datum::Time(civil_of_micros(local).micros),
        Type::TIMESTAMP => Datum::Timestamp(local),
        _ if infinite(local) => Datum::Timestamptz(local),
        _ => Datum::Timestamptz(local - i64::from(zone.at_local(local)) * MICROS_PER_SECOND),
    })
}

/// The value with its type's length or precision enforced.
pub fn apply_typmod(value: Datum, ty: Type, typmod: i32, explicit: bool) -> Result<Datum> {
    match (&value, ty) {
        (Datum::Array(array), _) => {
            let items =
                array.items.iter().map(|item| apply_typmod(item.clone(), array.element, typmod, explicit));
            let items = items.collect::<Result<_>>()?;
            let (element, dimensions) = (array.element, array.dimensions.clone());
            Ok(Datum::Array(std::sync::Arc::new(Array { element, dimensions, items })))
        }
        (Datum::Text(text), Type::VARCHAR | Type::BPCHAR) => {
            fit_text(text, ty, (typmod - 4).max(0) as usize, explicit)
        }
        (Datum::Numeric(number), Type::NUMERIC) => fit_numeric(number, typmod - 4),
        (Datum::Time(micros), _) => Ok(Datum::Time(round_micros(*micros, typmod))),
        (Datum::Timestamp(micros), _) => Ok(Datum::Timestamp(round_micros(*micros, typmod))),
        (Datum::Timestamptz(micros), _) => Ok(Datum::Timestamptz(round_micros(*micros, typmod))),
        (Datum::Interval(interval), _) => {
            Ok(Datum::Interval(Interval { micros: round_micros(interval.micros, typmod), ..*interval }))
        }
        _ => Ok(value),
    }
}

fn round_micros(micros: i64, precision: i32) -> i64 {
    if micros == INFINITY || micros == MINUS_INFINITY || !(0..6).contains(&precision) {
        return micros;
    }
    let unit = 10i64.pow(6 - precision as u32);
    let half = if micros < 0 { -unit / 2 } else { unit / 2 };
    micros.saturating_add(half) / unit * unit
}

fn fit_text(text: &str, ty: Type, length: usize, explicit: bool) -> Result<Datum> {
    let count = text.chars().count();
    if count > length {
        let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
        // A cast cuts silently, and so do spaces.
        if !explicit && text[end..].contains(|c| c != ' ') {
            let message = format!("value too long for type {ty}({length})");
            return Err(Report::error(SqlState::STRING_DATA_RIGHT_TRUNCATION, message));
        }
        return Ok(Datum::text(&text[..end]));
    }
    Ok(Datum::text(if ty == Type::BPCHAR {
        format!("{text}{}", " ".repeat(length - count))
    } else {
        text.to_owned()
    }))
}

fn fit_numeric(number: &Numeric, typmod: i32) -> Result<Datum> {
    use crate::report::ReportExt;
    let precision = (typmod >> 16) & 0xFFFF;
    // Eleven bits, of which the highest is the sign.
    let scale = ((typmod & 0x7FF) ^ 0x400) - 0x400;
    let rounded = number.round(i64::from(scale));
    let limit = Numeric::Finite {
        digits: crate::sql::types::numeric::ten_to((precision - scale).max(0) as u32),
        scale: 0,
    };
    let fits = match &rounded {
        Numeric::Finite { .. } => rounded.abs().compare(&limit).is_lt(),
        Numeric::NaN => true,
        _ => false,
    };
    if fits {
        return Ok(Datum::numeric(rounded));
    }
    let whole = precision - scale;
    let bound = if whole == 0 { "1".to_owned() } else { format!("10^{whole}") };
    Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(match rounded {
        Numeric::Finite { .. } => format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
        ),
        _ => format!("A field with precision {precision}, scale {scale} cannot hold an infinite value."),
    }))
}

fn cast_of(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let from = call.arg_types[0];
    convert(args[0].clone(), from, call.result, true, call.ctx)
}

/// The casts that are also functions by name.
pub const FUNCTIONS: &[Function] = &[
    function("int2", 238, &[Type::FLOAT4], Type::INT2, cast_of),
    function("int2", 314, &[Type::INT4], Type::INT2, cast_of),
    function("int2", 714, &[Type::INT8], Type::INT2, cast_of),
    function("int4", 317, &[Type::FLOAT8], Type::INT4, cast_of),
    function("int4", 480, &[Type::INT8], Type::INT4, cast_of),
    function("int4", 1744, &[Type::NUMERIC], Type::INT4, cast_of),
    function("int8", 481, &[Type::INT4], Type::INT8, cast_of),
    function("int8", 483, &[Type::FLOAT8], Type::INT8, cast_of),
    function("int8", 1779, &[Type::NUMERIC], Type::INT8, cast_of),
    function("float8", 316, &[Type::INT4], Type::FLOAT8, cast_of),
    function("float8", 482, &[Type::INT8], Type::FLOAT8, cast_of),
    function("float8", 1746, &[Type::NUMERIC], Type::FLOAT8, cast_of),
    function("numeric", 1740, &[Type::INT4], Type::NUMERIC, cast_of),
    function("numeric", 1743, &[Type::FLOAT8], Type::NUMERIC, cast_of),
    function("numeric", 1781, &[Type::INT8], Type::NUMERIC, cast_of),
    function("text", 2971, &[Type::BOOL], Type::TEXT, cast_of),
    function("text", 730, &[Type::INET], Type::TEXT, cast_of),
];
