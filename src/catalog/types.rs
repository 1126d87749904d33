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
