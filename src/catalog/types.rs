//! What the catalog knows of types: how their values are stored, and what a column of them is by default.
//!
//! What values mean, and how those that are more than their bytes compare, is SQL's business, which hands comparisons in.

use crate::access::btree::Comparison;
use crate::access::row::ColumnStorage;

/// OIDs of types that catalogs' columns have.
pub mod oids {
    /// `bool`.
    pub const BOOL: u32 = 16;
    /// `"char"`.
    pub const CHAR: u32 = 18;
    /// `name`.
    pub const NAME: u32 = 19;
    /// `int8`.
    pub const INT8: u32 = 20;
    /// `int2`.
    pub const INT2: u32 = 21;
    /// `int2vector`.
    pub const INT2VECTOR: u32 = 22;
    /// `int4`.
    pub const INT4: u32 = 23;
    /// `regproc`.
    pub const REGPROC: u32 = 24;
    /// `text`.
    pub const TEXT: u32 = 25;
    /// `oid`.
    pub const OID: u32 = 26;
    /// `tid`.
    pub const TID: u32 = 27;
    /// `xid`.
    pub const XID: u32 = 28;
    /// `cid`.
    pub const CID: u32 = 29;
    /// `oidvector`.
    pub const OIDVECTOR: u32 = 30;
    /// `pg_node_tree`: here, SQL text.
    pub const NODE_TREE: u32 = 194;
    /// `float4`.
    pub const FLOAT4: u32 = 700;
    /// `float8`.
    pub const FLOAT8: u32 = 701;
    /// `int2[]`.
    pub const INT2_ARRAY: u32 = 1005;
    /// `"char"[]`.
    pub const CHAR_ARRAY: u32 = 1002;
    /// `text[]`.
    pub const TEXT_ARRAY: u32 = 1009;
    /// `oid[]`.
    pub const OID_ARRAY: u32 = 1028;
    /// `float4[]`.
    pub const FLOAT4_ARRAY: u32 = 1021;
    /// `aclitem`.
    pub const ACLITEM: u32 = 1033;
    /// `aclitem[]`.
    pub const ACLITEM_ARRAY: u32 = 1034;
    /// `bpchar`.
    pub const BPCHAR: u32 = 1042;
    /// `varchar`.
    pub const VARCHAR: u32 = 1043;
    /// `timestamptz`.
    pub const TIMESTAMPTZ: u32 = 1184;
    /// `anyarray`.
    pub const ANYARRAY: u32 = 2277;
}

/// The database's collation.
pub const DEFAULT_COLLATION: u32 = 100;
/// The collation `C`, which names have.
pub const C_COLLATION: u32 = 950;

/// How values of a type are stored; what is not named here is bytes behind their length.
///
/// OIDs and their kin are big-endian, so that their bytes have their order.
pub fn storage_of(type_oid: u32) -> ColumnStorage {
    match type_oid {
        oids::BOOL => ColumnStorage::Bool,
        oids::INT2 => ColumnStorage::Int16,
        // date
        oids::INT4 | 1082 => ColumnStorage::Int32,
        // time, timestamp, timestamptz, money
        oids::INT8 | 1083 | 1114 | oids::TIMESTAMPTZ | 790 => ColumnStorage::Int64,
        oids::FLOAT4 => ColumnStorage::Float32,
        oids::FLOAT8 => ColumnStorage::Float64,
        oids::CHAR => ColumnStorage::Fixed(1),
        _ if is_oid_like(type_oid) => ColumnStorage::Fixed(4),
        oids::TID => ColumnStorage::Fixed(6),
        // pg_lsn, xid8
        3220 | 5069 => ColumnStorage::Fixed(8),
        // interval, uuid
        1186 | 2950 => ColumnStorage::Fixed(16),
        _ => ColumnStorage::Variable,
    }
}

/// `oid`, `xid`, `cid`, and `regproc` and the others that are OIDs with names.
pub fn is_oid_like(type_oid: u32) -> bool {
    matches!(
        type_oid,
        oids::OID | oids::XID | oids::CID | oids::REGPROC | 2202..=2206 | 3734 | 3769 | 4089 | 4096 | 4191
    )
}

/// The collation of a column of a type where nobody names one; 0: it has none.
pub fn collation_of(type_oid: u32) -> u32 {
    match type_oid {
        oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::TEXT_ARRAY | 1014 | 1015 => DEFAULT_COLLATION,
        oids::NAME | 1003 => C_COLLATION,
        _ => 0,
    }
}

/// What may be done to long values of a type where nobody says otherwise: `p`, `m`, `x`.
pub fn strategy_of(type_oid: u32) -> u8 {
    match type_oid {
        oids::NAME | oids::INT2VECTOR | oids::OIDVECTOR => b'p',
        // numeric, inet, cidr
        1700 | 869 | 650 => b'm',
        _ if storage_of(type_oid) == ColumnStorage::Variable => b'x',
        _ => b'p',
    }
}

/// What SQL knows of types.
#[derive(Clone, Copy)]
pub struct TypeSupport {
    /// How values of a type compare, if that is not by their bytes or as numbers.
    pub comparison: fn(u32) -> Comparison,
}

impl TypeSupport {
    /// Nothing: enough for the catalogs' own columns.
    pub const PHYSICAL: Self = Self { comparison: |_| Comparison::Physical };
}

mod list;

/// A type of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Builtin {
    /// Its OID.
    pub oid: u32,
    /// Its name.
    pub name: &'static str,
    /// Bytes of a value, -1 variable, -2 a C string; as PostgreSQL has it, not as it is stored here.
    pub len: i16,
    /// Whether PostgreSQL passes it by value.
    pub by_value: bool,
    /// `b`, `p`, `r`, `m`, …
    pub kind: u8,
    /// Its category.
    pub category: u8,
    /// Whether it is preferred within that.
    pub is_preferred: bool,
    /// What stands between elements of arrays of it.
    pub delimiter: u8,
    /// Its elements' type; 0: none.
    pub element: u32,
    /// The type of arrays of it; 0: none.
    pub array: u32,
    /// `c`, `s`, `i`, `d`.
    pub align: u8,
    /// `p`, `e`, `m`, `x`.
    pub storage: u8,
    /// Its collation; 0: none.
    pub collation: u32,
    /// OIDs of its functions: input, output, receive, send, typmod in, typmod out, subscript, analyze.
    pub functions: [u32; 8],
}

/// The types of the program.
pub fn builtins() -> impl Iterator<Item = Builtin> {
    list::TYPES.lines().filter_map(read_builtin)
}

fn read_builtin(line: &'static str) -> Option<Builtin> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let letter = |word: &str| word.bytes().next().unwrap_or(b' ');
    let mut ty = Builtin {
        oid: word()?.parse().ok()?,
        name: word()?,
        len: word()?.parse().ok()?,
        by_value: word()? == "t",
        kind: letter(word()?),
        category: letter(word()?),
        is_preferred: word()? == "t",
        delimiter: letter(word()?),
        element: word()?.parse().ok()?,
        array: word()?.parse().ok()?,
        align: letter(word()?),
        storage: letter(word()?),
        collation: word()?.parse().ok()?,
        functions: [0; 8],
    };
    for function in &mut ty.functions {
        *function = word()?.parse().ok()?;
    }
    Some(ty)
}

/// The type of an OID.
pub fn builtin(oid: u32) -> Option<Builtin> {
    builtins().find(|ty| ty.oid == oid)
}

/// The type of a name.
pub fn builtin_by_name(name: &str) -> Option<Builtin> {
    builtins().find(|ty| ty.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_type() {
        assert_eq!(builtins().count(), list::TYPES.lines().count());
        let text = builtin(oids::TEXT).expect("text");
        assert_eq!((text.name, text.len, text.array, text.category), ("text", -1, 1009, b'S'));
        assert_eq!(builtin_by_name("_text").map(|ty| ty.element), Some(oids::TEXT));
    }
}
