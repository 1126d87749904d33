//! `numeric`: exact decimal numbers.
//!
//! A number is an integer of any size and a count of digits behind the point (`num-bigint` does the integers). The
//! decimal crates at hand either end at 28 digits (`rust_decimal`) or drop trailing zeros and choose their own scale on
//! division (`bigdecimal`), and PostgreSQL's clients see every digit of both.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use num_bigint::{BigInt, Sign};
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Digits before the point that a value may have.
const MAX_WHOLE_DIGITS: u64 = 131_072;
/// Digits behind it.
pub const MAX_SCALE: u32 = 16_383;
/// Digits behind the point that a computed result keeps at most.
pub const MAX_DISPLAY_SCALE: i64 = 1000;

/// A decimal number, an infinity, or not a number. Equality is of value and scale; [`Numeric::compare`] is SQL's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numeric {
    /// `digits / 10^scale`.
    Finite {
        /// All digits, as one integer.
        digits: BigInt,
        /// How many of them stand behind the point.
        scale: u32,
    },
    /// `Infinity`.
    Infinity,
    /// `-Infinity`.
    MinusInfinity,
    /// Not a number; greater than all numbers when sorted.
    NaN,
}

/// Why a text or a result is no numeric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumericError {
    /// The text is no number.
    Syntax,
    /// Too many digits.
    Overflow,
    /// A division by zero.
    DivisionByZero,
}

/// A computation's outcome.
pub type Result<T> = std::result::Result<T, NumericError>;

/// Ten to a power.
pub fn ten_to(power: u32) -> BigInt {
    BigInt::from(10).pow(power)
}

/// `a / b`, rounded half away from zero.
pub fn divide_rounded(a: &BigInt, b: &BigInt) -> BigInt {
    let (quotient, remainder) = num_integer::Integer::div_rem(a, b);
    if (remainder.abs() << 1u32) < b.abs() {
        return quotient;
    }
    let away =
        if (a.sign() == Sign::Minus) == (b.sign() == Sign::Minus) { BigInt::one() } else { -BigInt::one() };
    quotient + away
}

impl Numeric {
    /// A whole number.
    pub fn from_int(value: impl Into<BigInt>) -> Self {
        Self::Finite { digits: value.into(), scale: 0 }
    }

    /// A number of these digits, checked against the format's limits.
    pub fn new(digits: BigInt, scale: u32) -> Result<Self> {
        if scale > MAX_SCALE {
            return Self::Finite { digits, scale }.round(i64::from(MAX_SCALE)).check();
        }
        Self::Finite { digits, scale }.check()
    }

    fn check(self) -> Result<Self> {
        if let Self::Finite { digits, scale } = &self {
            // The number of bits bounds the number of digits: only near the limit must the digits be counted.
            let bits = digits.bits();
            if bits * 100 / 333 > MAX_WHOLE_DIGITS + u64::from(*scale) {
                let whole = digits.abs().to_str_radix(10).len() as u64;
                if whole > MAX_WHOLE_DIGITS + u64::from(*scale) {
                    return Err(NumericError::Overflow);
                }
            }
        }
        Ok(self)
    }

    /// A float's value, as its shortest text that PostgreSQL takes for it (15 or 6 digits).
    pub fn from_float(value: f64, digits: usize) -> Self {
        if value.is_nan() {
            return Self::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 { Self::Infinity } else { Self::MinusInfinity };
        }
        let text = super::output::float_with_digits(value, digits);
        text.parse().unwrap_or(Self::NaN)
    }

    /// Digits behind the point.
    pub fn scale(&self) -> u32 {
        if let Self::Finite { scale, .. } = self { *scale } else { 0 }
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        matches!(self, Self::Finite { digits, .. } if digits.is_zero())
    }

    /// -1, 0 or 1; 0 for not a number.
    pub fn signum(&self) -> i32 {
        match self {
            Self::Finite { digits, .. } => match digits.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
            Self::Infinity => 1,
            Self::MinusInfinity => -1,
            Self::NaN => 0,
        }
    }

    /// With the other sign.
    pub fn negate(&self) -> Self {
        match self {
            Self::Finite { digits, scale } => Self::Finite { digits: -digits, scale: *scale },
            Self::Infinity => Self::MinusInfinity,
            Self::MinusInfinity => Self::Infinity,
            Self::NaN => Self::NaN,
        }
    }

    /// Without its sign.
    pub fn abs(&self) -> Self {
        if self.signum() < 0 { self.negate() } else { self.clone() }
    }

    /// The digits as they would be with another, not smaller, scale.
    pub fn scaled_digits(digits: &BigInt, from: u32, to: u32) -> BigInt {
        if to > from { digits * ten_to(to - from) } else { digits.clone() }
    }

    /// SQL's order: not a number is equal to itself and above everything.
    pub fn compare(&self, other: &Self) -> Ordering {
        let rank = |n: &Self| match n {
            Self::MinusInfinity => 0,
            Self::Finite { .. } => 1,
            Self::Infinity => 2,
            Self::NaN => 3,
        };
        match (self, other) {
            (Self::Finite { digits: a, scale: s }, Self::Finite { digits: b, scale: t }) => {
                let scale = *s.max(t);
                Self::scaled_digits(a, *s, scale).cmp(&Self::scaled_digits(b, *t, scale))
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// Rounded half away from zero to a number of digits behind the point; negative counts before it.
    pub fn round(&self, places: i64) -> Self {
        self.cut(places, divide_rounded)
    }

    /// Cut off behind a number of digits behind the point.
    pub fn trunc(&self, places: i64) -> Self {
        self.cut(places, |a, b| a / b)
    }

    /// The next whole number that is not above.
    pub fn floor(&self) -> Self {
        self.cut(0, num_integer::Integer::div_floor)
    }

    /// The next whole number that is not below.
    pub fn ceil(&self) -> Self {
        self.cut(0, num_integer::Integer::div_ceil)
    }

    fn cut(&self, places: i64, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Self {
        let Self::Finite { digits, scale } = self else {
            return self.clone();
        };
        let places = places.clamp(-i64::from(MAX_SCALE) * 10, i64::from(MAX_SCALE));
        let kept = places.max(0) as u32;
        if places >= i64::from(*scale) {
            return Self::Finite { digits: Self::scaled_digits(digits, *scale, kept), scale: kept };
        }
        let dropped = (i64::from(*scale) - places) as u32;
        let cut = divide(digits, &ten_to(dropped));
        let digits = if places < 0 { cut * ten_to((-places) as u32) } else { cut };
        Self::Finite { digits, scale: kept }
    }

    /// The nearest whole number, if it fits 64 bits.
    pub fn to_i64(&self) -> Option<i64> {
        match self.round(0) {
            Self::Finite { digits, .. } => digits.to_i64(),
            _ => None,
        }
    }

    /// The nearest whole number, if it is finite.
    pub fn to_integer(&self) -> Option<BigInt> {
        match self.round(0) {
            Self::Finite { digits, .. } => Some(digits),
            _ => None,
        }
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::Finite { .. } => self.to_string().parse().unwrap_or(f64::NAN),
            Self::Infinity => f64::INFINITY,
            Self::MinusInfinity => f64::NEG_INFINITY,
            Self::NaN => f64::NAN,
        }
    }

    /// How many powers of 10,000 the first digit stands above the point, and the first digits of that power: what
    /// PostgreSQL chooses the scale of a quotient by.
    pub fn weight(&self) -> (i64, u32) {
        let Self::Finite { digits, scale } = self else {
            return (0, 0);
        };
        if digits.is_zero() {
            return (0, 0);
        }
        let text = digits.abs().to_str_radix(10);
        let whole = text.len() as i64 - i64::from(*scale);
        let weight = (whole - 1).div_euclid(4);
        let count = (whole - weight * 4) as usize;
        let mut first: u32 = text[..count.min(text.len())].parse().unwrap_or(0);
        for _ in text.len()..count {
            first *= 10;
        }
        (weight, first)
    }

    /// Without the zeros at its end.
    pub fn trim_scale(&self) -> Self {
        let Self::Finite { digits, scale } = self else {
            return self.clone();
        };
        let (mut digits, mut scale) = (digits.clone(), *scale);
        while scale > 0 {
            let (rest, last) = num_integer::Integer::div_rem(&digits, &BigInt::from(10));
            if !last.is_zero() {
                break;
            }
            digits = rest;
            scale -= 1;
        }
        Self::Finite { digits, scale }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, scale) = match self {
            Self::Finite { digits, scale } => (digits, *scale as usize),
            Self::Infinity => return f.write_str("Infinity"),
            Self::MinusInfinity => return f.write_str("-Infinity"),
            Self::NaN => return f.write_str("NaN"),
        };
        let text = digits.abs().to_str_radix(10);
        if digits.is_negative() {
            f.write_str("-")?;
        }
        if scale == 0 {
            return f.write_str(&text);
        }
        let padded = format!("{text:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        write!(f, "{whole}.{fraction}")
    }
}

impl FromStr for Numeric {
    type Err = NumericError;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if let Some(special) = special(rest, negative, text) {
            return Ok(special);
        }
        if let Some((digits, radix)) = with_radix(rest) {
            let digits = super::lexical::digits_of(digits, radix).ok_or(NumericError::Syntax)?;
            let value = BigInt::parse_bytes(digits.as_bytes(), radix).ok_or(NumericError::Syntax)?;
            return Self::new(if negative { -value } else { value }, 0);
        }
        decimal(rest, negative)
    }
}

fn special(rest: &str, negative: bool, text: &str) -> Option<Numeric> {
    if rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("infinity") {
        return Some(if negative { Numeric::MinusInfinity } else { Numeric::Infinity });
    }
    text.eq_ignore_ascii_case("nan").then_some(Numeric::NaN)
}

fn with_radix(text: &str) -> Option<(&str, u32)> {
    let radix = match text.get(..2)? {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return None,
    };
    Some((&text[2..], radix))
}

/// `digits[.digits][e[sign]digits]`, with single underscores between digits.
fn decimal(text: &str, negative: bool) -> Result<Numeric> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumericError::Syntax);
    }
    let part = |text: &str| {
        if text.is_empty() { Some(String::new()) } else { super::lexical::digits_of(text, 10) }
    };
    let digits = part(whole).zip(part(fraction)).map(|(whole, fraction)| (whole + &fraction, fraction.len()));
    let (digits, fraction_len) = digits.ok_or(NumericError::Syntax)?;
    let mut digits = BigInt::parse_bytes(digits.as_bytes(), 10).ok_or(NumericError::Syntax)?;
    let scale = fraction_len as i64 - exponent;
    if scale < 0 {
        if -scale > MAX_WHOLE_DIGITS as i64 && !digits.is_zero() {
            return Err(NumericError::Overflow);
        }
        digits *= ten_to((-scale).min(MAX_WHOLE_DIGITS as i64) as u32);
    }
    if scale > 2 * i64::from(MAX_SCALE) + digits.bits() as i64 {
        return Ok(Numeric::Finite { digits: BigInt::zero(), scale: MAX_SCALE });
    }
    Numeric::new(if negative { -digits } else { digits }, scale.max(0) as u32)
}

fn exponent(text: &str) -> Result<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = super::lexical::digits_of(digits, 10).ok_or(NumericError::Syntax)?;
    let value: i64 = digits.parse().map_err(|_| NumericError::Overflow)?;
    if value > i64::from(i32::MAX) / 2 {
        return Err(NumericError::Overflow);
    }
    Ok(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        text.parse().unwrap()
    }

    #[test]
    fn texts_come_back_as_they_went_in() {
        for (text, printed) in [
            ("1.50", "1.50"),
            (" -0.001 ", "-0.001"),
            ("1e3", "1000"),
            ("1.5e-3", "0.0015"),
            (".5", "0.5"),
            ("5.", "5"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("nan", "NaN"),
            ("-inf", "-Infinity"),
        ] {
            assert_eq!(n(text).to_string(), printed, "{text}");
        }
        for text in ["", ".", "1e", "1__0", "_1", "1_", "x", "--1", "1 2", "-nan"] {
            assert_eq!(text.parse::<Numeric>(), Err(NumericError::Syntax), "{text}");
        }
        assert_eq!("1e200000".parse::<Numeric>(), Err(NumericError::Overflow));
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        for (text, places, rounded) in
            [("2.5", 0, "3"), ("-2.5", 0, "-3"), ("1.005", 2, "1.01"), ("155", -1, "160")]
        {
            assert_eq!(n(text).round(places).to_string(), rounded);
        }
        assert_eq!(n("-1.5").floor().to_string(), "-2");
        assert_eq!(n("-1.5").ceil().to_string(), "-1");
    }
}
