//! Rows that others have changed meanwhile: read committed goes on with what it finds behind them, the other levels stop.

use std::sync::Arc;

use crate::access::Ctid;
use crate::access::heap::RowLock;
use crate::catalog::descriptor::RelationDescriptor;
use crate::report::{Report, Result, SqlState};
use crate::sql::tables::{RowBatch, WriteConflict, tid, with_tables};
use crate::sql::types::{Datum, Row};
use crate::storage::ids::BlockNumber;

use super::Context;

/// The address that a row brings along.
pub fn address(row: &[Datum], at: usize) -> Result<Option<Ctid>> {
    match row.get(at) {
        Some(Datum::Tid(block, line)) => Ok(BlockNumber::new(*block).map(|block| Ctid::new(block, *line))),
        // The side of an outer join that has no partner.
        Some(Datum::Null) => Ok(None),
        _ => Err(Report::error(SqlState::INTERNAL_ERROR, "ctid is missing")),
    }
}

fn unserializable(what: &str) -> Box<Report> {
    let message = format!("could not serialize access due to concurrent {what}");
    Report::error(SqlState::new("40001"), message)
}

/// Whether each statement has a snapshot of its own.
pub fn is_read_committed(ctx: &Context<'_>) -> Result<bool> {
    let level = ctx.host.show("transaction_isolation")?;
    Ok(!matches!(level.as_deref(), Some("repeatable read" | "serializable")))
}

/// What a row has become that another transaction changed: its newest version, locked; `None`: it is gone, or nobody is to
/// wait for who has it.
pub fn newest(
    relation: &Arc<RelationDescriptor>,
    mut conflict: WriteConflict,
    (lock, waits): (RowLock, bool),
    ctx: &mut Context<'_>,
) -> Result<Option<(Ctid, Row)>> {
    let is_read_committed = is_read_committed(ctx)?;
    loop {
        let (next, by) = match conflict {
            WriteConflict::Updated { next, by } if is_read_committed => (next, by),
            WriteConflict::Updated { .. } => return Err(unserializable("update")),
            WriteConflict::Deleted if is_read_committed => return Ok(None),
            WriteConflict::Deleted => return Err(unserializable("delete")),
            _ => return Ok(None),
        };
        let mut batch = RowBatch::default();
        let locked = with_tables(ctx.host, |access| {
            let is_there = access.fetch_version(relation, next, &mut batch)?;
            // Room that was given to another row.
            if !is_there || batch.next_row().is_none_or(|row| row.system.xmin != by.number()) {
                return Ok(None);
            }
            Ok(Some(access.lock_row(relation, next, lock, waits)?))
        })?;
        match locked {
            None => return Ok(None),
            Some(Err(further)) => conflict = further,
            Some(Ok(())) => {
                let row = with_tables(ctx.host, |access| {
                    access.fetch_version(relation, next, &mut batch)?;
                    let shape = access.table(relation)?.shape.clone();
                    batch.next_row().map(|row| row.values(&shape)).transpose()
                })?;
                return Ok(row.map(|row| (next, row)));
            }
        }
    }
}

/// Puts a version in the place of the one that a row was made of.
pub fn replace(row: &mut Row, at: usize, ctid: Ctid, values: Row) {
    let width = values.len();
    for (place, value) in row[at..].iter_mut().zip(values) {
        *place = value;
    }
    row[at + width] = tid(ctid);
}
