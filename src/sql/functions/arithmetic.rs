//! Operators of floats and of `numeric`.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::numeric::NumericError;
use crate::sql::types::{Datum, Numeric, Type};

use super::integers::{division_by_zero, same};
use super::{Call, Operator, numeric_functions, operator, prefix};

/// The value of a float of either size.
pub fn float(datum: &Datum) -> f64 {
    match datum {
        Datum::Float4(value) => f64::from(*value),
        Datum::Float8(value) => *value,
        _ => 0.0,
    }
}

/// The value of a `numeric`.
pub fn numeric(datum: &Datum) -> Numeric {
    match datum {
        Datum::Numeric(value) => (**value).clone(),
        _ => Numeric::from_int(super::integers::whole(datum)),
    }
}

/// A computed `numeric` or its error.
pub fn numeric_result(result: std::result::Result<Numeric, NumericError>) -> Result<Datum> {
    result.map(Datum::numeric).map_err(|error| match error {
        NumericError::DivisionByZero => division_by_zero(),
        _ => Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"),
    })
}

/// A computed float, refused if it became infinite or zero without cause.
pub fn float_result(value: f64, result: Type, inputs: &[f64], zero_is_fine: bool) -> Result<Datum> {
    let narrow = value as f32;
    let (infinite, zero) = match result {
        Type::FLOAT4 => (narrow.is_infinite(), narrow == 0.0),
        _ => (value.is_infinite(), value == 0.0),
    };
    if infinite && !inputs.iter().any(|input| input.is_infinite()) {
        return Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
    }
    if zero && !zero_is_fine {
        return Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"));
    }
    Ok(if result == Type::FLOAT4 { Datum::Float4(narrow) } else { Datum::Float8(value) })
}

fn operands(args: &[Datum]) -> (f64, f64) {
    (float(&args[0]), float(&args[1]))
}

fn float_plus(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    float_result(a + b, call.result, &[a, b], true)
}

fn float_minus(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    float_result(a - b, call.result, &[a, b], true)
}

fn float_times(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    float_result(a * b, call.result, &[a, b], a == 0.0 || b == 0.0)
}

fn float_divide(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = operands(args);
    if b == 0.0 && !a.is_nan() {
        return Err(division_by_zero());
    }
    float_result(a / b, call.result, &[a, b], a == 0.0 || b.is_infinite())
}

fn float_negate(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(match args[0] {
        Datum::Float4(value) => Datum::Float4(-value),
        _ => Datum::Float8(-float(&args[0])),
    })
}

fn float_abs(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(match args[0] {
        Datum::Float4(value) => Datum::Float4(value.abs()),
        _ => Datum::Float8(float(&args[0]).abs()),
    })
}

fn numeric_plus(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    numeric_result(numeric(&args[0]).add(&numeric(&args[1])))
}

fn numeric_minus(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    numeric_result(numeric(&args[0]).subtract(&numeric(&args[1])))
}

fn numeric_times(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    numeric_result(numeric(&args[0]).multiply(&numeric(&args[1])))
}

fn numeric_divide(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    numeric_result(numeric(&args[0]).divide(&numeric(&args[1])))
}

fn numeric_negate(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).negate()))
}

/// A place in the WAL so many bytes before or behind another; `what` says which of both in the message.
fn lsn_moved(lsn: &Datum, by: &Numeric, back: bool) -> Result<Datum> {
    let place = if let Datum::U64(place) = lsn { num_bigint::BigInt::from(*place) } else { 0.into() };
    let bytes = match (by.to_integer(), by) {
        (Some(bytes), _) => bytes,
        (None, Numeric::NaN) => {
            let message = if back { "cannot subtract NaN from pg_lsn" } else { "cannot add NaN to pg_lsn" };
            return Err(Report::not_supported(message));
        }
        (None, _) => return Err(Report::not_supported("cannot convert infinity to pg_lsn")),
    };
    let moved = if back { place - bytes } else { place + bytes };
    let out_of_range = |_| Report::error(SqlState::INVALID_PARAMETER_VALUE, "pg_lsn out of range");
    u64::try_from(moved).map(Datum::U64).map_err(out_of_range)
}

fn lsn_forward(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    lsn_moved(&args[0], &numeric(&args[1]), false)
}

fn forward_lsn(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    lsn_moved(&args[1], &numeric(&args[0]), false)
}

fn lsn_back(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    lsn_moved(&args[0], &numeric(&args[1]), true)
}

/// The distance of two places in the WAL.
pub(super) fn lsn_minus(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let place = |datum: &Datum| if let Datum::U64(place) = datum { i128::from(*place) } else { 0 };
    Ok(Datum::numeric(Numeric::from_int(place(&args[0]) - place(&args[1]))))
}

const F4: Type = Type::FLOAT4;
const F8: Type = Type::FLOAT8;
const N: Type = Type::NUMERIC;

/// The operators' rows.
pub const OPERATORS: &[Operator] = &[
    operator("+", F4, F4, F4, float_plus),
    operator("+", F4, F8, F8, float_plus),
    operator("+", F8, F4, F8, float_plus),
    operator("+", F8, F8, F8, float_plus),
    operator("-", F4, F4, F4, float_minus),
    operator("-", F4, F8, F8, float_minus),
    operator("-", F8, F4, F8, float_minus),
    operator("-", F8, F8, F8, float_minus),
    operator("*", F4, F4, F4, float_times),
    operator("*", F4, F8, F8, float_times),
    operator("*", F8, F4, F8, float_times),
    operator("*", F8, F8, F8, float_times),
    operator("/", F4, F4, F4, float_divide),
    operator("/", F4, F8, F8, float_divide),
    operator("/", F8, F4, F8, float_divide),
    operator("/", F8, F8, F8, float_divide),
    operator("^", F8, F8, F8, super::math::power),
    operator("+", N, N, N, numeric_plus),
    operator("-", N, N, N, numeric_minus),
    operator("*", N, N, N, numeric_times),
    operator("/", N, N, N, numeric_divide),
    operator("%", N, N, N, numeric_functions::modulo),
    operator("^", N, N, N, numeric_functions::power),
    operator("-", Type::PG_LSN, Type::PG_LSN, N, lsn_minus),
    operator("-", Type::PG_LSN, N, Type::PG_LSN, lsn_back),
    operator("+", Type::PG_LSN, N, Type::PG_LSN, lsn_forward),
    operator("+", N, Type::PG_LSN, Type::PG_LSN, forward_lsn),
    prefix("-", F4, F4, float_negate),
    prefix("-", F8, F8, float_negate),
    prefix("-", N, N, numeric_negate),
    prefix("+", F4, F4, same),
    prefix("+", F8, F8, same),
    prefix("+", N, N, same),
    prefix("@", F4, F4, float_abs),
    prefix("@", F8, F8, float_abs),
    prefix("@", N, N, numeric_functions::abs),
    prefix("|/", F8, F8, super::math::sqrt),
    prefix("||/", F8, F8, super::math::cbrt),
];
