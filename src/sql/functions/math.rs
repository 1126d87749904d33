//! Functions of floats, and of whole numbers.

use crate::report::{Report, Result, SqlState};
use crate::sql::types::{Datum, Type};

use super::arithmetic::{float, float_result};
use super::integers::{self, whole};
use super::{Call, Function, function};

fn computed(value: f64, inputs: &[f64]) -> Result<Datum> {
    float_result(value, Type::FLOAT8, inputs, true)
}

fn out_of_domain() -> Box<Report> {
    Report::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn float_abs(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(match args[0] {
        Datum::Float4(value) => Datum::Float4(value.abs()),
        _ => Datum::Float8(float(&args[0]).abs()),
    })
}

/// Functions of one float that cannot fail.
macro_rules! simple {
    ($($name:ident: |$x:ident| $value:expr;)*) => {
        $(fn $name(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
            let $x = float(&args[0]);
            computed($value, &[$x])
        })*
    };
}

simple! {
    ceil: |x| x.ceil();
    floor: |x| x.floor();
    round: |x| x.round_ties_even();
    trunc: |x| x.trunc();
    sign: |x| if x == 0.0 || x.is_nan() { x } else { x.signum() };
    exp: |x| x.exp();
    degrees: |x| x.to_degrees();
    radians: |x| x.to_radians();
    atan: |x| x.atan();
    sinh: |x| x.sinh();
    cosh: |x| x.cosh();
    tanh: |x| x.tanh();
    cube_root: |x| x.cbrt();
}

/// The cube root.
pub fn cbrt(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    cube_root(call, args)
}

/// The square root.
pub fn sqrt(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let x = float(&args[0]);
    if x < 0.0 {
        return Err(Report::error(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ));
    }
    computed(x.sqrt(), &[x])
}

/// A power.
pub fn power(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (base, exponent) = (float(&args[0]), float(&args[1]));
    let bad = |message: &str| Err(Report::error(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if base == 0.0 && exponent < 0.0 {
        return bad("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.floor() != exponent {
        return bad("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    float_result(
        result,
        Type::FLOAT8,
        &[base, exponent],
        base == 0.0 || exponent.is_infinite() || base.is_infinite(),
    )
}

/// Refuses what has no logarithm.
pub fn check_logarithm(sign: i32) -> Result<()> {
    let bad = |message: &str| Err(Report::error(SqlState::INVALID_ARGUMENT_FOR_LOG, message));
    match sign {
        0 => bad("cannot take logarithm of zero"),
        sign if sign < 0 => bad("cannot take logarithm of a negative number"),
        _ => Ok(()),
    }
}

fn sign_of(x: f64) -> i32 {
    if x == 0.0 {
        0
    } else if x < 0.0 {
        -1
    } else {
        1
    }
}

fn ln(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let x = float(&args[0]);
    check_logarithm(sign_of(x))?;
    computed(x.ln(), &[x])
}

fn log10(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let x = float(&args[0]);
    check_logarithm(sign_of(x))?;
    computed(x.log10(), &[x])
}

fn trigonometric(x: f64, f: fn(f64) -> f64) -> Result<Datum> {
    if x.is_infinite() { Err(out_of_domain()) } else { computed(f(x), &[x]) }
}

fn sin(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    trigonometric(float(&args[0]), f64::sin)
}

fn cos(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    trigonometric(float(&args[0]), f64::cos)
}

fn tan(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    trigonometric(float(&args[0]), f64::tan)
}

fn asin(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let x = float(&args[0]);
    if x.abs() > 1.0 { Err(out_of_domain()) } else { computed(x.asin(), &[x]) }
}

fn acos(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let x = float(&args[0]);
    if x.abs() > 1.0 { Err(out_of_domain()) } else { computed(x.acos(), &[x]) }
}

fn atan2(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (y, x) = (float(&args[0]), float(&args[1]));
    computed(y.atan2(x), &[y, x])
}

fn pi(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Float8(std::f64::consts::PI))
}

fn random(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    // 53 bits are all that a float between 0 and 1 can tell apart.
    let bits = call.ctx.host.random() >> 11;
    Ok(Datum::Float8(bits as f64 / (1u64 << 53) as f64))
}

fn random_between(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (low, high) = (i128::from(whole(&args[0])), i128::from(whole(&args[1])));
    if low > high {
        let message = "lower bound must be less than or equal to upper bound";
        return Err(Report::error(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let span = (high - low + 1) as u128;
    let scaled = (u128::from(call.ctx.host.random()) * span) >> 64;
    integers::sized(low + scaled as i128, call.result)
}

fn gcd_of(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn gcd(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    integers::sized(gcd_of(i128::from(whole(&args[0])), i128::from(whole(&args[1]))), call.result)
}

fn lcm(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = (i128::from(whole(&args[0])), i128::from(whole(&args[1])));
    if a == 0 || b == 0 {
        return integers::sized(0, call.result);
    }
    integers::sized((a / gcd_of(a, b) * b).abs(), call.result)
}

fn width_bucket(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let (value, low, high, count) = (float(&args[0]), float(&args[1]), float(&args[2]), whole(&args[3]));
    let bad = |message: &str| Err(Report::error(SqlState::new("2201G"), message));
    if count <= 0 {
        return bad("count must be greater than zero");
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return bad("operand, lower bound, and upper bound cannot be NaN");
    }
    if !low.is_finite() || !high.is_finite() {
        return bad("lower and upper bounds must be finite");
    }
    if low == high {
        return bad("lower bound cannot equal upper bound");
    }
    let place = if low < high { (value - low) / (high - low) } else { (low - value) / (low - high) };
    let bucket = if place < 0.0 {
        0
    } else if place >= 1.0 {
        count + 1
    } else {
        (place * count as f64) as i64 + 1
    };
    integers::sized(i128::from(bucket), Type::INT4)
}

const F: Type = Type::FLOAT8;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("abs", 1394, &[Type::FLOAT4], Type::FLOAT4, float_abs),
    function("abs", 1395, &[F], F, float_abs),
    function("abs", 1396, &[Type::INT8], Type::INT8, integers::abs),
    function("abs", 1397, &[Type::INT4], Type::INT4, integers::abs),
    function("abs", 1398, &[Type::INT2], Type::INT2, integers::abs),
    function("mod", 940, &[Type::INT2, Type::INT2], Type::INT2, integers::modulo),
    function("mod", 941, &[Type::INT4, Type::INT4], Type::INT4, integers::modulo),
    function("mod", 947, &[Type::INT8, Type::INT8], Type::INT8, integers::modulo),
    function("gcd", 5044, &[Type::INT4, Type::INT4], Type::INT4, gcd),
    function("gcd", 5045, &[Type::INT8, Type::INT8], Type::INT8, gcd),
    function("lcm", 5046, &[Type::INT4, Type::INT4], Type::INT4, lcm),
    function("lcm", 5047, &[Type::INT8, Type::INT8], Type::INT8, lcm),
    function("ceil", 2308, &[F], F, ceil),
    function("ceiling", 2320, &[F], F, ceil),
    function("floor", 2309, &[F], F, floor),
    function("round", 1342, &[F], F, round),
    function("trunc", 1343, &[F], F, trunc),
    function("sign", 2310, &[F], F, sign),
    function("sqrt", 1344, &[F], F, sqrt),
    function("cbrt", 1345, &[F], F, cbrt),
    function("power", 1368, &[F, F], F, power),
    function("pow", 1346, &[F, F], F, power),
    function("exp", 1347, &[F], F, exp),
    function("ln", 1341, &[F], F, ln),
    function("log", 1340, &[F], F, log10),
    function("log10", 1194, &[F], F, log10),
    function("pi", 1610, &[], F, pi),
    function("degrees", 1608, &[F], F, degrees),
    function("radians", 1609, &[F], F, radians),
    function("sin", 1604, &[F], F, sin),
    function("cos", 1605, &[F], F, cos),
    function("tan", 1606, &[F], F, tan),
    function("asin", 1600, &[F], F, asin),
    function("acos", 1601, &[F], F, acos),
    function("atan", 1602, &[F], F, atan),
    function("atan2", 1603, &[F, F], F, atan2),
    function("sinh", 2462, &[F], F, sinh),
    function("cosh", 2463, &[F], F, cosh),
    function("tanh", 2464, &[F], F, tanh),
    function("random", 1598, &[], F, random).volatile(),
    function("random", 6339, &[Type::INT4, Type::INT4], Type::INT4, random_between).volatile(),
    function("random", 6340, &[Type::INT8, Type::INT8], Type::INT8, random_between).volatile(),
    function("width_bucket", 320, &[F, F, F, Type::INT4], Type::INT4, width_bucket),
];
