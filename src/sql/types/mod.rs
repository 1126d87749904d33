//! Data types: PostgreSQL's OIDs, names and categories, and the values of them.
//!
//! A type is its OID, looked up in one table (`TYPES`), as `pg_type` will be; nothing else enumerates types. A value
//! ([`Datum`]) knows its shape but not its type: `text` and `varchar` share one shape, and the analysed tree says which.

pub mod array;
mod array_in;
pub mod binary;
pub mod calendar;
pub mod compare;
pub mod datetime_in;
pub mod datetime_out;
mod datetime_words;
pub mod datum;
pub mod formats;
pub mod inet;
pub mod input;
pub mod interval;
pub mod json;
pub mod lexical;
pub mod names;
pub mod numeric;
mod numeric_math;
pub mod output;
pub mod stored;
mod table;
pub mod zone;

use std::fmt;

pub use array::Array;
pub use binary::encode;
pub use datum::{Datum, Interval, Row};
pub use formats::{Formats, Wire};
pub use numeric::Numeric;
use table::TYPES;

/// A data type, by its OID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type(u32);

/// What `pg_type` says of a type.
pub struct TypeInfo {
    /// The type.
    pub oid: u32,
    /// `typname`.
    pub name: &'static str,
    /// As `format_type` prints it.
    pub sql_name: &'static str,
    /// Bytes in storage; -1 varies, -2 ends by a zero byte.
    pub len: i16,
    /// `typcategory`: types of one category are candidates for each other.
    pub category: u8,
    /// Whether its category prefers it.
    pub preferred: bool,
    /// The type of arrays of it, 0 if there is none.
    pub array: u32,
}

impl Type {
    /// `integer[]`.
    pub const INT4_ARRAY: Self = Self(1007);
    /// `smallint[]`.
    pub const INT2_ARRAY: Self = Self(1005);
    /// `oid[]`.
    pub const OID_ARRAY: Self = Self(1028);
    /// `name[]`.
    pub const NAME_ARRAY: Self = Self(1003);
    /// `text[]`, which the views' columns need as a constant.
    pub const TEXT_ARRAY: Self = Self(1009);

    /// The type of an OID, if there is one.
    pub fn from_oid(oid: u32) -> Option<Self> {
        let ty = Self(oid);
        (ty.find().is_some() || ty.element().is_some()).then_some(ty)
    }

    /// Its OID.
    pub const fn oid(self) -> u32 {
        self.0
    }

    fn find(self) -> Option<&'static TypeInfo> {
        TYPES.binary_search_by_key(&self.0, |info| info.oid).ok().map(|at| &TYPES[at])
    }

    /// The type of its elements, if it is an array.
    pub fn element(self) -> Option<Self> {
        TYPES.iter().find(|info| info.array == self.0 && info.array != 0).map(|info| Self(info.oid))
    }

    /// The type of arrays of it.
    pub fn array(self) -> Option<Self> {
        self.find().filter(|info| info.array != 0).map(|info| Self(info.array))
    }

    /// `typname`, `_` and the element's for an array.
    pub fn name(self) -> String {
        match (self.find(), self.element()) {
            (Some(info), _) => info.name.to_owned(),
            (None, Some(element)) => format!("_{}", element.name()),
            (None, None) => self.0.to_string(),
        }
    }

    /// As messages name it.
    pub fn sql_name(self) -> String {
        match (self.find(), self.element()) {
            (Some(info), _) => info.sql_name.to_owned(),
            (None, Some(element)) => format!("{}[]", element.sql_name()),
            (None, None) => "???".to_owned(),
        }
    }

    /// Its storage length, -1 if that varies.
    #[expect(clippy::len_without_is_empty, reason = "PostgreSQL's typlen, no count")]
    pub fn len(self) -> i16 {
        self.find().map_or(-1, |info| info.len)
    }

    /// Its category; arrays have their own.
    pub fn category(self) -> u8 {
        self.find().map_or(b'A', |info| info.category)
    }

    /// Whether its category prefers it.
    pub fn preferred(self) -> bool {
        self.find().is_some_and(|info| info.preferred)
    }

    /// Whether it is one of the types that stand for others in function tables.
    pub fn is_polymorphic(self) -> bool {
        matches!(
            self,
            Self::ANYELEMENT
                | Self::ANYARRAY
                | Self::ANYNONARRAY
                | Self::ANYCOMPATIBLE
                | Self::ANYCOMPATIBLEARRAY
        )
    }

    /// Whether its values are OIDs that are shown by a name.
    pub fn is_object_name(self) -> bool {
        matches!(
            self,
            Self::REGPROC
                | Self::REGPROCEDURE
                | Self::REGOPER
                | Self::REGOPERATOR
                | Self::REGCLASS
                | Self::REGTYPE
                | Self::REGNAMESPACE
                | Self::REGROLE
                | Self::REGCOLLATION
        )
    }

    /// Whether it is text in one of its guises, without `"char"`.
    pub fn is_string(self) -> bool {
        matches!(self, Self::TEXT | Self::VARCHAR | Self::BPCHAR | Self::NAME)
    }

    /// The type of a `typname` or of a name that only SQL has.
    pub fn by_name(name: &str) -> Option<Self> {
        if let Some(info) = TYPES.iter().find(|info| info.name == name) {
            return Some(Self(info.oid));
        }
        name.strip_prefix('_').and_then(Self::by_name).and_then(Self::array)
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql_name())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(TYPES.windows(2).all(|pair| pair[0].oid < pair[1].oid));
    }

    #[test]
    fn arrays_know_their_elements_and_names() {
        let array = Type::INT4.array().unwrap();
        assert_eq!(array.oid(), 1007);
        assert_eq!(array.element(), Some(Type::INT4));
        assert_eq!(array.sql_name(), "integer[]");
        assert_eq!(Type::by_name("_int4"), Some(array));
        assert_eq!(Type::from_oid(1007), Some(array));
        assert_eq!(Type::from_oid(4_000_000), None);
    }
}
