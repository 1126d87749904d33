//! Columns of the catalogs: for each of their types, what values are in the program and how they are stored.
//!
//! Arrays, and `oidvector` and its kin, are stored as SQL's layer stores every array: number of dimensions (a byte), type of
//! elements, then per dimension its length and first index, then each item's length (-1: null) and bytes; all numbers
//! little-endian.

use super::descriptor::AclItem;
use super::types::oids;
use crate::access::row::{Datum, OwnedDatum};
use crate::report::{Report, Result, SqlState};

/// A type that catalogs' columns have.
pub trait Kind {
    /// Values in the program.
    type Value;
    /// Its OID.
    const TYPE: u32;
    /// Whether nulls are refused.
    const NOT_NULL: bool = true;
    /// A stored value.
    fn read(datum: Datum<'_>) -> Option<Self::Value>;
    /// How it is stored.
    fn write(value: &Self::Value) -> OwnedDatum;
}

/// That a stored value is none of its column's.
pub(super) fn damaged(catalog: &str, column: &str) -> Box<Report> {
    let message = format!("a row of catalog \"{catalog}\" is damaged at column \"{column}\"");
    Report::error(SqlState::DATA_CORRUPTED, message)
}

/// A column that may be null.
#[derive(Debug)]
pub struct Opt<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for Opt<K> {
    type Value = Option<K::Value>;
    const TYPE: u32 = K::TYPE;
    const NOT_NULL: bool = false;

    fn read(datum: Datum<'_>) -> Option<Self::Value> {
        if datum.is_null() { Some(None) } else { K::read(datum).map(Some) }
    }

    fn write(value: &Self::Value) -> OwnedDatum {
        value.as_ref().map_or(OwnedDatum::Plain(Datum::Null), K::write)
    }
}

/// Kinds whose values are themselves what is stored.
macro_rules! plain {
    ($($name:ident: $value:ty = $type:ident as $variant:ident;)*) => {$(
        #[doc = concat!("`", stringify!($value), "`.")]
        #[derive(Debug)]
        pub struct $name;

        impl Kind for $name {
            type Value = $value;
            const TYPE: u32 = oids::$type;

            fn read(datum: Datum<'_>) -> Option<$value> {
                if let Datum::$variant(value) = datum { Some(value) } else { None }
            }

            fn write(value: &$value) -> OwnedDatum {
                OwnedDatum::Plain(Datum::$variant(*value))
            }
        }
    )*};
}

plain! {
    Bool: bool = BOOL as Bool;
    Int2: i16 = INT2 as Int16;
    Int4: i32 = INT4 as Int32;
    Int8: i64 = INT8 as Int64;
    Float4: f32 = FLOAT4 as Float32;
    Timestamptz: i64 = TIMESTAMPTZ as Int64;
}

/// Kinds that are stored as bytes.
macro_rules! bytes {
    ($($name:ident: $value:ty = $type:ident, $read:expr, $write:expr;)*) => {$(
        #[doc = concat!("`", stringify!($name), "`.")]
        #[derive(Debug)]
        pub struct $name;

        impl Kind for $name {
            type Value = $value;
            const TYPE: u32 = oids::$type;

            fn read(datum: Datum<'_>) -> Option<$value> {
                let Datum::Bytes(bytes) = datum else { return None };
                let read: fn(&[u8]) -> Option<$value> = $read;
                read(bytes)
            }

            fn write(value: &$value) -> OwnedDatum {
                let write: fn(&$value) -> Vec<u8> = $write;
                OwnedDatum::Bytes(write(value).into())
            }
        }
    )*};
}

bytes! {
    Oid: u32 = OID, read_oid, write_oid;
    Regproc: u32 = REGPROC, read_oid, write_oid;
    Xid: u32 = XID, read_oid, write_oid;
    Char: u8 = CHAR, |bytes| bytes.first().copied(), |value| vec![*value];
    Name: String = NAME, read_text, |value| write_text(value);
    Text: String = TEXT, read_text, |value| write_text(value);
    NodeTree: String = NODE_TREE, read_text, |value| write_text(value);
    AnyArray: Vec<u8> = ANYARRAY, |bytes| Some(bytes.to_vec()), Clone::clone;
    Int2Vector: Vec<i16> = INT2VECTOR, read_int2s, |value| write_int2s(value, 0);
    Int2s: Vec<i16> = INT2_ARRAY, read_int2s, |value| write_int2s(value, 1);
    OidVector: Vec<u32> = OIDVECTOR, read_oids, |value| write_oids(value, 0);
    Oids: Vec<u32> = OID_ARRAY, read_oids, |value| write_oids(value, 1);
    Texts: Vec<String> = TEXT_ARRAY, read_texts, |value| write_texts(value);
    Acl: Vec<AclItem> = ACLITEM_ARRAY, read_acl, |value| write_acl(value);
    Float4s: Vec<f32> = FLOAT4_ARRAY, read_float4s, |value| write_float4s(value);
}

fn read_oid(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn write_oid(value: &u32) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

fn read_text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn write_text(value: &str) -> Vec<u8> {
    value.as_bytes().to_vec()
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(first)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    take(rest).map(|bytes| i32::from_le_bytes(*bytes))
}

/// Items of a stored array of one dimension, or of none.
pub fn read_array(bytes: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let mut rest = bytes;
    let [dimensions] = *take::<1>(&mut rest)?;
    take_i32(&mut rest)?;
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let mut count: usize = 1;
    for _ in 0..dimensions {
        count = count.checked_mul(usize::try_from(take_i32(&mut rest)?).ok()?)?;
        take_i32(&mut rest)?;
    }
    let mut items = Vec::new();
    for _ in 0..count {
        let length = take_i32(&mut rest)?;
        items.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let (item, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(item)
            }
        });
    }
    Some(items)
}

/// An array of one dimension, stored; none if it is empty, but for vectors, which begin at 0.
pub fn write_array<'a>(element: u32, first: i32, items: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let has_dimension = items.len() > 0 || first == 0;
    let mut bytes = vec![has_dimension.into()];
    bytes.extend_from_slice(&element.to_le_bytes());
    if has_dimension {
        bytes.extend_from_slice(&(items.len() as i32).to_le_bytes());
        bytes.extend_from_slice(&first.to_le_bytes());
    }
    for item in items {
        bytes.extend_from_slice(&(item.len() as i32).to_le_bytes());
        bytes.extend_from_slice(item);
    }
    bytes
}

fn read_items<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<T>> {
    read_array(bytes)?.into_iter().map(|item| read(item?)).collect()
}

fn write_items<T, const N: usize>(
    element: u32,
    first: i32,
    values: &[T],
    write: impl Fn(&T) -> [u8; N],
) -> Vec<u8> {
    let items: Vec<[u8; N]> = values.iter().map(write).collect();
    write_array(element, first, items.iter().map(<[u8; N]>::as_slice))
}

fn read_int2s(bytes: &[u8]) -> Option<Vec<i16>> {
    read_items(bytes, |item| item.try_into().ok().map(i16::from_le_bytes))
}

fn write_int2s(values: &[i16], first: i32) -> Vec<u8> {
    write_items(oids::INT2, first, values, |value| value.to_le_bytes())
}

fn read_oids(bytes: &[u8]) -> Option<Vec<u32>> {
    read_items(bytes, read_oid)
}

fn write_oids(values: &[u32], first: i32) -> Vec<u8> {
    write_items(oids::OID, first, values, |value| value.to_be_bytes())
}

fn read_float4s(bytes: &[u8]) -> Option<Vec<f32>> {
    read_items(bytes, |item| item.try_into().ok().map(f32::from_le_bytes))
}

fn write_float4s(values: &[f32]) -> Vec<u8> {
    write_items(oids::FLOAT4, 1, values, |value| value.to_le_bytes())
}

fn read_texts(bytes: &[u8]) -> Option<Vec<String>> {
    read_items(bytes, read_text)
}

fn write_texts(values: &[String]) -> Vec<u8> {
    write_array(oids::TEXT, 1, values.iter().map(String::as_bytes))
}

fn read_acl(bytes: &[u8]) -> Option<Vec<AclItem>> {
    read_items(bytes, |item| {
        let mut rest = item;
        let grantee = u32::from_be_bytes(*take(&mut rest)?);
        let grantor = u32::from_be_bytes(*take(&mut rest)?);
        Some(AclItem { grantee, grantor, privileges: u64::from_be_bytes(*take(&mut rest)?) })
    })
}

fn write_acl(values: &[AclItem]) -> Vec<u8> {
    write_items(oids::ACLITEM, 1, values, |item| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&item.grantee.to_be_bytes());
        bytes[4..8].copy_from_slice(&item.grantor.to_be_bytes());
        bytes[8..].copy_from_slice(&item.privileges.to_be_bytes());
        bytes
    })
}

/// A value as an item of an array, and back: fixed ones as their bytes.
pub fn item_bytes(value: Datum<'_>) -> Result<Vec<u8>> {
    Ok(match value {
        Datum::Bool(value) => vec![value.into()],
        Datum::Int16(value) => value.to_le_bytes().to_vec(),
        Datum::Int32(value) => value.to_le_bytes().to_vec(),
        Datum::Int64(value) => value.to_le_bytes().to_vec(),
        Datum::Float32(value) => value.to_le_bytes().to_vec(),
        Datum::Float64(value) => value.to_le_bytes().to_vec(),
        Datum::Bytes(bytes) => bytes.to_vec(),
        Datum::Null | Datum::Compressed(_) | Datum::External(_) => {
            return Err(Report::error(SqlState::INTERNAL_ERROR, "a value cannot be an item of an array"));
        }
    })
}

/// The value that an item of an array is.
pub fn item_value(storage: crate::access::ColumnStorage, bytes: &[u8]) -> Option<OwnedDatum> {
    use crate::access::ColumnStorage as S;
    let plain = match storage {
        S::Bool => Datum::Bool(*bytes.first()? != 0),
        S::Int16 => Datum::Int16(i16::from_le_bytes(bytes.try_into().ok()?)),
        S::Int32 => Datum::Int32(i32::from_le_bytes(bytes.try_into().ok()?)),
        S::Int64 => Datum::Int64(i64::from_le_bytes(bytes.try_into().ok()?)),
        S::Float32 => Datum::Float32(f32::from_le_bytes(bytes.try_into().ok()?)),
        S::Float64 => Datum::Float64(f64::from_le_bytes(bytes.try_into().ok()?)),
        S::Fixed(_) | S::Variable => return Some(OwnedDatum::Bytes(bytes.into())),
    };
    Some(OwnedDatum::Plain(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back<K: Kind>(value: &K::Value) -> K::Value {
        K::read(K::write(value).as_datum()).expect("what was written")
    }

    #[test]
    fn values_survive_their_storage() {
        assert_eq!(back::<Oid>(&0x8000_0001), 0x8000_0001);
        assert_eq!(back::<Int2Vector>(&vec![1, -2]), [1, -2]);
        assert_eq!(back::<Oids>(&Vec::new()), [0; 0]);
        assert_eq!(back::<Texts>(&vec!["a=b".into(), String::new()]), ["a=b", ""]);
        assert_eq!(back::<Opt<Name>>(&None), None);
        let acl = vec![AclItem { grantee: 0, grantor: 10, privileges: 1 << 33 | 2 }];
        assert_eq!(back::<Acl>(&acl), acl);
    }

    #[test]
    fn damaged_arrays_are_none_and_nothing_panics() {
        let whole = write_texts(&["some".into(), "text".into()]);
        for length in 0..whole.len() {
            assert_eq!(read_texts(&whole[..length]), None, "{length} bytes");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            let _ = read_texts(&bytes);
        }
    }
}
