//! The order of values: what `=`, `<`, sorting, grouping and `DISTINCT` go by.

use std::cmp::Ordering;

use super::calendar::{
    DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MICROS_PER_DAY, MICROS_PER_SECOND, MINUS_INFINITY,
};
use super::{Array, Datum, Formats, Numeric, interval};

/// Compares two values that are not NULL, of one type or of two that PostgreSQL compares directly. Texts compare by
/// bytes, as in the `C` locale. NULLs within arrays and rows come last.
pub fn compare(a: &Datum, b: &Datum, formats: &Formats) -> Ordering {
    use Datum::{
        Array as Arr, Bool, Bytea, Char, Interval, Null, Numeric as Num, Oid, Record, Text, Tid, Time, U64,
        Uuid,
    };
    match (a, b) {
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Greater,
        (_, Null) => Ordering::Less,
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Bool(a), Bool(b)) => a.cmp(b),
        (Num(a), Num(b)) => a.compare(b),
        (Char(a), Char(b)) => a.cmp(b),
        (Bytea(a), Bytea(b)) => a.cmp(b),
        (Oid(a), Oid(b)) => a.cmp(b),
        (Tid(a, b), Tid(c, d)) => (a, b).cmp(&(c, d)),
        (U64(a), U64(b)) => a.cmp(b),
        (Time(a), Time(b)) => a.cmp(b),
        (Uuid(a), Uuid(b)) => a.cmp(b),
        (Interval(a), Interval(b)) => interval::comparable(a).cmp(&interval::comparable(b)),
        (Arr(a), Arr(b)) => compare_arrays(a, b, formats),
        (Record(a), Record(b)) => {
            let fields = a.iter().zip(b.iter()).map(|(a, b)| compare(&a.1, &b.1, formats));
            fields.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
        }
        _ => compare_mixed(a, b, formats),
    }
}

fn compare_mixed(a: &Datum, b: &Datum, formats: &Formats) -> Ordering {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return a.cmp(&b);
    }
    if let (Some(a), Some(b)) = (float(a), float(b)) {
        return compare_floats(a, b);
    }
    match (a, b) {
        (Datum::Timestamptz(_), _) | (_, Datum::Timestamptz(_)) => {
            instant(a, formats).cmp(&instant(b, formats))
        }
        _ => local(a).cmp(&local(b)),
    }
}

fn whole(datum: &Datum) -> Option<i64> {
    match datum {
        Datum::Int2(value) => Some(i64::from(*value)),
        Datum::Int4(value) => Some(i64::from(*value)),
        Datum::Int8(value) => Some(*value),
        Datum::Oid(value) => Some(i64::from(*value)),
        _ => None,
    }
}

fn float(datum: &Datum) -> Option<f64> {
    match datum {
        Datum::Float4(value) => Some(f64::from(*value)),
        Datum::Float8(value) => Some(*value),
        _ => None,
    }
}

/// Not a number is equal to itself and above everything.
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Microseconds of a date or timestamp without zone.
fn local(datum: &Datum) -> i64 {
    match datum {
        Datum::Date(DATE_INFINITY) => INFINITY,
        Datum::Date(DATE_MINUS_INFINITY) => MINUS_INFINITY,
        Datum::Date(days) => i64::from(*days).saturating_mul(MICROS_PER_DAY),
        Datum::Timestamp(micros) | Datum::Timestamptz(micros) => *micros,
        _ => 0,
    }
}

fn instant(datum: &Datum, formats: &Formats) -> i64 {
    match (datum, local(datum)) {
        (Datum::Timestamptz(_), micros) => micros,
        (_, micros @ (INFINITY | MINUS_INFINITY)) => micros,
        (_, micros) => micros - i64::from(formats.zone.at_local(micros)) * MICROS_PER_SECOND,
    }
}

fn compare_arrays(a: &Array, b: &Array, formats: &Formats) -> Ordering {
    let items = a.items.iter().zip(&b.items).map(|(a, b)| compare(a, b, formats));
    items
        .fold(Ordering::Equal, Ordering::then)
        .then(a.items.len().cmp(&b.items.len()))
        .then(a.dimensions.len().cmp(&b.dimensions.len()))
        .then_with(|| a.dimensions.cmp(&b.dimensions))
}

/// Whether a value is numerically zero, for those that divide.
pub fn is_zero(datum: &Datum) -> bool {
    match datum {
        Datum::Numeric(value) => Numeric::is_zero(value),
        Datum::Float4(value) => *value == 0.0,
        Datum::Float8(value) => *value == 0.0,
        _ => whole(datum) == Some(0),
    }
}
