//! Rows of `pg_class`, `pg_attribute` and `pg_type`, as a new relation has them.

use super::descriptor::{ColumnDescriptor, RelationKind};
use super::schema::{PgAttribute, PgClass, PgType};
use super::types::{self, Builtin};

/// OIDs of the functions of row types: `record_in` and its kin.
const RECORD_FUNCTIONS: [u32; 4] = [2290, 2291, 2402, 2403];
/// OIDs of the functions of arrays: `array_in` and its kin.
const ARRAY_FUNCTIONS: [u32; 4] = [750, 751, 2400, 2401];
/// `array_typanalyze`.
const ARRAY_ANALYZE: u32 = 3816;
/// `array_subscript_handler`.
const ARRAY_SUBSCRIPT: u32 = 6179;

/// A relation without anything special.
pub(super) fn class(oid: u32, name: &str, namespace: u32, kind: RelationKind) -> PgClass {
    let is_table = matches!(kind, RelationKind::Table | RelationKind::Toast);
    PgClass {
        oid,
        relname: name.to_owned(),
        relnamespace: namespace,
        reltype: 0,
        reloftype: 0,
        relowner: 0,
        relam: 0,
        relfilenode: 0,
        reltablespace: 0,
        relpages: 0,
        reltuples: if kind == RelationKind::View || kind == RelationKind::Composite { 0.0 } else { -1.0 },
        relallvisible: 0,
        relallfrozen: 0,
        reltoastrelid: 0,
        relhasindex: false,
        relisshared: false,
        relpersistence: b'p',
        relkind: kind.letter(),
        relnatts: 0,
        relchecks: 0,
        relhasrules: kind == RelationKind::View,
        relhastriggers: false,
        relhassubclass: false,
        relrowsecurity: false,
        relforcerowsecurity: false,
        relispopulated: true,
        relreplident: if kind == RelationKind::Table { b'd' } else { b'n' },
        relispartition: false,
        relrewrite: 0,
        relfrozenxid: if is_table { 3 } else { 0 },
        relminmxid: u32::from(is_table),
        relacl: None,
        reloptions: None,
        relpartbound: None,
    }
}

/// What `pg_attribute` says of a type.
fn shape(type_oid: u32) -> (i16, bool, u8) {
    let shape = |ty: Builtin| (ty.len, ty.by_value, ty.align);
    // A type that is not the program's is a row's, or an array of such.
    types::builtin(type_oid).map_or((-1, false, b'd'), shape)
}

/// A relation's column.
pub(super) fn attribute(relation: u32, column: &ColumnDescriptor) -> PgAttribute {
    let (len, by_value, align) = shape(column.type_oid);
    PgAttribute {
        attrelid: relation,
        attname: column.name.clone(),
        atttypid: column.type_oid,
        attlen: len,
        attnum: column.number,
        atttypmod: column.typmod,
        attndims: i16::from(types::builtin(column.type_oid).is_some_and(|ty| ty.category == b'A')),
        attbyval: by_value,
        attalign: align,
        attstorage: column.toast_strategy,
        attcompression: 0,
        attnotnull: column.not_null,
        atthasdef: column.default.is_some(),
        atthasmissing: column.missing.is_some(),
        attidentity: column.identity.map_or(0, |identity| identity.letter()),
        attgenerated: if column.is_generated { b's' } else { 0 },
        attisdropped: false,
        attislocal: true,
        attinhcount: 0,
        attcollation: column.collation,
        attstattarget: None,
        attacl: column.acl.clone(),
        attoptions: None,
        attfdwoptions: None,
        attmissingval: column.missing.as_ref().and_then(|missing| missing_value(column.type_oid, missing)),
    }
}

fn missing_value(type_oid: u32, missing: &crate::access::row::OwnedDatum) -> Option<Vec<u8>> {
    let item = super::columns::item_bytes(missing.as_datum()).ok()?;
    Some(super::columns::write_array(type_oid, 1, std::iter::once(item.as_slice())))
}

/// The type of a relation's rows.
pub(super) fn row_type(
    (oid, name, namespace): (u32, &str, u32),
    relation: u32,
    owner: u32,
    array: u32,
) -> PgType {
    let [input, output, receive, send] = RECORD_FUNCTIONS;
    PgType {
        oid,
        typname: name.to_owned(),
        typnamespace: namespace,
        typowner: owner,
        typlen: -1,
        typbyval: false,
        typtype: b'c',
        typcategory: b'C',
        typispreferred: false,
        typisdefined: true,
        typdelim: b',',
        typrelid: relation,
        typsubscript: 0,
        typelem: 0,
        typarray: array,
        typinput: input,
        typoutput: output,
        typreceive: receive,
        typsend: send,
        typmodin: 0,
        typmodout: 0,
        typanalyze: 0,
        typalign: b'd',
        typstorage: b'x',
        typnotnull: false,
        typbasetype: 0,
        typtypmod: -1,
        typndims: 0,
        typcollation: 0,
        typdefaultbin: None,
        typdefault: None,
        typacl: None,
    }
}

/// The type of arrays of a row type.
pub(super) fn array_type(of: &PgType, name: String) -> PgType {
    let [input, output, receive, send] = ARRAY_FUNCTIONS;
    PgType {
        oid: of.typarray,
        typname: name,
        typtype: b'b',
        typcategory: b'A',
        typrelid: 0,
        typsubscript: ARRAY_SUBSCRIPT,
        typelem: of.oid,
        typarray: 0,
        typinput: input,
        typoutput: output,
        typreceive: receive,
        typsend: send,
        typanalyze: ARRAY_ANALYZE,
        ..of.clone()
    }
}
