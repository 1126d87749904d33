//! Foreign keys: what is asked of the other table when a statement's rows are written, and what happens there.

use std::sync::Arc;

use crate::access::Ctid;
use crate::access::btree::{Direction, ScanOp};
use crate::access::heap::RowLock;
use crate::access::visibility::ReadView;
use crate::catalog::descriptor::{
    ConstraintDescriptor, ConstraintKind, ForeignAction, ForeignKeyDescriptor, RelationDescriptor,
};
use crate::report::{Report, ReportExt, Result, SqlState};
use crate::sql::tables::{
    Access, IndexCondition, IndexCursor, RowBatch, TableCursor, WriteConflict, with_tables,
};
use crate::sql::types::compare::compare;
use crate::sql::types::{Datum, Row, Type};

use super::Context;
use super::constraints::{complete, key_text};

/// Something that a foreign key is to be asked about.
#[derive(Clone, Debug)]
pub enum ReferenceEvent {
    /// A row references another one by this key.
    Referencing { relation: Arc<RelationDescriptor>, constraint: usize, key: Row },
    /// A row that may be referenced is gone, or has another key now.
    Referenced { relation: Arc<RelationDescriptor>, constraint: usize, old: Row, new: Option<Row> },
}

fn key_of(row: &[Datum], columns: &[i16]) -> Row {
    columns.iter().map(|number| row.get((*number - 1) as usize).cloned().unwrap_or(Datum::Null)).collect()
}

fn foreign_keys(relation: &RelationDescriptor) -> impl Iterator<Item = (usize, &ConstraintDescriptor)> {
    relation.constraints.iter().enumerate().filter(|(_, c)| c.kind == ConstraintKind::ForeignKey)
}

/// A row was inserted.
pub fn note_insert(relation: &Arc<RelationDescriptor>, row: &[Datum], ctx: &mut Context<'_>) {
    for (constraint, descriptor) in foreign_keys(relation) {
        let key = key_of(row, &descriptor.columns);
        ctx.references.push(ReferenceEvent::Referencing { relation: relation.clone(), constraint, key });
    }
}

/// A row was replaced.
pub fn note_update(relation: &Arc<RelationDescriptor>, old: &[Datum], new: &[Datum], ctx: &mut Context<'_>) {
    for (constraint, descriptor) in foreign_keys(relation) {
        let key = key_of(new, &descriptor.columns);
        if key != key_of(old, &descriptor.columns) {
            ctx.references.push(ReferenceEvent::Referencing { relation: relation.clone(), constraint, key });
        }
    }
    for (constraint, descriptor) in relation.referenced_by.iter().enumerate() {
        let Some(foreign) = &descriptor.foreign else { continue };
        let (old, new) = (key_of(old, &foreign.columns), key_of(new, &foreign.columns));
        if old != new {
            let (relation, new) = (relation.clone(), Some(new));
            ctx.references.push(ReferenceEvent::Referenced { relation, constraint, old, new });
        }
    }
}

/// A row was deleted.
pub fn note_delete(relation: &Arc<RelationDescriptor>, old: &[Datum], ctx: &mut Context<'_>) {
    for (constraint, descriptor) in relation.referenced_by.iter().enumerate() {
        let Some(foreign) = &descriptor.foreign else { continue };
        let (relation, old) = (relation.clone(), key_of(old, &foreign.columns));
        ctx.references.push(ReferenceEvent::Referenced { relation, constraint, old, new: None });
    }
}

/// Asks about all that was noted, and about what comes of that.
pub fn check(ctx: &mut Context<'_>) -> Result<()> {
    if ctx.references.is_empty() {
        return Ok(());
    }
    // What the statement has written is there for what comes of it, to be locked and changed again.
    with_tables(ctx.host, |access| {
        access.cx.next_command();
        Ok(())
    })?;
    let mut at = 0;
    while at < ctx.references.len() {
        ctx.host.check_interrupts()?;
        let event = ctx.references[at].clone();
        at += 1;
        match event {
            ReferenceEvent::Referencing { relation, constraint, key } => {
                check_referencing(&relation, &relation.constraints[constraint], &key, ctx)?;
            }
            ReferenceEvent::Referenced { relation, constraint, old, new } => {
                let descriptor = relation.referenced_by[constraint].clone();
                referenced(&relation, &descriptor, &old, new.as_ref(), ctx)?;
            }
        }
    }
    ctx.references.clear();
    Ok(())
}

fn relation_of(oid: u32, ctx: &mut Context<'_>) -> Result<Arc<RelationDescriptor>> {
    let found = with_tables(ctx.host, |access| access.cx.relation_by_oid(oid))?;
    found.ok_or_else(|| {
        Report::error(SqlState::UNDEFINED_TABLE, format!("relation with OID {oid} does not exist"))
    })
}

/// What is there now, this statement's rows too.
fn latest(access: &mut Access<'_, '_, '_>) -> ReadView {
    let snapshot = access.cx.session.transaction.latest_snapshot();
    ReadView { snapshot, command: *access.cx.command + 1 }
}

/// A value as one of the other column's type.
fn adapted(value: &Datum, type_oid: u32) -> Datum {
    let number = match value {
        Datum::Int2(value) => i64::from(*value),
        Datum::Int4(value) => i64::from(*value),
        Datum::Int8(value) => *value,
        other => return other.clone(),
    };
    match Type::from_oid(type_oid) {
        Some(Type::INT2) => i16::try_from(number).map_or(Datum::Null, Datum::Int2),
        Some(Type::INT4) => i32::try_from(number).map_or(Datum::Null, Datum::Int4),
        Some(Type::INT8) => Datum::Int8(number),
        _ => value.clone(),
    }
}

/// Rows with these values in these columns, as they are now.
fn find(
    relation: &Arc<RelationDescriptor>,
    columns: &[i16],
    key: &[Datum],
    ctx: &mut Context<'_>,
) -> Result<Vec<(Ctid, Row)>> {
    let types = columns.iter().map(|number| relation.columns[(*number - 1) as usize].type_oid);
    let key: Row = key.iter().zip(types).map(|(value, ty)| adapted(value, ty)).collect();
    if key.iter().any(Datum::is_null) {
        return Ok(Vec::new());
    }
    let index = relation.indexes.iter().position(|index| {
        index.is_valid && !index.keys.is_empty() && columns.contains(&index.keys[0].column)
    });
    let formats = ctx.formats.clone();
    let is_equal = |row: &Row| {
        columns.iter().zip(&key).all(|(number, value)| {
            let found = &row[(*number - 1) as usize];
            !found.is_null() && compare(found, value, &formats).is_eq()
        })
    };
    with_tables(ctx.host, |access| {
        let view = latest(access);
        let found = match index {
            Some(index) => by_index(access, relation, index, columns, &key, view),
            None => by_scan(access, relation, view),
        };
        access.release_view(view);
        Ok(found?.into_iter().filter(|(_, row)| is_equal(row)).collect())
    })
}

fn by_index(
    access: &mut Access<'_, '_, '_>,
    relation: &Arc<RelationDescriptor>,
    index: usize,
    columns: &[i16],
    key: &[Datum],
    view: ReadView,
) -> Result<Vec<(Ctid, Row)>> {
    let mut conditions = Vec::new();
    for (column, part) in relation.indexes[index].keys.iter().enumerate() {
        let Some(at) = columns.iter().position(|number| *number == part.column) else { break };
        conditions.push(IndexCondition { column, op: ScanOp::Equal, value: key[at].clone() });
    }
    let (mut cursor, mut batch, mut rows) = (IndexCursor::default(), RowBatch::default(), Vec::new());
    let shape = access.table(relation)?.shape.clone();
    while access.index_scan(
        relation,
        (index, Direction::Forward),
        &conditions,
        &mut cursor,
        view,
        &mut batch,
    )? {
        while let Some(row) = batch.next_row() {
            rows.push((row.ctid, row.values(&shape)?));
        }
    }
    Ok(rows)
}

fn by_scan(
    access: &mut Access<'_, '_, '_>,
    relation: &Arc<RelationDescriptor>,
    view: ReadView,
) -> Result<Vec<(Ctid, Row)>> {
    let (mut cursor, mut batch, mut rows) = (TableCursor::default(), RowBatch::default(), Vec::new());
    let shape = access.table(relation)?.shape.clone();
    while access.scan(relation, &mut cursor, view, false, &mut batch)? {
        while let Some(row) = batch.next_row() {
            rows.push((row.ctid, row.values(&shape)?));
        }
    }
    Ok(rows)
}

/// The row that a key references must be there, and stay.
fn check_referencing(
    relation: &Arc<RelationDescriptor>,
    constraint: &ConstraintDescriptor,
    key: &Row,
    ctx: &mut Context<'_>,
) -> Result<()> {
    let Some(foreign) = &constraint.foreign else { return Ok(()) };
    let nulls = key.iter().filter(|value| value.is_null()).count();
    if nulls == key.len() || nulls > 0 && !foreign.match_full {
        return Ok(());
    }
    let message = || {
        format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            relation.name, constraint.name
        )
    };
    if nulls > 0 {
        return Err(Report::error(SqlState::new("23503"), message())
            .with_detail("MATCH FULL does not allow mixing of null and nonnull key values."));
    }
    let other = relation_of(foreign.relation, ctx)?;
    loop {
        ctx.host.check_interrupts()?;
        let Some((ctid, _)) = find(&other, &foreign.columns, key, ctx)?.into_iter().next() else {
            let text = key_text(relation, &constraint.columns, key, &ctx.formats);
            return Err(Report::error(SqlState::new("23503"), message())
                .with_detail(format!("{text} is not present in table \"{}\".", other.name)));
        };
        let locked = with_tables(ctx.host, |access| access.lock_row(&other, ctid, RowLock::KeyShare, true))?;
        match locked {
            Ok(()) | Err(WriteConflict::SelfModified { .. }) => return Ok(()),
            // It has changed meanwhile: what is there now counts.
            Err(_) => {}
        }
    }
}

/// A referenced row is gone or has another key: what becomes of those that reference it.
fn referenced(
    relation: &Arc<RelationDescriptor>,
    constraint: &ConstraintDescriptor,
    old: &Row,
    new: Option<&Row>,
    ctx: &mut Context<'_>,
) -> Result<()> {
    let Some(foreign) = &constraint.foreign else { return Ok(()) };
    if old.iter().any(Datum::is_null) {
        return Ok(());
    }
    let child = relation_of(constraint.relation, ctx)?;
    let rows = find(&child, &constraint.columns, old, ctx)?;
    if rows.is_empty() {
        return Ok(());
    }
    let action = if new.is_some() { foreign.on_update } else { foreign.on_delete };
    match action {
        ForeignAction::NoAction | ForeignAction::Restrict => {
            if action == ForeignAction::NoAction && !find(relation, &foreign.columns, old, ctx)?.is_empty() {
                return Ok(());
            }
            Err(still_referenced(relation, &child, constraint, (foreign, old), ctx))
        }
        ForeignAction::Cascade => match new {
            None => delete_rows(&child, rows, ctx),
            Some(new) => change_rows(&child, rows, &constraint.columns, new, ctx),
        },
        ForeignAction::SetNull => {
            let columns = match (new, foreign.delete_set_columns.as_slice()) {
                (None, some @ [_, ..]) => some,
                _ => &constraint.columns,
            };
            change_rows(&child, rows, columns, &vec![Datum::Null; columns.len()], ctx)
        }
        ForeignAction::SetDefault => {
            Err(Report::not_supported("the foreign key action SET DEFAULT is not supported yet"))
        }
    }
}

fn still_referenced(
    relation: &RelationDescriptor,
    child: &RelationDescriptor,
    constraint: &ConstraintDescriptor,
    (foreign, old): (&ForeignKeyDescriptor, &Row),
    ctx: &Context<'_>,
) -> Box<Report> {
    let message = format!(
        "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
        relation.name, constraint.name, child.name
    );
    let key = key_text(relation, &foreign.columns, old, &ctx.formats);
    Report::error(SqlState::new("23503"), message)
        .with_detail(format!("{key} is still referenced from table \"{}\".", child.name))
}

fn delete_rows(child: &Arc<RelationDescriptor>, rows: Vec<(Ctid, Row)>, ctx: &mut Context<'_>) -> Result<()> {
    for (ctid, row) in rows {
        match with_tables(ctx.host, |access| access.delete(child, ctid))? {
            Ok(()) => note_delete(child, &row, ctx),
            Err(WriteConflict::SelfModified { .. } | WriteConflict::Deleted) => {}
            Err(_) => return Err(changed_meanwhile()),
        }
    }
    Ok(())
}

fn change_rows(
    child: &Arc<RelationDescriptor>,
    rows: Vec<(Ctid, Row)>,
    columns: &[i16],
    values: &[Datum],
    ctx: &mut Context<'_>,
) -> Result<()> {
    for (ctid, row) in rows {
        let mut new = row.clone();
        for (number, value) in columns.iter().zip(values) {
            let column = (*number - 1) as usize;
            new[column] = adapted(value, child.columns[column].type_oid);
        }
        complete(child, &mut new, &[], &[], ctx)?;
        match with_tables(ctx.host, |access| access.update(child, ctid, &new, true))? {
            Ok(_) => {
                note_update(child, &row, &new, ctx);
                with_tables(ctx.host, |access| {
                    access.cx.next_command();
                    Ok(())
                })?;
            }
            Err(WriteConflict::Duplicate { index, .. }) => {
                return Err(super::constraints::duplicate(child, index, &new, &ctx.formats));
            }
            Err(WriteConflict::SelfModified { .. } | WriteConflict::Deleted) => {}
            Err(_) => return Err(changed_meanwhile()),
        }
    }
    Ok(())
}

fn changed_meanwhile() -> Box<Report> {
    Report::error(SqlState::new("40001"), "could not serialize access due to concurrent update")
}
