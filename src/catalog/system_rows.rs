//! The rows that describe the catalogs themselves: relations, columns, indexes, and the types of their rows.

use super::cx::Cx;
use super::descriptor::{ColumnDescriptor, RelationKind};
use super::fixed;
use super::load::{BOOTSTRAP_ROLE, system_acl};
use super::names::PG_CATALOG;
use super::relation_rows::{attribute, class};
use super::schema::*;
use super::types::Builtin;
use crate::report::Result;

/// Access method of heaps.
pub(super) const HEAP: u32 = 2;
/// Access method of B-trees.
pub(super) const BTREE: u32 = 403;

/// Catalogs that not everybody may read.
const SECRET: [&str; 8] = [
    "pg_authid",
    "pg_statistic",
    "pg_user_mapping",
    "pg_largeobject",
    "pg_statistic_ext_data",
    "pg_subscription",
    "pg_foreign_server",
    "pg_db_role_setting",
];

/// What all catalogs have.
struct Described<'a> {
    oid: u32,
    name: &'a str,
    is_shared: bool,
    row_type: u32,
    columns: Vec<SystemColumn>,
    indexes: &'static [SystemIndex],
}

/// Writes them all.
pub(super) fn write(cx: &mut Cx<'_, '_, '_>) -> Result<()> {
    for table in stored() {
        write_table(
            cx,
            &Described {
                oid: table.oid,
                name: table.name,
                is_shared: table.is_shared,
                row_type: table.row_type,
                columns: table.columns.to_vec(),
                indexes: table.indexes,
            },
        )?;
    }
    for table in FIXED {
        let (oid, name, is_shared, row_type) = (table.oid, table.name, table.is_shared, table.row_type);
        let columns = table.columns();
        write_table(cx, &Described { oid, name, is_shared, row_type, columns, indexes: &[] })?;
    }
    Ok(())
}

fn write_table(cx: &mut Cx<'_, '_, '_>, table: &Described<'_>) -> Result<()> {
    let mut row = class(table.oid, table.name, PG_CATALOG, RelationKind::Table);
    row.relowner = BOOTSTRAP_ROLE;
    row.reltype = table.row_type;
    row.relam = HEAP;
    row.relisshared = table.is_shared;
    row.reltablespace = if table.is_shared { 1664 } else { 0 };
    row.relhasindex = !table.indexes.is_empty();
    row.relnatts = table.columns.len() as i16;
    row.relacl = Some(system_acl(SECRET.contains(&table.name)));
    cx.insert(&row)?;
    cx.insert(&row_type(table))?;
    for (number, column) in (1..).zip(&table.columns) {
        let mut described = ColumnDescriptor::new(column.name, number, column.type_oid, -1);
        described.not_null = column.not_null;
        cx.insert(&attribute(table.oid, &described))?;
    }
    table.indexes.iter().try_for_each(|index| write_index(cx, table, index))
}

fn write_index(cx: &mut Cx<'_, '_, '_>, table: &Described<'_>, index: &SystemIndex) -> Result<()> {
    let mut row = class(index.oid, index.name, PG_CATALOG, RelationKind::Index);
    row.relowner = BOOTSTRAP_ROLE;
    row.relam = BTREE;
    row.relisshared = table.is_shared;
    row.reltablespace = if table.is_shared { 1664 } else { 0 };
    row.relnatts = index.columns.len() as i16;
    cx.insert(&row)?;
    let place = |name: &&str| table.columns.iter().position(|column| column.name == *name).unwrap_or(0);
    let columns: Vec<usize> = index.columns.iter().map(place).collect();
    for (number, column) in (1..).zip(&columns) {
        let column = table.columns[*column];
        cx.insert(&attribute(index.oid, &ColumnDescriptor::new(column.name, number, column.type_oid, -1)))?;
    }
    let types = columns.iter().map(|column| table.columns[*column].type_oid);
    cx.insert(&PgIndex {
        indexrelid: index.oid,
        indrelid: table.oid,
        indnatts: columns.len() as i16,
        indnkeyatts: columns.len() as i16,
        indisunique: index.is_unique,
        indnullsnotdistinct: false,
        indisprimary: index.is_primary,
        indisexclusion: false,
        indimmediate: true,
        indisclustered: false,
        indisvalid: true,
        indcheckxmin: false,
        indisready: true,
        indislive: true,
        indisreplident: false,
        indkey: columns.iter().map(|column| *column as i16 + 1).collect(),
        indcollation: types.clone().map(super::types::collation_of).collect(),
        indclass: types.map(|ty| fixed::default_operator_class(ty).unwrap_or(0)).collect(),
        indoption: vec![0; columns.len()],
        indexprs: None,
        indpred: None,
    })
}

/// A type of the program, as a row.
pub(super) fn type_row(ty: &Builtin) -> PgType {
    let [input, output, receive, send, modin, modout, subscript, analyze] = ty.functions;
    PgType {
        oid: ty.oid,
        typname: ty.name.to_owned(),
        typnamespace: PG_CATALOG,
        typowner: BOOTSTRAP_ROLE,
        typlen: ty.len,
        typbyval: ty.by_value,
        typtype: ty.kind,
        typcategory: ty.category,
        typispreferred: ty.is_preferred,
        typisdefined: true,
        typdelim: ty.delimiter,
        typrelid: 0,
        typsubscript: subscript,
        typelem: ty.element,
        typarray: ty.array,
        typinput: input,
        typoutput: output,
        typreceive: receive,
        typsend: send,
        typmodin: modin,
        typmodout: modout,
        typanalyze: analyze,
        typalign: ty.align,
        typstorage: ty.storage,
        typnotnull: false,
        typbasetype: 0,
        typtypmod: -1,
        typndims: 0,
        typcollation: ty.collation,
        typdefaultbin: None,
        typdefault: None,
        typacl: None,
    }
}

fn row_type(table: &Described<'_>) -> PgType {
    super::relation_rows::row_type((table.row_type, table.name, PG_CATALOG), table.oid, BOOTSTRAP_ROLE, 0)
}
