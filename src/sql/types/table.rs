//! The table of types, as `pg_type` has them; sorted by OID.

use super::{Type, TypeInfo};

/// Rows of the table and a constant for each.
macro_rules! types {
    ($($constant:ident: $oid:literal $name:literal $sql_name:literal $len:literal $category:literal $preferred:literal $array:literal;)*) => {
        impl Type {
            $(#[doc = concat!("`", $sql_name, "`.")] pub const $constant: Self = Self($oid);)*
        }
        /// Every type but arrays, which are found through their elements.
        pub static TYPES: &[TypeInfo] = &[
            $(TypeInfo { oid: $oid, name: $name, sql_name: $sql_name, len: $len, category: $category, preferred: $preferred, array: $array },)*
        ];
    };
}

types! {
    BOOL: 16 "bool" "boolean" 1 b'B' true 1000;
    BYTEA: 17 "bytea" "bytea" -1 b'U' false 1001;
    CHAR: 18 "char" "\"char\"" 1 b'Z' false 1002;
    NAME: 19 "name" "name" 64 b'S' false 1003;
    INT8: 20 "int8" "bigint" 8 b'N' false 1016;
    INT2: 21 "int2" "smallint" 2 b'N' false 1005;
    INT2VECTOR: 22 "int2vector" "int2vector" -1 b'A' false 1006;
    INT4: 23 "int4" "integer" 4 b'N' false 1007;
    REGPROC: 24 "regproc" "regproc" 4 b'N' false 1008;
    TEXT: 25 "text" "text" -1 b'S' true 1009;
    OID: 26 "oid" "oid" 4 b'N' true 1028;
    TID: 27 "tid" "tid" 6 b'U' false 1010;
    XID: 28 "xid" "xid" 4 b'U' false 1011;
    CID: 29 "cid" "cid" 4 b'U' false 1012;
    OIDVECTOR: 30 "oidvector" "oidvector" -1 b'A' false 1013;
    JSON: 114 "json" "json" -1 b'U' false 199;
    PG_NODE_TREE: 194 "pg_node_tree" "pg_node_tree" -1 b'Z' false 0;
    FLOAT4: 700 "float4" "real" 4 b'N' false 1021;
    FLOAT8: 701 "float8" "double precision" 8 b'N' true 1022;
    UNKNOWN: 705 "unknown" "unknown" -2 b'X' false 0;
    INET: 869 "inet" "inet" -1 b'I' true 1041;
    ACLITEM: 1033 "aclitem" "aclitem" 16 b'U' false 1034;
    BPCHAR: 1042 "bpchar" "character" -1 b'S' false 1014;
    VARCHAR: 1043 "varchar" "character varying" -1 b'S' false 1015;
    DATE: 1082 "date" "date" 4 b'D' false 1182;
    TIME: 1083 "time" "time without time zone" 8 b'D' false 1183;
    TIMESTAMP: 1114 "timestamp" "timestamp without time zone" 8 b'D' false 1115;
    TIMESTAMPTZ: 1184 "timestamptz" "timestamp with time zone" 8 b'D' true 1185;
    INTERVAL: 1186 "interval" "interval" 16 b'T' true 1187;
    NUMERIC: 1700 "numeric" "numeric" -1 b'N' false 1231;
    REGPROCEDURE: 2202 "regprocedure" "regprocedure" 4 b'N' false 2207;
    REGOPER: 2203 "regoper" "regoper" 4 b'N' false 2208;
    REGOPERATOR: 2204 "regoperator" "regoperator" 4 b'N' false 2209;
    REGCLASS: 2205 "regclass" "regclass" 4 b'N' false 2210;
    REGTYPE: 2206 "regtype" "regtype" 4 b'N' false 2211;
    RECORD: 2249 "record" "record" -1 b'P' false 2287;
    CSTRING: 2275 "cstring" "cstring" -2 b'P' false 1263;
    ANY: 2276 "any" "\"any\"" 4 b'P' false 0;
    ANYARRAY: 2277 "anyarray" "anyarray" -1 b'P' false 0;
    VOID: 2278 "void" "void" 4 b'P' false 0;
    ANYELEMENT: 2283 "anyelement" "anyelement" 4 b'P' false 0;
    ANYNONARRAY: 2776 "anynonarray" "anynonarray" 4 b'P' false 0;
    UUID: 2950 "uuid" "uuid" 16 b'U' false 2951;
    PG_LSN: 3220 "pg_lsn" "pg_lsn" 8 b'U' false 3221;
    JSONB: 3802 "jsonb" "jsonb" -1 b'U' false 3807;
    REGNAMESPACE: 4089 "regnamespace" "regnamespace" 4 b'N' false 4090;
    REGROLE: 4096 "regrole" "regrole" 4 b'N' false 4097;
    REGCOLLATION: 4191 "regcollation" "regcollation" 4 b'N' false 4192;
    XID8: 5069 "xid8" "xid8" 8 b'U' false 271;
    ANYCOMPATIBLE: 5077 "anycompatible" "anycompatible" 4 b'P' false 0;
    ANYCOMPATIBLEARRAY: 5078 "anycompatiblearray" "anycompatiblearray" -1 b'P' false 0;
}
