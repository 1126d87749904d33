//! Values by which equal ones are found at once.

use std::sync::Arc;

use crate::sql::types::{Datum, Numeric, Type};

/// A value, such that equal values are the same key.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum HashKey {
    /// NULL, which groups with itself and joins with nothing.
    Null,
    /// Numbers without a point, dates, times.
    Whole(i64),
    /// Floats by their bits; zero has no sign, and all that is no number is the same.
    Float(u64),
    /// Texts; of a numeric, its digits without zeros at the end.
    Text(Arc<str>),
    /// Bytes.
    Bytes(Arc<[u8]>),
}

/// Whether values of a type have keys.
pub fn is_hashable(ty: Type) -> bool {
    class(ty).is_some()
}

/// Types whose keys mean the same have the same number.
fn class(ty: Type) -> Option<u8> {
    Some(match ty {
        Type::BOOL => 0,
        Type::INT2 | Type::INT4 | Type::INT8 => 1,
        Type::OID | Type::REGCLASS | Type::REGTYPE => 2,
        Type::FLOAT4 | Type::FLOAT8 => 3,
        Type::TEXT | Type::VARCHAR | Type::NAME => 4,
        Type::BPCHAR => 5,
        Type::NUMERIC => 6,
        Type::DATE => 7,
        Type::TIME => 8,
        Type::TIMESTAMP => 9,
        Type::TIMESTAMPTZ => 10,
        Type::UUID => 11,
        Type::BYTEA => 12,
        Type::CHAR => 13,
        _ => return None,
    })
}

/// Whether equal values of two types have equal keys.
pub fn agree(a: Type, b: Type) -> bool {
    class(a) == class(b)
}

/// A value's key; `None`: it has none.
pub fn key_of(datum: &Datum, ty: Type) -> Option<HashKey> {
    Some(match datum {
        Datum::Null => HashKey::Null,
        Datum::Bool(value) => HashKey::Whole((*value).into()),
        Datum::Int2(value) => HashKey::Whole((*value).into()),
        Datum::Int4(value) | Datum::Date(value) => HashKey::Whole((*value).into()),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::Timestamptz(value) => {
            HashKey::Whole(*value)
        }
        Datum::Oid(value) => HashKey::Whole((*value).into()),
        Datum::Char(value) => HashKey::Whole((*value).into()),
        Datum::Float4(value) => float(f64::from(*value)),
        Datum::Float8(value) => float(*value),
        Datum::Text(text) if ty == Type::BPCHAR => HashKey::Text(text.trim_end_matches(' ').into()),
        Datum::Text(text) => HashKey::Text(text.clone()),
        Datum::Numeric(value) => HashKey::Text(digits(value)),
        Datum::Uuid(bytes) => HashKey::Bytes(bytes.as_slice().into()),
        Datum::Bytea(bytes) => HashKey::Bytes(bytes.clone()),
        _ => return None,
    })
}

fn float(value: f64) -> HashKey {
    let plain = if value == 0.0 { 0.0 } else { value };
    HashKey::Float(if plain.is_nan() { f64::NAN.to_bits() } else { plain.to_bits() })
}

fn digits(value: &Numeric) -> Arc<str> {
    let text = value.to_string();
    if !text.contains('.') {
        return text.into();
    }
    text.trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_keys() {
        let numeric = |text: &str| Datum::numeric(text.parse::<Numeric>().unwrap());
        for (a, b, ty) in [
            (Datum::Int2(7), Datum::Int8(7), Type::INT8),
            (Datum::Float4(0.5), Datum::Float8(0.5), Type::FLOAT8),
            (Datum::Float8(0.0), Datum::Float8(-0.0), Type::FLOAT8),
            (numeric("1.50"), numeric("1.5"), Type::NUMERIC),
            (numeric("100"), numeric("100.000"), Type::NUMERIC),
            (Datum::text("a  "), Datum::text("a"), Type::BPCHAR),
        ] {
            assert_eq!(key_of(&a, ty), key_of(&b, ty), "{a:?} {b:?}");
        }
        assert_ne!(key_of(&numeric("100"), Type::NUMERIC), key_of(&numeric("1"), Type::NUMERIC));
    }
}
