//! Arithmetic on `numeric`: results have the scale that PostgreSQL gives them.

use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};

use super::numeric::{MAX_DISPLAY_SCALE, Numeric, NumericError, Result, divide_rounded, ten_to};

/// A computed result has at least this many digits that say something.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;

impl Numeric {
    /// The sum.
    pub fn add(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Self::Finite { digits: a, scale: s }, Self::Finite { digits: b, scale: t }) => {
                let scale = *s.max(t);
                Self::new(Self::scaled_digits(a, *s, scale) + Self::scaled_digits(b, *t, scale), scale)
            }
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (Self::Finite { .. }, infinity) | (infinity, Self::Finite { .. }) => Ok(infinity.clone()),
            (a, b) => Ok(if a == b { a.clone() } else { Self::NaN }),
        }
    }

    /// The difference.
    pub fn subtract(&self, other: &Self) -> Result<Self> {
        self.add(&other.negate())
    }

    /// The product.
    pub fn multiply(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Self::Finite { digits: a, scale: s }, Self::Finite { digits: b, scale: t }) => {
                Self::new(a * b, s + t)
            }
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (a, b) => Ok(infinite(a.signum() * b.signum())),
        }
    }

    /// The quotient.
    pub fn divide(&self, other: &Self) -> Result<Self> {
        if let Some(special) = special_quotient(self, other)? {
            return Ok(special);
        }
        self.divide_to(other, self.quotient_scale(other))
    }

    /// Digits behind the point of a quotient: enough that at least sixteen of all its digits say something.
    fn quotient_scale(&self, other: &Self) -> u32 {
        let ((weight_a, first_a), (weight_b, first_b)) = (self.weight(), other.weight());
        let weight = weight_a - weight_b - i64::from(first_a <= first_b);
        let wanted = MIN_SIGNIFICANT_DIGITS - weight * 4;
        wanted.max(i64::from(self.scale())).max(i64::from(other.scale())).clamp(0, MAX_DISPLAY_SCALE) as u32
    }

    fn divide_to(&self, other: &Self, scale: u32) -> Result<Self> {
        let (Self::Finite { digits: a, scale: s }, Self::Finite { digits: b, scale: t }) = (self, other)
        else {
            return Ok(Self::NaN);
        };
        let shift = i64::from(scale) + i64::from(*t) - i64::from(*s);
        let (a, b) = if shift >= 0 {
            (a * ten_to(shift as u32), b.clone())
        } else {
            (a.clone(), b * ten_to((-shift) as u32))
        };
        Self::new(divide_rounded(&a, &b), scale)
    }

    /// The quotient's whole part.
    pub fn divide_truncating(&self, other: &Self) -> Result<Self> {
        if let Some(special) = special_quotient(self, other)? {
            return Ok(special);
        }
        let (a, b, _) = self.aligned(other);
        Self::new(a / b, 0)
    }

    /// What is left of the division, with the dividend's sign.
    pub fn remainder(&self, other: &Self) -> Result<Self> {
        match (self, other) {
            (Self::NaN, _) | (_, Self::NaN) => Ok(Self::NaN),
            (_, divisor) if divisor.is_zero() => Err(NumericError::DivisionByZero),
            (Self::Infinity | Self::MinusInfinity, _) => Ok(Self::NaN),
            (dividend, Self::Infinity | Self::MinusInfinity) => Ok(dividend.clone()),
            _ => {
                let (a, b, scale) = self.aligned(other);
                Self::new(a % b, scale)
            }
        }
    }

    /// Both numbers' digits at the greater of their scales.
    pub fn aligned(&self, other: &Self) -> (BigInt, BigInt, u32) {
        let (Self::Finite { digits: a, scale: s }, Self::Finite { digits: b, scale: t }) = (self, other)
        else {
            return (BigInt::zero(), BigInt::one(), 0);
        };
        let scale = *s.max(t);
        (Self::scaled_digits(a, *s, scale), Self::scaled_digits(b, *t, scale), scale)
    }

    /// The square root of a number that is not negative.
    pub fn sqrt(&self) -> Result<Self> {
        let Self::Finite { digits, scale } = self else {
            return Ok(self.clone());
        };
        let (weight, _) = self.weight();
        let weight_of_root = if weight >= 0 { weight * 2 + 1 } else { 1 - (1 - weight) * 2 };
        let wanted = (MIN_SIGNIFICANT_DIGITS - weight_of_root).max(i64::from(*scale));
        let root_scale = wanted.clamp(0, MAX_DISPLAY_SCALE) as u32;
        // One digit more than wanted, so that the last one can be rounded.
        let shift = 2 * (root_scale + 1);
        let root = if shift >= *scale {
            (digits * ten_to(shift - scale)).sqrt()
        } else {
            (digits / ten_to(scale - shift)).sqrt()
        };
        Self::new(divide_rounded(&root, &BigInt::from(10)), root_scale)
    }

    /// A whole power.
    pub fn power(&self, exponent: i64) -> Result<Self> {
        let Self::Finite { digits, scale } = self else {
            return Ok(self.clone());
        };
        let magnitude = power_of_ten(self) * exponent as f64;
        if magnitude > 131_072.0 {
            return Err(NumericError::Overflow);
        }
        let wanted = (MIN_SIGNIFICANT_DIGITS - magnitude as i64).max(i64::from(*scale));
        let result_scale = wanted.clamp(0, MAX_DISPLAY_SCALE);
        let count = exponent.unsigned_abs();
        if digits.is_zero() || (count > 1_000_000 && !digits.abs().is_one()) {
            let digits = BigInt::from(i32::from(exponent == 0));
            return Self::new(digits, 0).map(|zero| zero.round(result_scale));
        }
        let count = u32::try_from(count).unwrap_or(if count.is_multiple_of(2) { 2 } else { 1 });
        let power = Self::Finite { digits: digits.pow(count), scale: scale.saturating_mul(count) };
        if exponent < 0 {
            return Self::from_int(1).divide_to(&power, result_scale as u32);
        }
        power.round(result_scale).checked()
    }

    /// Itself, if the format has room for it.
    pub fn checked(self) -> Result<Self> {
        match self {
            Self::Finite { digits, scale } => Self::new(digits, scale),
            special => Ok(special),
        }
    }
}

/// The decimal logarithm, roughly: good enough to choose a scale by.
fn power_of_ten(number: &Numeric) -> f64 {
    let Numeric::Finite { digits, scale } = number else {
        return 0.0;
    };
    let text = digits.abs().to_str_radix(10);
    let head: f64 = text[..text.len().min(16)].parse().unwrap_or(1.0);
    if head == 0.0 {
        return 0.0;
    }
    head.log10() + (text.len() - text.len().min(16)) as f64 - f64::from(*scale)
}

fn infinite(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NaN,
        1 => Numeric::Infinity,
        _ => Numeric::MinusInfinity,
    }
}

fn special_quotient(a: &Numeric, b: &Numeric) -> Result<Option<Numeric>> {
    use Numeric::{Finite, Infinity, MinusInfinity, NaN};
    Ok(match (a, b) {
        (NaN, _) | (_, NaN) => Some(NaN),
        (_, b) if b.is_zero() => return Err(NumericError::DivisionByZero),
        (Finite { .. }, Finite { .. }) => None,
        (Finite { .. }, _) => Some(Numeric::from_int(0)),
        (a, Finite { .. }) => Some(infinite(a.signum() * b.signum())),
        (Infinity | MinusInfinity, Infinity | MinusInfinity) => Some(NaN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        text.parse().unwrap()
    }

    #[test]
    fn quotients_have_postgresql_s_scale() {
        for (a, b, quotient) in [
            ("1", "3", "0.33333333333333333333"),
            ("10", "3", "3.3333333333333333"),
            ("1", "2", "0.50000000000000000000"),
            ("100000", "7", "14285.714285714286"),
            ("1.23", "100", "0.01230000000000000000"),
        ] {
            assert_eq!(n(a).divide(&n(b)).unwrap().to_string(), quotient, "{a}/{b}");
        }
        assert_eq!(n("1").divide(&n("0")), Err(NumericError::DivisionByZero));
        assert_eq!(n("-7.5").remainder(&n("2")).unwrap().to_string(), "-1.5");
    }

    #[test]
    fn roots_and_powers() {
        assert_eq!(n("2").sqrt().unwrap().to_string(), "1.414213562373095");
        assert_eq!(n("10000").sqrt().unwrap().to_string(), "100.0000000000000");
        assert_eq!(n("2.0").power(3).unwrap().to_string(), "8.0000000000000000");
        assert_eq!(n("2").power(-2).unwrap().to_string(), "0.2500000000000000");
        assert_eq!(n("1e1000").power(1000), Err(NumericError::Overflow));
    }
}
