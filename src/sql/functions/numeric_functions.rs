//! Functions of `numeric`.

use num_bigint::BigInt;

use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Numeric, Type};

use super::arithmetic::{numeric, numeric_result};
use super::integers::whole;
use super::{Call, Function, function};

/// Without its sign.
pub fn abs(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).abs()))
}

/// What is left of a division.
pub fn modulo(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    numeric_result(numeric(&args[0]).remainder(&numeric(&args[1])))
}

/// A power; only whole ones are exact, and others are refused.
pub fn power(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (base, exponent) = (numeric(&args[0]), numeric(&args[1]));
    let bad = |message: &str| Err(Report::error(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if base.is_zero() && exponent.signum() < 0 {
        return bad("zero raised to a negative power is undefined");
    }
    let is_whole = exponent.compare(&exponent.trunc(0)).is_eq();
    if base.signum() < 0 && !is_whole {
        return bad("a negative number raised to a non-integer power yields a complex result");
    }
    match exponent.to_i64().filter(|_| is_whole) {
        Some(exponent) => numeric_result(base.power(exponent)),
        None => Err(Report::not_supported("numeric powers that are no whole number are not supported yet")),
    }
}

fn ceil(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).ceil()))
}

fn floor(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).floor()))
}

fn places(args: &[Datum]) -> i64 {
    args.get(1).map_or(0, whole)
}

fn round(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).round(places(args))))
}

fn trunc(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).trunc(places(args))))
}

fn sign(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(match numeric(&args[0]) {
        Numeric::NaN => Numeric::NaN,
        number => Numeric::from_int(number.signum()),
    }))
}

fn sqrt(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let number = numeric(&args[0]);
    if number.signum() < 0 {
        return Err(Report::error(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ));
    }
    numeric_result(number.sqrt())
}

fn div(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    numeric_result(numeric(&args[0]).divide_truncating(&numeric(&args[1])))
}

fn factorial(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let number = whole(&args[0]);
    if number < 0 {
        return Err(Report::error(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "factorial of a negative number is undefined",
        ));
    }
    if number > 32_177 {
        return Err(Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"));
    }
    let mut product = BigInt::from(1);
    for factor in 2..=number {
        call.ctx.host.check_interrupts()?;
        product *= factor;
    }
    numeric_result(Numeric::new(product, 0))
}

fn scale(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(match numeric(&args[0]) {
        Numeric::Finite { scale, .. } => Datum::Int4(scale as i32),
        _ => Datum::Null,
    })
}

fn trim_scale(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::numeric(numeric(&args[0]).trim_scale()))
}

fn gcd(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b, scale) = numeric(&args[0]).aligned(&numeric(&args[1]));
    numeric_result(Numeric::new(num_integer::Integer::gcd(&a, &b), scale))
}

const N: Type = Type::NUMERIC;

/// The functions' rows. Logarithms and exponentials are those of floats: a numeric argument is converted.
pub const FUNCTIONS: &[Function] = &[
    function("abs", 1705, &[N], N, abs),
    function("ceil", 1711, &[N], N, ceil),
    function("ceiling", 2167, &[N], N, ceil),
    function("floor", 1712, &[N], N, floor),
    function("round", 1707, &[N, Type::INT4], N, round),
    function("round", 1708, &[N], N, round),
    function("trunc", 1709, &[N, Type::INT4], N, trunc),
    function("trunc", 1710, &[N], N, trunc),
    function("sign", 1706, &[N], N, sign),
    function("sqrt", 1730, &[N], N, sqrt),
    function("power", 2169, &[N, N], N, power),
    function("pow", 1738, &[N, N], N, power),
    function("mod", 1728, &[N, N], N, modulo),
    function("div", 1973, &[N, N], N, div),
    function("gcd", 5048, &[N, N], N, gcd),
    function("factorial", 1376, &[Type::INT8], N, factorial),
    function("scale", 3281, &[N], Type::INT4, scale),
    function("trim_scale", 5043, &[N], N, trim_scale),
];
