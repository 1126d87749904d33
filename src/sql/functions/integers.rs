//! Operators of whole numbers, of one size or of two.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::{Call, Operator, operator, prefix};

/// The value of a whole number of any size.
pub fn whole(datum: &Datum) -> i64 {
    match datum {
        Datum::Int2(value) => i64::from(*value),
        Datum::Int4(value) => i64::from(*value),
        Datum::Int8(value) => *value,
        Datum::Oid(value) => i64::from(*value),
        _ => 0,
    }
}

/// A whole number of a type, or its overflow.
pub fn sized(value: i128, ty: Type) -> Result<Datum> {
    let made = match ty {
        Type::INT2 => i16::try_from(value).ok().map(Datum::Int2),
        Type::INT4 => i32::try_from(value).ok().map(Datum::Int4),
        _ => i64::try_from(value).ok().map(Datum::Int8),
    };
    made.ok_or_else(|| out_of_range(ty))
}

/// `integer out of range` and its kin.
pub fn out_of_range(ty: Type) -> Box<Report> {
    Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
}

/// PostgreSQL's word for it.
pub fn division_by_zero() -> Box<Report> {
    Report::error(SqlState::DIVISION_BY_ZERO, "division by zero")
}

fn operands(args: &[Datum]) -> (i128, i128) {
    (i128::from(whole(&args[0])), i128::from(whole(&args[1])))
}

fn plus(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    sized(a + b, call.result)
}

fn minus(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    sized(a - b, call.result)
}

fn times(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    sized(a * b, call.result)
}

fn divide(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    match operands(args) {
        (_, 0) => Err(division_by_zero()),
        (a, b) => sized(a / b, call.result),
    }
}

/// What is left of a division, with the dividend's sign.
pub fn modulo(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    match operands(args) {
        (_, 0) => Err(division_by_zero()),
        (a, b) => sized(a % b, call.result),
    }
}

fn negate(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sized(-i128::from(whole(&args[0])), call.result)
}

/// The argument as it is.
pub fn same(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(args[0].clone())
}

/// Without its sign.
pub fn abs(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sized(i128::from(whole(&args[0])).abs(), call.result)
}

fn bit_and(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sized(i128::from(whole(&args[0]) & whole(&args[1])), call.result)
}

fn bit_or(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sized(i128::from(whole(&args[0]) | whole(&args[1])), call.result)
}

fn bit_xor(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sized(i128::from(whole(&args[0]) ^ whole(&args[1])), call.result)
}

fn bit_not(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    sized(i128::from(!whole(&args[0])), call.result)
}

/// Shifts by a count taken modulo the number's size, as the processor does.
fn shift_left(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let count = whole(&args[1]) as u32;
    Ok(match &args[0] {
        Datum::Int2(value) => Datum::Int2(i32::from(*value).wrapping_shl(count) as i16),
        Datum::Int4(value) => Datum::Int4(value.wrapping_shl(count)),
        other => Datum::Int8(whole(other).wrapping_shl(count)),
    })
}

fn shift_right(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let count = whole(&args[1]) as u32;
    Ok(match &args[0] {
        Datum::Int2(value) => Datum::Int2(i32::from(*value).wrapping_shr(count) as i16),
        Datum::Int4(value) => Datum::Int4(value.wrapping_shr(count)),
        other => Datum::Int8(whole(other).wrapping_shr(count)),
    })
}

const I2: Type = Type::INT2;
const I4: Type = Type::INT4;
const I8: Type = Type::INT8;

/// One operator for each pair of sizes; the result has the greater one.
macro_rules! mixed {
    ($name:literal, $body:expr) => {
        [
            operator($name, I2, I2, I2, $body),
            operator($name, I2, I4, I4, $body),
            operator($name, I2, I8, I8, $body),
            operator($name, I4, I2, I4, $body),
            operator($name, I4, I4, I4, $body),
            operator($name, I4, I8, I8, $body),
            operator($name, I8, I2, I8, $body),
            operator($name, I8, I4, I8, $body),
            operator($name, I8, I8, I8, $body),
        ]
    };
}

/// One operator for each size.
macro_rules! alike {
    ($name:literal, $body:expr) => {
        [
            operator($name, I2, I2, I2, $body),
            operator($name, I4, I4, I4, $body),
            operator($name, I8, I8, I8, $body),
        ]
    };
}

macro_rules! prefixes {
    ($name:literal, $body:expr) => {
        [prefix($name, I2, I2, $body), prefix($name, I4, I4, $body), prefix($name, I8, I8, $body)]
    };
}

macro_rules! shifts {
    ($name:literal, $body:expr) => {
        [
            operator($name, I2, I4, I2, $body),
            operator($name, I4, I4, I4, $body),
            operator($name, I8, I4, I8, $body),
        ]
    };
}

/// Puts the rows of several arrays into one.
macro_rules! table {
    ($($rows:expr,)*) => {{
        const PARTS: &[&[Operator]] = &[$(&$rows,)*];
        const COUNT: usize = { let mut n = 0; let mut i = 0; while i < PARTS.len() { n += PARTS[i].len(); i += 1; } n };
        const ROWS: [Operator; COUNT] = {
            let mut rows = [const { operator("", I2, I2, I2, same) }; COUNT];
            let (mut part, mut at) = (0, 0);
            while part < PARTS.len() {
                let mut i = 0;
                while i < PARTS[part].len() {
                    let row = &PARTS[part][i];
                    rows[at] = Operator { name: row.name, left: row.left, right: row.right, result: row.result, strict: row.strict, body: row.body };
                    i += 1;
                    at += 1;
                }
                part += 1;
            }
            rows
        };
        &ROWS
    }};
}

/// The operators' rows.
pub const OPERATORS: &[Operator] = table![
    mixed!("+", plus),
    mixed!("-", minus),
    mixed!("*", times),
    mixed!("/", divide),
    alike!("%", modulo),
    alike!("&", bit_and),
    alike!("|", bit_or),
    alike!("#", bit_xor),
    shifts!("<<", shift_left),
    shifts!(">>", shift_right),
    prefixes!("-", negate),
    prefixes!("+", same),
    prefixes!("~", bit_not),
    prefixes!("@", abs),
];
