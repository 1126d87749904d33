//! Values as rows on pages have them: between [`Datum`] and the storage's own values.
//!
//! Numbers are stored as numbers, and what is ordered like its bytes as those bytes, so that indexes compare without knowing
//! the type. `oid` and its kin stand with their highest byte first for that reason. Only `numeric`, `interval`, arrays,
//! `bpchar` and `jsonb` need a comparison of their own.

use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::BigInt;

use super::compare::compare;
use super::{Array, Datum, Formats, Interval, Numeric, Type};
use crate::access::btree::Comparison;
use crate::access::row::{ColumnStorage, Datum as Stored};
use crate::report::{Report, Result, SqlState};

/// How a type's values become bytes and come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// `boolean`.
    Bool,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `real`.
    Float4,
    /// `double precision`.
    Float8,
    /// `date`.
    Date,
    /// `time`.
    Time,
    /// `timestamp`.
    Timestamp,
    /// `timestamptz`.
    Timestamptz,
    /// `oid`, `xid` and the `reg…` types.
    Oid,
    /// `xid8` and `pg_lsn`.
    U64,
    /// `"char"`.
    Char,
    /// `uuid`.
    Uuid,
    /// `tid`.
    Tid,
    /// `interval`.
    Interval,
    /// `numeric`.
    Numeric,
    /// `bytea`.
    Bytea,
    /// An array.
    Array,
    /// Everything that is its text.
    Text,
}

impl Codec {
    /// That of a type.
    pub fn of(ty: Type) -> Self {
        match ty {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::Timestamptz,
            Type::OID | Type::XID | Type::CID => Self::Oid,
            _ if ty.is_object_name() => Self::Oid,
            Type::XID8 | Type::PG_LSN => Self::U64,
            Type::CHAR => Self::Char,
            Type::UUID => Self::Uuid,
            Type::TID => Self::Tid,
            Type::INTERVAL => Self::Interval,
            Type::NUMERIC => Self::Numeric,
            Type::BYTEA => Self::Bytea,
            Type::INT2VECTOR | Type::OIDVECTOR => Self::Array,
            _ if ty.element().is_some() => Self::Array,
            _ => Self::Text,
        }
    }

    /// How its column is stored.
    pub const fn storage(self) -> ColumnStorage {
        match self {
            Self::Bool => ColumnStorage::Bool,
            Self::Int2 => ColumnStorage::Int16,
            Self::Int4 | Self::Date => ColumnStorage::Int32,
            Self::Int8 | Self::Time | Self::Timestamp | Self::Timestamptz => ColumnStorage::Int64,
            Self::Float4 => ColumnStorage::Float32,
            Self::Float8 => ColumnStorage::Float64,
            Self::Oid => ColumnStorage::Fixed(4),
            Self::U64 => ColumnStorage::Fixed(8),
            Self::Char => ColumnStorage::Fixed(1),
            Self::Uuid | Self::Interval => ColumnStorage::Fixed(16),
            Self::Tid => ColumnStorage::Fixed(6),
            Self::Numeric | Self::Bytea | Self::Array | Self::Text => ColumnStorage::Variable,
        }
    }
}

/// How an index compares a type's values; `None`: there is no order of them.
pub fn comparison(ty: Type) -> Option<Comparison> {
    match Codec::of(ty) {
        Codec::Numeric => Some(Comparison::Custom(compare_numerics)),
        Codec::Interval => Some(Comparison::Custom(compare_intervals)),
        Codec::Array => {
            comparison(ty.element()?)?;
            Some(Comparison::Custom(compare_arrays))
        }
        Codec::Text if ty == Type::BPCHAR => Some(Comparison::Custom(compare_padded)),
        Codec::Text if ty.is_string() => Some(Comparison::Physical),
        Codec::Text => None,
        Codec::Oid if matches!(ty, Type::XID | Type::CID) => None,
        _ => Some(Comparison::Physical),
    }
}

fn bytes_of<'a>(stored: Stored<'a>) -> &'a [u8] {
    match stored {
        Stored::Bytes(bytes) => bytes,
        _ => &[],
    }
}

fn compare_decoded(codec: Codec, a: Stored<'_>, b: Stored<'_>) -> Ordering {
    // What cannot be read has no order; whoever reads the row says so.
    let (Ok(a), Ok(b)) = (decode(a, codec), decode(b, codec)) else { return Ordering::Equal };
    compare(&a, &b, &Formats::default())
}

fn compare_numerics(a: Stored<'_>, b: Stored<'_>) -> Ordering {
    compare_decoded(Codec::Numeric, a, b)
}

fn compare_intervals(a: Stored<'_>, b: Stored<'_>) -> Ordering {
    compare_decoded(Codec::Interval, a, b)
}

fn compare_arrays(a: Stored<'_>, b: Stored<'_>) -> Ordering {
    compare_decoded(Codec::Array, a, b)
}

fn compare_padded(a: Stored<'_>, b: Stored<'_>) -> Ordering {
    bytes_of(a).trim_ascii_end().cmp(bytes_of(b).trim_ascii_end())
}

/// Values of a row on their way to a page: what is not there as bytes already is made here.
#[derive(Default, Debug)]
pub struct Scratch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Scratch {
    /// The values as the storage takes them; there are as many codecs as values.
    pub fn encode<'a>(&'a mut self, row: &'a [Datum], codecs: &[Codec]) -> Vec<Stored<'a>> {
        self.bytes.clear();
        self.ends.clear();
        for datum in row {
            append_made(datum, &mut self.bytes);
            self.ends.push(self.bytes.len());
        }
        let mut start = 0;
        let mut stored = Vec::with_capacity(row.len());
        for ((datum, end), codec) in row.iter().zip(&self.ends).zip(codecs) {
            stored.push(as_stored(datum, &self.bytes[start..*end], *codec));
            start = *end;
        }
        stored
    }
}

fn as_stored<'a>(datum: &'a Datum, made: &'a [u8], codec: Codec) -> Stored<'a> {
    match datum {
        Datum::Null => Stored::Null,
        Datum::Bool(value) => Stored::Bool(*value),
        Datum::Int2(value) => Stored::Int16(*value),
        Datum::Int4(value) | Datum::Date(value) => Stored::Int32(*value),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::Timestamptz(value) => {
            Stored::Int64(*value)
        }
        Datum::Float4(value) => Stored::Float32(*value),
        Datum::Float8(value) => Stored::Float64(*value),
        Datum::Text(text) if codec == Codec::Text => Stored::Bytes(text.as_bytes()),
        Datum::Bytea(bytes) => Stored::Bytes(bytes),
        _ => Stored::Bytes(made),
    }
}

/// Bytes of a value that has none of its own.
fn append_made(datum: &Datum, to: &mut Vec<u8>) {
    match datum {
        Datum::Oid(oid) => to.extend(oid.to_be_bytes()),
        Datum::U64(value) => to.extend(value.to_be_bytes()),
        Datum::Char(byte) => to.push(*byte),
        Datum::Uuid(bytes) => to.extend(bytes),
        Datum::Tid(block, line) => {
            to.extend(block.to_be_bytes());
            to.extend(line.to_be_bytes());
        }
        Datum::Interval(interval) => {
            to.extend(interval.micros.to_le_bytes());
            to.extend(interval.days.to_le_bytes());
            to.extend(interval.months.to_le_bytes());
        }
        Datum::Numeric(value) => append_numeric(value, to),
        Datum::Array(array) => append_array(array, to),
        _ => {}
    }
}

const FINITE: u8 = 0;
const MINUS_INFINITY: u8 = 1;
const INFINITY: u8 = 2;
const NAN: u8 = 3;

fn append_numeric(value: &Numeric, to: &mut Vec<u8>) {
    match value {
        Numeric::Finite { digits, scale } => {
            to.push(FINITE);
            to.extend((*scale as u16).to_le_bytes());
            to.extend(digits.to_signed_bytes_le());
        }
        Numeric::MinusInfinity => to.push(MINUS_INFINITY),
        Numeric::Infinity => to.push(INFINITY),
        Numeric::NaN => to.push(NAN),
    }
}

fn append_array(array: &Array, to: &mut Vec<u8>) {
    to.push(array.dimensions.len() as u8);
    to.extend(array.element.oid().to_le_bytes());
    for (length, lower) in &array.dimensions {
        to.extend(length.to_le_bytes());
        to.extend(lower.to_le_bytes());
    }
    for item in &array.items {
        if item.is_null() {
            to.extend((-1_i32).to_le_bytes());
            continue;
        }
        let at = to.len();
        to.extend([0; 4]);
        append_item(item, to);
        let length = (to.len() - at - 4) as i32;
        to[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

fn append_item(item: &Datum, to: &mut Vec<u8>) {
    match item {
        Datum::Bool(value) => to.push((*value).into()),
        Datum::Int2(value) => to.extend(value.to_le_bytes()),
        Datum::Int4(value) | Datum::Date(value) => to.extend(value.to_le_bytes()),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::Timestamptz(value) => {
            to.extend(value.to_le_bytes());
        }
        Datum::Float4(value) => to.extend(value.to_le_bytes()),
        Datum::Float8(value) => to.extend(value.to_le_bytes()),
        Datum::Text(text) => to.extend(text.as_bytes()),
        Datum::Bytea(bytes) => to.extend(&**bytes),
        other => append_made(other, to),
    }
}

#[cold]
fn damaged() -> Box<Report> {
    Report::error(SqlState::DATA_CORRUPTED, "a stored value is damaged")
}

/// A value as it was stored.
///
/// # Errors
/// XX001 if it is no value of the codec's type.
pub fn decode(stored: Stored<'_>, codec: Codec) -> Result<Datum> {
    Ok(match (codec, stored) {
        (_, Stored::Null) => Datum::Null,
        (Codec::Int4, Stored::Int32(value)) => Datum::Int4(value),
        (Codec::Int8, Stored::Int64(value)) => Datum::Int8(value),
        (Codec::Text, Stored::Bytes(bytes)) => {
            Datum::Text(std::str::from_utf8(bytes).map_err(|_| damaged())?.into())
        }
        (Codec::Bool, Stored::Bool(value)) => Datum::Bool(value),
        (Codec::Int2, Stored::Int16(value)) => Datum::Int2(value),
        (Codec::Float4, Stored::Float32(value)) => Datum::Float4(value),
        (Codec::Float8, Stored::Float64(value)) => Datum::Float8(value),
        (Codec::Date, Stored::Int32(value)) => Datum::Date(value),
        (Codec::Time, Stored::Int64(value)) => Datum::Time(value),
        (Codec::Timestamp, Stored::Int64(value)) => Datum::Timestamp(value),
        (Codec::Timestamptz, Stored::Int64(value)) => Datum::Timestamptz(value),
        (_, Stored::Bytes(bytes)) => decode_bytes(bytes, codec).ok_or_else(damaged)?,
        _ => return Err(damaged()),
    })
}

fn decode_bytes(bytes: &[u8], codec: Codec) -> Option<Datum> {
    Some(match codec {
        Codec::Oid => Datum::Oid(u32::from_be_bytes(bytes.try_into().ok()?)),
        Codec::U64 => Datum::U64(u64::from_be_bytes(bytes.try_into().ok()?)),
        Codec::Char => Datum::Char(*bytes.first()?),
        Codec::Uuid => Datum::Uuid(bytes.try_into().ok()?),
        Codec::Tid => {
            let (block, line) = bytes.split_first_chunk()?;
            Datum::Tid(u32::from_be_bytes(*block), u16::from_be_bytes(line.try_into().ok()?))
        }
        Codec::Interval => {
            let (micros, rest) = bytes.split_first_chunk()?;
            let (days, months) = rest.split_first_chunk()?;
            Datum::Interval(Interval {
                micros: i64::from_le_bytes(*micros),
                days: i32::from_le_bytes(*days),
                months: i32::from_le_bytes(months.try_into().ok()?),
            })
        }
        Codec::Numeric => Datum::numeric(read_numeric(bytes)?),
        Codec::Bytea => Datum::Bytea(bytes.into()),
        Codec::Array => Datum::Array(Arc::new(read_array(bytes)?)),
        _ => return None,
    })
}

fn read_numeric(bytes: &[u8]) -> Option<Numeric> {
    Some(match bytes.split_first()? {
        (&FINITE, rest) => {
            let (scale, digits) = rest.split_first_chunk()?;
            let scale = u32::from(u16::from_le_bytes(*scale));
            Numeric::Finite { digits: BigInt::from_signed_bytes_le(digits), scale }
        }
        (&MINUS_INFINITY, _) => Numeric::MinusInfinity,
        (&INFINITY, _) => Numeric::Infinity,
        (&NAN, _) => Numeric::NaN,
        _ => return None,
    })
}

fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i32::from_le_bytes(*number))
}

fn read_array(bytes: &[u8]) -> Option<Array> {
    let (&count, mut rest) = bytes.split_first()?;
    let element = Type::from_oid(take_i32(&mut rest)? as u32)?;
    let codec = Codec::of(element);
    let mut dimensions = Vec::with_capacity(count.into());
    for _ in 0..count {
        dimensions.push((take_i32(&mut rest)?, take_i32(&mut rest)?));
    }
    let mut items = Vec::new();
    while !rest.is_empty() {
        let Ok(length) = usize::try_from(take_i32(&mut rest)?) else {
            items.push(Datum::Null);
            continue;
        };
        let (item, behind) = rest.split_at_checked(length)?;
        rest = behind;
        items.push(read_item(item, codec)?);
    }
    Some(Array { element, dimensions, items })
}

fn read_item(bytes: &[u8], codec: Codec) -> Option<Datum> {
    let stored = match codec.storage() {
        ColumnStorage::Bool => Stored::Bool(*bytes.first()? != 0),
        ColumnStorage::Int16 => Stored::Int16(i16::from_le_bytes(bytes.try_into().ok()?)),
        ColumnStorage::Int32 => Stored::Int32(i32::from_le_bytes(bytes.try_into().ok()?)),
        ColumnStorage::Int64 => Stored::Int64(i64::from_le_bytes(bytes.try_into().ok()?)),
        ColumnStorage::Float32 => Stored::Float32(f32::from_le_bytes(bytes.try_into().ok()?)),
        ColumnStorage::Float64 => Stored::Float64(f64::from_le_bytes(bytes.try_into().ok()?)),
        ColumnStorage::Fixed(_) | ColumnStorage::Variable => Stored::Bytes(bytes),
    };
    decode(stored, codec).ok()
}

#[cfg(test)]
mod tests {
    use super::super::input;
    use super::*;
    use crate::access::row::{RowLayout, RowReader};

    fn values() -> Vec<(Type, &'static str)> {
        vec![
            (Type::BOOL, "t"),
            (Type::INT2, "-7"),
            (Type::INT4, "2147483647"),
            (Type::INT8, "-9223372036854775808"),
            (Type::FLOAT4, "1.5"),
            (Type::FLOAT8, "NaN"),
            (Type::NUMERIC, "-123456789012345678901234567890.0120"),
            (Type::NUMERIC, "Infinity"),
            (Type::NUMERIC, "0.00"),
            (Type::TEXT, "äöü"),
            (Type::BPCHAR, "a  "),
            (Type::BYTEA, "\\x00ff"),
            (Type::OID, "4294967295"),
            (Type::PG_LSN, "1/FF"),
            (Type::CHAR, "x"),
            (Type::DATE, "2024-02-29"),
            (Type::TIME, "23:59:59.5"),
            (Type::TIMESTAMP, "infinity"),
            (Type::TIMESTAMPTZ, "2024-02-29 12:00:00+02"),
            (Type::INTERVAL, "1 mon -2 days 03:04:05.678"),
            (Type::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (Type::JSONB, "{\"a\": 1}"),
            (Type::INT4_ARRAY, "[0:1]={1,NULL}"),
            (Type::TEXT_ARRAY, "{{a,b},{c,d}}"),
            (Type::TEXT_ARRAY, "{}"),
        ]
    }

    #[test]
    fn values_survive_their_row() {
        let formats = Formats::default();
        let of = |(ty, text): &(Type, &str)| input::parse(text, *ty, &formats, 0).unwrap();
        let mut row: Vec<Datum> = values().iter().map(of).collect();
        row.push(Datum::Null);
        let mut codecs: Vec<Codec> = values().iter().map(|(ty, _)| Codec::of(*ty)).collect();
        codecs.push(Codec::Tid);
        let layout = RowLayout::of(&codecs.iter().map(|codec| codec.storage()).collect::<Vec<_>>());
        let (mut scratch, mut bytes) = (Scratch::default(), Vec::new());
        layout.encode(&scratch.encode(&row, &codecs), &mut bytes).unwrap();
        let mut reader = RowReader::new(&layout, &bytes).unwrap();
        for (at, (datum, codec)) in row.iter().zip(&codecs).enumerate() {
            let read = decode(reader.get(at).unwrap(), *codec).unwrap();
            match (datum, &read) {
                (Datum::Float8(a), Datum::Float8(b)) if a.is_nan() => assert!(b.is_nan()),
                _ => assert_eq!(*datum, read, "{at}"),
            }
        }
    }

    #[test]
    fn stored_values_compare_as_the_values_do() {
        let formats = Formats::default();
        for (ty, texts) in [
            (Type::NUMERIC, ["-Infinity", "-1.50", "0", "2.0", "10"].as_slice()),
            (Type::OID, &["1", "256", "65536", "4294967295"]),
            (Type::INTERVAL, &["-1 day", "1 day", "1 mon", "31 days"]),
            (Type::BPCHAR, &["a", "a b", "b   "]),
            (Type::INT4_ARRAY, &["{}", "{1}", "{1,2}", "{2}"]),
        ] {
            let Some(Comparison::Custom(by)) = comparison(ty) else {
                assert!(matches!(comparison(ty), Some(Comparison::Physical)));
                continue;
            };
            let row: Vec<Datum> =
                texts.iter().map(|text| input::parse(text, ty, &formats, 0).unwrap()).collect();
            let codecs = vec![Codec::of(ty); row.len()];
            let mut scratch = Scratch::default();
            let stored = scratch.encode(&row, &codecs);
            for pair in stored.windows(2) {
                assert_eq!(by(pair[0], pair[1]), Ordering::Less, "{ty}");
                assert_eq!(by(pair[0], pair[0]), Ordering::Equal, "{ty}");
            }
        }
    }

    #[test]
    fn damaged_values_are_errors() {
        for (codec, bytes) in [
            (Codec::Oid, [1, 2, 3].as_slice()),
            (Codec::Numeric, &[]),
            (Codec::Numeric, &[9]),
            (Codec::Array, &[1, 23, 0, 0, 0, 1]),
            (Codec::Text, &[0xff]),
            (Codec::Tid, &[0; 5]),
        ] {
            assert!(decode(Stored::Bytes(bytes), codec).is_err(), "{codec:?}");
        }
    }
}
