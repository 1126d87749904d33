//! Definitions as text: `pg_get_indexdef` and its kin, names of roles, comments.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::access::OwnedDatum;
use crate::catalog::cx::oid_key;
use crate::catalog::descriptor::{
    ConstraintDescriptor, ConstraintKind, ForeignAction, IndexDescriptor, RelationDescriptor, RelationKind,
};
use crate::catalog::schema::{
    PG_AUTHID_OID_INDEX, PG_CONSTRAINT_OID_INDEX, PG_DESCRIPTION_O_C_O_INDEX, PG_INDEX_INDEXRELID_INDEX,
    PgAuthid, PgConstraint, PgDescription, PgIndex,
};
use crate::report::Result;
use crate::sql::execute::Context;
use crate::sql::tables::{Access, with_tables};
use crate::sql::types::{Datum, Type};

use super::strings_more::quote_ident;
use super::{Call, Function, SetRows, function, set};

fn oid_of(datum: &Datum) -> u32 {
    match datum {
        Datum::Oid(oid) => *oid,
        _ => 0,
    }
}

fn names(relation: &RelationDescriptor, numbers: &[i16]) -> String {
    let of = |number: &i16| relation.columns.get((*number - 1) as usize);
    numbers.iter().filter_map(of).map(|column| quote_ident(&column.name)).collect::<Vec<_>>().join(", ")
}

/// `pg_node_tree` is text here.
fn get_expr(_: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    Ok(args[0].clone())
}

/// An index with its table.
fn index_of(
    access: &mut Access<'_, '_, '_>,
    oid: u32,
) -> Result<Option<(Arc<RelationDescriptor>, IndexDescriptor)>> {
    let Some((_, row)) = access.cx.row_of::<PgIndex>(PG_INDEX_INDEXRELID_INDEX, oid)? else {
        return Ok(None);
    };
    let Some(table) = access.cx.relation_by_oid(row.indrelid)? else { return Ok(None) };
    let index = table.indexes.iter().find(|index| index.oid == oid).cloned();
    Ok(index.map(|index| (table, index)))
}

fn key_text(table: &RelationDescriptor, index: &IndexDescriptor, at: usize) -> Option<String> {
    let Some(key) = index.keys.get(at) else {
        let number = index.included.get(at - index.keys.len())?;
        return Some(names(table, &[*number]));
    };
    match &key.expression {
        Some(text) => Some(text.clone()),
        None => Some(names(table, &[key.column])),
    }
}

fn index_text(table: &RelationDescriptor, index: &IndexDescriptor) -> String {
    let unique = if index.is_unique { "UNIQUE " } else { "" };
    let keys: Vec<String> = (0..index.keys.len())
        .map(|at| {
            let mut text = key_text(table, index, at).unwrap_or_default();
            let key = &index.keys[at];
            if key.is_descending {
                text += " DESC";
            }
            match (key.is_descending, key.nulls_first) {
                (false, true) => text += " NULLS FIRST",
                (true, false) => text += " NULLS LAST",
                _ => {}
            }
            text
        })
        .collect();
    let mut text = format!(
        "CREATE {unique}INDEX {} ON {}.{} USING btree ({})",
        quote_ident(&index.name),
        quote_ident(&table.namespace_name),
        quote_ident(&table.name),
        keys.join(", ")
    );
    if !index.included.is_empty() {
        _ = write!(text, " INCLUDE ({})", names(table, &index.included));
    }
    if index.nulls_not_distinct {
        text += " NULLS NOT DISTINCT";
    }
    if !index.options.is_empty() {
        let options: Vec<String> =
            index.options.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
        _ = write!(text, " WITH ({})", options.join(", "));
    }
    if let Some(predicate) = &index.predicate {
        _ = write!(text, " WHERE {predicate}");
    }
    text
}

fn get_indexdef(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let column = match args.get(1) {
        Some(Datum::Int4(column)) => *column,
        _ => 0,
    };
    with_tables(call.ctx.host, |access| {
        let Some((table, index)) = index_of(access, oid_of(&args[0]))? else { return Ok(Datum::Null) };
        Ok(match column {
            0 => Datum::text(index_text(&table, &index)),
            column => Datum::text(key_text(&table, &index, column.max(1) as usize - 1).unwrap_or_default()),
        })
    })
}

fn action_text(action: ForeignAction) -> Option<&'static str> {
    match action {
        ForeignAction::NoAction => None,
        ForeignAction::Restrict => Some("RESTRICT"),
        ForeignAction::Cascade => Some("CASCADE"),
        ForeignAction::SetNull => Some("SET NULL"),
        ForeignAction::SetDefault => Some("SET DEFAULT"),
    }
}

fn constraint_text(
    access: &mut Access<'_, '_, '_>,
    table: &RelationDescriptor,
    constraint: &ConstraintDescriptor,
    is_pretty: bool,
) -> Result<String> {
    let columns = names(table, &constraint.columns);
    let index = table.indexes.iter().find(|index| index.oid == constraint.index);
    let include = match index.filter(|index| !index.included.is_empty()) {
        Some(index) => format!(" INCLUDE ({})", names(table, &index.included)),
        None => String::new(),
    };
    let mut text = match constraint.kind {
        ConstraintKind::Check => {
            let text = constraint.expression.as_deref().unwrap_or_default();
            format!("CHECK ({})", if is_pretty { bare(text) } else { text })
        }
        ConstraintKind::NotNull => format!("NOT NULL {columns}"),
        ConstraintKind::PrimaryKey => format!("PRIMARY KEY ({columns}){include}"),
        ConstraintKind::Unique => {
            let nulls =
                if index.is_some_and(|index| index.nulls_not_distinct) { "NULLS NOT DISTINCT " } else { "" };
            format!("UNIQUE {nulls}({columns}){include}")
        }
        ConstraintKind::ForeignKey => foreign_text(access, constraint, &columns)?,
    };
    if constraint.is_deferrable {
        text += " DEFERRABLE";
    }
    if constraint.is_deferred {
        text += " INITIALLY DEFERRED";
    }
    if constraint.no_inherit {
        text += " NO INHERIT";
    }
    if !constraint.is_validated {
        text += " NOT VALID";
    }
    Ok(text)
}

/// An expression without the parentheses around all of it.
fn bare(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return text };
    let mut depth = 0_i32;
    let mut in_quotes = false;
    for c in inner.chars() {
        match c {
            '\'' => in_quotes = !in_quotes,
            '(' if !in_quotes => depth += 1,
            ')' if !in_quotes => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    inner
}

fn foreign_text(
    access: &mut Access<'_, '_, '_>,
    constraint: &ConstraintDescriptor,
    columns: &str,
) -> Result<String> {
    let Some(foreign) = &constraint.foreign else { return Ok(String::new()) };
    let shown = access.cx.shown_relation(foreign.relation)?;
    let other = access.cx.relation_by_oid(foreign.relation)?;
    let referenced = other.map(|other| names(&other, &foreign.columns)).unwrap_or_default();
    let mut text = format!("FOREIGN KEY ({columns}) REFERENCES {shown}({referenced})");
    if foreign.match_full {
        text += " MATCH FULL";
    }
    if let Some(action) = action_text(foreign.on_update) {
        _ = write!(text, " ON UPDATE {action}");
    }
    if let Some(action) = action_text(foreign.on_delete) {
        _ = write!(text, " ON DELETE {action}");
    }
    Ok(text)
}

fn get_constraintdef(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let oid = oid_of(&args[0]);
    let is_pretty = args.get(1) == Some(&Datum::Bool(true));
    with_tables(call.ctx.host, |access| {
        let Some((_, row)) = access.cx.row_of::<PgConstraint>(PG_CONSTRAINT_OID_INDEX, oid)? else {
            return Ok(Datum::Null);
        };
        let Some(table) = access.cx.relation_by_oid(row.conrelid)? else { return Ok(Datum::Null) };
        match table.constraints.iter().find(|constraint| constraint.oid == oid) {
            Some(constraint) => constraint_text(access, &table, constraint, is_pretty).map(Datum::text),
            None => Ok(Datum::Null),
        }
    })
}

fn get_viewdef(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let found = with_tables(call.ctx.host, |access| access.cx.relation_by_oid(oid_of(&args[0])))?;
    Ok(match found {
        Some(view) if view.kind == RelationKind::View => {
            Datum::text(format!(" {};", view.view.as_deref().unwrap_or_default()))
        }
        _ => Datum::Null,
    })
}

/// A role's name.
pub fn role_name(oid: u32, ctx: &mut Context<'_>) -> Result<Option<String>> {
    let found = with_tables(ctx.host, |access| access.cx.row_of::<PgAuthid>(PG_AUTHID_OID_INDEX, oid))?;
    Ok(found.map(|(_, row)| row.rolname))
}

fn get_userbyid(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let oid = oid_of(&args[0]);
    let name = if call.ctx.host.has_tables() { role_name(oid, call.ctx)? } else { None };
    Ok(Datum::text(name.unwrap_or_else(|| format!("unknown (OID={oid})"))))
}

/// Triggers, rules, extended statistics: there are none, so none of them has a text.
fn of_no_object(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Null)
}

/// No table is a partition, so none has a table above it.
fn partition_ancestors(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<SetRows> {
    Ok(Box::new(std::iter::empty()))
}

/// A comment, of an object of a catalog or of a part of one.
fn comment(call: &mut Call<'_, '_>, object: u32, class: u32, part: i32) -> Result<Datum> {
    let part = OwnedDatum::Plain(crate::access::Datum::Int32(part));
    let keys = [oid_key(object), oid_key(class), part];
    let found = with_tables(call.ctx.host, |access| {
        access.cx.row::<PgDescription>(PG_DESCRIPTION_O_C_O_INDEX, &keys)
    })?;
    Ok(Datum::opt_text(found.map(|(_, row)| row.description)))
}

fn obj_description(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Text(catalog) = &args[1] else { return Ok(Datum::Null) };
    if !call.ctx.host.has_tables() {
        return Ok(Datum::Null);
    }
    let class = with_tables(call.ctx.host, |access| access.cx.oid_by_name(Some("pg_catalog"), catalog, &[]))?;
    match class {
        Some(class) => comment(call, oid_of(&args[0]), class, 0),
        None => Ok(Datum::Null),
    }
}

fn col_description(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Int4(part) = args[1] else { return Ok(Datum::Null) };
    comment(call, oid_of(&args[0]), crate::catalog::schema::PG_CLASS, part)
}

/// Comments of what all databases share.
fn shobj_description(_: &mut Call<'_, '_>, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Null)
}

fn is_publishable(call: &mut Call<'_, '_>, args: &[Datum]) -> Result<Datum> {
    let found = with_tables(call.ctx.host, |access| access.cx.relation_by_oid(oid_of(&args[0])))?;
    Ok(found.map_or(Datum::Null, |relation| {
        Datum::Bool(relation.kind == RelationKind::Table && !relation.is_system)
    }))
}

const O: Type = Type::OID;
const T: Type = Type::TEXT;
const B: Type = Type::BOOL;

/// The functions' rows.
pub const FUNCTIONS: &[Function] = &[
    function("pg_get_expr", 1716, &[Type::PG_NODE_TREE, O], T, get_expr).stable(),
    function("pg_get_expr", 2509, &[Type::PG_NODE_TREE, O, B], T, get_expr).stable(),
    function("pg_get_indexdef", 1643, &[O], T, get_indexdef).stable(),
    function("pg_get_indexdef", 2507, &[O, Type::INT4, B], T, get_indexdef).stable(),
    function("pg_get_constraintdef", 1387, &[O], T, get_constraintdef).stable(),
    function("pg_get_constraintdef", 2508, &[O, B], T, get_constraintdef).stable(),
    function("pg_get_viewdef", 1641, &[O], T, get_viewdef).stable(),
    function("pg_get_viewdef", 2506, &[O, B], T, get_viewdef).stable(),
    function("pg_get_userbyid", 1642, &[O], Type::NAME, get_userbyid).stable(),
    function("obj_description", 1215, &[O, Type::NAME], T, obj_description).stable(),
    function("col_description", 1216, &[O, Type::INT4], T, col_description).stable(),
    function("shobj_description", 1993, &[O, Type::NAME], T, shobj_description).stable(),
    function("pg_get_triggerdef", 1662, &[O], T, of_no_object).stable(),
    function("pg_get_triggerdef", 2730, &[O, B], T, of_no_object).stable(),
    function("pg_get_ruledef", 1573, &[O], T, of_no_object).stable(),
    function("pg_get_ruledef", 2504, &[O, B], T, of_no_object).stable(),
    function("pg_get_statisticsobjdef_columns", 6174, &[O], T, of_no_object).stable(),
    function("pg_get_partkeydef", 3352, &[O], T, of_no_object).stable(),
    set("pg_partition_ancestors", 3425, &[Type::REGCLASS], Type::REGCLASS, partition_ancestors),
    function("pg_relation_is_publishable", 6121, &[Type::REGCLASS], B, is_publishable).stable(),
];

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn only_parentheses_around_all_of_it_go() {
        for (text, expected) in [
            ("(x > 0)", "x > 0"),
            ("((a) = (b))", "(a) = (b)"),
            ("(a) = (b)", "(a) = (b)"),
            ("(a = ')')", "a = ')'"),
            ("a", "a"),
        ] {
            assert_eq!(bare(text), expected);
        }
    }
}
