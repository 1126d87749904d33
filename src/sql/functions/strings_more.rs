//! Texts: quoting, codes, joining.

pub use crate::config::quote_identifier as quote_ident;
use crate::report::{Report, Result, SqlState};
use crate::sql::types::output::text_of;
use crate::sql::types::{Datum, Type};

use super::integers::whole;
use super::strings::text;
use super::{Call, Function, function};

/// A text as a literal.
pub fn quote_literal_text(value: &str) -> String {
    let escape = if value.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

fn quote_ident_function(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(quote_ident(text(&args[0]))))
}

fn quote_literal(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let value = text_of(&args[0], call.arg_types[0], &call.ctx.formats);
    Ok(Datum::text(quote_literal_text(&value)))
}

fn quote_nullable(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() { Ok(Datum::text("NULL")) } else { quote_literal(call, args) }
}

fn to_hex(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(match &args[0] {
        Datum::Int4(value) => format!("{value:x}"),
        other => format!("{:x}", whole(other)),
    }))
}

fn to_oct(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(match &args[0] {
        Datum::Int4(value) => format!("{value:o}"),
        other => format!("{:o}", whole(other)),
    }))
}

fn to_bin(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text(match &args[0] {
        Datum::Int4(value) => format!("{value:b}"),
        other => format!("{:b}", whole(other)),
    }))
}

fn chr(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let code = whole(&args[0]);
    let limit = |message: String| Report::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    match code {
        0 => Err(limit("null character not permitted".to_owned())),
        code if code < 0 => {
            Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, "character number must be positive"))
        }
        code => u32::try_from(code)
            .ok()
            .and_then(char::from_u32)
            .map(|c| Datum::text(c.to_string()))
            .ok_or_else(|| limit(format!("requested character too large for encoding: {code}"))),
    }
}

fn ascii(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(text(&args[0]).chars().next().map_or(0, |c| c as i32)))
}

/// The text of a value as `concat` and `format` join it.
pub fn joined_text(call: &Call<'_, '_>, args: &[Datum], index: usize) -> String {
    text_of(&args[index], call.arg_types[index], &call.ctx.formats)
}

fn concat(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::text((0..args.len()).map(|index| joined_text(call, args, index)).collect::<String>()))
}

fn concat_ws(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    if args[0].is_null() {
        return Ok(Datum::Null);
    }
    let present = (1..args.len()).filter(|&index| !args[index].is_null());
    let parts: Vec<String> = present.map(|index| joined_text(call, args, index)).collect();
    Ok(Datum::text(parts.join(text(&args[0]))))
}

fn num_nulls(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(args.iter().filter(|arg| arg.is_null()).count() as i32))
}

fn num_nonnulls(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(args.iter().filter(|arg| !arg.is_null()).count() as i32))
}

const T: Type = Type::TEXT;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("quote_ident", 1282, &[T], T, quote_ident_function),
    function("quote_literal", 1283, &[T], T, quote_literal),
    function("quote_literal", 1285, &[Type::ANYELEMENT], T, quote_literal).stable(),
    function("quote_nullable", 1289, &[T], T, quote_nullable).lax(),
    function("quote_nullable", 1290, &[Type::ANYELEMENT], T, quote_nullable).lax().stable(),
    function("to_hex", 2089, &[Type::INT4], T, to_hex),
    function("to_hex", 2090, &[Type::INT8], T, to_hex),
    function("to_oct", 6333, &[Type::INT4], T, to_oct),
    function("to_oct", 6332, &[Type::INT8], T, to_oct),
    function("to_bin", 6330, &[Type::INT4], T, to_bin),
    function("to_bin", 6331, &[Type::INT8], T, to_bin),
    function("chr", 1621, &[Type::INT4], T, chr),
    function("ascii", 1620, &[T], Type::INT4, ascii),
    function("concat", 3058, &[Type::ANY], T, concat).lax().stable().variadic(),
    function("concat_ws", 3059, &[T, Type::ANY], T, concat_ws).lax().stable().variadic(),
    function("num_nulls", 438, &[Type::ANY], Type::INT4, num_nulls).lax().variadic(),
    function("num_nonnulls", 440, &[Type::ANY], Type::INT4, num_nonnulls).lax().variadic(),
];
