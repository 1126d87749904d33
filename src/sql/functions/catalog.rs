//! Functions that ask the catalog: names of objects, sequences.

use crate::catalog::descriptor::{RelationDescriptor, RelationKind};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze::environment::{search_path, split_names};
use crate::sql::execute::Context;
use crate::sql::tables::{Access, with_tables};
use crate::sql::types::{Datum, Type};
use crate::storage::ids::{Fork, PAGE_SIZE, RelFile, RelFork};

use super::strings_more::quote_ident;
use super::{Call, Function, function};

/// The name of a relation, with its schema where the search path does not find it, as `regclass` shows it.
pub fn class_name(oid: u32, ctx: &mut Context<'_>) -> Result<String> {
    if oid == 0 {
        return Ok("-".to_owned());
    }
    if !ctx.host.has_tables() {
        return Ok(oid.to_string());
    }
    let path = search_path(&*ctx.host)?;
    let found = with_tables(ctx.host, |access| {
        let Some(relation) = access.cx.relation_by_oid(oid)? else { return Ok(None) };
        let is_visible = access.cx.oid_by_name(None, &relation.name, &path)? == Some(oid);
        Ok(Some((relation, is_visible)))
    })?;
    Ok(match found {
        None => oid.to_string(),
        Some((relation, true)) => quote_ident(&relation.name),
        Some((relation, false)) => {
            format!("{}.{}", quote_ident(&relation.namespace_name), quote_ident(&relation.name))
        }
    })
}

/// What an OID's type shows in its place.
pub fn object_name(oid: u32, ty: Type, ctx: &mut Context<'_>) -> Result<String> {
    if ty == Type::REGCLASS {
        return class_name(oid, ctx);
    }
    if oid == 0 {
        return Ok("-".to_owned());
    }
    let found = match ty {
        Type::REGNAMESPACE if ctx.host.has_tables() => {
            with_tables(ctx.host, |access| access.cx.schema_name(oid))?.map(|name| quote_ident(&name))
        }
        Type::REGROLE if ctx.host.has_tables() => {
            super::definitions::role_name(oid, ctx)?.map(|name| quote_ident(&name))
        }
        Type::REGPROC => super::function_of(oid).map(|function| quote_ident(function.name)),
        _ => None,
    };
    Ok(found.unwrap_or_else(|| oid.to_string()))
}

/// Parts of a name with dots.
pub fn name_parts(text: &str) -> Vec<String> {
    let mut listed = String::new();
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        listed.push(if c == '.' && !quoted { ',' } else { c });
    }
    split_names(&listed)
}

/// The OID of the relation that a text names.
pub fn class_oid(text: &str, ctx: &mut Context<'_>) -> Result<u32> {
    if let Ok(oid) = text.parse() {
        return Ok(oid);
    }
    let missing = || {
        let message = format!("relation \"{text}\" does not exist");
        Report::error(SqlState::UNDEFINED_TABLE, message)
    };
    if !ctx.host.has_tables() {
        return Err(missing());
    }
    let parts = name_parts(text);
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name),
        [schema, name] | [_, schema, name] => (Some(schema.as_str()), name),
        _ => return Err(Report::error(SqlState::new("42602"), "invalid name syntax")),
    };
    let path = search_path(&*ctx.host)?;
    with_tables(ctx.host, |access| access.cx.oid_by_name(schema, name, &path))?.ok_or_else(missing)
}

fn oid_of(datum: &Datum) -> u32 {
    match datum {
        Datum::Oid(oid) => *oid,
        _ => 0,
    }
}

fn integer_of(datum: &Datum) -> i64 {
    match datum {
        Datum::Int8(value) => *value,
        _ => 0,
    }
}

/// The sequence of an OID.
fn sequence(call: &mut Call<'_, '_>, oid: u32) -> Result<std::sync::Arc<RelationDescriptor>> {
    let found = with_tables(call.ctx.host, |access| access.cx.relation_by_oid(oid))?;
    let Some(relation) = found else {
        let message = format!("could not open relation with OID {oid}");
        return Err(Report::error(SqlState::UNDEFINED_TABLE, message));
    };
    if relation.kind != RelationKind::Sequence {
        let message = format!("\"{}\" is not a sequence", relation.name);
        return Err(Report::error(SqlState::WRONG_OBJECT_TYPE, message));
    }
    Ok(relation)
}

fn refuse_reading_only(call: &Call<'_, '_>, what: &str) -> Result<()> {
    if call.ctx.host.show("transaction_read_only")?.as_deref() == Some("on") {
        let message = format!("cannot execute {what}() in a read-only transaction");
        return Err(Report::error(SqlState::new("25006"), message));
    }
    Ok(())
}

fn nextval(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    refuse_reading_only(call, "nextval")?;
    let relation = sequence(call, oid_of(&args[0]))?;
    with_tables(call.ctx.host, |access| access.cx.nextval(relation.oid)).map(Datum::Int8)
}

fn currval(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let relation = sequence(call, oid_of(&args[0]))?;
    with_tables(call.ctx.host, |access| access.cx.currval(relation.oid)).map(Datum::Int8)
}

fn lastval(call: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    with_tables(call.ctx.host, |access| access.cx.lastval()).map(Datum::Int8)
}

fn setval(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    refuse_reading_only(call, "setval")?;
    let relation = sequence(call, oid_of(&args[0]))?;
    let is_called = args.get(2).is_none_or(|called| *called == Datum::Bool(true));
    let value = integer_of(&args[1]);
    with_tables(call.ctx.host, |access| access.cx.setval(relation.oid, value, is_called))?;
    Ok(Datum::Int8(value))
}

fn to_regclass(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Text(text) = &args[0] else { return Ok(Datum::Null) };
    match class_oid(text, call.ctx) {
        Ok(oid) => Ok(Datum::Oid(oid)),
        Err(report) if report.sqlstate == SqlState::UNDEFINED_TABLE => Ok(Datum::Null),
        Err(report) => Err(report),
    }
}

fn table_is_visible(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let oid = oid_of(&args[0]);
    let path = search_path(&*call.ctx.host)?;
    with_tables(call.ctx.host, |access| {
        let Some(relation) = access.cx.relation_by_oid(oid)? else { return Ok(Datum::Null) };
        Ok(Datum::Bool(access.cx.oid_by_name(None, &relation.name, &path)? == Some(oid)))
    })
}

fn no_such_relation(oid: u32) -> Box<Report> {
    Report::error(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {oid}"))
        .with_detail("There is no such relation.")
}

/// Bytes of a file's main fork.
fn file_size(access: &Access<'_, '_, '_>, file: RelFile) -> Result<i64> {
    let blocks = access.cx.session.store.storage.files().blocks(RelFork { file, fork: Fork::Main })?;
    Ok(i64::from(blocks) * PAGE_SIZE as i64)
}

/// Bytes of a relation, of its oversized values, and of its indexes, as far as they are wanted.
fn size_of(
    call: &mut Call<'_, '_>,
    args: &[Datum],
    (own, toast, indexes): (bool, bool, bool),
) -> Result<Datum> {
    let oid = oid_of(&args[0]);
    with_tables(call.ctx.host, |access| {
        let relation = access.cx.relation_by_oid(oid)?.ok_or_else(|| no_such_relation(oid))?;
        let mut bytes = 0;
        if own && relation.kind.has_storage() && !relation.is_fixed {
            bytes += file_size(access, relation.file)?;
        }
        if let Some(kept) = relation.toast.filter(|_| toast) {
            bytes += file_size(access, kept.file)? + file_size(access, kept.index_file)?;
        }
        for index in relation.indexes.iter().filter(|_| indexes) {
            bytes += file_size(access, index.file)?;
        }
        Ok(Datum::Int8(bytes))
    })
}

fn relation_size(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    size_of(call, args, (true, false, false))
}

fn table_size(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    size_of(call, args, (true, true, false))
}

fn indexes_size(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    size_of(call, args, (false, false, true))
}

fn total_size(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    size_of(call, args, (true, true, true))
}

const C: Type = Type::REGCLASS;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("nextval", 1574, &[C], Type::INT8, nextval).volatile(),
    function("currval", 1575, &[C], Type::INT8, currval).volatile(),
    function("setval", 1576, &[C, Type::INT8], Type::INT8, setval).volatile(),
    function("setval", 1765, &[C, Type::INT8, Type::BOOL], Type::INT8, setval).volatile(),
    function("lastval", 2559, &[], Type::INT8, lastval).volatile(),
    function("to_regclass", 3495, &[Type::TEXT], C, to_regclass).stable(),
    function("pg_table_is_visible", 2079, &[Type::OID], Type::BOOL, table_is_visible).stable(),
    function("pg_table_size", 2997, &[C], Type::INT8, table_size).volatile(),
    function("pg_indexes_size", 2998, &[C], Type::INT8, indexes_size).volatile(),
    function("pg_total_relation_size", 2286, &[C], Type::INT8, total_size).volatile(),
    function("pg_relation_size", 2325, &[C], Type::INT8, relation_size).volatile(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_are_taken_apart() {
        for (text, parts) in
            [("a", vec!["a"]), ("A.b", vec!["a", "b"]), ("\"A.x\".\"b\"", vec!["A.x", "b"]), ("", vec![])]
        {
            assert_eq!(name_parts(text), parts, "{text}");
        }
    }
}
