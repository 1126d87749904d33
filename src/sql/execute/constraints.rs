//! What must hold of a new row, and what is said of one of which it does not.

use crate::catalog::descriptor::RelationDescriptor;
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::analyze::expr::Expr;
use crate::sql::analyze::tree::Check;
use crate::sql::tables::SYSTEM_COLUMNS;
use crate::sql::types::{Datum, Formats, Row, Type, output};

use super::{Context, eval};

/// Characters that a message shows of a value.
const SHOWN: usize = 64;

fn shown(datum: &Datum, type_oid: u32, formats: &Formats) -> String {
    if datum.is_null() {
        return "null".to_owned();
    }
    let ty = Type::from_oid(type_oid).unwrap_or(Type::TEXT);
    let text = output::text_of(datum, ty, formats);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// `Failing row contains (…).`
pub fn failing_row(relation: &RelationDescriptor, row: &[Datum], formats: &Formats) -> String {
    let values: Vec<String> = relation
        .live_columns()
        .filter_map(|column| Some(shown(row.get(column.index())?, column.type_oid, formats)))
        .collect();
    format!("Failing row contains ({}).", values.join(", "))
}

/// `Key (a, b)=(1, 2)` of these columns.
pub fn key_text(
    relation: &RelationDescriptor,
    columns: &[i16],
    values: &[Datum],
    formats: &Formats,
) -> String {
    let of = |number: &i16| relation.columns.get((*number - 1) as usize);
    let names: Vec<&str> = columns.iter().filter_map(of).map(|column| column.name.as_str()).collect();
    let texts: Vec<String> = columns
        .iter()
        .filter_map(of)
        .zip(values)
        .map(|(column, value)| {
            let ty = Type::from_oid(column.type_oid).unwrap_or(Type::TEXT);
            if value.is_null() { "null".to_owned() } else { output::text_of(value, ty, formats) }
        })
        .collect();
    format!("Key ({})=({})", names.join(", "), texts.join(", "))
}

/// Computes generated columns, then checks the row.
pub fn complete(
    relation: &RelationDescriptor,
    row: &mut Row,
    generated: &[(usize, Expr)],
    checks: &[Check],
    ctx: &mut Context<'_>,
) -> Result<()> {
    let width = relation.columns.len();
    if !generated.is_empty() || !checks.is_empty() {
        row.resize(width + SYSTEM_COLUMNS.len(), Datum::Null);
    }
    for (column, expr) in generated {
        row[*column] = eval(expr, row, ctx)?;
    }
    let nulls = relation.columns.iter().zip(row.iter());
    let missing =
        nulls.into_iter().find(|(column, value)| column.not_null && !column.is_dropped && value.is_null());
    if let Some((column, _)) = missing {
        let message = format!(
            "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
            column.name, relation.name
        );
        return Err(Report::error(SqlState::new("23502"), message).with_detail(failing_row(
            relation,
            row,
            &ctx.formats,
        )));
    }
    for check in checks {
        if eval(&check.condition, row, ctx)? == Datum::Bool(false) {
            let message = format!(
                "new row for relation \"{}\" violates check constraint \"{}\"",
                relation.name, check.name
            );
            return Err(Report::error(SqlState::new("23514"), message).with_detail(failing_row(
                relation,
                row,
                &ctx.formats,
            )));
        }
    }
    row.truncate(width);
    Ok(())
}

/// A key that is there already.
pub fn duplicate(
    relation: &RelationDescriptor,
    index: usize,
    row: &[Datum],
    formats: &Formats,
) -> Box<Report> {
    let Some(index) = relation.indexes.get(index) else {
        return Report::error(SqlState::INTERNAL_ERROR, "a duplicate in an index that is not there");
    };
    let columns: Vec<i16> = index.keys.iter().map(|key| key.column).collect();
    let values: Vec<Datum> =
        columns.iter().filter_map(|number| row.get((*number - 1) as usize).cloned()).collect();
    let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    Report::error(SqlState::new("23505"), message)
        .with_detail(format!("{} already exists.", key_text(relation, &columns, &values, formats)))
}
